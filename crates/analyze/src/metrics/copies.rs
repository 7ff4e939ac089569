//! Copies and fills by direction, ends and memory: bytes, time, bandwidth, share of the ceiling, and two findings.
//!
//! A copy belongs to the window in which it begins, whole. bytes_per_s = bytes / |U(copies)|, so that copies that run side
//! by side are not counted as slower than they are; the median, least and largest rate are of single copies, as other
//! tools print them. hidden = |U(copies) ∩ U(compute)| on the device that carries the copy.
//!
//! Findings: *P2P not used* is a copy from a device to the host and one of the same size to another device that follows
//! ([`staged`]); *pageable copy* an asynchronous call on memory that the driver must stage ([`pageable`]).

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_timeline::measure::Measure;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::model::{DeviceKey, Model};
use crate::operators::into_union;
use crate::roofline::Engine;
use crate::windows::WindowSet;

mod group;
pub mod pageable;
pub mod staged;
#[cfg(test)]
mod tests;

use group::{Group, Key, SMALL_BYTES};
use staged::Role;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "copies",
    doc: "Bandwidth of copies and fills by direction, devices and memory; copies staged through the host, pageable copies.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "copies",
    doc: "The copies (or fills) of one direction between the same devices and memories, carried by one device.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("copy_kind", "`h2d`, `d2h`, `d2d`, `p2p`, `h2h`, `copy` (direction unknown) or `set` (a fill)."),
        int("src_device", "Device that is read; null for the host or where it is not recorded.").or_null(),
        int("dst_device", "Device that is written; null for the host or where it is not recorded.").or_null(),
        text("src_memory", "`pageable`, `pinned`, `device` or `managed`; null where it is not recorded.").or_null(),
        text("dst_memory", "As src_memory, of the memory that is written.").or_null(),
        int("copies", "Copies that begin in the windows."),
        int("sized_copies", "Those of them whose bytes are recorded."),
        int("bytes", "Bytes of the sized copies; null where there is none.").or_null(),
        int("total_ns", "Sum of the durations."),
        int("union_ns", "Length of the union of the copies."),
        float("bytes_per_s", "bytes over the length of the union of the sized copies.").or_null(),
        float("median_bytes_per_s", "Median rate of single copies; of an even count the mean of the middle two.")
            .or_null(),
        float("min_bytes_per_s", "Least rate of a single copy.").or_null(),
        float("max_bytes_per_s", "Largest rate of a single copy.").or_null(),
        float("roof_bytes_per_s", "Ceiling: of the link, one direction; of `d2d` and `set` the device's memory.")
            .or_null(),
        text("roof", "The ceiling and where it comes from.").or_null(),
        float("roof_ratio", "bytes_per_s / roof_bytes_per_s; of `d2d` twice that, as memory is read and written.")
            .or_null(),
        int("small_copies", "Copies of fewer than 65536 bytes, whose time is mostly latency.").or_null(),
        int("small_ns", "Sum of their durations.").or_null(),
        int("hidden_ns", "Part of union_ns during which the device also computed."),
        int("exposed_ns", "union_ns - hidden_ns."),
        float("hidden_ratio", "hidden_ns / union_ns; null where there is no time.").or_null(),
        text("finding", "`P2P not used`, `pageable copy`, both, or null.").or_null(),
        int("staged_copies", "Copies that are one half of a transfer between two devices through the host."),
        int("staged_bytes", "Their bytes."),
        int("staged_ns", "Length of the union of them."),
        int(
            "async_pageable_copies",
            "Copies that an asynchronous call made from or to pageable memory; null without memories.",
        )
        .or_null(),
        int("async_pageable_ns", "Length of the union of them; null where the host's memory is not recorded.")
            .or_null(),
        text("evidence", "What shows the finding, and the first activity that does.").or_null(),
    ],
};

struct Row {
    device: DeviceKey,
    window: String,
    key: Key,
    group: Group,
    hidden: i64,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let model = input.model()?;
    let any = model.activities.iter().any(|row| Key::of(row).is_some());
    let engine = if any { Some(input.engine()?) } else { None };
    let staged = staged::roles(model);
    let rows = input.of_devices(|model, device, sets| {
        let compute = compute_of(model, device);
        sets.iter().flat_map(|set| of_device(model, engine, &staged, (device, &compute), set)).collect()
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("copy_kind", |row| Some(row.key.kind))
        .int("src_device", |row| row.key.src)
        .int("dst_device", |row| row.key.dst)
        .text("src_memory", |row| row.key.src_memory.map(crate::model::Memory::name))
        .text("dst_memory", |row| row.key.dst_memory.map(crate::model::Memory::name))
        .int("copies", |row| Some(row.group.copies))
        .int("sized_copies", |row| Some(row.group.sized))
        .int("bytes", |row| row.group.bytes())
        .int("total_ns", |row| Some(row.group.total))
        .int("union_ns", |row| Some(row.group.union))
        .float("bytes_per_s", |row| row.group.rate())
        .float("median_bytes_per_s", |row| row.group.median)
        .float("min_bytes_per_s", |row| row.group.least)
        .float("max_bytes_per_s", |row| row.group.largest)
        .float("roof_bytes_per_s", |row| row.group.roof.as_ref().map(|roof| roof.value))
        .text("roof", |row| row.group.roof.as_ref().map(|roof| roof.label.as_str()))
        .float("roof_ratio", |row| row.group.roof_ratio(row.key))
        .int("small_copies", |row| row.group.known(row.group.small))
        .int("small_ns", |row| row.group.known(row.group.small_ns))
        .int("hidden_ns", |row| Some(row.hidden))
        .int("exposed_ns", |row| Some(row.group.union - row.hidden))
        .float("hidden_ratio", |row| ratio(row.hidden, row.group.union))
        .text("finding", |row| row.group.finding())
        .int("staged_copies", |row| Some(row.group.staged))
        .int("staged_bytes", |row| Some(row.group.staged_bytes))
        .int("staged_ns", |row| Some(row.group.staged_ns))
        .int("async_pageable_copies", |row| row.key.knows_host_memory().then_some(row.group.pageable))
        .int("async_pageable_ns", |row| row.key.knows_host_memory().then_some(row.group.pageable_ns))
        .text("evidence", |row| row.group.evidence())
        .build(&TABLE)
}

/// When a device computes.
fn compute_of(model: &Model, device: DeviceKey) -> Measure {
    let rows = model.of_device(device).iter().filter(|row| row.class == Class::Compute);
    Measure::of(into_union(rows.map(|row| row.span).collect()))
}

/// The rows of one device in one window set, the longest first.
fn of_device(
    model: &Model,
    engine: Option<&Engine>,
    staged: &BTreeMap<u32, Role>,
    (device, compute): (DeviceKey, &Measure),
    set: &WindowSet,
) -> Vec<Row> {
    let mut members: BTreeMap<Key, Vec<u32>> = BTreeMap::new();
    for row in model.begun_on(device, &set.spans) {
        if let Some(key) = Key::of(row) {
            members.entry(key).or_default().push(model.index_of(row) as u32);
        }
    }
    let row = |(key, members): (Key, Vec<u32>)| {
        let (group, pieces) = Group::of(model, engine, staged, key, &members);
        let hidden = pieces.iter().map(|piece| compute.inside(*piece)).fold(0, i64::saturating_add);
        Row { device, window: set.name.clone(), key, group, hidden }
    };
    let mut rows: Vec<Row> = members.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.group.total));
    rows
}

const _: () = assert!(SMALL_BYTES == 65_536, "the documentation of small_copies says so");
