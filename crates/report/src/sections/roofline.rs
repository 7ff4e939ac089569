//! How close each kernel family is to the hardware limit, and which to fix first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Built, Picture};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run, sum};
use crate::views;

/// Families beyond this are in `metrics/roofline.parquet` only.
const MOST_ROWS: usize = 20;

#[derive(Serialize)]
struct Values {
    runs: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    heading: Option<String>,
    missing: Option<String>,
    picture: Option<String>,
    alt: String,
    limiters: Vec<String>,
    rows: Vec<Line>,
    more: Option<String>,
    above: Option<String>,
    sources: String,
}

#[derive(Serialize)]
struct Line {
    name: String,
    phase: String,
    device: String,
    launches: String,
    time: String,
    rate: String,
    intensity: String,
    limiter: String,
    measured: String,
    shared: String,
    datasheet: String,
    recoverable: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut runs, mut pictures) = (Vec::new(), Vec::new());
    // The run that the report is about comes first.
    for run in report.runs.iter().rev() {
        let view = views::roofline::view(run, &report.suffix(run))?;
        let file = format!("roofline{}.svg", report.suffix(run));
        runs.push(part(report, run, view.is_some().then(|| file.clone())));
        pictures.extend(view.map(|view| Picture { file, svg: view.render() }));
    }
    Built::new("roofline", &Values { runs }, pictures).map(Some)
}

fn part(report: &Report, run: &Run, picture: Option<String>) -> Part {
    let mut rows = views::roofline::rows(run);
    rows.sort_by_key(|row| std::cmp::Reverse(row.int("recoverable_ns")));
    let more = rows.len().saturating_sub(MOST_ROWS);
    Part {
        heading: report.is_pair().then(|| format::plain(run.label())),
        missing: run.missing("roofline"),
        picture,
        alt: format!("Roofline of {}: FLOP/s over arithmetic intensity", format::plain(run.label())),
        limiters: limiters(&rows),
        above: above_roof(&rows),
        sources: sources(&rows),
        rows: rows.into_iter().take(MOST_ROWS).map(line).collect(),
        more: (more > 0).then(|| format!("{more} more rows in `metrics/roofline.parquet`.")),
    }
}

fn line(row: &Row) -> Line {
    let text = |name: &str| format::plain(row.text(name).unwrap_or(format::ABSENT));
    let float = |name: &str, show: fn(f64) -> String| format::or_absent(row.float(name), show);
    Line {
        name: format::name(row.text("name").unwrap_or("unnamed")),
        phase: format::plain(row.text("phase").unwrap_or("-")),
        device: format::or_absent(row.int("device"), |device| device.to_string()),
        launches: format::or_absent(row.int("launches"), format::count),
        time: format::or_absent(row.int("time_ns"), format::duration),
        rate: float("flop_per_s", format::flop_rate),
        intensity: float("arithmetic_intensity", format::significant),
        limiter: text("limiter"),
        measured: float("efficiency_ratio", format::percent),
        shared: float("shared_efficiency_ratio", format::percent),
        datasheet: float("efficiency_datasheet_ratio", format::percent),
        recoverable: format::or_absent(row.int("recoverable_ns"), format::duration),
    }
}

/// What limits each phase, by the time of the families that a limiter holds for, under one-core and shared roofs.
fn limiters(rows: &[&Row]) -> Vec<String> {
    let mut phases: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        if let Some(phase) = row.text("phase").filter(|_| row.int("flop").is_some_and(|flop| flop > 0)) {
            phases.entry(phase).or_default().push(row);
        }
    }
    phases.into_iter().map(|(phase, rows)| limiter(phase, &rows)).collect()
}

fn limiter(phase: &str, rows: &[&Row]) -> String {
    let total = sum(rows.iter().filter_map(|row| row.int("time_ns")));
    let most = |column: &str| {
        let mut time: BTreeMap<&str, i64> = BTreeMap::new();
        for row in rows {
            if let Some(name) = row.text(column) {
                let ns: &mut i64 = time.entry(name).or_default();
                *ns = ns.saturating_add(row.int("time_ns").unwrap_or(0));
            }
        }
        time.into_iter().max_by_key(|(_, ns)| *ns)
    };
    let share = |ns: i64| format::percent(ns as f64 / total.max(1) as f64);
    let phase = format::plain(phase);
    let Some((limiter, ns)) = most("limiter") else {
        return format!("**{phase}**: no limiter can be named, because its bound is unknown.");
    };
    let named = limiter_words(rows, limiter, "roof_bandwidth");
    let reached = bound_share(rows, "bound_ns");
    let own =
        format!("**{phase}** is limited by {named} for {} of its time and reaches {reached} of that bound", share(ns));
    let Some((limiter, ns)) = most("shared_limiter") else { return own + "." };
    let named = limiter_words(rows, limiter, "roof_shared");
    let reached = bound_share(rows, "shared_bound_ns");
    format!("{own}. With the memory shared by the cores in use: by {named} for {}, {reached} of that bound.", share(ns))
}

/// The limiter with the roof that it stands for: `**memory** (DRAM read, 1 core, measured 18.0 GB/s)`.
fn limiter_words(rows: &[&Row], limiter: &str, bandwidth: &str) -> String {
    let column = if limiter == "compute" { "roof_compute" } else { bandwidth };
    let roof = rows.iter().find_map(|row| row.text(column));
    let roof = roof.map_or_else(String::new, |roof| format!(" ({})", format::plain(roof)));
    format!("**{}**{roof}", format::plain(limiter))
}

fn bound_share(rows: &[&Row], column: &str) -> String {
    let pairs = rows.iter().filter_map(|row| Some((row.int(column)?, row.int("time_ns")?)));
    let (bound, time) = pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0 as f64, sum.1 + pair.1 as f64));
    format::or_absent((time > 0.0).then(|| bound / time), format::percent)
}

/// Points above a roof are named, never clipped.
fn above_roof(rows: &[&Row]) -> Option<String> {
    let above = |row: &&Row| {
        let ns = row.int("above_roof_ns").filter(|ns| *ns > 0)?;
        let reason =
            row.text("above_roof_reason").map_or_else(String::new, |text| format!(" ({})", format::plain(text)));
        Some(format!("{} by {}{reason}", format::name(row.text("name").unwrap_or("unnamed")), format::duration(ns)))
    };
    let found: Vec<String> = rows.iter().filter_map(above).collect();
    (!found.is_empty()).then(|| found.join("; "))
}

fn sources(rows: &[&Row]) -> String {
    let first = |column: &str| format::plain(rows.iter().find_map(|row| row.text(column)).unwrap_or(format::ABSENT));
    format!(
        "Window: {}. FLOP: {} (formula {}); bytes: {}; time: {}. Roofs of the bound: {}; {}.",
        first("window"),
        first("flop_source"),
        first("formula_id"),
        first("bytes_source"),
        first("time_source"),
        first("roof_compute"),
        [first("roof_bandwidth"), first("roof_datasheet")].join("; datasheet: "),
    )
}
