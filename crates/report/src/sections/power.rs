//! Energy by phase and what held the clock back.

use serde::Serialize;

use super::{Built, TOP};
use crate::basis::{self, Names};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

/// Rows of the table of energy.
const MOST_ROWS: usize = 20;

#[derive(Serialize)]
struct Values {
    basis: String,
    rows: Vec<Line>,
    more: Option<String>,
    clocks: Vec<Clock>,
    reasons: Vec<Held>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    scope: String,
    energy: String,
    ratio: String,
    mean: String,
    most: String,
    tokens: String,
    per_token: String,
    covered: String,
    source: String,
}

/// A clock while kernels ran.
#[derive(Serialize)]
struct Clock {
    device: String,
    name: String,
    mean: String,
    seen: String,
    drop: String,
    spec: String,
    lost: String,
    covered: String,
}

/// For how long a reason held the clock back.
#[derive(Serialize)]
struct Held {
    device: String,
    name: String,
    active: String,
    kernels: String,
    covered: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut rows, mut clocks, mut reasons, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let energy = basis::rows(run, "power");
        let throttling = basis::rows(run, "throttling");
        let names = Names::new(report, run, &[energy.as_slice(), throttling.as_slice()].concat());
        let measured: Vec<&Row> = energy.into_iter().filter(|row| row.float("energy_j").is_some()).collect();
        rows.extend(measured.iter().map(|row| line(&names, row)));
        let sampled: Vec<&Row> = throttling.into_iter().filter(|row| row.int("covered_ns").is_some()).collect();
        clocks.extend(sampled.iter().filter(|row| is(row, "clock")).map(|row| clock(&names, row)));
        let held = sampled.iter().filter(|row| is(row, "reason") && row.int("active_ns").is_some_and(|ns| ns > 0));
        reasons.extend(held.map(|row| held_back(&names, row)));
        all.extend(measured.into_iter().chain(sampled));
    }
    if all.is_empty() {
        return Ok(None);
    }
    let more = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    clocks.truncate(TOP);
    reasons.truncate(TOP);
    let more = (more > 0).then(|| format!("{more} more rows in `metrics/power.parquet`."));
    let values = Values { basis: basis::line(&windows(&all), "readings cover"), rows, more, clocks, reasons };
    Built::new("power", &values, Vec::new()).map(Some)
}

fn is(row: &Row, kind: &str) -> bool {
    row.text("kind") == Some(kind)
}

/// The rows of whole windows, whose spans are those of the windows; all where none is.
fn windows<'a>(rows: &[&'a Row]) -> Vec<&'a Row> {
    let whole = |row: &&&Row| row.text("scope").is_none() && row.int("device").is_some();
    let found: Vec<&Row> = rows.iter().filter(whole).copied().collect();
    if found.is_empty() { rows.to_vec() } else { found }
}

/// `phase decode`, or `window`.
pub(super) fn scope(row: &Row) -> String {
    let kind = format::plain(row.text("scope_kind").unwrap_or("window"));
    row.text("scope").map_or(kind.clone(), |name| format!("{kind} {}", format::name(name)))
}

fn unit(row: &Row, column: &str, unit: &str) -> String {
    format::or_absent(row.float(column), |value| format!("{} {unit}", format::significant(value)))
}

fn line(names: &Names, row: &Row) -> Line {
    let ratio = |column: &str| format::or_absent(row.float(column), format::percent);
    let tokens = row.text("tokens_source").map_or_else(String::new, |source| format!(" ({})", format::plain(source)));
    let of_all = row.int("device").is_none() && row.int("rank").is_none();
    Line {
        device: if of_all { "all devices".to_owned() } else { names.cell(row) },
        scope: scope(row),
        energy: unit(row, "energy_j", "J"),
        ratio: ratio("energy_ratio"),
        mean: unit(row, "mean_w", "W"),
        most: format!("{} / {}", unit(row, "p95_w", "W"), unit(row, "max_w", "W")),
        tokens: row.int("tokens").map_or_else(|| "-".to_owned(), |count| format!("{}{tokens}", format::count(count))),
        per_token: unit(row, "joule_per_token", "J"),
        covered: ratio("coverage_ratio"),
        source: row.text("source").map_or_else(|| "-".to_owned(), |source| format::plain(&source.replace('_', " "))),
    }
}

fn hertz(row: &Row, column: &str) -> String {
    format::or_absent(row.float(column), |hz| format!("{} MHz", format::significant(hz / 1e6)))
}

fn clock(names: &Names, row: &Row) -> Clock {
    let ratio = |column: &str| format::or_absent(row.float(column), format::percent);
    Clock {
        device: names.cell(row),
        name: format::plain(row.text("name").unwrap_or("clock")),
        mean: hertz(row, "kernel_mean_hz"),
        seen: hertz(row, "seen_hz"),
        drop: ratio("drop_ratio"),
        spec: hertz(row, "spec_hz"),
        lost: format::or_absent(row.int("lost_ns"), format::duration),
        covered: ratio("coverage_ratio"),
    }
}

fn held_back(names: &Names, row: &Row) -> Held {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    let ratio = |column: &str| format::or_absent(row.float(column), format::percent);
    let harmless = if row.boolean("slows") == Some(false) { " (takes no speed)" } else { "" };
    Held {
        device: names.cell(row),
        name: format!("{}{harmless}", format::plain(row.text("name").unwrap_or("unknown"))),
        active: format!("{} ({})", time("active_ns"), ratio("active_ratio")),
        kernels: format!("{} in {}", format::or_absent(row.int("kernels"), format::count), time("kernel_ns")),
        covered: ratio("coverage_ratio"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn energy_and_clocks_read_with_their_units() {
        let names = Names::of_one_run(false);
        let row = json!({"scope_kind": "phase", "scope": "decode", "energy_j": 12.34, "mean_w": 650.0, "tokens": 4000,
            "joule_per_token": 0.003_084, "energy_ratio": 0.5});
        let shown = line(&names, &Row::of(row));
        assert_eq!((shown.device.as_str(), shown.scope.as_str()), ("all devices", "phase `decode`"));
        assert_eq!((shown.energy.as_str(), shown.per_token.as_str()), ("12.3 J", "0.00308 J"));
        let row =
            json!({"kind": "clock", "device": 0, "kernel_mean_hz": 1.41e9, "seen_hz": 1.98e9, "drop_ratio": 0.288});
        let shown = clock(&names, &Row::of(row));
        assert_eq!((shown.mean.as_str(), shown.drop.as_str(), shown.spec.as_str()), ("1410 MHz", "28.8 %", "n/a"));
    }
}
