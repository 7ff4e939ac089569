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
    idle: Vec<Idle>,
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

/// Why a device did nothing.
#[derive(Serialize)]
struct Idle {
    run: String,
    device: String,
    time: String,
    ratio: String,
    causes: String,
    coverage: String,
}

const CAUSES: [(&str, &str); 7] = [
    ("kv_wait_ns", "KV wait"),
    ("comm_wait_ns", "communication wait"),
    ("dependency_wait_ns", "dependency wait"),
    ("sync_ns", "synchronisation"),
    ("host_wait_ns", "host wait"),
    ("launch_ns", "launch"),
    ("other_ns", "other"),
];

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let missing = |run: &Run| Some(format!("{}: {}", format::plain(run.label()), run.missing("overlap")?));
    let rows =
        |run: &Run| run.metric("overlap").iter().filter(|row| used(row)).map(|row| line(run, row)).collect::<Vec<_>>();
    let values = Values {
        missing: report.runs.iter().filter_map(missing).collect(),
        rows: report.runs.iter().flat_map(rows).collect(),
        idle: report.runs.iter().flat_map(idle).collect(),
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

fn idle(run: &Run) -> Vec<Idle> {
    let whole = |row: &&Row| row.int("queue").is_none();
    let line = |row: &Row| Idle {
        run: format::plain(run.label()),
        device: device(row),
        time: format::or_absent(row.int("idle_ns"), format::duration),
        ratio: format::or_absent(row.float("idle_ratio"), format::percent),
        causes: causes(row),
        coverage: format::or_absent(row.float("coverage_ratio"), format::percent),
    };
    run.metric("idle").iter().filter(whole).map(line).collect()
}

/// The causes that hold, the longest first; one that cannot be known is named as such.
fn causes(row: &Row) -> String {
    let mut found: Vec<(i64, &str)> =
        CAUSES.iter().filter_map(|(column, name)| Some((row.int(column).filter(|ns| *ns > 0)?, *name))).collect();
    found.sort_by_key(|(ns, _)| -ns);
    let mut words: Vec<String> = found.iter().map(|(ns, name)| format!("{name} {}", format::duration(*ns))).collect();
    if row.boolean("reliable") == Some(false) {
        words.push("unreliable: whole graphs hide their kernels".to_owned());
    }
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
