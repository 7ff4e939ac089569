//! The lab's scenario under the telemetry-driven policy.

use crate::routing::{self, Defaults, knobs};
use crate::{Error, Parameter, Place, Role, Run, Served, Settings, Target};

const NAME: &str = "optimized_router";

static PARAMETERS: [Parameter; knobs::COUNT] = knobs::parameters(&Defaults::lab("ewma_score"));

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "The lab's requests on a simulated cluster, sent where smoothed TTFT, TPOT, queue, memory and KV hits say.",
    pair: Some(("router", Role::Optimized)),
    parameters: &PARAMETERS,
    run: Run::Once(routing::simulated(run)),
    resolve: |settings| routing::resolve(NAME, &PARAMETERS, settings),
};

fn run(settings: &Settings, place: &Place<'_>) -> Result<Served, Error> {
    let plan = routing::Plan::new(NAME, &PARAMETERS, settings)?;
    Ok(routing::serve(NAME, &plan, place)?.served)
}
