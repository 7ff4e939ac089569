//! Types of arithmetic that were counted and of which there was no operation.

use proftool_roofline::counters::{Counted, Formulas};
use proftool_roofline::{Counts, Flop, Precision, Source};

/// Finds the types of which a launch did nothing. Formulas leave those out, and of a page that does not count every
/// type they would pass for types that nobody counted. A count is a weighted sum: with ones in place of the zeros it shows
/// every type that the launch has counters of.
#[derive(Debug, Default)]
pub(super) struct Zeros {
    /// Group and signs of the values of the launch before; most launches have the same.
    last: Option<(u32, Vec<Option<bool>>)>,
    counts: Vec<Precision>,
    rates: Vec<Precision>,
    /// Each distinct list of types.
    lists: Vec<Vec<Precision>>,
}

impl Zeros {
    fn look(&mut self, group: u32, formulas: &Formulas, values: &[f64]) {
        let sign = |value: &f64| (value.is_finite() && *value >= 0.0).then_some(*value > 0.0);
        let known = self.last.as_ref().filter(|last| last.0 == group);
        if known.is_some_and(|last| last.1.iter().copied().eq(values.iter().map(sign))) {
            return;
        }
        let ones: Vec<f64> = values.iter().map(|value| if *value == 0.0 { 1.0 } else { *value }).collect();
        let counted = formulas.counts(&ones);
        self.counts = dense(&counted.counts);
        self.rates = counted.rates.as_ref().map(dense).unwrap_or_default();
        self.last = Some((group, values.iter().map(sign).collect()));
    }

    /// Adds to the rates the types that were counted as zero; the number of the list of those of the counts. Of what
    /// counts every type nothing is missing.
    pub(super) fn find(&mut self, group: u32, formulas: &Formulas, values: &[f64], found: &mut Counted) -> Option<u32> {
        // Instructions without FLOP ran beside what was counted as zero: the sum is not zero but unknown.
        if found.untold {
            return None;
        }
        if found.counts.flop_known || found.rates.as_ref().is_some_and(|rates| rates.flop_known) {
            return None;
        }
        self.look(group, formulas, values);
        if !self.rates.is_empty() {
            add(found.rates.get_or_insert_default(), &self.rates, formulas);
        }
        if self.counts.is_empty() {
            return None;
        }
        let at = self.lists.iter().position(|list| *list == self.counts).unwrap_or(self.lists.len());
        if at == self.lists.len() {
            self.lists.push(self.counts.clone());
        }
        Some(at as u32)
    }

    /// The types of that number.
    pub(super) fn list(&self, number: u32) -> &[Precision] {
        self.lists.get(number as usize).map_or(&[], Vec::as_slice)
    }
}

/// The floating-point types of some counts.
fn dense(counts: &Counts) -> Vec<Precision> {
    let flop = counts.flop.iter().filter(|flop| !flop.sparse && !flop.precision.is_integer());
    flop.map(|flop| flop.precision).collect()
}

/// Adds zero operations of the types that are not there, unless another page counted all.
pub(super) fn add(counts: &mut Counts, zeros: &[Precision], formulas: &Formulas) {
    if counts.flop_known {
        return;
    }
    for zero in zeros {
        if !counts.flop.iter().any(|flop| flop.precision == *zero) {
            counts.flop.push(Flop { precision: *zero, sparse: false, ops: 0.0 });
        }
    }
    counts.flop_source = counts.flop_source.or(Some(Source::Counter));
    counts.formula = counts.formula.take().or_else(|| formulas.id().cloned());
}
