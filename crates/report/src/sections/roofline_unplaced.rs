//! Kernels that have no bound, and how much of the time they take.

use std::collections::BTreeSet;

use proftool_trace::frame::texts;
use proftool_trace::tables::ISSUES;
use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};
use crate::views::series::{beside, placed_ratio};

/// Kernels beyond this are in `metrics/roofline_unplaced.parquet` only.
const MOST_ROWS: usize = 15;

#[derive(Serialize)]
struct Values {
    runs: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    heading: Option<String>,
    placed: String,
    rows: Vec<Line>,
    more: Option<String>,
    /// What to do about a device without roofs.
    hint: Option<String>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    phase: String,
    device: String,
    launches: String,
    time: String,
    share: String,
    reason: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let runs: Vec<Part> = report.runs.iter().rev().filter_map(|run| part(run, report.is_pair())).collect();
    if runs.is_empty() {
        return Ok(None);
    }
    Built::new("roofline_unplaced", &Values { runs }, Vec::new()).map(Some)
}

fn part(run: &Run, of_pair: bool) -> Option<Part> {
    let mut rows = beside(run, "roofline_unplaced");
    rows.sort_by_key(|row| std::cmp::Reverse(row.int("time_ns")));
    let more = rows.len().saturating_sub(MOST_ROWS);
    let hint = hint(&rows, &codes(run));
    (!rows.is_empty()).then(|| Part {
        heading: of_pair.then(|| format::plain(run.label())),
        placed: format::or_absent(placed_ratio(run, |_| true), format::percent),
        rows: rows.into_iter().take(MOST_ROWS).map(line).collect(),
        more: (more > 0).then(|| format!("{more} more rows in `metrics/roofline_unplaced.parquet`.")),
        hint,
    })
}

/// The codes of the run's data problems.
fn codes(run: &Run) -> Vec<String> {
    let codes = texts(run.tables.get(&ISSUES), "code").unwrap_or_default();
    codes.into_iter().flatten().collect()
}

/// How a device gets its roofs, where rows are unplaced for lack of one.
fn hint(rows: &[&Row], codes: &[String]) -> Option<String> {
    let roofless = rows.iter().filter(|row| row.text("reason") == Some("no roof"));
    let devices: BTreeSet<i64> = roofless.filter_map(|row| row.int("device")).collect();
    if devices.is_empty() {
        return None;
    }
    let numbers = devices.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let issues = ["unnamed_device", "unknown_hardware"].into_iter().filter(|code| codes.iter().any(|own| own == code));
    let issues: Vec<String> = issues.map(format::code).collect();
    let see = if issues.is_empty() { String::new() } else { format!(" (see {} above)", issues.join(" and ")) };
    Some(format!(
        "**No roof is known for this work on device {numbers}**{see}. Where the file does not name its device, name it: \
         `proftool import FILE --hardware SPEC`, with a name that `proftool list hardware` shows; `proftool ceilings` \
         measures the roofs of the machine that it runs on."
    ))
}

fn line(row: &Row) -> Line {
    Line {
        name: format::name(row.text("name").unwrap_or("unnamed")),
        phase: format::plain(row.text("phase").unwrap_or("-")),
        device: format::or_absent(row.int("device"), |device| device.to_string()),
        launches: format::or_absent(row.int("launches"), format::count),
        time: format::or_absent(row.int("time_ns"), format::duration),
        share: format::or_absent(row.float("time_ratio"), format::percent),
        reason: format::plain(row.text("reason").unwrap_or("-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn work_without_a_roof_says_how_to_name_its_device() {
        let rows =
            [json!({"reason": "no roof", "device": 3}), json!({"reason": "no shapes", "device": 1})].map(Row::of);
        let rows: Vec<&Row> = rows.iter().collect();
        let said = hint(&rows, &["unnamed_device".to_owned()]).unwrap();
        assert!(said.contains("on device 3**") && said.contains("see `unnamed_device` above"), "{said}");
        assert!(said.contains("--hardware SPEC"));
        assert_eq!(hint(&rows[1..], &[]), None);
    }
}
