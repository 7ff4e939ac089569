//! The pipeline bubble, cut into six parts that sum exactly.
//!
//! p stage hosts; c_i = |U(compute on host i)| in the window of length T; j the host with the largest c_i (the first on
//! ties). In host-ns (denominator pT): imbalance = sum (c_j - c_i); fill_drain = p ((s_j - W0) + (W1 - e_j)); the
//! interior gaps of j, times p, go by the next operation of j to the first of: an input transfer is in flight
//! (transfer), its inputs are complete (host), a producer of its inputs computes (dependency), other. Their sum is
//! pT - sum c_i. Each block is cut by itself, then the parts are summed and the ratios taken from the sums.
//!
//! Parts: `stages` finds the hosts (with `labels`, what ranges tell), `parts` cuts a window, `closed_form` has r and f,
//! `iterations` tells the steady state from the rest.

use polars::prelude::DataFrame;
use proftool_trace::table::{Column, Table, boolean, float, int, text};

use super::{Input, Metric, Output, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Kind;
use crate::ideal::{Durations, ideal_ratio, of_windows};
use crate::model::Model;
use crate::operators::{Span, union, within};
use crate::windows::WindowSet;
use clocks::{NO_CLOCK, Timeline};
use closed_form::{ideals, micro_batches};
use iterations::{Iterations, Summary, summary};
use parts::needs_dependencies;
use stages::{Staging, staging};

pub use parts::{PART_NAMES, Parts, of_window};
pub use stages::{Host, stage_hosts};

pub(crate) mod clocks;
mod closed_form;
pub(crate) mod iterations;
mod labels;
pub(crate) mod parts;
pub(crate) mod stages;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "bubble",
    doc: "How much host time a pipeline wastes, cut into six parts that sum exactly, beside the ideals.",
    table: &TABLE,
    compute,
};

const fn part(name: &'static str, doc: &'static str) -> Column {
    int(name, doc).or_null()
}

const fn share(name: &'static str, doc: &'static str) -> Column {
    float(name, doc).or_null()
}

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "bubble",
    doc: "The bubble of one window set; the six `_ns` parts are host-ns and sum to capacity_ns - compute_ns.",
    columns: &[
        RUN,
        TARGET,
        WINDOW,
        text("hosts", "The stage hosts: devices, or device/queue where one device hosts several stages."),
        int("host_count", "Number of stage hosts, p."),
        text(
            "stages",
            "How they are known: `declared` (rows of work), `inferred from ranges`, or every one of `devices` or `queues`.",
        ),
        int("stage_count", "Hosts with different stages, the p of r and f: replicas of a stage count once."),
        part("chunk_count", "Separate chunks of stages on each host, v: 1 unless interleaved; null where they differ."),
        share("stage_coverage_ratio", "Share of the hosts' compute rows whose stage is stated; null where nothing is."),
        part(
            "micro_batches",
            "Equal micro-batches that one window streams, m (iterations times micro-batches); null where they differ.",
        ),
        int("span_ns", "Length of the windows, T."),
        part("capacity_ns", "p times T, the host-ns of the windows."),
        part("compute_ns", "Sum over the hosts of the time in which they compute."),
        part("fill_drain_ns", "Before the first and after the last operation of the busiest host, times p."),
        part("imbalance_ns", "What the other hosts compute less than the busiest."),
        part(
            "transfer_ns",
            "The busiest host waits for an input transfer in flight, times p; null without dependencies.",
        ),
        part(
            "host_ns",
            "Its inputs are complete and the operation has not started, times p; null without dependencies.",
        ),
        part("dependency_ns", "A producer of its inputs computes, times p; null without dependencies."),
        part("other_ns", "The rest of its gaps, times p."),
        share("bubble_ratio", "1 - compute_ns / capacity_ns: the sum of the six ratios."),
        share("fill_drain_ratio", "fill_drain_ns / capacity_ns."),
        share("imbalance_ratio", "imbalance_ns / capacity_ns."),
        share("transfer_ratio", "transfer_ns / capacity_ns."),
        share("host_ratio", "host_ns / capacity_ns."),
        share("dependency_ratio", "dependency_ns / capacity_ns."),
        share("other_ratio", "other_ns / capacity_ns."),
        share(
            "ideal_overhead_ratio",
            "r = (p-1)/(vm): bubble over ideal time of m equal micro-batches; null elsewhere.",
        ),
        share(
            "ideal_fraction_ratio",
            "f = (p-1)/(vm+p-1): bubble over wall time of m equal micro-batches; null elsewhere.",
        ),
        part(
            "ideal_makespan_ns",
            "Makespan of the ideal list schedule, summed over the windows; null without data dependencies.",
        ),
        share("ideal_ratio", "Median over the windows of ideal makespan / length."),
        part("iterations", "Iterations in the windows (see the metric bubble_iteration); null where none are told."),
        part("steady_iterations", "Those in the steady state."),
        part("steady_span_ns", "Their length; null without a steady state."),
        share("steady_bubble_ratio", "The bubble of the steady iterations, each cut by itself, then summed."),
        text("steady_reason", "Why there is no steady state.").or_null(),
        text("classes", "The class of rows that count as computing."),
        boolean("reliable", "False where whole-graph rows hide the kernels and the gaps between them."),
        text("reason", "Why values are null or in other, and what the stage hosts stand for.").or_null(),
    ],
};

/// What is the same for every window set.
struct Pipeline<'m> {
    model: &'m Model,
    staging: Staging,
    comparable: bool,
    iterations: Iterations,
    durations: Durations,
    graphs: Vec<Span>,
}

impl<'m> Pipeline<'m> {
    fn of(timeline: &'m Timeline) -> Self {
        let model: &Model = timeline;
        let staging = staging(model);
        let rows = staging.hosts.iter().flat_map(|host| &host.rows).map(|index| &model.activities[*index]);
        let graphs: Vec<Span> = rows.filter(|row| row.kind == Kind::Graph).map(|row| row.span).collect();
        let (iterations, durations) = (Iterations::read(model, &staging), Durations::measure(model));
        let comparable = timeline.comparable(&staging);
        Self { model, staging, comparable, iterations, durations, graphs: union(&graphs) }
    }

    fn row(&self, set: &WindowSet) -> Row {
        let mut parts = Parts::default();
        for window in &set.spans {
            parts.add(&if self.comparable {
                of_window(self.model, &self.staging.hosts, *window)
            } else {
                unknown(*window)
            });
        }
        let steady = if self.comparable {
            summary(self.model, &self.staging, &self.iterations, &set.spans)
        } else {
            Summary { reason: Some(NO_CLOCK), ..Summary::default() }
        };
        let ideals = of_windows(self.model, &set.spans, &self.durations);
        let micro_batches = common(set.spans.iter().map(|window| micro_batches(self.model, *window)));
        Row {
            window: set.name.clone(),
            micro_batches,
            ideal: ideals
                .iter()
                .map(|block| block.ideal_makespan_ns)
                .try_fold(0, |sum: i64, ideal| Some(sum.saturating_add(ideal?)))
                .filter(|_| !ideals.is_empty()),
            ideal_ratio: ideal_ratio(&ideals),
            steady,
            reliable: set.spans.iter().all(|window| within(&self.graphs, *window).is_empty()),
            reason: self.reason(&parts, micro_batches),
            parts,
        }
    }

    fn reason(&self, parts: &Parts, micro_batches: Option<i64>) -> Option<String> {
        if !self.comparable {
            return Some(NO_CLOCK.to_owned());
        }
        let uneven = micro_batches.is_some() && self.staging.chunks.is_none();
        let uneven =
            uneven.then(|| "the hosts hold different numbers of chunks of stages: r and f are not defined".to_owned());
        let reasons: Vec<String> = reason(self.model, &self.staging, parts).into_iter().chain(uneven).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

struct Row {
    window: String,
    parts: Parts,
    micro_batches: Option<i64>,
    ideal: Option<i64>,
    ideal_ratio: Option<f64>,
    steady: Summary,
    reliable: bool,
    reason: Option<String>,
}

/// A window whose parts nobody can tell.
pub(crate) fn unknown(window: Span) -> Parts {
    Parts { span: window.1.saturating_sub(window.0).max(0), ..Parts::default() }
}

/// Why parts are null or in other, then what must be known about the hosts.
pub(crate) fn reason(model: &Model, staging: &Staging, parts: &Parts) -> Option<String> {
    let missing = match () {
        () if staging.hosts.is_empty() => Some("no compute: the pass has no stage host"),
        () if parts.span == 0 => Some("the window is empty"),
        () if parts.compute == 0 => Some("no host computes in the window: all of it is other"),
        () if !model.has_dependencies => Some("no dependencies are recorded: the causes that need them are in other"),
        () => None,
    };
    let reasons: Vec<&str> = missing.into_iter().chain(staging.caution()).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The value that all have in common.
fn common<T: PartialEq + Copy>(values: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    let mut values = values.into_iter();
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}

/// A part in host-ns, `None` where it is not known: its time is in other, or there is no host-time at all.
pub(crate) fn known(parts: &Parts, has_dependencies: bool, part: usize) -> Option<i64> {
    (parts.capacity > 0 && (has_dependencies || !needs_dependencies(part))).then_some(parts.bubble[part])
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let timeline = Timeline::of(input)?;
    let pipeline = Pipeline::of(&timeline);
    let rows: Vec<Row> = timeline.sets(input)?.iter().map(|set| pipeline.row(set)).collect();
    let (staging, has_dependencies) = (&pipeline.staging, timeline.has_dependencies);
    let names = staging.names();
    let defined = |row: &Row| row.parts.capacity > 0;
    let ns = |at: usize| move |row: &Row| known(&row.parts, has_dependencies, at);
    let share = |at: usize| move |row: &Row| ns(at)(row).and_then(|part| ratio(part, row.parts.capacity));
    let told = |row: &Row| pipeline.iterations.source().filter(|_| pipeline.comparable).map(|_| row.steady.iterations);
    Output::new(input.run, input.target, &rows)
        .text("window", |row| Some(&row.window))
        .text("hosts", |_| Some(&names))
        .int("host_count", |_| Some(staging.hosts.len() as i64))
        .text("stages", |_| Some(staging.source.name()))
        .int("stage_count", |_| Some(staging.depth))
        .int("chunk_count", |_| staging.chunks)
        .float("stage_coverage_ratio", |_| staging.coverage)
        .int("micro_batches", |row| row.micro_batches)
        .int("span_ns", |row| Some(row.parts.span))
        .int("capacity_ns", |row| defined(row).then_some(row.parts.capacity))
        .int("compute_ns", |row| defined(row).then_some(row.parts.compute))
        .int("fill_drain_ns", ns(0))
        .int("imbalance_ns", ns(1))
        .int("transfer_ns", ns(2))
        .int("host_ns", ns(3))
        .int("dependency_ns", ns(4))
        .int("other_ns", ns(5))
        .float("bubble_ratio", |row| row.parts.ratio())
        .float("fill_drain_ratio", share(0))
        .float("imbalance_ratio", share(1))
        .float("transfer_ratio", share(2))
        .float("host_ratio", share(3))
        .float("dependency_ratio", share(4))
        .float("other_ratio", share(5))
        .float("ideal_overhead_ratio", |row| ideals(staging, row.micro_batches)[0])
        .float("ideal_fraction_ratio", |row| ideals(staging, row.micro_batches)[1])
        .int("ideal_makespan_ns", |row| row.ideal)
        .float("ideal_ratio", |row| row.ideal_ratio)
        .int("iterations", told)
        .int("steady_iterations", |row| told(row).map(|_| row.steady.steady))
        .int("steady_span_ns", |row| Some(row.steady.parts.span).filter(|_| row.steady.steady > 0))
        .float("steady_bubble_ratio", |row| row.steady.parts.ratio())
        .text("steady_reason", |row| row.steady.reason)
        .text("classes", |_| Some("compute"))
        .bool("reliable", |row| Some(row.reliable))
        .text("reason", |row| row.reason.as_deref())
        .build(&TABLE)
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
