//! Sampled GPU metrics over the whole window; those of phases, steps and ranges are in the file.

use serde::Serialize;

use super::Built;
use super::power::scope;
use crate::basis::{self, Names};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

/// Metrics in the table.
const MOST_ROWS: usize = 24;

#[derive(Serialize)]
struct Values {
    basis: String,
    rows: Vec<Line>,
    more: Option<String>,
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
    let (mut lines, mut all, mut more) = (Vec::new(), Vec::new(), 0);
    for run in report.runs.iter().rev() {
        let rows = basis::rows(run, "samples");
        let names = Names::new(report, run, &rows);
        let whole = |row: &&Row| row.text("scope").is_none();
        let of_window: Vec<&Row> = rows.iter().copied().filter(whole).collect();
        let shown = if of_window.is_empty() { rows.clone() } else { of_window };
        lines.extend(shown.iter().take(MOST_ROWS).map(|row| line(&names, row)));
        more += rows.len() - shown.len().min(MOST_ROWS);
        all.extend(shown);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let more =
        (more > 0).then(|| format!("{more} more rows, by phase, step state and range, in `metrics/samples.parquet`."));
    Built::new("samples", &Values { basis: basis::line(&all, "samples cover"), rows: lines, more }, Vec::new())
        .map(Some)
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
}
