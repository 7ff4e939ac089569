//! When the members of one collective arrived and left.

use crate::operators::Span;

/// Arrivals and departures of one collective in one time. Differences saturate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// When the first member arrived.
    pub(crate) first_start: i64,
    /// When the last member arrived: nothing can be exchanged with it before.
    pub(crate) last_start: i64,
    /// When the first member left.
    pub(crate) first_end: i64,
    /// When the last member left.
    pub(crate) last_end: i64,
    /// The member that arrived before all others; `None` where several did.
    pub(crate) first: Option<usize>,
    /// The member that arrived after all others; `None` where several did.
    pub(crate) last: Option<usize>,
    /// How much later the last member arrived than the one before it.
    pub(crate) late_ns: i64,
    /// What all members together waited: from their own arrival to the last one's, or to their own end if that is
    /// before.
    pub(crate) wait_ns: i64,
    /// The shortest time that a member took: the exchange without the wait, whatever the clocks say.
    pub(crate) shortest_ns: i64,
}

impl Timing {
    /// The timing of members with those spans; `None` without members.
    pub(crate) fn of(spans: &[Span]) -> Option<Self> {
        let starts = || spans.iter().map(|span| span.0);
        let ends = || spans.iter().map(|span| span.1);
        let (first_start, last_start) = (starts().min()?, starts().max()?);
        let only = |start: i64| {
            let mut at = (0..spans.len()).filter(|at| spans[*at].0 == start);
            at.next().filter(|_| at.next().is_none() && spans.len() > 1)
        };
        let last = only(last_start);
        let before = (0..spans.len()).filter(|at| Some(*at) != last).map(|at| spans[at].0).max();
        Some(Self {
            first_start,
            last_start,
            first_end: ends().min()?,
            last_end: ends().max()?,
            first: only(first_start),
            last,
            late_ns: last_start.saturating_sub(before.unwrap_or(last_start)),
            wait_ns: spans.iter().fold(0, |sum: i64, span| sum.saturating_add(waited(*span, last_start))),
            shortest_ns: spans.iter().map(|span| span.1.saturating_sub(span.0)).min()?,
        })
    }

    /// From the last arrival to the last departure.
    pub(crate) fn transfer_ns(&self) -> i64 {
        self.last_end.saturating_sub(self.last_start)
    }

    /// From the first arrival to the last arrival.
    pub(crate) fn start_skew_ns(&self) -> i64 {
        self.last_start.saturating_sub(self.first_start)
    }

    /// From the first departure to the last departure.
    pub(crate) fn end_skew_ns(&self) -> i64 {
        self.last_end.saturating_sub(self.first_end)
    }
}

/// How long a member waited for the last one.
fn waited(span: Span, last_start: i64) -> i64 {
    last_start.min(span.1).saturating_sub(span.0).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_wait_from_their_own_arrival_to_the_last() {
        // Arrivals at 0, 30 and 70; the second leaves (a root may) at 60, before the third arrives.
        let timing = Timing::of(&[(0, 100), (30, 60), (70, 110)]).unwrap();
        assert_eq!((timing.start_skew_ns(), timing.end_skew_ns(), timing.transfer_ns()), (70, 50, 40));
        assert_eq!((timing.first, timing.last, timing.late_ns), (Some(0), Some(2), 40));
        assert_eq!((timing.wait_ns, timing.shortest_ns), (70 + 30, 30));
    }

    #[test]
    fn of_two_that_arrive_together_nobody_is_late() {
        let timing = Timing::of(&[(5, 9), (7, 9), (7, 8)]).unwrap();
        assert_eq!((timing.first, timing.last, timing.late_ns), (Some(0), None, 0));
        let alone = Timing::of(&[(5, 9)]).unwrap();
        assert_eq!((alone.first, alone.last, alone.late_ns, alone.wait_ns), (None, None, 0, 0));
        assert_eq!(Timing::of(&[]), None);
        assert_eq!(Timing::of(&[(i64::MIN, i64::MAX), (i64::MAX, i64::MAX)]).map(|t| t.wait_ns), Some(i64::MAX));
    }
}
