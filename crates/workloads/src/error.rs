//! What can go wrong with a workload.

use std::io;

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
    /// The recorder could not write its file.
    #[error(transparent)]
    Trace(#[from] proftool_tracer::Error),
}
