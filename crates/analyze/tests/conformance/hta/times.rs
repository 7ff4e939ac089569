//! Sums of time: the temporal breakdown, hidden communication, kernel types, idle time of streams.

use std::collections::BTreeMap;

use proftool_trace::frame::Tables;

use super::{CENT, CUT, Pair, TENTH_US, THRESHOLD, WINDOW, us};
use crate::check::{Check, List};
use crate::number::{Format, Numbers};
use crate::quantities::{Class, Quantities, class, covered};
use crate::results::Results;
use crate::trace::Gpu;

/// `get_temporal_breakdown`.
pub(super) fn temporal(pair: &Pair) -> Vec<Check> {
    let sheet = pair.sheet("temporal_breakdown");
    let tables = pair.trace.only(|_| true);
    let ours = metrics(&Results::compute(&tables, "idle"), &Results::compute(&tables, "overlap"));
    let parts = |all: &Quantities| [all.idle, all.compute, all.busy - all.compute, all.span];
    let rule = parts(&Quantities::of(&pair.with_sync));
    let names = ["idle", "compute", "non_compute", "kernel"];
    let mut checks = Vec::new();
    for ((name, ours_ns), rule_ns) in names.into_iter().zip(ours).zip(rule) {
        let theirs = sheet.number(0, &format!("{name}_time(us)"));
        let quantity = format!("temporal: {name} time, µs");
        let check = Check::float(quantity, us(ours_ns), theirs, Format::Fixed(3), TENTH_US);
        checks.push(check.or_by(pair.label(), us(rule_ns)));
        if name != "kernel" {
            let share = |part: i64, all: [i64; 4]| 100.0 * part as f64 / all[3] as f64;
            let theirs = sheet.number(0, &format!("{name}_time_pctg"));
            let check =
                Check::float(format!("temporal: {name} time, %"), share(ours_ns, ours), theirs, Format::Fixed(2), CENT);
            checks.push(check.or_by(pair.label(), share(rule_ns, rule)));
        }
    }
    checks
}

/// Idle, compute, busy without compute, span.
fn metrics(idle: &Results, overlap: &Results) -> [i64; 4] {
    let whole = idle.only(|row| idle.int(row, "queue").is_none());
    let [busy, rest, span] = ["busy_ns", "idle_ns", "span_ns"].map(|column| idle.int(whole, column).unwrap());
    let compute = overlap.only(|row| overlap.text(row, "kind") == Some("compute"));
    let compute = overlap.int(compute, "total_ns").unwrap();
    [rest, compute, busy - compute, span]
}

/// `get_comm_comp_overlap`.
pub(super) fn overlap(pair: &Pair) -> Option<Check> {
    let sheet = pair.sheet("comm_comp_overlap");
    let share = |tables: &Tables| {
        let overlap = Results::compute(tables, "overlap");
        let comm = overlap.only(|row| overlap.text(row, "kind") == Some("comm"));
        overlap.float(comm, "hidden_ratio").map_or(f64::NAN, |share| 100.0 * share)
    };
    let (ours, rule) = (pair.trace.only(|_| true), pair.tables(|_| true));
    let theirs: f64 = sheet.text(0, "comp_comm_overlap_pctg").parse().ok()?;
    Some(
        Check::float("comm hidden behind compute, %", share(&ours), theirs, Format::Fixed(2), CENT)
            .or_by(WINDOW, share(&rule)),
    )
}

pub(super) const CLASSES: [(Class, &str); 3] =
    [(Class::Compute, "COMPUTATION"), (Class::Comm, "COMMUNICATION"), (Class::Memory, "MEMORY")];

/// Length of the pieces in which exactly the same classes run, by their names: exact, and each piece cut to whole
/// microseconds.
fn pieces(rows: &[&Gpu]) -> BTreeMap<String, [i64; 2]> {
    let mut edges: Vec<(i64, i32)> = Vec::new();
    for (bit, (wanted, _)) in CLASSES.iter().enumerate() {
        let of_class: Vec<&Gpu> = rows.iter().filter(|row| class(row) == *wanted).copied().collect();
        edges.extend(covered(&of_class).iter().flat_map(|span| [(span.0, 1 << bit), (span.1, -(1 << bit))]));
    }
    edges.sort_unstable();
    let (mut running, mut pieces) = (0, BTreeMap::<String, [i64; 2]>::new());
    for pair in edges.windows(2) {
        running += pair[0].1;
        let names: Vec<&str> = (0..3).filter(|bit| running & (1 << bit) != 0).map(|bit| CLASSES[bit].1).collect();
        let sums = pieces.entry(names.join(" overlapping ")).or_default();
        sums[0] += pair[1].0 - pair[0].0;
        sums[1] += (pair[1].0 - pair[0].0) / 1000 * 1000;
    }
    pieces
}

/// `get_gpu_kernel_breakdown`, its first table.
pub(super) fn types(pair: &Pair) -> Vec<Check> {
    let (sheet, pieces) = (pair.sheet("gpu_kernel_type_breakdown"), pieces(&pair.kept));
    let whole = |at: usize| pieces.iter().filter(|(name, _)| !name.is_empty()).map(|(_, sums)| sums[at]).sum::<i64>();
    let mut checks = Vec::new();
    for row in 0..sheet.rows.len() {
        let name = sheet.text(row, "kernel_type");
        let of = |at: usize| pieces.get(name).map_or(0, |sums| sums[at]);
        let share = |at: usize| 100.0 * of(at) as f64 / whole(at) as f64;
        let quantity = |unit: &str| format!("kernel types: {}, {unit}", name.to_lowercase());
        let check = Check::float(quantity("µs"), us(of(0)), sheet.number(row, "sum"), Format::Fixed(3), TENTH_US);
        checks.push(check.or_by(CUT, us(of(1))));
        let check = Check::float(quantity("%"), share(0), sheet.number(row, "percentage"), Format::Fixed(1), 0.0501);
        checks.push(check.or_by(CUT, share(1)));
    }
    checks
}

/// The same table under its other name.
pub(super) fn default_types(pair: &Pair) -> List {
    let [sheet, other] =
        ["gpu_kernel_type_breakdown_default", "gpu_kernel_type_breakdown"].map(|name| pair.sheet(name));
    let mut list = List::new("gpu_kernel_type_breakdown_default: the same as the table above");
    list.rows = sheet.rows.len();
    for (ours, theirs) in other.rows.iter().flatten().zip(sheet.rows.iter().flatten()) {
        list.text(|| "a field".to_owned(), ours, theirs);
    }
    list
}

/// Gaps by HTA's previous-row rule, by stream and category; `limit` in nanoseconds.
fn previous_row_gaps(pair: &Pair, limit: i64) -> BTreeMap<(i64, &'static str), Vec<i64>> {
    let mut streams: BTreeMap<i64, Vec<&Gpu>> = BTreeMap::new();
    for row in &pair.kept {
        streams.entry(row.queue.unwrap()).or_default().push(row);
    }
    let mut gaps = BTreeMap::new();
    for (stream, mut rows) in streams {
        for category in ["host_wait", "kernel_wait", "other"] {
            gaps.insert((stream, category), Vec::new());
        }
        rows.sort_by_key(|row| row.span.0);
        for two in rows.windows(2) {
            let gap = two[1].span.0 - two[0].span.1;
            let late = pair.trace.call(two[1]).is_some_and(|call| call.span.0 > two[0].span.1);
            gaps.get_mut(&(stream, category((gap, late), limit))).unwrap().push(gap);
        }
    }
    gaps
}

/// Rows in one part of a stream: the metric `gaps` lists 10,000 gaps.
const PART: usize = 8000;

/// The gaps of one stream by the metric `gaps`: length, and whether the call of the row behind it begins inside or after.
/// Part by part, each beginning with the last row of the one before.
fn metric_gaps(pair: &Pair, stream: i64) -> Vec<(i64, bool)> {
    let mut starts: Vec<i64> = pair.kept.iter().filter(|row| row.queue == Some(stream)).map(|row| row.span.0).collect();
    starts.sort_unstable();
    let (calls, mut found) = (pair.trace.calls_by_id(), Vec::new());
    for first in (0..starts.len()).step_by(PART) {
        let part = starts[first]..=starts[(first + PART).min(starts.len() - 1)];
        let gaps =
            Results::compute(&pair.tables(|row| row.queue == Some(stream) && part.contains(&row.span.0)), "gaps");
        let rows: Vec<usize> = (0..gaps.rows).filter(|row| gaps.int(*row, "queue").is_none()).collect();
        assert!(rows.iter().all(|row| gaps.int(*row, "gap_count") == Some(rows.len() as i64)), "all gaps are listed");
        for row in rows {
            let [start, length] = ["start_ns", "length_ns"].map(|column| gaps.int(row, column).unwrap());
            let call = gaps.int(row, "next_id").and_then(|id| calls.get(&id));
            found.push((length, call.is_some_and(|begin| *begin > start)));
        }
    }
    found
}

/// HTA's category of a gap, with a limit in nanoseconds.
fn category((length, late): (i64, bool), limit: i64) -> &'static str {
    match (late, length < limit) {
        (true, _) => "host_wait",
        (false, true) => "kernel_wait",
        (false, false) => "other",
    }
}

/// `get_idle_time_breakdown`: sums by stream and category, and the idle time of each stream.
pub(super) fn idle(pair: &Pair) -> Vec<Check> {
    let sheet = pair.sheet("idle_time_breakdown_rank0");
    let mut checks = Vec::new();
    let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
    let mut listed: BTreeMap<i64, Vec<(i64, bool)>> = BTreeMap::new();
    for row in 0..sheet.rows.len() {
        let (stream, wanted) = (sheet.number(row, "stream") as i64, sheet.text(row, "idle_category"));
        let gaps = listed.entry(stream).or_insert_with(|| metric_gaps(pair, stream));
        let of = |limit: i64| {
            let of_category = gaps.iter().filter(|gap| category(**gap, limit) == wanted);
            us(of_category.map(|gap| gap.0).sum())
        };
        let theirs = sheet.number(row, "idle_time");
        let quantity = format!("idle of stream {stream}: {wanted}, µs");
        checks.push(Check::float(quantity, of(30), theirs, Format::Fixed(3), TENTH_US).or_by(THRESHOLD, of(30_000)));
        *sums.entry(stream).or_default() += theirs;
    }
    for (stream, theirs) in sums {
        let idle = Results::compute(&pair.tables(|row| row.queue == Some(stream)), "idle");
        let whole = idle.only(|row| idle.int(row, "queue").is_none());
        let quantity = format!("idle of stream {stream}: all (by the union of its rows), µs");
        let ours = us(idle.int(whole, "idle_ns").unwrap());
        checks.push(Check::float(quantity, ours, theirs, Format::Fixed(3), TENTH_US));
    }
    checks
}

/// `get_idle_time_breakdown`: statistics of the gaps.
pub(super) fn gaps(pair: &Pair) -> List {
    let mut list = List::new("idle_interval_stats: count, mean, deviation, quartiles of gaps (with 30 µs)");
    let (sheet, ours) = (pair.sheet("idle_interval_stats_rank0"), previous_row_gaps(pair, 30_000));
    list.rows = sheet.rows.len();
    for row in 0..sheet.rows.len() {
        let (stream, category) = (sheet.number(row, "stream") as i64, sheet.text(row, "idle_category"));
        let found = ours.iter().find(|((s, c), _)| *s == stream && *c == category);
        let gaps: Numbers = found.map(|(_, gaps)| gaps.iter().copied().collect()).unwrap_or_default();
        let place = |what: &str| format!("{what} of {category}, stream {stream}");
        list.number(|| place("count"), gaps.count() as f64, sheet.number(row, "count"), 0.0);
        if gaps.count() == 0 {
            continue;
        }
        let quartiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| gaps.quantile(part) / 1e3);
        for (column, ours) in ["min", "25%", "50%", "75%", "max"].into_iter().zip(quartiles) {
            list.number(|| place(column), ours, sheet.number(row, column), CENT);
        }
        list.number(|| place("mean"), gaps.mean() / 1e3, sheet.number(row, "mean"), CENT);
        list.number(|| place("std"), gaps.deviation() / 1e3, sheet.number(row, "std"), CENT);
    }
    list
}
