//! The traffic of each roofline row at each level of the memory hierarchy: the hierarchical roofline (Yang et al., 2019).

use polars::prelude::DataFrame;
use proftool_roofline::{Level, Roof, Roofs};
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW};
use crate::Error;
use crate::roofline::DeviceRoofs;
use crate::roofline::family::Family;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline_level",
    doc: "The bytes of each roofline row at each level of the memory, against that level's roof.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_level",
    doc: "One level of one row of `roofline`.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the kernel."),
        text("phase", "Phase of the row.").or_null(),
        text("level", "`DRAM`, `MALL`, `L3`, `L2`, `L1`, `L0` or `LDS`."),
        int("launches", "Launches of the row."),
        int("time_ns", "Sum of their durations."),
        int("flop", "Floating-point operations of the row.").or_null(),
        int("bytes", "Bytes read and written at the level; null where the page states rates only.").or_null(),
        float("arithmetic_intensity", "flop / bytes, over the launches of which both are known.").or_null(),
        float("flop_per_s", "flop over the time of the launches whose counts are known; the mean of what pages without durations state.").or_null(),
        float("bytes_per_s", "bytes over the time of the launches whose counts are known, or likewise.").or_null(),
        float("memory_ns", "Time that the bytes need at the roof in use; null without one.").or_null(),
        float("roof_bytes_per_s", "The roof in use.").or_null(),
        float("roof_ratio", "bytes_per_s / roof_bytes_per_s.").or_null(),
        text("roof_source", "`measured` or `datasheet`.").or_null(),
        text("roof", "What the roof in use is.").or_null(),
        float("roof_datasheet_bytes_per_s", "The datasheet's bandwidth.").or_null(),
        float("datasheet_ratio", "bytes_per_s over the datasheet's bandwidth.").or_null(),
        float("roof_observed_bytes_per_s", "The bandwidth at the observed clock.").or_null(),
        float("observed_ratio", "bytes_per_s over that bandwidth; null where the time was taken at another clock.")
            .or_null(),
        text("bytes_source", "`analytic (compulsory)`, `counter` or `trace`.").or_null(),
        text("level_formula", "The part of the formula that made the bytes of an inner level: only rows of equal parts compare; null for DRAM, which always compares.").or_null(),
        text("formula_id", "The formulas of the row, joined by `;`.").or_null(),
        text("time_source", "The pass that the durations come from."),
    ],
};

/// One level of one family.
struct Row<'a> {
    family: &'a Family,
    roofs: &'a DeviceRoofs,
    level: Level,
    bytes: Option<i64>,
    per_second: Option<f64>,
}

impl Row<'_> {
    fn roof<'r>(&self, roofs: &'r Roofs) -> Option<&'r Roof> {
        roofs.bandwidth.get(&self.level)
    }

    fn of_roof(&self, roof: Option<&Roof>) -> Option<f64> {
        Some(self.per_second? / roof?.value)
    }

    /// Time of the bytes at the roof in use, ns.
    fn memory_ns(&self) -> Option<f64> {
        Some(self.bytes? as f64 * 1e9 / self.roof(&self.roofs.used)?.value)
    }

    fn observed(&self) -> Option<&Roof> {
        self.family.known_observed().ns().and_then(|_| self.roof(&self.roofs.observed))
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let (engine, families) = (input.engine()?, input.families()?);
    let of_family = |family| {
        let family: &Family = family;
        let roofs = engine.roofs(family.device);
        let row = move |(level, bytes, per_second)| Some(Row { family, roofs: roofs?, level, bytes, per_second });
        family.traffics().filter_map(row)
    };
    let rows: Vec<Row<'_>> = families.iter().flat_map(of_family).collect();
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.family.device.0))
        .int("device", |row| Some(row.family.device.1))
        .text("window", |row| Some(&row.family.window))
        .text("name", |row| Some(&row.family.name))
        .text("phase", |row| row.family.phase.as_deref())
        .text("level", |row| Some(row.level.name()))
        .int("launches", |row| Some(row.family.launches))
        .int("time_ns", |row| Some(row.family.time))
        .int("flop", |row| row.family.flop_sum())
        .int("bytes", |row| row.bytes)
        .float("arithmetic_intensity", |row| row.family.intensity(row.level))
        .float("flop_per_s", |row| row.family.flop_per_s())
        .float("bytes_per_s", |row| row.per_second)
        .float("memory_ns", Row::memory_ns)
        .float("roof_bytes_per_s", |row| row.roof(&row.roofs.used).map(|roof| roof.value))
        .float("roof_ratio", |row| row.of_roof(row.roof(&row.roofs.used)))
        .text("roof_source", |row| row.roof(&row.roofs.used).map(|roof| roof.source.name()))
        .text("roof", |row| row.roof(&row.roofs.used).map(|roof| &roof.label))
        .float("roof_datasheet_bytes_per_s", |row| row.roof(&row.roofs.datasheet).map(|roof| roof.value))
        .float("datasheet_ratio", |row| row.of_roof(row.roof(&row.roofs.datasheet)))
        .float("roof_observed_bytes_per_s", |row| row.roof(&row.roofs.observed).map(|roof| roof.value))
        .float("observed_ratio", |row| row.of_roof(row.observed()))
        .text("bytes_source", |row| row.family.bytes_source())
        .text("level_formula", |row| row.family.level_formula(row.level))
        .text("formula_id", |row| row.family.formula())
        .text("time_source", |row| Some(row.family.time_source(engine)))
        .build(&TABLE)
}
