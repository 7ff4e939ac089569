//! Real engines in turn: the control of `optimized_dynamic_router_vllm`.

use crate::engines;
use crate::{Parameter, Role, Run, Target};

static PARAMETERS: [Parameter; engines::COUNT] = engines::parameters("round_robin");

/// The target.
pub static TARGET: Target = Target {
    name: "baseline_dynamic_router_vllm",
    doc: "Requests of tenants with shared prefixes, sent in turn to real OpenAI-compatible engines (vLLM, llama.cpp, Dynamo).",
    pair: Some(("dynamic_router_vllm", Role::Baseline)),
    parameters: &PARAMETERS,
    run: Run::Once(engines::MEASURED),
    resolve: engines::resolve,
};
