//! Kernels that could not be placed on the roofline, and how much of the device's time they are.

use std::collections::HashMap;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::DeviceKey;
use crate::roofline::family::Family;
use crate::roofline::join::Reason;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline_unplaced",
    doc: "Kernels without a place on the roofline: their time, its share, and why.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_unplaced",
    doc: "The launches of one kernel that have no bound for one reason, the most time first.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the kernel."),
        text("phase", "Phase of the launches.").or_null(),
        text(
            "reason",
            "`not profiled`, `other grid or block`, `several profiled kernels fit the name`, `no formula for its counters`, `no shapes`, `no roof`, `no duration`, `a graph launch hides its kernels`, `no size in the trace`, `profiled in another phase`, `another device's page`, or `rates do not travel to another clock`.",
        ),
        int("launches", "Launches without a bound."),
        int("time_ns", "Sum of their durations."),
        float("time_ratio", "time_ns over that of all kernels of the device in the windows; null for copies and sets.")
            .or_null(),
        float("placed_time_ratio", "Part of the time of all kernels of the device in the windows that is placed.")
            .or_null(),
    ],
};

struct Row<'f> {
    family: &'f Family,
    reason: Reason,
    launches: i64,
    time: i64,
    /// Time of all unplaced kernels of the device and window.
    unplaced: i64,
}

fn rows(families: &[Family]) -> Vec<Row<'_>> {
    let of_family = |family| {
        let family: &Family = family;
        let row = move |(reason, launches, time): &(Reason, i64, i64)| {
            let (reason, launches, time) = (*reason, *launches, *time);
            Row { family, reason, launches, time, unplaced: 0 }
        };
        family.unplaced.iter().map(row)
    };
    let mut rows: Vec<Row<'_>> = families.iter().flat_map(of_family).collect();
    rows.sort_by_key(|row| (row.family.device, std::cmp::Reverse(row.time)));
    let mut sums: HashMap<(DeviceKey, &str), i64> = HashMap::new();
    for row in rows.iter().filter(|row| row.family.is_kernel()) {
        let sum = sums.entry((row.family.device, &row.family.window)).or_default();
        *sum = sum.saturating_add(row.time);
    }
    for row in &mut rows {
        row.unplaced = sums.get(&(row.family.device, row.family.window.as_str())).copied().unwrap_or(0);
    }
    rows
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input.families()?);
    let of_device = |row: &Row<'_>, time: i64| ratio(time, row.family.device_time).filter(|_| row.family.is_kernel());
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.family.device.0))
        .int("device", |row| Some(row.family.device.1))
        .text("window", |row| Some(&row.family.window))
        .text("name", |row| Some(&row.family.name))
        .text("phase", |row| row.family.phase.as_deref())
        .text("reason", |row| Some(row.reason.text()))
        .int("launches", |row| Some(row.launches))
        .int("time_ns", |row| Some(row.time))
        .float("time_ratio", |row| of_device(row, row.time))
        .float("placed_time_ratio", |row| {
            ratio(row.family.device_time.saturating_sub(row.unplaced), row.family.device_time)
        })
        .build(&TABLE)
}
