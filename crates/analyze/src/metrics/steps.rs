//! The steps of each device: how long each took, what it waited for, and which of them are alike.
//!
//! A step is an iteration that a target states, a range that a framework or engine draws around one, or a row of an
//! engine's log (`source`; see `crate::steps::series`). Its time on the device: from its range's begin, or when the device
//! is done with the compute of the step before, to its range's end or that of the last compute launched in it; of stated
//! iterations from the first start to the last end of their operations; of a log as it says.
//!
//! Inside that time: busy = |U(kernel, copy, set, graph rows of the device)|, idle the rest; compute = |U(compute)|,
//! exposed X = |U(X) \ U(compute)|. A step belongs to the window in which its time begins; the window `trace` has all.
//! `state` comes from the lengths of all steps of the device in one block (or trace): see [`proftool_timeline::steady`].

use polars::prelude::DataFrame;
use proftool_timeline::measure::Measure;
use proftool_timeline::steady::steady;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, subtract, union};
use crate::steps::series::{Series, Source, Timed};
use crate::windows::{Window, WindowSet};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "steps",
    doc: "Each step of each device: its time, busy and idle, exposed transfers, batch, and whether it is steady.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "steps",
    doc: "One step of one device.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        int("step", "Number of the step on its device, from 0, in the order of time."),
        text("name", "Name of its range, or the iteration that the target states; null in a log.").or_null(),
        text("source", "`work`, `annotation`, `profiler`, `iteration` (by the names of ranges) or `steps` (a log)."),
        text("phase", "The one phase that it is in, where that is known.").or_null(),
        text("state", "`warm_up`, `steady` or `cool_down`; null where no steady state is found.").or_null(),
        text("state_reason", "Why there is no state.").or_null(),
        int("start_ns", "Begin of its time on the device."),
        int("host_ns", "How long its range was open on the host; null without one.").or_null(),
        int("span_ns", "Its time on the device."),
        int(
            "gap_ns",
            "From the end of the step before in the same block to its begin, 0 where they overlap; null for the first.",
        )
        .or_null(),
        int("busy_ns", "Length of the union of the device's work in its time, also work of other steps."),
        int("idle_ns", "span_ns - busy_ns."),
        float("idle_ratio", "idle_ns / span_ns; null where that is 0.").or_null(),
        int("compute_ns", "Length of the union of the compute in its time."),
        int("exposed_comm_ns", "Communication in its time that no compute hides."),
        int("exposed_kv_ns", "KV transfer in its time that no compute hides."),
        int("exposed_copy_ns", "Other copies in its time that no compute hides."),
        int("kernels", "Kernels that begin in its time."),
        int("tokens", "Tokens that it computed, as its annotation, the target or the log states.").or_null(),
        int("decode_batch", "Requests that decode.").or_null(),
        int("kv_tokens", "Tokens whose keys and values they read.").or_null(),
        float(
            "coverage_ratio",
            "Share of the device's compute that is tied to the host by its launching call, or states its step.",
        )
        .or_null(),
        text("classes", "The kinds of rows that count as busy."),
        boolean("reliable", "False where whole-graph rows hide the kernels and the gaps between them."),
    ],
};

struct Row {
    device: DeviceKey,
    window: String,
    step: i64,
    timed: Timed,
    state: Result<&'static str, &'static str>,
    gap: Option<i64>,
    parts: Parts,
    coverage: Option<f64>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let series = Series::read(input)?;
    let named = matches!(input.window, Window::Named(_));
    let rows = input.of_devices(|model, device, sets| {
        let mut steps = series.of_device(model, device);
        clip_to_work(&mut steps, model.extents().get(&device).copied());
        if steps.is_empty() {
            return Vec::new();
        }
        let place = Place::of(model, device, &steps);
        sets.iter().flat_map(|set| place.of_set(set, named)).collect()
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .int("step", |row| Some(row.step))
        .text("name", |row| row.timed.name.as_ref())
        .text("source", |row| Some(row.timed.source.name()))
        .text("phase", |row| row.timed.phase.as_ref())
        .text("state", |row| row.state.ok())
        .text("state_reason", |row| row.state.err())
        .int("start_ns", |row| Some(row.timed.span.0))
        .int("host_ns", |row| row.timed.host.map(length))
        .int("span_ns", |row| Some(length(row.timed.span)))
        .int("gap_ns", |row| row.gap)
        .int("busy_ns", |row| Some(row.parts.busy))
        .int("idle_ns", |row| Some(length(row.timed.span) - row.parts.busy))
        .float("idle_ratio", |row| ratio(length(row.timed.span) - row.parts.busy, length(row.timed.span)))
        .int("compute_ns", |row| Some(row.parts.compute))
        .int("exposed_comm_ns", |row| Some(row.parts.exposed[0]))
        .int("exposed_kv_ns", |row| Some(row.parts.exposed[1]))
        .int("exposed_copy_ns", |row| Some(row.parts.exposed[2]))
        .int("kernels", |row| Some(row.parts.kernels))
        .int("tokens", |row| row.timed.tokens)
        .int("decode_batch", |row| row.timed.decoding)
        .int("kv_tokens", |row| row.timed.kv_tokens)
        .float("coverage_ratio", |row| row.coverage)
        .text("classes", |_| Some("kernel, copy, set, graph"))
        .bool("reliable", |row| Some(!row.parts.graphs))
        .build(&TABLE)
}

/// A range reaches over what the capture knows of the device: before its first and after its last row nobody knows whether
/// it worked, so that time is no idle time.
fn clip_to_work(steps: &mut [Timed], extent: Option<Span>) {
    let Some((first, last)) = extent else { return };
    for step in steps.iter_mut().filter(|step| matches!(step.source, Source::Ranges(_))) {
        let begin = step.span.0.clamp(first, last);
        step.span = (begin, step.span.1.clamp(begin, last));
    }
}

fn length(span: Span) -> i64 {
    span.1.saturating_sub(span.0).max(0)
}

/// What happened in the time of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    busy: i64,
    compute: i64,
    exposed: [i64; 3],
    kernels: i64,
    graphs: bool,
}

/// A device with its steps; sums over any stretch of time are found by bisection, however many steps overlap.
struct Place<'s> {
    device: DeviceKey,
    steps: &'s [Timed],
    states: Vec<Result<&'static str, &'static str>>,
    gaps: Vec<Option<i64>>,
    coverage: Option<f64>,
    busy: Measure,
    compute: Measure,
    exposed: [Measure; 3],
    graphs: Measure,
    /// Starts of the kernels, sorted.
    kernels: Vec<i64>,
}

impl<'s> Place<'s> {
    fn of(model: &Model, device: DeviceKey, steps: &'s [Timed]) -> Self {
        let rows = model.of_device(device);
        let set = |chosen: &dyn Fn(&Activity) -> bool| {
            union(&rows.iter().filter(|row| chosen(row)).map(|row| row.span).collect::<Vec<_>>())
        };
        let compute = set(&|row| row.class == Class::Compute);
        let exposed = [Class::Comm, Class::Kv, Class::Copy]
            .map(|class| Measure::of(subtract(&set(&|row| row.class == class), &compute)));
        let (states, gaps) = follow(steps);
        Self {
            device,
            steps,
            states,
            gaps,
            coverage: coverage(rows, steps[0].source),
            busy: Measure::of(set(&|row| row.class != Class::Sync)),
            compute: Measure::of(compute),
            exposed,
            graphs: Measure::of(set(&|row| row.kind == Kind::Graph)),
            kernels: rows.iter().filter(|row| row.kind == Kind::Kernel).map(|row| row.span.0).collect(),
        }
    }

    /// The steps that begin in the windows. The window of a whole trace is the extent of the device's work; a host begins
    /// its first step before, and all of them are meant.
    fn of_set(&self, set: &WindowSet, named: bool) -> Vec<Row> {
        let begun = |instant: i64| self.steps.partition_point(|step| step.span.0 < instant);
        if !named && set.name == "trace" {
            return (0..self.steps.len()).map(|at| self.row(at, set)).collect();
        }
        let within = |window: &Span| begun(window.0)..begun(window.1);
        set.spans.iter().flat_map(within).map(|at| self.row(at, set)).collect()
    }

    fn row(&self, at: usize, set: &WindowSet) -> Row {
        let timed = self.steps[at].clone();
        Row {
            device: self.device,
            window: set.name.clone(),
            step: at as i64,
            state: self.states[at],
            gap: self.gaps[at],
            parts: self.parts(timed.span),
            coverage: self.coverage,
            timed,
        }
    }

    fn parts(&self, span: Span) -> Parts {
        let begun = |instant: i64| self.kernels.partition_point(|start| *start < instant);
        Parts {
            busy: self.busy.inside(span),
            compute: self.compute.inside(span),
            exposed: [0, 1, 2].map(|class: usize| self.exposed[class].inside(span)),
            kernels: begun(span.1).saturating_sub(begun(span.0)) as i64,
            graphs: self.graphs.inside(span) > 0,
        }
    }
}

pub(crate) type State = Result<&'static str, &'static str>;

/// The state of each step, and its distance to the one before, series by series.
pub(crate) fn follow(steps: &[Timed]) -> (Vec<State>, Vec<Option<i64>>) {
    let (mut states, mut gaps) = (Vec::with_capacity(steps.len()), Vec::with_capacity(steps.len()));
    for series in steps.chunk_by(|a, b| a.series == b.series) {
        let lengths: Vec<i64> = series.iter().map(|step| length(step.span)).collect();
        // Where every step says how many requests it decodes, a small batch is not steady however long it takes.
        let sizes: Option<Vec<i64>> = series.iter().map(|step| step.decoding).collect();
        let found = steady(&lengths, sizes.as_deref());
        states.extend((0..series.len()).map(|at| match &found {
            Ok(steady) => Ok(steady.state(at).name()),
            Err(why) => Err(why.reason()),
        }));
        let mut before: Option<i64> = None;
        for step in series {
            gaps.push(before.map(|end| step.span.0.saturating_sub(end).max(0)));
            before = Some(before.map_or(step.span.1, |end| end.max(step.span.1)));
        }
    }
    (states, gaps)
}

/// How much of the compute the steps were told by.
fn coverage(rows: &[Activity], source: Source) -> Option<f64> {
    let tied = |row: &&Activity| match source {
        Source::Work => row.work().is_some_and(|work| work.step.is_some()),
        Source::Ranges(_) => row.call.is_some(),
        Source::Log => false,
    };
    let compute = || rows.iter().filter(|row| row.class == Class::Compute);
    // A log has times of its own.
    if source == Source::Log { None } else { ratio(compute().filter(tied).count() as i64, compute().count() as i64) }
}

#[cfg(test)]
mod tests;
