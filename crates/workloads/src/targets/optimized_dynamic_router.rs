//! Bursts and shared prefixes under the telemetry-driven policy, which moves decoding requests.

use crate::routing::{self, Defaults, knobs};
use crate::{Error, Parameter, Place, Role, Run, Served, Settings, Target};

const NAME: &str = "optimized_dynamic_router";

static PARAMETERS: [Parameter; knobs::COUNT] = knobs::parameters(&Defaults::dynamic("ewma_score"));

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "Bursts of tenants with shared prefixes on a simulated cluster, sent where their prefix is and telemetry says; decoding requests migrate.",
    pair: Some(("dynamic_router", Role::Optimized)),
    parameters: &PARAMETERS,
    run: Run::Once(routing::simulated(run)),
    resolve: |settings| routing::resolve(NAME, &PARAMETERS, settings),
};

fn run(settings: &Settings, place: &Place<'_>) -> Result<Served, Error> {
    let plan = routing::Plan::new(NAME, &PARAMETERS, settings)?;
    Ok(routing::serve(NAME, &plan, place)?.served)
}
