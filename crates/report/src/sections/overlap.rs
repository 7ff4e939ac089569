//! How much communication and copying is hidden behind compute.

use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};

#[derive(Serialize)]
struct Values {
    missing: Vec<String>,
    rows: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    run: String,
    device: String,
    window: String,
    kind: String,
    total: String,
    hidden: String,
    exposed: String,
    ratio: String,
    exclusive: String,
    simulated: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let missing = |run: &Run| Some(format!("{}: {}", format::plain(run.label()), run.missing("overlap")?));
    let rows =
        |run: &Run| run.metric("overlap").iter().filter(|row| used(row)).map(|row| line(run, row)).collect::<Vec<_>>();
    let values = Values {
        missing: report.runs.iter().filter_map(missing).collect(),
        rows: report.runs.iter().flat_map(rows).collect(),
    };
    Built::new("overlap", &values, Vec::new()).map(Some)
}

/// A kind that never occurs on a device says nothing.
fn used(row: &Row) -> bool {
    row.int("total_ns").unwrap_or(0) > 0 || row.int("exclusive_ns").unwrap_or(0) > 0
}

fn device(row: &Row) -> String {
    let device = format::or_absent(row.int("device"), |device| device.to_string());
    match row.int("rank") {
        Some(rank) if rank != 0 => format!("{rank}/{device}"),
        _ => device,
    }
}

fn line(run: &Run, row: &Row) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    Line {
        run: format::plain(run.label()),
        device: device(row),
        window: format::plain(row.text("window").unwrap_or(format::ABSENT)),
        kind: format::plain(row.text("kind").unwrap_or(format::ABSENT)),
        total: time("total_ns"),
        hidden: time("hidden_ns"),
        exposed: time("exposed_ns"),
        ratio: format::or_absent(row.float("hidden_ratio"), format::percent),
        exclusive: time("exclusive_ns"),
        simulated: time("simulated_ns"),
    }
}
