//! NVTX ranges, and what was launched inside them.

use std::collections::{BTreeMap, BTreeSet};

use super::summary::{Summary, grouped};
use super::{number, spread};
use crate::check::List;
use crate::number::Numbers;
use crate::sheet::Sheet;
use crate::trace::{Range, Trace};

/// Ranges by name and style; one that never ended ends at the last time of any.
pub(super) fn ranges(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let last = trace.ranges.iter().map(|range| range.end.unwrap_or(range.start).max(range.start)).max().unwrap_or(0);
    let ours = trace.ranges.iter().filter(|range| range.style != "mark");
    let ours = ours.map(|range| {
        (format!("{} {}", style(&range.style), range_name(range)), range.end.unwrap_or(last) - range.start)
    });
    let theirs = |row: usize| format!("{} {}", sheet.text(row, "Style"), sheet.text(row, "Range"));
    Summary { ours: grouped(ours), total: "Total Time", count: "Instances", scale: 1.0 }.compare(list, sheet, &theirs);
}

fn style(style: &str) -> &'static str {
    if style == "push_pop" { "PushPop" } else { "StartEnd" }
}

/// The name behind its domain; a domain whose name was not recorded is `domain 1` here and nothing there.
fn range_name(range: &Range) -> String {
    match range.domain.as_deref().filter(|domain| !domain.starts_with("domain ")) {
        Some(domain) => format!("{domain}:{}", range.name),
        None => range.name.clone(),
    }
}

/// Ranges and rows of one thread.
type Lane = (Vec<usize>, Vec<usize>);

/// Which ranges of its own thread enclose the call that launched a row; a sweep of each thread with what is open.
fn enclosing(trace: &Trace) -> Vec<(usize, Vec<usize>)> {
    let last = trace.ranges.iter().map(|range| range.end.unwrap_or(range.start).max(range.start)).max().unwrap_or(0);
    let mut threads: BTreeMap<(Option<i64>, Option<i64>), Lane> = BTreeMap::new();
    for (place, range) in trace.ranges.iter().enumerate() {
        let one_thread = range.end_thread.is_none() || range.end_thread == range.thread;
        if range.style != "mark" && one_thread {
            threads.entry((range.process, range.thread)).or_default().0.push(place);
        }
    }
    for (place, row) in trace.activities.iter().enumerate().filter(|(_, row)| row.kind != "sync") {
        if let Some(call) = trace.call(row) {
            threads.entry((call.process, call.thread)).or_default().1.push(place);
        }
    }
    let mut found = Vec::new();
    for (mut ranges, mut rows) in threads.into_values() {
        ranges.sort_by_key(|place| trace.ranges[*place].start);
        rows.sort_by_key(|place| trace.call(&trace.activities[*place]).unwrap().span.0);
        let (mut next, mut open): (usize, Vec<usize>) = (0, Vec::new());
        for place in rows {
            let span = trace.call(&trace.activities[place]).unwrap().span;
            while next < ranges.len() && trace.ranges[ranges[next]].start <= span.0 {
                open.push(ranges[next]);
                next += 1;
            }
            let end = |range: &usize| trace.ranges[*range].end.unwrap_or(last);
            open.retain(|range| end(range) >= span.0);
            found.push((place, open.iter().copied().filter(|range| end(range) >= span.1).collect()));
        }
    }
    found
}

/// Ranges projected onto the devices: from the start of the first row launched inside to the end of the last.
pub(super) fn projections(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let last = trace.ranges.iter().map(|range| range.end.unwrap_or(range.start).max(range.start)).max().unwrap_or(0);
    let mut spans: BTreeMap<usize, (i64, i64, BTreeSet<Option<i64>>)> = BTreeMap::new();
    for (place, ranges) in enclosing(trace) {
        let row = &trace.activities[place];
        for range in ranges {
            let span = spans.entry(range).or_insert((i64::MAX, i64::MIN, BTreeSet::new()));
            *span = (span.0.min(row.span.0), span.1.max(row.span.1), std::mem::take(&mut span.2));
            span.2.insert(row.correlation);
        }
    }
    let mut children: BTreeMap<usize, i64> = BTreeMap::new();
    for range in spans.keys() {
        if let Some(parent) = trace.ranges[*range].parent {
            *children.entry(parent).or_default() += 1;
        }
    }
    let mut groups: BTreeMap<String, Vec<[i64; 5]>> = BTreeMap::new();
    for (range, (start, end, rows)) in &spans {
        let row = &trace.ranges[*range];
        let values = [
            end - start,
            row.end.unwrap_or(last) - row.start,
            rows.len() as i64,
            row.depth.unwrap_or(0),
            children.get(range).copied().unwrap_or(0),
        ];
        groups.entry(format!("{} {}", style(&row.style), range_name(row))).or_default().push(values);
    }
    for row in 0..sheet.rows.len() {
        let key = format!("{} {}", sheet.text(row, "Style"), sheet.text(row, "Range"));
        let Some(values) = groups.remove(&key) else {
            list.differs(|| format!("{key} is there only"));
            continue;
        };
        list.tally.equal += 1;
        let [projected, original, rows, depth, children] =
            [0, 1, 2, 3, 4].map(|at| values.iter().map(|value| value[at]).collect::<Numbers>());
        let mut one = |column: &str, ours: f64| {
            number(list, || format!("{column} of {key}"), Some(ours), sheet.text(row, column));
        };
        one("Total Proj Time", projected.sum() as f64);
        one("Total Range Time", original.sum() as f64);
        one("Range Instances", projected.count() as f64);
        one("Total GPU Ops", rows.sum() as f64);
        one("Avg GPU Ops", rows.mean());
        one("Avg Range Lvl", depth.mean());
        one("Avg Num Child", children.mean());
        spread(list, sheet, row, (&key, "Proj ", 1.0), &projected);
    }
    for key in groups.keys() {
        list.differs(|| format!("{key} is here only"));
    }
}

/// Ranges, kernels, and the kernels' durations, as often as a range holds them.
type Group = (BTreeSet<usize>, BTreeSet<usize>, Vec<i64>);

/// Kernels by the ranges that they were launched in.
pub(super) fn range_kernels(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut outside: BTreeSet<usize> =
        (0..trace.activities.len()).filter(|place| trace.activities[*place].kind == "kernel").collect();
    for (place, ranges) in enclosing(trace) {
        let row = &trace.activities[place];
        if row.kind != "kernel" {
            continue;
        }
        let call = trace.call(row).unwrap();
        for range in ranges {
            outside.remove(&place);
            let of = &trace.ranges[range];
            let ids = [call.process, call.thread].map(|id| id.unwrap().to_string()).join(" ");
            let group =
                groups.entry(format!("{} {} {ids} {}", range_name(of), style(&of.style), row.name)).or_default();
            group.0.insert(range);
            group.1.insert(place);
            group.2.push(row.length());
        }
    }
    for place in outside {
        let group = groups.entry(format!("    {}", trace.activities[place].name)).or_default();
        group.1.insert(place);
        group.2.push(trace.activities[place].length());
    }
    for row in 0..sheet.rows.len() {
        let key = ["NVTX Range", "Style", "PID", "TID", "Kernel Name"].map(|column| sheet.text(row, column)).join(" ");
        let Some((ranges, kernels, lengths)) = groups.remove(&key) else {
            list.differs(|| format!("{key} is there only"));
            continue;
        };
        let lengths: Numbers = lengths.into_iter().collect();
        list.tally.equal += 1;
        number(list, || format!("NVTX Inst of {key}"), Some(ranges.len() as f64), sheet.text(row, "NVTX Inst"));
        number(list, || format!("Kern Inst of {key}"), Some(kernels.len() as f64), sheet.text(row, "Kern Inst"));
        number(list, || format!("Total Time of {key}"), Some(lengths.sum() as f64), sheet.text(row, "Total Time"));
        spread(list, sheet, row, (&key, "", 1.0), &lengths);
    }
    for key in groups.keys() {
        list.differs(|| format!("{key} is here only"));
    }
}
