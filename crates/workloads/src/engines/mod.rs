//! Router targets on real engines: requests that are sent to OpenAI-compatible endpoints and measured.

mod check;
mod launch;
mod parameters;
mod plan;
mod serve;
mod tell;

use std::collections::BTreeMap;

pub(crate) use parameters::{COUNT, parameters};
use plan::Plan;
use serve::serve;

use crate::{Error, Once, Settings, Target};

/// Name of the pass.
const PASS: &str = "requests";

/// How such a target runs.
pub(crate) const MEASURED: Once = Once {
    pass: PASS,
    observer: "router",
    whole: parameters::WHOLE,
    hardware_key,
    serve: |target, settings, place| serve(target.name, &Plan::new(target.name, target.parameters, settings)?, place),
};

/// Every parameter of such a target with its value.
pub(crate) fn resolve(target: &Target, settings: &Settings) -> Result<BTreeMap<String, String>, Error> {
    Ok(Plan::new(target.name, target.parameters, settings)?.resolved)
}

/// `endpoints-2`: they run who knows where. Engines that are launched run on this machine.
fn hardware_key(parameters: &BTreeMap<String, String>) -> Option<String> {
    let endpoints = parameters.get("endpoints").filter(|text| *text != parameters::NONE)?;
    Some(format!("endpoints-{}", endpoints.split(',').count()))
}
