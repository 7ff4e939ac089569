//! Early rejection: requests of three tiers that would miss what was agreed on are refused before they cost anything, and the prediction
//! that this rests on is compared with what then happened.

use crate::routing::{self, Defaults, knobs};
use crate::{Error, Once, Parameter, Place, Run, Served, Settings, Target};

static PARAMETERS: [Parameter; knobs::COUNT] = knobs::parameters(&Defaults::overload("predicted_ttft"));

/// The target.
pub static TARGET: Target = Target {
    name: "early_rejection",
    doc: "Requests of three tiers on a simulated cluster that is asked for too much; those predicted to miss their SLO are refused.",
    pair: None,
    parameters: &PARAMETERS,
    run: Run::Once(Once { serve, ..routing::SIMULATED }),
    resolve: routing::resolve,
};

fn serve(target: &Target, settings: &Settings, place: &Place<'_>) -> Result<Served, Error> {
    let plan = routing::Plan::new(target.name, target.parameters, settings)?;
    let done = routing::serve(target.name, &plan, place)?;
    let (summary, outcomes) = routing::everyone(&plan, &done.workload, place)?;
    let mut served = done.served;
    served.lines.extend(routing::calibration(&plan, &done.outcomes, (&summary, &outcomes)));
    Ok(served)
}
