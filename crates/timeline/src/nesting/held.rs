//! What ranges of one lane hold: sums over the calls that began at or after an instant, of those that have entered.
//!
//! Counts, first start and last end are a Fenwick tree over the calls in the order of their starts. The union is kept there
//! too: each nanosecond that any entered operation covers is booked on the latest-begun call that covers it, so the
//! union of all calls since some start is the sum of what is booked on them. A call that enters takes over what earlier
//! begun ones had; a segment tree with "raise to at least" finds it (Ji's segment tree beats: of each node the least
//! owner, the second least, and the time that belongs to the least), in amortized O(log^2) a call for any nesting of calls.

use crate::operators::Span;

/// Sums over calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) launches: u32,
    pub(super) operations: u32,
    /// Sum of durations in ns.
    pub(super) work: u64,
    /// Length of the union in ns.
    pub(super) busy: u64,
    pub(super) first: i64,
    pub(super) last: i64,
}

const NOTHING: Sums = Sums { launches: 0, operations: 0, work: 0, busy: 0, first: i64::MAX, last: i64::MIN };

impl Sums {
    fn add(&mut self, other: &Self) {
        self.launches += other.launches;
        self.operations += other.operations;
        self.work = self.work.saturating_add(other.work);
        // Parts of a sum may be negative, the whole never is.
        self.busy = self.busy.wrapping_add(other.busy);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// The calls that have entered.
pub(super) struct Held {
    /// A Fenwick tree over the calls, the last to begin first.
    sums: Vec<Sums>,
    cover: Cover,
}

impl Held {
    /// For that many calls whose operations have those times.
    pub(super) fn new(spans: impl Iterator<Item = Span>, launches: usize) -> Self {
        Self { sums: vec![NOTHING; launches], cover: Cover::new(spans) }
    }

    /// Takes in a call, numbered by its start, with the times of its operations.
    pub(super) fn enter(&mut self, launch: u32, spans: impl Iterator<Item = Span>) {
        let mut entering = Sums { launches: 1, ..NOTHING };
        for (start, end) in spans {
            let one = Sums { operations: 1, work: end.abs_diff(start), first: start, last: end, ..NOTHING };
            entering.add(&one);
            let sums = &mut self.sums;
            self.cover.raise((start, end), launch + 1, &mut |from, mass| {
                if from > 0 {
                    book(sums, from - 1, &Sums { busy: mass.wrapping_neg(), ..NOTHING });
                }
                book(sums, launch, &Sums { busy: mass, ..NOTHING });
            });
        }
        book(&mut self.sums, launch, &entering);
    }

    /// Sums over the calls from that number on.
    pub(super) fn since(&self, launch: usize) -> Sums {
        let (mut sums, mut count) = (NOTHING, self.sums.len().saturating_sub(launch));
        while count > 0 {
            sums.add(&self.sums[count - 1]);
            count &= count - 1;
        }
        sums
    }
}

fn book(sums: &mut [Sums], launch: u32, more: &Sums) {
    let mut at = sums.len() - 1 - launch as usize;
    while let Some(node) = sums.get_mut(at) {
        node.add(more);
        at |= at + 1;
    }
}

/// Which call owns each nanosecond.
struct Cover {
    /// All starts and ends, sorted: a leaf lies between two neighbours.
    edges: Vec<i64>,
    /// A binary heap of nodes; leaves come last.
    nodes: Vec<Node>,
    leaves: usize,
}

/// Owners are numbers of calls plus 1; 0 is nobody.
#[derive(Clone, Copy, Debug)]
struct Node {
    least: u32,
    second: u32,
    /// Time that belongs to the least, in ns.
    mass: u64,
}

/// What stands for no leaf.
const NO_NODE: Node = Node { least: u32::MAX, second: u32::MAX, mass: 0 };

impl Node {
    fn of(a: Self, b: Self) -> Self {
        let (low, high) = if b.least < a.least { (b, a) } else { (a, b) };
        if low.least == high.least {
            return Self { second: low.second.min(high.second), mass: low.mass.wrapping_add(high.mass), ..low };
        }
        Self { second: low.second.min(high.least), ..low }
    }
}

impl Cover {
    fn new(spans: impl Iterator<Item = Span>) -> Self {
        let mut edges: Vec<i64> = spans.flat_map(|(start, end)| [start, end]).collect();
        edges.sort_unstable();
        edges.dedup();
        let count = edges.len().saturating_sub(1);
        let leaves = count.next_power_of_two();
        let mut nodes = vec![NO_NODE; 2 * leaves];
        for (at, pair) in edges.windows(2).enumerate() {
            nodes[leaves + at] = Node { least: 0, second: u32::MAX, mass: pair[1].abs_diff(pair[0]) };
        }
        for at in (1..leaves).rev() {
            nodes[at] = Node::of(nodes[2 * at], nodes[2 * at + 1]);
        }
        Self { edges, nodes, leaves }
    }

    /// Gives the time of the span to an owner where a lower one has it; `moved` hears from whom, and how many ns.
    fn raise(&mut self, span: Span, owner: u32, moved: &mut impl FnMut(u32, u64)) {
        let place = |time: i64| self.edges.partition_point(|edge| *edge < time);
        let (from, to) = (place(span.0), place(span.1));
        if from < to {
            self.raise_node(1, (0, self.leaves), (from, to), owner, moved);
        }
    }

    fn raise_node(
        &mut self,
        at: usize,
        (low, high): (usize, usize),
        (from, to): (usize, usize),
        owner: u32,
        moved: &mut impl FnMut(u32, u64),
    ) {
        let node = self.nodes[at];
        if high <= from || to <= low || owner <= node.least {
            return;
        }
        if from <= low && high <= to && owner < node.second {
            moved(node.least, node.mass);
            self.nodes[at].least = owner;
            return;
        }
        for child in [2 * at, 2 * at + 1] {
            self.nodes[child].least = self.nodes[child].least.max(node.least);
        }
        let middle = usize::midpoint(low, high);
        self.raise_node(2 * at, (low, middle), (from, to), owner, moved);
        self.raise_node(2 * at + 1, (middle, high), (from, to), owner, moved);
        self.nodes[at] = Node::of(self.nodes[2 * at], self.nodes[2 * at + 1]);
    }
}
