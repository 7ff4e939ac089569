//! Which rule classified the time, and what no rule knew.

use serde::Serialize;

use super::{Built, TOP};
use crate::basis::{self, Names};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, sum};

#[derive(Serialize)]
struct Values {
    basis: String,
    /// The user's own rules.
    rules: Option<String>,
    unknown: Vec<Line>,
    all_known: bool,
    rows: Vec<Line>,
    more: Option<String>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    class: String,
    rule: String,
    activities: String,
    time: String,
    ratio: String,
    names: String,
    largest: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut unknown, mut known, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let rows = basis::rows(run, "classes");
        let names = Names::new(report, run, &rows);
        for row in &rows {
            let lines = if is_unknown(row) { &mut unknown } else { &mut known };
            lines.push((row.int("total_ns"), line(&names, row)));
        }
        all.extend(rows);
    }
    if all.is_empty() {
        return Ok(None);
    }
    // The order of the metric is by device and class; the reader wants the largest first.
    for lines in [&mut unknown, &mut known] {
        lines.sort_by_key(|(ns, _)| std::cmp::Reverse(*ns));
    }
    let more = known.len().saturating_sub(TOP) + unknown.len().saturating_sub(TOP);
    let top = |lines: Vec<(Option<i64>, Line)>| lines.into_iter().take(TOP).map(|(_, line)| line).collect();
    let values = Values {
        basis: basis::line(&all, ""),
        rules: report.rules.as_deref().map(format::code),
        all_known: unknown.is_empty() && sum(all.iter().filter_map(|row| row.int("activities"))) > 0,
        unknown: top(unknown),
        rows: top(known),
        more: (more > 0).then(|| format!("{more} more rows in `metrics/classes.parquet`.")),
    };
    Built::new("classes", &values, Vec::new()).map(Some)
}

/// Kernels that no rule matched count as compute.
fn is_unknown(row: &Row) -> bool {
    row.text("rule").is_none() && row.text("class") == Some("compute")
}

fn line(names: &Names, row: &Row) -> Line {
    Line {
        device: names.cell(row),
        class: format::plain(row.text("class").unwrap_or(format::ABSENT)),
        rule: row.text("rule").map_or_else(|| "-".to_owned(), format::plain),
        activities: format::or_absent(row.int("activities"), format::count),
        time: format::or_absent(row.int("total_ns"), format::duration),
        ratio: format::or_absent(row.float("time_ratio"), format::percent),
        names: format::or_absent(row.int("names"), format::count),
        largest: row.text("largest_name").map_or_else(|| "-".to_owned(), format::name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_kernels_without_a_rule_are_unclassified() {
        let unknown = |values| is_unknown(&Row::of(values));
        assert!(unknown(json!({"class": "compute", "rule": null})));
        assert!(!unknown(json!({"class": "compute", "rule": "attention"})) && !unknown(json!({"class": "sync"})));
    }
}
