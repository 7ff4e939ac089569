//! Real engines in turn: the control of `optimized_dynamic_router_vllm`.

use crate::engines;
use crate::{Error, Parameter, Place, Role, Run, Served, Settings, Target};

const NAME: &str = "baseline_dynamic_router_vllm";

static PARAMETERS: [Parameter; engines::COUNT] = engines::parameters("round_robin");

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "Requests of tenants with shared prefixes, sent in turn to real OpenAI-compatible engines (vLLM, llama.cpp, Dynamo).",
    pair: Some(("dynamic_router_vllm", Role::Baseline)),
    parameters: &PARAMETERS,
    run: Run::Once(engines::measured(run)),
    resolve: |settings| engines::resolve(NAME, &PARAMETERS, settings),
};

fn run(settings: &Settings, place: &Place<'_>) -> Result<Served, Error> {
    engines::serve(NAME, &engines::Plan::new(NAME, &PARAMETERS, settings)?, place)
}
