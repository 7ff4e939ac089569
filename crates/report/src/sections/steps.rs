//! How long each step took on each device, with the warm-up told from the steady state.

use std::cmp::Reverse;

use serde::Serialize;

use super::{Built, Picture, TOP};
use crate::basis::{self, Names};
use crate::charts::columns::{Column, Columns, Panel};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run, file_stem};

/// Devices in one picture.
const MOST_DEVICES: usize = 4;

#[derive(Serialize)]
struct Values {
    runs: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    heading: Option<String>,
    basis: String,
    picture: Option<String>,
    said: Vec<String>,
    rows: Vec<Line>,
    more: Option<String>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    step: String,
    state: String,
    span: String,
    gap: String,
    busy: String,
    idle: String,
    exposed: String,
    kernels: String,
    batch: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut runs, mut pictures) = (Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let rows = basis::rows(run, "steps");
        if rows.is_empty() {
            continue;
        }
        let suffix = report.suffix(run);
        let names = Names::new(report, run, &rows);
        let devices = by_device(&rows);
        // A single column compares nothing.
        let drawable = devices.iter().any(|(_, steps)| steps.len() > 1);
        let picture = drawable
            .then(|| Picture { file: format!("steps{suffix}.svg"), svg: chart(&devices, &names, &suffix).render() });
        runs.push(part(report, run, &rows, &names, picture.as_ref()));
        pictures.extend(picture);
    }
    if runs.is_empty() {
        return Ok(None);
    }
    Built::new("steps", &Values { runs }, pictures).map(Some)
}

type Device = (Option<i64>, Option<i64>);

/// The steps of each device in the order of time.
fn by_device<'a>(rows: &[&'a Row]) -> Vec<(Device, Vec<&'a Row>)> {
    let mut devices: Vec<(Device, Vec<&Row>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for row in rows {
        let device = (row.int("rank"), row.int("device"));
        let place = *places.entry(device).or_insert(devices.len());
        if place == devices.len() {
            devices.push((device, Vec::new()));
        }
        devices[place].1.push(row);
    }
    for (_, steps) in &mut devices {
        steps.sort_by_key(|row| row.int("step"));
    }
    devices
}

fn part(report: &Report, run: &Run, rows: &[&Row], names: &Names, picture: Option<&Picture>) -> Part {
    let mut longest = rows.to_vec();
    longest.sort_by_key(|row| Reverse(row.int("span_ns")));
    longest.truncate(TOP);
    let more = rows.len() - longest.len();
    let windows: Vec<Row> = rows.iter().map(|row| row.without("span_ns")).collect();
    Part {
        heading: report.is_pair().then(|| format::plain(run.label())),
        basis: basis::line(&windows.iter().collect::<Vec<_>>(), "compute tied to the host for"),
        picture: picture.map(|picture| picture.file.clone()),
        said: said(rows),
        rows: longest.iter().map(|row| line(names, row)).collect(),
        more: (more > 0).then(|| format!("{more} shorter steps in `metrics/steps.parquet`.")),
    }
}

/// Where the steps come from, and how many are steady or why that is not known.
fn said(rows: &[&Row]) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    let mut add = |text: String| {
        if !said.contains(&text) {
            said.push(text);
        }
    };
    for row in rows {
        if let Some(source) = row.text("source") {
            add(format!("Steps by `{}`.", format::plain(source)));
        }
    }
    let in_state = |state: &str| rows.iter().filter(|row| row.text("state") == Some(state)).count();
    let counts = [("warm_up", "warm-up"), ("steady", "steady"), ("cool_down", "cool-down")]
        .map(|(state, name)| (in_state(state), name));
    if counts.iter().any(|(count, _)| *count > 0) {
        let words = counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
        add(format!("Of {} steps: {}.", rows.len(), words.collect::<Vec<_>>().join(", ")));
    }
    for row in rows {
        if let Some(reason) = row.text("state_reason") {
            add(format!("No steady state: {}.", format::plain(reason)));
        }
    }
    said
}

fn line(names: &Names, row: &Row) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    let number = format::or_absent(row.int("step"), |step| step.to_string());
    let name = row.text("name").map_or_else(String::new, |name| format!(": {}", format::name(name)));
    let exposed = [("exposed_comm_ns", "communication"), ("exposed_kv_ns", "KV"), ("exposed_copy_ns", "copy")];
    let exposed = exposed.iter().filter_map(|(column, name)| {
        Some(format!("{name} {}", format::duration(row.int(column).filter(|ns| *ns > 0)?)))
    });
    let exposed: Vec<String> = exposed.collect();
    Line {
        device: names.cell(row),
        step: format!("{number}{name}"),
        state: row.text("state").map_or_else(|| "-".to_owned(), |state| format::plain(&state.replace('_', "-"))),
        span: time("span_ns"),
        gap: time("gap_ns"),
        busy: time("busy_ns"),
        idle: format!("{} ({})", time("idle_ns"), format::or_absent(row.float("idle_ratio"), format::percent)),
        exposed: if exposed.is_empty() { "-".to_owned() } else { exposed.join(", ") },
        kernels: format::or_absent(row.int("kernels"), format::count),
        batch: row.int("decode_batch").map_or_else(|| "-".to_owned(), format::count),
    }
}

fn chart(devices: &[(Device, Vec<&Row>)], names: &Names, suffix: &str) -> Columns {
    let panel = |(_, steps): &(Device, Vec<&Row>)| Panel {
        title: steps.first().map_or_else(String::new, |row| names.device(row)),
        columns: steps.iter().map(|row| column(row)).collect(),
    };
    let more = devices.len().saturating_sub(MOST_DEVICES);
    Columns {
        id: format!("steps{}", file_stem(suffix)),
        title: "How long each step took".to_owned(),
        subtitle: "Time on the device, in the order of time; the three parts sum to the length of the step".to_owned(),
        keys: ["compute", "other work only (transfers, fills)", "idle"].map(str::to_owned).into(),
        below: "step".to_owned(),
        panels: devices.iter().take(MOST_DEVICES).map(panel).collect(),
        notes: if more > 0 { vec![format!("{more} more devices are in the table of the metric.")] } else { Vec::new() },
    }
}

fn column(row: &Row) -> Column {
    let number = |name: &str| row.int(name).unwrap_or(0).max(0);
    let name = row.text("name").map_or_else(String::new, |name| format!(" {}", format::middle(name, 40)));
    let state = row.text("state").map_or_else(String::new, |state| format!(", {}", state.replace('_', "-")));
    Column {
        number: row.int("step").map_or_else(|| "-".to_owned(), |step| step.to_string()),
        // Compute is a part of busy, so these sum to the step.
        parts: vec![number("compute_ns"), number("busy_ns").saturating_sub(number("compute_ns")), number("idle_ns")],
        shaded: row.text("state").is_some_and(|state| state != "steady"),
        begins: None,
        tip: format!("{name}{state}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_parts_of_a_column_sum_to_the_step_and_warm_up_is_shaded() {
        let row =
            json!({"step": 3, "span_ns": 100, "busy_ns": 80, "compute_ns": 70, "idle_ns": 20, "state": "warm_up"});
        let column = column(&Row::of(row));
        assert_eq!((column.parts.as_slice(), column.shaded), ([70, 10, 20].as_slice(), true));
        assert_eq!((column.number.as_str(), column.tip.as_str()), ("3", ", warm-up"));
    }

    #[test]
    fn steps_are_grouped_by_device_in_the_order_of_time() {
        let rows = [(1, 1), (0, 0), (1, 0)].map(|(device, step)| Row::of(json!({"device": device, "step": step})));
        let rows: Vec<&Row> = rows.iter().collect();
        let devices = by_device(&rows);
        let steps: Vec<_> = devices[0].1.iter().map(|row| row.int("step").unwrap()).collect();
        assert_eq!((devices.len(), steps), (2, vec![0, 1]));
    }

    #[test]
    fn what_is_known_of_the_steady_state_is_said_once() {
        let rows = ["warm_up", "steady", "steady"].map(|state| Row::of(json!({"state": state, "source": "work"})));
        assert_eq!(said(&rows.iter().collect::<Vec<_>>()), ["Steps by `work`.", "Of 3 steps: 1 warm-up, 2 steady."]);
        let rows = [(); 2].map(|()| Row::of(json!({"state_reason": "fewer than 6 iterations"})));
        assert_eq!(said(&rows.iter().collect::<Vec<_>>()), ["No steady state: fewer than 6 iterations."]);
    }
}
