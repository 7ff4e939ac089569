//! The schedule computed again: earliest and latest times.

use super::{Anchor, Graph, NONE, View};

impl Graph {
    /// The earliest start of every operation when each takes the duration given (by its number; below 0 counts as 0)
    /// and every lag stays as recorded. With the recorded durations these are the recorded starts, exactly.
    pub fn simulate(&self, duration: impl Fn(u32) -> i64) -> Vec<i64> {
        let mut times: Vec<(i64, i64)> = Vec::with_capacity(self.len());
        let mut starts = vec![0; self.len()];
        for place in 0..self.len() {
            let ready = self.edges_of(place).map(|edge| {
                let (start, end) = times[self.inputs[edge] as usize];
                if self.tags[edge].1 == Anchor::End { end } else { start }
            });
            let start = ready.max().map_or(self.starts[place], |ready| ready.saturating_add(self.lags[place]));
            let number = self.numbers[place];
            times.push((start, start.saturating_add(duration(number).max(0))));
            starts[number as usize] = start;
        }
        starts
    }

    /// The recorded duration of an operation.
    pub fn duration(&self, operation: u32) -> i64 {
        let place = self.places[operation as usize] as usize;
        self.ends[place] - self.starts[place]
    }
}

impl View<'_> {
    /// When the last work of the window would end if those operations took no time: the window's schedule computed
    /// again, everything that began before it as recorded. Of the work that runs into the window, the one that ends
    /// last counts. `None` without work; never later than [`View::end`].
    pub fn end_without(&self, free: impl Fn(u32) -> bool) -> Option<i64> {
        let graph = self.graph;
        self.sink?;
        let gone = |place: usize| free(graph.numbers[place]);
        let mut times: Vec<(i64, i64)> = Vec::with_capacity(self.last - self.first);
        // Work that runs into the window ends at its start when it is free.
        let before = |place: usize| {
            let free = graph.ends[place].min(self.window.0.max(graph.starts[place]));
            if gone(place) { free } else { self.cut(place) }
        };
        let entering = self.first.checked_sub(1).map(|last| graph.latest[last]).filter(|place| *place != NONE);
        let mut end = entering.map_or(self.window.0, |place| before(place as usize).max(self.window.0));
        for place in self.first..self.last {
            let ready = graph.edges_of(place).map(|edge| {
                let (from, anchor) = (graph.inputs[edge] as usize, graph.tags[edge].1);
                match (from.checked_sub(self.first), anchor) {
                    (Some(inside), Anchor::End) => times[inside].1,
                    (Some(inside), Anchor::Start) => times[inside].0,
                    (None, Anchor::End) => before(from),
                    (None, Anchor::Start) => graph.starts[from],
                }
            });
            let start = ready.max().map_or(graph.starts[place], |ready| ready + graph.lags[place]);
            let length = if gone(place) { 0 } else { self.cut(place) - graph.starts[place] };
            times.push((start, start + length));
            if graph.work[place] {
                end = end.max(start + length);
            }
        }
        Some(end)
    }

    /// For each operation that begins in the window, in the order of [`View::operations`], how much longer it could
    /// take without the window's last work ending later; `None` where nothing that ends the window follows from it.
    pub fn slack(&self) -> Vec<Option<i64>> {
        let Some(end) = self.end() else { return vec![None; self.last - self.first] };
        let graph = self.graph;
        // The latest end that an operation may have, and the latest start that those which may overlap it allow.
        let mut limits: Vec<(Option<i64>, Option<i64>)> = vec![(None, None); self.last - self.first];
        for place in (self.first..self.last).rev() {
            let (mut latest_end, latest_start) = limits[place - self.first];
            if graph.work[place] {
                latest_end = Some(least(latest_end, end));
                limits[place - self.first].0 = latest_end;
            }
            let by_end = latest_end.map(|latest| latest - (self.cut(place) - graph.starts[place]));
            let Some(start) = latest_start.map_or(by_end, |start| Some(least(by_end, start))) else { continue };
            for edge in graph.edges_of(place) {
                let (from, anchor) = (graph.inputs[edge] as usize, graph.tags[edge].1);
                if let Some(limit) = from.checked_sub(self.first).map(|inside| &mut limits[inside]) {
                    let field = if anchor == Anchor::End { &mut limit.0 } else { &mut limit.1 };
                    *field = Some(least(*field, start - graph.lags[place]));
                }
            }
        }
        let slack = |(at, limit): (usize, &(Option<i64>, _))| limit.0.map(|limit| limit - self.cut(self.first + at));
        limits.iter().enumerate().map(slack).collect()
    }
}

fn least(known: Option<i64>, value: i64) -> i64 {
    known.map_or(value, |known| known.min(value))
}
