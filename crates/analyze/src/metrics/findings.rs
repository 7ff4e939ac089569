//! Findings: what an expert would say first, the most expensive first, each with the row of another metric that proves it.
//!
//! A finding of kind `time` is a cost: `size_ns` is what could be gained at most if it went away and nothing else
//! changed. One of kind `kernel` names a kernel, and its size is what would be gained if the kernel took no time. Sizes of different findings overlap (an exposed collective may be a straggler's), so they never add up. A
//! finding of kind `data` is about what the recording cannot show; it has no size, and says which numbers are unsafe.
//! A finding that holds on several devices is one row, of the device where it costs the most.
//!
//! What fires, with which threshold and why: `crate::findings`.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{Input, Metric, Output, RUN, TARGET, ratio};
use crate::Error;
use crate::findings::{Finding, RULES, find};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "findings",
    doc: "What an expert would say first: the largest costs with evidence, size, proof and what to try.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "findings",
    doc: "One finding; costs by size, the largest first, then kernels, then what the data cannot show.",
    columns: &[
        RUN,
        TARGET,
        int("place", "1 for the first."),
        text("code", "Name of the rule, for example `host_bound`."),
        text(
            "kind",
            "`time`: a cost; `kernel`: what kernels take, a limit that nobody reaches; `data`: what the recording cannot \
             show, so that other numbers are unsafe.",
        ),
        text("severity", "`high`, `medium` or `low`: of a cost by its share of the window (20 %, 5 %)."),
        text("title", "One sentence with its numbers."),
        int("size_ns", "What could be gained at most; null where it is unknown.").or_null(),
        float("size_ratio", "size_ns over the length of the window.").or_null(),
        int("rank", "Rank of the process; null where it is about several.").or_null(),
        int("device", "Number of the device inside its rank; null where it is about several or the host.").or_null(),
        text("window", "The window set, as in the metric that proves it.").or_null(),
        int("devices", "Devices or rows on which it holds; the others cost no more than this one."),
        text("evidence", "One sentence with the numbers that show it."),
        text("row", "The row that proves it: `metric NAME: key value, key value`."),
        text("try", "What to do first."),
        text("limits", "What the data does not show, or what the size leaves out.").or_null(),
    ],
};

/// Every rule in the order of the alphabet: its code and when it fires.
pub fn rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|rule| (rule.code, rule.doc))
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let found = find(input)?;
    let rows: Vec<(i64, &Finding)> = (1..).zip(&found).collect();
    Output::new(input.run, input.target, &rows)
        .int("place", |row| Some(row.0))
        .text("code", |row| Some(row.1.code))
        .text("kind", |row| Some(row.1.kind.name()))
        .text("severity", |row| Some(row.1.severity.name()))
        .text("title", |row| Some(&row.1.title))
        .int("size_ns", |row| row.1.size_ns)
        .float("size_ratio", |row| ratio(row.1.size_ns?, row.1.span_ns?))
        .int("rank", |row| row.1.rank)
        .int("device", |row| row.1.device)
        .text("window", |row| row.1.window.as_ref())
        .int("devices", |row| Some(row.1.devices))
        .text("evidence", |row| Some(&row.1.evidence))
        .text("row", |row| Some(&row.1.row))
        .text("try", |row| Some(row.1.advice))
        .text("limits", |row| row.1.limits.as_ref())
        .build(&TABLE)
}
