//! From canonical tables to results: the typed view of a timeline, and metrics.
//!
//! Metrics are a plain list ([`metrics::METRICS`]). A metric is a pure function from tables to a result table; [`analyze`] runs them on an artifact and [`write()`] stores what they returned.

pub mod classes;
mod clock;
mod collectives;
pub mod comparison;
mod error;
mod findings;
#[cfg(test)]
mod fixture;
pub mod ideal;
mod index;
pub mod losses;
pub mod metrics;
pub mod model;
mod path;
pub mod phases;
mod requests;
mod roofline;
mod samples;
pub mod statistics;
mod steps;
pub mod windows;

use std::path::PathBuf;
use std::sync::Arc;

use polars::prelude::DataFrame;
use proftool_trace::Artifact;
use proftool_trace::frame::{self, Tables};

pub use classes::Rules;
pub use error::Error;
pub use metrics::{Against, Input, METRICS, Metric};
pub use proftool_timeline::operators;
pub use windows::Window;

/// What a metric returned.
pub type Computed = (&'static Metric, DataFrame);

/// The metrics of those names, each once, in the order of the list; all of them for no names.
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

/// What results are about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The windows.
    pub window: Window,
    /// The roofs that bounds use.
    pub against: Against,
    /// Rules that classify activities; the built-in ones without.
    pub rules: Option<Arc<Rules>>,
    /// Kernels (a name in which `*` stands for any text) whose absence the critical path is asked about.
    pub free: Option<String>,
    /// The pass whose timeline is read; that of the first activity without.
    pub pass: Option<String>,
    /// What is agreed on with every request, in place of what a request log states.
    pub slo: metrics::Slo,
}

/// Reads an artifact's tables and computes those metrics.
///
/// # Errors
/// When a table is unreadable or the window unknown.
pub fn analyze(artifact: &Artifact, selection: &[&'static Metric], options: &Options) -> Result<Vec<Computed>, Error> {
    let tables = Tables::read(artifact)?;
    let run = artifact.run();
    let input = Input::new(&run, &artifact.manifest.target.name, &tables, options.window.clone());
    let input = input
        .with_against(options.against)
        .with_manifest(&artifact.manifest)
        .with_rules(options.rules.clone())
        .with_free(options.free.clone())
        .with_pass(options.pass.clone())
        .with_slo(options.slo);
    selection.iter().map(|metric| Ok((*metric, input.frame(metric)?))).collect()
}

/// Writes results to the artifact's `metrics/` folder, one file a metric, and returns the files.
///
/// # Errors
/// When a file cannot be written.
pub fn write(artifact: &Artifact, computed: &[Computed]) -> Result<Vec<PathBuf>, Error> {
    let folder = artifact.metrics_dir();
    std::fs::create_dir_all(&folder).map_err(|cause| Error::Create { path: folder.clone(), cause })?;
    computed.iter().map(|(metric, result)| Ok(frame::write(metric.table, result, &folder)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_holds_each_metric_once_in_the_order_of_the_list() {
        let names = |wanted: &[&str]| -> Result<Vec<&'static str>, Error> {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            Ok(select(&wanted)?.iter().map(|metric| metric.name).collect())
        };
        assert_eq!(names(&["overlap", "bubble", "overlap"]).unwrap(), ["bubble", "overlap"]);
        assert_eq!(names(&[]).unwrap().len(), METRICS.len());
        let error = names(&["bubble", "bubbles"]).unwrap_err().to_string();
        assert!(error.contains("\"bubbles\"") && error.contains("kv_transfer"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_created_is_said_to_be_created() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run");
        std::fs::write(&path, "a file in place of the artifact").unwrap();
        let artifact = Artifact { path, manifest: fixture::manifest(1) };
        let error = write(&artifact, &[]).unwrap_err();
        assert!(error.to_string().starts_with("cannot create") && error.to_string().contains("metrics"), "{error}");
        assert!(std::error::Error::source(&error).is_none(), "a chain would print the cause twice");
    }
}
