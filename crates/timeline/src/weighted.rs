//! A quantity over time that is known piece by piece, as samplers write it: integrals and time-weighted order statistics
//! over any windows.
//!
//! A piece that lies partly inside a window counts with that part. Integrals are sums of integers: every value is a whole
//! number of *quanta*, a power of two at least 2^52 times smaller than the largest value, so that whole numbers, and in
//! effect all values, stay what they are. The integrals over disjoint windows therefore sum to that over their union
//! exactly, in whatever order they are taken.

use crate::operators::Span;
use crate::summary::saturated;

/// Binary digits of a value that is as large as the largest.
const DIGITS: i32 = 52;

/// A quantity over time: pieces in order that do not overlap, each with a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weighted {
    spans: Vec<Span>,
    /// For each piece the place of its value among the distinct ones.
    ranks: Vec<u32>,
    /// The distinct values, ascending.
    values: Vec<f64>,
    /// The same in quanta.
    quanta: Vec<i64>,
    quantum: f64,
}

impl Weighted {
    /// A quantity of those pieces, in any order. Empty pieces and those whose value is not finite are left out; of pieces
    /// that overlap the one that begins first (then ends first, then is smaller) has the time.
    pub fn of(mut pieces: Vec<(Span, f64)>) -> Self {
        pieces.retain(|(span, value)| span.0 < span.1 && value.is_finite());
        let order = |a: &(Span, f64), b: &(Span, f64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
        if !pieces.is_sorted_by(|a, b| order(a, b).is_le()) {
            pieces.sort_unstable_by(order);
        }
        let mut last = i64::MIN;
        for (span, _) in &mut pieces {
            span.0 = span.0.max(last);
            last = last.max(span.1);
        }
        pieces.retain(|(span, _)| span.0 < span.1);
        // Zero is zero with either sign.
        let mut values: Vec<f64> = pieces.iter().map(|piece| piece.1 + 0.0).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        let rank = |value: f64| values.partition_point(|other| *other < value) as u32;
        let ranks = pieces.iter().map(|piece| rank(piece.1)).collect();
        let quantum = quantum(&values);
        let quanta = values.iter().map(|value| (value / quantum).round() as i64).collect();
        Self { spans: pieces.into_iter().map(|piece| piece.0).collect(), ranks, values, quanta, quantum }
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = (Span, f64)> {
        self.spans.iter().zip(&self.ranks).map(|(span, rank)| (*span, self.values[*rank as usize]))
    }

    /// From the first start to the last end.
    pub fn extent(&self) -> Option<Span> {
        Some((self.spans.first()?.0, self.spans.last()?.1))
    }

    /// What the pieces say about windows (a set, which may touch). Costs the pieces that the windows touch and the distinct
    /// values.
    pub fn over(&self, windows: &[Span]) -> Held<'_> {
        let mut held = Held { of: self, times: vec![Share::default(); self.values.len()], lengths: 0 };
        let (mut next, mut counted) = (0, 0);
        for window in windows.iter().filter(|window| window.0 < window.1) {
            next += self.spans[next..].partition_point(|span| span.1 <= window.0);
            for (at, span) in self.spans.iter().enumerate().skip(next).take_while(|(_, span)| span.0 < window.1) {
                let share = &mut held.times[self.ranks[at] as usize];
                share.ns += i128::from(span.1.min(window.1)) - i128::from(span.0.max(window.0));
                // A piece that reaches into two windows is one piece.
                if at >= counted {
                    share.pieces += 1;
                    held.lengths += i128::from(span.1) - i128::from(span.0);
                    counted = at + 1;
                }
            }
        }
        held
    }
}

/// The largest power of two that makes the largest value fit in [`DIGITS`] and one more.
fn quantum(values: &[f64]) -> f64 {
    let largest = values.first().zip(values.last()).map_or(0.0, |(first, last)| first.abs().max(last.abs()));
    if largest == 0.0 {
        return 1.0;
    }
    let exponent = ((largest.to_bits() >> DIGITS) & 0x7ff) as i32 - 1023;
    2.0_f64.powi((exponent - DIGITS).max(f64::MIN_EXP - 1))
}

/// How long and how often a value was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    ns: i128,
    pieces: i64,
}

/// What a quantity was inside some windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Held<'w> {
    of: &'w Weighted,
    /// By the place of the value.
    times: Vec<Share>,
    lengths: i128,
}

impl Held<'_> {
    fn seen(&self) -> impl DoubleEndedIterator<Item = (f64, Share)> {
        let all = self.of.values.iter().zip(&self.times);
        all.filter(|(_, share)| share.pieces > 0).map(|(value, share)| (*value, *share))
    }

    /// Pieces that touch the windows.
    pub fn pieces(&self) -> i64 {
        self.seen().map(|(_, share)| share.pieces).sum()
    }

    /// How many of them have a value that is asked for.
    pub fn pieces_where(&self, wanted: impl Fn(f64) -> bool) -> i64 {
        self.seen().filter(|(value, _)| wanted(*value)).map(|(_, share)| share.pieces).sum()
    }

    /// Mean length of these pieces, also outside of the windows; 0 without any.
    pub fn typical_ns(&self) -> i64 {
        saturated(self.lengths / i128::from(self.pieces().max(1)))
    }

    fn covered(&self) -> i128 {
        self.seen().map(|(_, share)| share.ns).sum()
    }

    /// Part of the windows that pieces cover.
    pub fn covered_ns(&self) -> i64 {
        saturated(self.covered())
    }

    /// How long the value was one that is asked for.
    pub fn ns_where(&self, wanted: impl Fn(f64) -> bool) -> i64 {
        saturated(self.seen().filter(|(value, _)| wanted(*value)).map(|(_, share)| share.ns).sum())
    }

    /// The integral of the quantity over the covered part, in quanta x ns: exact.
    pub fn quanta(&self) -> i128 {
        self.of.quanta.iter().zip(&self.times).map(|(value, share)| i128::from(*value) * share.ns).sum()
    }

    /// The integral in value x ns. `None` where nothing is covered or no number holds it.
    pub fn integral(&self) -> Option<f64> {
        let whole = self.quanta() as f64 * self.of.quantum;
        Some(whole).filter(|whole| whole.is_finite() && self.covered() > 0)
    }

    /// The mean, weighted by time.
    pub fn mean(&self) -> Option<f64> {
        let mean = self.quanta() as f64 / self.covered() as f64 * self.of.quantum;
        Some(mean).filter(|mean| mean.is_finite())
    }

    /// The smallest value.
    pub fn min(&self) -> Option<f64> {
        self.seen().next().map(|(value, _)| value)
    }

    /// The largest value.
    pub fn max(&self) -> Option<f64> {
        self.seen().next_back().map(|(value, _)| value)
    }

    /// The smallest value that was not exceeded for at least so many percent (at most 100) of the covered time.
    pub fn quantile(&self, percent: u8) -> Option<f64> {
        let wanted = self.covered() * i128::from(percent.min(100));
        let mut time = 0;
        let reached = |share: Share| {
            time += share.ns * 100;
            time >= wanted
        };
        let mut reached = reached;
        self.seen().find(|(_, share)| reached(*share)).map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests;
