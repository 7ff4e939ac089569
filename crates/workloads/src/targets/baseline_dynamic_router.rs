//! Bursts and shared prefixes under round-robin: the control of `optimized_dynamic_router`.

use crate::routing::{self, Defaults, knobs};
use crate::{Parameter, Role, Run, Target};

static PARAMETERS: [Parameter; knobs::COUNT] = knobs::parameters(&Defaults::dynamic("round_robin"));

/// The target.
pub static TARGET: Target = Target {
    name: "baseline_dynamic_router",
    doc: "Bursts of tenants with shared prefixes on a simulated cluster, sent to its devices in turn.",
    pair: Some(("dynamic_router", Role::Baseline)),
    parameters: &PARAMETERS,
    run: Run::Once(routing::SIMULATED),
    resolve: routing::resolve,
};
