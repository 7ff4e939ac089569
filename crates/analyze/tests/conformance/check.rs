//! How one value, and a list of values, stands beside another source's.

use crate::number::Format;

/// What was compared under one source, and how it came out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) equal: usize,
    pub(crate) explained: usize,
    pub(crate) unexplained: usize,
}

impl Tally {
    pub(crate) fn compared(self) -> usize {
        self.equal + self.explained + self.unexplained
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.explained += other.explained;
        self.unexplained += other.unexplained;
    }
}

/// How one value stands beside another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Equal,
    Explained,
    Unexplained,
}

/// One quantity: our value, theirs, and our value by their rule where that is another one.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) quantity: String,
    pub(crate) ours: f64,
    pub(crate) theirs: f64,
    pub(crate) format: Format,
    /// The largest difference that still counts as equal.
    pub(crate) tolerance: f64,
    /// What ours is by their rule, and the label of the rule. A difference is explained only when that gives theirs.
    pub(crate) by_their_rule: Option<(Rule, &'static str)>,
}

/// What our rows give by the rule of another source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// One value.
    Value(f64),
    /// Anything between two values, where the file does not hold what decides.
    Between(f64, f64),
}

impl Check {
    /// Two integers, to be equal.
    pub(crate) fn exact(quantity: impl Into<String>, ours: i64, theirs: i64) -> Self {
        Self::float(quantity, ours as f64, theirs as f64, Format::Whole, 0.0)
    }

    /// Two numbers that may differ by the tolerance.
    pub(crate) fn float(quantity: impl Into<String>, ours: f64, theirs: f64, format: Format, tolerance: f64) -> Self {
        Self { quantity: quantity.into(), ours, theirs, format, tolerance, by_their_rule: None }
    }

    /// Says what our value is by their rule.
    pub(crate) fn or_by(mut self, label: &'static str, ours: f64) -> Self {
        self.by_their_rule = Some((Rule::Value(ours), label));
        self
    }

    /// Says between which bounds their value has to lie by their rule.
    pub(crate) fn or_between(mut self, label: &'static str, (low, high): (f64, f64)) -> Self {
        self.by_their_rule = Some((Rule::Between(low, high), label));
        self
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let near = |value: f64| (value - self.theirs).abs() <= self.tolerance;
        let explains = |rule: Rule| match rule {
            Rule::Value(value) => near(value),
            Rule::Between(low, high) => low - self.tolerance <= self.theirs && self.theirs <= high + self.tolerance,
        };
        match self.by_their_rule {
            _ if near(self.ours) => Verdict::Equal,
            Some((rule, _)) if explains(rule) => Verdict::Explained,
            _ => Verdict::Unexplained,
        }
    }

    pub(crate) fn result(&self) -> String {
        match (self.verdict(), self.by_their_rule) {
            (Verdict::Equal, _) => "equal".to_owned(),
            (Verdict::Explained, Some((_, label))) => format!("explained: {label}"),
            _ => "**UNEXPLAINED**".to_owned(),
        }
    }
}

/// A long list that was compared value by value.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    pub(crate) what: String,
    pub(crate) rows: usize,
    pub(crate) tally: Tally,
    /// The largest difference of numbers that count as equal, in the unit of the list.
    pub(crate) largest: f64,
    /// Sentences about what is explained.
    pub(crate) notes: Vec<String>,
    /// What is neither equal nor explained, the first few.
    pub(crate) open: Vec<String>,
}

const MOST_OPEN: usize = 12;

impl List {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// Compares two numbers.
    pub(crate) fn number(&mut self, place: impl FnOnce() -> String, ours: f64, theirs: f64, tolerance: f64) {
        let difference = (ours - theirs).abs();
        if difference <= tolerance {
            self.tally.equal += 1;
            self.largest = self.largest.max(difference);
        } else {
            self.differs(|| format!("{}: {ours} here, {theirs} there", place()));
        }
    }

    /// Compares two texts.
    pub(crate) fn text(&mut self, place: impl FnOnce() -> String, ours: &str, theirs: &str) {
        if ours == theirs {
            self.tally.equal += 1;
        } else {
            self.differs(|| format!("{}: `{ours}` here, `{theirs}` there", place()));
        }
    }

    /// Counts a value that differs for a reason that a note gives.
    pub(crate) fn explained(&mut self, values: usize) {
        self.tally.explained += values;
    }

    /// Counts a value that differs without a reason.
    pub(crate) fn differs(&mut self, what: impl FnOnce() -> String) {
        self.tally.unexplained += 1;
        if self.open.len() < MOST_OPEN {
            self.open.push(what());
        }
    }

    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }
}
