//! How close each kernel family is to the hardware limit, and which to fix first.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Built, Picture};
use crate::RooflineOptions;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run, sum};
use crate::views;
use crate::views::denominator::Used;
use crate::views::pool::{LOWER_BOUND, is_flop_unknown, is_lower_bound};
use crate::views::series::placed_ratio;

/// Families beyond this are in `metrics/roofline.parquet` only.
const MOST_ROWS: usize = 20;

/// What a row is told that is marked as a lower bound.
const LOWER: &str = "*Lower bound*: FLOP of the row were not counted, or some of its work has no roof. Its bound is too \
                     low, so it reaches at least that share of it, and less than the recoverable time can be won.";

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
    placed: String,
    /// Which of the columns that few runs fill are shown.
    has_shared: bool,
    has_amplification: bool,
    has_triage: bool,
    rows: Vec<Line>,
    more: Option<String>,
    above: Option<String>,
    /// What a lower bound is, where a shown row is one.
    lower: Option<&'static str>,
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
    counts: String,
    amplification: String,
    triage: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut runs, mut pictures) = (Vec::new(), Vec::new());
    // The run that the report is about comes first.
    for run in report.runs.iter().rev() {
        let view = views::roofline::view(&[run], &report.suffix(run), &RooflineOptions::default())?;
        let file = format!("roofline{}.svg", report.suffix(run));
        runs.push(part(report, run, view.is_some().then(|| file.clone())));
        pictures.extend(view.map(|view| Picture { file, svg: view.render() }));
    }
    Built::new("roofline", &Values { runs }, pictures).map(Some)
}

fn part(report: &Report, run: &Run, picture: Option<String>) -> Part {
    let mut rows = views::series::rows(run);
    rows.sort_by_key(|row| std::cmp::Reverse(row.int("recoverable_ns")));
    let more = rows.len().saturating_sub(MOST_ROWS);
    Part {
        heading: report.is_pair().then(|| format::plain(run.label())),
        missing: run.missing("roofline"),
        picture,
        alt: format!("Roofline of {}: FLOP/s over arithmetic intensity", format::plain(run.label())),
        limiters: limiters(&rows),
        placed: format::or_absent(placed_ratio(run, |_| true), format::percent),
        has_shared: rows.iter().any(|row| row.float("shared_efficiency_ratio").is_some()),
        has_amplification: rows.iter().any(|row| row.float("amplification_ratio").is_some()),
        has_triage: rows.iter().any(|row| row.text("triage").is_some()),
        above: above_roof(&rows),
        lower: rows.iter().take(MOST_ROWS).any(|row| is_bounded(row) && is_lower_bound(row)).then_some(LOWER),
        sources: sources(&rows),
        rows: rows.into_iter().take(MOST_ROWS).map(|row| line(row, &Used::of_device(run, row.int("device")))).collect(),
        more: (more > 0).then(|| format!("{more} more rows in `metrics/roofline.parquet`.")),
    }
}

fn line(row: &Row, used: &Used) -> Line {
    let float = |name: &str, show: fn(f64) -> String| format::or_absent(row.float(name), show);
    let lower = if is_lower_bound(row) { format!("{LOWER_BOUND} ") } else { String::new() };
    let share = |name: &str| format::or_absent(row.float(name), |ratio| format!("{lower}{}", format::percent(ratio)));
    Line {
        name: format::name(row.text("name").unwrap_or("unnamed")),
        phase: format::plain(row.text("phase").unwrap_or("-")),
        device: format::or_absent(row.int("device"), |device| device.to_string()),
        launches: format::or_absent(row.int("launches"), format::count),
        time: format::or_absent(row.int("time_ns"), format::duration),
        rate: rate(row),
        intensity: float("arithmetic_intensity", format::significant),
        limiter: format::plain(&used.limiter(row)),
        measured: share("efficiency_ratio"),
        shared: share("shared_efficiency_ratio"),
        datasheet: share("efficiency_datasheet_ratio"),
        recoverable: recoverable(row),
        counts: counts(row),
        amplification: float("amplification_ratio", |ratio| format!("{}x", format::significant(ratio))),
        triage: row.text("triage").map_or_else(|| "-".to_owned(), causes),
    }
}

fn is_bounded(row: &Row) -> bool {
    row.int("bound_ns").is_some()
}

/// FLOP/s; where FLOP of the family were not counted, at least that.
fn rate(row: &Row) -> String {
    let rate = format::or_absent(row.float("flop_per_s"), format::flop_rate);
    match row.boolean("flop_lower_bound") {
        Some(true) => format!("at least {rate}"),
        _ if is_flop_unknown(row) => "not counted".to_owned(),
        _ => rate,
    }
}

/// The time that could be won, and the share of all recoverable time down to this row.
fn recoverable(row: &Row) -> String {
    let time = format::or_absent(row.int("recoverable_ns"), format::duration);
    match row.float("cumulative_recoverable_ratio") {
        Some(ratio) => format!("{time} ({} so far)", format::percent(ratio)),
        None => time,
    }
}

/// Where FLOP come from and how they were matched with the timeline: `counter by launch, 120 of 128 launches`.
fn counts(row: &Row) -> String {
    let source = row.text("flop_source").or(row.text("bytes_source"));
    let how = row.text("match").map(|how| format!("by {how}"));
    let (launches, matched) = (row.int("launches"), row.int("matched_launches"));
    let part = matched.zip(launches).filter(|(matched, launches)| matched < launches);
    let part =
        part.map(|(matched, launches)| format!("{} of {} launches", format::count(matched), format::count(launches)));
    let words = [source.map(str::to_owned), how].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let parts: Vec<String> = [Some(words).filter(|words| !words.is_empty()), part].into_iter().flatten().collect();
    if parts.is_empty() { "-".to_owned() } else { format::plain(&parts.join(", ")) }
}

/// `cache_reuse;boost_clock` as a reader writes it.
fn causes(slugs: &str) -> String {
    format::plain(&slugs.replace('_', " ").replace(';', ", "))
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
    let named = limiter_words(rows, limiter, "limiter", "roof_bandwidth");
    let lower = if rows.iter().any(|row| is_lower_bound(row)) { "at least (a lower bound) " } else { "" };
    let reached = format!("{lower}{}", bound_share(rows, "bound_ns", "efficiency_ratio"));
    let own =
        format!("**{phase}** is limited by {named} for {} of its time and reaches {reached} of that bound", share(ns));
    let Some((limiter, ns)) = most("shared_limiter") else { return own + "." };
    let named = limiter_words(rows, limiter, "shared_limiter", "roof_shared");
    let reached = format!("{lower}{}", bound_share(rows, "shared_bound_ns", "shared_efficiency_ratio"));
    format!("{own}. With the memory shared by the cores in use: by {named} for {}, {reached} of that bound.", share(ns))
}

/// The limiter with the roof that it stands for: `**memory (DRAM)** (DRAM read, 1 core, measured 18.0 GB/s)`.
fn limiter_words(rows: &[&Row], limiter: &str, of: &str, bandwidth: &str) -> String {
    let column = if limiter == "compute" { "roof_compute" } else { bandwidth };
    let limited = || rows.iter().filter(|row| row.text(of) == Some(limiter));
    let roofs: BTreeSet<&str> = limited().filter_map(|row| row.text(column)).collect();
    let part = |row: &&&Row| match limiter {
        "compute" => row.text("precision").map(str::to_owned),
        // The memory that cores share is the DRAM.
        "memory" => Some(row.text("limiter_level").filter(|_| of == "limiter").unwrap_or("DRAM").to_owned()),
        _ => None,
    };
    let parts: BTreeSet<String> = limited().filter_map(|row| part(&row)).collect();
    let parts = parts.into_iter().collect::<Vec<_>>().join(", ");
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", format::plain(&parts)) };
    let roof = match roofs.len() {
        0 => String::new(),
        1 => roofs.first().map_or_else(String::new, |roof| format!(" ({})", format::plain(roof))),
        _ => " (each family under its own roof, as listed)".to_owned(),
    };
    format!("**{}{parts}**{roof}", format::plain(limiter))
}

/// Sum of bounds over the time of the launches that have one, which a row's own ratio tells.
fn bound_share(rows: &[&Row], column: &str, ratio: &str) -> String {
    let pair = |row: &&Row| {
        let bound = row.int(column)? as f64;
        let ratio = row.float(ratio).filter(|ratio| *ratio > 0.0);
        Some((bound, ratio.map_or(row.int("time_ns")? as f64, |ratio| bound / ratio)))
    };
    let (bound, time) = rows.iter().filter_map(pair).fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    format::or_absent((time > 0.0).then(|| bound / time), format::percent)
}

/// Points above a roof are named, never clipped.
fn above_roof(rows: &[&Row]) -> Option<String> {
    let above = |row: &&Row| {
        let ns = row.int("above_roof_ns").filter(|ns| *ns > 0)?;
        let reason = row.text("triage").map(causes).or_else(|| row.text("above_roof_reason").map(format::plain));
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        Some(format!("{} by {}{reason}", format::name(row.text("name").unwrap_or("unnamed")), format::duration(ns)))
    };
    let found: Vec<String> = rows.iter().filter_map(above).collect();
    (!found.is_empty()).then(|| found.join("; "))
}

fn sources(rows: &[&Row]) -> String {
    let first = |column: &str| format::plain(rows.iter().find_map(|row| row.text(column)).unwrap_or(format::ABSENT));
    let notes: BTreeSet<&str> = rows.iter().filter_map(|row| row.text("roof_note")).collect();
    let notes: Vec<String> = notes.into_iter().take(4).map(|note| format!(" Note: {}.", format::plain(note))).collect();
    let compulsory =
        rows.iter().any(|row| row.text("bytes_source").is_some_and(|source| source.contains("compulsory")));
    let compulsory = if compulsory {
        " Compulsory bytes count each operand and result once, so the real traffic can only be larger and the intensity \
         only smaller."
    } else {
        ""
    };
    let text = format!(
        "Window: {}. FLOP: {} (formula {}); bytes: {}; time: {}. Roofs of the bound: {}; {}.",
        first("window"),
        first("flop_source"),
        first("formula_id"),
        first("bytes_source"),
        first("time_source"),
        first("roof_compute"),
        [first("roof_bandwidth"), first("roof_datasheet")].join("; datasheet: "),
    );
    format!("{text}{compulsory}{}", notes.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_share_of_a_bound_that_leaves_work_out_is_called_a_lower_bound() {
        let shown = |row| line(&Row::of(row), &Used::default());
        let row = json!({"kind": "kernel", "flop": null, "limiter": "memory", "limiter_level": "L2", "efficiency_ratio": 0.5});
        let row = shown(row);
        assert_eq!((row.measured.as_str(), row.rate.as_str()), ("lower bound 50.0 %", "not counted"));
        assert!(row.limiter.starts_with("memory (L2)"), "{}", row.limiter);
        let row = shown(json!({"kind": "kernel", "flop": 8, "flop_per_s": 2e12, "flop_lower_bound": true}));
        assert_eq!(row.rate, "at least 2.00 TFLOP/s");
        let row = shown(json!({"kind": "kernel", "flop": 8, "flop_per_s": 2e12, "efficiency_ratio": 0.5}));
        assert_eq!((row.measured.as_str(), row.rate.as_str()), ("50.0 %", "2.00 TFLOP/s"));
    }

    #[test]
    fn counts_say_their_source_their_match_and_how_many_launches_have_them() {
        let of = |values| counts(&Row::of(values));
        let row = json!({"flop_source": "counter", "match": "shape", "launches": 128, "matched_launches": 120});
        assert_eq!(of(row), "counter by shape, 120 of 128 launches");
        assert_eq!(of(json!({"bytes_source": "trace", "launches": 1, "matched_launches": 1})), "trace");
        assert_eq!(of(json!({})), "-");
    }
}
