//! What every row of events has.

use super::State;
use super::shape::column;
use crate::rocm::database::Row;

/// A row and the table that it is in.
pub(super) struct Place<'p> {
    pub(super) table: &'p str,
    pub(super) row: &'p Row<'p>,
}

impl Place<'_> {
    pub(super) fn text(&self) -> String {
        format!("table {}, id {}", self.table, self.row.int(column::ID).unwrap_or_default())
    }

    /// Start and end from the session start; none where the row lacks one or they cannot be.
    pub(super) fn times(&self, state: &mut State<'_, '_>) -> Option<(i64, i64)> {
        let time = |at: usize| self.row.int(at).filter(|time| *time != 0);
        let (Some(start), Some(end)) = (time(column::START), time(column::END)) else {
            state.import.bad_row("without_times", || self.text());
            return None;
        };
        let session = *state.start.get_or_insert(start);
        let (start, end) = (start.saturating_sub(session), end.saturating_sub(session));
        state.import.possible(start, end, || self.text()).then_some((start, end))
    }

    /// The number of the call that caused the row. 0 stands for none.
    pub(super) fn correlation(&self) -> Option<i64> {
        self.row.int(column::STACK).filter(|stack| *stack != 0)
    }

    /// The stream, or in its absence the hardware queue.
    pub(super) fn queue(&self) -> Option<i64> {
        self.row.int(column::STREAM).or_else(|| self.row.int(column::QUEUE))
    }
}
