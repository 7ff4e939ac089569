//! Which interval is innermost at an instant, on one thread.

use crate::operators::Span;

/// What encloses what; places are those of the arguments.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Nesting {
    /// The places of the intervals, outer ones first.
    pub(super) order: Vec<usize>,
    /// For each interval the innermost that is open when it begins.
    pub(super) parents: Vec<Option<usize>>,
    /// For each instant the innermost interval that has begun and has not ended before it.
    pub(super) owners: Vec<Option<usize>>,
}

/// One sweep: sorting, then linear. Of intervals that begin together the longer is the outer one; of those that overlap
/// without nesting the one that began last is the innermost.
pub(super) fn nest(intervals: &[Span], instants: &[i64]) -> Nesting {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|place| (intervals[*place].0, std::cmp::Reverse(intervals[*place].1), *place));
    let mut sequence: Vec<usize> = (0..instants.len()).collect();
    sequence.sort_by_key(|place| instants[*place]);
    let (mut parents, mut owners) = (vec![None; intervals.len()], vec![None; instants.len()]);
    let (mut open, mut next): (Vec<usize>, usize) = (Vec::new(), 0);
    for instant in sequence {
        while let Some(interval) = order.get(next).copied().filter(|place| intervals[*place].0 <= instants[instant]) {
            push(intervals, &mut open, &mut parents, interval);
            next += 1;
        }
        while open.last().is_some_and(|top| intervals[*top].1 < instants[instant]) {
            open.pop();
        }
        owners[instant] = open.last().copied();
    }
    for interval in &order[next..] {
        push(intervals, &mut open, &mut parents, *interval);
    }
    Nesting { order, parents, owners }
}

fn push(intervals: &[Span], open: &mut Vec<usize>, parents: &mut [Option<usize>], interval: usize) {
    while open.last().is_some_and(|top| intervals[*top].1 <= intervals[interval].0) {
        open.pop();
    }
    parents[interval] = open.last().copied();
    open.push(interval);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_is_the_one_that_began_last_and_is_still_open() {
        // 0: [0,100), 1: [10,40), 2: [20,30), 3: [40,50); instants in any order.
        let intervals = [(0, 100), (10, 40), (20, 30), (40, 50)];
        let nesting = nest(&intervals, &[99, 5, 25, 35, 40, 101, -1]);
        assert_eq!(nesting.parents, [None, Some(0), Some(1), Some(0)]);
        assert_eq!(nesting.owners, [Some(0), Some(0), Some(2), Some(1), Some(3), None, None]);
    }

    #[test]
    fn of_two_that_begin_together_the_longer_is_outside() {
        let nesting = nest(&[(0, 10), (0, 50), (0, 10)], &[0]);
        assert_eq!(nesting.parents, [Some(1), None, Some(0)]);
        assert_eq!((nesting.owners[0], &nesting.order[..]), (Some(2), &[1, 0, 2][..]));
    }

    #[test]
    fn intervals_that_end_at_an_instant_still_hold_it_and_what_begins_there_is_beside() {
        let nesting = nest(&[(0, 10), (10, 10)], &[10]);
        assert_eq!((nesting.parents, nesting.owners), (vec![None, None], vec![Some(1)]));
        assert_eq!(nest(&[(0, 10)], &[10]).owners, [Some(0)]);
        assert_eq!(nest(&[], &[1]).owners, [None]);
    }
}
