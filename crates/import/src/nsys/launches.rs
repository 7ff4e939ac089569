//! Which host call launched an activity.
//!
//! The key is the process and the correlation number. Where several calls share one (a number used again by another
//! context, a runtime call around a driver call), the one counts that begins last among those that begin no later than
//! the activity: the innermost where calls nest, the newest where a number came back. If all begin later, which only
//! skewed clocks explain, the first counts.
//!
//! A slimmed export may lack the process of its work (`globalPid`) or of its calls (`globalTid`). The number alone is
//! the key then, where it cannot mean two processes: the file has only one, or a single call has the number.

use std::collections::HashMap;

/// The process of calls that state none. Real ones have 24 bits.
const UNSTATED: i64 = -1;

/// Calls by process and correlation number, 16 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Launches {
    processes: Vec<Process>,
    index: HashMap<i64, usize>,
    /// The process found last: activities of one process come in long runs.
    recent: usize,
    /// The calls of all processes, for work that states none; filled when such work first asks.
    all: Option<Process>,
    /// Whether all work is of one process.
    pub(crate) one_process: bool,
    /// Work whose call was not found.
    pub(crate) missed: Missed,
}

/// How often, and why, a call was not found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    /// No call has the number.
    pub(crate) absent: u64,
    /// Several calls have it, and the work states no process.
    pub(crate) work_unstated: u64,
    /// Several calls have it, and they state no process.
    pub(crate) calls_unstated: u64,
}

impl Missed {
    fn count(&mut self, why: Miss) {
        match why {
            Miss::Absent => self.absent += 1,
            Miss::WorkUnstated => self.work_unstated += 1,
            Miss::CallsUnstated => self.calls_unstated += 1,
        }
    }
}

/// Why a call was not found, as in [`Missed`].
#[derive(Clone, Copy, Debug)]
enum Miss {
    Absent,
    WorkUnstated,
    CallsUnstated,
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
    fn correlation(&self) -> u32 {
        (self.key >> 32) as u32
    }

    fn call(&self) -> i64 {
        (self.key & 0xffff_ffff) as i64
    }
}

impl Launches {
    /// Remembers a call. Numbers that CUPTI does not give out (0, more than 32 bits) are left alone.
    pub(crate) fn push(&mut self, process: Option<i64>, correlation: i64, call: i64, start: i64) {
        let (Ok(correlation), Ok(call)) = (u32::try_from(correlation), u32::try_from(call)) else { return };
        if correlation == 0 {
            return;
        }
        let process = process.unwrap_or(UNSTATED);
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

    /// Whether some calls state no process.
    pub(crate) fn lacks_process(&self) -> bool {
        self.index.contains_key(&UNSTATED)
    }

    /// To be called between the last [`Self::push`] and the first [`Self::find`].
    pub(crate) fn sort(&mut self) {
        for process in &mut self.processes {
            process.sort();
        }
    }

    /// The call that launched a piece of work, which is counted where there is none.
    #[inline]
    pub(crate) fn of_work(&mut self, process: Option<i64>, correlation: Option<i64>, start: i64) -> Option<i64> {
        self.resolve(process, correlation, start).map_err(|why| self.missed.count(why)).ok()
    }

    /// The call that launched the activity which starts at `start`.
    #[inline]
    pub(crate) fn find(&mut self, process: Option<i64>, correlation: Option<i64>, start: i64) -> Option<i64> {
        self.resolve(process, correlation, start).ok()
    }

    #[inline]
    fn resolve(&mut self, process: Option<i64>, correlation: Option<i64>, start: i64) -> Result<i64, Miss> {
        let correlation = correlation.and_then(|number| u32::try_from(number).ok()).ok_or(Miss::Absent)?;
        let Some(process) = process else { return self.of_any_process(correlation, start) };
        if let Some(index) = self.index(process) {
            self.recent = index;
            if let Some(call) = self.processes[index].find(correlation, start) {
                return Ok(call);
            }
        }
        self.of_unstated_process(correlation, start)
    }

    /// The call of work that states no process.
    fn of_any_process(&mut self, correlation: u32, start: i64) -> Result<i64, Miss> {
        if let [only] = self.processes.as_mut_slice() {
            return only.find(correlation, start).ok_or(Miss::Absent);
        }
        let processes = &self.processes;
        let all = self.all.get_or_insert_with(|| Process::of_all(processes));
        all.find_only(correlation, Miss::WorkUnstated)
    }

    /// The call of work whose process is known, among calls that state none.
    fn of_unstated_process(&mut self, correlation: u32, start: i64) -> Result<i64, Miss> {
        let calls = self.index.get(&UNSTATED).map(|index| &mut self.processes[*index]).ok_or(Miss::Absent)?;
        if self.one_process {
            return calls.find(correlation, start).ok_or(Miss::Absent);
        }
        calls.find_only(correlation, Miss::CallsUnstated)
    }
}

impl Process {
    fn of_all(processes: &[Self]) -> Self {
        let calls = processes.iter().flat_map(|process| &process.calls).copied().collect();
        let mut all = Self { number: UNSTATED, calls, cursor: 0 };
        all.sort();
        all
    }

    fn sort(&mut self) {
        self.calls.sort_by_key(|entry| (entry.correlation(), entry.start, entry.call()));
        self.calls.shrink_to_fit();
    }

    /// The call with that correlation number that counts for what starts at `start`.
    #[inline]
    fn find(&mut self, correlation: u32, start: i64) -> Option<i64> {
        let first = self.first(correlation)?;
        self.cursor = first;
        let before = |entry: &Entry| (entry.correlation(), entry.start) <= (correlation, start);
        let before = gallop(&self.calls[first..], before);
        Some(self.calls[first + before.saturating_sub(1)].call())
    }

    /// The call with that correlation number, or `several` where more than one has it.
    fn find_only(&mut self, correlation: u32, several: Miss) -> Result<i64, Miss> {
        let first = self.first(correlation).ok_or(Miss::Absent)?;
        self.cursor = first;
        match self.calls.get(first + 1) {
            Some(next) if next.correlation() == correlation => Err(several),
            _ => Ok(self.calls[first].call()),
        }
    }

    /// Index of the first call with that correlation number.
    #[inline]
    fn first(&self, correlation: u32) -> Option<usize> {
        let at = |index: usize| self.calls.get(index).map(Entry::correlation);
        let before = |entry: &Entry| entry.correlation() < correlation;
        let found = match at(self.cursor) {
            Some(here) if here <= correlation => self.cursor + gallop(&self.calls[self.cursor..], before),
            _ => self.calls[..self.cursor.min(self.calls.len())].partition_point(before),
        };
        (at(found) == Some(correlation)).then_some(found)
    }
}

/// As `partition_point`, but in the logarithm of the result: what is sought mostly lies near.
#[inline]
fn gallop(entries: &[Entry], before: impl Fn(&Entry) -> bool) -> usize {
    let mut step = 1;
    while entries.get(step).is_some_and(&before) {
        step *= 2;
    }
    let (from, to) = (step / 2, entries.len().min(step + 1));
    from + entries[from..to].partition_point(before)
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use proftool_trace::frame::{Tables, ints, texts};
    use proftool_trace::tables;
    use proptest::prelude::*;

    fn launches(calls: &[(i64, i64, i64)]) -> Launches {
        let mut launches = Launches::default();
        for (call, (process, correlation, start)) in calls.iter().enumerate() {
            launches.push(Some(*process).filter(|process| *process >= 0), *correlation, call as i64, *start);
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
            [(Some(1), Some(4)), (Some(1), Some(6)), (Some(3), Some(5)), (None, Some(6)), (Some(1), None)]
        {
            assert_eq!(found.find(process, correlation, 20), None);
        }
        assert_eq!(found.find(Some(1), Some(0), 20), None);
        assert_eq!(found.find(Some(1), Some(1 << 40), 20), None);
        assert_eq!(Launches::default().find(Some(1), Some(5), 20), None);
    }

    #[test]
    fn without_a_process_the_number_alone_decides_where_it_means_one_call() {
        let mut one = launches(&[(1, 5, 10), (1, 5, 12)]);
        assert_eq!(one.find(None, Some(5), 20), Some(1), "all calls are of one process");

        let mut two = launches(&[(1, 5, 10), (2, 5, 11), (2, 6, 12)]);
        assert_eq!((two.of_work(None, Some(6), 20), two.of_work(None, Some(5), 20)), (Some(2), None));
        assert_eq!(two.missed, Missed { work_unstated: 1, ..Missed::default() });

        let mut unstated = launches(&[(-1, 5, 10), (-1, 5, 12), (-1, 6, 13)]);
        assert!(unstated.lacks_process());
        assert_eq!((unstated.of_work(Some(7), Some(6), 20), unstated.of_work(Some(7), Some(5), 20)), (Some(2), None));
        assert_eq!(unstated.missed, Missed { calls_unstated: 1, ..Missed::default() });
        unstated.one_process = true;
        assert_eq!((unstated.find(Some(7), Some(5), 11), unstated.find(Some(7), Some(4), 11)), (Some(0), None));
    }

    #[test]
    fn a_missing_column_is_named_where_it_leaves_the_call_open() {
        let import = |pids: [i64; 2]| {
            let mut fake = Fake::default();
            for (start, pid) in [(10, pids[0]), (11, pids[1])] {
                let row = [("start", i64::into(start)), ("end", (start + 1).into()), ("correlationId", 5.into())];
                fake.row("CUPTI_ACTIVITY_KIND_RUNTIME", &row);
                fake.row("CUPTI_ACTIVITY_KIND_KERNEL", &[&row[..], &[("globalPid", (pid << 24).into())]].concat());
            }
            fake.import().unwrap()
        };
        let calls = |tables: &Tables| ints(tables.get(&tables::ACTIVITIES), "call").unwrap();
        assert_eq!(calls(&import([7, 7])), [Some(0), Some(1)]);
        let two = import([7, 8]);
        assert_eq!(calls(&two), [None, None]);
        let codes = texts(two.get(&tables::ISSUES), "code").unwrap();
        let details = texts(two.get(&tables::ISSUES), "detail").unwrap();
        let row = codes.iter().position(|code| code.as_deref() == Some("launch_ambiguous")).unwrap();
        assert!(details[row].as_deref().unwrap().contains("globalTid"), "{details:?}");
        assert!(!codes.contains(&Some("launch_not_recorded".to_owned())), "{codes:?}");
    }

    #[test]
    fn many_calls_of_one_number_are_not_walked_one_by_one() {
        const CALLS: i64 = 100_000;
        let calls: Vec<(i64, i64, i64)> = (0..CALLS).map(|start| (1, 5, start)).collect();
        let mut found = launches(&calls);
        assert!((0..CALLS).all(|start| found.find(Some(1), Some(5), start) == Some(start)));
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
