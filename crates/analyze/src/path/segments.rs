//! The critical path of a window in words: what each piece was spent on.

use std::rc::Rc;

use proftool_timeline::graph::{Kind, Part, Piece, View};

use super::hosts::{self, Parts, split};
use super::{Node, Scope};
use crate::model::Call;
use crate::operators::Span;

/// What a segment of the path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum What {
    /// A device worked.
    Operation,
    /// A host call ran.
    Call,
    /// A host call had not returned though what it waited for was done.
    Return,
    /// The host was between calls.
    Host,
    /// The launching call had ended (or begun, for work that began during it) and the work had not begun.
    Launch,
    /// The queue was free and the launch done, and the work had not begun.
    Queue,
    /// A dependency of the work had ended, and it had not begun.
    Dependency,
    /// All had arrived at a collective, and it had not begun.
    Collective,
    /// The queue was free and the work had not begun; its launch is not recorded.
    Unexplained,
    /// Before the first operation of the path: nothing that it waited for is recorded.
    Start,
    /// After the last work of the window.
    Tail,
    /// No segment of a path: the answer to a question about kernels that a user names.
    Free,
}

impl What {
    /// Every kind and its name in results.
    const ALL: [(Self, &'static str); 12] = [
        (Self::Operation, "operation"),
        (Self::Call, "call"),
        (Self::Return, "return"),
        (Self::Host, "host"),
        (Self::Launch, "launch"),
        (Self::Queue, "queue"),
        (Self::Dependency, "dependency"),
        (Self::Collective, "collective"),
        (Self::Unexplained, "unexplained"),
        (Self::Start, "start"),
        (Self::Tail, "tail"),
        (Self::Free, "free"),
    ];

    /// The name in results.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// A segment of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) what: What,
    /// The node that ran or waited.
    pub(crate) node: Option<u32>,
    /// Number of the name: of the kernel, of the call, or of what the host was doing; `None` for waits.
    pub(crate) name: Option<u32>,
    /// In the scope's time.
    pub(crate) span: Span,
}

impl Scope<'_> {
    /// The segments of a window's path, the last first; their lengths sum to the window.
    pub(crate) fn segments(&self, view: &View) -> Rc<Vec<Segment>> {
        if let Some(known) = self.segments.borrow().get(&view.window()) {
            return Rc::clone(known);
        }
        let found = Rc::new(self.find_segments(view));
        self.segments.borrow_mut().insert(view.window(), Rc::clone(&found));
        found
    }

    fn find_segments(&self, view: &View) -> Vec<Segment> {
        let path = view.path();
        let mut hosts = self.host_parts(&path);
        let mut segments = Vec::with_capacity(path.len() + hosts.count());
        for (at, piece) in path.iter().enumerate() {
            let (what, name) = self.what(piece);
            let Some(call) = self.host(piece) else {
                segments.push(Segment { what, node: piece.operation, name, span: piece.span });
                continue;
            };
            while let Some((span, name)) = hosts.take(call.thread, at as u32) {
                segments.push(Segment { what, node: piece.operation, name, span: self.common(call.rank, span) });
            }
        }
        debug_assert_eq!(hosts.count(), 0, "the pieces of a thread come the latest first");
        segments.shrink_to_fit();
        segments
    }

    /// The call before which a piece is host time.
    fn host(&self, piece: &Piece) -> Option<&Call> {
        let node = piece.operation.filter(|_| piece.part == Part::Operation)?;
        let Node::Host(call) = self.nodes[node as usize] else { return None };
        Some(&self.model.calls[call as usize])
    }

    fn what(&self, piece: &Piece) -> (What, Option<u32>) {
        let Some(node) = piece.operation else { return (What::Tail, None) };
        let row = self.activity(node);
        let call = || self.call(node).map(|call| self.model.calls[call as usize].name);
        match (piece.part, self.nodes[node as usize]) {
            (Part::Tail, _) => (What::Tail, None),
            (Part::Start, _) => (What::Start, None),
            (Part::Operation, Node::Host(_)) => (What::Host, None),
            (Part::Operation, Node::Return(_)) if self.is_released(node) => (What::Return, call()),
            (Part::Operation, _) => match row {
                Some(row) => (What::Operation, Some(row.name)),
                None => (What::Call, call()),
            },
            (Part::Lag(_), _) if row.is_none() => (What::Call, call()),
            (Part::Lag(Kind::Launch | Kind::Host | Kind::Sync), _) => (What::Launch, None),
            (Part::Lag(Kind::Queue), _) if self.graph.has_input(node, Kind::Launch) => (What::Queue, None),
            (Part::Lag(Kind::Queue), _) => (What::Unexplained, None),
            (Part::Lag(Kind::Data | Kind::Event), _) => (What::Dependency, None),
            (Part::Lag(Kind::Collective), _) => (What::Collective, None),
        }
    }

    /// Whether a call returned because of a device.
    fn is_released(&self, node: u32) -> bool {
        self.graph.bound_by(node).is_some_and(|(_, kind, _)| kind == Kind::Sync)
    }

    /// The host pieces of a path by what the thread was doing.
    fn host_parts(&self, path: &[Piece]) -> Parts {
        let piece = |(at, piece): (usize, &Piece)| {
            let call = self.host(piece)?;
            Some(hosts::Piece { at: at as u32, thread: call.thread, span: self.own(call.rank, piece.span) })
        };
        split(self.model, &path.iter().enumerate().filter_map(piece).collect::<Vec<_>>())
    }

    fn shift(&self, rank: i64) -> i64 {
        self.shifts.get(&rank).copied().unwrap_or(0)
    }

    /// A span of the scope's time in the time of a rank.
    pub(crate) fn own(&self, rank: i64, span: Span) -> Span {
        let add = self.shift(rank);
        (span.0.saturating_sub(add), span.1.saturating_sub(add))
    }

    /// A span of a rank in the scope's time.
    pub(crate) fn common(&self, rank: i64, span: Span) -> Span {
        let add = self.shift(rank);
        (span.0.saturating_add(add), span.1.saturating_add(add))
    }
}
