//! The operations of a pass and what each had to wait for, as a graph ([`proftool_timeline::graph`]).
//!
//! Nodes are the activities (not `sync` rows) and, thread by thread, the runtime and driver calls with the host time
//! between them. Calls of a thread that overlap (a driver call inside a runtime call) are one node. A call that waits for
//! a device is two: it *enters*, and it *returns* after what it waited for. A collective that all ranks of its group were
//! seen in is two as well: every member *arrives*; from the last arrival on they transfer.
//!
//! | edge | from | to | source |
//! |---|---|---|---|
//! | launch | the call's end, or its begin where the work began during the call | the activity | recorded |
//! | queue | of the rows of one queue the one that ended last; where rows overlap also the begin of the longest before | the activity | recorded |
//! | data, event, ... | rows of `dependencies` | the activity | recorded |
//! | event | the last launch of a thread before an event record that the same thread then made another queue wait for; inside one graph launch, the nearest earlier end for the first node of each further queue | the next launch on that queue; that node | inferred |
//! | sync | the work that ended last before a blocking call returned, on its queue or device where that is recorded, else of its process; a copy that ran wholly inside its own call | the return of the call | recorded or inferred |
//! | collective | the last arrival of a group | each member's transfer | matched, see [`crate::clock`] |
//! | host | the call before, on the same thread; the last call of a thread whose turn it was | the host time between, and the call | recorded; inferred (the module `handoffs`) |
//!
//! Edges that the times contradict are left out and counted. Ranks share a graph where collectives that align their
//! clocks connect them; any other rank is alone.

mod activities;
mod events;
mod handoffs;
mod hosts;
mod scopes;
mod segments;
mod threads;
mod waits;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::rc::Rc;

use proftool_timeline::graph::{Anchor, Edge, Graph, Kind, Operation, View};

use crate::classes::Class;
use crate::model::{Activity, Model};
use crate::operators::Span;

pub(crate) use scopes::{plans, scopes};
pub(crate) use segments::{Segment, What};

/// What a node of the graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// An activity; of a collective its transfer.
    Activity(u32),
    /// The member of a collective begins.
    Arrival(u32),
    /// All members of a collective have arrived.
    Meeting,
    /// A host call; of several that overlap, the first.
    Call(u32),
    /// A host call that will wait begins.
    Enter(u32),
    /// It returns.
    Return(u32),
    /// Host time on a thread before the call.
    Host(u32),
}

/// Operations of one name (its number) and class.
pub(crate) type Family = (u32, Class);

/// The graph of the ranks that share a time: what is built once for all metrics.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What to add to the times of each rank.
    pub(crate) shifts: BTreeMap<i64, i64>,
    pub(crate) graph: Graph,
    pub(crate) nodes: Vec<Node>,
    /// By activity: the node that begins it; of activities outside the scope [`NONE`].
    pub(crate) heads: Vec<u32>,
    families: Vec<Family>,
    /// By node: the place of its family, or [`NONE`].
    family_of: Vec<u32>,
    /// The segments of the windows that were asked about, which two metrics show.
    segments: RefCell<HashMap<Span, Rc<Vec<Segment>>>>,
    /// Edges that nobody recorded.
    pub(crate) inferred: u64,
    /// Members of collectives whose end lies before the last arrival.
    pub(crate) impossible: u64,
}

/// A graph with the rows that its nodes are about.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'m> {
    pub(crate) model: &'m Model,
    plan: &'m Plan,
}

impl Deref for Scope<'_> {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        self.plan
    }
}

impl<'m> Scope<'m> {
    /// The activity of a node, where it is one.
    pub(crate) fn activity(&self, node: u32) -> Option<&'m Activity> {
        match self.nodes[node as usize] {
            Node::Activity(at) | Node::Arrival(at) => Some(&self.model.activities[at as usize]),
            _ => None,
        }
    }

    /// The host call of a node, by its index in the model.
    pub(crate) fn call(&self, node: u32) -> Option<u32> {
        match self.nodes[node as usize] {
            Node::Call(call) | Node::Enter(call) | Node::Return(call) | Node::Host(call) => Some(call),
            _ => None,
        }
    }

    /// The rank of a node.
    pub(crate) fn rank(&self, node: u32) -> Option<i64> {
        let of_call = |call: u32| self.model.calls[call as usize].rank;
        self.activity(node).map(|row| row.device.0).or_else(|| self.call(node).map(of_call))
    }

    /// How much earlier the last work of the windows would end, summed, if the operations of these families took no time.
    pub(crate) fn saved(&self, views: &[View], free: impl Fn(Family) -> bool) -> i64 {
        let free: Vec<bool> = self.families.iter().map(|family| free(*family)).collect();
        let gone = |node: u32| free.get(self.family_of[node as usize] as usize).copied().unwrap_or(false);
        views.iter().filter_map(|view| Some(view.end()? - view.end_without(gone)?)).sum()
    }

    /// What the results call it.
    pub(crate) fn name(&self) -> String {
        match (self.shifts.first_key_value(), self.shifts.len()) {
            (Some((rank, _)), 1) => format!("rank {rank}"),
            (_, count) => format!("{count} ranks"),
        }
    }
}

/// No node.
const NONE: u32 = u32::MAX;

/// A scope under construction.
struct Builder<'m> {
    model: &'m Model,
    shifts: BTreeMap<i64, i64>,
    nodes: Vec<Node>,
    operations: Vec<Operation>,
    edges: Vec<Edge>,
    /// By activity: the node that begins it and the node that ends it, or [`NONE`].
    heads: Vec<u32>,
    tails: Vec<u32>,
    /// By call: the node that launches, or [`NONE`].
    calls: Vec<u32>,
    /// Call and activity, sorted.
    launched: Vec<(u32, u32)>,
    inferred: u64,
    impossible: u64,
}

impl<'m> Builder<'m> {
    fn new(model: &'m Model, shifts: BTreeMap<i64, i64>) -> Self {
        let count = model.activities.len();
        Self {
            model,
            shifts,
            nodes: Vec::new(),
            operations: Vec::new(),
            edges: Vec::new(),
            heads: vec![NONE; count],
            tails: vec![NONE; count],
            calls: Vec::new(),
            launched: Vec::new(),
            inferred: 0,
            impossible: 0,
        }
    }

    /// A span of a rank in the scope's time.
    fn shifted(&self, rank: i64, span: Span) -> Span {
        let add = self.shifts.get(&rank).copied().unwrap_or(0);
        (span.0.saturating_add(add), span.1.saturating_add(add))
    }

    fn node(&mut self, node: Node, span: Span) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(node);
        self.operations.push(Operation { span, work: matches!(node, Node::Activity(_)) });
        number
    }

    fn edge(&mut self, from: u32, to: u32, kind: Kind, anchor: Anchor) {
        if from != NONE && to != NONE {
            self.edges.push(Edge { from, to, kind, anchor });
        }
    }

    /// An edge between queues that nobody recorded; a guess that the times contradict was a wrong one.
    fn infer(&mut self, from: u32, to: u32) {
        let span = |node: u32| self.operations.get(node as usize).map(|operation| operation.span);
        if span(from).zip(span(to)).is_some_and(|(from, to)| from.1 <= to.0) {
            self.inferred += 1;
            self.edge(from, to, Kind::Event, Anchor::End);
        }
    }

    /// The activities that a call launched.
    fn launched_by(&self, call: u32) -> &[(u32, u32)] {
        let first = self.launched.partition_point(|pair| pair.0 < call);
        let count = self.launched[first..].partition_point(|pair| pair.0 == call);
        &self.launched[first..first + count]
    }

    fn finish(self) -> Plan {
        let graph = Graph::new(&self.operations, &self.edges);
        let (families, family_of) = self.families();
        let Self { shifts, nodes, heads, inferred, impossible, .. } = self;
        let segments = RefCell::default();
        Plan { shifts, graph, nodes, heads, families, family_of, segments, inferred, impossible }
    }

    /// Every family, and that of each node.
    fn families(&self) -> (Vec<Family>, Vec<u32>) {
        let (mut families, mut places) = (Vec::new(), HashMap::new());
        let mut of_node = |node: &Node| {
            let (Node::Activity(at) | Node::Arrival(at)) = node else { return NONE };
            let row = &self.model.activities[*at as usize];
            let family = (row.name, row.class);
            *places.entry(family).or_insert_with(|| {
                families.push(family);
                families.len() as u32 - 1
            })
        };
        let family_of = self.nodes.iter().map(&mut of_node).collect();
        (families, family_of)
    }
}
