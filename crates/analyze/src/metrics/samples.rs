//! Sampled metrics over the parts of a device's time: windows, busy and idle, phases, states of steps, ranges.
//!
//! Mean = sum of value x ns inside the scope / covered ns, an exact sum of integers (see [`proftool_timeline::weighted`]).
//! pN = the smallest value that was not exceeded for at least N % of the covered time. Nothing is filled in where no
//! sample lies. What a percentage means in bytes and FLOP is in `roofline_sampled`, what power costs in `power`.

use std::collections::HashMap;
use std::rc::Rc;

use polars::prelude::DataFrame;
use proftool_timeline::weighted::{Held, Weighted};
use proftool_trace::table::{Table, float, int, text};

use super::roofline_sampled::{WARPS, is_warps, sampled_sets, sm_counts};
use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::DeviceKey;
use crate::operators::total;
use crate::samples::scopes::{Kind, Scope, Scoper};
use crate::samples::series::{self, Series};
use crate::samples::{by_device, is_coarse, weighted};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "samples",
    doc: "Every sampled metric of each device in its windows, phases, ranges and step states: mean, percentiles, issues.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "samples",
    doc: "One sampled metric of one device in one scope of one window set.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("metric", "Name that the tool gives it."),
        text("unit", "Unit of mean, percentiles, min and max.").or_null(),
        text("scope_kind", Kind::DOC),
        text("scope", "Name of the phase, state or range, `busy` or `idle`; null for the window.").or_null(),
        int("span_ns", "Length of the scope inside the windows."),
        int("samples", "Samples of which a part lies inside it."),
        int("sample_ns", "Mean length of their intervals.").or_null(),
        int("covered_ns", "Part of the scope that they cover."),
        float("coverage_ratio", "covered_ns / span_ns.").or_null(),
        float("mean", "Mean of the values, weighted by their time inside the scope.").or_null(),
        float("min", "Smallest value.").or_null(),
        float("p50", "Value that was not exceeded for half of the covered time.").or_null(),
        float("p95", "Value that was not exceeded for 95 % of the covered time.").or_null(),
        float("max", "Largest value.").or_null(),
        int("above_90_ns", "Time with a value above 90; of percentages.").or_null(),
        float("above_90_ratio", "above_90_ns / covered_ns.").or_null(),
        int("negative_samples", "Samples below 0."),
        int("over_limit_samples", "Samples above 100 %, or more warps than the device can hold; null without a limit.")
            .or_null(),
        text("issue", "Why the values are in doubt: `negative_samples` (the counter overflowed), `over_limit_samples`, `coarse_samples` (they last longer than a stretch of the scope, so that they tell of what ran around it too); joined by `;`.")
            .or_null(),
        int("scopes_left_out", "Names of ranges of this device and window set that are not shown; of ranges only.")
            .or_null(),
    ],
};

/// A metric of a device.
struct Sampled {
    device: DeviceKey,
    metric: String,
    unit: Option<String>,
    limit: Option<f64>,
    /// Whether each value is exact for all of its interval: the state between two events.
    exact: bool,
    values: Weighted,
}

impl Sampled {
    fn of(series: &Series, sm_count: Option<i64>) -> Self {
        let unit = series.unit.as_deref();
        let warps = sm_count.filter(|count| *count > 0 && is_warps(&series.metric, unit));
        Self {
            device: series.device,
            metric: series.metric.clone(),
            unit: series.unit.clone(),
            limit: warps.map(|count| count as f64 * WARPS).or_else(|| (unit == Some("%")).then_some(100.0)),
            exact: series.onwards,
            values: weighted(series, 1.0),
        }
    }

    fn is_percent(&self) -> bool {
        self.unit.as_deref() == Some("%")
    }

    /// Counts, shares, rates and powers cannot be below 0; a temperature may be, and who knows what has no unit.
    fn may_be_negative(&self) -> bool {
        self.unit.as_deref().is_none_or(|unit| unit.trim_start_matches('°').eq_ignore_ascii_case("c"))
    }
}

struct Row {
    sampled: Rc<Sampled>,
    window: Rc<str>,
    kind: Kind,
    scope: Option<String>,
    left_out: Option<i64>,
    span: i64,
    samples: i64,
    sample_ns: i64,
    covered: i64,
    mean: Option<f64>,
    /// min, p50, p95, max.
    order: [Option<f64>; 4],
    above_90: Option<i64>,
    negative: i64,
    over: Option<i64>,
    coarse: bool,
}

impl Row {
    fn of(sampled: &Rc<Sampled>, window: &Rc<str>, scope: &Scope) -> Self {
        let held = sampled.values.over(&scope.spans);
        Self {
            sampled: Rc::clone(sampled),
            window: Rc::clone(window),
            kind: scope.kind,
            scope: scope.name.clone(),
            left_out: scope.left_out,
            span: total(&scope.spans),
            samples: held.pieces(),
            sample_ns: held.typical_ns(),
            covered: held.covered_ns(),
            mean: held.mean(),
            order: [held.min(), held.quantile(50), held.quantile(95), held.max()],
            above_90: sampled.is_percent().then(|| held.ns_where(|value| value > 90.0)),
            negative: held.pieces_where(|value| value < 0.0),
            over: sampled.limit.map(|limit| held.pieces_where(|value| value > limit)),
            coarse: !sampled.exact && is_shared(&held, scope),
        }
    }

    fn issue(&self) -> Option<String> {
        let issues = [
            ("negative_samples", self.negative > 0 && !self.sampled.may_be_negative()),
            ("over_limit_samples", self.over.is_some_and(|over| over > 0)),
            ("coarse_samples", self.coarse),
        ];
        let named: Vec<&str> = issues.iter().filter(|(_, holds)| *holds).map(|(name, _)| *name).collect();
        (!named.is_empty()).then(|| named.join(";"))
    }
}

fn is_shared(held: &Held, scope: &Scope) -> bool {
    scope.kind != Kind::Window && is_coarse(held.typical_ns(), &scope.spans)
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input)?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.sampled.device.0))
        .int("device", |row| Some(row.sampled.device.1))
        .text("window", |row| Some(&*row.window))
        .text("metric", |row| Some(&row.sampled.metric))
        .text("unit", |row| row.sampled.unit.as_ref())
        .text("scope_kind", |row| Some(row.kind.name()))
        .text("scope", |row| row.scope.as_ref())
        .int("span_ns", |row| Some(row.span))
        .int("samples", |row| Some(row.samples))
        .int("sample_ns", |row| Some(row.sample_ns).filter(|_| row.samples > 0))
        .int("covered_ns", |row| Some(row.covered))
        .float("coverage_ratio", |row| ratio(row.covered, row.span))
        .float("mean", |row| row.mean)
        .float("min", |row| row.order[0])
        .float("p50", |row| row.order[1])
        .float("p95", |row| row.order[2])
        .float("max", |row| row.order[3])
        .int("above_90_ns", |row| row.above_90)
        .float("above_90_ratio", |row| ratio(row.above_90?, row.covered))
        .int("negative_samples", |row| Some(row.negative))
        .int("over_limit_samples", |row| row.over)
        .text("issue", Row::issue)
        .int("scopes_left_out", |row| row.left_out)
        .build(&TABLE)
}

fn rows(input: &Input) -> Result<Vec<Row>, Error> {
    let model = input.model()?;
    let devices = by_device(series::read(input.tables, &model.pass, |_, _| true)?);
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let scoper = Scoper::read(input)?;
    let sm_counts: HashMap<DeviceKey, Option<i64>> = sm_counts(input, model)?;
    let mut rows = Vec::new();
    for (device, series) in devices {
        let sm_count = sm_counts.get(&device).copied().flatten();
        let extents: Vec<_> = series.iter().filter_map(Series::extent).collect();
        let sampled: Vec<_> = series.iter().map(|series| Rc::new(Sampled::of(series, sm_count))).collect();
        let scopes = scoper.of_device(device);
        for set in sampled_sets(input, device, &extents)? {
            let (window, scopes): (Rc<str>, _) = (set.name.as_str().into(), scopes.of_set(&set));
            for one in &sampled {
                rows.extend(scopes.iter().map(|scope| Row::of(one, &window, scope)));
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
