//! Idle time of each device and queue, cut into causes.
//!
//! idle = T - |U(kernel, copy, set, graph rows)|; `sync` rows are not work. In a gap that ends at b, n is the activity
//! with the smallest (start, id) at or after b, and each nanosecond belongs to the first cause that holds:
//! a recorded dependency of n runs on another queue and is KV transfer (kv_wait), communication (comm_wait) or other
//! work (dependency_wait); a host synchronisation call of n's process is open (sync); n's launching call has not begun
//! (host_wait); it has begun (launch); there is no n, or it has no call row (other). The parts sum to idle exactly.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, clip, covered, gaps_in, into_union, length, split, subtract, total, within};
use crate::windows::WindowSet;

#[cfg(test)]
mod tests;

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
pub(crate) const CAUSES: [&str; 7] =
    ["kv_wait", "comm_wait", "dependency_wait", "sync", "host_wait", "launch", "other"];

/// How many of the first causes need rows in `dependencies`.
pub(crate) const DEPENDENT: usize = 3;

/// The kinds of rows that count as busy.
pub(crate) const BUSY: &str = "kernel, copy, set, graph";

/// Idle time by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// One part a cause: kv_wait, comm_wait, dependency_wait, sync, host_wait, launch, other.
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
        let places = Place::all(model, device);
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
        .text("classes", |_| Some(BUSY))
        .bool("reliable", |row| Some(row.reliable))
        .build(&TABLE)
}

/// A device (no queue) or one of its queues, with what it worked in the whole pass.
pub(crate) struct Place<'m> {
    pub(crate) device: DeviceKey,
    pub(crate) queue: Option<i64>,
    /// Its work, sorted by start and id.
    pub(crate) work: Vec<&'m Activity>,
    /// Union of the work.
    pub(crate) busy: Vec<Span>,
    graphs: Vec<Span>,
}

impl<'m> Place<'m> {
    /// The device, then each of its queues that is declared or worked, from one pass over its rows.
    pub(crate) fn all(model: &'m Model, device: DeviceKey) -> Vec<Self> {
        let rows = model.of_device(device).iter().filter(|row| row.class != Class::Sync);
        let work: Vec<&Activity> = rows.collect();
        let declared = model.queues.iter().filter(|queue| queue.device == device);
        // A queue that only synchronised has a row too: it was idle all the time.
        let seen = model.of_device(device).iter().filter_map(|row| row.queue);
        let mut queues: BTreeMap<i64, Vec<&Activity>> =
            declared.map(|queue| queue.queue).chain(seen).map(|queue| (queue, Vec::new())).collect();
        for row in &work {
            if let Some(rows) = row.queue.and_then(|queue| queues.get_mut(&queue)) {
                rows.push(row);
            }
        }
        let queues = queues.into_iter().map(|(queue, work)| Self::of(device, Some(queue), work));
        std::iter::once(Self::of(device, None, work)).chain(queues).collect()
    }

    fn of(device: DeviceKey, queue: Option<i64>, work: Vec<&'m Activity>) -> Self {
        let busy = into_union(work.iter().map(|row| row.span).collect());
        let graphs = work.iter().filter(|row| row.kind == Kind::Graph).map(|row| row.span);
        Self { graphs: into_union(graphs.collect()), device, queue, work, busy }
    }

    /// Whether no whole-graph row hides kernels, and the gaps between them, in the windows.
    pub(crate) fn reliable(&self, set: &WindowSet) -> bool {
        set.spans.iter().all(|window| within(&self.graphs, *window).is_empty())
    }
}

fn row(model: &Model, place: &Place, set: &WindowSet) -> Row {
    let span = total(&set.spans);
    let idle = gaps_in(&place.busy, &set.spans);
    Row {
        device: place.device,
        queue: place.queue,
        window: set.name.clone(),
        span,
        busy: span - total(&idle),
        causes: causes(model, &place.work, &idle),
        has_dependencies: model.has_dependencies,
        reliable: place.reliable(set),
    }
}

/// Cuts the gaps of a device or queue whose work, sorted by start and id, is given.
pub fn causes(model: &Model, work: &[&Activity], idle: &[Span]) -> Causes {
    let (mut causes, mut cutter) = (Causes::default(), Cutter::new(model, work));
    for gap in idle {
        let next = cutter.next(*gap);
        causes.followed += i64::from(next.is_some());
        causes.covered += i64::from(next.is_some_and(|next| next.call.is_some()));
        for (part, length) in causes.parts.iter_mut().zip(cutter.cut(next, *gap)) {
            *part = part.saturating_add(length);
        }
    }
    causes
}

/// Rows that are looked at one by one before the rest is bisected.
const NEAR: usize = 16;

/// Cuts gaps by cause. It is fastest when they come in order: then each row is passed once, and what is known of the row
/// that follows is kept for the next gap that it follows too.
pub(crate) struct Cutter<'m, 'w> {
    model: &'m Model,
    work: &'w [&'m Activity],
    /// The first row that begins at or after the end of the last gap.
    at: usize,
    /// When the recorded dependencies of one activity (by its index) ran on another queue: KV transfers, communication,
    /// other work.
    waits: Option<(usize, [Vec<Span>; DEPENDENT])>,
    /// When synchronisation calls were open in the process of the row asked about last.
    syncs: Option<(Process, &'m [Span])>,
}

/// A rank and its process.
type Process = (i64, Option<i64>);

impl<'m, 'w> Cutter<'m, 'w> {
    /// Of a device or queue whose work, sorted by start and id, is given.
    pub(crate) fn new(model: &'m Model, work: &'w [&'m Activity]) -> Self {
        Self { model, work, at: usize::MAX, waits: None, syncs: None }
    }

    /// The activity that follows a gap: that with the smallest (start, id) at or after its end.
    pub(crate) fn next(&mut self, gap: Span) -> Option<&'m Activity> {
        let begun = |row: &&Activity| row.span.0 < gap.1;
        // Bisected for the first gap, and after a step back.
        if self.at > self.work.len() || self.at.checked_sub(1).is_some_and(|last| !begun(&self.work[last])) {
            self.at = self.work.partition_point(begun);
        }
        // The next gap is mostly near; the longest gaps, asked for by themselves, lie anywhere.
        let ahead = self.work[self.at..].iter().take(NEAR).take_while(|row| begun(row)).count();
        self.at += ahead;
        if ahead == NEAR {
            self.at += self.work[self.at..].partition_point(begun);
        }
        self.work.get(self.at).copied()
    }

    /// The parts of a gap, which sum to its length.
    pub(crate) fn cut(&mut self, next: Option<&Activity>, gap: Span) -> [i64; 7] {
        let mut parts = [0; 7];
        let Some(next) = next else {
            parts[6] = length(gap);
            return parts;
        };
        let waits = self.waits(next).map(|set| within(set, gap));
        if waits.iter().all(Vec::is_empty) {
            self.host_parts(next, gap, &mut parts);
            return parts;
        }
        let mut pieces = split(&[gap], &waits.each_ref().map(Vec::as_slice));
        let rest = pieces.pop().unwrap_or_default();
        for (part, piece) in parts.iter_mut().zip(&pieces) {
            *part = total(piece);
        }
        for piece in rest {
            self.host_parts(next, piece, &mut parts);
        }
        parts
    }

    /// Adds the parts of a piece of a gap in which no dependency ran: sync, host_wait and launch, or other.
    fn host_parts(&mut self, next: &Activity, piece: Span, parts: &mut [i64; 7]) {
        let syncs = self.syncs(next);
        let mut add = |cause: usize, span: Span| {
            let open = covered(span, syncs);
            parts[3] = parts[3].saturating_add(open);
            parts[cause] = parts[cause].saturating_add(length(span) - open);
        };
        match next.call {
            Some(call) => {
                let begin = self.model.calls[call as usize].span.0.clamp(piece.0, piece.1);
                add(4, (piece.0, begin));
                add(5, (begin, piece.1));
            }
            None => add(6, piece),
        }
    }

    /// The time that the part host_wait of a gap is: a set.
    pub(crate) fn host_wait(&mut self, next: &Activity, gap: Span) -> Vec<Span> {
        let Some(call) = next.call else { return Vec::new() };
        let before = clip((gap.0, self.model.calls[call as usize].span.0), gap);
        let syncs = self.syncs(next);
        before.map_or_else(Vec::new, |before| {
            let [kv, comm, other] = self.waits(next).map(|set| within(set, before));
            [kv, comm, other, within(syncs, before)].iter().fold(vec![before], |rest, taken| subtract(&rest, taken))
        })
    }

    fn syncs(&mut self, next: &Activity) -> &'m [Span] {
        let process = (next.device.0, next.process);
        if let Some((_, known)) = self.syncs.filter(|(known, _)| *known == process) {
            return known;
        }
        let syncs = self.model.open_syncs(process.0, process.1);
        self.syncs = Some((process, syncs));
        syncs
    }

    fn waits(&mut self, next: &Activity) -> [&[Span]; DEPENDENT] {
        if !self.model.has_dependencies {
            return [&[]; DEPENDENT];
        }
        let index = self.model.index_of(next);
        if self.waits.as_ref().is_none_or(|(known, _)| *known != index) {
            self.waits = Some((index, running_inputs(self.model, next, index)));
        }
        self.waits.as_ref().map_or([&[]; DEPENDENT], |(_, waits)| waits.each_ref().map(Vec::as_slice))
    }
}

/// When recorded dependencies of an activity ran on another queue: KV transfers, communication, other work.
fn running_inputs(model: &Model, next: &Activity, index: usize) -> [Vec<Span>; DEPENDENT] {
    let mut spans = [Vec::new(), Vec::new(), Vec::new()];
    for (input, _) in model.inputs(index) {
        let row = &model.activities[input];
        if let Some(cause) = waited_for(row).filter(|_| (row.device, row.queue) != (next.device, next.queue)) {
            spans[cause].push(row.span);
        }
    }
    spans.map(into_union)
}

/// The cause that waiting for an activity is; none for one that is no work.
pub(crate) fn waited_for(row: &Activity) -> Option<usize> {
    match row.class {
        Class::Sync => None,
        Class::Kv => Some(0),
        Class::Comm => Some(1),
        Class::Compute | Class::Copy | Class::Set => Some(2),
    }
}
