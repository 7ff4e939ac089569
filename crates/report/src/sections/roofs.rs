//! The roofs of each device from every source side by side.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};
use crate::views::roofs::preference;

#[derive(Serialize)]
struct Values {
    rows: Vec<Line>,
    disputed: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    limit: String,
    datasheet: String,
    observed: String,
    measured: String,
    used: String,
    assumes: String,
}

/// Kinds in the order of the table.
const KINDS: [&str; 4] = ["compute", "bandwidth", "link", "instructions"];

/// What is limited: place of the kind in the table, kind, precision or level, sparse.
type Resource = (usize, String, String, bool);

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let runs: Vec<&Run> = report.runs.iter().filter(|run| !run.metric("roofs").is_empty()).collect();
    if runs.is_empty() {
        return Ok(None);
    }
    let mut rows: Vec<Line> = Vec::new();
    let mut disputed = BTreeSet::new();
    for run in runs {
        rows.extend(of_run(run, report.is_pair()));
        disputed.extend(run.metric("roofs").iter().filter_map(dispute));
    }
    Built::new("roofs", &Values { rows, disputed: disputed.into_iter().collect() }, Vec::new()).map(Some)
}

/// One line a resource, for all devices of the run whose roofs are alike.
fn of_run(run: &Run, of_pair: bool) -> Vec<Line> {
    let mut devices: BTreeMap<(i64, i64), BTreeMap<Resource, Vec<&Row>>> = BTreeMap::new();
    for row in run.metric("roofs") {
        let device = (row.int("rank").unwrap_or(0), row.int("device").unwrap_or(0));
        devices.entry(device).or_default().entry(resource(row)).or_default().push(row);
    }
    let mut kinds: Vec<(Vec<String>, Vec<[String; 6]>)> = Vec::new();
    for ((_, device), resources) in devices {
        let lines: Vec<[String; 6]> = resources.iter().map(|(resource, rows)| cells(resource, rows)).collect();
        match kinds.iter_mut().find(|(_, known)| *known == lines) {
            Some((numbers, _)) => numbers.push(device.to_string()),
            None => kinds.push((vec![device.to_string()], lines)),
        }
    }
    let line = |devices: &[String], [limit, datasheet, observed, measured, used, assumes]: [String; 6]| {
        let mut numbers: Vec<&str> = devices.iter().map(String::as_str).collect();
        numbers.dedup();
        let own = if of_pair { format!("{}: ", format::plain(run.label())) } else { String::new() };
        Line { device: format!("{own}{}", numbers.join(", ")), limit, datasheet, observed, measured, used, assumes }
    };
    kinds
        .into_iter()
        .flat_map(|(devices, lines)| lines.into_iter().map(move |cells| line(&devices, cells)).collect::<Vec<_>>())
        .collect()
}

fn resource(row: &Row) -> Resource {
    let kind = row.text("kind").unwrap_or("compute").to_owned();
    let name = row.text("precision").or(row.text("level")).unwrap_or_default().to_owned();
    let place = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len());
    (place, kind, name, row.boolean("sparse") == Some(true))
}

/// The cells of a line: what is limited, the value from each source, what the bounds use, and what it assumes.
fn cells((_, kind, name, sparse): &Resource, rows: &[&Row]) -> [String; 6] {
    let best = |source: &str| {
        let own = rows.iter().filter(|row| row.text("source") == Some(source));
        own.max_by(|a, b| preference(a).partial_cmp(&preference(b)).unwrap_or(std::cmp::Ordering::Equal)).copied()
    };
    let [datasheet, observed, measured] = ["datasheet", "observed", "measured"].map(best);
    let value =
        |row: Option<&Row>| format::or_absent(row.and_then(|row| row.float("value").zip(row.text("unit"))), rate);
    let used = [measured, observed, datasheet].into_iter().flatten().find(|row| row.boolean("used") == Some(true));
    let sparse = if *sparse { ", sparse" } else { "" };
    let limit =
        [kind.as_str(), name.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    [
        format!("{}{sparse}", format::plain(&limit)),
        value(datasheet),
        value(observed),
        value(measured),
        format::plain(used.and_then(|row| row.text("source")).unwrap_or("-")),
        assumes(datasheet),
    ]
}

fn rate((value, unit): (f64, &str)) -> String {
    match unit {
        "flop/s" => format::flop_rate(value),
        "bytes/s" => format::bandwidth(value),
        // FLOP with the prefix of its magnitude, its unit replaced: `1.98 POP/s`.
        "op/s" => format::flop_rate(value).replace("FLOP", "OP"),
        unit => format!("{} G{}", format::significant(value / 1e9), format::plain(unit)),
    }
}

/// The clock and the accumulate type that a datasheet's number assumes, and how sure it is.
fn assumes(row: Option<&Row>) -> String {
    let Some(row) = row else { return "-".to_owned() };
    let clock = row.float("clock_hz").map(|hz| format!("{} GHz", format::significant(hz / 1e9)));
    let accumulate = row.text("accumulate").map(|kind| format!("accumulates in {}", format::plain(kind)));
    let confidence = row.text("confidence").map(format::plain);
    let disputed = row.text("disputed").map(|_| "sources disagree".to_owned());
    let parts: Vec<String> = [clock, accumulate, confidence, disputed].into_iter().flatten().collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join("; ") }
}

fn dispute(row: &Row) -> Option<String> {
    let name = row.text("precision").or(row.text("level")).or(row.text("kind"))?;
    Some(format!("{}: {}", format::plain(name), format::plain(row.text("disputed")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_reads_as_an_engineer_writes_it() {
        let shown =
            [(989.4e12, "flop/s"), (1.979e15, "op/s"), (3.35e12, "bytes/s"), (9.3e11, "instructions/s")].map(rate);
        assert_eq!(shown, ["989 TFLOP/s", "1.98 POP/s", "3.35 TB/s", "930 Ginstructions/s"]);
    }
}
