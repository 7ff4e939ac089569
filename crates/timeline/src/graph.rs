//! Graphs of operations: earliest schedule, critical path, slack, and what would change if an operation took no time.
//!
//! An operation has a recorded start and end. An edge says that one could not start before another ended (or, for work
//! that a queue lets overlap, began). What remains between the moment when all inputs were ready and the recorded start
//! is the operation's *lag*:
//!
//! ```text
//! ready(v) = max over edges (u, v) of end(u) or start(u)      lag(v) = start(v) - ready(v) >= 0
//! start(v) = ready(v) + lag(v)                                end(v) = start(v) + duration(v)
//! ```
//!
//! Lags and durations are kept when the schedule is computed again with some durations changed, so that an unchanged
//! graph gives the recorded times back exactly. An operation without inputs starts when it was recorded to start.
//!
//! Questions are asked about a window ([`Graph::view`]): its path ([`View::path`]) sums to its length exactly,
//! [`View::slack`] is how much longer an operation could take, [`View::end_without`] when the work would end if some
//! operations took no time. Everything is near-linear: one sort, then sweeps over edges stored by their targets.

mod build;
mod path;
mod schedule;
#[cfg(test)]
mod tests;

pub use path::{Part, Piece};

use crate::operators::Span;

/// Times beyond this (146 years either side) are drawn in to it: all differences then fit 64 bits.
pub const FURTHEST: i64 = (1 << 62) - 1;

/// Why an operation could not start earlier. The order decides between inputs that were ready at the same instant: what
/// the program states comes first, then the device's order, then the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A result that is read.
    Data,
    /// An event that is waited for.
    Event,
    /// All members of a collective have arrived.
    Collective,
    /// The order of a queue.
    Queue,
    /// A host call that waits for a device.
    Sync,
    /// A launch.
    Launch,
    /// The order of a host thread.
    Host,
}

impl Kind {
    /// Every kind and its name in results.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Data, "data"),
        (Self::Event, "event"),
        (Self::Collective, "collective"),
        (Self::Queue, "queue"),
        (Self::Sync, "sync"),
        (Self::Launch, "launch"),
        (Self::Host, "host"),
    ];

    /// The name in results.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which instant of the input an edge waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anchor {
    /// Its end.
    End,
    /// Its start: what follows may overlap it.
    Start,
}

/// One operation as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Start and end; an end before the start counts as the start.
    pub span: Span,
    /// Whether the work is done only when it ends; others (host calls) matter by what they hold back.
    pub work: bool,
}

/// `to` could not start before `from` ended or began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Number of the operation that came first.
    pub from: u32,
    /// Number of the operation that waited.
    pub to: u32,
    /// Why.
    pub kind: Kind,
    /// For which instant.
    pub anchor: Anchor,
}

/// Edges that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The times contradict it: the input was ready only after the start.
    pub contradicted: u64,
    /// It would close a cycle (among operations that start at the same instant; all other cycles contradict times).
    pub cyclic: u64,
    /// It names an operation that does not exist, or one twice.
    pub invalid: u64,
}

/// Operations in an order in which each comes after its inputs and no later one starts earlier.
///
/// Inside, an operation is its *place* in that order; the functions take and return the caller's numbers.
#[derive(Debug, Default)]
pub struct Graph {
    starts: Vec<i64>,
    ends: Vec<i64>,
    lags: Vec<i64>,
    work: Vec<bool>,
    /// Edges by target: those of place v are `offsets[v]..offsets[v + 1]`.
    offsets: Vec<u32>,
    inputs: Vec<u32>,
    tags: Vec<(Kind, Anchor)>,
    /// The edge that was ready last, or [`NONE`].
    binding: Vec<u32>,
    /// Of all work up to a place, the place whose end is the latest, or [`NONE`].
    latest: Vec<u32>,
    /// The caller's number of a place, and the reverse.
    numbers: Vec<u32>,
    places: Vec<u32>,
    dropped: Dropped,
}

/// No edge, no place.
const NONE: u32 = u32::MAX;

impl Graph {
    /// A graph; operations are numbered in the order given, at most 2^32 - 2 of them. Edges may come in any order and
    /// more than once; those that contradict the times or close a cycle are left out and counted.
    pub fn new(operations: &[Operation], edges: &[Edge]) -> Self {
        build::graph(operations, edges)
    }

    /// What was left out.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it has no operation.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Number of edges that were kept.
    pub fn edges(&self) -> usize {
        self.inputs.len()
    }

    /// How long an operation waited after all its inputs were ready; without inputs 0.
    pub fn lag(&self, operation: u32) -> i64 {
        self.lags[self.places[operation as usize] as usize]
    }

    /// The recorded start and end of an operation, drawn in to [`FURTHEST`].
    pub fn span(&self, operation: u32) -> Span {
        let place = self.places[operation as usize] as usize;
        (self.starts[place], self.ends[place])
    }

    /// The input that was ready last: its number, why it was waited for, and for which instant.
    pub fn bound_by(&self, operation: u32) -> Option<(u32, Kind, Anchor)> {
        let (from, (kind, anchor), _) = self.binding_of(self.places[operation as usize])?;
        Some((self.numbers[from as usize], kind, anchor))
    }

    /// Whether it has an input of that kind.
    pub fn has_input(&self, operation: u32, kind: Kind) -> bool {
        let place = self.places[operation as usize] as usize;
        self.tags[self.edges_of(place)].iter().any(|tag| tag.0 == kind)
    }

    /// The part of the graph that a window shows.
    pub fn view(&self, window: Span) -> View<'_> {
        View::new(self, window)
    }

    fn edges_of(&self, place: usize) -> std::ops::Range<usize> {
        self.offsets[place] as usize..self.offsets[place + 1] as usize
    }

    /// Place, tag and instant of the input that was ready last.
    fn binding_of(&self, place: u32) -> Option<(u32, (Kind, Anchor), i64)> {
        let edge = self.binding[place as usize];
        if edge == NONE {
            return None;
        }
        let (from, tag) = (self.inputs[edge as usize], self.tags[edge as usize]);
        Some((from, tag, self.instant(from, tag.1)))
    }

    fn instant(&self, place: u32, anchor: Anchor) -> i64 {
        match anchor {
            Anchor::End => self.ends[place as usize],
            Anchor::Start => self.starts[place as usize],
        }
    }
}

/// A window of a graph. What began before it stands as recorded; what runs past its end is cut there.
#[derive(Clone, Copy, Debug)]
pub struct View<'g> {
    graph: &'g Graph,
    window: Span,
    /// Places that begin inside.
    first: usize,
    last: usize,
    /// The work that ends last.
    sink: Option<u32>,
}

impl<'g> View<'g> {
    fn new(graph: &'g Graph, window: Span) -> Self {
        let window = (window.0.clamp(-FURTHEST, FURTHEST), window.1.clamp(-FURTHEST, FURTHEST));
        let window = (window.0, window.1.max(window.0));
        let first = graph.starts.partition_point(|start| *start < window.0);
        let last = graph.starts.partition_point(|start| *start < window.1);
        let latest = last.checked_sub(1).map_or(NONE, |last| graph.latest[last]);
        let runs = |place: u32| graph.ends[place as usize].min(window.1) > window.0;
        let sink = Some(latest).filter(|place| *place != NONE && runs(*place));
        Self { graph, window, first, last, sink }
    }

    /// The window, its times drawn in to [`FURTHEST`].
    pub fn window(&self) -> Span {
        self.window
    }

    /// The numbers of the operations that begin in the window.
    pub fn operations(&self) -> &'g [u32] {
        &self.graph.numbers[self.first..self.last]
    }

    /// When the last work of the window ended, at most its end; `None` without work.
    pub fn end(&self) -> Option<i64> {
        self.sink.map(|sink| self.cut(sink as usize))
    }

    /// The end of a place inside the window.
    fn cut(&self, place: usize) -> i64 {
        self.graph.ends[place].min(self.window.1)
    }
}
