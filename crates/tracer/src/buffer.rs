//! The buffer that one thread fills.

use std::sync::Arc;

use crate::record::{Call, Dependency, Operation, Range};
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

/// The buffer that one thread fills; its records join the session when it is dropped.
#[derive(Debug)]
pub struct ThreadBuffer {
    records: Records,
    session: Arc<Shared>,
}

impl ThreadBuffer {
    pub(crate) fn new(session: Arc<Shared>, thread: i64, capacity: Capacity) -> Self {
        Self { records: Records::new(thread, capacity), session }
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

    /// Records a range that has ended.
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
