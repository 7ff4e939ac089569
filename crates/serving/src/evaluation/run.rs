//! One run, in the numbers that are compared.

use std::collections::BTreeMap;

use super::Source;
use crate::admission::Everyone;
use crate::policies::{self, Maker};
use crate::{Change, Cluster, Options, Outcome, SetupError, Sink, Slo, Summary, Workload, simulate, summarize};

/// Why a run could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A knob.
    #[error(transparent)]
    Knob(#[from] policies::Error),
    /// The cluster or the options.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// A workload on a cluster.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What arrives.
    pub source: Source,
    /// What serves.
    pub cluster: Cluster,
    /// What is agreed on with everybody.
    pub slo: Slo,
    /// How often migrations are planned; none without.
    pub migration_period_ns: Option<i64>,
    /// When devices fail and come back.
    pub changes: Vec<Change>,
}

/// A policy with its knobs.
#[derive(Clone)]
pub struct Entry {
    /// The policy.
    pub maker: &'static Maker,
    /// Knobs that are not at their defaults.
    pub knobs: BTreeMap<String, f64>,
}

/// A run in the numbers that are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// What users felt.
    pub summary: Summary,
    /// Requests that met every SLO, for each dollar that the whole cluster cost from the first arrival to the last end: all
    /// devices are paid all the time, busy or not.
    pub goodput_per_dollar: f64,
}

#[derive(Default)]
struct Keep(Vec<Outcome>);

impl Sink for Keep {
    fn outcome(&mut self, outcome: &Outcome) {
        self.0.push(*outcome);
    }
}

impl Entry {
    /// A policy with its default knobs.
    pub fn default_of(maker: &'static Maker) -> Self {
        Self { maker, knobs: BTreeMap::new() }
    }

    /// The same with another value of a knob.
    #[must_use]
    pub fn with(&self, knob: &str, value: f64) -> Self {
        let mut entry = self.clone();
        entry.knobs.insert(knob.to_owned(), value);
        entry
    }
}

/// The outcomes of a run.
///
/// # Errors
/// When a knob is not known or out of its range, or the cluster cannot serve.
pub fn outcomes(case: &Case, workload: &Workload, entry: &Entry, seed: u64) -> Result<Vec<Outcome>, Error> {
    let mut policy = entry.maker.with(&entry.knobs, seed)?;
    let Case { migration_period_ns, ref changes, .. } = *case;
    let options = Options { migration_period_ns, changes: changes.clone(), ..Options::default() };
    let mut kept = Keep::default();
    simulate(workload, &case.cluster, policy.as_mut(), &mut Everyone, &options, &mut kept)?;
    Ok(kept.0)
}

/// A run in numbers.
///
/// # Errors
/// When a knob is not known or out of its range, or the cluster cannot serve.
pub fn score(case: &Case, workload: &Workload, entry: &Entry, seed: u64) -> Result<Score, Error> {
    let outcomes = outcomes(case, workload, entry, seed)?;
    let summary = summarize(&outcomes, Some(case.slo));
    let per_hour: f64 = case.cluster.devices.iter().map(|device| device.cost_per_hour).sum();
    let goodput_per_dollar = if per_hour > 0.0 { summary.goodput_requests_per_s * 3600.0 / per_hour } else { 0.0 };
    Ok(Score { summary, goodput_per_dollar })
}
