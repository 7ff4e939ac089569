//! From raw profiler output to results: importers (raw files to canonical tables), interval operators, and metrics.
//!
//! Importers and metrics are plain lists ([`importers::IMPORTERS`], [`metrics::METRICS`]). A metric is a pure function
//! from tables to a result table; [`analyze`] runs them on an artifact and [`write()`] stores what they returned.

pub mod classes;
pub mod comparison;
mod error;
#[cfg(test)]
mod fixture;
pub mod ideal;
pub mod importers;
pub mod losses;
pub mod metrics;
pub mod model;
pub mod operators;
pub mod roofs;
pub mod statistics;
pub mod windows;

use std::path::PathBuf;

use polars::prelude::DataFrame;
use proftool_trace::Artifact;
use proftool_trace::frame::{self, Tables};

pub use error::Error;
pub use metrics::{Input, METRICS, Metric};
pub use windows::Window;

/// What a metric returned.
pub type Computed = (&'static Metric, DataFrame);

/// The metrics of those names, in the order of the list; all of them for no names.
///
/// # Errors
/// [`Error::UnknownMetric`] for a name that no metric has.
pub fn select(names: &[String]) -> Result<Vec<&'static Metric>, Error> {
    if let Some(name) = names.iter().find(|name| metrics::find(name).is_none()) {
        let known = METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>().join(", ");
        return Err(Error::UnknownMetric { name: name.clone(), known });
    }
    Ok(METRICS.iter().filter(|metric| names.is_empty() || names.iter().any(|name| name == metric.name)).collect())
}

/// Reads an artifact's tables and computes those metrics.
///
/// # Errors
/// When a table is unreadable or the window unknown.
pub fn analyze(artifact: &Artifact, selection: &[&'static Metric], window: Window) -> Result<Vec<Computed>, Error> {
    let tables = Tables::read(&artifact.tables_dir())?;
    let run = artifact.run();
    let input = Input::new(&run, &artifact.manifest.target.name, &tables, window);
    selection.iter().map(|metric| Ok((*metric, (metric.compute)(&input)?))).collect()
}

/// Writes results to the artifact's `metrics/` folder, one file a metric, and returns the files.
///
/// # Errors
/// When a file cannot be written.
pub fn write(artifact: &Artifact, computed: &[Computed]) -> Result<Vec<PathBuf>, Error> {
    let folder = artifact.metrics_dir();
    std::fs::create_dir_all(&folder).map_err(|source| Error::Io { path: folder.clone(), source })?;
    computed.iter().map(|(metric, result)| Ok(frame::write(metric.table, result, &folder)?)).collect()
}
