//! What the metrics say, by the names under which nsys lists it.

use std::collections::{BTreeMap, BTreeSet};

use super::number;
use crate::check::List;
use crate::number::{Numbers, printed};
use crate::results::Results;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

/// Statistics of one name; none where no metric gives it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stats {
    pub(super) count: Option<f64>,
    pub(super) total: Option<f64>,
    pub(super) mean: Option<f64>,
    pub(super) median: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) deviation: Option<f64>,
    /// Percent.
    pub(super) share: Option<f64>,
    /// Whether the metric has a deviation, of two values and more.
    pub(super) deviates: bool,
}

/// What differs from nsys by how a number is stated.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounded {
    medians: usize,
    single: usize,
}

impl Rounded {
    pub(super) fn note(self, list: &mut List) {
        list.explained(self.medians + self.single);
        if self.medians > 0 {
            list.note(format!("medians of even counts, rounded down here, a half there: {}.", self.medians));
        }
        if self.single > 0 {
            list.note(format!("deviations of a single value, null here, 0 there: {}.", self.single));
        }
    }
}

impl Stats {
    /// Compares average, median, least, most and deviation under column names that begin with `prefix`; `values` has what
    /// the metric lacks, and by the rule of nsys what it states differently.
    pub(super) fn spread(
        self,
        list: &mut List,
        sheet: &Sheet,
        row: usize,
        (key, prefix, scale): (&str, &str, f64),
        values: &Numbers,
        rounded: &mut Rounded,
    ) {
        let known = |value: Option<f64>, own: f64| (values.count() > 0).then(|| value.unwrap_or(own) / scale);
        for (column, ours) in [
            ("Avg", known(self.mean, values.mean())),
            ("Min", known(self.min, values.min() as f64)),
            ("Max", known(self.max, values.max() as f64)),
        ] {
            let column = format!("{prefix}{column}");
            number(list, || format!("{column} of {key}"), ours, sheet.text(row, &column));
        }
        let median = if values.count() > 0 { values.quantile(0.5) } else { 0.0 };
        let column = format!("{prefix}Med");
        let text = sheet.text(row, &column);
        let half = |floor: &f64| (median - floor - 0.5).abs() < 1e-9 && is(text, median / scale);
        if self.median.as_ref().is_some_and(half) {
            rounded.medians += 1;
        } else {
            number(list, || format!("{column} of {key}"), known(self.median, median), text);
        }
        let column = format!("{prefix}StdDev");
        let text = sheet.text(row, &column);
        if self.deviates && self.deviation.is_none() && values.count() == 1 && is(text, 0.0) {
            rounded.single += 1;
        } else {
            let own = (!self.deviates).then(|| values.deviation());
            number(list, || format!("{column} of {key}"), self.deviation.or(own).map(|one| one / scale), text);
        }
    }
}

fn is(text: &str, value: f64) -> bool {
    printed(text).is_some_and(|(theirs, half)| (theirs - value).abs() <= half)
}

fn grouped(result: &Results, row: usize, count: &str) -> Stats {
    let whole = |column| result.int(row, column).map(|value| value as f64);
    Stats {
        count: whole(count),
        total: whole("total_ns"),
        mean: result.float(row, "mean_ns"),
        median: whole("median_ns"),
        min: whole("min_ns"),
        max: whole("max_ns"),
        deviation: result.float(row, "stddev_ns"),
        share: result.float(row, "time_ratio").map(|share| 100.0 * share),
        deviates: true,
    }
}

/// The metric `kernels`, by a name that each kernel is given, over all devices.
pub(super) fn kernels(trace: &Trace, name: impl Fn(&Gpu) -> String) -> BTreeMap<String, Stats> {
    let result = Results::compute(&trace.named(|row| (row.kind == "kernel").then(|| name(row))), "kernels");
    (0..result.rows)
        .map(|row| (result.text(row, "name").unwrap().to_owned(), grouped(&result, row, "launches")))
        .collect()
}

/// The metric `calls`, of runtime and driver.
pub(super) fn calls(trace: &Trace) -> BTreeMap<String, Stats> {
    let result = Results::compute(&trace.tables, "calls");
    let rows = (0..result.rows).filter(|row| matches!(result.text(*row, "api"), Some("runtime" | "driver")));
    rows.map(|row| (result.text(row, "name").unwrap().to_owned(), grouped(&result, row, "calls"))).collect()
}

/// What is summed of copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measured {
    Time,
    Bytes,
}

/// The metric `copies` of the copies and sets of each name: count, and time or bytes.
pub(super) fn copies(trace: &Trace, name: impl Fn(&Gpu) -> String, measured: Measured) -> BTreeMap<String, Stats> {
    let of = |row: &Gpu| ["copy", "set"].contains(&row.kind.as_str()).then(|| name(row));
    let names: BTreeSet<String> = trace.activities.iter().filter_map(of).collect();
    let stats = |wanted: String| {
        let result = Results::compute(&trace.only(|row| of(row).as_deref() == Some(wanted.as_str())), "copies");
        let column = if measured == Measured::Time { "total_ns" } else { "bytes" };
        let (count, total) = (result.sum("copies") as f64, result.sum(column) as f64);
        (wanted, Stats { count: Some(count), total: Some(total), ..Stats::default() })
    };
    names.into_iter().map(stats).collect()
}

/// The metrics `launch` (by a name that each kernel's call is given) and `kernels` (by the same): the calls, the waits from
/// their end to the kernel's start, and the kernels; how many calls and how many waits.
pub(super) fn launches(trace: &Trace, name: impl Fn(&Gpu) -> Option<String>) -> BTreeMap<String, [Stats; 3]> {
    let tables = trace.named(|row| if row.kind == "kernel" { name(row) } else { None });
    let kernels = Results::compute(&tables, "kernels");
    let result = Results::compute(&trace.calling(tables, &name), "launch");
    let float = |row: usize, column: &str| result.int(row, column).map(|value| value as f64);
    let mut all: BTreeMap<String, [Stats; 3]> = BTreeMap::new();
    for row in 0..result.rows {
        let Some(name) = result.text(row, "name") else { continue };
        let stats = |count: &str, total: &str, median: &str| {
            let (count, total, median) = (float(row, count), float(row, total), float(row, median));
            let mean = total.zip(count.filter(|count| *count > 0.0)).map(|(total, count)| total / count);
            Stats { count, total, mean, median, ..Stats::default() }
        };
        let call = stats("launches", "api_total_ns", "api_median_ns");
        let wait = stats("queued", "queue_delay_total_ns", "queue_delay_median_ns");
        let wait = Stats { max: float(row, "queue_delay_max_ns"), ..wait };
        all.insert(name.to_owned(), [call, wait, Stats::default()]);
    }
    for row in 0..kernels.rows {
        let name = kernels.text(row, "name").unwrap();
        all.entry(name.to_owned()).or_default()[2] = grouped(&kernels, row, "launches");
    }
    all
}
