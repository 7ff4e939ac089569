//! Where each device waited: busy and idle by cause, and the longest gaps in context.

use std::cmp::Reverse;

use serde::Serialize;

use super::{Built, Picture, TOP};
use crate::basis::{self, Names};
use crate::charts::bars::{Bar, Bars, Unit};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};

/// Devices in the picture and the table.
const MOST_DEVICES: usize = 24;
/// Longest name in the table of gaps, which has several of them in a line.
const LONGEST_NAME: usize = 44;

/// The causes: the column, and what the reader calls it.
const CAUSES: [(&str, &str); 7] = [
    ("kv_wait_ns", "KV wait"),
    ("comm_wait_ns", "communication wait"),
    ("dependency_wait_ns", "dependency wait"),
    ("sync_ns", "synchronisation"),
    ("host_wait_ns", "host wait"),
    ("launch_ns", "launch"),
    ("other_ns", "other"),
];

#[derive(Serialize)]
struct Values {
    basis: String,
    picture: Option<String>,
    causes: Vec<&'static str>,
    rows: Vec<Line>,
    more: Option<String>,
    gaps: Vec<Gap>,
    listed: Option<String>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    busy: String,
    idle: String,
    ratio: String,
    causes: Vec<String>,
    coverage: String,
}

/// One gap in context.
#[derive(Serialize)]
struct Gap {
    device: String,
    start: String,
    length: String,
    cause: String,
    previous: String,
    next: String,
    call: String,
    range: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let mut shown: Vec<(Names, &Row)> = Vec::new();
    for run in report.runs.iter().rev() {
        let rows = of_devices(run, "idle");
        let names = Names::new(report, run, &rows);
        shown.extend(rows.iter().map(|row| (names.clone(), *row)));
    }
    if shown.is_empty() {
        return Ok(None);
    }
    let more = shown.len().saturating_sub(MOST_DEVICES);
    shown.truncate(MOST_DEVICES);
    let rows: Vec<&Row> = shown.iter().map(|(_, row)| *row).collect();
    let drawable = rows.iter().any(|row| row.int("span_ns").is_some_and(|span| span > 0));
    let picture = drawable.then(|| Picture { file: "idle.svg".to_owned(), svg: chart(&shown).render() });
    let (gaps, listed) = gaps(report);
    let values = Values {
        basis: basis::line(&rows, "launching calls of the work after gaps known of"),
        picture: picture.as_ref().map(|picture| picture.file.clone()),
        causes: CAUSES.iter().map(|(_, name)| *name).collect(),
        rows: shown.iter().map(|(names, row)| line(names, row)).collect(),
        more: (more > 0).then(|| format!("{more} more devices in `metrics/idle.parquet`.")),
        gaps,
        listed,
    };
    Built::new("idle", &values, picture.into_iter().collect()).map(Some)
}

/// The rows of whole devices; those of their queues are in the file.
fn of_devices<'a>(run: &'a Run, metric: &str) -> Vec<&'a Row> {
    basis::rows(run, metric).into_iter().filter(|row| row.int("queue").is_none()).collect()
}

fn line(names: &Names, row: &Row) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    Line {
        device: names.cell(row),
        busy: time("busy_ns"),
        idle: time("idle_ns"),
        ratio: format::or_absent(row.float("idle_ratio"), format::percent),
        causes: CAUSES.iter().map(|(column, _)| time(column)).collect(),
        coverage: format::or_absent(row.float("coverage_ratio"), format::percent),
    }
}

fn chart(shown: &[(Names, &Row)]) -> Bars {
    let bar = |(names, row): &(Names, &Row)| {
        let span = row.int("span_ns").filter(|span| *span > 0)?;
        let share = |column: &str| row.int(column).unwrap_or(0).max(0) as f64 / span as f64;
        let causes = CAUSES.iter().map(|(column, _)| share(column));
        let idle = format::or_absent(row.float("idle_ratio"), format::percent);
        let parts = std::iter::once(share("busy_ns")).chain(causes).collect();
        Some(Bar { label: names.device(row), parts, end: Some(format!("idle {idle}")) })
    };
    let mut keys = vec!["busy".to_owned()];
    keys.extend(CAUSES.iter().map(|(_, name)| (*name).to_owned()));
    Bars {
        id: "idle".to_owned(),
        title: "Where each device waited".to_owned(),
        subtitle: "Share of the window; each nanosecond without work has exactly one cause".to_owned(),
        unit: Unit::Percent,
        keys,
        only_used: true,
        rows: shown.iter().filter_map(bar).collect(),
        notes: Vec::new(),
    }
}

/// The longest gaps of all devices, and what share of the idle time they are.
fn gaps(report: &Report) -> (Vec<Gap>, Option<String>) {
    let (mut lines, mut listed) = (Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let mut rows = of_devices(run, "gaps");
        rows.sort_by_key(|row| Reverse(row.int("length_ns")));
        let names = Names::new(report, run, &rows);
        let count: i64 = counts(&rows);
        rows.truncate(TOP);
        lines.extend(rows.iter().map(|row| gap(&names, row)));
        if count > rows.len() as i64 {
            listed.push(format!("{} of {}", rows.len(), format::count(count)));
        }
    }
    let listed = (!listed.is_empty()).then(|| format!("Listed are {} gaps.", listed.join(" and ")));
    (lines, listed)
}

/// Gaps of all devices, listed or not.
fn counts(rows: &[&Row]) -> i64 {
    crate::run::sum(rows.iter().filter(|row| row.int("place") == Some(1)).filter_map(|row| row.int("gap_count")))
}

fn gap(names: &Names, row: &Row) -> Gap {
    let name = |column: &str| row.text(column).map_or_else(|| "-".to_owned(), short);
    Gap {
        device: names.cell(row),
        start: format::or_absent(row.int("start_ns"), format::count),
        length: format::or_absent(row.int("length_ns"), format::duration),
        cause: cause(row),
        previous: name("previous"),
        next: name("next"),
        call: call(row),
        range: name("range"),
    }
}

fn short(name: &str) -> String {
    format::code(&format::middle(name, LONGEST_NAME))
}

/// The cause with its part of the gap, and what was waited for.
fn cause(row: &Row) -> String {
    let stem = row.text("cause").unwrap_or("other");
    let column = format!("{stem}_ns");
    let name = CAUSES.iter().find(|(known, _)| *known == column).map_or("other", |(_, name)| *name);
    let part = row.int(&column).map_or_else(String::new, |ns| format!(" {}", format::duration(ns)));
    let waited = row.text("waited_for").map_or_else(String::new, |name| format!(", for {}", short(name)));
    format!("{name}{part}{waited}")
}

/// The responsible host call and its part, or why there is none.
fn call(row: &Row) -> String {
    let role = row.text("call_role").map(format::plain);
    match (row.text("call"), role) {
        (Some(call), role) => {
            let time = row.int("call_ns").map_or_else(String::new, |ns| format!(" {}", format::duration(ns)));
            format!("{}{time}{}", short(call), role.map_or_else(String::new, |role| format!(" ({role})")))
        }
        (None, role) => role.unwrap_or_else(|| "-".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_gap_says_its_cause_its_part_and_the_call() {
        let row = json!({"device": 0, "start_ns": 1_078_000, "length_ns": 52_000, "cause": "kv_wait",
            "kv_wait_ns": 35_000, "previous": "b", "next": "E|", "waited_for": "d", "range": "block",
            "call_role": "none: the device waited for another queue"});
        let gap = gap(&Names::of_one_run(false), &Row::of(row));
        assert_eq!((gap.start.as_str(), gap.length.as_str()), ("1 078 000", "52.0 µs"));
        assert_eq!((gap.cause.as_str(), gap.next.as_str()), ("KV wait 35.0 µs, for `d`", r"`E\|`"));
        assert_eq!(gap.call, "none: the device waited for another queue");
        let row = Row::of(json!({"call": "cudaLaunchKernel", "call_ns": 1_430_072, "call_role": "launches"}));
        assert_eq!(call(&row), "`cudaLaunchKernel` 1.43 ms (launches)");
        assert_eq!((cause(&Row::default()), call(&Row::default())), ("other".to_owned(), "-".to_owned()));
    }
}
