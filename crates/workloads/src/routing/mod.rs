//! Router targets: simulations that write a router log, and the measured arithmetic of routing decisions.

mod check;
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

use crate::{Error, Once, Parameter, Place, Served, Settings};

/// Name of the pass of a simulation.
pub(crate) const SIMULATION: &str = "simulation";
/// The file in its folder.
pub(crate) const FILE: &str = "router.jsonl";

/// How a simulated target runs.
pub(crate) const fn simulated(serve: fn(&Settings, &Place<'_>) -> Result<Served, Error>) -> Once {
    let hardware_key = |parameters: &BTreeMap<String, String>| Some(hardware_key(parameters));
    Once { pass: SIMULATION, observer: "simulator", whole: knobs::WHOLE, hardware_key, serve }
}

/// Every parameter of a simulated target with its value.
pub(crate) fn resolve(
    target: &'static str,
    parameters: &'static [Parameter],
    settings: &Settings,
) -> Result<BTreeMap<String, String>, Error> {
    Ok(Plan::new(target, parameters, settings)?.resolved)
}

/// `simulated-flagship_vs_mid-2p4d`: nobody takes it for a machine's.
fn hardware_key(parameters: &BTreeMap<String, String>) -> String {
    let text = |name: &str| parameters.get(name).map_or("", String::as_str);
    format!("simulated-{}-{}p{}d", text("scenario"), text("prefill_gpus"), text("decode_gpus"))
}
