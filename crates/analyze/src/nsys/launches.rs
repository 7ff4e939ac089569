//! Which host call launched an activity.
//!
//! The key is the process and the correlation number. Where several calls share one (a number used again by another
//! context, a runtime call around a driver call), the one counts that begins last among those that begin no later than
//! the activity: the innermost where calls nest, the newest where a number came back. If all begin later, which only
//! skewed clocks explain, the first counts.

use std::collections::HashMap;

/// Calls by process and correlation number, 16 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Launches {
    processes: Vec<Process>,
    index: HashMap<i64, usize>,
    /// The process found last: activities of one process come in long runs.
    recent: usize,
    /// Work whose call was not found.
    pub(crate) missed: u64,
}

#[derive(Debug)]
struct Process {
    number: i64,
    calls: Vec<Entry>,
    /// Where the last search ended: correlation numbers of activities mostly go up.
    cursor: usize,
}

/// Correlation number and call in one number, so that sorting compares whole words; then the call's start.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    start: i64,
}

impl Entry {
    fn correlation(self) -> u32 {
        (self.key >> 32) as u32
    }

    fn call(self) -> i64 {
        (self.key & 0xffff_ffff) as i64
    }
}

impl Launches {
    /// Remembers a call. Numbers that CUPTI does not give out (0, more than 32 bits) are left alone.
    pub(crate) fn push(&mut self, process: i64, correlation: i64, call: i64, start: i64) {
        let (Ok(correlation), Ok(call)) = (u32::try_from(correlation), u32::try_from(call)) else { return };
        if correlation == 0 {
            return;
        }
        let index = self.index(process).unwrap_or_else(|| {
            self.processes.push(Process { number: process, calls: Vec::new(), cursor: 0 });
            self.index.insert(process, self.processes.len() - 1);
            self.processes.len() - 1
        });
        self.recent = index;
        self.processes[index].calls.push(Entry { key: u64::from(correlation) << 32 | u64::from(call), start });
    }

    #[inline]
    fn index(&self, process: i64) -> Option<usize> {
        match self.processes.get(self.recent) {
            Some(recent) if recent.number == process => Some(self.recent),
            _ => self.index.get(&process).copied(),
        }
    }

    /// To be called between the last [`Self::push`] and the first [`Self::find`].
    pub(crate) fn sort(&mut self) {
        for process in &mut self.processes {
            process.calls.sort_by_key(|entry| (entry.correlation(), entry.start, entry.call()));
            process.calls.shrink_to_fit();
        }
    }

    /// The call that launched a piece of work, which is counted where there is none.
    #[inline]
    pub(crate) fn of_work(&mut self, process: Option<i64>, correlation: Option<i64>, start: i64) -> Option<i64> {
        let call = self.find(process, correlation, start);
        self.missed += u64::from(call.is_none());
        call
    }

    /// The call that launched the activity which starts at `start`.
    #[inline]
    pub(crate) fn find(&mut self, process: Option<i64>, correlation: Option<i64>, start: i64) -> Option<i64> {
        let correlation = u32::try_from(correlation?).ok()?;
        let index = self.index(process?)?;
        self.recent = index;
        let process = &mut self.processes[index];
        let first = process.first(correlation)?;
        process.cursor = first;
        let same = process.calls[first..].iter().take_while(|entry| entry.correlation() == correlation);
        let before = same.take_while(|entry| entry.start <= start).count();
        Some(process.calls[first + before.saturating_sub(1)].call())
    }
}

impl Process {
    /// Index of the first call with that correlation number.
    #[inline]
    fn first(&self, correlation: u32) -> Option<usize> {
        let at = |index: usize| self.calls.get(index).map(|entry| entry.correlation());
        let found = match at(self.cursor) {
            Some(here) if here <= correlation => self.gallop(correlation),
            _ => self.calls[..self.cursor.min(self.calls.len())].partition_point(|e| e.correlation() < correlation),
        };
        (at(found) == Some(correlation)).then_some(found)
    }

    /// As a binary search from the cursor on, but in the logarithm of the distance.
    fn gallop(&self, correlation: u32) -> usize {
        let calls = &self.calls[self.cursor..];
        let mut step = 1;
        while calls.get(step).is_some_and(|entry| entry.correlation() < correlation) {
            step *= 2;
        }
        let (from, to) = (step / 2, calls.len().min(step + 1));
        self.cursor + from + calls[from..to].partition_point(|entry| entry.correlation() < correlation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn launches(calls: &[(i64, i64, i64)]) -> Launches {
        let mut launches = Launches::default();
        for (call, (process, correlation, start)) in calls.iter().enumerate() {
            launches.push(*process, *correlation, call as i64, *start);
        }
        launches.sort();
        launches
    }

    #[test]
    fn the_innermost_of_nested_calls_and_the_newest_of_a_reused_number_counts() {
        // A runtime call at 10 with a driver call inside at 12; the number comes back at 100.
        let mut found = launches(&[(1, 5, 10), (1, 5, 12), (1, 5, 100), (2, 5, 11)]);
        let mut call = |start| found.find(Some(1), Some(5), start);
        assert_eq!((call(20), call(99), call(100), call(11)), (Some(1), Some(1), Some(2), Some(0)));
        assert_eq!(call(3), Some(0), "all begin later: the first");
        assert_eq!(found.find(Some(2), Some(5), 20), Some(3), "another process has numbers of its own");
    }

    #[test]
    fn numbers_that_no_call_has_are_not_found() {
        let mut found = launches(&[(1, 5, 10), (1, 0, 12), (1, 1 << 40, 13)]);
        for (process, correlation) in
            [(Some(1), Some(4)), (Some(1), Some(6)), (Some(3), Some(5)), (None, Some(5)), (Some(1), None)]
        {
            assert_eq!(found.find(process, correlation, 20), None);
        }
        assert_eq!(found.find(Some(1), Some(0), 20), None);
        assert_eq!(found.find(Some(1), Some(1 << 40), 20), None);
        assert_eq!(Launches::default().find(Some(1), Some(5), 20), None);
    }

    proptest! {
        #[test]
        fn a_search_from_any_cursor_finds_what_a_scan_finds(
            calls in prop::collection::vec((0..3_i64, 1..40_i64, 0..100_i64), 0..60),
            wanted in prop::collection::vec((0..3_i64, 1..40_i64, 0..100_i64), 0..60),
        ) {
            let mut found = launches(&calls);
            for (process, correlation, start) in wanted {
                let mut same: Vec<(i64, i64)> = calls.iter().enumerate()
                    .filter(|(_, call)| (call.0, call.1) == (process, correlation))
                    .map(|(index, call)| (call.2, index as i64)).collect();
                same.sort_unstable();
                let expected = same.iter().rfind(|call| call.0 <= start).or(same.first()).map(|call| call.1);
                prop_assert_eq!(found.find(Some(process), Some(correlation), start), expected);
            }
        }
    }
}
