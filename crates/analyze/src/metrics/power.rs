//! Energy and power over the parts of a device's time, and what a token costs.
//!
//! energy = sum of power x the time that each reading covers inside the scope; nothing is filled in where there is none.
//! Where a counter of energy covers the windows, power is the difference of two readings over the time between them, else
//! each power sample is a step over its interval (see `crate::samples::power`, also for why not the trapezoid rule).
//! Energies of busy and idle sum to that of the window. A ratio needs readings over nine tenths of the scope, and none that
//! last longer than a typical stretch of it: such a reading tells of what ran around it too. NVML's power draw is, on
//! devices newer than GA100, the average of the last second, so that it says little about stretches shorter than that.
//!
//! What the energy is in FLOP and bytes, and what reaching the roof would save, is in `roofline_energy`.

mod tokens;

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::roofline_energy::LEAST_COVERAGE;
use super::roofline_sampled::sampled_sets;
use super::{Input, Metric, Output, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::DeviceKey;
use crate::operators::total;
use crate::samples::is_coarse;
use crate::samples::power::{self, Power, Source};
use crate::samples::scopes::{Kind, Scope, Scoper};
use crate::windows::WindowSet;
use tokens::{Count, Tokens};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "power",
    doc: "Energy and power of each device in its windows, busy and idle time, phases, ranges and steps; joules a token.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "power",
    doc: "The energy of one device, or of all that have readings, in one scope of one window set.",
    columns: &[
        RUN,
        TARGET,
        int("rank", "Rank of the process; null for the sum of all devices.").or_null(),
        int("device", "Number of the device inside its rank; null for the sum of all devices.").or_null(),
        WINDOW,
        text("scope_kind", Kind::DOC),
        text("scope", "Name of the phase, state or range, `busy` or `idle`; null for the window.").or_null(),
        text("source", "`energy_counter` (differences of its readings) or `power_samples`; null where devices differ.")
            .or_null(),
        text("metric", "The metric that is read; null for the sum of all devices.").or_null(),
        text("other_metrics", "Other readings of power or energy of the device, which are not added.").or_null(),
        int("span_ns", "Length of the scope inside the windows; of all devices the sum."),
        int("samples", "Readings of which a part lies inside it."),
        int("covered_ns", "Part of span_ns that they cover."),
        float("coverage_ratio", "covered_ns / span_ns.").or_null(),
        float("energy_j", "Sum of power x covered time.").or_null(),
        float("energy_ratio", "energy_j / that of the window; null where readings are too coarse or too few.")
            .or_null(),
        float("mean_w", "energy_j over the covered time.").or_null(),
        float("min_w", "Smallest power.").or_null(),
        float("p95_w", "Power that was not exceeded for 95 % of the covered time.").or_null(),
        float("max_w", "Largest power.").or_null(),
        int("tokens", "Tokens that the device computed in the scope, prompts and generated; null where not stated.")
            .or_null(),
        text("tokens_source", "Where they are stated.").or_null(),
        float("joule_per_token", "energy_j / tokens.").or_null(),
        float("tokens_per_joule", "tokens / energy_j.").or_null(),
        int("output_tokens", "Generated tokens of the requests that end in the windows; of window rows only.")
            .or_null(),
        float("joule_per_output_token", "energy_j / output_tokens.").or_null(),
        text("reason", "Why ratios are null.").or_null(),
    ],
};

#[derive(Clone, Default)]
struct Row {
    device: Option<DeviceKey>,
    window: String,
    kind: Option<Kind>,
    scope: Option<String>,
    source: Option<Source>,
    metric: Option<String>,
    others: Option<String>,
    span: i64,
    samples: i64,
    covered: i64,
    energy: Option<f64>,
    share: Option<f64>,
    mean: Option<f64>,
    /// min, p95, max.
    order: [Option<f64>; 3],
    tokens: Option<Count>,
    output: Option<i64>,
    doubts: Vec<&'static str>,
}

impl Row {
    /// The energy, where ratios of it hold.
    fn whole_energy(&self) -> Option<f64> {
        self.energy.filter(|energy| *energy > 0.0 && self.doubts.is_empty())
    }

    fn per(&self, tokens: Option<i64>) -> Option<f64> {
        let tokens = tokens.filter(|tokens| *tokens > 0)?;
        Some(self.whole_energy()? / tokens as f64)
    }

    fn count(&self) -> Option<i64> {
        self.tokens.as_ref().map(|tokens| tokens.count)
    }

    fn reason(&self) -> Option<String> {
        let counted = matches!(self.kind, Some(Kind::Window | Kind::Phase | Kind::StepState));
        let unknown = counted && self.tokens.is_none() && self.output.is_none();
        let all: Vec<&str> =
            self.doubts.iter().copied().chain(unknown.then_some("the tokens are not stated")).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input)?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| row.device.map(|device| device.0))
        .int("device", |row| row.device.map(|device| device.1))
        .text("window", |row| Some(&row.window))
        .text("scope_kind", |row| row.kind.map(Kind::name))
        .text("scope", |row| row.scope.as_ref())
        .text("source", |row| row.source.map(Source::name))
        .text("metric", |row| row.metric.as_ref())
        .text("other_metrics", |row| row.others.as_ref())
        .int("span_ns", |row| Some(row.span))
        .int("samples", |row| Some(row.samples))
        .int("covered_ns", |row| Some(row.covered))
        .float("coverage_ratio", |row| ratio(row.covered, row.span))
        .float("energy_j", |row| row.energy)
        .float("energy_ratio", |row| row.share)
        .float("mean_w", |row| row.mean)
        .float("min_w", |row| row.order[0])
        .float("p95_w", |row| row.order[1])
        .float("max_w", |row| row.order[2])
        .int("tokens", Row::count)
        .text("tokens_source", |row| row.tokens.as_ref().map(|tokens| &tokens.source))
        .float("joule_per_token", |row| row.per(row.count()))
        .float("tokens_per_joule", |row| row.per(row.count()).map(f64::recip).filter(|rate| rate.is_finite()))
        .int("output_tokens", |row| row.output)
        .float("joule_per_output_token", |row| row.per(row.output))
        .text("reason", Row::reason)
        .build(&TABLE)
}

fn rows(input: &Input) -> Result<Vec<Row>, Error> {
    let devices = power::read(input.tables, &input.model()?.pass)?;
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let (scoper, tokens) = (Scoper::read(input)?, Tokens::read(input)?);
    let (mut rows, mut sums) = (Vec::new(), BTreeMap::<String, Vec<Row>>::new());
    let alone = devices.len() == 1;
    let model = input.model()?;
    for (device, powers) in &devices {
        let arch = model.devices.iter().find(|known| known.key == *device).and_then(|known| known.arch.as_deref());
        let extents: Vec<_> = powers.iter().filter_map(|power| power.watts.extent()).collect();
        let scopes = scoper.of_device(*device);
        let mut tokens = tokens.of_device(input, *device)?;
        for set in sampled_sets(input, *device, &extents)? {
            let Some(best) = power::best(powers, &set.spans) else { continue };
            let others = powers.iter().map(|power| power.metric.as_str()).filter(|metric| *metric != best.metric);
            let others: Vec<&str> = others.collect();
            let others = (!others.is_empty()).then(|| others.join(", "));
            let mut window: Option<Row> = None;
            for scope in scopes.of_set(&set) {
                let row = of_scope(*device, &set, &scope, best, best.averaged_ns(arch));
                let counted = tokens.within(&scopes, &scope, &set);
                let output = tokens.output(&set).filter(|_| alone && scope.kind == Kind::Window);
                let row = Row { others: others.clone(), tokens: counted, output, ..row };
                rows.push(with_share(row, window.as_ref()));
                window = window.or_else(|| rows.last().cloned());
            }
            sums.entry(set.name.clone())
                .or_default()
                .extend(window.map(|row| Row { output: tokens.output(&set), ..row }));
        }
    }
    rows.extend(sums.into_values().filter_map(|rows| sum(&rows)));
    Ok(rows)
}

/// The energy of one scope of a device, by readings that average so much of the past.
fn of_scope(device: DeviceKey, set: &WindowSet, scope: &Scope, power: &Power, averaged: i64) -> Row {
    let (held, span) = (power.watts.over(&scope.spans), total(&scope.spans));
    let (covered, sample) = (held.covered_ns(), held.typical_ns());
    let doubts = [
        (held.pieces_where(|watts| watts < 0.0) > 0, "power below 0 was sampled"),
        (ratio(covered, span).unwrap_or(0.0) < LEAST_COVERAGE, "readings cover less than nine tenths of the scope"),
        (
            scope.kind != Kind::Window && is_coarse(sample, &scope.spans),
            "a reading lasts longer than a stretch of the scope, so that it is also about what ran around it",
        ),
        (is_coarse(averaged, &scope.spans), "power is an average of the last second, which is longer than a stretch"),
        (power.falls > 0, "the counter of energy fell, and what it counted then is not known"),
    ];
    Row {
        device: Some(device),
        window: set.name.clone(),
        kind: Some(scope.kind),
        scope: scope.name.clone(),
        source: Some(power.source),
        metric: Some(power.metric.clone()),
        span,
        samples: held.pieces(),
        covered,
        energy: held.integral().map(|value| value / 1e9),
        mean: held.mean(),
        order: [held.min(), held.quantile(95), held.max()],
        doubts: doubts.into_iter().filter(|(holds, _)| *holds).map(|(_, doubt)| doubt).collect(),
        ..Row::default()
    }
}

/// The row with its share of the window's energy.
fn with_share(row: Row, window: Option<&Row>) -> Row {
    let whole = window.unwrap_or(&row).whole_energy();
    let share = row.whole_energy().zip(whole).map(|(energy, whole)| energy / whole);
    Row { share: share.filter(|share| share.is_finite()), ..row }
}

/// The sum of the windows of several devices. Tokens of the devices are not added: whether each computed tokens of its own
/// or a part of the same ones is not recorded.
fn sum(rows: &[Row]) -> Option<Row> {
    let first = rows.first().filter(|_| rows.len() > 1)?;
    let add = |value: fn(&Row) -> i64| rows.iter().map(value).fold(0, i64::saturating_add);
    let energy = rows.iter().map(|row| row.energy).sum::<Option<f64>>().filter(|energy| energy.is_finite());
    let mean = rows.iter().map(|row| row.mean).sum::<Option<f64>>().filter(|mean| mean.is_finite());
    let same = rows.iter().all(|row| row.source == first.source);
    let doubted = rows.iter().any(|row| !row.doubts.is_empty());
    Some(Row {
        window: first.window.clone(),
        kind: first.kind,
        source: first.source.filter(|_| same),
        span: add(|row| row.span),
        samples: add(|row| row.samples),
        covered: add(|row| row.covered),
        energy,
        mean,
        output: first.output,
        doubts: if doubted { vec!["the readings of a device are in doubt: see its row"] } else { Vec::new() },
        ..Row::default()
    })
}

#[cfg(test)]
mod tests;
