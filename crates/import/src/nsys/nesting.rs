//! Which range of a thread lies inside which, by one stack a thread.
//!
//! The parent of a range is the innermost range of its thread that begins no later and ends no earlier. Ranges of one
//! thread must come by start, longer ones first where starts are equal; [`Order`] says whether they do. Ranges that
//! cross without nesting (of two domains) are handled: of two that both could be parents of what follows, the one that
//! began later is, so the other leaves the stack for good, and each range enters and leaves it once.

use std::collections::HashMap;

/// End of a range that never ended.
pub(super) const OPEN: i64 = i64::MAX;

/// The ranges of all threads that are open while they are read in order.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    threads: Threads<Vec<Frame>>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    id: i64,
    end: i64,
    depth: i64,
}

/// Where a range stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Nested {
    pub(super) parent: Option<i64>,
    pub(super) depth: i64,
}

impl Nesting {
    /// Places a range and keeps it open for those that follow.
    pub(super) fn push(&mut self, thread: i64, id: i64, start: i64, end: i64) -> Nested {
        let stack = self.threads.get(thread);
        let nested = place(stack, start, end);
        stack.push(Frame { id, end, depth: nested.depth });
        nested
    }

    /// Places an instant.
    pub(super) fn mark(&mut self, thread: i64, time: i64) -> Nested {
        let stack = self.threads.get(thread);
        while stack.last().is_some_and(|frame| frame.end <= time) {
            stack.pop();
        }
        top(stack)
    }
}

fn place(stack: &mut Vec<Frame>, start: i64, end: i64) -> Nested {
    while stack.last().is_some_and(|frame| frame.end <= start || frame.end < end) {
        stack.pop();
    }
    top(stack)
}

fn top(stack: &[Frame]) -> Nested {
    stack.last().map_or(Nested::default(), |frame| Nested { parent: Some(frame.id), depth: frame.depth + 1 })
}

/// Whether ranges come in the order that [`Nesting`] needs.
#[derive(Debug, Default)]
pub(super) struct Order {
    threads: Threads<Option<(i64, i64)>>,
    broken: bool,
}

impl Order {
    pub(super) fn see(&mut self, thread: i64, start: i64, end: i64) {
        let last = self.threads.get(thread);
        self.broken |= last.is_some_and(|(before, longer)| start < before || (start == before && end > longer));
        *last = Some((start, end));
    }

    /// An instant may come before or after the ranges that begin with it.
    pub(super) fn see_mark(&mut self, thread: i64, time: i64) {
        let last = self.threads.get(thread);
        self.broken |= last.is_some_and(|(before, _)| time < before);
        if last.is_none_or(|(before, _)| time > before) {
            *last = Some((time, OPEN));
        }
    }

    pub(super) fn holds(&self) -> bool {
        !self.broken
    }
}

/// Something for each thread; the thread asked for last is at hand.
#[derive(Debug, Default)]
struct Threads<T> {
    index: HashMap<i64, usize>,
    all: Vec<T>,
    recent: Option<(i64, usize)>,
}

impl<T: Default> Threads<T> {
    #[inline]
    fn get(&mut self, thread: i64) -> &mut T {
        let index = match self.recent {
            Some((recent, index)) if recent == thread => index,
            _ => self.find(thread),
        };
        &mut self.all[index]
    }

    fn find(&mut self, thread: i64) -> usize {
        let index = *self.index.entry(thread).or_insert_with(|| {
            self.all.push(T::default());
            self.all.len() - 1
        });
        self.recent = Some((thread, index));
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place_all(ranges: &[(i64, i64)]) -> Vec<Nested> {
        let mut nesting = Nesting::default();
        ranges.iter().enumerate().map(|(id, (start, end))| nesting.push(1, id as i64, *start, *end)).collect()
    }

    #[test]
    fn crossing_and_touching_ranges_have_the_innermost_range_that_encloses_them() {
        // 0 encloses all; 1 and 2 cross; 3 lies in 2 alone; 4 begins where 2 ends.
        let ranges = [(0, 100), (10, 40), (20, 50), (30, 45), (50, 60)];
        let parents: Vec<Option<i64>> = place_all(&ranges).iter().map(|nested| nested.parent).collect();
        assert_eq!(parents, [None, Some(0), Some(0), Some(2), Some(0)]);
        let open = place_all(&[(0, OPEN), (10, OPEN), (20, 30)]);
        assert_eq!(open[2], Nested { parent: Some(1), depth: 2 });
    }

    #[test]
    fn instants_lie_in_what_is_open_and_threads_do_not_mix() {
        let mut nesting = Nesting::default();
        nesting.push(1, 0, 0, 100);
        nesting.push(1, 1, 10, 20);
        assert_eq!(nesting.mark(1, 15), Nested { parent: Some(1), depth: 2 });
        assert_eq!(nesting.mark(1, 20), Nested { parent: Some(0), depth: 1 });
        assert_eq!(nesting.mark(2, 15), Nested::default());
    }

    #[test]
    fn order_is_by_start_then_length_on_each_thread() {
        let holds = |ranges: &[(i64, i64, i64)]| {
            let mut order = Order::default();
            for (thread, start, end) in ranges {
                order.see(*thread, *start, *end);
            }
            order.holds()
        };
        assert!(holds(&[(1, 5, 9), (2, 0, 9), (1, 5, 8), (1, 6, 7)]));
        assert!(!holds(&[(1, 5, 9), (1, 4, 9)]));
        assert!(!holds(&[(1, 5, 8), (1, 5, 9)]));
    }

    proptest! {
        #[test]
        fn the_stack_agrees_with_a_search_among_all_ranges(
            mut ranges in prop::collection::vec((0..30_i64, 1..20_i64), 1..40)
        ) {
            for range in &mut ranges {
                range.1 += range.0;
            }
            ranges.sort_by_key(|range| (range.0, -range.1));
            for (index, nested) in place_all(&ranges).into_iter().enumerate() {
                let (_, end) = ranges[index];
                let parent = (0..index).rev().find(|other| ranges[*other].1 >= end);
                prop_assert_eq!(nested.parent, parent.map(|parent| parent as i64));
            }
        }
    }
}
