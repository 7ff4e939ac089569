//! Ranks in one time: what each clock was corrected by, who waits in collectives, and who makes the others wait.
//!
//! The common time is the session start of each rank's file, then the median over collectives of (end on this rank -
//! mean end over the ranks); `crate::clock` says which collectives. Inside a collective a device waits from its own
//! start to the last start of all, in its own time; the rest of the communication is transfer, so that comm = wait +
//! transfer. The last to arrive is late by how much later it came than the one before it: what would be gained if it
//! alone were faster.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::clock::{Clock, UNSIZED, aligned};
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, contains, intersect, total, union};
use crate::statistics::median_ns;
use crate::steps::{self, Steps};
use crate::windows::WindowSet;

mod arrivals;
mod residual;
#[cfg(test)]
mod tests;

use arrivals::{Arrivals, Meeting, arrivals, meetings, starts};
use residual::{Residual, residuals};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "ranks",
    doc: "Each rank's clock offset, its waiting inside collectives, and how often and by how much it is the last to arrive.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "ranks",
    doc: "One device of one rank in a window set; times are those of its own clock.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text(
            "clock",
            "Where the session start comes from: `one session` (all ranks count from it), `monotonic`, `wall`, `epoch` (the times are the wall clock's) or `unknown`.",
        ),
        int("offset_ns", "What the session start adds to the times of this rank, the lowest rank's being 0.").or_null(),
        int("refined_ns", "What the ends of collectives add beside; null where none connects it with another rank.")
            .or_null(),
        int("reference_rank", "The rank that it was fitted to.").or_null(),
        int("aligned_by", "Collectives that clocks were fitted to in which this device took part, in the whole pass."),
        int("residual_ns", "Median over them of the distance of this device's end from the mean end, once aligned.")
            .or_null(),
        int("residual_max_ns", "The largest such distance.").or_null(),
        float(
            "drift_ppm",
            "By how much this clock runs faster than that of the reference rank; null unless those collectives show it.",
        )
        .or_null(),
        int("span_ns", "Length of the windows."),
        int("busy_ns", "Time with a kernel, copy, set or graph."),
        int("compute_ns", "Time with a compute kernel."),
        int("comm_ns", "Time with a communication kernel."),
        int(
            "wait_ns",
            "Part of it before the last participant that was seen had arrived; null where none was matched.",
        )
        .or_null(),
        int("transfer_ns", "The rest of it.").or_null(),
        int("collectives", "Communication kernels that begin in the windows."),
        int("matched", "Those that were matched with another device's."),
        int(
            "complete",
            "Those of which every rank of the group was seen; of the others, also where the size of the group is not recorded, somebody unseen may have come last.",
        ),
        int(
            "paired_by_order",
            "Those that only order, name or overlap puts together: no sequence number, and no peer of a message.",
        ),
        int("point_to_point", "Those that are messages between two and no collectives."),
        float("coverage_ratio", "Matched over all.").or_null(),
        int("last_count", "Matched collectives in which it was the last to arrive, alone.").or_null(),
        float("last_ratio", "Their share of the matched.").or_null(),
        int("late_ns", "By how much it arrived after the one before it, summed over those.").or_null(),
        int("caused_wait_ns", "What the others waited in those.").or_null(),
        int("steps", "Steps that begin in the windows."),
        int("step_ns", "Their median length.").or_null(),
        text("reason", "Why a value is null or a limit.").or_null(),
    ],
};

struct Row {
    device: DeviceKey,
    window: String,
    clock: Clock,
    residual: Residual,
    span: i64,
    busy: i64,
    compute: i64,
    comm: i64,
    wait: Option<i64>,
    collectives: i64,
    arrivals: Arrivals,
    steps: i64,
    step: Option<i64>,
    reason: Option<&'static str>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let (model, aligned) = (input.model()?, aligned(input)?);
    let (meetings, residuals) = (meetings(model, &aligned), residuals(model, &aligned));
    let parts = starts(model, &aligned);
    let steps = steps::of_model(model);
    let rows = input.of_devices(|model, device, sets| {
        let meetings = meetings.get(&device).map_or(&[][..], Vec::as_slice);
        let starts = parts.get(&device).map_or(&[][..], Vec::as_slice);
        let residual = residuals.get(&device).copied().unwrap_or_default();
        let Some(clock) = aligned.clocks.get(&device.0) else { return Vec::new() };
        sets.iter().map(|set| row(model, device, set, (*clock, residual), meetings, starts, &steps)).collect()
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("clock", |row| Some(row.clock.source.name()))
        .int("offset_ns", |row| row.clock.session)
        .int("refined_ns", |row| row.clock.refined)
        .int("reference_rank", |row| row.clock.reference)
        .int("aligned_by", |row| Some(row.residual.count))
        .int("residual_ns", |row| row.residual.median)
        .int("residual_max_ns", |row| row.residual.max)
        .float("drift_ppm", |row| row.residual.drift)
        .int("span_ns", |row| Some(row.span))
        .int("busy_ns", |row| Some(row.busy))
        .int("compute_ns", |row| Some(row.compute))
        .int("comm_ns", |row| Some(row.comm))
        .int("wait_ns", |row| row.wait)
        .int("transfer_ns", |row| Some(row.comm - row.wait?))
        .int("collectives", |row| Some(row.collectives))
        .int("matched", |row| Some(row.arrivals.matched))
        .int("complete", |row| Some(row.arrivals.complete))
        .int("paired_by_order", |row| Some(row.arrivals.by_order))
        .int("point_to_point", |row| Some(row.arrivals.messages))
        .float("coverage_ratio", |row| ratio(row.arrivals.matched, row.collectives))
        .int("last_count", |row| row.wait.map(|_| row.arrivals.last))
        .float("last_ratio", |row| ratio(row.arrivals.last, row.arrivals.timed))
        .int("late_ns", |row| row.wait.map(|_| row.arrivals.late))
        .int("caused_wait_ns", |row| row.wait.map(|_| row.arrivals.caused))
        .int("steps", |row| Some(row.steps))
        .int("step_ns", |row| row.step)
        .text("reason", |row| row.reason)
        .build(&TABLE)
}

fn row(
    model: &Model,
    device: DeviceKey,
    set: &WindowSet,
    (clock, residual): (Clock, Residual),
    meetings: &[Meeting],
    starts: &[i64],
    steps: &Steps,
) -> Row {
    let of = |keep: &dyn Fn(&Activity) -> bool| {
        let spans = model.of_device(device).iter().filter(|row| keep(row)).map(|row| row.span);
        intersect(&union(&spans.collect::<Vec<_>>()), &set.spans)
    };
    let comm = of(&|row| row.class == Class::Comm);
    let arrivals = arrivals(meetings, &set.spans);
    let waits: Vec<Span> = meetings.iter().filter_map(|meeting| Some(meeting.timed?.wait)).collect();
    let lengths: Vec<i64> = steps::windows(model, device, steps.of_device(device))
        .into_iter()
        .filter(|step| contains(&set.spans, step.0))
        .map(|step| step.1.saturating_sub(step.0))
        .collect();
    let collectives = starts.iter().filter(|start| contains(&set.spans, **start)).count() as i64;
    Row {
        device,
        window: set.name.clone(),
        clock,
        residual,
        span: total(&set.spans),
        busy: total(&of(&|row| row.class != Class::Sync)),
        compute: total(&of(&|row| row.class == Class::Compute)),
        comm: total(&comm),
        wait: (arrivals.timed > 0).then(|| total(&intersect(&union(&waits), &comm))),
        collectives,
        arrivals,
        steps: lengths.len() as i64,
        step: median_ns(&lengths),
        reason: reason(collectives, arrivals),
    }
}

/// Why nobody knows who waited, or not all of it.
fn reason(collectives: i64, arrivals: Arrivals) -> Option<&'static str> {
    match arrivals {
        _ if collectives == 0 => Some("no communication kernel begins in the windows"),
        Arrivals { matched: 0, .. } => Some("no collective was matched with one of another device"),
        Arrivals { timed: 0, .. } => Some("the clocks of the ranks are not aligned"),
        Arrivals { matched, complete, unsized_groups, .. } if complete + unsized_groups < matched => {
            Some("not every rank of the groups was seen: waits are lower limits, and another may have come last")
        }
        Arrivals { unsized_groups: 1.., .. } => Some(UNSIZED),
        _ => None,
    }
}
