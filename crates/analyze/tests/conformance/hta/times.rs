//! Sums of time: the temporal breakdown, hidden communication, kernel types, idle time of streams.

use std::collections::BTreeMap;

use proftool_analyze::operators::{total, union};

use super::{CENT, CUT, Pair, TENTH_US, THRESHOLD, WINDOW, us};
use crate::check::{Check, List};
use crate::number::{Format, Numbers};
use crate::quantities::{Class, Quantities, class, covered};
use crate::trace::Gpu;

/// `get_temporal_breakdown`.
pub(super) fn temporal(pair: &Pair) -> Vec<Check> {
    let sheet = pair.sheet("temporal_breakdown");
    let (ours, rule) = (Quantities::of(&pair.work), Quantities::of(&pair.with_sync));
    let parts = |all: &Quantities| [all.idle, all.compute, all.busy - all.compute, all.span];
    let names = ["idle", "compute", "non_compute", "kernel"];
    let mut checks = Vec::new();
    for ((name, ours_ns), rule_ns) in names.into_iter().zip(parts(&ours)).zip(parts(&rule)) {
        let theirs = sheet.number(0, &format!("{name}_time(us)"));
        let quantity = format!("temporal: {name} time, µs");
        let check = Check::float(quantity, us(ours_ns), theirs, Format::Fixed(3), TENTH_US);
        checks.push(check.or_by(pair.label(), us(rule_ns)));
        if name != "kernel" {
            let share = |part: i64, all: &Quantities| 100.0 * part as f64 / all.span as f64;
            let theirs = sheet.number(0, &format!("{name}_time_pctg"));
            let check = Check::float(
                format!("temporal: {name} time, %"),
                share(ours_ns, &ours),
                theirs,
                Format::Fixed(2),
                CENT,
            );
            checks.push(check.or_by(pair.label(), share(rule_ns, &rule)));
        }
    }
    checks
}

/// `get_comm_comp_overlap`.
pub(super) fn overlap(pair: &Pair) -> Option<Check> {
    let sheet = pair.sheet("comm_comp_overlap");
    let share = |all: &Quantities| 100.0 * all.compute_and_comm as f64 / all.comm as f64;
    let (ours, rule) = (Quantities::of(&pair.work), Quantities::of(&pair.kept));
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
            let category = if late {
                "host_wait"
            } else if gap < limit {
                "kernel_wait"
            } else {
                "other"
            };
            gaps.get_mut(&(stream, category)).unwrap().push(gap);
        }
    }
    gaps
}

/// `get_idle_time_breakdown`: sums by stream and category, and the idle time of each stream.
pub(super) fn idle(pair: &Pair) -> Vec<Check> {
    let sheet = pair.sheet("idle_time_breakdown_rank0");
    let (documented, actual) = (previous_row_gaps(pair, 30), previous_row_gaps(pair, 30_000));
    let mut checks = Vec::new();
    let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
    for row in 0..sheet.rows.len() {
        let (stream, category) = (sheet.number(row, "stream") as i64, sheet.text(row, "idle_category"));
        let of = |gaps: &BTreeMap<(i64, &'static str), Vec<i64>>| {
            us(gaps.iter().filter(|((s, c), _)| *s == stream && *c == category).flat_map(|(_, gaps)| gaps).sum())
        };
        let theirs = sheet.number(row, "idle_time");
        let quantity = format!("idle of stream {stream}: {category}, µs");
        checks.push(
            Check::float(quantity, of(&documented), theirs, Format::Fixed(3), TENTH_US).or_by(THRESHOLD, of(&actual)),
        );
        *sums.entry(stream).or_default() += theirs;
    }
    for (stream, theirs) in sums {
        let rows: Vec<&Gpu> = pair.kept.iter().filter(|row| row.queue == Some(stream)).copied().collect();
        let set = union(&rows.iter().map(|row| row.span).collect::<Vec<_>>());
        let idle = set.last().unwrap().1 - set[0].0 - total(&set);
        let quantity = format!("idle of stream {stream}: all (by the union of its rows), µs");
        checks.push(Check::float(quantity, us(idle), theirs, Format::Fixed(3), TENTH_US));
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
