//! Points that cannot be where they are, and the causes that their own data allow.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_roofline::triage::{Confidence, Facts, Finding, Negative, Symptom, triage};
use proftool_trace::table::{Table, float, int, text};
use proftool_trace::tables;

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW};
use crate::Error;
use crate::model::{DeviceKey, Rows};
use crate::roofline::family::Family;
use crate::roofline::findings::findings;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "triage",
    doc: "Roofline rows above their roof or under their compulsory bytes, impossible values, and the causes that fit.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "triage",
    doc: "One cause that fits one symptom of one row of `roofline`, or of a sampled metric; the most time first.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the kernel, or of the sampled metric."),
        text("phase", "Phase of the row.").or_null(),
        int("time_ns", "Time of the row."),
        text("symptom", "`above_roof`, `under_compulsory_bytes`, `overstated_flop`, `percent_over_100` or `negative_average`."),
        text("metric", "The metric that cannot be, where the symptom is about one.").or_null(),
        float("size", "Bound over time, counted over compulsory bytes, counted FLOP over those of them that are done, percent over 100, or the smallest value.")
            .or_null(),
        text("cause", "The cause, or `unexplained` where none fits."),
        text("confidence", "`likely` where it accounts for the whole, else `possible`."),
        text("evidence", "The numbers of the row that say so."),
        text("advice", "What to do."),
    ],
};

/// One finding with what it is about.
struct Row {
    device: DeviceKey,
    window: String,
    name: String,
    phase: Option<String>,
    time: i64,
    finding: Finding,
}

/// The findings of the families, the most time first.
fn of_families(input: &Input) -> Result<Vec<Row>, Error> {
    let mut families: Vec<&Family> = input.families()?.iter().collect();
    families.sort_by_key(|family| (family.device, std::cmp::Reverse(family.time)));
    let findings = findings(input, &families)?;
    let mut rows = Vec::new();
    for (family, findings) in families.into_iter().zip(findings) {
        rows.extend(findings.into_iter().map(|finding| Row {
            device: family.device,
            window: family.window.clone(),
            name: family.name.clone(),
            phase: family.phase.clone(),
            time: family.time,
            finding,
        }));
    }
    Ok(rows)
}

/// Extremes of one sampled metric of one device.
#[derive(Clone, Copy, Debug)]
struct Extremes {
    min: f64,
    max: f64,
    samples: u64,
    negative: u64,
    span: (i64, i64),
}

/// The findings of sampled metrics with negative values, over the whole trace.
fn of_samples(input: &Input) -> Result<Vec<Row>, Error> {
    let pass = &input.model()?.pass;
    let samples = Rows::of_pass(input.tables.get(&tables::SAMPLES), pass)?;
    let (ranks, devices, defs) = (samples.ints("rank")?, samples.ints("device")?, samples.ints("def")?);
    let (starts, ends, values) = (samples.ints("start_ns")?, samples.ints("end_ns")?, samples.floats("value")?);
    let mut metrics: BTreeMap<(DeviceKey, i64), Extremes> = BTreeMap::new();
    for at in 0..ranks.len() {
        let Some(value) = values[at] else { continue };
        let new = Extremes { min: value, max: value, samples: 0, negative: 0, span: (starts[at], ends[at]) };
        let known = metrics.entry(((ranks[at], devices[at]), defs[at])).or_insert(new);
        (known.min, known.max) = (known.min.min(value), known.max.max(value));
        (known.samples, known.negative) = (known.samples + 1, known.negative + u64::from(value < 0.0));
        known.span = (known.span.0.min(starts[at]), known.span.1.max(ends[at]));
    }
    metrics.retain(|_, extremes| extremes.negative > 0);
    let definitions = Rows::of_pass(input.tables.get(&tables::COUNTER_DEFS), pass)?;
    let (def_ranks, numbers, names) =
        (definitions.ints("rank")?, definitions.ints("def")?, definitions.texts("metric")?);
    let mut rows = Vec::new();
    for ((device, def), extremes) in metrics {
        let is_def = |at: &usize| (def_ranks[*at], numbers[*at]) == (device.0, def);
        let name = (0..numbers.len()).find(is_def).and_then(|at| names[at].clone()).unwrap_or_default();
        let Extremes { min, max, samples, negative, span } = extremes;
        let negatives = vec![Negative { metric: name.clone(), min, max, samples, negative }];
        let time = span.1.saturating_sub(span.0).max(0);
        rows.extend(triage(&Facts { negatives, ..Facts::default() }).into_iter().map(|finding| Row {
            device,
            window: "trace".to_owned(),
            name: name.clone(),
            phase: None,
            time,
            finding,
        }));
    }
    Ok(rows)
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = of_families(input)?;
    rows.extend(of_samples(input)?);
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("name", |row| Some(&row.name))
        .text("phase", |row| row.phase.as_deref())
        .int("time_ns", |row| Some(row.time))
        .text("symptom", |row| Some(Symptom::name(row.finding.symptom)))
        .text("metric", |row| row.finding.metric.as_deref())
        .float("size", |row| row.finding.size)
        .text("cause", |row| Some(row.finding.cause))
        .text("confidence", |row| Some(Confidence::name(row.finding.confidence)))
        .text("evidence", |row| Some(&row.finding.evidence))
        .text("advice", |row| Some(row.finding.advice))
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::shared_data;
    use crate::windows::Window;
    use proftool_trace::frame::{ints, texts};

    #[test]
    fn the_negative_averages_of_a_real_capture_are_found_in_its_samples() {
        let Some(path) = shared_data("nsys/gh200_gpu_metrics.schema3.7.sqlite.gz") else { return };
        let (_, tables) = proftool_import::into_memory(&path).unwrap();
        let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
        let symptoms = texts(&frame, "symptom").unwrap();
        let at = symptoms.iter().position(|symptom| symptom.as_deref() == Some("negative_average")).unwrap();
        let (names, causes) = (texts(&frame, "name").unwrap(), texts(&frame, "cause").unwrap());
        assert!(names[at].as_deref().is_some_and(|name| name.contains("Warps in Flight")), "{names:?}");
        assert_eq!(causes[at].as_deref(), Some("signed_overflow"));
        assert!(ints(&frame, "time_ns").unwrap()[at].is_some_and(|time| time > 0));
    }
}
