//! Reproducible workloads and the backends that execute them.
//!
//! A [`Target`] is a named, seeded, parametrised workload. [`Target::prepare`] makes a [`Session`], which warms up, runs
//! measured blocks of iterations, verifies its outputs against a plain reference in f64, and writes what the recorder saw.
//!
//! Targets that serve requests ([`Run::Once`]) run once and write a router log.
//!
//! Deviations are `max |a - b| / max |reference|` over a tensor, see [`Check`].

mod backend;
pub mod ceilings;
pub mod cuda;
mod engines;
mod error;
mod kernels;
mod memory;
#[doc(hidden)]
pub mod narrow;
mod outputs;
mod parameters;
mod pipeline;
mod reference;
mod router;
mod routing;
mod synthetic;
mod target;
pub mod targets;

pub use backend::Backend;
pub use error::Error;
pub use outputs::{Check, Outputs, compare};
pub use parameters::Parameter;
pub use routing::changes;
pub use routing::check::log as check_router_log;
pub use target::{Block, Once, Place, Role, Run, Served, Session, Settings, Target};
pub use targets::{TARGETS, find};
