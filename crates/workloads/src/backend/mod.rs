//! One interface to devices, their queues and events, after CUDA's: work is enqueued and runs later, in order within a
//! queue; events order queues among each other; the host waits only when it synchronises.
//!
//! [`cpu`] is the backend of this version.

pub(crate) mod cpu;
mod event;
mod pacing;
mod queue;
mod system;
mod work;

pub(crate) use event::Event;
pub(crate) use pacing::Link;
pub(crate) use queue::Role;
#[cfg(test)]
pub(crate) use system::thread_cpu_ns;
pub(crate) use system::{advise_huge_pages, pin};
pub(crate) use work::{Buffer, Fault, Label, Ticket, Work, buffer, read, write};
