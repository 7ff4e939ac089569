//! One run as the report reads it: the manifest, the canonical tables, and whatever metrics were computed.

use std::collections::BTreeMap;
use std::fs;

use proftool_trace::artifact::Artifact;
use proftool_trace::frame::{self, Tables};
use proftool_trace::manifest::Time;
use proftool_trace::tables::CEILINGS;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::format;

/// One row of a metric table. A column that the table lacks reads as absent, so that an older file still renders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row(Map<String, Value>);

impl Row {
    /// An integer, or absent.
    pub(crate) fn int(&self, column: &str) -> Option<i64> {
        self.0.get(column).and_then(Value::as_i64)
    }

    /// A float (or an integer read as one), or absent.
    pub(crate) fn float(&self, column: &str) -> Option<f64> {
        self.0.get(column).and_then(Value::as_f64)
    }

    /// A text, or absent.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        self.0.get(column).and_then(Value::as_str)
    }

    /// The row without a column, as an older file has it.
    pub(crate) fn without(&self, column: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(name, _)| *name != column)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// A row with these values.
    #[cfg(test)]
    pub(crate) fn of(values: Value) -> Self {
        if let Value::Object(values) = values { Self(values) } else { Self::default() }
    }

    /// A boolean, or absent.
    pub(crate) fn boolean(&self, column: &str) -> Option<bool> {
        self.0.get(column).and_then(Value::as_bool)
    }
}

/// A run with everything that a section may show.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) artifact: Artifact,
    pub(crate) tables: Tables,
    metrics: BTreeMap<String, Vec<Row>>,
}

impl Run {
    /// Reads the tables and every metric file of an artifact.
    ///
    /// # Errors
    /// When a file is there and cannot be read; one that is absent is no error.
    pub(crate) fn read(artifact: &Artifact) -> Result<Self, Error> {
        Ok(Self { artifact: artifact.clone(), tables: Tables::read(artifact)?, metrics: metrics(artifact, |_| true)? })
    }

    /// Reads what a roofline shows and nothing else: the timeline of a large run takes longer than its chart.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub(crate) fn read_roofline(artifact: &Artifact) -> Result<Self, Error> {
        let mut tables = Tables::default();
        tables.set(&CEILINGS, frame::read(&CEILINGS, &artifact.tables_dir())?)?;
        let shown = |name: &str| matches!(name, "roofline" | "roofline_level" | "roofline_unplaced" | "roofs");
        Ok(Self { artifact: artifact.clone(), tables, metrics: metrics(artifact, shown)? })
    }

    /// Reads what users felt and nothing else.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub(crate) fn read_serving(artifact: &Artifact) -> Result<Self, Error> {
        let metrics = metrics(artifact, |name| name == "serving")?;
        Ok(Self { artifact: artifact.clone(), tables: Tables::default(), metrics })
    }

    /// The rows of a metric; none where it was not computed.
    pub(crate) fn metric(&self, name: &str) -> &[Row] {
        self.metrics.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a metric was computed, with rows or without.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.metrics.contains_key(name)
    }

    /// Why a metric has no rows to show, as a sentence for the reader; none where it has.
    pub(crate) fn missing(&self, name: &str) -> Option<String> {
        match self.metrics.get(name) {
            Some(rows) if !rows.is_empty() => None,
            Some(_) => Some(format!("the metric `{name}` was computed and has no rows for this run")),
            None => Some(format!("`metrics/{name}.parquet` is not in the artifact; {} computes it", computed_by(name))),
        }
    }

    /// What the verification says against the outputs; none where every check passed, and for imported files, which
    /// hold no outputs.
    fn unverified(&self) -> Option<Unverified> {
        if self.artifact.manifest.is_imported() {
            return None;
        }
        let results = &self.artifact.manifest.results;
        let unverified = if results.checks.is_empty() { Unverified::Unchecked } else { Unverified::Failed };
        (!results.verified).then_some(unverified)
    }

    /// `baseline` or `optimized` in a pair.
    pub(crate) fn role(&self) -> Option<&str> {
        self.artifact.manifest.pair.as_ref().map(|pair| pair.role.as_str())
    }

    /// What a heading or a file name calls the run: its role in a pair, else its target.
    pub(crate) fn label(&self) -> &str {
        self.role().unwrap_or(&self.artifact.manifest.target.name)
    }
}

/// The metric files of an artifact that are wanted.
fn metrics(artifact: &Artifact, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Vec<Row>>, Error> {
    let mut metrics = BTreeMap::new();
    // No folder is the same as an empty one: nothing was computed yet.
    for entry in fs::read_dir(artifact.metrics_dir()).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let is_parquet = path.extension().is_some_and(|extension| extension == "parquet");
        if let Some(name) = name.filter(|name| is_parquet && wanted(name)) {
            let rows = frame::json_rows(&frame::read_any(&path)?);
            metrics.insert(name, rows.into_iter().map(Row).collect());
        }
    }
    Ok(metrics)
}

/// Why the outputs of a run cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unverified {
    /// A check failed.
    Failed,
    /// There was no check.
    Unchecked,
}

/// The command that writes a metric. Only `report` and `run` see both runs of a pair.
fn computed_by(metric: &str) -> &'static str {
    match metric {
        "comparison" | "losses" => {
            "`proftool report --artifacts DIR` on the folder of both runs (as `proftool run` does)"
        }
        _ => "`proftool analyze --artifacts DIR`",
    }
}

/// The sum of values from a file, which may be hostile: it stops at the ends of its type.
pub(crate) fn sum(values: impl Iterator<Item = i64>) -> i64 {
    values.fold(0, i64::saturating_add)
}

/// The runs of one report, in the order in which they are shown.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) runs: Vec<Run>,
    /// The file of rules that the results were computed by, besides the built-in ones.
    pub(crate) rules: Option<String>,
}

impl Report {
    /// Whether the two runs are a pair that was measured alternately.
    pub(crate) fn is_pair(&self) -> bool {
        self.runs.len() == 2
    }

    /// ` (simulated)` where a model computed the times of a run: what a heading says whose numbers come from them.
    pub(crate) fn simulated(&self) -> &'static str {
        if self.is_simulated() { " (simulated)" } else { "" }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        self.runs.iter().any(|run| run.artifact.manifest.time == Time::Simulated)
    }

    /// The run that the report is about: the optimized one of a pair, else the only one.
    pub(crate) fn subject(&self) -> Option<&Run> {
        self.runs.last()
    }

    /// The rows that compare the two runs of a pair; a single run shows none, whatever an earlier report of the pair left
    /// in its artifact.
    pub(crate) fn of_pair(&self, metric: &str) -> &[Row] {
        self.subject().filter(|_| self.is_pair()).map_or(&[], |run| run.metric(metric))
    }

    /// Said before any number where outputs are wrong or were not checked.
    pub(crate) fn unverified(&self) -> Option<String> {
        let of_kind = |kind: Unverified| {
            let runs = self.runs.iter().filter(|run| run.unverified() == Some(kind));
            let labels: Vec<String> = runs.map(|run| format::plain(run.label())).collect();
            (!labels.is_empty()).then(|| labels.join(" and "))
        };
        let failed = of_kind(Unverified::Failed).map(|runs| {
            format!("**WRONG OUTPUTS: verification failed ({runs}).** The program computed wrong results.")
        });
        let unchecked = of_kind(Unverified::Unchecked)
            .map(|runs| format!("**OUTPUTS NOT VERIFIED ({runs}).** No check of the outputs is recorded."));
        let found: Vec<String> = [failed, unchecked].into_iter().flatten().collect();
        (!found.is_empty()).then(|| format!("{} **No claim is made.**", found.join(" ")))
    }

    /// What is appended to a picture's file stem, so that the two runs of a pair keep apart.
    pub(crate) fn suffix(&self, run: &Run) -> String {
        if self.is_pair() { format!("-{}", file_stem(run.label())) } else { String::new() }
    }
}

/// A text that is safe as part of a file name and of an SVG identifier.
pub(crate) fn file_stem(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_hostile_values_stops_at_the_end_of_its_type() {
        assert_eq!(sum([i64::MAX, 1, 2].into_iter()), i64::MAX);
        assert_eq!(sum([i64::MIN, -1].into_iter()), i64::MIN);
    }

    #[test]
    fn what_compares_a_pair_is_computed_by_report_and_everything_else_by_analyze() {
        assert!(
            computed_by("losses").contains("proftool report") && computed_by("comparison").contains("proftool run")
        );
        assert!(computed_by("bubble").contains("proftool analyze"));
    }
}
