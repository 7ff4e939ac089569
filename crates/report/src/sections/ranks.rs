//! Which rank is late, what it costs the others, and how far the clocks can be trusted.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Serialize;

use super::{Built, Picture};
use crate::basis::{self, Names};
use crate::charts::bars::{Bar, Bars, Unit};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, file_stem};

/// Devices in the picture and the table, the latest first.
const MOST_DEVICES: usize = 24;

#[derive(Serialize)]
struct Values {
    runs: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    heading: Option<String>,
    basis: String,
    picture: Option<String>,
    rows: Vec<Line>,
    clocks: Vec<Clock>,
    more: Option<String>,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    compute: String,
    comm: String,
    wait: String,
    matched: String,
    last: String,
    late: String,
    caused: String,
    step: String,
}

#[derive(Serialize)]
struct Clock {
    device: String,
    source: String,
    offset: String,
    refined: String,
    reference: String,
    residual: String,
    residual_max: String,
    fitted: String,
    drift: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut runs, mut pictures) = (Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let mut rows = basis::rows(run, "ranks");
        if !of_several(&rows) {
            continue;
        }
        rows.sort_by_key(|row| Reverse(row.int("late_ns")));
        let names = Names::new(report, run, &rows);
        let suffix = report.suffix(run);
        let late = rows.iter().any(|row| row.int("late_ns").is_some_and(|ns| ns > 0));
        let svg = || chart(&rows, &names, &suffix).render();
        let picture = late.then(|| Picture { file: format!("ranks{suffix}.svg"), svg: svg() });
        let more = rows.len().saturating_sub(MOST_DEVICES);
        let shown: Vec<&Row> = rows.iter().take(MOST_DEVICES).copied().collect();
        runs.push(Part {
            heading: report.is_pair().then(|| format::plain(run.label())),
            basis: basis::line(&rows, "communication kernels matched with another device's:"),
            picture: picture.as_ref().map(|picture| picture.file.clone()),
            rows: shown.iter().map(|row| line(&names, row)).collect(),
            clocks: clocks(&shown, &names),
            more: (more > 0).then(|| format!("{more} more devices, less late, in `metrics/ranks.parquet`.")),
            reasons: reasons(&shown, &names),
        });
        pictures.extend(picture);
    }
    if runs.is_empty() {
        return Ok(None);
    }
    Built::new("ranks", &Values { runs }, pictures).map(Some)
}

/// Whether there is anything to compare: several ranks, or several devices that communicate with each other.
fn of_several(rows: &[&Row]) -> bool {
    let ranks: BTreeSet<Option<i64>> = rows.iter().map(|row| row.int("rank")).collect();
    ranks.len() > 1 || rows.len() > 1 && rows.iter().any(|row| row.int("matched").is_some_and(|count| count > 0))
}

fn line(names: &Names, row: &Row) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    let count = |column: &str| format::or_absent(row.int(column), format::count);
    let last = row.int("last_count").map(|last| {
        format!("{} ({})", format::count(last), format::or_absent(row.float("last_ratio"), format::percent))
    });
    Line {
        device: names.cell(row),
        compute: time("compute_ns"),
        comm: time("comm_ns"),
        wait: time("wait_ns"),
        matched: format!("{} of {}", count("matched"), count("collectives")),
        last: last.unwrap_or_else(|| format::ABSENT.to_owned()),
        late: time("late_ns"),
        caused: time("caused_wait_ns"),
        step: time("step_ns"),
    }
}

/// The clocks; none where all devices count from one session.
fn clocks(rows: &[&Row], names: &Names) -> Vec<Clock> {
    let one = rows.iter().all(|row| row.text("clock") == Some("one session"));
    if one {
        return Vec::new();
    }
    let clock = |row: &&Row| {
        let time = |column: &str| format::or_absent(row.int(column), format::duration);
        Clock {
            device: names.cell(row),
            source: format::plain(row.text("clock").unwrap_or(format::ABSENT)),
            offset: time("offset_ns"),
            refined: time("refined_ns"),
            reference: row.int("reference_rank").map_or_else(|| "-".to_owned(), |rank| rank.to_string()),
            residual: time("residual_ns"),
            residual_max: time("residual_max_ns"),
            fitted: format::or_absent(row.int("aligned_by"), format::count),
            drift: format::or_absent(row.float("drift_ppm"), format::small),
        }
    };
    rows.iter().map(clock).collect()
}

/// Why values are absent or limits, each once.
fn reasons(rows: &[&Row], names: &Names) -> Vec<String> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows {
        let Some(reason) = row.text("reason").map(format::plain) else { continue };
        match found.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, devices)) => devices.push(names.cell(row)),
            None => found.push((reason, vec![names.cell(row)])),
        }
    }
    let said = |(reason, devices): (String, Vec<String>)| match devices.as_slice() {
        [one] => format!("{one}: {reason}."),
        many if many.len() == rows.len() => format!("All devices: {reason}."),
        many => format!("{} devices, {} the first: {reason}.", many.len(), many[0]),
    };
    found.into_iter().map(said).collect()
}

fn chart(rows: &[&Row], names: &Names, suffix: &str) -> Bars {
    let bar = |row: &&Row| {
        let count = |column: &str| row.int(column).unwrap_or(0);
        let late = count("late_ns").max(0);
        let end = format!("{}, last in {} of {}", format::duration(late), count("last_count"), count("matched"));
        Bar { label: names.device(row), parts: vec![late as f64], end: Some(end) }
    };
    Bars {
        id: format!("ranks{}", file_stem(suffix)),
        title: "Who comes last into collectives, and how late".to_owned(),
        subtitle: "Sum over the collectives in which the device was the last: how much later than the one before it"
            .to_owned(),
        unit: Unit::Time,
        keys: vec!["later than the one before it".to_owned()],
        only_used: true,
        rows: rows.iter().take(MOST_DEVICES).map(bar).collect(),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_rank_has_nothing_to_compare_and_two_devices_of_it_only_where_they_communicate() {
        let several = |values: Vec<serde_json::Value>| {
            let rows: Vec<Row> = values.into_iter().map(Row::of).collect();
            of_several(&rows.iter().collect::<Vec<_>>())
        };
        assert!(!several(vec![json!({"rank": 0, "device": 0, "matched": 4})]) && !several(Vec::new()));
        assert!(several(vec![json!({"rank": 0}), json!({"rank": 1})]));
        let devices = |matched| (0..2).map(|device| json!({"rank": 0, "device": device, "matched": matched})).collect();
        assert!(several(devices(3)) && !several(devices(0)));
    }

    #[test]
    fn a_reason_that_all_share_is_said_once() {
        let rows = [0, 1].map(|rank| Row::of(json!({"rank": rank, "reason": "no clock"})));
        let rows: Vec<&Row> = rows.iter().collect();
        assert_eq!(reasons(&rows, &Names::of_one_run(true)), ["All devices: no clock."]);
    }

    #[test]
    fn clocks_of_one_session_are_not_listed() {
        let row = |clock: &str| Row::of(json!({"rank": 1, "clock": clock, "offset_ns": 137_000, "residual_ns": 40}));
        let names = Names::of_one_run(true);
        assert!(clocks(&[&row("one session")], &names).is_empty());
        let listed = &clocks(&[&row("wall")], &names)[0];
        assert_eq!((listed.offset.as_str(), listed.residual.as_str()), ("137 µs", "40.0 ns"));
    }
}
