//! What the hardware is and what it can reach: the probe of this machine, and the limits of known devices as data.
//!
//! - [`probe()`] reads processor, caches, memory and system; [`hardware_key`] makes the slug that names them.
//! - [`all`] and [`find`] give the specs of processors, one TOML file a device under `specs/`; [`datasheet`] scales one to a
//!   clock.
//! - [`gpu`] does the same for GPUs.

mod arch;
mod caches;
pub mod gpu;
mod key;
mod probe;
mod quota;
mod specs;
mod text;

pub use arch::microarchitecture;
pub use caches::Cache;
pub use key::{hardware_key, slug};
pub use probe::{Cpu, Machine, probe, probe_at};
pub use specs::{Bandwidth, Ceiling, Compute, Spec, all, datasheet, find};
