//! Specs of GPUs: what a device can reach at most, with the clock, the source and the confidence of every number.
//!
//! - [`all`] and [`find`] give the specs, one TOML file a device under `specs/gpu/`; its stem is the value of `--hardware`.
//! - [`matching`] finds the spec of a probed device: by its name, and of one without a name by architecture, SM count and
//!   memory; [`closest`] names a spec that is like a device of no spec.
//! - [`suggest`] gives close names, for the message about one that is not known.
//!
//! Every peak is units x FLOP a cycle x clock (an FMA is two FLOP), every DRAM bandwidth bus x rate; the tests derive each
//! and compare it with a second table of published numbers, so that a wrong number anywhere fails. Where sources disagree
//! the row says so in `disputed`; it must be shown beside every percentage of that number.

mod basis;
mod files;
mod lookup;
mod power;
mod spec;
#[cfg(test)]
mod tests;

pub use files::all;
pub use lookup::{Match, Part, Probed, closest, find, is_placeholder, matching, suggest};
pub use power::BoardPower;
pub use spec::{AtClock, Bandwidth, Clock, Compute, GpuSpec, Instructions, Link, Size, Units};
