//! Ranges of host threads, projected onto what was launched inside them.
//!
//! A range holds a kernel, copy, set or graph when the call that launched it lies inside the range on the same thread
//! (`start <= call.start`, `call.end <= end`: the rule of NVIDIA's `nvtx_gpu_proj_trace`, whose figures these equal). Its
//! projection is from the first start to the last end of what it holds; in it, busy = the length of the union of what it
//! holds, on any queue and device, and idle = the rest, in which a device may have worked for others. The exclusive
//! numbers are about what no inner range holds. See [`proftool_timeline::nesting`] for ranges that cross.
//!
//! A row has the ranges of one path: the names of the ranges around it and its own, without counters (`paths`). A range
//! belongs to the window in which it begins, with its whole length; the window `trace` has all of them. Marks,
//! ranges that never ended, and ranges that ended on another thread are counted and not projected.

mod groups;
mod instances;
mod paths;
mod sums;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::rc::Rc;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::model::Model;
use crate::operators::Span;
use crate::windows::{Scope, Window, WindowSet};
use groups::Groups;
use sums::Sums;

pub use instances::{Instances, Unprojected};
pub(crate) use paths::label;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "ranges",
    doc: "What each range of a host thread launched: its projection onto the devices, inclusive and exclusive.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "ranges",
    doc: "The ranges of one path, domain and style of a rank in one window set, the longest projection first.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        WINDOW,
        text("domain", "Domain of the ranges, where it is known.").or_null(),
        text("name", "Name of the ranges; `*` stands for the number of a step and for PyTorch's counters."),
        text("path", "Names of the ranges around it on its thread and its own, ` > ` between them; the innermost 16."),
        int("level", "Number of ranges around it; null where none is projected.").or_null(),
        text("style", "`push_pop`, `start_end` or `mark`."),
        int("threads", "Host threads that began one."),
        int("instances", "Ranges that begin in the windows."),
        int("total_ns", "Sum of their host durations; of those that ended."),
        int("median_ns", "Median host duration; of an even count the midpoint, rounded down.").or_null(),
        int("first_ns", "Host time at which the first one begins."),
        int("projected", "Those that hold at least one kernel, copy, set or graph."),
        int("launches", "Calls that they hold, of those that launched something."),
        int("operations", "Kernels, copies, sets and graphs that they hold."),
        int("projected_ns", "Sum of the projections, each from the first start to the last end of what it holds."),
        int("projected_median_ns", "Median length of a projection.").or_null(),
        int("busy_ns", "Part of projected_ns in which something that the range holds was running."),
        int("idle_ns", "projected_ns - busy_ns; a device may have worked for other ranges."),
        float("idle_ratio", "idle_ns / projected_ns; null where that is 0.").or_null(),
        int("work_ns", "Sum of the durations of what they hold."),
        int("exclusive_operations", "Operations that no inner range holds."),
        int("exclusive_busy_ns", "Sum over the ranges of the length of the union of those."),
        int("unprojected", "Instances that cannot be projected."),
        text("unprojected_reason", "Why, and how many: marks, ranges that never ended or ended on another thread.")
            .or_null(),
        float(
            "coverage_ratio",
            "Share of the rank's kernels, copies, sets and graphs whose launching call is recorded.",
        )
        .or_null(),
        text("classes", "The kinds of rows that ranges hold."),
    ],
};

struct Row<'g> {
    groups: &'g Groups<'g>,
    window: Rc<str>,
    coverage: Option<f64>,
    sums: Sums,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let model = input.model()?;
    let groups = Groups::of(model, input.tables)?;
    let coverage = coverage(model);
    let mut rows = Vec::new();
    for set in input.sets(Scope::All)? {
        rows.extend(of_set(&groups, &coverage, windows(input, &set), &set.name));
    }
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.groups.rank(row.sums.group)))
        .text("window", |row| Some(&*row.window))
        .text("domain", |row| row.groups.domain(row.sums.group))
        .text("name", |row| Some(row.groups.name(row.sums.group)))
        .text("path", |row| Some(row.groups.path(row.sums.group)))
        .int("level", |row| row.sums.level)
        .text("style", |row| Some(row.groups.style(row.sums.group)))
        .int("threads", |row| Some(row.sums.threads))
        .int("instances", |row| Some(row.sums.instances))
        .int("total_ns", |row| Some(row.sums.host))
        .int("median_ns", |row| row.sums.host_median)
        .int("first_ns", |row| Some(row.sums.first))
        .int("projected", |row| Some(row.sums.projections))
        .int("launches", |row| Some(row.sums.launches))
        .int("operations", |row| Some(row.sums.operations))
        .int("projected_ns", |row| Some(row.sums.projected))
        .int("projected_median_ns", |row| row.sums.projected_median)
        .int("busy_ns", |row| Some(row.sums.busy))
        .int("idle_ns", |row| Some(row.sums.projected - row.sums.busy))
        .float("idle_ratio", |row| ratio(row.sums.projected - row.sums.busy, row.sums.projected))
        .int("work_ns", |row| Some(row.sums.work))
        .int("exclusive_operations", |row| Some(row.sums.own_operations))
        .int("exclusive_busy_ns", |row| Some(row.sums.own_busy))
        .int("unprojected", |row| Some(row.sums.unprojected()))
        .text("unprojected_reason", |row| row.sums.reason())
        .float("coverage_ratio", |row| row.coverage)
        .text("classes", |_| Some("kernel, copy, set, graph"))
        .build(&TABLE)
}

/// The windows in which ranges must begin. The window of a whole trace is the extent of the devices' work; a host begins
/// its ranges before, and all of them are meant.
fn windows<'s>(input: &Input, set: &'s WindowSet) -> Option<&'s [Span]> {
    let named = matches!(input.window, Window::Named(_));
    (named || set.name != "trace").then_some(&set.spans)
}

fn of_set<'g>(
    groups: &'g Groups<'g>,
    coverage: &HashMap<i64, f64>,
    windows: Option<&[Span]>,
    window: &str,
) -> Vec<Row<'g>> {
    let window: Rc<str> = window.into();
    let row = |sums: Sums| Row {
        groups,
        window: Rc::clone(&window),
        coverage: coverage.get(&groups.rank(sums.group)).copied(),
        sums,
    };
    let mut rows: Vec<Row> = groups.sums(windows).into_iter().map(row).collect();
    rows.sort_by(|a, b| {
        let sums = |row: &Row| {
            let Sums { group, projected, host, first, .. } = row.sums;
            (groups.rank(group), Reverse(projected), Reverse(host), first)
        };
        // The rest only makes the order of equal ones certain.
        let texts = |row: &Row| (groups.path(row.sums.group), groups.domain(row.sums.group).map(str::to_owned));
        let rest = |row: &Row| (groups.style(row.sums.group), row.sums.instances, row.sums.work, row.sums.busy);
        sums(a).cmp(&sums(b)).then_with(|| texts(a).cmp(&texts(b))).then_with(|| rest(a).cmp(&rest(b)))
    });
    rows
}

/// Of each rank, how much of its work has a launching call.
fn coverage(model: &Model) -> HashMap<i64, f64> {
    let mut counts: HashMap<i64, (i64, i64)> = HashMap::new();
    for row in model.activities.iter().filter(|row| row.class != Class::Sync) {
        let (covered, all) = counts.entry(row.device.0).or_default();
        *covered += i64::from(row.call.is_some());
        *all += 1;
    }
    counts.into_iter().filter_map(|(rank, (covered, all))| Some((rank, ratio(covered, all)?))).collect()
}

#[cfg(test)]
mod tests;
