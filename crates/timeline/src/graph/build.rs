//! From operations and edges in any order to a graph in the order of its schedule.

use super::{Anchor, Dropped, Edge, FURTHEST, Graph, Kind, NONE, Operation};

pub(super) fn graph(operations: &[Operation], edges: &[Edge]) -> Graph {
    let operations = &operations[..operations.len().min(NONE as usize - 1)];
    let mut graph = ordered(operations);
    let kept = graph.checked(edges);
    if !graph.link(&kept) {
        let order = graph.tie_order();
        graph.reorder(&order);
        graph.link(&kept);
    }
    graph.finish();
    graph
}

/// The operations by start, then end, then number.
fn ordered(operations: &[Operation]) -> Graph {
    let near = |time: i64| time.clamp(-FURTHEST, FURTHEST);
    let keys = operations.iter().enumerate().map(|(number, operation)| {
        let start = near(operation.span.0);
        (start, near(operation.span.1).max(start), number as u32)
    });
    let mut keys: Vec<(i64, i64, u32)> = keys.collect();
    if !keys.is_sorted() {
        keys.sort_unstable();
    }
    let mut graph = Graph {
        starts: keys.iter().map(|key| key.0).collect(),
        ends: keys.iter().map(|key| key.1).collect(),
        work: keys.iter().map(|key| operations[key.2 as usize].work).collect(),
        numbers: keys.iter().map(|key| key.2).collect(),
        ..Graph::default()
    };
    graph.number();
    graph
}

impl Graph {
    fn number(&mut self) {
        self.places = vec![0; self.numbers.len()];
        for (place, number) in self.numbers.iter().enumerate() {
            self.places[*number as usize] = place as u32;
        }
    }

    /// The edges that name two operations and do not contradict their times, by the caller's numbers.
    fn checked(&mut self, edges: &[Edge]) -> Vec<Edge> {
        let mut dropped = Dropped::default();
        let count = self.len();
        let fits = |edge: &&Edge| {
            let (from, to) = (edge.from as usize, edge.to as usize);
            if from >= count || to >= count || from == to {
                dropped.invalid += 1;
                return false;
            }
            let late = self.instant(self.places[from], edge.anchor) > self.starts[self.places[to] as usize];
            dropped.contradicted += u64::from(late);
            !late
        };
        let kept = edges.iter().filter(fits).copied().collect();
        self.dropped = dropped;
        kept
    }

    /// Stores the edges by target. Answers whether each comes from an earlier place; a second call (after
    /// [`Self::tie_order`]) drops those that don't.
    fn link(&mut self, edges: &[Edge]) -> bool {
        let first = self.offsets.is_empty();
        let places = |edge: &Edge| (self.places[edge.from as usize], self.places[edge.to as usize]);
        let wrong = edges.iter().map(places).filter(|(from, to)| from > to).count() as u64;
        let usable = |(from, to): (u32, u32)| first || from < to;
        let mut offsets = vec![0_u32; self.len() + 2];
        for to in edges.iter().map(places).filter(|pair| usable(*pair)).map(|pair| pair.1) {
            offsets[to as usize + 2] += 1;
        }
        for at in 2..offsets.len() {
            offsets[at] += offsets[at - 1];
        }
        let total = offsets[self.len() + 1] as usize;
        let (mut inputs, mut tags) = (vec![0_u32; total], vec![(Kind::Host, Anchor::End); total]);
        for edge in edges {
            let (from, to) = places(edge);
            if usable((from, to)) {
                let slot = &mut offsets[to as usize + 1];
                (inputs[*slot as usize], tags[*slot as usize]) = (from, (edge.kind, edge.anchor));
                *slot += 1;
            }
        }
        offsets.pop();
        (self.offsets, self.inputs, self.tags) = (offsets, inputs, tags);
        self.dropped.cyclic += if first { 0 } else { wrong };
        wrong == 0
    }

    /// An order by start in which operations of one instant come after their inputs, as far as there is one: a
    /// depth-first walk over the edges inside each instant. Where it meets an operation that it is inside of, there is a
    /// cycle, and that edge will point backwards.
    fn tie_order(&self) -> Vec<u32> {
        let (mut order, mut seen) = (Vec::with_capacity(self.len()), vec![false; self.len()]);
        let mut stack: Vec<(u32, u32)> = Vec::new();
        for root in 0..self.len() as u32 {
            if seen[root as usize] {
                continue;
            }
            seen[root as usize] = true;
            stack.push((root, self.offsets[root as usize]));
            while let Some((place, edge)) = stack.last_mut() {
                if *edge == self.offsets[*place as usize + 1] {
                    order.push(*place);
                    stack.pop();
                    continue;
                }
                let input = self.inputs[*edge as usize];
                *edge += 1;
                let same = self.starts[input as usize] == self.starts[*place as usize];
                if same && !seen[input as usize] {
                    seen[input as usize] = true;
                    stack.push((input, self.offsets[input as usize]));
                }
            }
        }
        order
    }

    fn reorder(&mut self, order: &[u32]) {
        let by = |values: &[i64]| order.iter().map(|place| values[*place as usize]).collect();
        (self.starts, self.ends) = (by(&self.starts), by(&self.ends));
        self.work = order.iter().map(|place| self.work[*place as usize]).collect();
        self.numbers = order.iter().map(|place| self.numbers[*place as usize]).collect();
        self.number();
    }

    /// Lags, the inputs that were ready last, and the work that ends last up to each place.
    fn finish(&mut self) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        (self.lags, self.binding) = (vec![0; self.len()], vec![NONE; self.len()]);
        for place in 0..self.len() {
            // Ties: the kind, then the input that began last, then the caller's number; never the order of the edges.
            let key = |edge: &usize| {
                let (from, (kind, anchor)) = (self.inputs[*edge], self.tags[*edge]);
                let later = (self.starts[from as usize], std::cmp::Reverse(self.numbers[from as usize]));
                (self.instant(from, anchor), std::cmp::Reverse((kind, anchor)), later)
            };
            if let Some(edge) = self.edges_of(place).max_by_key(key) {
                self.lags[place] = self.starts[place] - self.instant(self.inputs[edge], self.tags[edge].1);
                self.binding[place] = edge as u32;
            }
        }
        let mut latest = NONE;
        self.latest = (0..self.len())
            .map(|place| {
                // Of equal ends the first: it is the same whatever follows.
                if self.work[place] && (latest == NONE || self.ends[place] > self.ends[latest as usize]) {
                    latest = place as u32;
                }
                latest
            })
            .collect();
    }
}
