//! The buffer that one thread fills.

use std::sync::Arc;

use crate::nvtx::{self, Payload, RangeName};
use crate::record::{ABSENT, Call, Dependency, Operation, Range};
use crate::recorder::Shared;

/// How many records of each kind a thread can hold.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Operations, 176 bytes each.
    pub operations: usize,
    /// Dependencies.
    pub dependencies: usize,
    /// Calls.
    pub calls: usize,
    /// Ranges.
    pub ranges: usize,
}

impl Default for Capacity {
    /// Room for 16,384 operations and calls, 65,536 dependencies and 1,024 ranges: about 6 MB.
    fn default() -> Self {
        Self { operations: 1 << 14, dependencies: 1 << 16, calls: 1 << 14, ranges: 1 << 10 }
    }
}

/// How many records were dropped because a buffer was full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Lost {
    pub(crate) operations: u64,
    pub(crate) dependencies: u64,
    pub(crate) calls: u64,
    pub(crate) ranges: u64,
}

/// The records of one thread.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) thread: i64,
    pub(crate) operations: Vec<Operation>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) calls: Vec<Call>,
    pub(crate) ranges: Vec<Range>,
    pub(crate) lost: Lost,
}

impl Records {
    pub(crate) fn new(thread: i64, capacity: Capacity) -> Self {
        Self {
            thread,
            operations: touched(capacity.operations),
            dependencies: touched(capacity.dependencies),
            calls: touched(capacity.calls),
            ranges: touched(capacity.ranges),
            lost: Lost::default(),
        }
    }
}

/// A vector with that capacity whose pages the system has already provided, so that no page fault falls on a record.
fn touched<T>(capacity: usize) -> Vec<T> {
    const PAGE: usize = 4096;
    let mut items: Vec<T> = Vec::with_capacity(capacity);
    let spare = items.spare_capacity_mut();
    for index in (0..spare.len()).step_by((PAGE / size_of::<T>()).max(1)) {
        // SAFETY: the pointer is to a valid, uninitialised element. A plain store would be removed as dead.
        unsafe { std::ptr::write_volatile(spare[index].as_mut_ptr().cast::<u8>(), 0) };
    }
    items
}

/// Appends without growing; counts what does not fit.
#[inline]
fn push<T: Copy>(items: &mut Vec<T>, item: &T, lost: &mut u64) {
    if items.len() < items.capacity() {
        items.push(*item);
    } else {
        *lost += 1;
    }
}

/// How deep begun ranges may nest; a deeper one is counted as lost.
const DEPTH: usize = 64;

/// A range that [`ThreadBuffer::begin`] began. Hand it to [`ThreadBuffer::end`]: otherwise it ends with the range around
/// it, and without one it is not recorded.
#[derive(Debug)]
#[must_use]
pub struct OpenRange {
    id: i64,
    level: usize,
}

/// A range of the buffer's thread that has not ended.
#[derive(Debug)]
struct Begun {
    range: Range,
    /// Where the tool has it open.
    tool: Option<nvtx::Domain>,
}

/// The buffer that one thread fills; its records join the session when it is dropped.
#[derive(Debug)]
pub struct ThreadBuffer {
    records: Records,
    /// The open ranges, outermost first.
    begun: Vec<Begun>,
    session: Arc<Shared>,
}

impl ThreadBuffer {
    pub(crate) fn new(session: Arc<Shared>, thread: i64, capacity: Capacity) -> Self {
        Self { records: Records::new(thread, capacity), begun: Vec::with_capacity(DEPTH), session }
    }

    /// Records what a device executed.
    #[inline]
    pub fn operation(&mut self, operation: &Operation) {
        push(&mut self.records.operations, operation, &mut self.records.lost.operations);
    }

    /// Records a dependency.
    #[inline]
    pub fn dependency(&mut self, dependency: &Dependency) {
        push(&mut self.records.dependencies, dependency, &mut self.records.lost.dependencies);
    }

    /// Records a call of the host.
    #[inline]
    pub fn call(&mut self, call: &Call) {
        push(&mut self.records.calls, call, &mut self.records.lost.calls);
    }

    /// Begins a range inside the one that this buffer began last. It is recorded when it ends.
    #[inline]
    pub fn begin(&mut self, name: &RangeName) -> OpenRange {
        self.begin_inside(name, None)
    }

    /// Begins a range with a number for the tool; the file keeps none.
    #[inline]
    pub fn begin_with(&mut self, name: &RangeName, payload: Payload) -> OpenRange {
        self.begin_inside(name, Some(payload))
    }

    #[inline]
    fn begin_inside(&mut self, name: &RangeName, payload: Option<Payload>) -> OpenRange {
        let level = self.begun.len();
        if level == DEPTH {
            self.records.lost.ranges += 1;
            return OpenRange { id: ABSENT, level };
        }
        let (id, parent) = (self.session.next_id(), self.begun.last().map_or(ABSENT, |around| around.range.id));
        // The tool's range lies around the recorded one, so that its cost does not.
        let tool = name.push(payload);
        let (domain, name, depth) = (name.domain, name.name, level as i64);
        let start_ns = self.now_ns();
        self.begun.push(Begun { range: Range { id, parent, domain, name, start_ns, end_ns: start_ns, depth }, tool });
        OpenRange { id, level }
    }

    /// Ends a range of this buffer, on the thread where it began, and those that were begun inside it and are still open.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "a range ends once")]
    pub fn end(&mut self, open: OpenRange) {
        let end_ns = self.now_ns();
        if self.begun.get(open.level).is_none_or(|begun| begun.range.id != open.id) {
            return;
        }
        while self.begun.len() > open.level {
            let Some(Begun { range, tool }) = self.begun.pop() else { return };
            if let Some(domain) = tool {
                domain.pop();
            }
            self.range(&Range { end_ns, ..range });
        }
    }

    /// Records a range that has ended; the tool does not see it.
    #[inline]
    pub fn range(&mut self, range: &Range) {
        push(&mut self.records.ranges, range, &mut self.records.lost.ranges);
    }

    /// The operations recorded so far.
    pub fn operations(&self) -> &[Operation] {
        &self.records.operations
    }

    /// The dependencies recorded so far.
    pub fn dependencies(&self) -> &[Dependency] {
        &self.records.dependencies
    }

    /// The calls recorded so far.
    pub fn calls(&self) -> &[Call] {
        &self.records.calls
    }

    /// The ranges recorded so far.
    pub fn ranges(&self) -> &[Range] {
        &self.records.ranges
    }

    /// How many records of all kinds did not fit.
    pub fn lost(&self) -> u64 {
        let Lost { operations, dependencies, calls, ranges } = self.records.lost;
        operations + dependencies + calls + ranges
    }

    /// Nanoseconds since the session start.
    #[inline]
    pub fn now_ns(&self) -> i64 {
        self.session.now_ns()
    }
}

impl Drop for ThreadBuffer {
    fn drop(&mut self) {
        self.session.submit(std::mem::take(&mut self.records));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Head, Recorder};

    fn recorded(buffer: &ThreadBuffer) -> Vec<(i64, i64, i64)> {
        buffer.ranges().iter().map(|range| (range.id, range.parent, range.depth)).collect()
    }

    #[test]
    fn ranges_nest_and_one_that_nobody_ended_ends_with_the_range_around_it() {
        let recorder = Recorder::new(Head::default());
        let name = recorder.range_name("proftool", None, "range");
        let mut buffer = recorder.thread(0, Capacity::default());
        let outer = buffer.begin(&name);
        let inner = buffer.begin(&name);
        buffer.end(inner);
        let forgotten = buffer.begin(&name);
        buffer.end(outer);
        buffer.end(forgotten);
        assert_eq!(recorded(&buffer), [(1, 0, 1), (2, 0, 1), (0, ABSENT, 0)]);
        assert_eq!(buffer.ranges()[1].end_ns, buffer.ranges()[2].end_ns);
    }

    #[test]
    fn a_range_that_nests_too_deep_is_counted_as_lost_and_one_of_another_buffer_is_not_ended() {
        let recorder = Recorder::new(Head::default());
        let name = recorder.range_name("proftool", None, "range");
        let (mut buffer, mut other) =
            (recorder.thread(0, Capacity::default()), recorder.thread(1, Capacity::default()));
        let mut open: Vec<OpenRange> = (0..DEPTH + 2).map(|_| buffer.begin(&name)).collect();
        let foreign = other.begin(&name);
        buffer.end(foreign);
        while let Some(range) = open.pop() {
            buffer.end(range);
        }
        assert_eq!((buffer.ranges().len(), buffer.lost(), other.ranges().len()), (DEPTH, 2, 0));
    }
}
