//! Idle time and its causes: by hand, and against one decision a nanosecond.

use super::*;
use crate::fixture::Fixture;
use crate::metrics::Input;
use crate::windows::Window;
use proftool_trace::frame::{Tables, bools, floats, ints};
use proftool_trace::tables;
use proptest::prelude::*;

const PARTS: [&str; 7] =
    ["kv_wait_ns", "comm_wait_ns", "dependency_wait_ns", "sync_ns", "host_wait_ns", "launch_ns", "other_ns"];

fn idle(fixture: &Fixture) -> DataFrame {
    compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap()
}

fn parts(frame: &DataFrame, row: usize) -> Vec<Option<i64>> {
    PARTS.iter().map(|name| ints(frame, name).unwrap()[row]).collect()
}

#[test]
fn each_nanosecond_of_a_gap_belongs_to_the_first_cause() {
    // Device 0 works in 0..10 and 100..110. The second kernel waits for a KV copy (20..40), communication (30..50)
    // and a kernel (45..60) of device 1; the host synchronises in 55..70 and launches it at 80.
    let fixture = Fixture::new()
        .queue(1, 2, "kv")
        .kernel(0, 0, (0, 10))
        .copy(1, 2, (20, 40), 0, 8)
        .named_kernel("ncclSendRecv", 1, 1, (30, 50))
        .kernel(1, 0, (45, 60))
        .kernel(0, 0, (100, 110))
        .launched((80, 82))
        .after(&[0, 1, 2, 3])
        .sync_call((55, 70))
        .block((0, 120));
    let frame = idle(&fixture);
    let expected = [20, 10, 10, 10, 10 + 10, 20, 10].map(Some);
    assert_eq!(parts(&frame, 0), expected);
    assert_eq!(parts(&frame, 1), expected, "the only queue of the device has the same gaps");
    assert_eq!(ints(&frame, "idle_ns").unwrap()[0], Some(100));
    assert_eq!(floats(&frame, "coverage_ratio").unwrap()[0], Some(1.0));
    assert_eq!(floats(&frame, "idle_ratio").unwrap()[0], Some(100.0 / 120.0));
}

#[test]
fn without_dependency_rows_their_causes_are_null() {
    let fixture = Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (30, 40)).kernel(0, 1, (40, 50)).launched((5, 6));
    let frame = idle(&fixture);
    assert_eq!(parts(&frame, 0), [None, None, None, Some(0), Some(0), Some(0), Some(20)]);
    assert_eq!(floats(&frame, "coverage_ratio").unwrap()[0], Some(0.0));
    // Queue 1 idles from 0 to 40 and its kernel was launched at 5.
    assert_eq!(parts(&frame, 2), [None, None, None, Some(0), Some(5), Some(35), Some(0)]);
}

#[test]
fn sync_rows_are_not_work_and_graph_rows_are_not_reliable() {
    let fixture = Fixture::new().kernel(0, 0, (0, 10)).other("sync", 0, 0, (10, 50)).other("graph", 0, 0, (50, 60));
    let frame = idle(&fixture);
    assert_eq!(ints(&frame, "idle_ns").unwrap()[0], Some(40));
    assert_eq!(bools(&frame, "reliable").unwrap()[0], Some(false));
}

#[test]
fn the_order_of_the_rows_changes_nothing() {
    // Ties everywhere: two kernels start together, two ended together, and a queue works beside them.
    let fixture = Fixture::new()
        .kernel(0, 0, (0, 10))
        .kernel(0, 1, (5, 10))
        .kernel(1, 0, (12, 30))
        .kernel(0, 0, (40, 50))
        .launched((35, 36))
        .after(&[2])
        .kernel(0, 1, (40, 45))
        .launched((20, 21))
        .sync_call((28, 33));
    let tables = fixture.tables();
    let mut reversed = fixture.tables();
    for table in [&tables::ACTIVITIES, &tables::CALLS, &tables::DEPENDENCIES, &tables::DEVICES] {
        reversed.set(table, tables.get(table).reverse()).unwrap();
    }
    let of = |tables: &Tables| compute(&Input::new("run", "target", tables, Window::Default)).unwrap();
    assert!(of(&tables).equals_missing(&of(&reversed)));
    // The gap 10..40 ends at activity 3, the smaller id: it waits 18 for activity 2, then 3 for the host, 2 before its
    // launch and 5 after it; 10..12 is before the launch too.
    assert_eq!(parts(&of(&tables), 0), [0, 0, 18, 3, 4, 5, 0].map(Some));
}

#[test]
fn times_that_step_back_or_reach_the_ends_have_an_answer() {
    // The second kernel ends before it starts: it counts as empty, at its start.
    let stepped = Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (30, 20)).kernel(0, 0, (40, 50)).launched((60, 5));
    let frame = idle(&stepped);
    assert_eq!(ints(&frame, "idle_ns").unwrap()[0], Some(30));
    // The launch is recorded after the kernel began: all of the gap is before it.
    assert_eq!(parts(&frame, 0), [None, None, None, Some(0), Some(30), Some(0), Some(0)]);
    let ends = Fixture::new().kernel(0, 0, (i64::MIN, i64::MIN + 1)).kernel(0, 0, (i64::MAX - 1, i64::MAX));
    let frame = idle(&ends.launched((0, i64::MAX)).sync_call((i64::MIN, i64::MAX)));
    assert_eq!(ints(&frame, "span_ns").unwrap()[0], Some(i64::MAX));
    assert_eq!(ints(&frame, "busy_ns").unwrap()[0], Some(0));
}

/// device, queue, start, length, start of the launching call. Queue 1 copies (device 0: KV), queue 0 computes.
type RandomRow = (i64, i64, i64, i64, i64);

struct Random<'a> {
    rows: &'a [RandomRow],
    edges: &'a [(usize, usize)],
    windows: &'a [Span],
    syncs: &'a [Span],
}

impl Random<'_> {
    fn inputs(&self, at: usize) -> Vec<usize> {
        self.edges.iter().filter(|edge| edge.0 == at && edge.1 < at).map(|edge| edge.1).collect()
    }

    fn fixture(&self) -> Fixture {
        let mut fixture = Fixture::new().queue(0, 1, "kv");
        for (at, (device, queue, start, length, launched)) in self.rows.iter().enumerate() {
            let span = (*start, start + length);
            fixture = match queue {
                0 => fixture.kernel(*device, 0, span),
                _ => fixture.copy(*device, 1, span, 1 - device, 8),
            };
            // Every third row has no call.
            fixture = if at % 3 == 2 { fixture } else { fixture.launched((*launched, launched + 1)) };
            let inputs: Vec<i64> = self.inputs(at).into_iter().map(|input| input as i64).collect();
            fixture = fixture.after(&inputs);
        }
        let fixture = self.windows.iter().fold(fixture, |fixture, window| fixture.block(*window));
        self.syncs.iter().fold(fixture, |fixture, span| fixture.sync_call(*span))
    }

    /// The causes by brute force: one decision a nanosecond, straight from the definition.
    fn causes(&self, device: i64, queue: Option<i64>) -> [i64; 7] {
        let mine = |row: &RandomRow| row.0 == device && queue.is_none_or(|queue| queue == row.1);
        let runs = |row: &RandomRow, t: i64| row.2 <= t && t < row.2 + row.3;
        let busy = |t: i64| self.rows.iter().any(|row| mine(row) && runs(row, t));
        let mut causes = [0; 7];
        for window in self.windows {
            for t in (window.0..window.1).filter(|t| !busy(*t)) {
                let end = (t..window.1).find(|t| busy(*t)).unwrap_or(window.1);
                let next = (0..self.rows.len())
                    .filter(|at| mine(&self.rows[*at]) && self.rows[*at].2 >= end)
                    .min_by_key(|at| (self.rows[*at].2, *at));
                causes[next.map_or(6, |next| self.cause(next, t))] += 1;
            }
        }
        causes
    }

    fn cause(&self, next: usize, t: i64) -> usize {
        let row = self.rows[next];
        let running = |kv: bool| {
            self.inputs(next).into_iter().map(|input| self.rows[input]).any(|input| {
                let is_kv = (input.0, input.1) == (0, 1);
                input.2 <= t && t < input.2 + input.3 && is_kv == kv && (input.0, input.1) != (row.0, row.1)
            })
        };
        match () {
            () if running(true) => 0,
            () if running(false) => 2,
            () if self.syncs.iter().any(|sync| sync.0 <= t && t < sync.1) => 3,
            () if next % 3 == 2 => 6,
            () if t < row.4 => 4,
            () => 5,
        }
    }
}

proptest! {
    #[test]
    fn idle_and_its_causes_agree_with_a_decision_for_each_nanosecond(
        rows in prop::collection::vec((0..2_i64, 0..2_i64, 0..90_i64, 0..15_i64, 0..90_i64), 1..14),
        edges in prop::collection::vec((0..14_usize, 0..14_usize), 1..30),
        lengths in prop::collection::vec((0..20_i64, 1..25_i64), 1..3),
        syncs in prop::collection::vec((0..90_i64, 1..10_i64), 0..3),
    ) {
        let window = |(at, (start, length)): (usize, &(i64, i64))| (at as i64 * 50 + start, at as i64 * 50 + start + length);
        let windows: Vec<Span> = lengths.iter().enumerate().map(window).collect();
        let syncs: Vec<Span> = syncs.iter().map(|(start, length)| (*start, start + length)).collect();
        let random = Random { rows: &rows, edges: &edges, windows: &windows, syncs: &syncs };
        let frame = idle(&random.fixture());
        let (devices, queues) = (ints(&frame, "device").unwrap(), ints(&frame, "queue").unwrap());
        let has_dependencies = (0..rows.len()).any(|at| !random.inputs(at).is_empty());
        for at in 0..frame.height() {
            let expected = random.causes(devices[at].unwrap(), queues[at]);
            let found = parts(&frame, at);
            prop_assert_eq!(ints(&frame, "idle_ns").unwrap()[at], Some(expected.iter().sum::<i64>()));
            prop_assert_eq!(found.iter().flatten().sum::<i64>(), expected.iter().sum::<i64>());
            if has_dependencies {
                prop_assert_eq!(found, expected.map(Some).to_vec());
            }
        }
    }
}
