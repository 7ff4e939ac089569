//! Everything that the rows of one GPU share: contexts, streams, memory, libraries, compiled kernels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::jobs::{Fill, Prepared, Room, Tries, matmuls};
use super::places::{Pinned, Span};
use super::rows::{Capability, Row, Type, Way};
use super::sizes::{Scale, Sizes};
use super::trial::{Bench, Clock, Job};
use super::units::Units;
use super::{Absent, capability, data, rows};
use crate::Error;
use crate::cuda::Gpu;
use crate::cuda::context::Context;
use crate::cuda::kernels::Module;
use crate::cuda::lt::{self, Library};
use crate::cuda::memory::Memory;
use crate::cuda::stream::Stream;

/// Seed of the operands.
const SEED: u64 = 42;

/// Bytes for what kernels would store and never do, and for the scale of FP8.
const SMALL: usize = 512;

/// How often half of the memory that was refused is asked for.
const HALVINGS: u32 = 4;

/// One GPU with everything that its rows need. What could not be had is a reason, and its rows are absent.
pub(super) struct Stage {
    context: Arc<Context>,
    units: Units,
    sizes: Sizes,
    bench: Bench,
    clock: Result<(), String>,
    arena: Memory,
    workspace: Memory,
    /// The scale of FP8 lies in its first bytes, the sink of kernels behind it.
    small: Memory,
    modules: Modules,
    library: Result<Arc<Library>, String>,
    /// Of each direction.
    pinned: Result<[Pinned; 2], String>,
    peers: BTreeMap<usize, Peer>,
}

/// The compiled kernels, or why they could not be.
struct Modules {
    fma: Result<Arc<Module>, String>,
    mma: Result<Arc<Module>, String>,
    memory: Result<Arc<Module>, String>,
}

/// A GPU that can be written to.
struct Peer {
    context: Arc<Context>,
    memory: Memory,
    /// Its second lane belongs to the peer, so that each GPU pushes what it sends.
    bench: Bench,
}

fn reason<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl Stage {
    /// # Errors
    /// When the GPU cannot be used, or has no memory to spare.
    pub(super) fn new(gpu: &Gpu, all: &[Gpu], scale: Scale) -> Result<Self, Error> {
        let context = Context::open(gpu)?;
        let (sizes, arena) = arena(&context, scale)?;
        let workspace = Memory::new(&context, lt::workspace_bytes(gpu.compute_capability))?;
        let small = Memory::new(&context, SMALL)?;
        Span::of(&small).fill(&1f32.to_ne_bytes())?;
        let sink = Span::of(&small).split(SMALL as u64 / 2).1;
        let module = |file| reason(Module::load(&context, file));
        let modules = Modules {
            fma: module("ceiling_fma.cu"),
            mma: module("ceiling_mma.cu"),
            memory: module("ceiling_memory.cu"),
        };
        let (clock, no_clock) = match Clock::new(&context, scale) {
            Ok(clock) => (Some(clock), Ok(())),
            Err(error) => (None, Err(error.to_string())),
        };
        let bench = Bench::new(&context, Stream::new(&context)?, clock)?;
        let pinned = || Ok([Pinned::new(&context, sizes.link)?, Pinned::new(&context, sizes.link)?]);
        let pinned = reason(pinned());
        let others = all.iter().filter(|other| other.number != gpu.number);
        let peers = others.filter_map(|other| Some((other.number, peer(&context, other, &sizes)?))).collect();
        context.bind()?;
        let library = reason(Library::new(&context));
        let units = Units { count: u32::try_from(gpu.sm_count).unwrap_or(1).max(1), scale, sink };
        let clock = no_clock;
        Ok(Self { context, units, sizes, bench, clock, arena, workspace, small, modules, library, pinned, peers })
    }

    /// The GPUs that it can write to.
    pub(super) fn peers(&self) -> Vec<usize> {
        self.peers.keys().copied().collect()
    }

    /// Its compute capability.
    pub(super) fn capability(&self) -> Capability {
        capability(&self.context.gpu)
    }

    /// How large the problems are.
    pub(super) fn scale(&self) -> Scale {
        self.units.scale
    }

    /// What lacks for all rows.
    pub(super) fn absent(&self) -> Vec<Absent> {
        let reason = self.clock.as_ref().err().cloned();
        reason.into_iter().map(|reason| Absent { what: "clock".to_owned(), reason }).collect()
    }

    /// Where a row is timed.
    pub(super) fn bench(&self, row: Row) -> &Bench {
        match row {
            Row::Peer(peer, _) => self.peers.get(&peer).map_or(&self.bench, |peer| &peer.bench),
            _ => &self.bench,
        }
    }

    /// Whether the GPU still answers: after some errors a context does nothing any more.
    pub(super) fn is_alive(&self) -> bool {
        self.finish().is_ok()
    }

    /// Waits for the GPU.
    ///
    /// # Errors
    /// What has ended its context.
    pub(super) fn finish(&self) -> Result<(), Error> {
        self.context.synchronize()
    }

    /// Fills the operands of a row with its data. Matrix products only: the other kernels do not look at theirs.
    ///
    /// # Errors
    /// When a copy fails.
    pub(super) fn fill(&self, prepared: &Prepared<'_>) -> Result<(), Error> {
        self.context.bind()?;
        prepared.fill.as_ref().map_or(Ok(()), |Fill { span, pattern }| span.repeat(pattern, &self.bench.main))
    }

    /// Tries what could run a row.
    ///
    /// # Errors
    /// Why nothing can.
    pub(super) fn prepare(&self, row: Row) -> Result<Prepared<'_>, String> {
        reason(self.context.bind())?;
        let trial_ns = self.scale().trial_ns(row.trial());
        if let Row::Matmul(of, fast) = row {
            return self.matmul(of, fast, trial_ns);
        }
        let mut tries = Tries::default();
        for job in self.jobs(row)? {
            tries.add(self.bench(row), job, trial_ns);
        }
        Ok(Prepared { chosen: tries.fastest()?, fill: None })
    }

    fn jobs(&self, row: Row) -> Result<Vec<Job<'_>>, String> {
        match row {
            Row::Fma(of) => reason(self.units.fma(self.modules.fma.as_ref().map_err(String::clone)?, of)),
            Row::Mma(of) => reason(self.units.mma(self.modules.mma.as_ref().map_err(String::clone)?, of)),
            Row::Stream(op, level) => {
                let module = self.modules.memory.as_ref().map_err(String::clone)?;
                let bytes = self.sizes.bytes(op, level).ok_or("the GPU has too little free memory, or tells no L2")?;
                reason(self.units.stream(module, op, level, (Span::of(&self.arena), bytes)))
            }
            Row::Host(way) => {
                let pinned = self.pinned.as_ref().map_err(String::clone)?;
                Ok(vec![self.host(pinned, way)])
            }
            Row::Peer(number, way) => {
                let peer = self.peers.get(&number).ok_or("it cannot be reached")?;
                Ok(vec![self.peer(peer, way)])
            }
            // Prepared elsewhere.
            Row::Matmul(..) => Ok(Vec::new()),
        }
    }

    fn matmul(&self, of: Type, fast: bool, trial_ns: f64) -> Result<Prepared<'_>, String> {
        let library = self.library.as_ref().map_err(String::clone)?;
        let [products, operands] = self.sizes.matrices(of);
        let (products, rest) = Span::of(&self.arena).split(products);
        let (operands, _) = rest.split(operands);
        let (scale, _) = Span::of(&self.small).split(4);
        let room = Room { products, operands, workspace: Span::of(&self.workspace), scale };
        let fill = Fill { span: operands, pattern: data::pattern(of, SEED) };
        reason(operands.repeat(&fill.pattern, &self.bench.main))?;
        let tries = matmuls(&self.bench, library, (of, fast), (&self.sizes.products, room), trial_ns);
        Ok(Prepared { chosen: tries.fastest()?, fill: Some(fill) })
    }

    /// Copies between pinned memory and the device; both ways on two streams.
    fn host<'a>(&'a self, [first, second]: &'a [Pinned; 2], way: Way) -> Job<'a> {
        let (into, rest) = Span::of(&self.arena).split(self.sizes.link);
        let (from, _) = rest.split(self.sizes.link);
        let launch = move |lanes: &super::trial::Lanes<'_>| match way {
            Way::In => first.copy_in(into, lanes.main),
            Way::Out => second.copy_out(into, lanes.main),
            Way::Both => {
                first.copy_in(into, lanes.main)?;
                second.copy_out(from, lanes.other)
            }
        };
        Job { amount: self.transferred(way), launch: Box::new(launch), both: way == Way::Both }
    }

    /// Copies to another GPU, and back at the same time.
    fn peer<'a>(&'a self, peer: &'a Peer, way: Way) -> Job<'a> {
        let here = Span::of(&self.arena).split(self.sizes.link);
        let there = Span::of(&peer.memory).split(self.sizes.link);
        let launch = move |lanes: &super::trial::Lanes<'_>| {
            here.0.copy_to(&self.context, &peer.context, there.0, lanes.main)?;
            if way == Way::Both {
                let back = there.1.split(self.sizes.link).0;
                back.copy_to(&peer.context, &self.context, here.1.split(self.sizes.link).0, lanes.other)?;
            }
            Ok(())
        };
        Job { amount: self.transferred(way), launch: Box::new(launch), both: way == Way::Both }
    }

    fn transferred(&self, way: Way) -> f64 {
        (self.sizes.link * way.transfers() as u64) as f64
    }
}

/// Sizes that the GPU has room for, and the memory that every row uses in turn.
fn arena(context: &Arc<Context>, scale: Scale) -> Result<(Sizes, Memory), Error> {
    let (free, _) = context.memory()?;
    let gpu = &context.gpu;
    let l2 = u64::try_from(gpu.l2_bytes).unwrap_or(0);
    let try_with = |free: u64| {
        let sizes = Sizes::new(scale, l2, free);
        let bytes = rows::rows(capability(gpu), &[usize::MAX]).into_iter().map(|row| sizes.memory(row)).max();
        Memory::new(context, bytes.unwrap_or(0) as usize).map(|memory| (sizes, memory))
    };
    let mut tried = try_with(free as u64);
    for halving in 1..=HALVINGS {
        // Free memory may be in pieces, or another process may be faster.
        if tried.is_err() {
            tried = try_with(free as u64 >> halving);
        }
    }
    tried
}

/// Another GPU that this one can write to; none where it cannot, or the other one has no memory to spare.
fn peer(context: &Arc<Context>, other: &Gpu, sizes: &Sizes) -> Option<Peer> {
    let there = Context::open(other).ok()?;
    context.reach(&there).ok().filter(|possible| *possible)?;
    // The way back may be closed: then the driver takes another one.
    let _ = there.reach(context);
    let memory = Memory::new(&there, sizes.memory(Row::Peer(other.number, Way::Both)) as usize).ok()?;
    let bench = Bench::new(context, Stream::new(&there).ok()?, None).ok()?;
    context.bind().ok()?;
    Some(Peer { context: there, memory, bench })
}
