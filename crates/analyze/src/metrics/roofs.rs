//! The ceilings of each device side by side: datasheet, at the observed clock, measured.

use polars::prelude::DataFrame;
use proftool_roofline::Roofs;
use proftool_trace::table::{Table, boolean, float, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET};
use crate::Error;
use crate::model::DeviceKey;
use crate::roofline::DeviceRoofs;
use crate::roofline::ceilings::{Ceiling, Resource};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofs",
    doc: "The ceilings of each device from every source, and which of them the bounds use.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofs",
    doc: "One ceiling of one device from one source.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        text("spec", "The hardware spec that the device was matched with.").or_null(),
        text("kind", "`compute`, `bandwidth`, `link` or `instructions`."),
        text("name", "What is measured or stated, for example `fma`, `read`, `nvlink`."),
        text("precision", "Type of the arithmetic; null for others.").or_null(),
        boolean("sparse", "Whether it is the peak of structured-sparsity instructions."),
        text("level", "Level of the memory; null for others.").or_null(),
        text("source", "`datasheet`, `observed` or `measured`."),
        float("value", "FLOP/s, integer operations/s, bytes/s, or warp instructions/s."),
        text("unit", "`flop/s`, `op/s`, `bytes/s` or `instructions/s`."),
        float("clock_hz", "The clock that it assumes.").or_null(),
        text("accumulate", "The type that a matrix unit accumulates in.").or_null(),
        text("confidence", "How sure a datasheet number is: `documented`, `secondary`, `derived` or `uncertain`.")
            .or_null(),
        text("disputed", "What the sources disagree about.").or_null(),
        text("label", "The ceiling in words, its value and source included."),
        boolean("used", "Whether the bounds use it."),
    ],
};

struct Row<'a> {
    device: DeviceKey,
    roofs: &'a DeviceRoofs,
    ceiling: &'a Ceiling,
}

impl Row<'_> {
    fn kind(&self) -> &'static str {
        match self.ceiling.resource {
            Resource::Compute(..) => "compute",
            Resource::Bandwidth(_) => "bandwidth",
            Resource::Link => "link",
            Resource::Instructions => "instructions",
        }
    }

    fn unit(&self) -> &'static str {
        match self.ceiling.resource {
            Resource::Compute(precision, _) if precision.is_integer() => "op/s",
            Resource::Compute(..) => "flop/s",
            Resource::Bandwidth(_) | Resource::Link => "bytes/s",
            Resource::Instructions => "instructions/s",
        }
    }

    fn precision(&self) -> Option<&'static str> {
        match self.ceiling.resource {
            Resource::Compute(precision, _) => Some(precision.name()),
            _ => None,
        }
    }

    fn level(&self) -> Option<&'static str> {
        match self.ceiling.resource {
            Resource::Bandwidth(level) => Some(level.name()),
            _ => None,
        }
    }

    fn is_used(&self) -> bool {
        let Roofs { compute, bandwidth, instructions, .. } = &self.roofs.used;
        let roof = match self.ceiling.resource {
            Resource::Compute(precision, sparse) => compute.get(&(precision, sparse)),
            Resource::Bandwidth(level) => bandwidth.get(&level),
            // Each copy and collective uses the link of its ends.
            Resource::Link => return true,
            Resource::Instructions => instructions.as_ref(),
        };
        roof == Some(&self.ceiling.roof)
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let engine = input.engine()?;
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (device, roofs) in engine.devices() {
        let mut own: Vec<Row<'_>> = roofs.ceilings.iter().map(|ceiling| Row { device, roofs, ceiling }).collect();
        own.sort_by_key(|row| (row.ceiling.resource, row.ceiling.roof.source));
        rows.extend(own);
    }
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("spec", |row| row.roofs.spec)
        .text("kind", |row| Some(row.kind()))
        .text("name", |row| Some(&row.ceiling.name))
        .text("precision", Row::precision)
        .bool("sparse", |row| Some(matches!(row.ceiling.resource, Resource::Compute(_, true))))
        .text("level", Row::level)
        .text("source", |row| Some(row.ceiling.roof.source.name()))
        .float("value", |row| Some(row.ceiling.roof.value))
        .text("unit", |row| Some(row.unit()))
        .float("clock_hz", |row| row.ceiling.clock_hz)
        .text("accumulate", |row| row.ceiling.accumulate.as_deref())
        .text("confidence", |row| row.ceiling.confidence.as_deref())
        .text("disputed", |row| row.ceiling.roof.disputed.as_deref())
        .text("label", |row| Some(&row.ceiling.roof.label))
        .bool("used", |row| Some(row.is_used()))
        .build(&TABLE)
}
