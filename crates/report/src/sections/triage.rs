//! Numbers that cannot be, and the causes that fit them.

use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};
use crate::views::series::beside;

/// Findings beyond this are in `metrics/triage.parquet` only.
const MOST_ROWS: usize = 20;

#[derive(Serialize)]
struct Values {
    rows: Vec<Line>,
    more: Option<String>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    device: String,
    symptom: String,
    cause: String,
    evidence: String,
    advice: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let of_run = |run| beside(run, "triage").into_iter().map(move |row| line(row, run, report.is_pair()));
    let mut rows: Vec<Line> = report.runs.iter().rev().flat_map(of_run).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let more = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    let more = (more > 0).then(|| format!("{more} more rows in `metrics/triage.parquet`."));
    Built::new("triage", &Values { rows, more }, Vec::new()).map(Some)
}

fn line(row: &Row, run: &Run, of_pair: bool) -> Line {
    let text = |column: &str| format::plain(row.text(column).unwrap_or("-"));
    let words = |column: &str| format::plain(&row.text(column).unwrap_or("-").replace('_', " "));
    let phase = row.text("phase").map_or_else(String::new, |phase| format!(", {}", format::plain(phase)));
    let own = if of_pair { format!("{}: ", format::plain(run.label())) } else { String::new() };
    let confidence = row.text("confidence").map_or_else(String::new, |how| format!(" ({})", format::plain(how)));
    Line {
        name: format!("{own}{}{phase}", row.text("name").map_or_else(|| "-".to_owned(), format::name)),
        device: format::or_absent(row.int("device"), |device| device.to_string()),
        symptom: words("symptom"),
        cause: format!("{}{confidence}", words("cause")),
        evidence: text("evidence"),
        advice: text("advice"),
    }
}
