//! What ranges of one lane hold where its operations ran one after the other in the order of their calls, as those of a
//! single queue do: the calls of a range are a stretch of all calls, and its sums are differences of running sums.

use super::Launch;
use super::held::Sums;
use crate::operators::Span;

/// Calls by start whose ends never decrease, and their operations one after the other.
pub(super) struct Chain<'l> {
    launches: &'l [Launch],
    /// Duration of all operations before each, and of all.
    before: Vec<u64>,
    /// Start of the first and end of the last operation of each call.
    times: Vec<Span>,
}

impl<'l> Chain<'l> {
    /// `None` where calls enclose others, or operations overlap or change their order. `span` gives the time of an operation
    /// by its place.
    pub(super) fn of(launches: &'l [Launch], span: impl Fn(u32) -> Span) -> Option<Self> {
        if !launches.is_sorted_by_key(|launch| launch.span.1) {
            return None;
        }
        let mut before = Vec::with_capacity(launches.len() + 1);
        let mut times = Vec::with_capacity(launches.len());
        let (mut sum, mut until) = (0, i64::MIN);
        for launch in launches {
            before.push(sum);
            let (from, to) = launch.operations;
            let first = span(from).0;
            for (start, end) in (from..to).map(&span) {
                if start < until {
                    return None;
                }
                sum += end.abs_diff(start);
                until = end;
            }
            times.push((first, until));
        }
        before.push(sum);
        Some(Self { launches, before, times })
    }

    /// What a range holds. `first` is the number of calls that begin before it.
    pub(super) fn held(&self, first: usize, range: Span) -> Option<Sums> {
        let count = self.ended_by(first, range.1);
        let (from, to) = (self.launches.get(first)?, first + count);
        let last = to.checked_sub(1).filter(|_| count > 0)?;
        let work = self.before[to] - self.before[first];
        Some(Sums {
            launches: count as u32,
            operations: self.launches[last].operations.1 - from.operations.0,
            work,
            busy: work,
            first: self.times[first].0,
            last: self.times[last].1,
        })
    }

    /// How many of the calls from a place on end by an instant; looked for in steps that double, since most ranges are short.
    fn ended_by(&self, first: usize, instant: i64) -> usize {
        let rest = &self.launches[first..];
        let ended = |launch: &Launch| launch.span.1 <= instant;
        let mut step = 1;
        while rest.get(step - 1).is_some_and(ended) {
            step *= 2;
        }
        let (known, bound) = (step / 2, (step - 1).min(rest.len()));
        known + rest[known..bound].partition_point(ended)
    }
}
