//! Launches, queue lengths and bandwidths.

use std::collections::BTreeMap;

use super::{DURATION, POINTS, Pair, TENTH_US, TIES, WINDOW, us};
use crate::check::{Check, List};
use crate::exact::HTA_LAUNCHES;
use crate::number::{Format, deviation, quantile};
use crate::results::Results;
use crate::sheet::Sheet;
use crate::trace::Gpu;

/// `get_cuda_kernel_launch_stats`.
pub(super) fn launches(pair: &Pair) -> List {
    let mut list = List::new("cuda_kernel_launch_stats: duration of call and row, launch delay, by correlation");
    let sheet = pair.sheet("cuda_kernel_launch_stats_rank0");
    let by_correlation: BTreeMap<i64, &Gpu> =
        pair.kept.iter().filter_map(|row| Some((row.correlation?, *row))).collect();
    list.rows = sheet.rows.len();
    let columns = ["correlation", "cpu_duration", "gpu_duration", "launch_delay"].map(|name| sheet.column(name));
    for row in &sheet.rows {
        let [correlation, cpu, gpu, delay] = columns.map(|column| row[column].parse::<f64>().unwrap());
        let found = by_correlation.get(&(correlation as i64));
        let Some((ours, call)) = found.and_then(|ours| Some((*ours, pair.trace.call(ours)?))) else {
            list.differs(|| format!("correlation {correlation} is there only"));
            continue;
        };
        let place = |what: &str| format!("{what} of correlation {correlation}");
        list.number(|| place("call"), us(call.span.1 - call.span.0), cpu, TENTH_US);
        list.number(|| place("row"), us(ours.length()), gpu, TENTH_US);
        list.number(|| place("delay"), us((ours.span.0 - call.span.1).max(0)), delay, TENTH_US);
    }
    for _ in sheet.rows.len()..by_correlation.len() {
        list.differs(|| "a row is here only".to_owned());
    }
    list
}

/// The two header lines of a sheet that pandas wrote from columns of two levels, as one.
fn two_level(pair: &Pair, report: &str) -> Sheet {
    let mut sheet = pair.sheet(report);
    let second = sheet.rows.remove(0);
    for (head, second) in sheet.head.iter_mut().zip(second).filter(|(_, second)| !second.is_empty()) {
        *head = second;
    }
    sheet
}

/// Rates of the copies and fills of one kind whenever one begins or ends, while any runs.
fn rates(rows: &[&Gpu], longer: i64) -> Vec<f64> {
    let mut edges: Vec<(i64, f64)> = Vec::new();
    for row in rows {
        let rate = row.bytes.unwrap() as f64 / (row.length() + longer).max(1) as f64;
        edges.extend([(row.span.0, rate), (row.span.1.max(row.span.0 + 1), -rate)]);
    }
    edges.sort_by_key(|edge| edge.0);
    let (mut running, mut open, mut points) = (0.0, 0, Vec::new());
    for (_, rate) in edges {
        open += if rate > 0.0 { 1 } else { -1 };
        running = if open == 0 { 0.0 } else { running + rate };
        if open > 0 {
            points.push(running);
        }
    }
    points.sort_by(f64::total_cmp);
    points
}

/// A rate of single copies in GB/s, over the rows of the metric where it is the least or the most of all.
fn rate(metric: &Results, what: &str) -> Option<f64> {
    let rates = |column: &str| (0..metric.rows).filter_map(|row| metric.float(row, column)).collect::<Vec<_>>();
    let found = match what {
        "min" => rates("min_bytes_per_s").into_iter().reduce(f64::min),
        "max" => rates("max_bytes_per_s").into_iter().reduce(f64::max),
        "50%" if metric.rows == 1 => rates("median_bytes_per_s").pop(),
        _ => None,
    };
    found.map(|rate| rate / 1e9)
}

/// `get_cuda_kernel_launch_stats`, its sums: the metric `launch` of the calls that HTA knows.
pub(super) fn launch_sums(pair: &Pair) -> Vec<Check> {
    let (sheet, metric) =
        (pair.sheet("cuda_kernel_launch_stats_rank0"), Results::compute(&pair.tables(|_| true), "launch"));
    let known = |row: &usize| metric.text(*row, "name").is_some_and(|name| HTA_LAUNCHES.contains(&name));
    let rows: Vec<usize> = (0..metric.rows).filter(known).collect();
    let ours = |column: &str| rows.iter().filter_map(|row| metric.int(*row, column)).sum::<i64>();
    let sum = |column: &str| (0..sheet.rows.len()).map(|row| sheet.number(row, column)).sum::<f64>();
    let time = |quantity: &str, ours: i64, theirs: f64| {
        Check::float(quantity.to_owned(), us(ours), theirs, Format::Fixed(3), TENTH_US)
    };
    vec![
        Check::exact("launches", ours("launches"), sheet.rows.len() as i64),
        time("launches: sum of the calls, µs", ours("api_total_ns"), sum("cpu_duration")),
        time("launches: sum of the delays, µs", ours("queue_delay_total_ns"), sum("launch_delay")),
    ]
}

/// `get_queue_length_summary`, its count and maximum: the metric `queue_depth`.
pub(super) fn depths(pair: &Pair) -> Vec<Check> {
    let sheet = two_level(pair, "queue_length_summary");
    let [whole, window] =
        [pair.trace.only(|_| true), pair.tables(|_| true)].map(|tables| Results::compute(&tables, "queue_depth"));
    let mut checks = Vec::new();
    for row in 0..sheet.rows.len() {
        let stream = sheet.number(row, "stream") as i64;
        let of = |depth: &Results, column: &str| {
            let row = depth.only(|row| depth.int(row, "queue") == Some(stream) && depth.int(row, "bin").is_none());
            depth.int(row, column).unwrap_or(0)
        };
        // It counts a change at each launch and at each start.
        let theirs = sheet.number(row, "count") as i64 / 2;
        let check = Check::exact(format!("queue of stream {stream}: launches"), of(&whole, "launches"), theirs);
        checks.push(check.or_by(WINDOW, of(&window, "launches") as f64));
        let theirs = sheet.number(row, "max") as i64;
        let check = Check::exact(format!("queue of stream {stream}: most waiting"), of(&whole, "max_depth"), theirs);
        let (low, high, _) = queue_lengths(pair, stream);
        checks.push(if of(&window, "max_depth") == theirs {
            check.or_by(WINDOW, theirs as f64)
        } else {
            check.or_between(TIES, (quantile(&low, 1.0), quantile(&high, 1.0)))
        });
    }
    checks
}

/// `get_memory_bw_summary`.
pub(super) fn bandwidth(pair: &Pair) -> Vec<Check> {
    let sheet = two_level(pair, "memory_bw_summary");
    let cut = pair.kept.iter().all(|row| row.length() % 1000 == 0);
    let mut checks = Vec::new();
    for row in 0..sheet.rows.len() {
        let kind = sheet.text(row, "name");
        let rows: Vec<&Gpu> =
            pair.kept.iter().filter(|row| row.name.starts_with(kind) && row.kind != "kernel").copied().collect();
        let (ours, slowest) = (rates(&rows, 0), rates(&rows, if cut { 999 } else { 0 }));
        let metric = Results::compute(&pair.tables(|row| row.name.starts_with(kind) && row.kind != "kernel"), "copies");
        let quantity = |what: &str| format!("bandwidth of {kind}: {what}, GB/s");
        let points = Check::float(
            format!("bandwidth of {kind}: copies"),
            metric.sum("copies") as f64,
            sheet.number(row, "count"),
            Format::Whole,
            0.0,
        );
        checks.push(points.or_by(POINTS, ours.len() as f64));
        let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
        let mut push = |what: &str, metric: Option<f64>, ours: f64, slowest: f64| {
            let theirs = sheet.number(row, what);
            let shown = metric.unwrap_or(ours);
            let check = Check::float(quantity(what), shown, theirs, Format::Fixed(6), theirs.abs() * 1e-9);
            checks.push(if cut { check.or_between(DURATION, (slowest, ours)) } else { check.or_by(POINTS, ours) });
        };
        push("mean", None, mean(&ours), mean(&slowest));
        for (what, part) in [("min", 0.0), ("25%", 0.25), ("50%", 0.5), ("75%", 0.75), ("max", 1.0)] {
            push(what, rate(&metric, what), quantile(&ours, part), quantile(&slowest, part));
        }
        if !cut {
            let theirs = sheet.number(row, "std");
            checks.push(Check::float(quantity("std"), deviation(&ours), theirs, Format::Fixed(6), theirs * 1e-9));
        }
    }
    checks
}

/// `get_queue_length_summary`: rows of a stream that were launched and have not begun, after each launch and start.
pub(super) fn queues(pair: &Pair) -> List {
    let mut list = List::new("queue_length_summary: count, mean, deviation, quartiles by stream");
    let sheet = two_level(pair, "queue_length_summary");
    list.rows = sheet.rows.len();
    for row in 0..sheet.rows.len() {
        let stream = sheet.number(row, "stream") as i64;
        let (low, high, ties) = queue_lengths(pair, stream);
        let mut stats = vec![("count", [low.len() as f64, high.len() as f64])];
        let mean = |lengths: &[f64]| lengths.iter().sum::<f64>() / lengths.len() as f64;
        stats.push(("mean", [mean(&low), mean(&high)]));
        for (what, part) in [("min", 0.0), ("25%", 0.25), ("50%", 0.5), ("75%", 0.75), ("max", 1.0)] {
            stats.push((what, [quantile(&low, part), quantile(&high, part)]));
        }
        stats.push(("std", deviations(&low, &high)));
        let mut open = 0;
        for (what, [least, most]) in stats {
            let theirs = sheet.number(row, what);
            if (most - least).abs() < 1e-9 {
                list.number(|| format!("{what} of stream {stream}"), most, theirs, 1e-6);
            } else if least - 1e-9 <= theirs && theirs <= most + 1e-9 {
                open += 1;
                list.note(format!(
                    "stream {stream}, {what}: {theirs:.6} there, {least:.6} to {most:.6} here by the order of ties."
                ));
            } else {
                list.differs(|| format!("{what} of stream {stream}: {theirs} there, {least} to {most} here"));
            }
        }
        list.explained(open);
        if open > 0 {
            list.note(format!("stream {stream}: *{TIES}* at {ties} instants."));
        }
    }
    list
}

/// Sorted lengths of a stream's queue with starts before launches of the same instant, and the other way round; and at
/// how many instants both happen.
fn queue_lengths(pair: &Pair, stream: i64) -> (Vec<f64>, Vec<f64>, usize) {
    let mut edges: Vec<(i64, i32)> = Vec::new();
    for row in pair.kept.iter().filter(|row| row.queue == Some(stream)) {
        if let Some(call) = pair.trace.call(row) {
            edges.extend([(call.span.0, 1), (row.span.0, -1)]);
        }
    }
    let lengths = |edges: &[(i64, i32)]| {
        let running = edges.iter().scan(0, |length, edge| {
            *length += edge.1;
            Some(f64::from(*length))
        });
        let mut lengths: Vec<f64> = running.collect();
        lengths.sort_by(f64::total_cmp);
        lengths
    };
    edges.sort_unstable();
    let low = lengths(&edges);
    let ties = edges.windows(2).filter(|two| two[0].0 == two[1].0 && two[0].1 != two[1].1).count();
    edges.sort_unstable_by_key(|(time, change)| (*time, -change));
    (low, lengths(&edges), ties)
}

/// Bounds of the standard deviation of values that each lie between two bounds, none of them negative.
fn deviations(low: &[f64], high: &[f64]) -> [f64; 2] {
    if low == high {
        return [deviation(low), deviation(high)];
    }
    let count = low.len() as f64;
    let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let bound = |squares: f64, mean: f64| ((squares - count * mean * mean) / (count - 1.0)).max(0.0).sqrt();
    [bound(squares(low), mean(high)), bound(squares(high), mean(low))]
}
