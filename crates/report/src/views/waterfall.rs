//! What the step waterfall shows of a run: each device as a whole, and the steps of the busiest one.

use std::cmp::Reverse;

use crate::charts::step_waterfall::{Bar, PARTS, Panel, StepWaterfall};
use crate::format;
use crate::run::{Row, Run, file_stem};

/// Steps in one picture; the table of the metric has all.
const MOST_STEPS: usize = 20;
/// Devices in one picture.
const MOST_DEVICES: usize = 8;

/// The columns of the parts, in the order of [`PARTS`].
pub(crate) const COLUMNS: [&str; PARTS.len()] = [
    "roof_ns",
    "inefficiency_ns",
    "unplaced_ns",
    "exposed_comm_ns",
    "exposed_kv_ns",
    "exposed_copy_ns",
    "launch_ns",
    "idle_ns",
];

type Device = (i64, i64);

fn device(row: &Row) -> Device {
    (row.int("rank").unwrap_or(0), row.int("device").unwrap_or(0))
}

/// `rank 1 device 2`, the rank only where there are several.
pub(crate) fn device_words(row: &Row, ranks: bool) -> String {
    let (rank, device) = device(row);
    if ranks { format!("rank {rank} device {device}") } else { format!("device {device}") }
}

/// Whether the rows are of several ranks.
pub(crate) fn has_ranks(rows: &[&Row]) -> bool {
    rows.iter().any(|row| row.int("rank") != rows[0].int("rank"))
}

/// What the picture and the table list: whole windows, and the longest steps of the busiest device in their order.
pub(crate) struct Shown<'a> {
    pub(crate) whole: Vec<&'a Row>,
    pub(crate) steps: Vec<&'a Row>,
    pub(crate) more_devices: usize,
    /// Steps of the busiest device that are not listed.
    pub(crate) more_steps: usize,
}

/// Chooses the rows of a run.
pub(crate) fn shown(run: &Run) -> Shown<'_> {
    let (steps, mut whole): (Vec<&Row>, Vec<&Row>) =
        run.metric("waterfall").iter().partition(|row| row.int("step").is_some());
    let span = |row: &&Row| row.int("span_ns").unwrap_or(0);
    let busy = |row: &&Row| span(row).saturating_sub(row.int("idle_ns").unwrap_or(0));
    let busiest = whole.iter().max_by_key(|row| busy(row)).or(steps.first()).map(|row| device(row));
    let mut steps: Vec<&Row> = steps.into_iter().filter(|row| Some(device(row)) == busiest).collect();
    let (more_steps, more_devices) = (steps.len().saturating_sub(MOST_STEPS), whole.len().saturating_sub(MOST_DEVICES));
    steps.sort_by_key(|row| Reverse(span(row)));
    steps.truncate(MOST_STEPS);
    steps.sort_by_key(|row| row.int("step"));
    whole.truncate(MOST_DEVICES);
    Shown { whole, steps, more_devices, more_steps }
}

/// `3: execute_decode`.
pub(crate) fn step_words(row: &Row) -> String {
    let number = row.int("step").map_or_else(|| "-".to_owned(), |step| step.to_string());
    match row.text("name") {
        Some(name) => format!("{number}: {name}"),
        None => number,
    }
}

fn bar(row: &Row, label: String) -> Bar {
    Bar { label, parts: COLUMNS.map(|column| row.int(column).unwrap_or(0)) }
}

/// The picture; none where the metric has no rows.
pub(crate) fn view(run: &Run, suffix: &str) -> Option<StepWaterfall> {
    let shown = shown(run);
    let any = shown.whole.first().or(shown.steps.first())?;
    let ranks = has_ranks(&run.metric("waterfall").iter().collect::<Vec<_>>());
    let mut panels = Vec::new();
    if !shown.whole.is_empty() {
        let bars = shown.whole.iter().map(|row| bar(row, device_words(row, ranks))).collect();
        let window = any.text("window").unwrap_or("trace");
        panels.push(Panel {
            title: format!("Whole window ({window}), in percent of its length"),
            relative: true,
            bars,
        });
    }
    if let Some(first) = shown.steps.first() {
        let title = format!("Steps of {}, in milliseconds", device_words(first, ranks));
        let bars = shown.steps.iter().map(|row| bar(row, step_words(row))).collect();
        panels.push(Panel { title, relative: false, bars });
    }
    Some(StepWaterfall {
        id: format!("waterfall{}", file_stem(suffix)),
        title: format!("Where the time of a step goes: {}", run.artifact.manifest.target.name),
        subtitle: format!("{}; every nanosecond is counted once", run.artifact.manifest.hardware_key),
        panels,
        notes: notes(&shown),
    })
}

fn notes(shown: &Shown) -> Vec<String> {
    let coverage = shown.whole.iter().find_map(|row| row.float("coverage_ratio"));
    let coverage = coverage.map_or_else(String::new, |ratio| {
        format!(" On the first device {} of the compute time has a bound.", format::percent(ratio))
    });
    let mut notes = vec![format!(
        "Roof: what the roofs demand of the kernels that ran; inefficiency: what these took beyond it; unplaced: kernels \
         without counts; exposed: not hidden behind compute; launch: waiting for the host to launch; idle: any other gap.\
         {coverage}"
    )];
    if shown.more_steps > 0 {
        notes.push(format!(
            "Drawn are the {} longest steps; {} more are in the table.",
            shown.steps.len(),
            shown.more_steps
        ));
    }
    if shown.more_devices > 0 {
        notes.push(format!("{} more devices are in the table.", shown.more_devices));
    }
    notes
}
