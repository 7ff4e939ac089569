//! The decision of dynamic routing for one request after the other.

use crate::routing::{Decide, Kernel, Measured, decide};
use crate::{Error, Role, Run, Session, Settings, Target};

const NAME: &str = "baseline_dynamic_routing";

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "Offload and admit, decided for batches of 1,024 requests, one request after the other; measured.",
    pair: Some(("dynamic_routing", Role::Baseline)),
    parameters: decide::PARAMETERS,
    run: Run::Blocks(prepare),
    resolve: |_, settings| decide::resolve(NAME, settings),
};

fn prepare(settings: &Settings) -> Result<Box<dyn Session>, Error> {
    let work = Decide::new(NAME, Kernel::Scalar, settings)?;
    Ok(Box::new(Measured::new(work, "scalar", settings)))
}
