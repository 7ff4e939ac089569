//! Launching: what the calls cost, how long work waits, how deep the queues are, and how short the kernels.

use serde::Serialize;

use super::{Built, Picture};
use crate::basis::{self, Names};
use crate::charts::depth::{self, Depth, Lane};
use crate::charts::histogram::{self, Bin, Histogram, Panel};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, file_stem};

/// Queues in one picture, those with the most launches.
const MOST_QUEUES: usize = 6;
/// Devices in the histogram.
const MOST_DEVICES: usize = 2;
/// Rows of each table.
const MOST_ROWS: usize = 16;

#[derive(Serialize)]
struct Values {
    basis: String,
    rows: Vec<Line>,
    graphs: Vec<Graph>,
    short: Vec<String>,
    reasons: Vec<String>,
    pictures: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    alt: &'static str,
    file: String,
}

#[derive(Serialize)]
struct Line {
    device: String,
    launches: String,
    api: String,
    delay: String,
    bound: String,
    bound_ratio: String,
    host: String,
    call: String,
    queue: String,
    coverage: String,
}

/// The graph launches of one device.
#[derive(Serialize)]
struct Graph {
    device: String,
    launches: String,
    nodes: String,
    api: String,
    per_node: String,
    inside: String,
    between: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut lines, mut graphs, mut short, mut reasons) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut pictures, mut all) = (Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let whole = |row: &&Row| row.text("name").is_none();
        let rows: Vec<&Row> = basis::rows(run, "launch").into_iter().filter(whole).collect();
        let names = Names::new(report, run, &rows);
        lines.extend(rows.iter().take(MOST_ROWS).map(|row| line(&names, row)));
        reasons.extend(
            rows.iter().filter_map(|row| Some(format!("{}: {}.", names.cell(row), format::plain(row.text("reason")?)))),
        );
        all.extend(rows);
        let of_all = |row: &&Row| row.text("graph").is_none() && row.int("launches").is_some_and(|count| count > 0);
        let own_graphs = basis::rows(run, "graph_launches").into_iter().filter(of_all);
        graphs.extend(own_graphs.take(MOST_ROWS).map(|row| graph(&names, row)));
        let durations = basis::rows(run, "kernel_durations");
        short.extend(durations.iter().filter_map(|row| below(&names, row)).take(MOST_ROWS));
        let suffix = report.suffix(run);
        let depth = depth(&basis::rows(run, "queue_depth"), &names, &suffix);
        pictures.extend(depth.map(|depth| Picture { file: format!("queue_depth{suffix}.svg"), svg: depth.render() }));
        let histogram = histogram(&durations, &names, &suffix);
        pictures.extend(
            histogram.map(|chart| Picture { file: format!("kernel_durations{suffix}.svg"), svg: chart.render() }),
        );
    }
    if lines.is_empty() && pictures.is_empty() {
        return Ok(None);
    }
    reasons.truncate(MOST_ROWS);
    let shown = |picture: &Picture| Shown {
        alt: if picture.file.starts_with("queue") {
            "Launches that wait in each queue over time"
        } else {
            "Durations of kernels: share of the kernels and of their time"
        },
        file: picture.file.clone(),
    };
    let values = Values {
        basis: basis::line(&all, "launching calls known of"),
        rows: lines,
        graphs,
        short,
        reasons,
        pictures: pictures.iter().map(shown).collect(),
    };
    Built::new("launch", &values, pictures).map(Some)
}

fn line(names: &Names, row: &Row) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    let pair = |stem: &str| format!("{} / {}", time(&format!("{stem}_median_ns")), time(&format!("{stem}_p99_ns")));
    Line {
        device: names.cell(row),
        launches: format::or_absent(row.int("launches"), format::count),
        api: pair("api"),
        delay: pair("queue_delay"),
        bound: time("launch_bound_ns"),
        bound_ratio: format::or_absent(row.float("launch_bound_ratio"), format::percent),
        host: time("host_wait_ns"),
        call: time("call_ns"),
        queue: time("queue_ns"),
        coverage: format::or_absent(row.float("coverage_ratio"), format::percent),
    }
}

fn graph(names: &Names, row: &Row) -> Graph {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    Graph {
        device: names.cell(row),
        launches: format::or_absent(row.int("launches"), format::count),
        nodes: format::or_absent(row.int("nodes_median"), format::count),
        api: time("api_median_ns"),
        per_node: format::or_absent(row.float("api_per_node_ns"), |ns| format::duration(ns.round() as i64)),
        inside: format!("{} ({})", time("gap_ns"), format::or_absent(row.float("gap_ratio"), format::percent)),
        between: time("between_idle_ns"),
    }
}

/// `device 0: 30.9 % of the kernels are shorter than 5.00 µs (0.4 % of their time).`
fn below(names: &Names, row: &Row) -> Option<String> {
    let of_short = row.text("kind") == Some("below") && row.int("kernels").is_some_and(|count| count > 0);
    let share = row.float("kernels_ratio").filter(|_| of_short)?;
    let (limit, time) = (row.int("to_ns")?, row.float("time_ratio"));
    Some(format!(
        "{}: {} of the kernels are shorter than {} ({} of their time).",
        names.cell(row),
        format::percent(share),
        format::duration(limit),
        format::or_absent(time, format::percent)
    ))
}

/// The queues with the most launches, in their order; none where nothing is known of any.
fn depth(rows: &[&Row], names: &Names, suffix: &str) -> Option<Depth> {
    let key = |row: &Row| (row.int("rank"), row.int("device"), row.int("queue"));
    let known = |row: &&&Row| row.int("bin").is_none() && row.int("max_depth").is_some_and(|depth| depth > 0);
    let mut queues: Vec<&Row> = rows.iter().filter(known).copied().collect();
    queues.sort_by_key(|row| std::cmp::Reverse(row.int("launches")));
    let more = queues.len().saturating_sub(MOST_QUEUES);
    queues.truncate(MOST_QUEUES);
    queues.sort_by_key(|row| key(row));
    let lane = |whole: &&Row| {
        let bins = rows.iter().filter(|row| row.int("bin").is_some() && key(row) == key(whole));
        let title = format!(
            "{} queue {}: {} launches, at most {} waiting",
            names.device(whole),
            format::or_absent(whole.int("queue"), |queue| queue.to_string()),
            format::or_absent(whole.int("launches"), format::count),
            format::or_absent(whole.int("max_depth"), format::count)
        );
        Lane { title, bins: bins.map(|row| bin(row)).collect() }
    };
    let lanes: Vec<Lane> = queues.iter().map(lane).collect();
    (!lanes.is_empty()).then(|| Depth {
        id: format!("queue_depth{}", file_stem(suffix)),
        title: "Launches that wait in each queue".to_owned(),
        subtitle: "A launch waits from the start of its call to the start of its work".to_owned(),
        lanes,
        notes: if more > 0 { vec![format!("{more} more queues have fewer launches.")] } else { Vec::new() },
    })
}

fn bin(row: &Row) -> depth::Bin {
    depth::Bin {
        span_ns: row.int("span_ns").unwrap_or(0),
        max: row.int("max_depth").unwrap_or(0),
        mean: row.float("mean_depth").unwrap_or(0.0),
    }
}

fn histogram(rows: &[&Row], names: &Names, suffix: &str) -> Option<Histogram> {
    let mut panels: Vec<(_, Panel)> = Vec::new();
    for row in rows.iter().filter(|row| row.text("kind") == Some("bin")) {
        let device = (row.int("rank"), row.int("device"));
        if panels.last().is_none_or(|(known, _)| *known != device) {
            panels.push((device, Panel { title: names.device(row), bins: Vec::new() }));
        }
        if let Some((_, panel)) = panels.last_mut() {
            panel.bins.push(histogram_bin(row));
        }
    }
    let more = panels.len().saturating_sub(MOST_DEVICES);
    panels.truncate(MOST_DEVICES);
    (!panels.is_empty()).then(|| Histogram {
        id: format!("kernel_durations{}", file_stem(suffix)),
        title: "How long kernels run".to_owned(),
        subtitle: "Bins by powers of two: share of the kernels beside share of their time".to_owned(),
        panels: panels.into_iter().map(|(_, panel)| panel).collect(),
        notes: if more > 0 {
            vec![format!("{more} more devices in `metrics/kernel_durations.parquet`.")]
        } else {
            Vec::new()
        },
    })
}

fn histogram_bin(row: &Row) -> Bin {
    let (from, to) = (row.int("from_ns").unwrap_or(0), row.int("to_ns").unwrap_or(0));
    let (count, time) = (row.float("kernels_ratio").unwrap_or(0.0), row.float("time_ratio").unwrap_or(0.0));
    let (kernels, total) = (row.int("kernels").unwrap_or(0), row.int("total_ns").unwrap_or(0));
    Bin {
        from_ns: from,
        count_ratio: count,
        time_ratio: time,
        tip: histogram::tip((from, to), (kernels, count), (total, time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_kernels_are_said_and_bins_of_several_devices_keep_apart() {
        let names = Names::of_one_run(false);
        let row = Row::of(json!({"kind": "below", "device": 0, "to_ns": 5000, "kernels": 478, "kernels_ratio": 0.309,
            "time_ratio": 0.004}));
        let said = "device 0: 30.9 % of the kernels are shorter than 5.00 µs (0.4 % of their time).";
        assert_eq!(below(&names, &row).as_deref(), Some(said));
        let bins = [0, 0, 1].map(|device| Row::of(json!({"kind": "bin", "device": device, "from_ns": 1024})));
        let chart = histogram(&bins.iter().collect::<Vec<_>>(), &names, "").unwrap();
        assert_eq!(chart.panels.iter().map(|panel| panel.bins.len()).collect::<Vec<_>>(), [2, 1]);
        assert!(histogram(&[&row], &names, "").is_none());
    }

    #[test]
    fn a_queue_whose_launches_never_wait_has_no_lane() {
        let rows = [
            json!({"queue": 7, "launches": 5, "max_depth": 3}),
            json!({"queue": 7, "bin": 0, "span_ns": 10,
            "max_depth": 3, "mean_depth": 1.5}),
            json!({"queue": 8, "launches": 9, "max_depth": 0}),
        ]
        .map(Row::of);
        let depth = depth(&rows.iter().collect::<Vec<_>>(), &Names::of_one_run(false), "").unwrap();
        assert_eq!((depth.lanes.len(), depth.lanes[0].bins.len()), (1, 1));
    }
}
