//! What the machine-specific kernels have in common, and which of them this CPU can run.

#[cfg(target_arch = "aarch64")]
use super::aarch64 as machine;
#[cfg(target_arch = "x86_64")]
use super::x86 as machine;

/// Instruction set of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Scalar,
}

impl Isa {
    pub(super) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            Self::Scalar => "scalar",
        }
    }
}

/// Type of the arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    F32,
    F64,
}

impl Precision {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// The mix of loads and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Read,
    Copy,
    Triad,
    CopyNt,
    TriadNt,
}

impl Op {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Copy => "copy",
            Self::Triad => "triad",
            Self::CopyNt => "copy_nt",
            Self::TriadNt => "triad_nt",
        }
    }

    /// Arrays that it touches: all but the last are loaded, the last is stored (`read`: loaded). One element of each is
    /// what an iteration is counted as moving; the line that a store first has to fetch is not counted.
    pub(super) fn arrays(self) -> usize {
        match self {
            Self::Read => 1,
            Self::Copy | Self::CopyNt => 2,
            Self::Triad | Self::TriadNt => 3,
        }
    }
}

/// Walks `blocks` blocks of up to three arrays from `offset`, which becomes `(offset + block) & mask` after each.
pub(super) type Walk = unsafe fn(arrays: [*mut u8; 3], offset: usize, mask: usize, blocks: usize);

/// An arithmetic kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compute {
    pub(super) isa: Isa,
    pub(super) precision: Precision,
    pub(super) flop_per_loop: u64,
    pub(super) run: unsafe fn(loops: u64),
}

/// A memory kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) isa: Isa,
    pub(super) op: Op,
    /// Bytes of one array that one block covers.
    pub(super) block: usize,
    pub(super) run: Walk,
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use machine::{compute, dependent_adds, streams};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod absent {
    use super::{Compute, Stream};

    pub(in super::super) fn compute() -> Vec<Compute> {
        Vec::new()
    }

    pub(in super::super) fn streams() -> Vec<Stream> {
        Vec::new()
    }

    pub(in super::super) fn dependent_adds(_: u64) {}
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use absent::{compute, dependent_adds, streams};

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 4096;

    /// Four pages: three arrays and one that nothing may touch.
    fn filled() -> Vec<f32> {
        let mut memory = vec![0.0_f32; 4 * SIZE / 4 + 16];
        let skip = memory.as_ptr().align_offset(64);
        for (index, value) in memory[skip..].iter_mut().enumerate() {
            *value = 1.0 + (index * 4 / SIZE) as f32;
        }
        memory
    }

    #[test]
    fn copy_and_triad_compute_what_their_names_say_and_touch_nothing_else() {
        for stream in streams() {
            let mut memory = filled();
            let skip = memory.as_ptr().align_offset(64);
            let base = memory[skip..].as_mut_ptr().cast::<u8>();
            let arrays = [base, base.wrapping_add(SIZE), base.wrapping_add(2 * SIZE)];
            // SAFETY: three arrays of SIZE bytes, wrapped at SIZE; the kernels come from `streams`.
            unsafe { (stream.run)(arrays, 0, SIZE - 1, SIZE / stream.block) };
            let (first, last) = (skip, skip + SIZE / 4 - 1);
            let at = |array: usize, index: usize| memory[index + array * SIZE / 4];
            for index in [first, last] {
                let (b, c) = match stream.op {
                    Op::Read => (2.0, 3.0),
                    Op::Copy | Op::CopyNt => (1.0, 3.0),
                    Op::Triad | Op::TriadNt => (2.0, 1.0 + 0.5 * 2.0),
                };
                assert_eq!((at(0, index), at(1, index), at(2, index), at(3, index)), (1.0, b, c, 4.0), "{stream:?}");
            }
        }
    }

    #[test]
    fn one_kernel_for_each_instruction_set_and_precision() {
        let mut seen: Vec<_> = compute().iter().map(|kernel| (kernel.isa.name(), kernel.precision.name())).collect();
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
        assert!(seen.contains(&("scalar", "f32")));
    }
}
