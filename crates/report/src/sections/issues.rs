//! Data problems, before any number that they may affect.

use proftool_trace::frame::{ints, texts};
use proftool_trace::tables::ISSUES;
use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Run};

#[derive(Serialize)]
struct Values {
    serious: bool,
    rows: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    #[serde(skip)]
    rank: u8,
    run: String,
    severity: String,
    source: String,
    code: String,
    count: String,
    detail: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let mut rows = Vec::new();
    for run in &report.runs {
        rows.extend(of_run(run)?);
    }
    if rows.is_empty() {
        return Ok(None);
    }
    rows.sort_by_key(|line| line.rank);
    let serious = rows.iter().any(|line| line.rank < 2);
    Built::new("issues", &Values { serious, rows }, Vec::new()).map(Some)
}

fn of_run(run: &Run) -> Result<Vec<Line>, Error> {
    let frame = run.tables.get(&ISSUES);
    let counts = ints(frame, "count")?;
    let text = |name: &str| texts(frame, name);
    let (severities, sources) = (text("severity")?, text("source")?);
    let (codes, details) = (text("code")?, text("detail")?);
    let shown = |value: &Option<String>| format::plain(value.as_deref().unwrap_or(format::ABSENT));
    let line = |row: usize| Line {
        rank: rank(severities[row].as_deref()),
        run: format::plain(run.label()),
        severity: shown(&severities[row]),
        source: shown(&sources[row]),
        code: shown(&codes[row]),
        count: format::or_absent(counts[row], format::count),
        detail: shown(&details[row]),
    };
    Ok((0..counts.len()).map(line).collect())
}

fn rank(severity: Option<&str>) -> u8 {
    match severity {
        Some("error") => 0,
        Some("data_loss") => 1,
        _ => 2,
    }
}
