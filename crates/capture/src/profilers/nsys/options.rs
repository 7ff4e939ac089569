//! What a capture asks of nsys.

use std::ffi::OsString;
use std::time::Duration;

/// An API that nsys can trace (`--trace`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// CUDA runtime and driver calls, kernels, copies, sets.
    Cuda,
    /// NVTX ranges and marks.
    Nvtx,
    /// Calls of the operating system's libraries that can block.
    Osrt,
    /// cuBLAS calls; turns CUDA on as well.
    Cublas,
    /// cuDNN calls; turns CUDA on as well.
    Cudnn,
    /// MPI calls of Open MPI and MPICH.
    Mpi,
    /// UCX calls.
    Ucx,
}

impl Trace {
    /// Every API, in the order in which `--trace` lists them.
    pub const ALL: [Trace; 7] =
        [Trace::Cuda, Trace::Nvtx, Trace::Osrt, Trace::Cublas, Trace::Cudnn, Trace::Mpi, Trace::Ucx];

    /// The word of `--trace`.
    pub fn word(self) -> &'static str {
        match self {
            Trace::Cuda => "cuda",
            Trace::Nvtx => "nvtx",
            Trace::Osrt => "osrt",
            Trace::Cublas => "cublas",
            Trace::Cudnn => "cudnn",
            Trace::Mpi => "mpi",
            Trace::Ucx => "ucx",
        }
    }
}

/// Which GPUs have their counters sampled; needs the permission that `ERR_NVGPUCTRPERM` is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuMetrics {
    /// None.
    #[default]
    Off,
    /// All that support it. Under several ranks a node only one rank may ask for it.
    All,
    /// Those that CUDA shows to the target; all where this version cannot say that.
    Visible,
    /// By number.
    Devices(Vec<u32>),
}

/// CPU samples with backtraces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// None, and no context switches: with them nsys 2022.4 hung in a virtual machine without CPU counters.
    #[default]
    None,
    /// Of the target and its children.
    ProcessTree,
}

/// What part of the run is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// All of it.
    #[default]
    Whole,
    /// From an NVTX range `name@domain` (`name@*`: in any domain) to its end.
    Nvtx(String),
    /// From `cudaProfilerStart` to `cudaProfilerStop`.
    CudaProfiler,
}

/// What happens at the end of a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeEnd {
    /// Recording stops, the target runs to its own end: its exit code stays meaningful.
    #[default]
    Stop,
    /// Recording stops and nsys ends the session.
    StopShutdown,
    /// Each range is recorded, into a report of its own.
    Repeat,
}

/// Whether the target is ended when recording ends before it (`--duration`, [`RangeEnd::StopShutdown`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kill {
    /// It runs on.
    None,
    /// It is asked to end: a service is profiled for so many seconds and then stopped.
    #[default]
    Sigterm,
}

/// Whom nsys waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// The command itself. A daemon that it leaves behind would otherwise hold the capture until its time limit.
    #[default]
    Primary,
    /// Also the processes that it left behind.
    All,
}

/// What to record, and how. The defaults suit a timeline of an inference workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// APIs; those that the version lacks are left out and named in [`Line::left_out`](super::command::Line).
    pub trace: Vec<Trace>,
    /// Record each node of a CUDA graph: graphs recorded as a whole hide their kernels.
    pub graph_nodes: bool,
    /// GPU counters.
    pub gpu_metrics: GpuMetrics,
    /// Counter samples a second, 10 to 200,000; the tool's own default where absent.
    pub gpu_metrics_hz: Option<u32>,
    /// Counters of network cards.
    pub nic_metrics: bool,
    /// CPU samples.
    pub sampling: Sampling,
    /// Time before recording starts, in whole seconds (rounded up).
    pub delay: Duration,
    /// Time after which recording stops, in whole seconds (rounded up).
    pub duration: Option<Duration>,
    /// Part of the run that is recorded.
    pub range: Range,
    /// What happens at the end of that part.
    pub range_end: RangeEnd,
    /// What happens to the target when recording ends before it.
    pub kill: Kill,
    /// Whom nsys waits for.
    pub wait: Wait,
    /// Trace a child between `fork` and `exec`, and one that never calls `exec`, as Python's workers do. It relies on
    /// undefined behaviour in the child, says the user guide: the switch to turn off when a target crashes only here.
    pub trace_fork_before_exec: bool,
    /// Further words of `nsys profile`, passed on as they are.
    pub extra: Vec<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            trace: vec![Trace::Cuda, Trace::Nvtx, Trace::Osrt],
            graph_nodes: true,
            gpu_metrics: GpuMetrics::Off,
            gpu_metrics_hz: None,
            nic_metrics: false,
            sampling: Sampling::None,
            delay: Duration::ZERO,
            duration: None,
            range: Range::Whole,
            range_end: RangeEnd::Stop,
            kill: Kill::Sigterm,
            wait: Wait::Primary,
            trace_fork_before_exec: true,
            extra: Vec::new(),
        }
    }
}
