//! Nested ranges of host threads, projected onto what was launched inside them.
//!
//! A *lane* is a host thread. A range `[start, end]` **holds** an operation when the call that launched it lies on the
//! range's lane and inside it: `start <= call.start` and `call.end <= end` (the rule of NVIDIA's `nvtx_gpu_proj_trace`).
//! Ranges of one lane usually nest, but need not: two domains have stacks of their own, and a range that is started and
//! ended may cross others. Everything here is exact for crossing ranges too.
//!
//! - The **parent** of a range is the one that encloses it and began last; of equal starts the one that ends first, of
//!   equal spans the one with the largest identifier below its own. The **innermost** range of an operation is the one
//!   that holds it and began last, with the same ties. *Exclusive* numbers are about the operations whose innermost
//!   range it is, *inclusive* ones about all that it holds.
//! - The **projection** is from the start of the first operation that it holds to the end of the last to end.
//! - **busy** is the length of the union of their times: operations on several queues or devices count once.
//!
//! One sweep a lane with a stack gives parents and innermost ranges. Inclusive sums are found without looking at a range's
//! operations one by one: calls enter by their end, a range asks when all calls that end no later have entered, and
//! the answer is a sum over the calls that began no earlier (the module `held`); where the operations of a lane ran one after
//! the other, running sums do (the module `chain`). All is O((R + L) log(R + L)) however deep ranges nest.

mod chain;
mod held;

use std::cmp::Reverse;

use crate::operators::Span;
use chain::Chain;
use held::{Held, Sums};

/// A range that begins and ends on one lane, `start <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The host thread; lanes are numbered from 0 without large holes.
    pub lane: u32,
    /// Identifier, by which ranges of equal spans are ordered: the outer one has the smaller.
    pub id: i64,
    /// From begin to end.
    pub span: Span,
}

/// An operation of a device and the call that launched it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The host thread of the call.
    pub lane: u32,
    /// Number of the call: operations of one graph launch share it.
    pub launch: u32,
    /// From the begin to the end of the call.
    pub call: Span,
    /// From the begin to the end of the operation on its device.
    pub span: Span,
}

/// What a range holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Projected {
    /// Index of the innermost other range that encloses it.
    pub parent: Option<u32>,
    /// Number of its ancestors.
    pub level: u32,
    /// Number of ranges whose parent it is.
    pub children: u32,
    /// Calls that it holds, of those that launched something.
    pub launches: u32,
    /// Operations that it holds.
    pub operations: u32,
    /// Those whose innermost range it is.
    pub own_operations: u32,
    /// From the first start to the last end of its operations; (0, 0) without any, see [`Projected::span`].
    pub(crate) projection: Span,
    /// Sum of the durations of its operations, in ns; saturates.
    pub work: i64,
    /// Length of the union of its operations, in ns; saturates.
    pub busy: i64,
    /// The same of those whose innermost range it is.
    pub own_busy: i64,
}

impl Projected {
    /// From the first start to the last end of its operations.
    pub fn span(&self) -> Option<Span> {
        (self.operations > 0).then_some(self.projection)
    }
}

/// What [`project`] finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// One a range, in the order of the ranges.
    pub ranges: Vec<Projected>,
    /// Index of the innermost range of each operation, in the order of the operations.
    pub innermost: Vec<Option<u32>>,
}

/// Projects ranges onto the operations that they hold. The order of the rows does not matter.
pub fn project(ranges: &[Range], operations: &[Operation]) -> Projection {
    let mut found =
        Projection { ranges: vec![Projected::default(); ranges.len()], innermost: vec![None; operations.len()] };
    let mut of_ranges = by_lane(ranges.len(), |at| ranges[at].lane);
    let mut of_operations = by_lane(operations.len(), |at| operations[at].lane);
    for (lane, places) in of_ranges.iter_mut() {
        let launched = of_operations.get_mut(lane);
        let mut lane = Lane { ranges, operations, found: &mut found };
        lane.sweep(places, launched);
    }
    exclusive(operations, &mut found);
    found
}

/// Indices of rows, lane by lane.
struct ByLane {
    indices: Vec<u32>,
    /// Where each lane begins, and the end of the last.
    starts: Vec<usize>,
}

impl ByLane {
    fn get_mut(&mut self, lane: usize) -> &mut [u32] {
        let bounds = self.starts.get(lane).zip(self.starts.get(lane + 1));
        bounds.map_or(&mut [], |(from, to)| &mut self.indices[*from..*to])
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut [u32])> {
        let mut rest = self.indices.as_mut_slice();
        self.starts.windows(2).enumerate().map(move |(lane, bounds)| {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(bounds[1] - bounds[0]);
            rest = others;
            (lane, own)
        })
    }
}

/// A counting sort.
fn by_lane(rows: usize, lane: impl Fn(usize) -> u32) -> ByLane {
    let lanes = (0..rows).map(|at| lane(at) as usize + 1).max().unwrap_or(0);
    let mut starts = vec![0; lanes + 1];
    for at in 0..rows {
        starts[lane(at) as usize + 1] += 1;
    }
    for at in 0..lanes {
        starts[at + 1] += starts[at];
    }
    let (mut next, mut indices) = (starts.clone(), vec![0; rows]);
    for at in 0..rows {
        let place = &mut next[lane(at) as usize];
        indices[*place] = at as u32;
        *place += 1;
    }
    ByLane { indices, starts }
}

/// A call that launched operations of its lane.
#[derive(Clone, Copy, Debug)]
struct Launch {
    span: Span,
    /// Its operations, from and to, in the sorted operations of the lane.
    operations: (u32, u32),
}

/// One host thread.
struct Lane<'a> {
    ranges: &'a [Range],
    operations: &'a [Operation],
    found: &'a mut Projection,
}

impl Lane<'_> {
    fn sweep(&mut self, places: &mut [u32], launched: &mut [u32]) {
        // Stable sorts, because they are fast on rows that come in the order of time, as they mostly do.
        places.sort_by_key(|at| {
            let range = &self.ranges[*at as usize];
            (range.span.0, Reverse(range.span.1), range.id)
        });
        launched.sort_by_key(|at| {
            let operation = &self.operations[*at as usize];
            (call(operation), operation.launch)
        });
        let launches = self.launches(launched);
        self.nest(places, launched, &launches);
        self.hold(places, launched, &launches);
    }

    /// The calls of the lane by start.
    fn launches(&self, launched: &[u32]) -> Vec<Launch> {
        let mut launches: Vec<Launch> = Vec::new();
        let mut last = None;
        for (place, at) in launched.iter().enumerate() {
            let operation = &self.operations[*at as usize];
            let place = place as u32;
            if last.replace((call(operation), operation.launch)) != Some((call(operation), operation.launch)) {
                launches.push(Launch { span: call(operation), operations: (place, place) });
            }
            if let Some(launch) = launches.last_mut() {
                launch.operations.1 = place + 1;
            }
        }
        launches
    }

    /// Parents, levels and innermost ranges, by a stack whose ends never grow towards the top: a range that ends before
    /// one that began later can enclose nothing that follows which the later one does not.
    fn nest(&mut self, places: &[u32], launched: &[u32], launches: &[Launch]) {
        let mut stack: Vec<(i64, u32)> = Vec::new();
        let mut next = 0;
        for launch in launches {
            while let Some(at) = places.get(next).filter(|at| self.ranges[**at as usize].span.0 <= launch.span.0) {
                self.open(&mut stack, *at);
                next += 1;
            }
            let holding = stack.partition_point(|(end, _)| *end >= launch.span.1);
            let Some((_, range)) = holding.checked_sub(1).map(|top| stack[top]) else { continue };
            let (from, to) = launch.operations;
            for at in &launched[from as usize..to as usize] {
                self.found.innermost[*at as usize] = Some(range);
            }
        }
        places[next..].iter().for_each(|at| self.open(&mut stack, *at));
    }

    fn open(&mut self, stack: &mut Vec<(i64, u32)>, at: u32) {
        let end = self.ranges[at as usize].span.1;
        while stack.last().is_some_and(|(other, _)| *other < end) {
            stack.pop();
        }
        if let Some((_, parent)) = stack.last() {
            let above = &mut self.found.ranges[*parent as usize];
            above.children += 1;
            let level = above.level + 1;
            let own = &mut self.found.ranges[at as usize];
            (own.parent, own.level) = (Some(*parent), level);
        }
        stack.push((end, at));
    }

    /// What each range holds, all levels together.
    fn hold(&mut self, places: &[u32], launched: &[u32], launches: &[Launch]) {
        if launches.is_empty() {
            return;
        }
        let operations = self.operations;
        let span = |place: u32| work(&operations[launched[place as usize] as usize]);
        match Chain::of(launches, span) {
            Some(chain) => self.hold_chain(places, launches, &chain),
            None => self.hold_any(places, launches, launched.len(), span),
        }
    }

    /// Ranges come by start, so each call is passed once.
    fn hold_chain(&mut self, places: &[u32], launches: &[Launch], chain: &Chain) {
        let mut first = 0;
        for at in places {
            let range = self.ranges[*at as usize].span;
            while launches.get(first).is_some_and(|launch| launch.span.0 < range.0) {
                first += 1;
            }
            if let Some(sums) = chain.held(first, range) {
                self.keep(*at, &sums);
            }
        }
    }

    fn hold_any(&mut self, places: &[u32], launches: &[Launch], operations: usize, span: impl Fn(u32) -> Span) {
        let mut held = Held::new((0..operations as u32).map(&span), launches.len());
        let mut entering: Vec<(i64, u32)> =
            launches.iter().enumerate().map(|(at, launch)| (launch.span.1, at as u32)).collect();
        entering.sort_unstable();
        let mut asking: Vec<(i64, u32)> = places.iter().map(|at| (self.ranges[*at as usize].span.1, *at)).collect();
        asking.sort_unstable();
        let mut next = 0;
        for (end, at) in asking {
            while let Some((_, launch)) = entering.get(next).filter(|(other, _)| *other <= end) {
                let (from, to) = launches[*launch as usize].operations;
                held.enter(*launch, (from..to).map(&span));
                next += 1;
            }
            let start = self.ranges[at as usize].span.0;
            let first = launches.partition_point(|launch| launch.span.0 < start);
            self.keep(at, &held.since(first));
        }
    }

    fn keep(&mut self, at: u32, sums: &Sums) {
        let own = &mut self.found.ranges[at as usize];
        (own.launches, own.operations) = (sums.launches, sums.operations);
        if sums.operations > 0 {
            own.projection = (sums.first, sums.last);
        }
        (own.work, own.busy) = (length(sums.work), length(sums.busy));
    }
}

/// The times of the call; a clock that stepped back makes it empty.
fn call(operation: &Operation) -> Span {
    (operation.call.0, operation.call.1.max(operation.call.0))
}

fn work(operation: &Operation) -> Span {
    (operation.span.0, operation.span.1.max(operation.span.0))
}

fn length(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// Counts and unites the operations by their innermost range.
fn exclusive(operations: &[Operation], found: &mut Projection) {
    let own = operations.iter().zip(&found.innermost);
    let mut own: Vec<(u32, Span)> = own.filter_map(|(operation, range)| Some(((*range)?, work(operation)))).collect();
    own.sort_unstable();
    for same in own.chunk_by(|a, b| a.0 == b.0) {
        let (mut busy, mut until) = (0_u64, i64::MIN);
        for (_, (start, end)) in same {
            busy += end.abs_diff((*start).max(until).min(*end));
            until = until.max(*end);
        }
        let range = &mut found.ranges[same[0].0 as usize];
        (range.own_operations, range.own_busy) = (same.len() as u32, length(busy));
    }
}

#[cfg(test)]
mod tests;
