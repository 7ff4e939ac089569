//! Host threads that work in turns: one is silent while another works, and goes on when that one has finished.
//!
//! No tool records which thread waited for which (PyTorch runs the backward pass on a thread of its own while the caller
//! waits). A thread is *silent* where no framework operator and no call of it is open. A silence [s, t) of a thread is
//! taken for a wait for another thread of its process that was itself silent at s and at t and worked in at least half of
//! the time between; of several for the one that worked most. This is a guess, counted among the inferred edges; without
//! recorded operators on both threads there is none.

use std::collections::HashMap;

use super::Builder;
use super::threads::Line;
use crate::model::Api;
use crate::operators::{Span, union};

/// A cluster of calls: line and place in it.
pub(super) type Turn = (usize, usize);

/// For clusters that a silence ends before: the cluster of another line that was waited for.
pub(super) fn handoffs(builder: &Builder, lines: &[Line]) -> HashMap<Turn, Turn> {
    let mut turns = HashMap::new();
    let busy = busy(builder, lines);
    let process = |at: &usize| {
        let thread = builder.model.threads[lines[*at].thread as usize];
        (thread.rank, thread.process)
    };
    let all: Vec<usize> = (0..lines.len()).collect();
    // Lines are sorted by rank, process and thread.
    for group in all.chunk_by(|a, b| process(a) == process(b)) {
        let group: Vec<usize> = group.iter().copied().filter(|line| !busy[*line].is_empty()).collect();
        let Some(begin) = group.iter().map(|line| busy[*line][0].0).min().filter(|_| group.len() > 1) else { continue };
        for own in &group {
            silences(lines, &busy, &group, *own, begin, &mut turns);
        }
    }
    turns
}

/// When each line was not silent, as a set; empty for lines without operators.
fn busy(builder: &Builder, lines: &[Line]) -> Vec<Vec<Span>> {
    let places: HashMap<_, usize> = lines.iter().enumerate().map(|(at, line)| (line.thread, at)).collect();
    let mut spans: Vec<Vec<Span>> = vec![Vec::new(); lines.len()];
    for call in builder.model.calls.iter().filter(|call| call.api == Api::Op) {
        if let Some(line) = places.get(&call.thread) {
            spans[*line].push(call.span);
        }
    }
    let with_calls = |(line, mut operators): (&Line, Vec<Span>)| {
        if !operators.is_empty() {
            operators.extend(line.clusters.iter().map(|cluster| cluster.span));
        }
        union(&operators)
    };
    lines.iter().zip(spans).map(with_calls).collect()
}

/// Finds the turns that the silences of one line end: one sweep over it and each other line of the process.
fn silences(
    lines: &[Line],
    busy: &[Vec<Span>],
    group: &[usize],
    own: usize,
    begin: i64,
    turns: &mut HashMap<Turn, Turn>,
) {
    let ends = std::iter::once(begin).chain(busy[own].iter().map(|span| span.1));
    let gaps = ends.zip(busy[own].iter().map(|span| span.0)).filter(|gap| gap.0 < gap.1);
    let mut cursors = vec![0; lines.len()];
    for gap in gaps {
        let mut best: Option<(i64, usize)> = None;
        for other in group.iter().copied().filter(|other| *other != own) {
            let worked = worked(&busy[other], &mut cursors[other], gap);
            if worked.is_some_and(|worked| {
                worked >= gap.1.saturating_sub(gap.0) / 2 && best.is_none_or(|best| best.0 < worked)
            }) {
                best = worked.map(|worked| (worked, other));
            }
        }
        let Some((_, other)) = best else { continue };
        let next = lines[own].clusters.partition_point(|cluster| cluster.span.0 < gap.1);
        let clusters = &lines[other].clusters;
        let last = clusters.partition_point(|cluster| cluster.span.1 <= gap.1).checked_sub(1);
        // Of several silences before one call the last counts.
        if let Some(last) = last.filter(|last| clusters[*last].span.0 >= gap.0 && next < lines[own].clusters.len()) {
            turns.insert((own, next), (other, last));
        }
    }
}

/// How long a line worked inside a gap; `None` where it also worked across one of its ends, or not at all.
fn worked(busy: &[Span], cursor: &mut usize, gap: Span) -> Option<i64> {
    while busy.get(*cursor).is_some_and(|span| span.1 <= gap.0) {
        *cursor += 1;
    }
    let inside = busy[*cursor..].iter().take_while(|span| span.0 < gap.1);
    let mut total = None;
    for span in inside {
        if span.0 < gap.0 || span.1 > gap.1 {
            return None;
        }
        total = Some(total.unwrap_or(0_i64).saturating_add(span.1.saturating_sub(span.0)));
    }
    total
}
