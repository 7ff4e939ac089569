//! The recorder: what a program executed, on which queue, and what the host asked for.
//!
//! A [`Recorder`] is one session. Each thread that records owns a [`ThreadBuffer`], allocated once: filling it takes no
//! lock, allocates nothing and makes no system call; a full buffer counts what it drops. [`Recorder::write`] writes the
//! file that `docs/host-format.md` describes. With [`Recorder::with_nvtx`], ranges that a buffer begins and ends are also
//! NVTX ranges.
//!
//! ```
//! use proftool_tracer::{Capacity, Head, Operation, Recorder};
//!
//! # fn main() -> Result<(), proftool_tracer::Error> {
//! let recorder = Recorder::new(Head::default());
//! let name = recorder.intern("gemm");
//! let mut buffer = recorder.thread(0, Capacity::default());
//! let start_ns = recorder.now_ns();
//! let end_ns = recorder.now_ns();
//! buffer.operation(&Operation { id: recorder.next_id(), name, start_ns, end_ns, ..Operation::default() });
//! drop(buffer);
//! let file = std::env::temp_dir().join(format!("proftool-doc-{}.trace", std::process::id()));
//! recorder.write(&file)?;
//! # std::fs::remove_file(&file).ok();
//! # Ok(())
//! # }
//! ```

mod buffer;
pub mod clock;
mod file;
mod head;
pub mod nvtx;
mod record;
mod recorder;
mod stream;

pub use buffer::{Capacity, OpenRange, ThreadBuffer};
pub use file::Error;
pub use head::{Device, Head, Link, Queue};
pub use record::{ABSENT, Api, Call, CopyKind, Dependency, DependencyKind, Operation, OperationKind, Range, Text};
pub use recorder::Recorder;
pub use stream::Stream;
