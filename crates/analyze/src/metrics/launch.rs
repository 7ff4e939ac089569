//! Launches: how long the host's calls take, how long their work waits, and when the device waits for the host.
//!
//! A *launch* is one host call and the first activity that it started on the device; a graph launch starts many, which
//! then wait for each other and not for the host. Of a call [c0, c1) and its first activity that begins at s:
//! - api = c1 - c0.
//! - queue delay = s - c1. As in the `kern_exec` reports of Nsight Systems it is absent where s < c1; such launches are
//!   counted in `started_during_call`. (HTA's `launch_delay` is max(0, s - c1): the same values, with zeros for those.)
//! - latency = s - c0; absent where s < c0, which only clocks that disagree produce (`started_before_call`).
//!
//! Idle time is that of the metric `idle`: the gaps between rows of work on the device, each cut by what the activity n
//! behind it waited for. Of idle's parts `host_wait_ns` is taken as it is, and `launch_ns` is cut where n's call ends, so
//! idle's `launch_ns` = `call_ns` + `queue_ns` and launch_bound = host_wait + call: the host had not yet handed over the
//! next work, and was neither waiting for the device nor held up by a recorded dependency. `rest_ns` is what remains:
//! idle's kv_wait, comm_wait, dependency_wait, sync and other. The four parts sum to the idle time exactly.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_timeline::summary::Summary;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::idle::{BUSY, Cutter};
use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, gaps_in, into_union, length, total, within};
use crate::windows::WindowSet;
use first::Firsts;

pub(crate) mod first;

#[cfg(test)]
mod tests;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "launch",
    doc: "How long launching calls take, how long their work waits, and how much idle time is the host's.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "launch",
    doc: "The launches on one device in one window set: all of them (name null), or those of one host function.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the launching call, or null for all.").or_null(),
        int("activities", "Kernel, copy, set and graph rows that begin in the windows."),
        int("with_call", "Those whose launching call is recorded."),
        float("coverage_ratio", "with_call / activities; null without activities.").or_null(),
        int("launches", "Calls whose first activity on the device begins in the windows."),
        int("api_total_ns", "Sum of the durations of these calls."),
        int("api_median_ns", "Median duration of a call, rounded down; null without launches.").or_null(),
        int("api_p99_ns", "Its 99th percentile (linear between ranks), rounded down.").or_null(),
        int("queued", "Launches whose first activity begins at or after the end of the call."),
        int("started_during_call", "Launches whose first activity begins before the call returns."),
        int("started_before_call", "Of these, those that begin before the call does: clocks that disagree."),
        int("queue_delay_total_ns", "Sum over `queued` of first start - call end."),
        int("queue_delay_median_ns", "Its median, rounded down; null where none is queued.").or_null(),
        int("queue_delay_p99_ns", "Its 99th percentile.").or_null(),
        int("queue_delay_max_ns", "The longest.").or_null(),
        int("latency_median_ns", "Median of first start - call start where that is not negative.").or_null(),
        int("latency_p99_ns", "Its 99th percentile.").or_null(),
        int("span_ns", "Length of the windows."),
        int("idle_ns", "Idle time of the device; of a name: in gaps that an activity of such a call ends."),
        int("host_wait_ns", "Of it: that call had not begun (idle's host_wait_ns); null without any call row.")
            .or_null(),
        int("call_ns", "Of it: that call was running (the first part of idle's launch_ns).").or_null(),
        int("queue_ns", "Of it: that call had returned (the rest of idle's launch_ns).").or_null(),
        int("rest_ns", "Of it: synchronisation, dependencies, no following activity, or no call row.").or_null(),
        int("launch_bound_ns", "host_wait_ns + call_ns.").or_null(),
        float("launch_bound_ratio", "launch_bound_ns / span_ns.").or_null(),
        float("launch_bound_idle_ratio", "launch_bound_ns / idle_ns.").or_null(),
        float("gap_coverage_ratio", "Share of the gaps that an activity ends whose launching call is recorded.")
            .or_null(),
        text("classes", "The kinds of rows that count as launched work."),
        boolean("reliable", "False where whole-graph rows hide the kernels and the gaps between them."),
        text("reason", "Why values are null.").or_null(),
    ],
};

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut firsts = Firsts::new(input.model()?.calls.len());
    let rows = input.of_devices(|model, device, sets| {
        let place = Place::of(model, device, &mut firsts);
        sets.iter().flat_map(|set| rows(model, &place, set)).collect()
    })?;
    let part = |at: usize| move |row: &Row| row.reason.is_none().then_some(row.idle.parts[at]);
    let bound = |row: &Row| row.idle.parts[0].saturating_add(row.idle.parts[1]);
    let known = |row: &Row| row.reason.is_none();
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("name", |row| row.name.as_ref())
        .int("activities", |row| Some(row.activities))
        .int("with_call", |row| Some(row.with_call))
        .float("coverage_ratio", |row| ratio(row.with_call, row.activities))
        .int("launches", |row| Some(row.api.count() as i64))
        .int("api_total_ns", |row| Some(row.api.total()))
        .int("api_median_ns", |row| row.api.median())
        .int("api_p99_ns", |row| row.api.percentile(99))
        .int("queued", |row| Some(row.delay.count() as i64))
        .int("started_during_call", |row| Some((row.api.count() - row.delay.count()) as i64))
        .int("started_before_call", |row| Some((row.api.count() - row.latency.count()) as i64))
        .int("queue_delay_total_ns", |row| Some(row.delay.total()))
        .int("queue_delay_median_ns", |row| row.delay.median())
        .int("queue_delay_p99_ns", |row| row.delay.percentile(99))
        .int("queue_delay_max_ns", |row| row.delay.max())
        .int("latency_median_ns", |row| row.latency.median())
        .int("latency_p99_ns", |row| row.latency.percentile(99))
        .int("span_ns", |row| Some(row.span))
        .int("idle_ns", |row| Some(row.idle.length))
        .int("host_wait_ns", part(0))
        .int("call_ns", part(1))
        .int("queue_ns", part(2))
        .int("rest_ns", part(3))
        .int("launch_bound_ns", |row| known(row).then(|| bound(row)))
        .float("launch_bound_ratio", |row| ratio(bound(row), row.span).filter(|_| known(row)))
        .float("launch_bound_idle_ratio", |row| ratio(bound(row), row.idle.length).filter(|_| known(row)))
        .float("gap_coverage_ratio", |row| ratio(row.idle.covered, row.idle.followed))
        .text("classes", |_| Some(BUSY))
        .bool("reliable", |row| Some(row.reliable))
        .text("reason", |row| row.reason)
        .build(&TABLE)
}

struct Row {
    device: DeviceKey,
    window: String,
    name: Option<String>,
    activities: i64,
    with_call: i64,
    api: Summary,
    delay: Summary,
    latency: Summary,
    span: i64,
    idle: Gaps,
    reliable: bool,
    reason: Option<&'static str>,
}

/// A device with its work in the whole pass.
struct Place<'m> {
    device: DeviceKey,
    /// Its kernel, copy, set and graph rows by start and id; whether each is the first of its call.
    work: Vec<&'m Activity>,
    first: Vec<bool>,
    busy: Vec<Span>,
    graphs: Vec<Span>,
}

impl<'m> Place<'m> {
    fn of(model: &'m Model, device: DeviceKey, firsts: &mut Firsts) -> Self {
        let work: Vec<&Activity> = model.of_device(device).iter().filter(|row| row.class != Class::Sync).collect();
        let first = firsts.of(work.iter().copied());
        let busy = into_union(work.iter().map(|row| row.span).collect());
        let graphs = work.iter().filter(|row| row.kind == Kind::Graph).map(|row| row.span);
        Self { graphs: into_union(graphs.collect()), device, work, first, busy }
    }
}

/// The launches of one name, or all.
#[derive(Default)]
struct Tally {
    activities: i64,
    with_call: i64,
    api: Vec<i64>,
    delay: Vec<i64>,
    latency: Vec<i64>,
    idle: Gaps,
}

/// Idle time and what its gaps waited for.
#[derive(Clone, Copy, Default)]
struct Gaps {
    length: i64,
    /// Call not begun, call running, call returned, anything else.
    parts: [i64; 4],
    /// Gaps that an activity follows, and those of them where its call is recorded.
    followed: i64,
    covered: i64,
}

impl Gaps {
    fn add(&mut self, parts: [i64; 4], length: i64) {
        self.length = self.length.saturating_add(length);
        for (sum, part) in self.parts.iter_mut().zip(parts) {
            *sum = sum.saturating_add(part);
        }
    }
}

impl Tally {
    fn launch(&mut self, call: Span, start: i64) {
        self.api.push(call.1.saturating_sub(call.0));
        self.delay.extend((start >= call.1).then(|| start.saturating_sub(call.1)));
        self.latency.extend((start >= call.0).then(|| start.saturating_sub(call.0)));
    }
}

fn rows(model: &Model, place: &Place, set: &WindowSet) -> Vec<Row> {
    let mut all = Tally::default();
    // By the number of the call's name.
    let mut names: BTreeMap<u32, Tally> = BTreeMap::new();
    for window in &set.spans {
        count(model, place, *window, &mut all, &mut names);
    }
    wait(model, place, &set.spans, &mut all, &mut names);
    let reliable = set.spans.iter().all(|window| within(&place.graphs, *window).is_empty());
    let row = |name: Option<String>, tally: Tally| Row {
        device: place.device,
        window: set.name.clone(),
        name,
        activities: tally.activities,
        with_call: tally.with_call,
        reason: (tally.idle.followed > 0 && tally.idle.covered == 0)
            .then_some("no activity behind a gap has a launching call"),
        api: Summary::of(tally.api),
        delay: Summary::of(tally.delay),
        latency: Summary::of(tally.latency),
        span: total(&set.spans),
        idle: tally.idle,
        reliable,
    };
    let mut rows = vec![row(None, all)];
    let mut named: Vec<Row> =
        names.into_iter().map(|(name, tally)| row(Some(model.names.text(name).to_owned()), tally)).collect();
    named.sort_by(|a, b| b.api.total().cmp(&a.api.total()).then_with(|| a.name.cmp(&b.name)));
    rows.append(&mut named);
    rows
}

/// Counts what begins in a window.
fn count(model: &Model, place: &Place, window: Span, all: &mut Tally, names: &mut BTreeMap<u32, Tally>) {
    let begin = place.work.partition_point(|row| row.span.0 < window.0);
    let end = place.work.partition_point(|row| row.span.0 < window.1).max(begin);
    for (row, first) in place.work[begin..end].iter().zip(&place.first[begin..end]) {
        all.activities += 1;
        let Some(call) = row.call.and_then(|call| model.calls.get(call as usize)) else { continue };
        let named = names.entry(call.name).or_default();
        named.activities += 1;
        for tally in [&mut *all, named] {
            tally.with_call += 1;
            if *first {
                tally.launch(call.span, row.span.0);
            }
        }
    }
}

/// Cuts the gaps of the windows.
fn wait(model: &Model, place: &Place, windows: &[Span], all: &mut Tally, names: &mut BTreeMap<u32, Tally>) {
    let mut cutter = Cutter::new(model, &place.work);
    for gap in gaps_in(&place.busy, windows) {
        let next = cutter.next(gap);
        all.idle.followed += i64::from(next.is_some());
        let call = next.and_then(|next| Some((next, model.calls.get(next.call? as usize)?)));
        let Some((next, call)) = call else {
            all.idle.add([0, 0, 0, length(gap)], length(gap));
            continue;
        };
        let parts = cut(&mut cutter, next, gap, call.span.1);
        let named = names.entry(call.name).or_default();
        named.idle.followed += 1;
        for tally in [&mut *all, named] {
            tally.idle.add(parts, length(gap));
            tally.idle.covered += 1;
        }
    }
}

/// Host wait, call, queue and rest of a gap before `next`: idle's parts of the whole gap, and of what lies before the end
/// of the launching call.
fn cut(cutter: &mut Cutter, next: &Activity, gap: Span, call_end: i64) -> [i64; 4] {
    let whole = cutter.cut(Some(next), gap);
    let head = cutter.cut(Some(next), (gap.0, call_end.clamp(gap.0, gap.1)));
    let rest = [0, 1, 2, 3, 6].into_iter().fold(0, |sum: i64, cause| sum.saturating_add(whole[cause]));
    [whole[4], head[5], whole[5].saturating_sub(head[5]), rest]
}
