//! Host calls by function: how often, how long, and how long the device had nothing to do meanwhile.
//!
//! The statistics are those of `nsys stats` (`cuda_api_sum`, `osrt_sum`): a call counts with its whole duration in the
//! window in which it begins. Without blocks or a named range the window is the rank's own first to last call, because
//! setup comes before the first and clean-up behind the last activity of a device. Medians of an even count are rounded
//! down to the nanosecond, where nsys prints a half; the deviation of one call is null, where nsys prints 0.
//!
//! `device_idle_ns` = |U(calls of the name) ∩ idle(p)|, summed over the processes p: idle(p) is what the union of the
//! kernel, copy, set and graph rows of the process leaves free between its first start and last end, over all devices
//! that it uses. It is not a cause: the metric `idle` says what the device waited for.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::{DataFrame, PlHashMap};
use proftool_timeline::measure::Measure;
use proftool_timeline::summary::Summary;
use proftool_trace::table::{Table, float, int, text};

use super::{Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::model::{Api, Call, Model};
use crate::operators::{Span, clip, gaps, union};
use crate::windows::{Scope, Window, WindowSet, blocks};

#[cfg(test)]
mod tests;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "calls",
    doc: "How often and how long the host called each function, and the device's idle time meanwhile.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "calls",
    doc: "One function that a rank's threads called in one window set (`trace`: its first to its last call).",
    columns: &[
        RUN,
        TARGET,
        RANK,
        WINDOW,
        text("api", "The interface: runtime, driver, osrt, mpi, ucx, op (framework operators), python or other."),
        text("name", "Name of the function."),
        int("calls", "Calls that begin in the windows, on all threads."),
        int("total_ns", "Sum of their durations; calls that run at once or inside one another all count."),
        float("mean_ns", "Mean duration."),
        int("median_ns", "Median duration; of an even count the midpoint, rounded down."),
        int("min_ns", "Shortest duration."),
        int("max_ns", "Longest duration."),
        float("stddev_ns", "Sample standard deviation of the durations; null for one call.").or_null(),
        float("time_ratio", "total_ns over that of all calls of the interface, runtime and driver taken together.")
            .or_null(),
        int("device_idle_ns", "Time in such a call in which the devices of its process did nothing.").or_null(),
    ],
};

struct Row {
    rank: i64,
    window: String,
    api: Api,
    name: String,
    durations: Summary,
    group: i64,
    idle: Option<i64>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input)?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.rank))
        .text("window", |row| Some(&row.window))
        .text("api", |row| Some(row.api.name()))
        .text("name", |row| Some(&row.name))
        .int("calls", |row| Some(row.durations.count() as i64))
        .int("total_ns", |row| Some(row.durations.total()))
        .float("mean_ns", |row| row.durations.mean())
        .int("median_ns", |row| row.durations.median())
        .int("min_ns", |row| row.durations.min())
        .int("max_ns", |row| row.durations.max())
        .float("stddev_ns", |row| row.durations.deviation())
        .float("time_ratio", |row| ratio(row.durations.total(), row.group))
        .int("device_idle_ns", |row| row.idle)
        .build(&TABLE)
}

fn rows(input: &Input) -> Result<Vec<Row>, Error> {
    let model = input.model()?;
    let mut ranks: BTreeMap<i64, Vec<&Call>> = BTreeMap::new();
    for call in &model.calls {
        ranks.entry(call.rank).or_default().push(call);
    }
    let mut rows = Vec::new();
    for (rank, mut calls) in ranks {
        calls.sort_by_key(|call| (call.span.0, call.id));
        let idle = idle_of_processes(model, rank);
        for set in sets(input, model, rank, &calls)? {
            rows.extend(of_set(model, &calls, &idle, rank, &set));
        }
    }
    Ok(rows)
}

/// The window sets of a rank's calls, which are sorted by start.
fn sets(input: &Input, model: &Model, rank: i64, calls: &[&Call]) -> Result<Vec<WindowSet>, Error> {
    // Blocks and names depend on the rank, not on the device.
    let scope = Scope::Device((rank, 0));
    if matches!(input.window, Window::Named(_)) || !blocks(model, scope).is_empty() {
        return input.sets(scope);
    }
    let (first, last) = (calls.first().map(|call| call.span.0), calls.iter().map(|call| call.span.1).max());
    // A call of no duration at the very end begins in the window too.
    let span = first.zip(last).map(|(first, last)| (first, last.saturating_add(1)));
    Ok(vec![WindowSet { name: "trace".to_owned(), spans: span.into_iter().collect() }])
}

/// When the devices of each process of a rank did nothing, between its first start and last end.
fn idle_of_processes(model: &Model, rank: i64) -> HashMap<Option<i64>, Measure> {
    let mut work: HashMap<Option<i64>, Vec<Span>> = HashMap::new();
    let first = model.activities.partition_point(|row| row.device.0 < rank);
    let rows = model.activities[first..].iter().take_while(|row| row.device.0 == rank);
    for row in rows.filter(|row| row.class != Class::Sync) {
        work.entry(row.process).or_default().push(row.span);
    }
    work.into_iter()
        .map(|(process, spans)| {
            let busy = union(&spans);
            let extent = busy.first().map(|first| first.0).zip(busy.last().map(|last| last.1));
            (process, Measure::of(extent.map_or_else(Vec::new, |extent| gaps(&busy, extent))))
        })
        .collect()
}

/// Interfaces whose calls are one total, as in `nsys stats`: runtime and driver calls stand in one report.
fn group(api: Api) -> Api {
    if api.launches() { Api::Runtime } else { api }
}

fn of_set(
    model: &Model,
    calls: &[&Call],
    idle: &HashMap<Option<i64>, Measure>,
    rank: i64,
    set: &WindowSet,
) -> Vec<Row> {
    let mut functions: PlHashMap<(Api, u32), Vec<(&Call, Span)>> = PlHashMap::default();
    for window in &set.spans {
        let first = calls.partition_point(|call| call.span.0 < window.0);
        let begun = calls[first..].iter().take_while(|call| call.span.0 < window.1);
        for call in begun {
            functions.entry((call.api, call.name)).or_default().push((call, *window));
        }
    }
    let mut groups: BTreeMap<Api, i64> = BTreeMap::new();
    let mut rows: Vec<Row> = Vec::new();
    for ((api, name), calls) in functions {
        let durations: Summary = calls.iter().map(|(call, _)| call.span.1.saturating_sub(call.span.0)).collect();
        let sum = groups.entry(group(api)).or_default();
        *sum = sum.saturating_add(durations.total());
        let (window, name) = (set.name.clone(), model.names.text(name).to_owned());
        rows.push(Row { rank, window, api, name, durations, group: 0, idle: idle_inside(model, &calls, idle) });
    }
    for row in &mut rows {
        row.group = groups[&group(row.api)];
    }
    rows.sort_by(|a, b| {
        (group(a.api), b.durations.total(), &a.name, a.api).cmp(&(group(b.api), a.durations.total(), &b.name, b.api))
    });
    rows
}

/// How long the devices of their processes did nothing while the calls, clipped to their windows, ran; `None` where none
/// of the processes used a device.
fn idle_inside(model: &Model, calls: &[(&Call, Span)], idle: &HashMap<Option<i64>, Measure>) -> Option<i64> {
    let mut processes: HashMap<Option<i64>, Vec<Span>> = HashMap::new();
    for (call, window) in calls {
        processes.entry(model.thread_of(call).process).or_default().extend(clip(call.span, *window));
    }
    let known = processes.into_iter().filter_map(|(process, spans)| Some((idle.get(&process)?, spans)));
    let sums = known.map(|(idle, spans)| idle.inside_set(&union(&spans)));
    sums.reduce(i64::saturating_add)
}
