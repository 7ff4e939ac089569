//! Idle time of each device and queue, cut into causes.
//!
//! idle = T - |U(kernel, copy, set, graph rows)|; `sync` rows are not work. In a gap that ends at b, n is the activity
//! with the smallest (start, id) at or after b, and each nanosecond belongs to the first cause that holds:
//! a recorded dependency of n runs on another queue and is KV transfer (kv_wait), communication (comm_wait) or other
//! work (dependency_wait); a host synchronisation call of n's process is open (sync); n's launching call has not begun
//! (host_wait); it has begun (launch); there is no n, or it has no call row (other). The parts sum to idle exactly.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, clip, gaps, split_totals, total, union, within};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "idle",
    doc: "How long each device and queue did nothing, and why; the causes sum to the idle time exactly.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "idle",
    doc: "Idle time of one device (queue null) or one queue in one window set.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        int("queue", "The queue, or null for the device as a whole.").or_null(),
        WINDOW,
        int("span_ns", "Length of the windows, T."),
        int("busy_ns", "Length of the union of its work, clipped to the windows."),
        int("idle_ns", "span_ns - busy_ns."),
        float("idle_ratio", "idle_ns / span_ns; null for an empty window.").or_null(),
        int("kv_wait_ns", "A KV transfer that the next activity depends on was running; null without dependencies.")
            .or_null(),
        int("comm_wait_ns", "Communication that it depends on was running; null without dependencies.").or_null(),
        int("dependency_wait_ns", "Other work that it depends on was running; null without dependencies.").or_null(),
        int("sync_ns", "A host synchronisation call of its process was open."),
        int("host_wait_ns", "Its launching call had not begun."),
        int("launch_ns", "Its launching call had begun, and nothing else explains the wait."),
        int("other_ns", "No activity follows, or its launching call is not recorded."),
        float("coverage_ratio", "Share of the gap-following activities whose launching call is recorded.").or_null(),
        text("classes", "The kinds of rows that count as busy."),
        boolean("reliable", "False where whole-graph rows hide the kernels and the gaps between them."),
    ],
};

/// The causes in the order of the match, then what they leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// kv_wait, comm_wait, dependency_wait, sync, host_wait, launch, other.
    pub parts: [i64; 7],
    /// Gaps that an activity follows.
    pub(crate) followed: i64,
    /// Those where its launching call is recorded.
    pub(crate) covered: i64,
}

struct Row {
    device: DeviceKey,
    queue: Option<i64>,
    window: String,
    span: i64,
    busy: i64,
    causes: Causes,
    has_dependencies: bool,
    reliable: bool,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = input.of_devices(|model, device, sets| {
        let queues = std::iter::once(None).chain(model.queues_of(device).into_iter().map(Some));
        let places: Vec<Place> = queues.map(|queue| Place::of(model, device, queue)).collect();
        sets.iter().flat_map(|set| places.iter().map(|place| row(model, place, set))).collect()
    })?;
    let cause = |at: usize| move |row: &Row| Some(row.causes.parts[at]);
    let dependent = |at: usize| move |row: &Row| row.has_dependencies.then_some(row.causes.parts[at]);
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .int("queue", |row| row.queue)
        .text("window", |row| Some(&row.window))
        .int("span_ns", |row| Some(row.span))
        .int("busy_ns", |row| Some(row.busy))
        .int("idle_ns", |row| Some(row.span - row.busy))
        .float("idle_ratio", |row| ratio(row.span - row.busy, row.span))
        .int("kv_wait_ns", dependent(0))
        .int("comm_wait_ns", dependent(1))
        .int("dependency_wait_ns", dependent(2))
        .int("sync_ns", cause(3))
        .int("host_wait_ns", cause(4))
        .int("launch_ns", cause(5))
        .int("other_ns", cause(6))
        .float("coverage_ratio", |row| ratio(row.causes.covered, row.causes.followed))
        .text("classes", |_| Some("kernel, copy, set, graph"))
        .bool("reliable", |row| Some(row.reliable))
        .build(&TABLE)
}

/// A device or one of its queues, with what it worked in the whole pass.
struct Place<'m> {
    device: DeviceKey,
    queue: Option<i64>,
    work: Vec<&'m Activity>,
    busy: Vec<Span>,
    graphs: Vec<Span>,
}

impl<'m> Place<'m> {
    fn of(model: &'m Model, device: DeviceKey, queue: Option<i64>) -> Self {
        let of_queue = |row: &&Activity| queue.is_none() || row.queue == queue;
        let work: Vec<&Activity> =
            model.of_device(device).iter().filter(|row| row.class != Class::Sync).filter(of_queue).collect();
        let busy = union(&work.iter().map(|row| row.span).collect::<Vec<_>>());
        let graphs = work.iter().filter(|row| row.kind == Kind::Graph).map(|row| row.span);
        Self { graphs: union(&graphs.collect::<Vec<_>>()), device, queue, work, busy }
    }
}

fn row(model: &Model, place: &Place, set: &WindowSet) -> Row {
    let span = total(&set.spans);
    let idle: Vec<Span> = set.spans.iter().flat_map(|window| gaps(&within(&place.busy, *window), *window)).collect();
    Row {
        device: place.device,
        queue: place.queue,
        window: set.name.clone(),
        span,
        busy: span - total(&idle),
        causes: causes(model, &place.work, &idle),
        has_dependencies: model.has_dependencies,
        reliable: set.spans.iter().all(|window| within(&place.graphs, *window).is_empty()),
    }
}

/// Cuts the gaps of a device or queue whose work, sorted by start and id, is given.
pub fn causes(model: &Model, work: &[&Activity], idle: &[Span]) -> Causes {
    let mut causes = Causes::default();
    for gap in idle {
        let next = work.get(work.partition_point(|row| row.span.0 < gap.1));
        let Some(next) = next else {
            causes.parts[6] += gap.1 - gap.0;
            continue;
        };
        causes.followed += 1;
        causes.covered += i64::from(next.call.is_some());
        for (part, length) in causes.parts.iter_mut().zip(cut(model, next, *gap)) {
            *part += length;
        }
    }
    causes
}

/// Cuts one gap by the causes of the activity that follows it.
fn cut(model: &Model, next: &Activity, gap: Span) -> [i64; 7] {
    let waits = running_inputs(model, next, gap);
    let syncs = within(model.open_syncs(next.device.0, next.process), gap);
    // Before the launching call, then after it; both are empty where the call is not recorded.
    let (before, after) = match next.call {
        Some(call) => {
            let begin = model.calls[call as usize].span.0.clamp(gap.0, gap.1);
            (union(&[(gap.0, begin)]), union(&[(begin, gap.1)]))
        }
        None => (Vec::new(), Vec::new()),
    };
    let parts = split_totals(&[gap], &[&waits[0], &waits[1], &waits[2], &syncs, &before, &after]);
    std::array::from_fn(|at| parts[at])
}

/// When recorded dependencies ran on another queue inside the gap: KV transfers, communication, other work.
fn running_inputs(model: &Model, next: &Activity, gap: Span) -> [Vec<Span>; 3] {
    let mut spans = [Vec::new(), Vec::new(), Vec::new()];
    if !model.has_dependencies {
        return spans;
    }
    for (input, _) in model.inputs(model.index_of(next)) {
        let row = &model.activities[input];
        let elsewhere = (row.device, row.queue) != (next.device, next.queue);
        let kind = match row.class {
            Class::Sync => continue,
            Class::Kv => 0,
            Class::Comm => 1,
            Class::Compute | Class::Copy | Class::Set => 2,
        };
        spans[kind].extend(clip(row.span, gap).filter(|_| elsewhere));
    }
    spans.map(|spans| union(&spans))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::metrics::Input;
    use crate::windows::Window;
    use proftool_trace::frame::{bools, floats, ints};
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
        let fixture =
            Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (30, 40)).kernel(0, 1, (40, 50)).launched((5, 6));
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
}
