//! How many launches wait in each queue over time: whether the host runs ahead of the device, and whether it was held up.
//!
//! A launch waits in [c0, s): from the start of its call to the start of the first activity that the call started on the
//! queue (a graph launch is one entry, whatever its nodes). Depth(t) = how many wait at t. This is the queue length of HTA
//! 0.6.1 (+1 at the call's start, -1 at the row's), which averages over events where this averages over time; an instant
//! at which one leaves and one enters has no length here, so the order of ties changes nothing. Launches without a call
//! row, or that begin before their call (clocks that disagree), cannot be counted and are not: `coverage_ratio`.
//!
//! - full: depth >= 1024, at which the CUDA driver makes a launching call wait (the limit that HTA uses);
//! - empty: depth = 0; of it starved: the queue runs nothing either, so the next work depends on the host alone. Rows
//!   that are not counted still run, but their waiting is unknown, so with a coverage below 1 both are upper bounds.
//!
//! The row with `bin` null is about the windows as a whole; up to 200 bins of equal length between the first start and
//! the last end of the windows, each clipped to them, show the course; bins outside of the windows are left out.

use polars::prelude::DataFrame;
use proftool_timeline::levels::{Levels, bins};
use proftool_timeline::measure::Measure;
use proftool_trace::table::{Table, float, int};

use super::launch::first::Firsts;
use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, depth, into_union, within};
use crate::windows::WindowSet;

#[cfg(test)]
mod tests;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "queue_depth",
    doc: "How many launches wait in each queue over time, and how long it was full, empty or starved.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "queue_depth",
    doc: "The launches that wait in one queue in one window set as a whole (bin null), or in a part of it.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        int("queue", "The queue."),
        WINDOW,
        int("bin", "Number of the part, from 0; null for the whole.").or_null(),
        int("start_ns", "First instant of the part.").or_null(),
        int("end_ns", "The instant behind it.").or_null(),
        int("span_ns", "Its length inside the windows."),
        int("launches", "Counted launches that begin to run in it."),
        float("coverage_ratio", "Of the queue's launches that begin to run in it: share that is counted.").or_null(),
        int("max_depth", "Most launches waiting at once for at least a nanosecond.").or_null(),
        float("mean_depth", "Mean over time of the launches that wait.").or_null(),
        int("p95_depth", "Smallest depth that was not exceeded for 95 % of the time.").or_null(),
        int("full_ns", "Time with 1024 or more waiting."),
        int("empty_ns", "Time with none waiting."),
        int("starved_ns", "Of it, time in which the queue ran nothing either."),
        float("empty_ratio", "empty_ns / span_ns.").or_null(),
        float("starved_ratio", "starved_ns / span_ns.").or_null(),
    ],
};

/// At most so many bins a queue and window set.
const BINS: u32 = 200;

/// Entries at which a queue counts as full.
const FULL: usize = 1024;

struct Row {
    device: DeviceKey,
    queue: i64,
    window: String,
    bin: Option<i64>,
    edges: Option<Span>,
    launches: i64,
    begun: i64,
    levels: Levels,
    starved: i64,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut firsts = Firsts::new(input.model()?.calls.len());
    let rows = input.of_devices(|model, device, sets| {
        let queues = Queue::of_device(model, device, &mut firsts);
        sets.iter().flat_map(|set| queues.iter().flat_map(|queue| rows(device, queue, set))).collect()
    })?;
    let empty = |row: &Row| row.levels.span().saturating_sub(row.levels.at_least(1));
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .int("queue", |row| Some(row.queue))
        .text("window", |row| Some(&row.window))
        .int("bin", |row| row.bin)
        .int("start_ns", |row| Some(row.edges?.0))
        .int("end_ns", |row| Some(row.edges?.1))
        .int("span_ns", |row| Some(row.levels.span()))
        .int("launches", |row| Some(row.launches))
        .float("coverage_ratio", |row| ratio(row.launches, row.begun))
        .int("max_depth", |row| row.levels.max().map(|depth| depth as i64))
        .float("mean_depth", |row| row.levels.mean())
        .int("p95_depth", |row| row.levels.percentile(95).map(|depth| depth as i64))
        .int("full_ns", |row| Some(row.levels.at_least(FULL)))
        .int("empty_ns", |row| Some(empty(row)))
        .int("starved_ns", |row| Some(row.starved))
        .float("empty_ratio", |row| ratio(empty(row), row.levels.span()))
        .float("starved_ratio", |row| ratio(row.starved, row.levels.span()))
        .build(&TABLE)
}

/// One queue in the whole pass.
struct Queue {
    number: i64,
    /// Starts of its launches, sorted, and of those that are counted.
    begun: Vec<i64>,
    counted: Vec<i64>,
    waiting: Vec<(Span, usize)>,
    /// When something waited or ran.
    active: Measure,
}

impl Queue {
    /// The queues of a device that worked, by number.
    fn of_device(model: &Model, device: DeviceKey, firsts: &mut Firsts) -> Vec<Self> {
        let rows = model.of_device(device).iter().filter(|row| row.class != Class::Sync);
        let mut rows: Vec<(i64, &Activity)> = rows.filter_map(|row| Some((row.queue?, row))).collect();
        // Stable: inside a queue the rows stay sorted by start and id.
        rows.sort_by_key(|row| row.0);
        rows.chunk_by(|a, b| a.0 == b.0).map(|rows| Self::of(model, rows, firsts)).collect()
    }

    fn of(model: &Model, rows: &[(i64, &Activity)], firsts: &mut Firsts) -> Self {
        let (mut begun, mut counted, mut waits) = (Vec::new(), Vec::new(), Vec::new());
        for ((_, row), first) in rows.iter().zip(firsts.of(rows.iter().map(|row| row.1))) {
            // A row without a call is a launch of its own that is not counted.
            if row.call.is_some() && !first {
                continue;
            }
            begun.push(row.span.0);
            let call = row.call.and_then(|call| model.calls.get(call as usize));
            if let Some(call) = call.filter(|call| call.span.0 <= row.span.0) {
                counted.push(row.span.0);
                waits.push((call.span.0, row.span.0));
            }
        }
        let waiting = depth(&waits);
        let active: Vec<Span> = waits.into_iter().chain(rows.iter().map(|row| row.1.span)).collect();
        Self { number: rows[0].0, begun, counted, waiting, active: Measure::of(into_union(active)) }
    }

    /// What happened in parts of a window.
    fn row(&self, parts: &[Span]) -> (i64, i64, Levels, i64) {
        let begun = |starts: &[i64], part: &Span| {
            let place = |instant: i64| starts.partition_point(|start| *start < instant);
            place(part.1).saturating_sub(place(part.0)) as i64
        };
        let (mut levels, mut counted, mut all, mut active) = (Levels::default(), 0, 0, 0_i64);
        for part in parts {
            levels.add(&self.waiting, *part);
            counted += begun(&self.counted, part);
            all += begun(&self.begun, part);
            active = active.saturating_add(self.active.inside(*part));
        }
        let starved = levels.span().saturating_sub(active);
        (counted, all, levels, starved)
    }
}

fn rows(device: DeviceKey, queue: &Queue, set: &WindowSet) -> Vec<Row> {
    let row = |bin: Option<i64>, edges: Option<Span>, parts: &[Span]| {
        let (launches, begun, levels, starved) = queue.row(parts);
        let (queue, window) = (queue.number, set.name.clone());
        Row { device, queue, window, bin, edges, launches, begun, levels, starved }
    };
    let extent = set.spans.first().zip(set.spans.last()).map(|(first, last)| (first.0, last.1));
    let whole = std::iter::once(row(None, extent, &set.spans));
    let parts = extent.map_or_else(Vec::new, |extent| bins(extent, BINS));
    let parts = parts.into_iter().enumerate().filter_map(|(number, edges)| {
        let parts = within(&set.spans, edges);
        (!parts.is_empty()).then(|| row(Some(number as i64), Some(edges), &parts))
    });
    whole.chain(parts).collect()
}
