//! The calls that launched something, by correlation.

use super::event::{Args, Event, integer, triple};
use super::names::QuickMap;

/// A runtime or driver call that may have launched work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The row of `calls`.
    pub(crate) call: i64,
    start: i64,
    /// Place of its process in [`Launches::processes`].
    process: u32,
    /// Place of its launch shape, counted from 1.
    shape: u32,
}

/// Grid, block and shared memory as a call states them (HIP), for rows that state none.
pub(crate) type Shape = ([Option<i64>; 3], [Option<i64>; 3], Option<i64>);

/// Every runtime and driver call that has a correlation.
///
/// The rule: a GPU row belongs to the runtime or driver call that has its correlation. One call may have launched many
/// rows (a graph). Where several calls have one number (a file of several processes, a runtime call around a driver
/// call), the one counts that begins last among those that begin no later than the work, as for Nsight Systems' files;
/// which one that is can only be told when all calls are known: see [`Self::ambiguous`].
#[derive(Default)]
pub(crate) struct Launches {
    by_correlation: QuickMap<i64, Launch>,
    /// All calls of the numbers that several have, in the order of the file.
    repeats: QuickMap<i64, Vec<Launch>>,
    /// The same, sorted; filled by [`Self::settled`].
    shared: QuickMap<i64, Shared>,
    settled: bool,
    processes: Vec<Option<i64>>,
    by_process: QuickMap<i64, u32>,
    shapes: Vec<Shape>,
    /// Calls whose correlation an earlier call has.
    pub(crate) repeated: u64,
}

impl Launches {
    /// Takes a call that begins at `start`, unless an earlier pass took them all.
    pub(crate) fn add(&mut self, event: &Event<'_>, call: i64, process: Option<i64>, start: i64) -> Option<i64> {
        let correlation = correlation(&event.args)?;
        if !self.settled {
            let launch = Launch { call, start, process: self.process(process), shape: self.shape(event) };
            let first = *self.by_correlation.entry(correlation).or_insert(launch);
            if first.call != call {
                self.repeated += 1;
                self.repeats.entry(correlation).or_insert_with(|| vec![first]).push(launch);
            }
        }
        Some(correlation)
    }

    /// Whether several calls have one number: rows were given to the first of them, which may be wrong.
    pub(crate) fn ambiguous(&self) -> bool {
        !self.repeats.is_empty()
    }

    /// The same for a second pass over the file, in which every call is known from the begin.
    pub(crate) fn settled(mut self) -> Self {
        let repeats = std::mem::take(&mut self.repeats);
        self.shared = repeats.into_iter().map(|(correlation, calls)| (correlation, Shared::new(calls))).collect();
        self.settled = true;
        self
    }

    fn process(&mut self, process: Option<i64>) -> u32 {
        // A process that is no number is like process i64::MIN, which no system has.
        *self.by_process.entry(process.unwrap_or(i64::MIN)).or_insert_with(|| {
            self.processes.push(process);
            self.processes.len() as u32 - 1
        })
    }

    fn shape(&mut self, event: &Event<'_>) -> u32 {
        if event.args.grid.is_empty() {
            return 0;
        }
        let shape = (triple(event.args.grid), triple(event.args.block), integer(event.args.shared));
        if self.shapes.last() != Some(&shape) {
            self.shapes.push(shape);
        }
        self.shapes.len() as u32
    }

    /// The call with that correlation, for work that starts at `start`. `process` is that of the work where its row seems
    /// to state one; it counts where several calls have the number and some of them are of it.
    #[inline]
    pub(crate) fn find(&self, correlation: i64, start: i64, process: Option<i64>) -> Option<Launch> {
        if !self.shared.is_empty()
            && let Some(shared) = self.shared.get(&correlation)
        {
            let process = process.and_then(|process| self.by_process.get(&process).copied());
            return shared.find(start, process);
        }
        self.by_correlation.get(&correlation).copied()
    }

    /// The process of a call.
    pub(crate) fn process_of(&self, launch: Launch) -> Option<i64> {
        self.processes.get(launch.process as usize).copied().flatten()
    }

    /// The launch shape that a call states.
    pub(crate) fn shape_of(&self, launch: Launch) -> Option<Shape> {
        self.shapes.get((launch.shape as usize).checked_sub(1)?).copied()
    }

    /// The process, where all calls are of one.
    pub(crate) fn only_process(&self) -> Option<i64> {
        match self.processes[..] {
            [process] => process,
            _ => None,
        }
    }
}

/// Calls that have one number.
struct Shared {
    by_start: Vec<Launch>,
    by_process: Vec<Launch>,
}

impl Shared {
    fn new(mut by_start: Vec<Launch>) -> Self {
        by_start.sort_unstable_by_key(|launch| (launch.start, launch.call));
        let mut by_process = by_start.clone();
        by_process.sort_by_key(|launch| launch.process);
        Self { by_start, by_process }
    }

    fn find(&self, start: i64, process: Option<u32>) -> Option<Launch> {
        let own = process.and_then(|process| newest(self.of(process), start));
        own.or_else(|| newest(&self.by_start, start))
    }

    fn of(&self, process: u32) -> &[Launch] {
        let from = self.by_process.partition_point(|launch| launch.process < process);
        let rest = &self.by_process[from..];
        &rest[..rest.partition_point(|launch| launch.process == process)]
    }
}

/// Of calls sorted by their begin, the last that begins no later than the work; the first where all begin later.
fn newest(calls: &[Launch], start: i64) -> Option<Launch> {
    let before = calls.partition_point(|launch| launch.start <= start);
    calls.get(before.saturating_sub(1)).copied()
}

/// The number that a call and its work share. 0 says that there is none.
#[inline]
pub(crate) fn correlation(args: &Args<'_>) -> Option<i64> {
    integer(args.correlation).filter(|number| *number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls with number 5, each of a process and a start.
    fn launches(calls: &[(i64, i64)]) -> Launches {
        let event = Event { args: Args { correlation: b"5", ..Args::default() }, ..Event::default() };
        let mut launches = Launches::default();
        for (call, (process, start)) in calls.iter().enumerate() {
            assert_eq!(launches.add(&event, call as i64, Some(*process), *start), Some(5));
        }
        launches
    }

    #[test]
    fn of_several_calls_the_newest_that_began_counts() {
        let launches = launches(&[(1, 10), (1, 100), (2, 12), (2, 12)]);
        assert!(launches.ambiguous());
        assert_eq!(launches.repeated, 3);
        let launches = launches.settled();
        let call = |start, process| launches.find(5, start, process).map(|launch| launch.call);
        assert_eq!([9, 10, 11, 12, 99, 100].map(|start| call(start, None)), [0, 0, 0, 3, 3, 1].map(Some));
        assert_eq!([9, 12, 99, 100].map(|start| call(start, Some(1))), [0, 0, 0, 1].map(Some));
        assert_eq!([9, 100].map(|start| call(start, Some(2))), [2, 3].map(Some));
        assert_eq!(call(99, Some(7)), Some(3), "a process that called nothing is none");
    }

    #[test]
    fn zero_is_no_number() {
        let event = Event { args: Args { correlation: b"0", ..Args::default() }, ..Event::default() };
        assert_eq!(Launches::default().add(&event, 0, Some(1), 0), None);
    }

    #[test]
    fn many_calls_of_one_number_are_searched_quickly() {
        let calls: Vec<(i64, i64)> = (0..200_000).map(|at| (at % 7, at)).collect();
        let launches = launches(&calls).settled();
        for start in 0..200_000 {
            assert_eq!(launches.find(5, start, None).map(|launch| launch.call), Some(start));
            assert_eq!(launches.find(5, start, Some(start % 7)).map(|launch| launch.call), Some(start));
        }
    }
}
