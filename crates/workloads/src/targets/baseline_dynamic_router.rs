//! Bursts and shared prefixes under round-robin: the control of `optimized_dynamic_router`.

use crate::routing::{self, Defaults, knobs};
use crate::{Error, Parameter, Place, Role, Run, Served, Settings, Target};

const NAME: &str = "baseline_dynamic_router";

static PARAMETERS: [Parameter; knobs::COUNT] = knobs::parameters(&Defaults::dynamic("round_robin"));

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "Bursts of tenants with shared prefixes on a simulated cluster, sent to its devices in turn.",
    pair: Some(("dynamic_router", Role::Baseline)),
    parameters: &PARAMETERS,
    run: Run::Once(routing::simulated(run)),
    resolve: |settings| routing::resolve(NAME, &PARAMETERS, settings),
};

fn run(settings: &Settings, place: &Place<'_>) -> Result<Served, Error> {
    let plan = routing::Plan::new(NAME, &PARAMETERS, settings)?;
    Ok(routing::serve(NAME, &plan, place)?.served)
}
