//! Who is responsible for a gap: the host call, the range it was made in, or the dependency that was waited for.
//!
//! Everything is looked up for all listed gaps together, with one pass over the calls and one over the ranges, and of
//! both only what lies where a gap asks is kept.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::super::idle::waited_for;
use super::Gap;
use crate::model::{Activity, Model, RangeStyle};
use crate::operators::{Span, clip, innermost, into_union, last_at_or_before, latest_ends, length, total};

/// Who is responsible.
#[derive(Clone, Copy, Default)]
pub(super) struct Culprit {
    /// The host call, by its index.
    pub(super) call: Option<u32>,
    /// The part of the gap that it took.
    pub(super) call_ns: Option<i64>,
    /// What the call did, or why there is none.
    pub(super) role: Option<&'static str>,
    /// Its host thread (or that of the launch), as a place in the model's.
    pub(super) thread: Option<u32>,
    /// Of a host_wait: time on the launching thread outside all recorded calls.
    pub(super) unrecorded_ns: Option<i64>,
    /// The range, by its index.
    pub(super) range: Option<u32>,
    /// The dependency, by its index.
    pub(super) waited_for: Option<u32>,
    /// Where the range is looked up.
    asked: Option<(u32, i64)>,
}

/// Fills in who is responsible for each gap.
pub(super) fn find(model: &Model, gaps: &mut [Gap]) {
    let syncs = Syncs::of(model, gaps);
    let hosts = Hosts::of(model, gaps);
    for gap in &mut *gaps {
        gap.culprit = culprit(model, gap, &syncs, &hosts);
    }
    let ranges = Ranges::of(model, gaps);
    for gap in gaps {
        gap.culprit.range = gap.culprit.asked.and_then(|(thread, instant)| ranges.at(thread, instant));
    }
}

/// The launching call of the activity after the gap.
fn launch(gap: &Gap) -> Option<u32> {
    gap.next.and_then(|next| next.call)
}

fn culprit(model: &Model, gap: &Gap, syncs: &Syncs, hosts: &Hosts) -> Culprit {
    let Some(next) = gap.next else { return absent("no activity follows") };
    let launched = next.call.map(|call| (call, &model.calls[call as usize]));
    // Where the next activity was launched, for the causes that no host call is responsible for.
    let from_launch = launched.map_or(Culprit::default(), |(_, call)| Culprit {
        thread: Some(call.thread),
        asked: Some((call.thread, call.span.0)),
        ..Culprit::default()
    });
    match (gap.cause, launched) {
        (0..=2, _) => Culprit {
            waited_for: longest_input(model, next, gap),
            role: Some("none: the device waited for another queue"),
            ..from_launch
        },
        (3, _) => syncs.longest((next.device.0, next.process), gap.span).map_or_else(
            || absent("no synchronisation call is recorded"),
            |call| of_call(model, call, gap.span, "synchronises"),
        ),
        (4, Some((_, call))) => of_host(model, gap, call.thread, hosts),
        (5, Some((at, _))) => of_call(model, at, gap.span, "launches"),
        _ => absent("the launching call is not recorded"),
    }
}

fn absent(reason: &'static str) -> Culprit {
    Culprit { role: Some(reason), ..Culprit::default() }
}

/// A call is responsible for the part of the gap in which it was open.
fn of_call(model: &Model, at: u32, gap: Span, role: &'static str) -> Culprit {
    let call = &model.calls[at as usize];
    let part = clip(call.span, gap);
    Culprit {
        call: Some(at),
        call_ns: Some(part.map_or(0, length)),
        role: Some(role),
        thread: Some(call.thread),
        asked: Some((call.thread, part.map_or(call.span.0, |part| i64::midpoint(part.0, part.1)))),
        ..Culprit::default()
    }
}

/// What the launching thread did before it launched.
fn of_host(model: &Model, gap: &Gap, launching: u32, hosts: &Hosts) -> Culprit {
    let (busiest, unrecorded) = hosts.busiest(launching, &gap.host_wait);
    let host = if let Some((call, time)) = busiest.filter(|(_, time)| *time >= unrecorded) {
        Culprit { call_ns: Some(time), ..of_call(model, call, gap.span, "runs before the launch") }
    } else {
        let longest = gap.host_wait.iter().max_by_key(|piece| (length(**piece), Reverse(piece.0)));
        let asked = longest.map(|piece| (launching, i64::midpoint(piece.0, piece.1)));
        Culprit { thread: Some(launching), asked, ..absent("no recorded call") }
    };
    Culprit { unrecorded_ns: Some(unrecorded), ..host }
}

/// Of the next activity's dependencies of the main cause on other queues, the one that ran longest inside the gap; of
/// equal ones the first by start and id.
fn longest_input(model: &Model, next: &Activity, gap: &Gap) -> Option<u32> {
    let inputs = model.inputs(model.index_of(next)).map(|(input, _)| (input, &model.activities[input]));
    inputs
        .filter(|(_, row)| waited_for(row) == Some(gap.cause) && (row.device, row.queue) != (next.device, next.queue))
        .filter_map(|(input, row)| Some((length(clip(row.span, gap.span)?), Reverse((row.span.0, row.id)), input)))
        .max()
        .map(|(_, _, input)| input as u32)
}

/// The synchronisation calls of the processes that a gap asks about.
struct Syncs(HashMap<(i64, Option<i64>), SyncCalls>);

/// Those of one process, sorted by start.
#[derive(Default)]
struct SyncCalls {
    calls: Vec<u32>,
    spans: Vec<Span>,
    starts: Vec<i64>,
    latest: Vec<u32>,
}

impl Syncs {
    fn of(model: &Model, gaps: &[Gap]) -> Self {
        let asking = gaps.iter().filter(|gap| gap.cause == 3).filter_map(|gap| gap.next);
        let mut processes: HashMap<_, SyncCalls> =
            asking.map(|next| ((next.device.0, next.process), SyncCalls::default())).collect();
        if processes.is_empty() {
            return Self(processes);
        }
        for (at, call) in model.calls.iter().enumerate().filter(|(_, call)| call.sync) {
            if let Some(found) = processes.get_mut(&(call.rank, model.thread_of(call).process)) {
                found.calls.push(at as u32);
            }
        }
        for found in processes.values_mut() {
            found
                .calls
                .sort_unstable_by_key(|at| order((model.calls[*at as usize].span, model.calls[*at as usize].id)));
            found.spans = found.calls.iter().map(|at| model.calls[*at as usize].span).collect();
            found.starts = found.spans.iter().map(|span| span.0).collect();
            found.latest = latest_ends(&found.spans);
        }
        Self(processes)
    }

    /// The call that was open for most of a gap; of equal ones one that was open at the gap's start, of those the one
    /// that ends last. Of the calls open at the start that is the one that ends last, found without a look at the others;
    /// the rest began inside the gap, and gaps of a device are disjoint.
    fn longest(&self, process: (i64, Option<i64>), gap: Span) -> Option<u32> {
        let found = self.0.get(&process)?;
        let part = |at: usize| clip(found.spans[at], gap).map_or(0, length);
        let before = last_at_or_before(&found.starts, gap.0);
        let open = before.map(|at| found.latest[at] as usize);
        let first = before.map_or(0, |at| at + 1);
        let inside = (first..found.starts.len()).take_while(|at| found.starts[*at] < gap.1);
        let best = open.into_iter().chain(inside).max_by_key(|at| (part(*at), Reverse(*at)))?;
        (part(best) > 0).then(|| found.calls[best])
    }
}

/// What the launching threads did before the launches that a gap waited for.
struct Hosts(Vec<Vec<(Span, u32)>>);

impl Hosts {
    fn of(model: &Model, gaps: &[Gap]) -> Self {
        let mut waits: Vec<Vec<Span>> = vec![Vec::new(); model.threads.len()];
        for gap in gaps.iter().filter(|gap| gap.cause == 4) {
            if let Some(call) = launch(gap) {
                waits[model.calls[call as usize].thread as usize].extend(&gap.host_wait);
            }
        }
        if waits.iter().all(Vec::is_empty) {
            return Self(Vec::new());
        }
        let waits: Vec<Vec<Span>> = waits.into_iter().map(into_union).collect();
        let mut calls: Vec<Vec<u32>> = vec![Vec::new(); model.threads.len()];
        for (at, call) in model.calls.iter().enumerate() {
            let set = &waits[call.thread as usize];
            if !set.is_empty() && touches(set, call.span) {
                calls[call.thread as usize].push(at as u32);
            }
        }
        let of_call = |at: u32| (model.calls[at as usize].span, model.calls[at as usize].id);
        Self(calls.into_iter().map(|calls| pieces(calls, of_call)).collect())
    }

    /// The call that was innermost for most of a set (of equal ones the first) with its time, and the time in none.
    fn busiest(&self, thread: u32, set: &[Span]) -> (Option<(u32, i64)>, i64) {
        let pieces = self.0.get(thread as usize).map_or(&[][..], Vec::as_slice);
        let mut times: Vec<(u32, i64)> = Vec::new();
        let mut recorded = 0_i64;
        for span in set {
            let first = pieces.partition_point(|(piece, _)| piece.1 <= span.0);
            for (piece, call) in pieces[first..].iter().take_while(|(piece, _)| piece.0 < span.1) {
                let time = clip(*piece, *span).map_or(0, length);
                recorded = recorded.saturating_add(time);
                times.push((*call, time));
            }
        }
        (busiest(times), total(set) - recorded)
    }
}

/// The call with the most time in sum; of equal ones that which is met first.
fn busiest(times: Vec<(u32, i64)>) -> Option<(u32, i64)> {
    let mut calls: Vec<(u32, usize, i64)> =
        times.into_iter().enumerate().map(|(at, (call, time))| (call, at, time)).collect();
    calls.sort_unstable();
    let sum = |same: &[(u32, usize, i64)]| {
        let time = same.iter().fold(0_i64, |sum, (_, _, time)| sum.saturating_add(*time));
        (time, Reverse(same[0].1), same[0].0)
    };
    let (time, _, call) = calls.chunk_by(|a, b| a.0 == b.0).map(sum).max()?;
    Some((call, time))
}

/// Rows of one thread, given by their span and id, cut into the time in which each was the innermost.
fn pieces(mut rows: Vec<u32>, row: impl Fn(u32) -> (Span, i64)) -> Vec<(Span, u32)> {
    rows.sort_unstable_by_key(|at| order(row(*at)));
    let spans: Vec<Span> = rows.iter().map(|at| row(*at).0).collect();
    innermost(&spans).into_iter().map(|(piece, at)| (piece, rows[at])).collect()
}

/// An order that does not depend on that of the rows.
fn order((span, id): (Span, i64)) -> (i64, Reverse<i64>, i64) {
    (span.0, Reverse(span.1), id)
}

/// Whether a span has a part in a set.
fn touches(set: &[Span], span: Span) -> bool {
    let next = set.partition_point(|part| part.1 <= span.0);
    set.get(next).is_some_and(|part| clip(*part, span).is_some())
}

/// The ranges that were open where a gap asks.
struct Ranges(HashMap<u32, Vec<(Span, u32)>>);

impl Ranges {
    fn of(model: &Model, gaps: &[Gap]) -> Self {
        let mut asked: Vec<Vec<i64>> = vec![Vec::new(); model.threads.len()];
        for (thread, instant) in gaps.iter().filter_map(|gap| gap.culprit.asked) {
            asked[thread as usize].push(instant);
        }
        for instants in &mut asked {
            instants.sort_unstable();
        }
        let mut ranges: HashMap<u32, Vec<u32>> = HashMap::new();
        for (at, range) in model.ranges.iter().enumerate() {
            let instants = &asked[range.thread as usize];
            let here = range.place.is_none() && !range.ends_elsewhere;
            if instants.is_empty() || !here || range.style == RangeStyle::Mark {
                continue;
            }
            let first = instants.partition_point(|instant| *instant < range.span.0);
            if instants.get(first).is_some_and(|instant| *instant < range.span.1) {
                ranges.entry(range.thread).or_default().push(at as u32);
            }
        }
        let of_range = |at: u32| (model.ranges[at as usize].span, model.ranges[at as usize].id);
        Self(ranges.into_iter().map(|(thread, ranges)| (thread, pieces(ranges, of_range))).collect())
    }

    fn at(&self, thread: u32, instant: i64) -> Option<u32> {
        let pieces = self.0.get(&thread)?;
        let next = pieces.partition_point(|(piece, _)| piece.1 <= instant);
        pieces.get(next).filter(|(piece, _)| piece.0 <= instant).map(|(_, range)| *range)
    }
}
