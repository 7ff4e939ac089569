//! How ncu profiles a command.

use std::ffi::OsString;

use super::resolve::Wanted;

/// What is replayed until every metric is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// Each kernel by itself: any program, and kernels that wait for each other hang.
    #[default]
    Kernel,
    /// The whole program: it must launch the same kernels every time; no memory is saved and restored.
    Application,
    /// What lies between cuProfilerStart and cuProfilerStop, or in the NVTX ranges that are named: kernels run
    /// concurrently, and the counts are those of the whole range.
    Range,
    /// The same with the whole program started again for each pass.
    ApplicationRange,
}

impl Replay {
    /// Whether ranges are replayed, not kernels.
    pub fn is_of_ranges(self) -> bool {
        matches!(self, Self::Range | Self::ApplicationRange)
    }

    /// The value of `--replay-mode`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Application => "application",
            Self::Range => "range",
            Self::ApplicationRange => "app-range",
        }
    }
}

/// What happens to the GPU's clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clocks {
    /// Held at their base. The metrics of a launch come from several replays, and later replays would run at higher
    /// clocks than the first: rates and cycles of one launch would not belong together. A roofline loses nothing by it:
    /// FLOP and bytes do not depend on the clock, and time is taken from a timeline.
    #[default]
    Base,
    /// As they are: where clocks are fixed by other means, where a partition (MIG) or a container does not let ncu lock
    /// them, or where the replay's own times matter.
    Free,
}

/// What happens to the GPU's caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caches {
    /// Emptied before every replay: the same counts every time, those of a kernel whose input lies in memory. A kernel
    /// that in the program finds its input in the L2 is counted with more bytes of memory than it moves there.
    #[default]
    Emptied,
    /// As they are. With [`Replay::Kernel`] that is as the replay before left them; with the other modes nearly as the
    /// program leaves them.
    Kept,
}

/// What a CUDA graph is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Graphs {
    /// Its kernels, each with counts of its own.
    #[default]
    Nodes,
    /// One launch.
    Whole,
}

/// How a command is profiled; the defaults are those that a roofline wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is replayed.
    pub replay: Replay,
    /// Clocks.
    pub clocks: Clocks,
    /// Caches.
    pub caches: Caches,
    /// CUDA graphs.
    pub graphs: Graphs,
    /// A regular expression for the names of the kernels, as functions without arguments; none is all. A range has no
    /// name.
    pub kernels: Option<String>,
    /// Launches of those kernels that are left out first.
    pub launch_skip: u64,
    /// Launches that are profiled; none is all.
    pub launch_count: Option<u64>,
    /// NVTX ranges whose kernels are profiled, in ncu's notation (`domain@range/`); none is all.
    pub ranges: Vec<String>,
    /// Whether kernels are profiled from the start, else from cuProfilerStart on. A range begins there anyway.
    pub from_start: bool,
    /// Which quantities are counted.
    pub wanted: Wanted,
    /// Further words of ncu, passed on as they are.
    pub extra: Vec<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replay: Replay::default(),
            clocks: Clocks::default(),
            caches: Caches::default(),
            graphs: Graphs::default(),
            kernels: None,
            launch_skip: 0,
            launch_count: None,
            ranges: Vec::new(),
            from_start: true,
            wanted: Wanted { details: true, tensor_parts: false, in_ranges: false },
            extra: Vec::new(),
        }
    }
}
