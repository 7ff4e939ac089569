//! From raw profiler output to canonical tables: one importer a format, and the driver that finds, recognises and joins
//! files.
//!
//! Importers are a plain list ([`importers::IMPORTERS`]).

mod cupti;
pub mod driver;
mod error;
#[cfg(test)]
mod fixture;
pub mod importers;
mod kineto;
mod ncu;
mod nsys;
pub mod raw;
mod requests;
mod rocm;

pub use driver::{Found, Imported, Options, Report, find, into_folder, into_memory};
pub use error::Error;
