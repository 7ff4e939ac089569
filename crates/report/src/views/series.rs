//! What one chart shows side by side: the devices of one kind in one run, each a series of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::RooflineOptions;
use crate::run::{Row, Run, sum};

/// More series than this cannot be told apart in one picture.
pub(crate) const MOST_SERIES: usize = 6;

/// The equal devices of one run.
pub(crate) struct Series<'a> {
    pub(crate) run: &'a Run,
    pub(crate) devices: BTreeSet<i64>,
    /// Name of the device, as probed.
    pub(crate) name: String,
    /// A cpu device is one core, so its points stand under one-core roofs.
    pub(crate) one_core: bool,
    /// Rows of the metric `roofline` in its first window set, filtered.
    pub(crate) rows: Vec<&'a Row>,
    pub(crate) time_ns: i64,
}

impl Series<'_> {
    /// `2 devices (NVIDIA H100)`.
    pub(crate) fn words(&self) -> String {
        let unit = if self.one_core { ", one core each" } else { "" };
        let count = self.devices.len();
        format!("{count} device{} ({}){unit}", if count == 1 { "" } else { "s" }, self.name)
    }
}

impl Series<'_> {
    /// Share of the kernel time, without any filter, that has a bound: all but what `roofline_unplaced` lists; for results
    /// without that metric the families that have one. None without any time.
    pub(crate) fn placed_ratio(&self) -> Option<f64> {
        let own = |row: &&Row| row.int("device").is_none_or(|device| self.devices.contains(&device));
        placed_ratio(self.run, own)
    }
}

/// The same for the rows of `roofline` and `roofline_unplaced` that are wanted.
pub(crate) fn placed_ratio(run: &Run, wanted: impl Fn(&&Row) -> bool) -> Option<f64> {
    let rows: Vec<&Row> = rows(run).into_iter().filter(&wanted).collect();
    // Copies and sets have no share of the kernel time; before the column was there, nothing told them apart.
    let is_kernel = |row: &&Row| row.float("time_ratio").is_some();
    let told = rows.iter().any(&is_kernel);
    let time = |rows: &mut dyn Iterator<Item = &Row>| {
        sum(rows.filter(|row| !told || is_kernel(row)).filter_map(|row| row.int("time_ns")).map(|ns| ns.max(0)))
    };
    let all = time(&mut rows.iter().copied());
    let placed = if run.has("roofline_unplaced") {
        all.saturating_sub(time(&mut beside(run, "roofline_unplaced").into_iter().filter(&wanted)))
    } else {
        let bound = |row: &&Row| row.boolean("placed").unwrap_or(row.int("bound_ns").is_some());
        time(&mut rows.iter().copied().filter(bound))
    };
    (all > 0).then(|| (placed as f64 / all as f64).clamp(0.0, 1.0))
}

/// Adds to the total of a key, without overflow on hostile values.
pub(crate) fn add<K: Ord>(totals: &mut BTreeMap<K, i64>, key: K, value: i64) {
    let total = totals.entry(key).or_default();
    *total = total.saturating_add(value);
}

/// The rows of the first window set: with several windows the same work would be drawn several times.
pub(crate) fn rows(run: &Run) -> Vec<&Row> {
    let rows = run.metric("roofline");
    let window = rows.first().and_then(|row| row.text("window"));
    rows.iter().filter(|row| row.text("window") == window).collect()
}

/// The rows of `metric` that belong to the window set of [`rows`].
pub(crate) fn beside<'a>(run: &'a Run, metric: &str) -> Vec<&'a Row> {
    let window = run.metric("roofline").first().and_then(|row| row.text("window"));
    run.metric(metric).iter().filter(|row| row.text("window").is_none_or(|own| Some(own) == window)).collect()
}

/// The series of a run, in the order of their devices. Beside other runs only the one that ran longest: each run is a
/// series then.
pub(crate) fn of_run<'a>(run: &'a Run, beside_others: bool, options: &RooflineOptions) -> Vec<Series<'a>> {
    let rows: Vec<&Row> = rows(run).into_iter().filter(|row| options.wants(row)).collect();
    let probed = |number: i64| run.artifact.manifest.devices.iter().find(|device| device.device == number);
    let mut kinds: BTreeMap<(String, String), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let number = row.int("device").unwrap_or(0);
        let unnamed = || (String::new(), format!("device {number}"));
        let kind = probed(number).map_or_else(unnamed, |device| (device.kind.clone(), device.name.clone()));
        kinds.entry(kind).or_default().push(row);
    }
    let series = |((kind, name), rows): ((String, String), Vec<&'a Row>)| Series {
        run,
        devices: rows.iter().map(|row| row.int("device").unwrap_or(0)).collect(),
        name,
        one_core: kind == "cpu",
        time_ns: sum(rows.iter().filter_map(|row| row.int("time_ns")).map(|ns| ns.max(0))),
        rows,
    };
    let mut all: Vec<Series> = kinds.into_iter().map(series).collect();
    all.sort_by_key(|series| Reverse(series.time_ns));
    if beside_others {
        all.truncate(1);
    }
    all.sort_by_key(|series| series.devices.first().copied());
    all
}
