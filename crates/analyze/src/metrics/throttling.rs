//! How long a device's clocks were low, for which reasons, and which kernels ran then.
//!
//! A row `reason` is one of the reasons that NVML names (see [`proftool_trace::sampled::REASONS`]), active where its samples
//! say so. Reasons overlap (a hardware slowdown has a cause of its own beside it), so the row `any` is the union of those
//! that take speed from a device with work: idleness and settings are not among them.
//!
//! A row `clock` is one clock, active where it is more than 5 % below the highest value that the trace saw. Its drop is
//! that of its mean over the time in which kernels ran, because clocks fall by themselves where nothing runs:
//! drop = 1 - mean / reference. What a drop costs is at most the sum of (1 - clock / highest) x ns over that time: kernels
//! that wait for memory, links or the host lose less.
//!
//! A device without such samples has a row that says so: nothing recorded is not "never throttled".

mod rows;

use polars::prelude::DataFrame;
use proftool_timeline::weighted::{Held, Weighted};
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::DeviceKey;
use rows::rows;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "throttling",
    doc: "Time with low clocks by reason, the drop of each clock while kernels ran, and the kernels that it met.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "throttling",
    doc: "One reason for a low clock, or one clock, of one device in one window set.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("kind", "`reason` or `clock`."),
        text(
            "name",
            "The reason, `any` for all that take speed; or what the clock drives: `compute`, `memory`, `other`.",
        )
        .or_null(),
        text("metric", "The metric that is read; null for `any` and where nothing was sampled.").or_null(),
        boolean(
            "slows",
            "Whether the reason takes speed from a device with work; null for a clock, or an unknown reason.",
        )
        .or_null(),
        int("span_ns", "Length of the windows."),
        int("samples", "Samples of which a part lies in the windows; null for `any`.").or_null(),
        int("covered_ns", "Part of the windows for which it is known.").or_null(),
        float("coverage_ratio", "covered_ns / span_ns.").or_null(),
        int("active_ns", "Time for which the reason held, or the clock was more than 5 % below the highest seen.")
            .or_null(),
        float("active_ratio", "active_ns / covered_ns.").or_null(),
        int("kernels", "Kernels of which a part ran in that time.").or_null(),
        int("kernel_ns", "Part of that time in which kernels ran.").or_null(),
        float("mean_hz", "Mean clock in the windows.").or_null(),
        float("kernel_mean_hz", "Mean clock while kernels ran.").or_null(),
        float("min_hz", "Lowest clock in the windows.").or_null(),
        float("max_hz", "Highest clock in the windows.").or_null(),
        float("seen_hz", "Highest clock in the whole trace.").or_null(),
        float("drop_ratio", "1 - kernel_mean_hz / seen_hz.").or_null(),
        float("spec_hz", "Boost clock of the device's hardware spec, or the clock that its driver states.").or_null(),
        text("spec_source", "Which of them.").or_null(),
        float("spec_drop_ratio", "1 - kernel_mean_hz / spec_hz; below 0 where it ran faster.").or_null(),
        int(
            "lost_ns",
            "What the drop from seen_hz costs at most: sum of (1 - clock / seen_hz) x ns while kernels ran.",
        )
        .or_null(),
        text("reason", "Why numbers are null.").or_null(),
    ],
};

/// Least clock, as a share of the highest seen, that does not count as low: nsys counts cycles of intervals, whose
/// quotients scatter by about a percent.
const LOW: f64 = 0.95;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reason,
    Clock,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Clock => "clock",
        }
    }
}

/// Clocks in hertz.
#[derive(Clone, Debug, Default, PartialEq)]
struct Clocks {
    mean: Option<f64>,
    kernel_mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    seen: Option<f64>,
    lost: Option<i64>,
    spec: Option<(f64, String)>,
}

impl Clocks {
    fn drop(&self) -> Option<f64> {
        self.below(self.seen?)
    }

    fn spec_drop(&self) -> Option<f64> {
        self.below(self.spec.as_ref()?.0)
    }

    fn below(&self, reference: f64) -> Option<f64> {
        let drop = 1.0 - self.kernel_mean? / reference;
        Some(drop).filter(|drop| drop.is_finite())
    }
}

/// What is known in the windows.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    samples: Option<i64>,
    covered: i64,
    active: i64,
    kernels: i64,
    kernel_ns: i64,
}

struct Row {
    device: DeviceKey,
    window: String,
    kind: Kind,
    name: Option<String>,
    metric: Option<String>,
    slows: Option<bool>,
    span: i64,
    known: Option<Known>,
    clocks: Clocks,
    why: Option<&'static str>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input)?;
    let known = |row: &Row, value: fn(&Known) -> i64| row.known.as_ref().map(value);
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("kind", |row| Some(row.kind.name()))
        .text("name", |row| row.name.as_ref())
        .text("metric", |row| row.metric.as_ref())
        .bool("slows", |row| row.slows)
        .int("span_ns", |row| Some(row.span))
        .int("samples", |row| row.known.as_ref()?.samples)
        .int("covered_ns", |row| known(row, |known| known.covered))
        .float("coverage_ratio", |row| ratio(known(row, |known| known.covered)?, row.span))
        .int("active_ns", |row| known(row, |known| known.active))
        .float("active_ratio", |row| row.known.as_ref().and_then(|known| ratio(known.active, known.covered)))
        .int("kernels", |row| known(row, |known| known.kernels))
        .int("kernel_ns", |row| known(row, |known| known.kernel_ns))
        .float("mean_hz", |row| row.clocks.mean)
        .float("kernel_mean_hz", |row| row.clocks.kernel_mean)
        .float("min_hz", |row| row.clocks.min)
        .float("max_hz", |row| row.clocks.max)
        .float("seen_hz", |row| row.clocks.seen)
        .float("drop_ratio", |row| row.clocks.drop())
        .float("spec_hz", |row| row.clocks.spec.as_ref().map(|spec| spec.0))
        .text("spec_source", |row| row.clocks.spec.as_ref().map(|spec| &spec.1))
        .float("spec_drop_ratio", |row| row.clocks.spec_drop())
        .int("lost_ns", |row| row.clocks.lost)
        .text("reason", |row| row.why)
        .build(&TABLE)
}

/// The highest value in the whole of a clock's samples, where it is one.
fn seen(clock: &Weighted) -> Option<f64> {
    clock.over(clock.extent().as_slice()).max().filter(|hz| *hz > 0.0)
}

/// What the drop from the highest clock costs at most.
fn lost(running: &Held, seen: Option<f64>) -> Option<i64> {
    let at_full_speed = running.integral()? / seen?;
    // The cast saturates; no sample is above the highest, so that less than 0 is rounding.
    Some((running.covered_ns() as f64 - at_full_speed).round().max(0.0) as i64)
}

#[cfg(test)]
mod tests;
