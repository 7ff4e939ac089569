//! What a thread was doing between its calls: the innermost framework operator, library call or range.

use std::cmp::Reverse;

use crate::model::{Model, RangeStyle};
use crate::operators::Span;

/// A piece of host time.
pub(super) struct Piece {
    /// Its place on the path.
    pub(super) at: u32,
    /// As a place in the model's threads.
    pub(super) thread: u32,
    /// In the rank's own time.
    pub(super) span: Span,
}

/// A part of a piece: when, and the name of the innermost interval that covers it.
pub(super) type Part = (Span, Option<u32>);

/// The parts of all pieces.
pub(super) struct Parts {
    /// By thread: place of the piece and part, the latest last.
    threads: Vec<Vec<(u32, Part)>>,
}

impl Parts {
    pub(super) fn count(&self) -> usize {
        self.threads.iter().map(Vec::len).sum()
    }

    /// Takes the latest part left of a thread, if it is of that piece.
    pub(super) fn take(&mut self, thread: u32, piece: u32) -> Option<Part> {
        self.threads[thread as usize].pop_if(|part| part.0 == piece).map(|part| part.1)
    }
}

/// When, identifier and name.
type Interval = (Span, i64, u32);

/// Cuts pieces of host time where the innermost interval changes: of those that are open the one that began last. The
/// parts of a piece sum to it. The pieces of a thread come in the order of a path, the latest first, and are disjoint.
pub(super) fn split(model: &Model, pieces: &[Piece]) -> Parts {
    let mut threads: Vec<(Vec<&Piece>, Vec<Interval>)> = vec![Default::default(); model.threads.len()];
    for piece in pieces.iter().rev() {
        threads[piece.thread as usize].0.push(piece);
    }
    for call in model.calls.iter().filter(|call| !call.api.launches()) {
        let (pieces, intervals) = &mut threads[call.thread as usize];
        if !pieces.is_empty() {
            intervals.push((call.span, call.id, call.name));
        }
    }
    let nested = |style: RangeStyle| style == RangeStyle::PushPop;
    for range in model.ranges.iter().filter(|range| nested(range.style) && range.place.is_none()) {
        let (pieces, intervals) = &mut threads[range.thread as usize];
        if !pieces.is_empty() {
            intervals.push((range.span, range.id, range.name));
        }
    }
    let parts = |(pieces, mut intervals): (Vec<&Piece>, Vec<Interval>)| {
        intervals.sort_by_key(|(span, id, name)| (span.0, Reverse(span.1), *id, *name));
        sweep(&pieces, &intervals)
    };
    Parts { threads: threads.into_iter().map(parts).collect() }
}

/// Pieces and intervals of a thread by start.
fn sweep(pieces: &[&Piece], intervals: &[Interval]) -> Vec<(u32, Part)> {
    let mut parts = Vec::with_capacity(pieces.len());
    let (mut next, mut open): (usize, Vec<(i64, u32)>) = (0, Vec::new());
    for piece in pieces {
        let (mut at, end) = piece.span;
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
            parts.push((piece.at, ((at, until), open.last().map(|top| top.1))));
            at = until;
        }
    }
    parts
}
