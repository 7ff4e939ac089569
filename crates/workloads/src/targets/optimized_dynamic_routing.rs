//! The decision of dynamic routing for as many requests at a time as a vector holds.

use crate::routing::{Decide, Kernel, Measured, decide};
use crate::{Error, Role, Run, Session, Settings, Target};

const NAME: &str = "optimized_dynamic_routing";

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "Offload and admit, decided for batches of 1,024 requests, as vectors; measured.",
    pair: Some(("dynamic_routing", Role::Optimized)),
    parameters: decide::PARAMETERS,
    run: Run::Blocks(prepare),
    resolve: |_, settings| decide::resolve(NAME, settings),
};

fn prepare(settings: &Settings) -> Result<Box<dyn Session>, Error> {
    let work = Decide::new(NAME, Kernel::Simd, settings)?;
    Ok(Box::new(Measured::new(work, "simd", settings)))
}
