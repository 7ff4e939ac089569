//! Router targets: simulations that write a router log, and the measured arithmetic of routing decisions.

pub(crate) mod check;
pub(crate) mod decide;
pub(crate) mod knobs;
mod measured;
mod plan;
pub(crate) mod shards;
mod simulate;
mod tell;
pub(crate) mod topology;
mod trend;

use std::collections::BTreeMap;

pub(crate) use decide::{Decide, Kernel};
pub(crate) use knobs::Defaults;
pub(crate) use measured::Measured;
pub(crate) use plan::Plan;
pub(crate) use shards::{Order, Shards};
pub(crate) use simulate::{everyone, serve};
pub(crate) use tell::calibration;
pub use tell::changes;

use crate::{Error, Once, Settings, Target};

/// Name of the pass of a simulation.
pub(crate) const SIMULATION: &str = "simulation";
/// The file in its folder.
pub(crate) const FILE: &str = "router.jsonl";

/// How a simulated target runs.
pub(crate) const SIMULATED: Once = Once {
    pass: SIMULATION,
    observer: "simulator",
    whole: knobs::WHOLE,
    hardware_key: |parameters| Some(hardware_key(parameters)),
    serve: |target, settings, place| {
        let plan = Plan::new(target.name, target.parameters, settings)?;
        Ok(serve(target.name, &plan, place)?.served)
    },
};

/// Every parameter of a simulated target with its value.
pub(crate) fn resolve(target: &Target, settings: &Settings) -> Result<BTreeMap<String, String>, Error> {
    Ok(Plan::new(target.name, target.parameters, settings)?.resolved)
}

/// `simulated-flagship_vs_mid-2p4d`: nobody takes it for a machine's.
fn hardware_key(parameters: &BTreeMap<String, String>) -> String {
    let text = |name: &str| parameters.get(name).map_or("", String::as_str);
    format!("simulated-{}-{}p{}d", text("scenario"), text("prefill_gpus"), text("decode_gpus"))
}
