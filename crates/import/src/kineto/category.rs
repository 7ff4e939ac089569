//! What the words in `cat` mean.

/// What an event is, by its category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    /// A kernel that ran on a device.
    Kernel,
    /// A copy that a device made.
    Copy,
    /// A fill that a device made.
    Set,
    /// A host or device that waited for a device.
    Sync,
    /// A call of the runtime (CUDA, HIP or another vendor's).
    Runtime,
    /// A call of the driver.
    Driver,
    /// A framework operator.
    Operator,
    /// A Python frame.
    Python,
    /// A range that the program named.
    Annotation,
    /// The same range as the device saw it: from its first to its last work.
    GpuAnnotation,
    /// Time that the profiler itself took.
    Overhead,
    /// The whole recording, as the profiler sees it.
    Trace,
    /// Counters of one kernel or range, read with CUPTI's range profiler.
    ProfilerRange,
    /// Allocator events.
    Memory,
    /// Anything else, of any program that writes this format.
    Other,
}

impl Category {
    /// The category of that name. Names with capitals are those of the first versions of Kineto.
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"cpu_op" | b"Operator" => Self::Operator,
            b"kernel" | b"Kernel" => Self::Kernel,
            b"gpu_memcpy" | b"Memcpy" => Self::Copy,
            b"gpu_memset" | b"Memset" => Self::Set,
            b"cuda_sync" => Self::Sync,
            b"cuda_runtime"
            | b"hip_runtime"
            | b"xpu_runtime"
            | b"mtia_runtime"
            | b"privateuse1_runtime"
            | b"Runtime" => Self::Runtime,
            b"cuda_driver" | b"hip_driver" | b"xpu_driver" | b"privateuse1_driver" | b"Driver" => Self::Driver,
            b"python_function" => Self::Python,
            b"user_annotation" => Self::Annotation,
            b"gpu_user_annotation" => Self::GpuAnnotation,
            b"overhead" => Self::Overhead,
            b"Trace" => Self::Trace,
            b"cuda_profiler_range" => Self::ProfilerRange,
            b"cpu_instant_event" => Self::Memory,
            _ => Self::Other,
        }
    }

    /// Name in `activities.kind`, where it is work of a device.
    pub(crate) fn activity(self) -> Option<&'static str> {
        match self {
            Self::Kernel => Some("kernel"),
            Self::Copy => Some("copy"),
            Self::Set => Some("set"),
            Self::Sync => Some("sync"),
            _ => None,
        }
    }

    /// Name in `calls.api`, where it is a call of a host.
    pub(crate) fn api(self) -> Option<&'static str> {
        match self {
            Self::Runtime => Some("runtime"),
            Self::Driver => Some("driver"),
            Self::Operator => Some("op"),
            Self::Python => Some("python"),
            _ => None,
        }
    }
}
