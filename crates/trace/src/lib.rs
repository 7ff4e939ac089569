//! The shared vocabulary: the canonical tables as plain data, the manifest, and the artifact directory.
//!
//! Every other crate speaks in these words. The tables are described as data ([`tables::ALL`]), so that a schema can be
//! checked, listed and documented from one place; polars and Parquet stay in [`frame`], behind the `polars` feature.

pub mod artifact;
#[cfg(feature = "polars")]
mod batch;
pub mod decimal;
#[cfg(feature = "polars")]
pub mod frame;
pub mod manifest;
#[cfg(feature = "polars")]
pub mod rows;
pub mod sampled;
mod severity;
#[cfg(feature = "polars")]
pub mod sink;
pub mod table;
#[cfg(feature = "polars")]
mod table_file;
pub mod tables;

pub use artifact::{Artifact, Draft, Error};
pub use manifest::Manifest;
pub use severity::Severity;
pub use table::{Column, DataType, Table};
