//! Static sharding, all requests in one batch.

use crate::routing::{Measured, Order, Shards, shards};
use crate::{Error, Role, Run, Session, Settings, Target};

const NAME: &str = "optimized_routing_static";

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "The largest entry of x W for every request, all in one batch; measured.",
    pair: Some(("routing_static", Role::Optimized)),
    parameters: shards::PARAMETERS,
    run: Run::Blocks(prepare),
    resolve: |_, settings| shards::resolve(NAME, settings),
};

fn prepare(settings: &Settings) -> Result<Box<dyn Session>, Error> {
    let work = Shards::new(NAME, Order::Batch, settings)?;
    Ok(Box::new(Measured::new(work, "batch", settings)))
}
