//! Rules that turn the rows of other metrics into findings: what an expert would say first.
//!
//! A rule reads result tables of other metrics, compares with a named threshold, and points to the row that it read. It
//! states nothing that no row shows; where the data cannot decide, it says nothing or says that.

use std::collections::BTreeSet;

use crate::Error;
use crate::metrics::Input;

mod blocking;
mod copies;
mod kernels;
mod pipeline;
mod power;
mod ranks;
mod sheet;
mod steps;
mod transfers;
mod waiting;
mod wording;

use sheet::Line;
pub(crate) use waiting::Shorts;

#[cfg(test)]
mod tests;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// A fifth of the window or more, or numbers that are wrong without it.
    High,
    /// A twentieth or more.
    Medium,
    /// Less.
    Low,
}

impl Severity {
    /// The name in the column `severity`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// Of a cost, by its share of the window.
    fn of(size_ns: i64, span_ns: i64) -> Self {
        match () {
            () if is_share(size_ns, span_ns, HIGH_PERCENT) => Self::High,
            () if is_share(size_ns, span_ns, LEAST_PERCENT) => Self::Medium,
            () => Self::Low,
        }
    }
}

/// A share of the window from which a cost is high: whoever removes it gains more than most other changes give.
const HIGH_PERCENT: i128 = 20;

/// A share of the window from which a cost is worth a sentence, whatever its length.
const LEAST_PERCENT: i128 = 5;

/// A length from which a cost is worth a sentence, whatever its share: an iteration of most workloads is longer.
const LEAST_NS: i64 = 1_000_000;

/// A cost of less than one part in so many of the window is not worth a sentence: two recordings of the same program
/// differ by more.
const LEAST_PART: i128 = 200;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Time that could be gained.
    Time,
    /// Time of kernels: what would be gained if they took none, an upper limit that nobody reaches.
    Kernel,
    /// What the recording cannot show.
    Data,
}

impl Kind {
    /// The name in the column `kind`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Kernel => "kernel",
            Self::Data => "data",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Name of the rule.
    pub(crate) code: &'static str,
    pub(crate) kind: Kind,
    pub(crate) severity: Severity,
    /// One sentence with its numbers.
    pub(crate) title: String,
    /// What could be gained at most.
    pub(crate) size_ns: Option<i64>,
    /// Length of the window that it is a share of.
    pub(crate) span_ns: Option<i64>,
    pub(crate) rank: Option<i64>,
    pub(crate) device: Option<i64>,
    pub(crate) window: Option<String>,
    /// On how many devices or rows it holds.
    pub(crate) devices: i64,
    /// One sentence with the numbers that show it.
    pub(crate) evidence: String,
    /// The row that proves it.
    pub(crate) row: String,
    /// What to do first.
    pub(crate) advice: &'static str,
    /// What is not shown.
    pub(crate) limits: Option<String>,
}

impl Finding {
    /// A cost that a row shows, named by those of its columns; the sentences are to be filled in.
    fn cost(code: &'static str, line: Line, keys: &[&str], size_ns: i64, span_ns: i64) -> Self {
        let severity = Severity::of(size_ns, span_ns);
        Self {
            kind: Kind::Time,
            severity,
            size_ns: Some(size_ns),
            span_ns: Some(span_ns),
            ..Self::data(code, line, keys)
        }
    }

    /// What the recording cannot show, as a row says.
    fn data(code: &'static str, line: Line, keys: &[&str]) -> Self {
        let (rank, device, window) = line.place();
        Self {
            code,
            kind: Kind::Data,
            severity: Severity::Medium,
            title: String::new(),
            size_ns: None,
            span_ns: None,
            rank,
            device,
            window,
            devices: 1,
            evidence: String::new(),
            row: line.proof(keys),
            advice: "",
            limits: None,
        }
    }

    /// As [`Finding::cost`], of kernels.
    fn kernel(code: &'static str, line: Line, keys: &[&str], size_ns: i64, span_ns: i64) -> Self {
        Self { kind: Kind::Kernel, ..Self::cost(code, line, keys, size_ns, span_ns) }
    }

    fn limits(self, limits: &str) -> Self {
        Self { limits: Some(limits.to_owned()), ..self }
    }
}

/// Whether a cost is worth a sentence that a change of configuration would save.
fn counts(size_ns: i64, span_ns: i64) -> bool {
    size_ns >= LEAST_NS || is_share(size_ns, span_ns, LEAST_PERCENT)
}

/// Whether a cost is worth a sentence in a window of that length: a millisecond of a minute is noise.
fn matters(size_ns: i64, span_ns: i64) -> bool {
    counts(size_ns, span_ns) && i128::from(size_ns) * LEAST_PART >= i128::from(span_ns)
}

fn is_share(part: i64, whole: i64, percent: i128) -> bool {
    part > 0 && i128::from(part) * 100 >= i128::from(whole) * percent
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its name, that of its findings.
    pub(crate) code: &'static str,
    /// When it fires.
    pub(crate) doc: &'static str,
    /// Applies it: at most one finding a device or row, merged by [`find`].
    pub(crate) apply: fn(&Input) -> Result<Vec<Finding>, Error>,
}

/// Every rule, in the order of the alphabet.
pub(crate) const RULES: &[Rule] = &[
    ranks::CLOCK_SKEW,
    waiting::CLOCKS_DISAGREE,
    ranks::COLLECTIVE_SLOW,
    kernels::CRITICAL_PATH_KERNEL,
    pipeline::DEVICE_IMBALANCE,
    transfers::EXPOSED_COMM,
    transfers::EXPOSED_COPY,
    transfers::EXPOSED_KV,
    kernels::GRAPH_GAPS,
    waiting::GRAPH_GRANULARITY,
    waiting::HOST_BOUND,
    waiting::KERNEL_GAPS,
    transfers::KV_NOT_HIDDEN,
    waiting::LONG_GAPS,
    waiting::LOW_COVERAGE,
    waiting::LOW_UTILISATION,
    kernels::ONE_KERNEL_DOMINATES,
    copies::P2P_NOT_USED,
    copies::PAGEABLE_COPY,
    pipeline::PIPELINE_BUBBLE,
    power::POWER_THROTTLING,
    transfers::SINGLE_STREAM,
    copies::SMALL_COPIES,
    kernels::SMALL_KERNELS,
    pipeline::STAGE_IMBALANCE,
    ranks::STRAGGLER_RANK,
    waiting::SYNC_BOUND,
    blocking::SYNC_MEMCPY,
    blocking::SYNC_MEMSET,
    kernels::UNCLASSIFIED_COMM,
    steps::UNSTABLE_STEPS,
    steps::WARM_UP_IN_WINDOW,
];

/// A rule, and a more telling one that holds much of the same time and takes its place.
const INSTEAD: &[(&str, &str)] = &[
    ("exposed_copy", "single_stream"),
    ("exposed_copy", "sync_memcpy"),
    ("exposed_kv", "kv_not_hidden"),
    ("low_utilisation", "host_bound"),
    ("low_utilisation", "long_gaps"),
    ("pipeline_bubble", "stage_imbalance"),
    ("single_stream", "sync_memcpy"),
];

/// How much of the size of the general one the telling one must have.
const INSTEAD_PERCENT: i128 = 80;

/// What the rules find: the largest cost first, then costs of unknown size, kernels, and what the data cannot show.
///
/// # Errors
/// As the metrics that they read.
pub(crate) fn find(input: &Input) -> Result<Vec<Finding>, Error> {
    let mut all = Vec::new();
    for rule in RULES {
        all.extend(merged((rule.apply)(input)?));
    }
    let mut kept: Vec<Finding> = all.iter().filter(|one| !is_said(one, &all)).cloned().collect();
    kept.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(kept)
}

/// Whether a more telling finding is about nearly the same time.
fn is_said(general: &Finding, all: &[Finding]) -> bool {
    let telling = |one: &&Finding| INSTEAD.contains(&(general.code, one.code)) && one.window == general.window;
    let sizes = |one: &Finding| one.size_ns.zip(general.size_ns);
    all.iter().filter(telling).filter_map(sizes).any(|(own, whole)| is_share(own, whole, INSTEAD_PERCENT))
}

/// The largest of each window, with the number of all.
fn merged(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut kept: Vec<Finding> = Vec::new();
    let mut places: BTreeSet<(Option<String>, Option<i64>, Option<i64>)> = BTreeSet::new();
    for mut one in found {
        // Several rows may be about one device.
        let is_new = one.device.is_none() || places.insert((one.window.clone(), one.rank, one.device));
        if !one.evidence.is_empty() && !one.evidence.ends_with('.') {
            one.evidence.push('.');
        }
        match kept.iter_mut().find(|known| known.window == one.window) {
            Some(known) if is_new => known.devices += one.devices,
            Some(_) => {}
            None => kept.push(one),
        }
    }
    kept
}

/// What findings are sorted by: certain whatever the order of rows.
fn order(finding: &Finding) -> impl Ord + '_ {
    let size = std::cmp::Reverse(finding.size_ns);
    let place = (finding.rank, finding.device, finding.window.as_deref());
    (finding.kind, size, finding.severity, finding.code, place, finding.title.as_str(), finding.row.as_str())
}
