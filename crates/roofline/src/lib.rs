//! Roofline arithmetic without tables: what a kernel launch did, what a device can do, and the bound that follows.
//!
//! - [`counters`] turns profiler counters into FLOP and bytes, by a formula chosen from what the page holds;
//! - [`analytic`] computes FLOP and bytes from shapes and from serving annotations;
//! - [`bound()`] is the least time that the roofs allow for one launch, and what limits it;
//! - [`triage`] names the causes that fit a point that cannot be;
//! - [`models`] holds the closed forms: ridge, batch at the ridge, instruction, energy, network.
//!
//! Everything here is a pure function of its arguments; the tables are read in `proftool-analyze`.

pub mod analytic;
mod bound;
pub mod counters;
mod counts;
mod level;
pub mod models;
mod precision;
mod roofs;
pub mod triage;

pub use bound::{Bound, Limiter, bound};
pub use counts::{Counts, Flop, Source, Traffic};
pub use level::Level;
pub use precision::Precision;
pub use roofs::{Roof, RoofSource, Roofs};
