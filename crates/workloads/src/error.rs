//! What can go wrong with a workload.

use std::io;
use std::path::PathBuf;

/// Why a target cannot run, or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target has no such parameter.
    #[error("{target} has no parameter {name} (hint: it has {})", known.join(", "))]
    UnknownParameter {
        /// Name of the target.
        target: &'static str,
        /// The parameter as given.
        name: String,
        /// The parameters that it has.
        known: Vec<&'static str>,
    },
    /// A parameter has a value that the target cannot use.
    #[error("{name}={value} is not allowed: {allowed}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value as given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The sizes that were chosen together need more memory than there is.
    #[error(
        "{what} would need about {} MB, and {} MB are allowed here (hint: make {parameters} smaller)",
        needed_bytes / 1_000_000, limit_bytes / 1_000_000
    )]
    TooLarge {
        /// What needs the memory.
        what: String,
        /// How much, in bytes.
        needed_bytes: u64,
        /// How much is allowed, in bytes.
        limit_bytes: u64,
        /// The names that decide about it.
        parameters: &'static str,
    },
    /// The target has no measured blocks.
    #[error("{target} runs once and has no measured blocks (hint: `proftool capture --target {target}` runs it)")]
    NoBlocks {
        /// Name of the target.
        target: &'static str,
    },
    /// What the target reads cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// Why, with a hint.
        reason: String,
    },
    /// A request trace cannot be read.
    #[error(transparent)]
    Requests(#[from] proftool_serving::sources::Error),
    /// Engines cannot be driven.
    #[error(transparent)]
    Engines(#[from] proftool_serving::engines::Error),
    /// What is to be simulated cannot be.
    #[error(transparent)]
    Setup(#[from] proftool_serving::SetupError),
    /// The raw file of a run cannot be written.
    #[error("cannot write {}: {reason} (hint: free some space or name a folder on another disk)", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// A queue's thread could not be started.
    #[error("cannot start the thread of a queue: {0} (hint: raise the limit of processes, `ulimit -u`)")]
    Thread(#[source] io::Error),
    /// A queue's thread ended early.
    #[error("queue {queue} of device {device} stopped early: an operation failed (hint: this is a bug of the target)")]
    QueueStopped {
        /// The device.
        device: usize,
        /// The queue.
        queue: usize,
    },
    /// A library of CUDA, a function in it, or a GPU is not there.
    #[error("{what} (hint: {hint})")]
    CudaMissing {
        /// What is missing.
        what: String,
        /// How to get it.
        hint: &'static str,
    },
    /// A call into CUDA failed.
    #[error("{call} failed: {name} ({code}), {text} (hint: {hint})")]
    Cuda {
        /// The function that was called.
        call: &'static str,
        /// The status's number.
        code: i64,
        /// The status's name.
        name: String,
        /// What the library says about it.
        text: String,
        /// What to try.
        hint: &'static str,
    },
    /// NVRTC refused a kernel.
    #[error("{file} does not compile for {arch}: {log} (hint: this is a bug of proftool, or NVRTC is too old)")]
    CudaCompile {
        /// The source file.
        file: &'static str,
        /// The architecture that it was compiled for.
        arch: String,
        /// NVRTC's log.
        log: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The recorder could not write its file.
    #[error(transparent)]
    Trace(#[from] proftool_tracer::Error),
}
