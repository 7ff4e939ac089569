//! The gaps themselves: when a device or queue did nothing, what came before and after, and who is responsible.
//!
//! A gap is a longest piece of a window in which the device (or queue) ran no kernel, copy, set or graph row; a window's
//! edge ends it. Its seven parts are those of the metric `idle` and sum to its length; its cause is the largest part, of
//! equal ones the first. Listed are the [`DEVICE_LIMIT`] longest gaps of a device and the [`QUEUE_LIMIT`] longest of a
//! queue in each window set; `gap_count`, `idle_ns` and `cumulative_ratio` say what that leaves out of `idle`.
//!
//! The responsible host call depends on the cause:
//! - sync: of the host synchronisation calls of the next activity's process, the one open for most of the gap;
//! - host_wait: on the thread that launched the next activity, the call that was innermost for most of that part; none
//!   where that thread was for longer in no recorded call (`unrecorded_ns`);
//! - launch: the launching call.
//!
//! For kv_wait, comm_wait and dependency_wait it is the recorded dependency that ran for most of the gap. The
//! responsible range is the innermost on the call's thread at the middle of the call's part of the gap; of a call outside
//! the gap, at its start. Without a responsible call it is asked where the next activity was launched: in the middle of
//! the longest piece of host_wait, or else at the launching call's start. Ranges that end on another thread are not asked.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::idle::{BUSY, CAUSES, Cutter, DEPENDENT, Place};
use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, gaps_in, latest_ends, length, total};
use crate::windows::WindowSet;

mod culprits;
#[cfg(test)]
mod tests;

use culprits::Culprit;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "gaps",
    doc: "The longest gaps of each device and queue in context: cause, neighbours, responsible host call and range.",
    table: &TABLE,
    compute,
};

/// How many gaps of a device are listed, a window set.
pub const DEVICE_LIMIT: usize = 10_000;

/// How many gaps of a queue are listed, a window set: a device may have hundreds of queues.
pub const QUEUE_LIMIT: usize = 1_000;

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "gaps",
    doc: "One gap of one device (queue null) or one queue in one window set; the 10,000 longest of a device and the \
          1,000 longest of a queue, the longest first.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        int("queue", "The queue, or null for the device as a whole.").or_null(),
        WINDOW,
        int("place", "1 for the longest gap of this device or queue in the windows; equal ones by start."),
        int("start_ns", "When the gap began: the last work ended, or the window did."),
        int("end_ns", "When it ended: work began, or the window ended."),
        int("length_ns", "end_ns - start_ns."),
        float("idle_ratio", "length_ns / idle_ns."),
        float(
            "cumulative_ratio",
            "Share of idle_ns in this gap and all that are longer; in the last row, of all listed.",
        ),
        int("gap_count", "Gaps of this device or queue in the windows, listed or not."),
        int("idle_ns", "Idle time of this device or queue in the windows, as in the metric `idle`."),
        int("kv_wait_ns", "A KV transfer that the next activity depends on was running; null without dependencies.")
            .or_null(),
        int("comm_wait_ns", "Communication that it depends on was running; null without dependencies.").or_null(),
        int("dependency_wait_ns", "Other work that it depends on was running; null without dependencies.").or_null(),
        int("sync_ns", "A host synchronisation call of its process was open."),
        int("host_wait_ns", "Its launching call had not begun."),
        int("launch_ns", "Its launching call had begun, and nothing else explains the wait."),
        int("other_ns", "No activity follows, or its launching call is not recorded."),
        text("cause", "The largest part: kv_wait, comm_wait, dependency_wait, sync, host_wait, launch or other."),
        text("previous", "Name of the activity that ended last at or before the gap.").or_null(),
        int("previous_id", "Its id; of several that ended together the one that began first.").or_null(),
        text("next", "Name of the activity that begins first at or after the gap.").or_null(),
        int("next_id", "Its id; of several that begin together the smallest.").or_null(),
        text("call", "Name of the responsible host call.").or_null(),
        int("call_id", "Its id.").or_null(),
        int("call_thread", "Its thread, or that of the launch where no call is responsible.").or_null(),
        int("call_start_ns", "When it began.").or_null(),
        int("call_end_ns", "When it ended.").or_null(),
        int(
            "call_ns",
            "For how long of the gap it was open; of a host_wait, for how long of that part it was innermost.",
        )
        .or_null(),
        text(
            "call_role",
            "`synchronises`, `runs before the launch` or `launches`; or why there is no responsible call.",
        )
        .or_null(),
        int(
            "unrecorded_ns",
            "Part of host_wait_ns with no recorded call open on the launching thread; of host_wait gaps.",
        )
        .or_null(),
        text("waited_for", "Name of the dependency that ran for most of the gap, where one is the cause.").or_null(),
        int("waited_for_id", "Its id.").or_null(),
        text("range", "Name of the responsible range: the innermost on the call's thread.").or_null(),
        int("range_id", "Its id.").or_null(),
        text("classes", "The kinds of rows that count as busy."),
        boolean("reliable", "False where whole-graph rows hide the gaps between their kernels."),
    ],
};

/// A listed gap.
struct Gap<'m> {
    device: DeviceKey,
    queue: Option<i64>,
    window: String,
    place: i64,
    span: Span,
    totals: Totals,
    /// Length of this gap and all longer ones.
    cumulative: i64,
    parts: [i64; 7],
    cause: usize,
    previous: Option<&'m Activity>,
    next: Option<&'m Activity>,
    /// The time that the part host_wait is, where it is the cause.
    host_wait: Vec<Span>,
    culprit: Culprit,
}

/// What a device or queue has in a window set.
#[derive(Clone, Copy)]
struct Totals {
    gaps: i64,
    idle: i64,
    reliable: bool,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let model = input.model()?;
    let mut gaps = input.of_devices(|model, device, sets| {
        let places = Place::all(model, device);
        let ends: Vec<Vec<u32>> = places.iter().map(|place| latest_ends(&spans(place))).collect();
        let of_set = |set| places.iter().zip(&ends).flat_map(move |(place, ends)| of_place(model, place, ends, set));
        sets.iter().flat_map(of_set).collect()
    })?;
    culprits::find(model, &mut gaps);
    write(input, model, &gaps)
}

fn spans(place: &Place) -> Vec<Span> {
    place.work.iter().map(|row| row.span).collect()
}

/// The longest gaps of a device or queue, the longest first.
fn of_place<'m>(model: &'m Model, place: &Place<'m>, ends: &[u32], set: &WindowSet) -> Vec<Gap<'m>> {
    let mut spans = gaps_in(&place.busy, &set.spans);
    let totals = Totals { gaps: spans.len() as i64, idle: total(&spans), reliable: place.reliable(set) };
    longest(&mut spans, if place.queue.is_some() { QUEUE_LIMIT } else { DEVICE_LIMIT });
    let (mut cutter, mut cumulative) = (Cutter::new(model, &place.work), 0_i64);
    let gap = |(at, span): (usize, Span)| {
        let next = cutter.next(span);
        let parts = cutter.cut(next, span);
        cumulative = cumulative.saturating_add(length(span));
        let cause = main_cause(&parts);
        Gap {
            device: place.device,
            queue: place.queue,
            window: set.name.clone(),
            place: at as i64 + 1,
            span,
            totals,
            cumulative,
            cause,
            parts,
            previous: previous(place, ends, span),
            next,
            host_wait: next.filter(|_| cause == 4).map_or_else(Vec::new, |next| cutter.host_wait(next, span)),
            culprit: Culprit::default(),
        }
    };
    spans.into_iter().enumerate().map(gap).collect()
}

/// Leaves that many of the longest gaps, the longest first, equal ones by start.
fn longest(gaps: &mut Vec<Span>, limit: usize) {
    let key = |gap: &Span| (std::cmp::Reverse(length(*gap)), gap.0);
    if gaps.len() > limit {
        gaps.select_nth_unstable_by_key(limit, key);
        gaps.truncate(limit);
    }
    gaps.sort_unstable_by_key(key);
}

/// The largest part, of equal ones the first.
fn main_cause(parts: &[i64; 7]) -> usize {
    (0..parts.len()).max_by_key(|at| (parts[*at], std::cmp::Reverse(*at))).unwrap_or(parts.len() - 1)
}

/// The activity that ended last of those that began at or before the gap's start: all of them have ended there.
fn previous<'m>(place: &Place<'m>, ends: &[u32], gap: Span) -> Option<&'m Activity> {
    let begun = place.work.partition_point(|row| row.span.0 <= gap.0);
    Some(place.work[ends[begun.checked_sub(1)?] as usize])
}

fn write(input: &Input, model: &Model, gaps: &[Gap]) -> Result<DataFrame, Error> {
    let name = |row: &Activity| model.names.text(row.name);
    let call = |gap: &Gap| gap.culprit.call.map(|call| &model.calls[call as usize]);
    let range = |gap: &Gap| gap.culprit.range.map(|range| &model.ranges[range as usize]);
    let waited = |gap: &Gap| gap.culprit.waited_for.map(|row| &model.activities[row as usize]);
    let parts = CAUSES.iter().enumerate();
    let output = Output::new(input.run, input.target, gaps)
        .int("rank", |gap| Some(gap.device.0))
        .int("device", |gap| Some(gap.device.1))
        .int("queue", |gap| gap.queue)
        .text("window", |gap| Some(&gap.window))
        .int("place", |gap| Some(gap.place))
        .int("start_ns", |gap| Some(gap.span.0))
        .int("end_ns", |gap| Some(gap.span.1))
        .int("length_ns", |gap| Some(length(gap.span)))
        .float("idle_ratio", |gap| ratio(length(gap.span), gap.totals.idle))
        .float("cumulative_ratio", |gap| ratio(gap.cumulative, gap.totals.idle))
        .int("gap_count", |gap| Some(gap.totals.gaps))
        .int("idle_ns", |gap| Some(gap.totals.idle));
    parts
        .fold(output, |output, (at, cause)| {
            let known = at >= DEPENDENT || model.has_dependencies;
            output.int(&format!("{cause}_ns"), move |gap| known.then_some(gap.parts[at]))
        })
        .text("cause", |gap| Some(CAUSES[gap.cause]))
        .text("previous", |gap| gap.previous.map(name))
        .int("previous_id", |gap| gap.previous.map(|row| row.id))
        .text("next", |gap| gap.next.map(name))
        .int("next_id", |gap| gap.next.map(|row| row.id))
        .text("call", |gap| call(gap).map(|call| model.names.text(call.name)))
        .int("call_id", |gap| call(gap).map(|call| call.id))
        .int("call_thread", |gap| model.threads[gap.culprit.thread? as usize].thread)
        .int("call_start_ns", |gap| call(gap).map(|call| call.span.0))
        .int("call_end_ns", |gap| call(gap).map(|call| call.span.1))
        .int("call_ns", |gap| gap.culprit.call_ns)
        .text("call_role", |gap| gap.culprit.role)
        .int("unrecorded_ns", |gap| gap.culprit.unrecorded_ns)
        .text("waited_for", |gap| waited(gap).map(name))
        .int("waited_for_id", |gap| waited(gap).map(|row| row.id))
        .text("range", |gap| range(gap).map(|range| model.names.text(range.name)))
        .int("range_id", |gap| range(gap).map(|range| range.id))
        .text("classes", |_| Some(BUSY))
        .bool("reliable", |gap| Some(gap.totals.reliable))
        .build(&TABLE)
}
