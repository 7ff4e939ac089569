//! Counts what was noticed in the rows, for the table `issues`.

use crate::raw::{Import, Severity};

/// How often something occurred, and where first.
#[derive(Debug, Default)]
pub(super) struct Occurrences {
    count: u64,
    first: Option<String>,
}

impl Occurrences {
    /// Counts one more; `place` is asked for the first.
    pub(super) fn add(&mut self, place: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(place());
        }
    }

    /// How often it occurred.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    fn report(&self, severity: Severity, code: &'static str, what: &str, import: &mut Import<'_>) {
        if let Some(first) = &self.first {
            import.issue(severity, code, self.count, format!("{what}; the first: {first}"));
        }
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Metrics that were asked for and have no value.
    pub(super) unavailable: Occurrences,
    /// Metrics whose value is words.
    pub(super) words: Occurrences,
    /// Rows of ncu's rules.
    pub(super) rules: Occurrences,
    /// The same value of the same metric of the same launch again.
    pub(super) repeated: Occurrences,
    /// Another value of the same metric of the same launch.
    pub(super) conflicting: Occurrences,
    /// Pages that print no units.
    pub(super) no_units: Occurrences,
    /// Names that are not UTF-8.
    pub(super) not_utf8: Occurrences,
    /// Records read, and those of them that cannot be true.
    pub(super) records: u64,
    pub(super) bad_records: u64,
    /// The first bad record.
    pub(super) first_bad: Option<String>,
}

impl Tally {
    /// Notes what was counted as issues.
    pub(super) fn report(&self, import: &mut Import<'_>) {
        let what = "values that ncu prints as n/a, no data, nan or inf have no row in `counters`";
        self.unavailable.report(Severity::Info, "no_value", what, import);
        let what = "metrics whose value is words have no row in `counters`";
        self.words.report(Severity::Info, "text_metric", what, import);
        let what = "advice of ncu's rules, with its estimated speedups, is no metric and has no row";
        self.rules.report(Severity::Info, "rule_result", what, import);
        let what = "a metric is given several times for one launch, each time with the same value";
        self.repeated.report(Severity::Info, "repeated_value", what, import);
        let what = "a metric has several values for one launch, of which the first is kept";
        self.conflicting.report(Severity::DataLoss, "conflicting_values", what, import);
        let what = "the page prints no units, so its values are taken to be in base units";
        self.no_units.report(Severity::DataLoss, "no_units", what, import);
        let what = "names are not UTF-8, and what could not be read of them is replaced";
        self.not_utf8.report(Severity::DataLoss, "invalid_utf8", what, import);
    }
}
