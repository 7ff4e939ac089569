//! Where the time of a step goes, from what the roofs demand to idle time.

use serde::Serialize;

use super::{Built, Picture};
use crate::charts::step_waterfall::PARTS;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};
use crate::views::waterfall::{COLUMNS, device_words, has_ranks, shown, step_words, view};

#[derive(Serialize)]
struct Values {
    parts: Vec<&'static str>,
    runs: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    heading: Option<String>,
    picture: Option<String>,
    alt: String,
    whole: Vec<Line>,
    steps: Vec<Line>,
    more: Option<String>,
    unreliable: bool,
}

#[derive(Serialize)]
struct Line {
    label: String,
    parts: Vec<String>,
    span: String,
    above: String,
    coverage: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut runs, mut pictures) = (Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let suffix = report.suffix(run);
        let Some(view) = view(run, &suffix) else { continue };
        let file = format!("waterfall{suffix}.svg");
        runs.push(part(run, report.is_pair(), file.clone()));
        pictures.push(Picture { file, svg: view.render() });
    }
    if runs.is_empty() {
        return Ok(None);
    }
    Built::new("waterfall", &Values { parts: PARTS.to_vec(), runs }, pictures).map(Some)
}

fn part(run: &Run, of_pair: bool, picture: String) -> Part {
    let shown = shown(run);
    let ranks = has_ranks(&run.metric("waterfall").iter().collect::<Vec<_>>());
    let device = shown.steps.first().map_or_else(String::new, |row| format!("{}, step ", device_words(row, ranks)));
    let more = shown.more_steps + shown.more_devices;
    Part {
        heading: of_pair.then(|| format::plain(run.label())),
        picture: Some(picture),
        alt: format!("Where the time of a step of {} goes: stacked bars", format::plain(run.label())),
        whole: shown.whole.iter().map(|row| line(row, &device_words(row, ranks))).collect(),
        steps: shown.steps.iter().map(|row| line(row, &format!("{device}{}", step_words(row)))).collect(),
        more: (more > 0).then(|| "Further steps and devices are in `metrics/waterfall.parquet`.".to_owned()),
        unreliable: shown.whole.iter().chain(&shown.steps).any(|row| row.boolean("reliable") == Some(false)),
    }
}

fn line(row: &Row, label: &str) -> Line {
    let ns = |column: &str| format::or_absent(row.int(column), format::count);
    Line {
        label: format::plain(label),
        parts: COLUMNS.into_iter().map(ns).collect(),
        span: ns("span_ns"),
        above: ns("above_roof_ns"),
        coverage: format::or_absent(row.float("coverage_ratio"), format::percent),
    }
}
