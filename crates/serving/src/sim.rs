//! The simulator: discrete events in integer nanoseconds.
//!
//! A device computes one batch step after the other, as engines with continuous batching do: every decoding request gets a
//! token, and what is left of the step's tokens goes to prompts in the order of their arrival (chunked prefill). Steps
//! between two events are computed at once ([`crate::steps::DecodeRun`]). Keys and values take memory, as tokens; whole
//! prompt blocks stay in the device's prefix cache after their request, until their memory is needed. A request that grows
//! beyond the memory preempts the youngest, which computes its context again. Between devices the context moves over links
//! on which a device sends and receives one transfer at a time.
//!
//! At one moment, what devices finish comes before what arrives, in the order in which it was scheduled.

mod batch;
mod device;
mod engine;
mod live;
mod moves;
mod record;
#[cfg(test)]
mod tests;

pub use record::{Change, Options, Outcome, Run, Sink, Span, SpanKind, Status};

use crate::admission::Admission;
use crate::{Cluster, Policy, Workload};

/// Runs a workload on a cluster under a policy; `sink` is told what happens.
///
/// # Panics
/// When the cluster has more than 64 devices.
pub fn simulate(
    workload: &Workload,
    cluster: &Cluster,
    policy: &mut dyn Policy,
    admission: &mut dyn Admission,
    options: &Options,
    sink: &mut dyn Sink,
) {
    engine::Engine::new(workload, cluster, policy, admission, options, sink).run();
}
