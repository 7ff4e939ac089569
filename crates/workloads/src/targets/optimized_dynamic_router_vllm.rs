//! Real engines under a policy that looks at prefixes and load.

use crate::engines;
use crate::{Parameter, Role, Run, Target};

static PARAMETERS: [Parameter; engines::COUNT] = engines::parameters("kv_overlap");

/// The target.
pub static TARGET: Target = Target {
    name: "optimized_dynamic_router_vllm",
    doc: "The same requests on the same engines, sent where their prefix and the load say.",
    pair: Some(("dynamic_router_vllm", Role::Optimized)),
    parameters: &PARAMETERS,
    run: Run::Once(engines::MEASURED),
    resolve: engines::resolve,
};
