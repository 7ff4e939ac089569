//! What the serving charts show: latencies over time, the parts of the first token, the devices.

use std::collections::BTreeMap;

use crate::charts::bars::{Bar, Bars, Unit};
use crate::charts::heat_map::{self, HeatMap, Lane};
use crate::charts::lines::{Lines, Panel, Quantity, Series};
use crate::format;
use crate::run::{Report, Row, Run, file_stem};

/// Groups that one chart tells apart.
pub(super) const MOST_GROUPS: usize = 5;
/// Devices in one heat map.
const MOST_DEVICES: usize = 24;

/// The rows of a metric of the first pass that has requests.
pub(crate) fn rows<'r>(run: &'r Run, metric: &str) -> Vec<&'r Row> {
    let pass = run.metric("serving").first().and_then(|row| row.text("pass"));
    run.metric(metric).iter().filter(|row| row.text("pass") == pass).collect()
}

/// Whether a model computed the times of any run.
pub(crate) fn is_simulated(report: &Report) -> bool {
    let mut all = report.runs.iter().flat_map(|run| rows(run, "serving"));
    all.any(|row| row.boolean("simulated") == Some(true))
}

/// ` (simulated)` where a model computed the times.
pub(crate) fn simulated(report: &Report) -> &'static str {
    if is_simulated(report) { " (simulated)" } else { "" }
}

/// What lines of a chart are about: a name, and the rows of a run that it has.
pub(super) struct Group<'r> {
    pub(super) name: String,
    /// Number of its run.
    pub(super) run: usize,
    pub(super) rows: Vec<&'r Row>,
}

/// The runs of a pair, or all requests of the only run and each of its policies.
pub(super) fn groups<'r>(report: &'r Report, metric: &str, group: fn(&Row) -> Option<&str>) -> Vec<Group<'r>> {
    let mut groups = Vec::new();
    for (number, run) in report.runs.iter().enumerate() {
        let mut of: Vec<(Option<&str>, Vec<&Row>)> = Vec::new();
        for row in rows(run, metric) {
            let name = group(row);
            match of.iter_mut().find(|(known, _)| *known == name) {
                Some((_, rows)) => rows.push(row),
                None => of.push((name, vec![row])),
            }
        }
        let name = |policy: Option<&str>| policy.map_or_else(|| "all requests".to_owned(), str::to_owned);
        if report.is_pair() {
            let all = of.into_iter().find(|(name, _)| name.is_none());
            groups.extend(all.map(|(_, rows)| Group { name: run.label().to_owned(), run: number, rows }));
        } else {
            groups.extend(of.into_iter().map(|(policy, rows)| Group { name: name(policy), run: number, rows }));
        }
    }
    groups
}

/// Notes about groups that are left out, and what simulated times are.
pub(super) fn notes(report: &Report, left_out: usize, more: &[&str]) -> Vec<String> {
    let mut notes: Vec<String> = more.iter().map(|note| (*note).to_owned()).collect();
    if left_out > 0 {
        notes.push(format!("{left_out} more policies are in the metric's file."));
    }
    if is_simulated(report) {
        notes.push("Simulated: a model computed these times, no hardware was measured.".to_owned());
    }
    notes
}

/// TTFT, TPOT and the requests in flight over time.
pub(crate) fn over_time(report: &Report) -> Option<Lines> {
    let mut groups = groups(report, "serving_time", |row| row.text("policy"));
    let left_out = groups.len().saturating_sub(MOST_GROUPS);
    groups.truncate(MOST_GROUPS);
    let panel = |title: &str, axis, columns: &[(&str, bool)]| {
        let of_group = |(number, group): (usize, &Group)| {
            let line = |(column, dashed): &(&str, bool)| series(number, group, column, *dashed);
            columns.iter().map(line).collect::<Vec<Series>>()
        };
        Panel {
            title: title.to_owned(),
            below: "time of arrival, from the first one,".to_owned(),
            axes: (Quantity::Time, axis),
            series: groups.iter().enumerate().flat_map(of_group).collect(),
            limits: Vec::new(),
        }
    };
    let both = |stem: &str| [format!("{stem}_p50_ns"), format!("{stem}_p99_ns")];
    let (ttft, tpot) = (both("ttft"), both("tpot"));
    let mut panels = vec![
        panel("Time to first token", Quantity::Latency, &[(&ttft[0], false), (&ttft[1], true)]),
        panel("Time per output token", Quantity::Latency, &[(&tpot[0], false), (&tpot[1], true)]),
    ];
    panels.push(Panel {
        below: "time from the first arrival".to_owned(),
        ..panel("Requests in flight, mean", Quantity::Count, &[("in_flight_mean", false)])
    });
    panels.retain(|panel| {
        panel.series.iter().any(|series| series.points.iter().filter(|point| point.1.is_some()).count() > 1)
    });
    if panels.iter().all(|panel| panel.axes.1 == Quantity::Count) {
        return None;
    }
    let width = |group: &Group| {
        let row = group.rows.first()?;
        Some(row.int("end_ns").unwrap_or(0).saturating_sub(row.int("start_ns").unwrap_or(0)))
    };
    // Runs of other lengths may have bins of other widths.
    let mut widths: Vec<String> = groups.iter().filter_map(width).map(format::duration).collect();
    widths.dedup();
    Some(Lines {
        id: "serving_time".to_owned(),
        title: format!("Latency over time{}", simulated(report)),
        subtitle: format!(
            "Median and 99th percentile of the served requests that arrive in each bin of {}",
            widths.join(" or ")
        ),
        groups: groups.iter().map(|group| group.name.clone()).collect(),
        strokes: Some(("median", "99th percentile")),
        beside: false,
        panels,
        notes: notes(report, left_out, &[]),
    })
}

/// A line of a group: the values of a column over the middles of its bins.
fn series(number: usize, group: &Group, column: &str, dashed: bool) -> Series {
    let from = group.rows.first().and_then(|row| row.int("start_ns")).unwrap_or(0);
    let point = |row: &&Row| {
        let (start, end) = (row.int("start_ns").unwrap_or(0), row.int("end_ns").unwrap_or(0));
        let middle = start.saturating_sub(from) as f64 / 2.0 + end.saturating_sub(from) as f64 / 2.0;
        (middle, row.float(column))
    };
    Series { group: number, dashed, points: group.rows.iter().map(point).collect() }
}

const PARTS: [&str; 5] = ["queue", "prefill", "kv", "decode", "host"];

/// Where the time to the first token went: the mean of each group.
pub(crate) fn split(report: &Report) -> Option<Bars> {
    let mut bars = Vec::new();
    for run in &report.runs {
        let known =
            |row: &&Row| row.int("ttft_queue_mean_ns").is_some() && row.text("group_kind") != Some("prefill_device");
        for row in rows(run, "serving").into_iter().filter(known) {
            let part = |name: &&str| row.int(&format!("ttft_{name}_mean_ns")).unwrap_or(0) as f64;
            bars.push(Bar { label: label(report, run, row), parts: PARTS.iter().map(part).collect(), end: None });
        }
    }
    bars.truncate(12);
    (!bars.is_empty()).then(|| Bars {
        id: "ttft_split".to_owned(),
        title: format!("Where the time to the first token goes{}", simulated(report)),
        subtitle: "Mean of the requests whose stages the log knows; every nanosecond is counted once".to_owned(),
        unit: Unit::Time,
        keys: ["queued", "prefill", "KV transfer", "decode", "host and network"].map(str::to_owned).into(),
        only_used: true,
        rows: bars,
        notes: notes(report, 0, &[]),
    })
}

/// What a row of `serving` is about: `optimized, premium`.
pub(crate) fn label(report: &Report, run: &Run, row: &Row) -> String {
    let group = match row.text("group_kind") {
        Some("all") => "all requests".to_owned(),
        _ => row.text("group").unwrap_or(format::ABSENT).to_owned(),
    };
    if !report.is_pair() {
        return group;
    }
    if row.text("group_kind") == Some("all") { run.label().to_owned() } else { format!("{}, {group}", run.label()) }
}

/// What is known of a device: as a whole, and over time.
#[derive(Default)]
struct Load<'r> {
    whole: Option<&'r Row>,
    bins: Vec<&'r Row>,
}

/// Requests that wait and KV memory in use, device by device; one picture a run.
pub(crate) fn devices(report: &Report, run: &Run) -> Option<HeatMap> {
    let mut devices: BTreeMap<(i64, i64), Load> = BTreeMap::new();
    for row in rows(run, "device_load") {
        let key = (row.int("rank").unwrap_or(0), row.int("device").unwrap_or(0));
        let load = devices.entry(key).or_default();
        if row.int("bin").is_some() { load.bins.push(row) } else { load.whole = Some(row) }
    }
    let edges = devices.values().next().map(|load| {
        let starts = load.bins.iter().filter_map(|row| row.int("start_ns"));
        starts.chain(load.bins.last().and_then(|row| row.int("end_ns"))).collect::<Vec<i64>>()
    })?;
    let left_out = devices.len().saturating_sub(MOST_DEVICES);
    let panel = |title: &str, column: &str, unit: heat_map::Unit| {
        let lane = |(key, load): (&(i64, i64), &Load)| {
            let values: Vec<Option<f64>> = load.bins.iter().map(|row| row.float(column)).collect();
            let mean = load.whole.and_then(|row| row.float(column));
            let known = values.iter().any(Option::is_some);
            let show = |value: f64| {
                if unit == heat_map::Unit::Share { format::percent(value) } else { format::significant(value) }
            };
            known.then(|| Lane { label: device(*key, load.whole), values, end: format::or_absent(mean, show) })
        };
        let lanes: Vec<Lane> = devices.iter().take(MOST_DEVICES).filter_map(lane).collect();
        heat_map::Panel { title: title.to_owned(), ends: "mean", unit, least_most: most(report, column), lanes }
    };
    let mut panels = vec![
        panel("Requests that wait", "waiting_mean", heat_map::Unit::Count),
        panel("Busy time", "busy_ratio", heat_map::Unit::Share),
        panel("KV memory in use", "kv_usage_ratio", heat_map::Unit::Share),
    ];
    panels.retain(|panel| !panel.lanes.is_empty());
    let own = if report.is_pair() { format!(": {}", run.label()) } else { String::new() };
    let shade = if report.is_pair() {
        "The shade is the root of the value over the largest of both runs."
    } else {
        "The shade is the root of the value over the largest."
    };
    let mut notes = notes(report, 0, &[shade]);
    if left_out > 0 {
        notes.push(format!("{left_out} more devices are in `metrics/device_load.parquet`."));
    }
    (!panels.is_empty()).then(|| HeatMap {
        id: format!("device_load{}", file_stem(&report.suffix(run))),
        title: format!("Devices over time{own}{}", simulated(report)),
        subtitle: "Means over each bin of time".to_owned(),
        edges,
        panels,
        notes,
    })
}

/// The largest value of a column over the time of any run: the shades of both pictures of a pair mean the same.
fn most(report: &Report, column: &str) -> f64 {
    let bins = report.runs.iter().flat_map(|run| rows(run, "device_load")).filter(|row| row.int("bin").is_some());
    bins.filter_map(|row| row.float(column)).filter(|value| value.is_finite()).fold(0.0, f64::max)
}

/// `0 flagship prefill`: number, name and role.
fn device((rank, device): (i64, i64), whole: Option<&Row>) -> String {
    let number = if rank == 0 { device.to_string() } else { format!("rank {rank}: {device}") };
    let name = whole.and_then(|row| row.text("name")).unwrap_or_default();
    let role = whole.and_then(|row| row.text("role")).filter(|role| !name.contains(role)).unwrap_or_default();
    [number.as_str(), name, role].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
