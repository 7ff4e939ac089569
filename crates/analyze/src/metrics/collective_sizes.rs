//! Collectives by operation and message size: how long they take, and their bandwidth against the link.
//!
//! The size is that of NCCL's own tests: the larger of input and output of a rank. Algorithm bandwidth = size / time;
//! bus bandwidth = algorithm bandwidth x 2(n-1)/n for an all-reduce of n ranks, x (n-1)/n for all-gather,
//! reduce-scatter and all-to-all, x 1 for the others, so that it compares with the link whatever n is
//! (`doc/PERFORMANCE.md` of nccl-tests).
//!
//! A rank's own duration contains the wait for the last to arrive. The time of the exchange is, where every rank of the
//! group was seen, from the last start to the last end in the common time of `crate::clock`; else the shortest
//! duration among the ranks seen, an upper limit. Rates are medians of those of single collectives.

use polars::prelude::DataFrame;
use proftool_roofline::Roof;
use proftool_trace::table::{Table, float, int, text};

use super::collectives::Windows;
use super::{Input, Metric, Output, RUN, TARGET, WINDOW};
use crate::Error;
use crate::clock::{Timing, UNSIZED, aligned};
use crate::roofline::DeviceRoofs;
use crate::roofline::wire::{Formula, bus_bytes, collective_link, link_roof};
use crate::statistics::{median, median_ns};

mod instances;
#[cfg(test)]
mod tests;

use instances::{Instance, Kind, Sizes, by_size, instances};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "collective_sizes",
    doc: "Collectives by operation and message size: durations, algorithm and bus bandwidth, and the share of the link.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "collective_sizes",
    doc: "The collectives of one operation, group and message size in a window set, with those that only one rank was seen in.",
    columns: &[
        RUN,
        TARGET,
        WINDOW,
        text("operation", "For example `all_reduce`, `send_recv`."),
        text("group", "Communicator or process group.").or_null(),
        int("group_size", "Ranks of the group, n.").or_null(),
        int("from_bytes", "Smallest size: the larger of input and output of a rank.").or_null(),
        int("to_bytes", "Largest size; from 64 distinct sizes on a row holds those of one power of two.").or_null(),
        int("collectives", "Collectives."),
        int(
            "complete",
            "Those in which every rank of the group, whose size must be recorded, was seen, with clocks that can be compared.",
        ),
        int("bytes", "Sum of the sizes.").or_null(),
        int("duration_ns", "Median duration on a rank, waiting included."),
        int("shortest_ns", "Median over collectives of the shortest duration among the ranks seen."),
        int("transfer_ns", "Median over the complete ones of last end - last start.").or_null(),
        int("start_skew_ns", "Median over the complete ones of last start - first start.").or_null(),
        text(
            "time_source",
            "Time of the bandwidths: `transfer` where all are complete, else `shortest of the ranks seen`, an upper limit: of one rank it holds the wait for the others.",
        ),
        float("algorithm_bytes_per_s", "Size / time.").or_null(),
        float("bus_bytes_per_s", "Algorithm bandwidth x factor.").or_null(),
        float("duration_bus_bytes_per_s", "Bus bandwidth by the duration on a rank, waiting included.").or_null(),
        text("formula_id", "The factor, for example `bus-2(n-1)/n`.").or_null(),
        float("link_bytes_per_s", "Ceiling of the link.").or_null(),
        float("link_ratio", "Bus bandwidth over it.").or_null(),
        text("link", "Which link and why.").or_null(),
        text("reason", "Why a value is null or a limit.").or_null(),
    ],
};

struct Row {
    kind: Kind,
    sizes: Option<(i64, i64)>,
    count: i64,
    complete: i64,
    /// Whether a collective that several were seen in has a group of unknown size.
    is_unsized: bool,
    bytes: Option<i64>,
    duration: Option<i64>,
    shortest: Option<i64>,
    transfer: Option<i64>,
    skew: Option<i64>,
    rate: Option<f64>,
    duration_rate: Option<f64>,
    formula: Option<Formula>,
    link: Result<Roof, &'static str>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let (model, aligned) = (input.model()?, aligned(input)?);
    let windows = Windows::read(input, model)?;
    let engine = input.engine()?;
    let mut rows = Vec::new();
    for (kind, instances) in instances(model, &aligned, &windows) {
        let device = instances.iter().map(|instance| instance.device).min().unwrap_or_default();
        let link = link(kind.group_size, engine.roofs(device));
        let rows_of = by_size(instances);
        rows.extend(rows_of.iter().map(|(sizes, alike)| Row::of(&kind, *sizes, alike, link.clone())));
    }
    Output::new(input.run, input.target, &rows)
        .text("window", |row| Some(&windows.names[row.kind.window]))
        .text("operation", |row| Some(&row.kind.operation))
        .text("group", |row| row.kind.group.as_deref())
        .int("group_size", |row| row.kind.group_size)
        .int("from_bytes", |row| Some(row.sizes?.0))
        .int("to_bytes", |row| Some(row.sizes?.1))
        .int("collectives", |row| Some(row.count))
        .int("complete", |row| Some(row.complete))
        .int("bytes", |row| row.bytes)
        .int("duration_ns", |row| row.duration)
        .int("shortest_ns", |row| row.shortest)
        .int("transfer_ns", |row| row.transfer)
        .int("start_skew_ns", |row| row.skew)
        .text("time_source", |row| Some(row.source()))
        .float("algorithm_bytes_per_s", |row| row.rate)
        .float("bus_bytes_per_s", Row::bus)
        .float("duration_bus_bytes_per_s", |row| Some(row.duration_rate? * row.factor()?))
        .text("formula_id", |row| row.formula.map(|formula| formula.id))
        .float("link_bytes_per_s", |row| Some(row.link.as_ref().ok()?.value))
        .float("link_ratio", |row| Some(row.bus()? / row.link.as_ref().ok()?.value))
        .text("link", |row| Some(&row.link.as_ref().ok()?.label))
        .text("reason", Row::reason)
        .build(&TABLE)
}

/// The ceiling of the links that a group uses, or why nobody can tell.
fn link(group_size: Option<i64>, roofs: Option<&DeviceRoofs>) -> Result<Roof, &'static str> {
    let link = collective_link(group_size, roofs)?;
    let roof = roofs.and_then(|roofs| link_roof(roofs, link));
    roof.ok_or("the link between the devices is not in a hardware spec")
}

impl Row {
    fn of(kind: &Kind, sizes: Sizes, alike: &[Instance], link: Result<Roof, &'static str>) -> Self {
        let complete: Vec<&Instance> = alike.iter().filter(|instance| instance.complete == Some(true)).collect();
        let all = complete.len() == alike.len();
        let of_complete = |value: fn(&Timing) -> i64| {
            median_ns(&complete.iter().map(|instance| value(&instance.timing)).collect::<Vec<_>>())
        };
        let exchange = |instance: &Instance| {
            if all { instance.timing.transfer_ns() } else { instance.timing.shortest_ns }
        };
        let rates = |instance: &Instance| rate(instance.bytes, exchange(instance));
        let member_rates = |instance: &Instance| {
            let bytes = instance.bytes;
            instance.durations.iter().filter_map(|duration| rate(bytes, *duration)).collect::<Vec<_>>()
        };
        let durations: Vec<i64> = alike.iter().flat_map(|instance| instance.durations.iter().copied()).collect();
        let shortest: Vec<i64> = alike.iter().map(|instance| instance.timing.shortest_ns).collect();
        let bytes = || alike.iter().filter_map(|instance| instance.bytes);
        Self {
            kind: kind.clone(),
            sizes,
            count: alike.len() as i64,
            complete: complete.len() as i64,
            is_unsized: alike.iter().any(|instance| instance.complete.is_none()),
            bytes: sizes.map(|_| bytes().fold(0, i64::saturating_add)),
            duration: median_ns(&durations),
            shortest: median_ns(&shortest),
            transfer: of_complete(Timing::transfer_ns),
            skew: of_complete(Timing::start_skew_ns),
            rate: median(&alike.iter().filter_map(rates).collect::<Vec<_>>()),
            duration_rate: median(&alike.iter().flat_map(member_rates).collect::<Vec<_>>()),
            formula: bus_bytes(&kind.operation, kind.group_size),
            link,
        }
    }

    fn source(&self) -> &'static str {
        if self.complete == self.count { "transfer" } else { "shortest of the ranks seen" }
    }

    /// The factor of the bus bandwidth; a group of one rank has no bus.
    fn factor(&self) -> Option<f64> {
        self.formula.map(|formula| formula.factor).filter(|factor| *factor > 0.0)
    }

    fn bus(&self) -> Option<f64> {
        Some(self.rate? * self.factor()?)
    }

    /// Why a value is null, or who else may have come last.
    fn reason(&self) -> Option<String> {
        let reasons: Vec<&str> = self.unknown().into_iter().chain(self.is_unsized.then_some(UNSIZED)).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Why a bandwidth or its share of the link is null.
    fn unknown(&self) -> Option<&'static str> {
        match (self.sizes, self.formula) {
            _ if self.kind.group_size == Some(1) => Some("a group of one rank moves nothing"),
            (None, _) => Some("the size is not recorded"),
            (_, None) => Some("the number of ranks is not recorded"),
            _ if self.rate.is_none() => Some("the durations are 0"),
            _ => self.link.as_ref().err().copied(),
        }
    }
}

/// Bytes per second; `None` without a size or a time.
fn rate(bytes: Option<i64>, ns: i64) -> Option<f64> {
    Some(bytes? as f64 * 1e9 / (ns > 0).then_some(ns)? as f64)
}
