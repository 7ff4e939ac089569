//! Nodes of the activities, their launches, and the order of their queues.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use proftool_timeline::graph::{Anchor, Kind};

use super::{Builder, NONE, Node};
use crate::classes::Kind as Row;
use crate::clock::Group;
use crate::model::{DeviceKey, Edge};
use crate::operators::Span;

impl Builder<'_> {
    /// Makes the nodes of all activities of the scope's ranks.
    pub(super) fn activities(&mut self, groups: &[&Group]) {
        let model = self.model;
        for group in groups {
            self.collective(group);
        }
        for (at, row) in model.activities.iter().enumerate() {
            if row.kind == Row::Sync || !self.shifts.contains_key(&row.device.0) {
                continue;
            }
            let at = at as u32;
            self.launched.extend(row.call.map(|call| (call, at)));
            if self.heads[at as usize] == NONE {
                let node = self.node(Node::Activity(at), self.shifted(row.device.0, row.span));
                (self.heads[at as usize], self.tails[at as usize]) = (node, node);
            }
        }
        self.launched.sort_unstable();
    }

    /// Makes the nodes of a collective: arrivals, the meeting, transfers. A member that ended before the last one arrived
    /// cannot have waited for it (the clocks are off by more than the transfer takes): it stands alone.
    fn collective(&mut self, group: &Group) {
        let model = self.model;
        let span =
            |at: &u32| self.shifted(model.activities[*at as usize].device.0, model.activities[*at as usize].span);
        let members: Vec<(u32, Span)> = group.members.iter().map(|at| (*at, span(at))).collect();
        let Some(last) = members.iter().map(|(_, span)| span.0).max() else { return };
        let (together, alone): (Vec<_>, Vec<_>) = members.into_iter().partition(|(_, span)| span.1 >= last);
        self.impossible += alone.len() as u64;
        if together.len() < 2 || together.iter().any(|(at, _)| self.heads[*at as usize] != NONE) {
            return;
        }
        let meeting = self.node(Node::Meeting, (last, last));
        for (at, span) in together {
            let head = self.node(Node::Arrival(at), (span.0, span.0));
            let tail = self.node(Node::Activity(at), (last, span.1));
            self.edge(head, meeting, Kind::Collective, Anchor::End);
            self.edge(meeting, tail, Kind::Collective, Anchor::End);
            (self.heads[at as usize], self.tails[at as usize]) = (head, tail);
        }
    }

    /// The order of each queue.
    pub(super) fn queues(&mut self) {
        let model = self.model;
        let mut queues: HashMap<(DeviceKey, i64), Sweep> = HashMap::new();
        for (at, row) in model.activities.iter().enumerate() {
            let Some(queue) = row.queue.filter(|_| self.heads[at] != NONE) else { continue };
            let sweep = queues.entry((row.device, queue)).or_default();
            let (finished, running) = sweep.next(row.span, at as u32);
            if let Some(before) = finished {
                self.edge(self.tails[before as usize], self.heads[at], Kind::Queue, Anchor::End);
            }
            if let Some(before) = running {
                self.edge(self.heads[before as usize], self.heads[at], Kind::Queue, Anchor::Start);
            }
        }
    }

    /// Rows of `dependencies`.
    pub(super) fn declared(&mut self) {
        if !self.model.has_dependencies {
            return;
        }
        for at in 0..self.heads.len() {
            for (input, kind) in self.model.inputs(at) {
                let kind = match kind {
                    Edge::Data => Kind::Data,
                    Edge::Event => Kind::Event,
                    Edge::Queue => Kind::Queue,
                    Edge::Collective => Kind::Collective,
                    Edge::Launch => Kind::Launch,
                };
                self.edge(self.tails[input], self.heads[at], kind, Anchor::End);
            }
        }
    }

    /// Inside one graph launch, the first node of each further queue follows the nearest earlier end: a guess, since no
    /// tool records the edges of a graph.
    pub(super) fn graph_edges(&mut self) {
        let model = self.model;
        let launched = std::mem::take(&mut self.launched);
        for nodes in launched.chunk_by(|a, b| a.0 == b.0).filter(|nodes| nodes.len() > 1) {
            let row = |at: u32| &model.activities[at as usize];
            let mut nodes: Vec<u32> = nodes.iter().map(|pair| pair.1).collect();
            nodes.sort_by_key(|at| (row(*at).span.0, *at));
            let (mut sweep, mut seen) = (Sweep::default(), HashSet::new());
            for at in nodes {
                let (finished, _) = sweep.next(row(at).span, at);
                if let Some(before) = finished.filter(|_| seen.insert((row(at).device, row(at).queue))) {
                    self.infer(self.tails[before as usize], self.heads[at as usize]);
                }
                seen.insert((row(at).device, row(at).queue));
            }
        }
        self.launched = launched;
    }
}

/// Rows in the order of their starts: which of those before ended last, and which still runs longest.
#[derive(Default)]
pub(super) struct Sweep {
    finished: Option<(i64, u32)>,
    running: BinaryHeap<Reverse<(i64, u32)>>,
    longest: Option<(i64, u32)>,
}

impl Sweep {
    /// The row that ended last at or before this one's start, and the one with the latest end where that is after it.
    fn next(&mut self, span: Span, at: u32) -> (Option<u32>, Option<u32>) {
        while let Some(Reverse(ended)) = self.running.peek().copied().filter(|row| row.0.0 <= span.0) {
            self.running.pop();
            self.finished = self.finished.max(Some(ended));
        }
        let longest = self.longest.filter(|row| row.0 > span.0).map(|row| row.1);
        self.running.push(Reverse((span.1, at)));
        self.longest = self.longest.max(Some((span.1, at)));
        (self.finished.map(|row| row.1), longest)
    }
}
