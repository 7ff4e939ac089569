//! Real engines under a policy that looks at prefixes and load.

use crate::engines;
use crate::{Error, Parameter, Place, Role, Run, Served, Settings, Target};

const NAME: &str = "optimized_dynamic_router_vllm";

static PARAMETERS: [Parameter; engines::COUNT] = engines::parameters("kv_overlap");

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "The same requests on the same engines, sent where their prefix and the load say.",
    pair: Some(("dynamic_router_vllm", Role::Optimized)),
    parameters: &PARAMETERS,
    run: Run::Once(engines::measured(run)),
    resolve: |settings| engines::resolve(NAME, &PARAMETERS, settings),
};

fn run(settings: &Settings, place: &Place<'_>) -> Result<Served, Error> {
    engines::serve(NAME, &engines::Plan::new(NAME, &PARAMETERS, settings)?, place)
}
