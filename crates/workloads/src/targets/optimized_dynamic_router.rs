//! Bursts and shared prefixes under the telemetry-driven policy, which moves decoding requests.

use crate::routing::{self, Defaults, knobs};
use crate::{Parameter, Role, Run, Target};

static PARAMETERS: [Parameter; knobs::COUNT] = knobs::parameters(&Defaults::dynamic("ewma_score"));

/// The target.
pub static TARGET: Target = Target {
    name: "optimized_dynamic_router",
    doc: "Bursts of tenants with shared prefixes on a simulated cluster, sent where their prefix is and telemetry says; decoding requests migrate.",
    pair: Some(("dynamic_router", Role::Optimized)),
    parameters: &PARAMETERS,
    run: Run::Once(routing::SIMULATED),
    resolve: routing::resolve,
};
