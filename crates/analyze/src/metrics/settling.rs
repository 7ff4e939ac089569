//! When TTFT and TPOT settle after the start of a run and after a step of its load, and how far they overshoot.
//!
//! Bins of a stated width (about 20 requests in each, 8 to 60 of them) run from the first arrival to the last; a bin's
//! value is the median (nearest rank) of the requests that arrive in it; a last one of less than half the width is left out.
//! final = the median of the last quarter of the bins;
//! settled = the first bin from which on all lie within 10 % of it, and the time is that from the start to that bin's
//! start; overshoot = the largest bin / final - 1. Null with a reason where the run is over capacity (while the last half
//! of the requests arrived, fewer than 95 % as many ended, and more were missing than three times the square root of their
//! number, which chance explains), where there are too few bins, where it has not settled, and where the load has no step:
//! medians of some 20 requests scatter by more than 10 %, so that without a load step the last bin out of line is chance,
//! and so is the largest.

mod step;
#[cfg(test)]
mod tests;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::serving::{PASS, SIMULATED};
use super::{Input, Metric, Output, RUN, TARGET};
use crate::Error;
use crate::operators::Span;
use crate::requests::{Bins, By, Group, Latencies, Log, Request};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "settling",
    doc: "When TTFT and TPOT settle after the start and after a step of the load, and their overshoot.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "settling",
    doc: "One quantity of all requests (policy null) or of a policy, from the start of the run or from a step of its load.",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        text("policy", "The policy; null for all requests.").or_null(),
        text("quantity", "`ttft` or `tpot`."),
        text("from", "`start`, or `load_step`: where the rate of arrivals changes most, if it does beyond chance."),
        int("from_ns", "That instant."),
        float("rate_before_per_s", "Arrivals a second before a load step.").or_null(),
        float("rate_after_per_s", "Arrivals a second from there on.").or_null(),
        int("bin_ns", "Width of a bin."),
        int("bins", "Bins with a value."),
        int("final_ns", "Median of the last quarter of the bins.").or_null(),
        int("settling_ns", "From there to the start of the first bin from which on all lie within 10 % of it; null without a load step.")
            .or_null(),
        float("overshoot_ratio", "Largest bin / final - 1; null without a load step.").or_null(),
        boolean("over_capacity", "Whether more requests came than went."),
        text("reason", "Why there is no settling time.").or_null(),
    ],
};

/// Requests that a bin should hold, so that its median is more than chance.
const REQUESTS_OF_BIN: usize = 20;
/// Bins of a run: at least, and at most.
const BINS: (usize, usize) = (8, 60);
/// How far from the final value a settled one may lie, in percent.
const NEAR_PERCENT: i128 = 10;

/// Why there is no settling time where no step was found.
const NO_STEP: &str = "no load step: none was found in the arrivals, and without one the bins scatter by chance";

struct Row {
    pass: String,
    simulated: bool,
    policy: Option<String>,
    quantity: &'static str,
    from: &'static str,
    from_ns: i64,
    rates: Option<(f64, f64)>,
    width: i64,
    over_capacity: bool,
    settled: Settled,
}

/// A latency of a request.
type Value = fn(&Request) -> Option<i64>;

/// What the bins of a quantity tell.
#[derive(Clone, Debug, Default, PartialEq)]
struct Settled {
    bins: usize,
    last: Option<i64>,
    settling: Option<i64>,
    overshoot: Option<f64>,
    reason: Option<&'static str>,
}

impl Settled {
    /// The same of a load without a step, where only the final value is more than chance.
    fn without_step(self) -> Self {
        let reason = self.reason.filter(|_| self.last.is_none()).unwrap_or(NO_STEP);
        Self { settling: None, overshoot: None, reason: Some(reason), ..self }
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = Vec::new();
    for log in input.logs()? {
        for group in log.groups(&[By::Policy]) {
            rows.extend(of_group(log, &group));
        }
    }
    Output::new(input.run, input.target, &rows)
        .text("pass", |row| Some(&row.pass))
        .bool("simulated", |row| Some(row.simulated))
        .text("policy", |row| row.policy.as_ref())
        .text("quantity", |row| Some(row.quantity))
        .text("from", |row| Some(row.from))
        .int("from_ns", |row| Some(row.from_ns))
        .float("rate_before_per_s", |row| Some(row.rates?.0))
        .float("rate_after_per_s", |row| Some(row.rates?.1))
        .int("bin_ns", |row| Some(row.width))
        .int("bins", |row| Some(row.settled.bins as i64))
        .int("final_ns", |row| row.settled.last)
        .int("settling_ns", |row| row.settled.settling)
        .float("overshoot_ratio", |row| row.settled.overshoot)
        .bool("over_capacity", |row| Some(row.over_capacity))
        .text("reason", |row| row.settled.reason)
        .build(&TABLE)
}

fn of_group(log: &Log, group: &Group) -> Vec<Row> {
    let (Some(first), Some(last)) = (group.requests.first(), group.requests.last()) else { return Vec::new() };
    if group.requests.iter().all(|request| request.ttft().is_none()) {
        return Vec::new();
    }
    let window = (first.arrival, last.arrival);
    let over_capacity = is_over_capacity(&group.requests);
    let mut starts = vec![("start", window.0, None)];
    starts.extend(step::find(&group.requests).map(|step| ("load_step", step.at, Some((step.before, step.after)))));
    let without_step = starts.len() == 1;
    let mut rows = Vec::new();
    for (from, from_ns, rates) in starts {
        let arrived = group.requests.iter().filter(|request| request.arrival >= from_ns).count();
        let most = (arrived / REQUESTS_OF_BIN).clamp(BINS.0, BINS.1);
        let bins = Bins::of((from_ns, window.1), most as u32);
        let quantities: [(&str, Value); 2] = [("ttft", Request::ttft), ("tpot", Request::tpot)];
        for (quantity, value) in quantities {
            let settled = settled(&medians(&bins, group, value), from_ns, over_capacity);
            rows.push(Row {
                pass: log.pass.clone(),
                simulated: log.simulated,
                policy: (group.kind != "all").then(|| group.name.clone()),
                quantity,
                from,
                from_ns,
                rates,
                width: bins.width,
                over_capacity,
                settled: if without_step { settled.without_step() } else { settled },
            });
        }
    }
    rows
}

/// Start and median of each bin that has a value. A last one of less than half the width is left out: the median of the few
/// requests in it is chance, and would decide whether all has settled.
fn medians(bins: &Bins, group: &Group, value: Value) -> Vec<(i64, i64)> {
    let values = group.requests.iter().filter_map(|request| Some((request.arrival, value(request)?)));
    let parts = bins.latencies(values);
    let (from, to) = bins.span(parts.len() - 1);
    let is_stub = to.saturating_sub(from) < bins.width / 2 && parts.len() > BINS.0 / 2;
    parts[..parts.len() - usize::from(is_stub)]
        .iter()
        .enumerate()
        .filter_map(|(at, part): (usize, &Latencies)| Some((bins.span(at).0, part.permille(500)?)))
        .collect()
}

fn settled(bins: &[(i64, i64)], from: i64, over_capacity: bool) -> Settled {
    let known = Settled { bins: bins.len(), ..Settled::default() };
    let why = |reason| Settled { reason: Some(reason), ..known.clone() };
    // An axis of round widths gives down to two fifths of the bins that were asked for.
    if bins.len() < BINS.0 / 2 {
        return why("too few requests: fewer than 4 bins have a value");
    }
    if over_capacity {
        return why("over capacity: more requests came than went");
    }
    let quarter = bins.len().div_ceil(4);
    let last: Latencies = bins[bins.len() - quarter..].iter().map(|bin| bin.1).collect();
    let Some(last) = last.permille(500) else { return known };
    let most = bins.iter().map(|bin| bin.1).max().unwrap_or(last);
    let near = |value: i64| (i128::from(value) - i128::from(last)).abs() * 100 <= i128::from(last).abs() * NEAR_PERCENT;
    let unsettled = bins.iter().rposition(|bin| !near(bin.1)).map_or(0, |at| at + 1);
    let settling = bins.get(unsettled).map(|bin| bin.0.saturating_sub(from).max(0));
    Settled {
        last: Some(last),
        settling,
        overshoot: (last > 0).then(|| most as f64 / last as f64 - 1.0),
        reason: settling.is_none().then_some("not settled: the last bin lies beyond 10 % of the final value"),
        ..known
    }
}

/// Whether clearly fewer requests ended than arrived while the last half of them did; a log of no end does not tell.
fn is_over_capacity(requests: &[&Request]) -> bool {
    if requests.iter().all(|request| request.end.is_none()) {
        return false;
    }
    let half = &requests[requests.len() / 2..];
    let (Some(first), Some(last)) = (half.first(), half.last()) else { return false };
    let window: Span = (first.arrival, last.arrival);
    let ended =
        requests.iter().filter_map(|request| request.end).filter(|end| *end > window.0 && *end <= window.1).count();
    let (arrived, ended) = (half.len() as f64, ended as f64);
    ended < 0.95 * arrived && arrived - ended > 3.0 * arrived.sqrt()
}
