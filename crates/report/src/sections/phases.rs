//! What each phase does: time, FLOP and bytes a token, and where decode leaves the memory roof.

use serde::Serialize;

use super::{Built, own};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};

/// Rows beyond this are in `metrics/phases.parquet` only.
const MOST_ROWS: usize = 24;

#[derive(Serialize)]
struct Values {
    rows: Vec<Line>,
    more: Option<String>,
    crossings: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    phase: String,
    launches: String,
    time: String,
    limiter: String,
    efficiency: String,
    coverage: String,
    intensity: String,
    tokens: String,
    flop_per_token: String,
    bytes_per_token: String,
    batch: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let all: Vec<(&Run, &Row)> = report.runs.iter().rev().flat_map(rows).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let more = all.len().saturating_sub(MOST_ROWS);
    let values = Values {
        rows: all.iter().take(MOST_ROWS).map(|(run, row)| line(row, &own(report, run))).collect(),
        more: (more > 0).then(|| format!("{more} more rows in `metrics/phases.parquet`.")),
        crossings: all.iter().take(MOST_ROWS).filter_map(|(run, row)| crossing(row, &own(report, run))).collect(),
    };
    Built::new("phases", &values, Vec::new()).map(Some)
}

/// The rows of the first window set.
fn rows(run: &Run) -> impl Iterator<Item = (&Run, &Row)> {
    let rows = run.metric("phases");
    let window = rows.first().and_then(|row| row.text("window"));
    rows.iter().filter(move |row| row.text("window") == window).map(move |row| (run, row))
}

fn line(row: &Row, own: &str) -> Line {
    let int = |column: &str, show: fn(i64) -> String| format::or_absent(row.int(column), show);
    let float = |column: &str, show: fn(f64) -> String| format::or_absent(row.float(column), show);
    let from =
        |column: &str| row.text(column).map_or_else(String::new, |source| format!(" ({})", format::plain(source)));
    let tokens = row.int("tokens").map(|tokens| format!("{}{}", format::count(tokens), from("tokens_source")));
    let batch = row.float("batch").map(|batch| format!("{}{}", format::significant(batch), from("batch_source")));
    Line {
        device: format!("{own}{}", int("device", |device| device.to_string())),
        phase: format::plain(row.text("phase").unwrap_or("unknown")),
        launches: int("launches", format::count),
        time: int("time_ns", format::duration),
        limiter: format::plain(row.text("limiter").unwrap_or(format::ABSENT)),
        efficiency: float("efficiency_ratio", format::percent),
        coverage: float("coverage_ratio", format::percent),
        intensity: float("arithmetic_intensity", format::significant),
        tokens: tokens.unwrap_or_else(|| format::ABSENT.to_owned()),
        flop_per_token: float("flop_per_token", format::flop),
        bytes_per_token: float("bytes_per_token", format::bytes),
        batch: batch.unwrap_or_else(|| format::ABSENT.to_owned()),
    }
}

/// Where decode leaves the memory roof, or why that is not known.
fn crossing(row: &Row, own: &str) -> Option<String> {
    let batch = row
        .float("crossing_batch")
        .map(|batch| format!("leaves the memory roof at batch {}", format::significant(batch)));
    let context = row.float("crossing_context").map(|context| {
        format!("reads as many bytes of KV cache as of weights at a context of {} tokens", format::significant(context))
    });
    let reason = row.text("crossing_reason").map(format::plain);
    let known: Vec<String> = [batch, context].into_iter().flatten().collect();
    if known.is_empty() && reason.is_none() {
        return None;
    }
    let phase = format::plain(row.text("phase").unwrap_or("unknown"));
    let device = format::or_absent(row.int("device"), |device| device.to_string());
    let said = if known.is_empty() { "has no known crossing".to_owned() } else { known.join(", and ") };
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    Some(format!("{own}{phase} on device {device} {said}{reason}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_crossing_says_what_is_known_and_why_the_rest_is_not() {
        let said = |values| crossing(&Row::of(values), "");
        let row = json!({"phase": "decode", "device": 0, "crossing_batch": 295.4, "crossing_reason": "no heads"});
        assert_eq!(said(row).unwrap(), "decode on device 0 leaves the memory roof at batch 295 (no heads).");
        let row = json!({"phase": "decode", "device": 0, "crossing_reason": "one row count"});
        assert_eq!(said(row).unwrap(), "decode on device 0 has no known crossing (one row count).");
        assert_eq!(said(json!({"phase": "prefill"})), None);
    }
}
