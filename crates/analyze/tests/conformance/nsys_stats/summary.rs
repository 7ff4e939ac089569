//! Sums by name.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::metric::{self, Measured, Rounded, Stats};
use super::{number, of_kind};
use crate::check::List;
use crate::number::Numbers;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

/// Compares a summary: rows with a key, their share, total, count and spread.
pub(super) struct Summary<'n> {
    /// The lengths by key, for what no metric gives and for the rules of nsys.
    pub(super) ours: BTreeMap<String, Vec<i64>>,
    /// What a metric says, by key.
    pub(super) metric: BTreeMap<String, Stats>,
    pub(super) total: &'n str,
    pub(super) count: &'n str,
    pub(super) scale: f64,
}

impl Summary<'_> {
    pub(super) fn compare(mut self, list: &mut List, sheet: &Sheet, key: &dyn Fn(usize) -> String) {
        let whole: i64 = self.ours.values().flatten().sum();
        let (mut rounded, by_metric) = (Rounded::default(), !self.metric.is_empty());
        for row in 0..sheet.rows.len() {
            let key = key(row);
            let Some(values) = self.ours.remove(&key) else {
                list.differs(|| format!("{key} is there only"));
                continue;
            };
            let (values, metric): (Numbers, _) = (values.into_iter().collect(), self.metric.remove(&key));
            if by_metric && metric.is_none() {
                list.differs(|| format!("the metric has no {key}"));
            }
            let metric: Stats = metric.unwrap_or_default();
            list.tally.equal += 1;
            let total = metric.total.unwrap_or(values.sum() as f64) / self.scale;
            number(list, || format!("total of {key}"), Some(total), sheet.text(row, self.total));
            let count = metric.count.unwrap_or(values.count() as f64);
            number(list, || format!("count of {key}"), Some(count), sheet.text(row, self.count));
            metric.spread(list, sheet, row, (&key, "", self.scale), &values, &mut rounded);
            if sheet.find("Time").is_some() {
                let share = metric.share.unwrap_or(100.0 * values.sum() as f64 / whole as f64);
                number(list, || format!("share of {key}"), Some(share), sheet.text(row, "Time"));
            }
        }
        for key in self.ours.keys() {
            list.differs(|| format!("{key} is here only"));
        }
        for key in self.metric.keys() {
            list.differs(|| format!("{key} is in the metric only"));
        }
        rounded.note(list);
    }
}

pub(super) fn grouped<'r>(rows: impl IntoIterator<Item = (String, i64)> + 'r) -> BTreeMap<String, Vec<i64>> {
    let mut groups: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (key, value) in rows {
        groups.entry(key).or_default().push(value);
    }
    groups
}

/// Three numbers as versions print them in one cell: ` 512  512    1`.
fn triple(numbers: [Option<i64>; 3]) -> String {
    numbers.map(|number| number.map_or_else(String::new, |number| number.to_string())).join(" ")
}

fn words(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the sheet has the names of copies of versions before 2023: `[CUDA memcpy DtoH]`.
pub(super) fn old_names(sheet: &Sheet) -> bool {
    let column = ["Operation", "Name"].into_iter().find_map(|name| sheet.find(name)).unwrap();
    sheet.rows.iter().any(|row| row[column].starts_with("[CUDA memcpy ") && !row[column].contains("-to-"))
}

/// The name of a copy as the sheet has it.
pub(super) fn operation(old: bool, name: &str) -> String {
    if !old || !name.starts_with("[CUDA memcpy ") {
        return name.to_owned();
    }
    let short = [("Host", "H"), ("Device", "D"), ("Peer", "P")];
    short.iter().fold(name.replace("-to-", "to"), |name, (long, short)| name.replace(long, short))
}

/// Kernels by name; older versions by launch shape too.
pub(super) fn kernels(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let shapes = sheet.find("GridXYZ").is_some();
    let key = |row: &Gpu| {
        if shapes { format!("{} {} {}", triple(row.grid), triple(row.block), row.name) } else { row.name.clone() }
    };
    let ours = grouped(of_kind(trace, &["kernel"]).map(|row| (key(row), row.length())));
    let theirs = |row: usize| {
        let name = sheet.text(row, "Name");
        if shapes {
            format!("{} {} {name}", words(sheet.text(row, "GridXYZ")), words(sheet.text(row, "BlockXYZ")))
        } else {
            name.to_owned()
        }
    };
    let metric = metric::kernels(trace, key);
    Summary { ours, metric, total: "Total Time", count: "Instances", scale: 1.0 }.compare(list, sheet, &theirs);
}

pub(super) fn memory_times(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let old = old_names(sheet);
    let ours = grouped(of_kind(trace, &["copy", "set"]).map(|row| (operation(old, &row.name), row.length())));
    let theirs = |row: usize| sheet.text(row, "Operation").to_owned();
    let metric = metric::copies(trace, |row| operation(old, &row.name), Measured::Time);
    Summary { ours, metric, total: "Total Time", count: "Count", scale: 1.0 }.compare(list, sheet, &theirs);
}

/// In megabytes of 10^6 bytes.
pub(super) fn memory_sizes(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let old = old_names(sheet);
    let ours = of_kind(trace, &["copy", "set"]).map(|row| (operation(old, &row.name), row.bytes.unwrap()));
    let theirs = |row: usize| sheet.text(row, "Operation").to_owned();
    let metric = metric::copies(trace, |row| operation(old, &row.name), Measured::Bytes);
    Summary { ours: grouped(ours), metric, total: "Total", count: "Count", scale: 1e6 }.compare(list, sheet, &theirs);
}

pub(super) fn gpu(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let old = old_names(sheet);
    let category = |row: &Gpu| if row.kind == "kernel" { "CUDA_KERNEL" } else { "MEMORY_OPER" };
    let ours = of_kind(trace, &["kernel", "copy", "set"]);
    let ours = ours.map(|row| (format!("{} {}", category(row), operation(old, &row.name)), row.length()));
    let theirs = |row: usize| format!("{} {}", sheet.text(row, "Category"), sheet.text(row, "Operation"));
    let named = |row: &Gpu| format!("{} {}", category(row), operation(old, &row.name));
    let mut metric = metric::kernels(trace, named);
    // A share of the metric is among kernels.
    for stats in metric.values_mut() {
        stats.share = None;
    }
    metric.extend(metric::copies(trace, named, Measured::Time));
    Summary { ours: grouped(ours), metric, total: "Total Time", count: "Instances", scale: 1.0 }
        .compare(list, sheet, &theirs);
}

pub(super) fn calls(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let ours = trace.calls.iter().filter(|call| matches!(call.api.as_str(), "runtime" | "driver"));
    let ours = grouped(ours.map(|call| (call.name.clone(), call.span.1 - call.span.0)));
    let (cut, mut versions) = (Cell::new(0), BTreeSet::new());
    for row in 0..sheet.rows.len() {
        let name = sheet.text(row, "Name");
        if !ours.contains_key(name) && ours.contains_key(without_version(name)) {
            versions.insert(name.to_owned());
        }
    }
    let theirs = |row: usize| {
        let name = sheet.text(row, "Name");
        if versions.contains(name) {
            cut.set(cut.get() + 1);
            return without_version(name).to_owned();
        }
        name.to_owned()
    };
    let metric = metric::calls(trace);
    Summary { ours, metric, total: "Total Time", count: "Num Calls", scale: 1.0 }.compare(list, sheet, &theirs);
    if !versions.is_empty() {
        // The names were counted as equal keys.
        list.tally.equal -= cut.get();
        list.explained(cut.get());
        list.note(format!(
            "{} names carry the version of their symbol there and not here (`{}`): nsys cuts a version of four digits \
             and leaves one of five.",
            versions.len(),
            versions.iter().next().unwrap()
        ));
    }
}

fn without_version(name: &str) -> &str {
    match name.rsplit_once("_v") {
        Some((stem, version)) if version.len() >= 4 && version.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}
