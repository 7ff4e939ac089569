//! Host threads and the places of ranges, by numbers in place of names.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Model, Place, Thread};

/// Where calls were made and ranges drawn.
#[derive(Default)]
pub(super) struct Hosts {
    pub(super) threads: Numbers<Thread>,
    pub(super) places: Numbers<Place>,
}

/// Numbers of values in the order in which rows name them.
pub(super) struct Numbers<T> {
    known: HashMap<T, u32>,
    pub(super) all: Vec<T>,
    /// The one asked for last: rows mostly come thread by thread.
    recent: Option<(T, u32)>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), all: Vec::new(), recent: None }
    }
}

impl<T: Copy + Eq + Hash> Numbers<T> {
    /// The number of a value, the next one where it is new.
    pub(super) fn number(&mut self, value: T) -> u32 {
        if let Some((_, number)) = self.recent.filter(|(recent, _)| *recent == value) {
            return number;
        }
        let number = *self.known.entry(value).or_insert_with(|| {
            self.all.push(value);
            self.all.len() as u32 - 1
        });
        self.recent = Some((value, number));
        number
    }
}

impl Model {
    /// Numbers the threads in their order instead of that of the rows.
    pub(super) fn number_threads(&mut self, threads: &[Thread]) {
        let mut order: Vec<u32> = (0..threads.len() as u32).collect();
        order.sort_unstable_by_key(|at| threads[*at as usize]);
        self.threads = order.iter().map(|at| threads[*at as usize]).collect();
        if order.is_sorted() {
            return;
        }
        let mut sorted = vec![0; order.len()];
        for (place, at) in order.iter().enumerate() {
            sorted[*at as usize] = place as u32;
        }
        for thread in self.calls.iter_mut().map(|call| &mut call.thread) {
            *thread = sorted[*thread as usize];
        }
        for thread in self.ranges.iter_mut().map(|range| &mut range.thread) {
            *thread = sorted[*thread as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_numbered_in_their_order() {
        let thread = |thread| Thread { rank: 0, process: None, thread: Some(thread) };
        let mut numbers = Numbers::default();
        assert_eq!([4, 2, 4, 9, 2].map(|number| numbers.number(thread(number))), [0, 1, 0, 2, 1]);
        let mut model = Model::default();
        model.number_threads(&numbers.all);
        assert_eq!(model.threads, [thread(2), thread(4), thread(9)]);
    }
}
