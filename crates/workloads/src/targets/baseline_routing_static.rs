//! Static sharding, one request at a time.

use crate::routing::{Measured, Order, Shards, shards};
use crate::{Error, Role, Run, Session, Settings, Target};

const NAME: &str = "baseline_routing_static";

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "The largest entry of x W for every request, one request at a time; measured.",
    pair: Some(("routing_static", Role::Baseline)),
    parameters: shards::PARAMETERS,
    run: Run::Blocks(prepare),
    resolve: |_, settings| shards::resolve(NAME, settings),
};

fn prepare(settings: &Settings) -> Result<Box<dyn Session>, Error> {
    let work = Shards::new(NAME, Order::Single, settings)?;
    Ok(Box::new(Measured::new(work, "single", settings)))
}
