//! Jobs of the multiprocessors: arithmetic in registers, and kernels that read, write and copy.
//!
//! How many blocks a multiprocessor should have depends on registers and threads of each architecture, so that each row
//! has several candidates, of which the fastest counts.

use std::ffi::c_void;
use std::sync::Arc;

use super::places::Span;
use super::rows::{Level, Op, Type};
use super::sizes::Scale;
use super::trial::Job;
use crate::Error;
use crate::cuda::kernels::{Function, Module, Shape};

/// Blocks of a multiprocessor that are tried.
const BLOCKS: [u32; 4] = [1, 2, 3, 4];

/// Iterations of the chains: 0.1 ms or so.
const ITERATIONS: u64 = 256;

/// Walks over an L2 working set in one launch: 0.2 ms or so.
const L2_WALKS: u64 = 64;

/// Blocks of the kernels of `ceiling_fma.cu` and `ceiling_mma.cu`, and of `ceiling_memory.cu`.
const COMPUTE_THREADS: u32 = 256;
const MEMORY_THREADS: u32 = 512;

/// A kernel of chains: its entry, the FLOP of a block and iteration as its header states them, and its arguments between
/// the output and the iterations.
struct Chains {
    entry: &'static std::ffi::CStr,
    flop: u64,
    arguments: [u64; 3],
}

/// Chains of fused multiply-adds, of 0.5 x + 1.
fn fma(of: Type) -> Chains {
    let single = |value: f32| u64::from(value.to_bits());
    let pair = |half: u64| half << 16 | half;
    match of {
        Type::F64 => Chains { entry: c"ceiling_fma_f64", flop: 262_144, arguments: [0.5, 1.0, -1.0].map(f64::to_bits) },
        Type::F16 | Type::F16Acc16 => {
            Chains { entry: c"ceiling_fma_half2", flop: 524_288, arguments: [pair(0x3800), pair(0x3c00), 0xffff_ffff] }
        }
        Type::Bf16 | Type::F8 => Chains {
            entry: c"ceiling_fma_bfloat162",
            flop: 524_288,
            arguments: [pair(0x3f00), pair(0x3f80), 0xffff_ffff],
        },
        Type::F32 | Type::Tf32 => {
            Chains { entry: c"ceiling_fma_f32", flop: 262_144, arguments: [0.5, 1.0, -1.0].map(single) }
        }
    }
}

/// Chains of `mma.sync` on fragments of about 0.001; none for a type that has no such kernel.
fn mma(of: Type) -> Option<Chains> {
    let never = u64::from((-1f32).to_bits());
    let pair = |half: u64| half << 16 | half;
    let of_fragment = |entry, flop, fragment| Chains { entry, flop, arguments: [fragment, fragment, never] };
    Some(match of {
        Type::F64 => {
            let arguments = [0.001, 0.001, -1.0].map(f64::to_bits);
            Chains { entry: c"ceiling_mma_f64", flop: 131_072, arguments }
        }
        Type::Tf32 => of_fragment(c"ceiling_mma_tf32", 524_288, u64::from(0.001f32.to_bits())),
        Type::F16 => of_fragment(c"ceiling_mma_f16", 1_048_576, pair(0x1419)),
        Type::Bf16 => of_fragment(c"ceiling_mma_bf16", 1_048_576, pair(0x3a83)),
        Type::F32 | Type::F16Acc16 | Type::F8 => return None,
    })
}

/// What the jobs of one device share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units {
    /// Streaming multiprocessors.
    pub(super) count: u32,
    pub(super) scale: Scale,
    /// Room for what a kernel would store and never does.
    pub(super) sink: Span,
}

impl Units {
    /// Chains of fused multiply-adds.
    ///
    /// # Errors
    /// When the module lacks the kernel.
    pub(super) fn fma(self, module: &Arc<Module>, of: Type) -> Result<Vec<Job<'static>>, Error> {
        self.chains(module, &fma(of))
    }

    /// Chains of `mma.sync`; none for a type that has no such kernel.
    ///
    /// # Errors
    /// When the module lacks the kernel.
    pub(super) fn mma(self, module: &Arc<Module>, of: Type) -> Result<Vec<Job<'static>>, Error> {
        mma(of).map_or_else(|| Ok(Vec::new()), |chains| self.chains(module, &chains))
    }

    fn chains(self, module: &Arc<Module>, chains: &Chains) -> Result<Vec<Job<'static>>, Error> {
        let function = module.function(chains.entry)?;
        let iterations = if self.scale == Scale::Tiny { 2 } else { ITERATIONS };
        let [multiplier, addend, never] = chains.arguments;
        let job = |blocks: u32| {
            let grid = self.grid(blocks);
            let arguments = vec![self.sink.start, multiplier, addend, never, iterations];
            let amount = (chains.flop * u64::from(grid) * iterations) as f64;
            job(&function, grid, COMPUTE_THREADS, arguments, amount)
        };
        Ok(self.blocks().iter().copied().map(job).collect())
    }

    /// Reads, writes or copies arrays of so many bytes each, the first of which is at the begin of `arrays`.
    ///
    /// # Errors
    /// When the module lacks the kernel.
    pub(super) fn stream(
        self,
        module: &Arc<Module>,
        op: Op,
        level: Level,
        (arrays, bytes): (Span, u64),
    ) -> Result<Vec<Job<'static>>, Error> {
        let walks = if level == Level::L2 && self.scale == Scale::Full { L2_WALKS } else { 1 };
        let (first, rest) = arrays.split(bytes);
        let (second, _) = rest.split(bytes);
        let vectors = bytes / 16;
        let (entry, arguments) = match op {
            Op::Read => (c"ceiling_read", vec![self.sink.start, first.start, vectors, walks, 0x9e37_79b9]),
            Op::Write => (c"ceiling_write", vec![first.start, vectors, walks]),
            Op::Copy => (c"ceiling_copy", vec![second.start, first.start, vectors, walks]),
        };
        let function = module.function(entry)?;
        let amount = (16 * vectors * op.arrays() as u64 * walks) as f64;
        let job = |blocks: u32| job(&function, self.grid(blocks), MEMORY_THREADS, arguments.clone(), amount);
        Ok(self.blocks().iter().copied().map(job).collect())
    }

    fn blocks(self) -> &'static [u32] {
        if self.scale == Scale::Tiny { &BLOCKS[..1] } else { &BLOCKS }
    }

    fn grid(self, blocks: u32) -> u32 {
        // A double's blocks run one after the other.
        if self.scale == Scale::Tiny { 2 } else { self.count.saturating_mul(blocks).max(1) }
    }
}

/// A kernel with its arguments, each in the lowest bytes of a word: both supported architectures are little-endian.
fn job(function: &Function, grid: u32, threads: u32, arguments: Vec<u64>, amount: f64) -> Job<'static> {
    let function = function.clone();
    let shape = Shape { grid: [grid, 1, 1], block: [threads, 1, 1], shared_bytes: 0 };
    let launch = Box::new(move |lanes: &super::trial::Lanes<'_>| {
        let mut words = arguments.clone();
        let mut pointers: Vec<*mut c_void> = words.iter_mut().map(|word| std::ptr::from_mut(word).cast()).collect();
        // SAFETY: number and sizes of the arguments are those of the kernel (`kernels/ceiling_*.cu`), and the pointers
        // among them lead to memory that holds what the kernel walks over.
        unsafe { function.launch(lanes.main, shape, &mut pointers) }
    });
    Job { amount, launch, both: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the header of an entry states for one block and one iteration.
    fn stated(text: &str, entry: &std::ffi::CStr) -> Option<u64> {
        let entries = crate::cuda::counts::entries(text).expect("the header can be read");
        let entry = entries.into_iter().find(|one| Some(one.name) == entry.to_str().ok())?;
        entry.evaluate("flop", &[("blocks", 1), ("iterations", 1)]).expect("it can be evaluated")
    }

    #[test]
    fn the_chains_count_what_the_headers_of_their_kernels_state() {
        let fma_text = include_str!("../../../../../kernels/ceiling_fma.cu");
        for of in [Type::F64, Type::F32, Type::F16, Type::Bf16] {
            let chains = fma(of);
            assert_eq!(Some(chains.flop), stated(fma_text, chains.entry), "{of:?}");
        }
        let mma_text = include_str!("../../../../../kernels/ceiling_mma.cu");
        for chains in [Type::F64, Type::Tf32, Type::F16, Type::Bf16].into_iter().filter_map(mma) {
            assert_eq!(Some(chains.flop), stated(mma_text, chains.entry), "{:?}", chains.entry);
        }
        assert!(mma(Type::F8).is_none());
    }
}
