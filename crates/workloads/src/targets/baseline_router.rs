//! The lab's scenario under round-robin: the control of `optimized_router`.

use crate::routing::{self, Defaults, knobs};
use crate::{Parameter, Role, Run, Target};

static PARAMETERS: [Parameter; knobs::COUNT] = knobs::parameters(&Defaults::lab("round_robin"));

/// The target.
pub static TARGET: Target = Target {
    name: "baseline_router",
    doc: "The lab's requests on a simulated cluster, sent to its devices in turn.",
    pair: Some(("router", Role::Baseline)),
    parameters: &PARAMETERS,
    run: Run::Once(routing::SIMULATED),
    resolve: routing::resolve,
};
