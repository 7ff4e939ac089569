//! The simulator: discrete events in integer nanoseconds.
//!
//! A device computes one batch step after the other, as engines with continuous batching do: every decoding request gets a
//! token, and what is left of the step's tokens goes to prompts in the order of their arrival (chunked prefill). Steps
//! between two events are computed at once ([`crate::steps::DecodeRun`]). Keys and values take memory, as tokens; whole
//! prompt blocks stay in the device's prefix cache after their request, until their memory is needed. A request that grows
//! beyond the memory preempts the youngest, which computes its context again. One that migrates while it decodes goes only
//! where there is memory for it at once, else it stays. Policies choose among devices whose memory can hold the context, where
//! there are any. Between devices the context moves over links
//! on which a device sends and receives one transfer at a time. A replica in stages computes micro-batches one after the other
//! ([`crate::Pipeline`]). Pools may grow and shrink ([`crate::Autoscale`]).
//!
//! At one moment, what devices finish comes before what arrives, in the order in which it was scheduled.

mod arrival;
mod batch;
mod device;
mod ends;
mod engine;
mod failure;
mod live;
mod moves;
mod progress;
mod record;
mod sample;
mod scale;
mod setup;
#[cfg(test)]
mod tests;
mod until;

pub use record::{Change, Duty, Options, Outcome, Run, Sink, Span, SpanKind, Status};
pub use setup::SetupError;
pub use until::Until;

use crate::admission::Admission;
use crate::{Cluster, Policy, Workload};

/// Runs a workload on a cluster under a policy; `sink` is told what happens.
///
/// # Errors
/// When the cluster cannot serve at all, or the workload or the options contradict themselves: see [`SetupError`]. What goes
/// wrong with a request is its outcome.
pub fn simulate(
    workload: &Workload,
    cluster: &Cluster,
    policy: &mut dyn Policy,
    admission: &mut dyn Admission,
    options: &Options,
    sink: &mut dyn Sink,
) -> Result<(), SetupError> {
    setup::check(workload, cluster, options)?;
    engine::Engine::new(workload, cluster, policy, admission, options, sink).run();
    Ok(())
}
