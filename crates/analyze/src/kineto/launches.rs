//! The calls that launched something, by correlation.

use super::event::{Event, integer, triple};
use super::names::QuickMap;

/// A runtime or driver call that may have launched work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The row of `calls`.
    pub(crate) call: i64,
    /// Place of its process in [`Launches::processes`].
    process: u32,
    /// Place of its launch shape, counted from 1.
    shape: u32,
}

/// Grid, block and shared memory as a call states them (HIP), for rows that state none.
pub(crate) type Shape = ([Option<i64>; 3], [Option<i64>; 3], Option<i64>);

/// Every runtime and driver call that has a correlation.
///
/// The rule: a GPU row belongs to the first runtime or driver call in the file that has its correlation. One call may
/// have launched many rows (a graph); a second call with the same correlation is counted and launches nothing.
#[derive(Default)]
pub(crate) struct Launches {
    by_correlation: QuickMap<i64, Launch>,
    processes: Vec<Option<i64>>,
    by_process: QuickMap<i64, u32>,
    shapes: Vec<Shape>,
    /// Calls whose correlation an earlier call has.
    pub(crate) repeated: u64,
}

impl Launches {
    /// Takes a call.
    pub(crate) fn add(&mut self, event: &Event<'_>, call: i64, process: Option<i64>) -> Option<i64> {
        let correlation = integer(event.args.correlation)?;
        let process = self.process(process);
        let shape = self.shape(event);
        let mut first = false;
        self.by_correlation.entry(correlation).or_insert_with(|| {
            first = true;
            Launch { call, process, shape }
        });
        self.repeated += u64::from(!first);
        Some(correlation)
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

    /// The call with that correlation.
    #[inline]
    pub(crate) fn find(&self, correlation: i64) -> Option<Launch> {
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
