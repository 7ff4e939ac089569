//! The roofline engine: counts of what each launch did, roofs of each device, and the bound that follows.
//!
//! [`engine::Engine`] places every activity of the timeline pass (or, where there is no timeline, every profiled launch):
//! its counts come from the first source that has them, its time from the timeline, its bounds from the roofs of its
//! device. The metrics sum what it placed.

pub(crate) mod bounds;
pub(crate) mod ceilings;
pub(crate) mod crossing;
mod devices;
pub(crate) mod engine;
pub(crate) mod family;
pub(crate) mod findings;
pub(crate) mod join;
mod key;
mod layers;
mod links;
pub(crate) mod operators;
mod place;
pub(crate) mod profiled;
mod specs;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;
pub(crate) mod wire;

pub(crate) use ceilings::DeviceRoofs;
pub use engine::Against;
pub(crate) use engine::{Engine, LaunchBound, Placed, Quality};
