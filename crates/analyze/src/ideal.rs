//! The ideal makespan of a block: what its operations would take on the same hosts if nothing but data had to be waited
//! for.
//!
//! Operations are the compute kernels of the block that have a row in `work`. Edges are the declared data dependencies;
//! a transfer between two operations passes the edge on and costs nothing. Each operation runs on its recorded host
//! (device and queue) for the measured median of its kind (name, stage, phase, rows). The schedule is a list schedule
//! (Graham, 1969): whenever a host is free it starts the ready operation with the longest remaining path, ties by
//! iteration, micro-batch, stage, then identifier; nothing is interrupted, and no transfer or host time exists.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use crate::classes::{Class, Kind};
use crate::model::{Activity, DeviceKey, Edge, Model};
use crate::operators::Span;
use crate::statistics::{median, median_ns};
use crate::windows::{Scope, Window, sets};

/// One operation of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// The host that runs it, counted from 0.
    pub host: usize,
    /// How long it takes.
    pub duration_ns: i64,
    /// Order among operations with equal remaining paths: the smallest first.
    pub order: [i64; 4],
    /// Indices of the operations that must end first.
    pub inputs: Vec<usize>,
}

/// What distinguishes kinds of operations whose duration is the same.
type OperationKind = (u32, Option<i64>, Option<u32>, Option<i64>);

/// The measured median duration of each kind of operation.
#[derive(Clone, Debug, Default)]
pub struct Durations(HashMap<OperationKind, i64>);

impl Durations {
    /// The medians over all operations in the default windows of the pass, whatever window is reported.
    pub fn measure(model: &Model) -> Self {
        let windows = sets(model, &Window::Default, Scope::All).unwrap_or_default();
        let spans: Vec<Span> = windows.into_iter().flat_map(|set| set.spans).collect();
        let mut values: HashMap<OperationKind, Vec<i64>> = HashMap::new();
        for row in model.begun_in(&spans) {
            if let Some(kind) = operation_kind(row) {
                values.entry(kind).or_default().push(length(row.span));
            }
        }
        Self(values.into_iter().filter_map(|(kind, values)| Some((kind, median_ns(&values)?))).collect())
    }
}

fn length(span: Span) -> i64 {
    span.1.saturating_sub(span.0)
}

/// Kind of an operation, `None` for an activity that is none.
fn operation_kind(row: &Activity) -> Option<OperationKind> {
    let work = row.work().filter(|_| row.kind == Kind::Kernel && row.class == Class::Compute)?;
    Some((row.name, work.stage, work.phase, work.rows))
}

/// The ideal makespan of the operations that begin inside the window. `None` where the trace states no operations or no
/// data dependencies, or where these run in a circle.
pub fn makespan_ns(model: &Model, window: Span, durations: &Durations) -> Option<i64> {
    if !model.has_edge(Edge::Data) {
        return None;
    }
    let operations = operations(model, window, durations);
    if operations.is_empty() {
        return None;
    }
    schedule(&operations)
}

/// One measured window beside its ideal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockIdeal {
    /// Measured length of the window.
    pub span_ns: i64,
    /// Its ideal makespan, `None` as for [`makespan_ns`].
    pub ideal_makespan_ns: Option<i64>,
}

/// Each window with its ideal makespan.
pub fn of_windows(model: &Model, windows: &[Span], durations: &Durations) -> Vec<BlockIdeal> {
    let ideal = |window: &Span| BlockIdeal {
        span_ns: length(*window),
        ideal_makespan_ns: makespan_ns(model, *window, durations),
    };
    windows.iter().map(ideal).collect()
}

/// Each window of the default set (the measured blocks) with its ideal makespan.
pub fn block_ideals(model: &Model) -> Vec<BlockIdeal> {
    let windows = sets(model, &Window::Default, Scope::All).unwrap_or_default();
    let spans: Vec<Span> = windows.into_iter().flat_map(|set| set.spans).collect();
    of_windows(model, &spans, &Durations::measure(model))
}

/// T_ideal / T: the median over the windows. `None` where no window has an ideal.
pub fn ideal_ratio(blocks: &[BlockIdeal]) -> Option<f64> {
    let known = blocks.iter().filter(|block| block.span_ns > 0);
    let ratios = known.filter_map(|block| Some(block.ideal_makespan_ns? as f64 / block.span_ns as f64));
    median(&ratios.collect::<Vec<f64>>())
}

/// The graph of one window.
pub fn operations(model: &Model, window: Span, durations: &Durations) -> Vec<Operation> {
    let chosen: Vec<(usize, OperationKind)> =
        model.begun_in(&[window]).filter_map(|row| Some((model.index_of(row), operation_kind(row)?))).collect();
    let places: HashMap<usize, usize> = chosen.iter().enumerate().map(|(place, (index, _))| (*index, place)).collect();
    let mut hosts: HashMap<(DeviceKey, Option<i64>), usize> = HashMap::new();
    let mut operations = Vec::with_capacity(chosen.len());
    for (index, kind) in &chosen {
        let row = &model.activities[*index];
        let next = hosts.len();
        let work = row.work().unwrap_or_default();
        let known = |value: Option<i64>| value.unwrap_or(i64::MAX);
        operations.push(Operation {
            host: *hosts.entry((row.device, row.queue)).or_insert(next),
            duration_ns: durations.0.get(kind).copied().unwrap_or(length(row.span)),
            order: [known(work.step), known(work.micro_batch), known(work.stage), row.id],
            inputs: inputs(model, *index, &places),
        });
    }
    operations
}

/// The operations that one reads from, directly or through transfers.
fn inputs(model: &Model, index: usize, places: &HashMap<usize, usize>) -> Vec<usize> {
    let (mut found, mut seen, mut open) = (BTreeSet::new(), HashSet::new(), vec![index]);
    while let Some(at) = open.pop() {
        for (input, _) in model.inputs(at).filter(|(_, edge)| *edge == Edge::Data) {
            if let Some(place) = places.get(&input) {
                found.insert(*place);
            } else if model.activities[input].class != Class::Compute && seen.insert(input) {
                open.push(input);
            }
        }
    }
    found.into_iter().collect()
}

/// The length of the list schedule, `None` when the dependencies run in a circle.
pub fn schedule(operations: &[Operation]) -> Option<i64> {
    let users = users(operations);
    let paths = remaining_paths(operations, &users)?;
    let hosts = operations.iter().map(|operation| operation.host + 1).max().unwrap_or(0);
    let key = |at: usize| (Reverse(paths[at]), operations[at].order, at);
    let mut waiting: Vec<usize> = operations.iter().map(|operation| operation.inputs.len()).collect();
    let mut ready = vec![BTreeSet::new(); hosts];
    for at in (0..operations.len()).filter(|at| waiting[*at] == 0) {
        ready[operations[at].host].insert(key(at));
    }
    let (mut busy, mut running, mut now) = (vec![false; hosts], BinaryHeap::new(), 0_i64);
    // Hosts that may start something: only those that became free or got a ready operation.
    let mut due: Vec<usize> = (0..hosts).collect();
    loop {
        for host in due.drain(..) {
            if !busy[host]
                && let Some((_, _, at)) = ready[host].pop_first()
            {
                busy[host] = true;
                running.push(Reverse((now.saturating_add(operations[at].duration_ns), at)));
            }
        }
        let Some(Reverse((end, _))) = running.peek().copied() else { return Some(now) };
        now = end;
        // All that ends at this instant ends before anything starts, so that the choice does not depend on their order.
        while let Some(Reverse((_, at))) = running.pop_if_due(now) {
            busy[operations[at].host] = false;
            due.push(operations[at].host);
            for user in &users[at] {
                waiting[*user] -= 1;
                if waiting[*user] == 0 {
                    ready[operations[*user].host].insert(key(*user));
                    due.push(operations[*user].host);
                }
            }
        }
    }
}

/// `BinaryHeap::pop` for what ends by now.
trait PopIfDue {
    fn pop_if_due(&mut self, now: i64) -> Option<Reverse<(i64, usize)>>;
}

impl PopIfDue for BinaryHeap<Reverse<(i64, usize)>> {
    fn pop_if_due(&mut self, now: i64) -> Option<Reverse<(i64, usize)>> {
        if self.peek()?.0.0 <= now { self.pop() } else { None }
    }
}

fn users(operations: &[Operation]) -> Vec<Vec<usize>> {
    let mut users = vec![Vec::new(); operations.len()];
    for (at, operation) in operations.iter().enumerate() {
        for input in &operation.inputs {
            users[*input].push(at);
        }
    }
    users
}

/// For each operation its own duration and the longest chain of those that need it; `None` for a circle.
fn remaining_paths(operations: &[Operation], users: &[Vec<usize>]) -> Option<Vec<i64>> {
    let mut open: Vec<usize> = users.iter().map(Vec::len).collect();
    let mut ends: Vec<usize> = (0..operations.len()).filter(|at| open[*at] == 0).collect();
    let (mut paths, mut done) = (vec![0_i64; operations.len()], 0);
    while let Some(at) = ends.pop() {
        done += 1;
        let longest: i64 = users[at].iter().map(|user| paths[*user]).max().unwrap_or(0);
        paths[at] = longest.saturating_add(operations[at].duration_ns);
        for input in &operations[at].inputs {
            open[*input] -= 1;
            if open[*input] == 0 {
                ends.push(*input);
            }
        }
    }
    (done == operations.len()).then_some(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use proptest::prelude::*;

    fn operation(host: usize, duration_ns: i64, order: i64, inputs: &[usize]) -> Operation {
        Operation { host, duration_ns, order: [order, 0, 0, 0], inputs: inputs.to_vec() }
    }

    /// p stages of equal time t, m micro-batches: (m + p - 1) t.
    fn pipeline(stages: usize, micro_batches: usize, t: i64) -> Vec<Operation> {
        let place = |stage: usize, micro_batch: usize| micro_batch * stages + stage;
        let mut operations = Vec::new();
        for micro_batch in 0..micro_batches {
            for stage in 0..stages {
                let inputs: Vec<usize> = (stage > 0).then(|| place(stage - 1, micro_batch)).into_iter().collect();
                operations.push(operation(stage, t, micro_batch as i64, &inputs));
            }
        }
        operations
    }

    #[test]
    fn an_equal_pipeline_takes_its_closed_form() {
        for (stages, micro_batches) in [(1, 5), (2, 8), (4, 8), (4, 1)] {
            let expected = (micro_batches + stages - 1) as i64 * 7;
            assert_eq!(schedule(&pipeline(stages, micro_batches, 7)), Some(expected));
        }
    }

    #[test]
    fn the_longest_remaining_path_goes_first() {
        // Host 0 has a short operation (order 0) without users and one (order 1) that host 1 needs for 10.
        let operations = [operation(0, 5, 0, &[]), operation(0, 5, 1, &[]), operation(1, 10, 2, &[1])];
        assert_eq!(schedule(&operations), Some(15));
    }

    #[test]
    fn ties_go_by_iteration_and_a_started_operation_is_not_interrupted() {
        // Equal paths (2 + 3): order 1 goes first; host 1 then runs 3 and 3, so the end is 2 + 3 + 3.
        let tie =
            [operation(0, 2, 2, &[]), operation(0, 2, 1, &[]), operation(1, 3, 2, &[0]), operation(1, 3, 1, &[1])];
        assert_eq!(schedule(&tie), Some(8));
        // Host 0 starts the long one at 0 as the important one is not ready before 1: 10 + 1 + 20.
        let late =
            [operation(1, 1, 0, &[]), operation(0, 10, 1, &[]), operation(0, 1, 2, &[0]), operation(1, 20, 3, &[2])];
        assert_eq!(schedule(&late), Some(31));
    }

    #[test]
    fn a_circle_has_no_schedule_and_nothing_takes_no_time() {
        assert_eq!(schedule(&[operation(0, 1, 0, &[1]), operation(0, 1, 1, &[0])]), None);
        assert_eq!(schedule(&[]), Some(0));
    }

    #[test]
    fn durations_are_medians_and_edges_pass_through_copies() {
        // Stage 0 on device 0 runs three micro-batches for 10, 12 and 20 (median 12), stage 1 on device 1 for 5 each;
        // every hand-over is a copy. Ideal: three times 12, then 5.
        let mut fixture = Fixture::new();
        for (micro_batch, span) in [(0, 10), (10, 22), (30, 50)].into_iter().enumerate() {
            let at = micro_batch as i64;
            fixture = fixture.kernel(0, 0, span).work(0, "prefill", 0, at, 8);
            fixture = fixture.copy(0, 1, (span.1, span.1 + 3), 1, 8).after(&[at * 3]);
            fixture = fixture.kernel(1, 0, (span.1 + 3, span.1 + 8)).work(0, "prefill", 1, at, 8).after(&[at * 3 + 1]);
        }
        let model = fixture.block((0, 60)).model();
        let durations = Durations::measure(&model);
        assert_eq!(makespan_ns(&model, (0, 60), &durations), Some(3 * 12 + 5));
        // Only what begins inside the window counts: the first micro-batch alone.
        assert_eq!(makespan_ns(&model, (0, 10), &durations), Some(12));
    }

    #[test]
    fn without_data_dependencies_there_is_no_ideal() {
        let model = Fixture::new().kernel(0, 0, (0, 10)).work(0, "prefill", 0, 0, 8).model();
        assert_eq!(makespan_ns(&model, (0, 60), &Durations::measure(&model)), None);
    }

    /// The schedule, one instant after the other.
    fn by_instant(operations: &[Operation]) -> i64 {
        let paths = remaining_paths(operations, &users(operations)).unwrap();
        let mut ends: Vec<Option<i64>> = vec![None; operations.len()];
        for now in 0.. {
            let done = |ends: &[Option<i64>], at: usize| ends[at].is_some_and(|end| end <= now);
            if (0..operations.len()).all(|at| done(&ends, at)) {
                return now;
            }
            let ready: Vec<usize> = (0..operations.len())
                .filter(|at| ends[*at].is_none() && operations[*at].inputs.iter().all(|input| done(&ends, *input)))
                .collect();
            for host in 0..3 {
                let is_busy = (0..operations.len())
                    .any(|at| operations[at].host == host && ends[at].is_some_and(|end| end > now));
                let mine = ready.iter().filter(|at| operations[**at].host == host && !is_busy);
                if let Some(at) = mine.min_by_key(|at| (Reverse(paths[**at]), operations[**at].order, **at)) {
                    ends[*at] = Some(now + operations[*at].duration_ns);
                }
            }
        }
        0
    }

    proptest! {
        #[test]
        fn the_schedule_is_that_of_playing_it_by_the_nanosecond(
            raw in prop::collection::vec((0..3_usize, 1..9_i64, prop::collection::vec(0..20_usize, 0..3)), 1..20),
        ) {
            let inputs = |at: usize, all: &[usize]| {
                all.iter().copied().filter(|input| *input < at).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
            };
            let operations: Vec<Operation> = raw
                .iter()
                .enumerate()
                .map(|(at, (host, duration, all))| operation(*host, *duration, at as i64 % 3, &inputs(at, all)))
                .collect();
            prop_assert_eq!(schedule(&operations), Some(by_instant(&operations)));
        }

        #[test]
        fn a_schedule_lies_between_its_bounds(
            raw in prop::collection::vec((0..3_usize, 0..20_i64, prop::collection::vec(0..20_usize, 0..3)), 1..20),
        ) {
            let operations: Vec<Operation> = raw
                .iter()
                .enumerate()
                .map(|(at, (host, duration, inputs))| {
                    let inputs: BTreeSet<usize> = inputs.iter().copied().filter(|input| *input < at).collect();
                    operation(*host, *duration, at as i64, &inputs.into_iter().collect::<Vec<_>>())
                })
                .collect();
            let found = schedule(&operations).unwrap();
            let load = |host| operations.iter().filter(|o| o.host == host).map(|o| o.duration_ns).sum::<i64>();
            let longest = remaining_paths(&operations, &users(&operations)).unwrap().into_iter().max().unwrap();
            let lower = (0..3).map(load).max().unwrap().max(longest);
            let upper: i64 = operations.iter().map(|operation| operation.duration_ns).sum();
            prop_assert!(lower <= found && found <= upper, "{lower} <= {found} <= {upper}");
        }
    }
}
