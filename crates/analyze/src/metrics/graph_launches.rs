//! Graph launches: one host call, many nodes. What a launch costs the host and a node, and where the device idles: inside
//! a graph or between graphs.
//!
//! A row of work is a *node* where it states a graph or a node, or its launching call is a graph launch (`*GraphLaunch`
//! of CUDA and HIP, whose kernels share its correlation). The nodes of one call on one device are one *launch*; a row of
//! kind `graph` is a launch too, its nodes unknown. A launch belongs to the window in which its first node begins. Its
//! span is from the first start to the last end of its nodes, and is a partition in integer ns:
//! - busy = |U(own nodes)|,
//! - other = only other work of the device runs,
//! - gap = the device runs nothing (intra-graph gap).
//!
//! Before a launch that another one of the same window precedes, *between* is from the latest end of all launches before
//! it to its first start, where that is positive: between = between_busy (other work) + between_idle (inter-graph gap).
//! It is counted for the graph that begins, so that the graphs sum to the row of all of them (graph null).
//!
//! Graphs are told apart by their number. Where the profiler states none (HIP), launches with the same call and the same
//! nodes by name are one graph. A trace that begins or ends inside a launch shows a part of it as a graph of its own.

use std::collections::HashMap;

use polars::prelude::DataFrame;
use proftool_timeline::summary::Summary;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::{DeviceKey, Model};
use crate::windows::WindowSet;
use collect::{Device, GraphCalls, Launch};

mod collect;

#[cfg(test)]
mod tests;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "graph_launches",
    doc: "What launching graphs costs a launch and a node, and the gaps inside graphs and between them.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "graph_launches",
    doc: "The launches of one graph, or of all (graph null), on one device in one window set.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("graph", "The graph: `graph N`, or its call and nodes where it has no number; null for all.").or_null(),
        int("graph_id", "Number of the graph, where the profiler states it.").or_null(),
        int("launches", "Launches whose first node begins in the windows."),
        int("with_call", "Those whose launching call is recorded."),
        int("nodes", "Nodes of these launches; null where one is a whole-graph row.").or_null(),
        int("nodes_min", "Fewest nodes of a launch.").or_null(),
        int("nodes_median", "Median of the nodes of a launch, rounded down.").or_null(),
        int("nodes_max", "Most nodes of a launch.").or_null(),
        int("api_total_ns", "Sum of the durations of the launching calls; null where none is recorded.").or_null(),
        int("api_median_ns", "Median duration of a call, rounded down.").or_null(),
        float("api_per_node_ns", "Duration of the calls over the nodes that they launched here.").or_null(),
        int("first_node_latency_median_ns", "Median of first node's start - call's start, where not negative.")
            .or_null(),
        int("span_ns", "Sum over launches of last end - first start."),
        int("span_median_ns", "Median of it, rounded down.").or_null(),
        int("busy_ns", "Of span_ns: own nodes run; null where they are not recorded.").or_null(),
        int("other_ns", "Of span_ns: only other work of the device runs.").or_null(),
        int("gap_ns", "Of span_ns: the device runs nothing (intra-graph gaps).").or_null(),
        float("gap_ratio", "gap_ns / span_ns.").or_null(),
        int("between", "Launches that begin after all launches before them have ended."),
        int("between_ns", "Sum of the times from the latest end before to the first start of these."),
        int("between_busy_ns", "Of between_ns: other work of the device runs."),
        int("between_idle_ns", "Of between_ns: the device runs nothing (inter-graph gaps)."),
        int("between_median_ns", "Median time between, rounded down; null without one.").or_null(),
        float("coverage_ratio", "Of the device's graph nodes in the windows: share whose call is recorded.").or_null(),
        boolean("reliable", "False where whole-graph rows hide the nodes."),
    ],
};

struct Row {
    device: DeviceKey,
    window: String,
    graph: Option<String>,
    id: Option<i64>,
    launches: i64,
    calls: Summary,
    nodes: Option<Summary>,
    /// Nodes of launches with a recorded call.
    paid: i64,
    latency: Summary,
    span: Summary,
    /// busy, other, gap.
    parts: Option<[i64; 3]>,
    between: Summary,
    between_idle: i64,
    coverage: Option<f64>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let calls = GraphCalls::of(input.model()?);
    let rows = input.of_devices(|model, device, sets| {
        let device = Device::of(model, device, &calls);
        sets.iter().flat_map(|set| of_set(model, &device, set)).collect()
    })?;
    let nodes = |row: &Row| row.nodes.as_ref().map(Summary::total);
    let part = |at: usize| move |row: &Row| row.parts.map(|parts| parts[at]);
    let called = |row: &Row| row.calls.count() > 0;
    let per_node = |row: &Row| row.nodes.as_ref().and_then(|_| ratio(row.calls.total(), row.paid));
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("graph", |row| row.graph.as_ref())
        .int("graph_id", |row| row.id)
        .int("launches", |row| Some(row.launches))
        .int("with_call", |row| Some(row.calls.count() as i64))
        .int("nodes", nodes)
        .int("nodes_min", |row| row.nodes.as_ref().and_then(Summary::min))
        .int("nodes_median", |row| row.nodes.as_ref().and_then(Summary::median))
        .int("nodes_max", |row| row.nodes.as_ref().and_then(Summary::max))
        .int("api_total_ns", |row| called(row).then(|| row.calls.total()))
        .int("api_median_ns", |row| row.calls.median())
        .float("api_per_node_ns", |row| per_node(row).filter(|_| called(row)))
        .int("first_node_latency_median_ns", |row| row.latency.median())
        .int("span_ns", |row| Some(row.span.total()))
        .int("span_median_ns", |row| row.span.median())
        .int("busy_ns", part(0))
        .int("other_ns", part(1))
        .int("gap_ns", part(2))
        .float("gap_ratio", |row| row.parts.and_then(|parts| ratio(parts[2], row.span.total())))
        .int("between", |row| Some(row.between.count() as i64))
        .int("between_ns", |row| Some(row.between.total()))
        .int("between_busy_ns", |row| Some(row.between.total().saturating_sub(row.between_idle)))
        .int("between_idle_ns", |row| Some(row.between_idle))
        .int("between_median_ns", |row| row.between.median())
        .float("coverage_ratio", |row| row.coverage)
        .bool("reliable", |row| Some(row.nodes.is_some()))
        .build(&TABLE)
}

/// A launch and the time between it and those before it in the same window: length, and idle of it.
type Begun<'l> = (&'l Launch, Option<(i64, i64)>);

fn of_set(model: &Model, device: &Device, set: &WindowSet) -> Vec<Row> {
    let begun: Vec<Begun> = set.spans.iter().flat_map(|window| device.begun(*window)).collect();
    let coverage = device.coverage(&set.spans);
    if begun.is_empty() && coverage.is_none() {
        return Vec::new();
    }
    let row = |graph: Option<(String, Option<i64>)>, launches: &[Begun]| Row {
        device: device.key,
        window: set.name.clone(),
        id: graph.as_ref().and_then(|graph| graph.1),
        graph: graph.map(|graph| graph.0),
        coverage,
        ..sum(model, launches)
    };
    let mut rows = vec![row(None, &begun)];
    let mut graphs: HashMap<u32, Vec<Begun>> = HashMap::new();
    for one in begun {
        graphs.entry(one.0.graph).or_default().push(one);
    }
    let mut graphs: Vec<(u32, Vec<Begun>)> = graphs.into_iter().collect();
    graphs.sort_by_key(|(graph, _)| *graph);
    rows.extend(
        graphs.into_iter().map(|(graph, launches)| row(Some(device.graphs[graph as usize].clone()), &launches)),
    );
    rows
}

fn sum(model: &Model, begun: &[Begun]) -> Row {
    let launches = || begun.iter().map(|one| one.0);
    let call = |launch: &Launch| launch.call.and_then(|call| Some(model.calls.get(call as usize)?.span));
    let length = |span: (i64, i64)| span.1.saturating_sub(span.0);
    let latency =
        |launch: &Launch| call(launch).filter(|call| launch.span.0 >= call.0).map(|call| (call.0, launch.span.0));
    let add = |sum: [i64; 3], part: [i64; 3]| std::array::from_fn(|at| sum[at].saturating_add(part[at]));
    Row {
        device: (0, 0),
        window: String::new(),
        graph: None,
        id: None,
        coverage: None,
        launches: begun.len() as i64,
        calls: launches().filter_map(call).map(length).collect(),
        nodes: launches().map(|launch| launch.nodes).collect(),
        paid: launches().filter(|launch| call(launch).is_some()).filter_map(|launch| launch.nodes).sum(),
        latency: launches().filter_map(latency).map(length).collect(),
        span: launches().map(|launch| length(launch.span)).collect(),
        parts: launches().map(|launch| launch.parts).try_fold([0; 3], |sum, parts| Some(add(sum, parts?))),
        between: begun.iter().filter_map(|one| Some(one.1?.0)).collect(),
        between_idle: begun.iter().filter_map(|one| Some(one.1?.1)).fold(0, i64::saturating_add),
    }
}
