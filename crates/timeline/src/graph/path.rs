//! The critical path: what the end of a window waited for, step by step.

use super::{Anchor, Kind, View};
use crate::operators::Span;

/// What a piece of the path was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The operation ran.
    Operation,
    /// The operation had not started though its inputs were ready; the kind is that of the last of them.
    Lag(Kind),
    /// Before the first operation of the path, which waited for nothing that is known.
    Start,
    /// After the last work.
    Tail,
}

/// A piece of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The operation that it is of: the one that ran or waited, or (tail) the last; `None` without work.
    pub operation: Option<u32>,
    /// What it was spent on.
    pub part: Part,
    /// When; never empty.
    pub span: Span,
}

impl View<'_> {
    /// The path of the window, from its end to its start: from the work that ends last back over the inputs that were
    /// ready last. The pieces touch, so that their lengths sum to the window exactly.
    pub fn path(&self) -> Vec<Piece> {
        let mut path = Path { pieces: Vec::new(), floor: self.window.0, at: self.window.1 };
        let Some(sink) = self.sink else {
            path.until(self.window.0, None, Part::Tail);
            return path.pieces;
        };
        let number = |place: u32| Some(self.graph.numbers[place as usize]);
        path.until(self.cut(sink as usize), number(sink), Part::Tail);
        let mut next = Some((sink, Anchor::End));
        while let Some((place, anchor)) = next.filter(|_| path.at > path.floor) {
            if anchor == Anchor::End {
                path.until(self.graph.starts[place as usize], number(place), Part::Operation);
            }
            next = self.graph.binding_of(place).map(|(from, (kind, anchor), ready)| {
                path.until(ready, number(place), Part::Lag(kind));
                (from, anchor)
            });
            if next.is_none() {
                path.until(path.floor, number(place), Part::Start);
            }
        }
        path.pieces
    }
}

struct Path {
    pieces: Vec<Piece>,
    floor: i64,
    at: i64,
}

impl Path {
    /// Goes back to an instant, but not before the window.
    fn until(&mut self, instant: i64, operation: Option<u32>, part: Part) {
        let start = instant.max(self.floor);
        if start < self.at {
            self.pieces.push(Piece { operation, part, span: (start, self.at) });
            self.at = start;
        }
    }
}
