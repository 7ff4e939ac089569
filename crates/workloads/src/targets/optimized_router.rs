//! The lab's scenario under the telemetry-driven policy.

use crate::routing::{self, Defaults, knobs};
use crate::{Parameter, Role, Run, Target};

static PARAMETERS: [Parameter; knobs::COUNT] = knobs::parameters(&Defaults::lab("ewma_score"));

/// The target.
pub static TARGET: Target = Target {
    name: "optimized_router",
    doc: "The lab's requests on a simulated cluster, sent where smoothed TTFT, TPOT, queue, memory and KV hits say.",
    pair: Some(("router", Role::Optimized)),
    parameters: &PARAMETERS,
    run: Run::Once(routing::SIMULATED),
    resolve: routing::resolve,
};
