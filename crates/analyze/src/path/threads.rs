//! Host threads: their calls one after the other, what each launched, and what it waited for.

use std::cmp::Reverse;

use proftool_timeline::graph::{Anchor, Kind};

use super::handoffs::{Turn, handoffs};
use super::waits::Waits;
use super::{Builder, NONE, Node};
use crate::operators::Span;

/// Calls of one thread that overlap: the first of them, how many, and the whole.
pub(super) struct Cluster {
    first: usize,
    count: usize,
    pub(super) span: Span,
}

/// A host thread with its calls.
pub(super) struct Line<'c> {
    /// As a place in the model's threads.
    pub(super) thread: u32,
    pub(super) rank: i64,
    calls: &'c [u32],
    pub(super) clusters: Vec<Cluster>,
}

impl Builder<'_> {
    /// The runtime and driver calls of the scope, thread by thread in the order of their starts, an outer call before
    /// those inside.
    pub(super) fn ordered_calls(&self) -> Vec<u32> {
        let calls = &self.model.calls;
        let own = |at: &u32| {
            let call = &calls[*at as usize];
            call.api.launches() && self.shifts.contains_key(&call.rank)
        };
        let mut order: Vec<u32> = (0..calls.len() as u32).filter(own).collect();
        let key = |at: &u32| {
            let call = &calls[*at as usize];
            (call.thread, call.span.0, Reverse(call.span.1), call.id)
        };
        if !order.is_sorted_by_key(key) {
            order.sort_by_key(key);
        }
        order
    }

    /// Makes the nodes of the host threads.
    pub(super) fn threads(&mut self) {
        let model = self.model;
        let order = self.ordered_calls();
        // A call is mostly the host time before it and itself.
        self.nodes.reserve(2 * order.len());
        self.operations.reserve(2 * order.len());
        let waits = Waits::of(self);
        self.calls = vec![NONE; model.calls.len()];
        let key = |at: &u32| model.calls[*at as usize].thread;
        let lines: Vec<Line> = order.chunk_by(|a, b| key(a) == key(b)).map(|calls| self.line(calls)).collect();
        let turns = handoffs(self, &lines);
        // By line and cluster: the nodes that it comes after on its thread and that end it.
        let mut ends: Vec<Vec<(u32, u32)>> = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            let mut before = None;
            let mut nodes = Vec::with_capacity(line.clusters.len());
            for (place, cluster) in line.clusters.iter().enumerate() {
                let turn = turns.get(&(at, place)).map(|turn| lines[turn.0].clusters[turn.1].span.1);
                let begun = self.host_time(line, cluster, before, turn);
                let end = self.call(line, cluster, begun, &waits);
                nodes.push((begun.unwrap_or(NONE), end));
                before = Some(end);
            }
            ends.push(nodes);
        }
        let mut turns: Vec<(Turn, Turn)> = turns.into_iter().collect();
        turns.sort_unstable();
        self.inferred += turns.len() as u64;
        for (own, other) in turns {
            self.edge(ends[other.0][other.1].1, ends[own.0][own.1].0, Kind::Host, Anchor::End);
        }
    }

    fn line<'c>(&self, calls: &'c [u32]) -> Line<'c> {
        let span = |at: u32| self.model.calls[at as usize].span;
        let mut clusters: Vec<Cluster> = Vec::new();
        for (first, call) in calls.iter().enumerate() {
            let span = span(*call);
            match clusters.last_mut() {
                Some(last) if span.0 < last.span.1 || span == last.span => {
                    last.count += 1;
                    last.span.1 = last.span.1.max(span.1);
                }
                _ => clusters.push(Cluster { first, count: 1, span }),
            }
        }
        let first = &self.model.calls[calls[0] as usize];
        Line { thread: first.thread, rank: first.rank, calls, clusters }
    }

    /// Makes the host time before a call, after the node that the thread ended before; where it was another thread's
    /// turn until some instant (in the rank's time), only from then on. Returns what the call comes after.
    fn host_time(&mut self, line: &Line, cluster: &Cluster, before: Option<u32>, turn: Option<i64>) -> Option<u32> {
        let call = line.calls[cluster.first];
        let start = self.shifted(line.rank, cluster.span).0;
        let turn = turn.map(|turn| self.shifted(line.rank, (turn, turn)).0.min(start));
        let ended = before.map(|before| self.operations[before as usize].span.1);
        let from = turn.or(ended)?;
        // A turn is kept as a node of its own even where no time is left, so that its edge has a place.
        if turn.is_none() && from >= start {
            return before;
        }
        let host = self.node(Node::Host(call), (from, start));
        if let Some(before) = before {
            self.edge(before, host, Kind::Host, Anchor::End);
        }
        Some(host)
    }

    /// Makes the nodes of a call after the node given; returns the node that ends it.
    fn call(&mut self, line: &Line, cluster: &Cluster, before: Option<u32>, waits: &Waits) -> u32 {
        let calls = &line.calls[cluster.first..cluster.first + cluster.count];
        let span = self.shifted(line.rank, cluster.span);
        let awaited: Vec<u32> = calls.iter().flat_map(|call| waits.of_call(self, *call)).collect();
        let waiting = !awaited.is_empty();
        let (node, until) = if waiting { (Node::Enter(calls[0]), span.0) } else { (Node::Call(calls[0]), span.1) };
        let enter = self.node(node, (span.0, until));
        if let Some(before) = before {
            self.edge(before, enter, Kind::Host, Anchor::End);
        }
        for call in calls {
            self.calls[*call as usize] = enter;
        }
        if !waiting {
            return enter;
        }
        let ends = awaited.iter().map(|at| self.operations[self.tails[*at as usize] as usize].span.1);
        let ready = ends.filter(|end| *end <= span.1).max().map_or(span.0, |end| end.max(span.0));
        let back = self.node(Node::Return(calls[0]), (ready, span.1));
        self.edge(enter, back, Kind::Host, Anchor::End);
        for at in awaited {
            self.edge(self.tails[at as usize], back, Kind::Sync, Anchor::End);
        }
        back
    }

    /// Launch edges: from the end of the call, or from its begin where the work began before it ended.
    pub(super) fn launches(&mut self) {
        let launched = std::mem::take(&mut self.launched);
        for (call, at) in &launched {
            let (from, to) = (self.calls[*call as usize], self.heads[*at as usize]);
            if from == NONE {
                continue;
            }
            let during = self.operations[to as usize].span.0 < self.operations[from as usize].span.1;
            self.edge(from, to, Kind::Launch, if during { Anchor::Start } else { Anchor::End });
        }
        self.launched = launched;
        self.graph_edges();
    }
}
