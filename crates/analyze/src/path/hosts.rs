//! What a thread was doing between its calls: the innermost framework operator, library call or range.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::threads::{Thread, thread};
use crate::model::{Model, RangeStyle};
use crate::operators::Span;

/// A part of a piece: index of the piece, when, and the name of the innermost interval that covers it.
pub(super) type Part = (usize, Span, Option<u32>);

/// When, identifier and name.
type Interval = (Span, i64, u32);

/// Cuts pieces of host time (disjoint on each thread, in the rank's own time) where the innermost interval changes: of
/// those that are open the one that began last. The parts of a piece sum to it.
pub(super) fn split(model: &Model, pieces: &[(Thread, Span)]) -> Vec<Part> {
    let mut threads: HashMap<Thread, (Vec<usize>, Vec<Interval>)> = HashMap::new();
    for (at, (thread, _)) in pieces.iter().enumerate() {
        threads.entry(*thread).or_default().0.push(at);
    }
    for call in model.calls.iter().filter(|call| !call.api.launches()) {
        if let Some((_, intervals)) = threads.get_mut(&thread(call)) {
            intervals.push((call.span, call.id, call.name));
        }
    }
    let nested = |style: RangeStyle| style == RangeStyle::PushPop;
    for range in model.ranges.iter().filter(|range| nested(range.style) && range.place.is_none()) {
        if let Some((_, intervals)) = threads.get_mut(&(range.rank, range.process, range.thread)) {
            intervals.push((range.span, range.id, range.name));
        }
    }
    let mut parts: Vec<Part> = Vec::new();
    for (mut places, mut intervals) in threads.into_values() {
        places.sort_by_key(|at| pieces[*at].1);
        intervals.sort_by_key(|(span, id, name)| (span.0, Reverse(span.1), *id, *name));
        sweep(&mut parts, &places, pieces, &intervals);
    }
    parts.sort_unstable();
    parts
}

fn sweep(parts: &mut Vec<Part>, places: &[usize], pieces: &[(Thread, Span)], intervals: &[Interval]) {
    let (mut next, mut open): (usize, Vec<(i64, u32)>) = (0, Vec::new());
    for place in places {
        let (mut at, end) = pieces[*place].1;
        while at < end {
            while let Some(((start, until), _, name)) = intervals.get(next).filter(|one| one.0.0 <= at) {
                if until > start {
                    open.push((*until, *name));
                }
                next += 1;
            }
            while open.pop_if(|top| top.0 <= at).is_some() {}
            let begins = intervals.get(next).map_or(end, |one| one.0.0);
            let ends = open.last().map_or(end, |top| top.0);
            let until = end.min(begins).min(ends);
            parts.push((*place, (at, until), open.last().map(|top| top.1)));
            at = until;
        }
    }
}
