//! Sampled GPU metrics over the whole window; those of phases, steps and ranges are in the file.

use proftool_trace::sampled::BOARD_POWER;
use serde::Serialize;

use super::Built;
use super::power::scope;
use crate::basis::{self, Names};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

/// Metrics in the table.
const MOST_ROWS: usize = 24;
/// Metrics that a log states once for the whole run, and what they are: as samples over time they would say nothing.
const STATED: [(&str, &str); 2] = [
    ("kv_capacity_tokens", "Memory for keys and values"),
    (BOARD_POWER.name, "Board power, the most that a device draws by its vendor's word and no reading"),
];

#[derive(Serialize)]
struct Values {
    simulated: &'static str,
    basis: String,
    rows: Vec<Line>,
    more: Option<String>,
    stated: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    metric: String,
    scope: String,
    mean: String,
    spread: String,
    max: String,
    high: String,
    covered: String,
    issue: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut lines, mut all, mut more, mut told) = (Vec::new(), Vec::new(), 0, Vec::new());
    for run in report.runs.iter().rev() {
        let (constants, rows): (Vec<&Row>, Vec<&Row>) =
            basis::rows(run, "samples").into_iter().partition(|row| is_stated(row));
        let own = stated(&constants);
        told.extend(own.into_iter().map(|text| (run.label(), text)));
        let names = Names::new(report, run, &rows);
        let whole = |row: &&Row| row.text("scope").is_none();
        let of_window: Vec<&Row> = rows.iter().copied().filter(whole).collect();
        let shown = if of_window.is_empty() { rows.clone() } else { of_window };
        lines.extend(shown.iter().take(MOST_ROWS).map(|row| line(&names, row)));
        more += rows.len() - shown.len().min(MOST_ROWS);
        all.extend(shown);
    }
    let stated = merged(&told, report.runs.len());
    if lines.is_empty() && stated.is_empty() {
        return Ok(None);
    }
    let more =
        (more > 0).then(|| format!("{more} more rows, by phase, step state and range, in `metrics/samples.parquet`."));
    let (simulated, basis) = (report.simulated(), basis::line(&all, "samples cover"));
    Built::new("samples", &Values { simulated, basis, rows: lines, more, stated }, Vec::new()).map(Some)
}

fn is_stated(row: &Row) -> bool {
    STATED.iter().any(|(metric, _)| row.text("metric") == Some(metric))
}

/// A sentence for each metric that is stated: its values, each with the devices that have it.
fn stated(rows: &[&Row]) -> Vec<String> {
    let of_metric = |(metric, what): &(&str, &str)| {
        let mut values: Vec<(String, Vec<String>)> = Vec::new();
        let whole = |row: &&&Row| row.text("metric") == Some(metric) && row.text("scope").is_none();
        for row in rows.iter().filter(whole) {
            let unit = row.text("unit").map_or_else(String::new, |unit| format!(" {}", format::plain(unit)));
            let shown = |value: f64| format!("{}{unit}", format::count(value.round() as i64));
            let (value, device) = (format::or_absent(row.float("mean"), shown), row.int("device").unwrap_or(0));
            match values.iter_mut().find(|(known, _)| *known == value) {
                Some((_, devices)) => devices.push(device.to_string()),
                None => values.push((value, vec![device.to_string()])),
            }
        }
        let each = values.iter().map(|(value, devices)| match devices.as_slice() {
            [device] => format!("{value} (device {device})"),
            devices => format!("{value} (devices {})", devices.join(", ")),
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("{what}: {}.", each.join("; ")))
    };
    STATED.iter().filter_map(of_metric).collect()
}

/// What all runs state once, what only one states with its name.
fn merged(told: &[(&str, String)], runs: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (run, text) in told {
        let shared = told.iter().filter(|(_, other)| other == text).count() == runs;
        let line = if shared { text.clone() } else { format!("{}: {text}", format::plain(run)) };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn line(names: &Names, row: &Row) -> Line {
    let unit = row.text("unit").map_or_else(String::new, |unit| format!(" {}", format::plain(unit)));
    let bare = |column: &str| format::or_absent(row.float(column), format::significant);
    let value =
        |column: &str| format::or_absent(row.float(column), |value| format!("{}{unit}", format::significant(value)));
    Line {
        device: names.cell(row),
        metric: format::plain(row.text("metric").unwrap_or(format::ABSENT)),
        scope: scope(row),
        mean: value("mean"),
        spread: format!("{} / {} / {}", bare("min"), bare("p50"), bare("p95")),
        max: value("max"),
        high: row.float("above_90_ratio").map_or_else(|| "-".to_owned(), format::percent),
        covered: format::or_absent(row.float("coverage_ratio"), format::percent),
        issue: row.text("issue").map_or_else(|| "-".to_owned(), |issue| format::plain(&issue.replace('_', " "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sampled_metric_reads_with_its_unit_and_its_doubts() {
        let row = json!({"device": 0, "metric": "SMs Active", "unit": "%", "scope_kind": "window", "mean": 41.26,
            "min": -3.0, "p50": 40.0, "p95": 88.0, "max": 100.0, "coverage_ratio": 0.999, "issue": "negative_samples"});
        let line = line(&Names::of_one_run(false), &Row::of(row));
        assert_eq!((line.mean.as_str(), line.spread.as_str()), ("41.3 %", "-3.00 / 40.0 / 88.0"));
        assert_eq!((line.scope.as_str(), line.issue.as_str()), ("window", "negative samples"));
    }

    #[test]
    fn what_a_log_states_of_its_devices_is_told_once_and_fills_no_rows() {
        let row = |device: i64, metric: &str, unit: &str, mean: f64| {
            Row::of(json!({"device": device, "metric": metric, "unit": unit, "scope_kind": "window", "mean": mean}))
        };
        let rows = [
            row(0, "kv_capacity_tokens", "tokens", 917_026.0),
            row(0, "board_power_w", "W", 700.0),
            row(1, "board_power_w", "W", 350.0),
            row(2, "board_power_w", "W", 700.0),
        ];
        let stated = stated(&rows.iter().collect::<Vec<_>>());
        assert_eq!(stated[0], "Memory for keys and values: 917 026 tokens (device 0).");
        assert!(stated[1].ends_with("no reading: 700 W (devices 0, 2); 350 W (device 1)."), "{}", stated[1]);
        assert!(rows.iter().all(is_stated) && !is_stated(&row(0, "running_requests", "requests", 1.0)));
        let told = |other: &str| [("baseline", "a".to_owned()), ("optimized", other.to_owned())];
        assert_eq!(merged(&told("a"), 2), ["a"]);
        assert_eq!(merged(&told("b"), 2), ["baseline: a", "optimized: b"]);
    }
}
