//! Statistics by name of kernels and annotations.

use std::collections::{BTreeMap, BTreeSet};

use super::times::CLASSES;
use super::{FRAME, Pair, TENTH_US, last_step};
use crate::check::List;
use crate::number::{Numbers, quantile};
use crate::quantities::class;
use crate::results::Results;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

/// Durations by name of the classes that HTA lists.
fn by_name<'a>(rows: &[&'a Gpu]) -> BTreeMap<(&'a str, &'static str), Numbers> {
    let mut names: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    for row in rows {
        let kind = CLASSES.iter().find(|(known, _)| *known == class(row)).unwrap().1;
        names.entry((&row.name, kind)).or_default().push(row.length());
    }
    names.into_iter().map(|(key, lengths)| (key, lengths.into_iter().collect())).collect()
}

/// Compares sum, max, min, standard deviation and mean of rows that both sides have.
fn statistics(
    list: &mut List,
    sheet: &Sheet,
    ours: &BTreeMap<(String, String), [f64; 5]>,
    (kind, tolerance): (Option<&str>, f64),
) {
    list.rows = sheet.rows.len();
    for row in 0..sheet.rows.len() {
        let kind = kind.unwrap_or_else(|| sheet.text(row, "kernel_type"));
        let key = (sheet.text(row, "name").to_owned(), kind.to_owned());
        let Some(values) = ours.get(&key) else {
            list.differs(|| format!("{key:?} is there only"));
            continue;
        };
        for (column, ours) in ["sum", "max", "min", "stddev", "mean"].into_iter().zip(values) {
            list.number(|| format!("{column} of {}", key.0), *ours, sheet.number(row, column), tolerance);
        }
    }
    for _ in sheet.rows.len()..ours.len() {
        list.differs(|| "a row is here only".to_owned());
    }
}

fn five(numbers: &Numbers) -> [f64; 5] {
    let to_us = |ns: f64| ns / 1e3;
    [numbers.sum() as f64, numbers.max() as f64, numbers.min() as f64, numbers.deviation(), numbers.mean()].map(to_us)
}

/// `get_gpu_kernel_breakdown`, every kernel.
pub(super) fn kernels(pair: &Pair) -> List {
    let mut list = List::new("gpu_kernel_breakdown_all: sum, max, min, deviation, mean by name");
    let metric = Results::compute(&pair.tables(|_| true), "kernels");
    let rows: BTreeMap<&str, usize> =
        (0..metric.rows).filter_map(|row| Some((metric.text(row, "name")?, row))).collect();
    let single = metric.rows - (0..metric.rows).filter_map(|row| metric.float(row, "stddev_ns")).count();
    let of_metric = |row: &usize| {
        let whole = |column| metric.int(*row, column).unwrap() as f64;
        // Of one value the metric has no deviation, and HTA 0.
        let (deviation, mean) =
            (metric.float(*row, "stddev_ns").unwrap_or(0.0), metric.float(*row, "mean_ns").unwrap());
        [whole("total_ns"), whole("max_ns"), whole("min_ns"), deviation, mean].map(|ns| ns / 1e3)
    };
    let ours = by_name(&pair.kept);
    let ours = ours.iter().map(|(key, numbers)| {
        // Memory is no kernel.
        let of_kernel = rows.get(key.0).filter(|_| key.1 != "MEMORY");
        ((key.0.to_owned(), key.1.to_owned()), of_kernel.map_or_else(|| five(numbers), of_metric))
    });
    let ours = ours.collect();
    if single > 0 {
        list.note(format!(
            "the deviations of {single} kernels that ran once are null in the metric and compared as 0."
        ));
    }
    statistics(&mut list, &pair.sheet("gpu_kernel_breakdown_all"), &ours, (None, TENTH_US));
    list
}

/// `get_gpu_kernel_breakdown` as it is called without arguments: of each class the ten names with the largest sums,
/// those behind the 0.8 quantile of the running sums joined under `others`; statistics are over the sums of names.
pub(super) fn grouped_kernels(pair: &Pair) -> List {
    let mut list = List::new("gpu_kernel_breakdown_default: the same, small ones joined");
    let mut ours = BTreeMap::new();
    let all = by_name(&pair.kept);
    for (_, kind) in CLASSES {
        let of_kind = all.iter().filter(|((_, known), _)| *known == kind);
        let mut sums: Vec<(i64, &str, &Numbers)> =
            of_kind.map(|((name, _), numbers)| (numbers.sum(), *name, numbers)).collect();
        sums.sort_by_key(|one| std::cmp::Reverse(one.0));
        if sums.len() <= 10 {
            ours.extend(sums.iter().map(|(_, name, numbers)| (((*name).to_owned(), kind.to_owned()), five(numbers))));
            continue;
        }
        let running: Vec<f64> = sums
            .iter()
            .scan(0, |sum, one| {
                *sum += one.0;
                Some(*sum as f64)
            })
            .collect();
        let limit = quantile(&running, 0.8);
        let mut joined: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for (place, (sum, name, _)) in sums.iter().enumerate() {
            let name = if running[place] > limit || place >= 10 { "others" } else { name };
            joined.entry(name).or_default().push(*sum);
        }
        ours.extend(
            joined
                .into_iter()
                .map(|(name, sums)| ((name.to_owned(), kind.to_owned()), five(&sums.into_iter().collect()))),
        );
    }
    statistics(&mut list, &pair.sheet("gpu_kernel_breakdown_default"), &ours, (None, TENTH_US));
    list
}

/// HTA's doubles of microseconds resolve 0.24 to 1 ns in this trace.
const NANOSECOND: f64 = 0.001;

/// By how much proftool can have shortened an annotation: not at all, 1 ns on each side, 1 µs before and 0.5 µs behind.
const FRAMES: &[i64] = &[0, 2, 1500];

/// `get_gpu_user_annotation_breakdown`.
pub(super) fn annotations(pair: &Pair) -> Option<List> {
    let path = pair.folder.join(format!("{}__gpu_user_annotation_breakdown.csv", pair.name));
    if !path.exists() {
        return None;
    }
    let last = last_step(pair.trace);
    let mut names: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
    for range in pair.trace.ranges.iter().filter(|range| range.domain.as_deref() == Some("gpu")) {
        if last.is_none_or(|last| range.start < last) {
            names.entry((range.name.clone(), String::new())).or_default().push(range.end.unwrap() - range.start);
        }
    }
    let count: usize = names.values().map(Vec::len).sum();
    let sheet = Sheet::open(&path);
    let compared = |frame: i64| {
        let framed = |lengths: &Vec<i64>| five(&lengths.iter().map(|length| length + frame).collect());
        let ours = names.iter().map(|(key, lengths)| (key.clone(), framed(lengths))).collect();
        let mut list = List::new("gpu_user_annotation_breakdown: sum, max, min, deviation, mean by name");
        statistics(&mut list, &sheet, &ours, (Some(""), NANOSECOND));
        list
    };
    let plain = compared(0);
    let found = FRAMES.iter().map(|frame| (*frame, compared(*frame))).find(|(_, list)| list.tally.unexplained == 0);
    let Some((frame, mut list)) = found else { return Some(plain) };
    let explained = list.tally.equal - plain.tally.equal;
    list.tally.equal = plain.tally.equal;
    list.explained(explained);
    list.note(format!(
        "*{FRAME}*: Kineto draws an annotation from before its first to behind its last kernel, and HTA takes it so; \
         proftool takes {frame} ns off each of the {count} rows. With them all values are HTA's. {}",
        remaining(pair.trace)
    ));
    Some(list)
}

/// What is left of the frame around the rows of the annotation's queue.
fn remaining(trace: &Trace) -> String {
    let mut left = BTreeSet::new();
    for range in trace.ranges.iter().filter(|range| range.domain.as_deref() == Some("gpu")) {
        let place: serde_json::Value = serde_json::from_str(range.payload.as_deref().unwrap()).unwrap();
        let end = range.end.unwrap();
        let inside = |row: &&&Gpu| {
            Some(row.device) == place["device"].as_i64()
                && row.queue == place["queue"].as_i64()
                && range.start <= row.span.0
                && row.span.1 <= end
        };
        let work = trace.work();
        let rows: Vec<_> = work.iter().filter(inside).map(|row| row.span).collect();
        let (first, last) = (rows.iter().map(|span| span.0).min(), rows.iter().map(|span| span.1).max());
        left.insert((first.unwrap_or(end) - range.start, end - last.unwrap_or(end)));
    }
    let left: Vec<String> =
        left.into_iter().map(|(before, behind)| format!("{before} ns before and {behind} ns behind")).collect();
    format!("What is left of the frame around the rows, in all annotations: {}.", left.join("; "))
}
