//! Router targets on real engines: requests that are sent to OpenAI-compatible endpoints and measured.

mod check;
mod launch;
mod parameters;
mod plan;
mod serve;
mod tell;

use std::collections::BTreeMap;

pub(crate) use parameters::{COUNT, parameters};
pub(crate) use plan::Plan;
pub(crate) use serve::serve;

use crate::{Error, Once, Parameter, Place, Served, Settings};

/// Name of the pass.
const PASS: &str = "requests";

/// How such a target runs.
pub(crate) const fn measured(serve: fn(&Settings, &Place<'_>) -> Result<Served, Error>) -> Once {
    Once { pass: PASS, observer: "router", whole: parameters::WHOLE, hardware_key, serve }
}

/// Every parameter of such a target with its value.
pub(crate) fn resolve(
    target: &'static str,
    parameters: &'static [Parameter],
    settings: &Settings,
) -> Result<BTreeMap<String, String>, Error> {
    Ok(Plan::new(target, parameters, settings)?.resolved)
}

/// `endpoints-2`: they run who knows where. Engines that are launched run on this machine.
fn hardware_key(parameters: &BTreeMap<String, String>) -> Option<String> {
    let endpoints = parameters.get("endpoints").filter(|text| *text != parameters::NONE)?;
    Some(format!("endpoints-{}", endpoints.split(',').count()))
}
