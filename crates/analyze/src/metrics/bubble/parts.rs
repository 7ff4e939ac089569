//! The bubble of one window, cut into its six parts.

use std::collections::HashSet;

use super::stages::Host;
use crate::classes::Class;
use crate::model::{Edge, Model};
use crate::operators::{Span, clip, gaps, split_totals, total, union, within};

/// The bubble of one or more windows, in host-ns. Sums beyond the range of 64 bits saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Length of the windows, T.
    pub span: i64,
    /// p times T.
    pub capacity: i64,
    /// Sum of the hosts' compute time.
    pub compute: i64,
    /// fill_drain, imbalance, transfer, host, dependency, other.
    pub bubble: [i64; 6],
}

impl Parts {
    /// Adds the parts of another window.
    pub fn add(&mut self, other: &Self) {
        self.span = self.span.saturating_add(other.span);
        self.capacity = self.capacity.saturating_add(other.capacity);
        self.compute = self.compute.saturating_add(other.compute);
        for (sum, part) in self.bubble.iter_mut().zip(other.bubble) {
            *sum = sum.saturating_add(part);
        }
    }

    /// The whole bubble, `None` where there is no host-time to take a share of.
    pub fn ratio(&self) -> Option<f64> {
        (self.capacity > 0).then(|| (self.capacity - self.compute) as f64 / self.capacity as f64)
    }
}

/// The names of [`Parts::bubble`].
pub const PART_NAMES: [&str; 6] = ["fill_drain", "imbalance", "transfer", "host", "dependency", "other"];

/// Whether the part of that number is known only where dependencies are recorded.
pub(crate) fn needs_dependencies(part: usize) -> bool {
    (2..5).contains(&part)
}

/// The bubble of one window.
pub fn of_window(model: &Model, hosts: &[Host], window: Span) -> Parts {
    let (p, span) = (hosts.len() as i64, window.1.saturating_sub(window.0).max(0));
    let busy: Vec<Vec<Span>> = hosts.iter().map(|host| within(&host.busy, window)).collect();
    let times: Vec<i64> = busy.iter().map(|set| total(set)).collect();
    let compute = times.iter().fold(0, |sum: i64, time| sum.saturating_add(*time));
    let mut parts = Parts { span, capacity: p.saturating_mul(span), compute, bubble: [0; 6] };
    let longest = times.iter().copied().max().unwrap_or(0);
    let Some(j) = times.iter().position(|time| *time == longest && longest > 0) else {
        parts.bubble[5] = parts.capacity;
        return parts;
    };
    let (start, end) = (busy[j][0].0, busy[j][busy[j].len() - 1].1);
    let mut interior = [0_i64; 4];
    for gap in gaps(&busy[j], (start, end)) {
        for (sum, part) in interior.iter_mut().zip(cut(model, &hosts[j], gap)) {
            *sum = sum.saturating_add(part);
        }
    }
    let ends = span.saturating_sub(end.saturating_sub(start));
    parts.bubble = [p.saturating_mul(ends), p.saturating_mul(longest).saturating_sub(compute), 0, 0, 0, 0];
    for (part, sum) in parts.bubble[2..].iter_mut().zip(interior) {
        *part = p.saturating_mul(sum);
    }
    parts
}

/// Cuts an interior gap of the busiest host into transfer, host, dependency and other.
fn cut(model: &Model, host: &Host, gap: Span) -> [i64; 4] {
    let all_other = [0, 0, 0, gap.1.saturating_sub(gap.0)];
    if !model.has_dependencies {
        return all_other;
    }
    let next = host.rows.partition_point(|index| model.activities[*index].span.0 < gap.1);
    let Some(next) = host.rows.get(next) else { return all_other };
    let (transfers, producers) = inputs(model, *next);
    let spans = |rows: &[usize]| {
        union(&rows.iter().filter_map(|row| clip(model.activities[*row].span, gap)).collect::<Vec<_>>())
    };
    let ends = transfers.iter().chain(&producers).map(|row| model.activities[*row].span.1);
    let complete = ends.max().unwrap_or(i64::MIN).clamp(gap.0, gap.1);
    let parts = split_totals(&[gap], &[&spans(&transfers), &union(&[(complete, gap.1)]), &spans(&producers)]);
    std::array::from_fn(|at| parts[at])
}

/// The transfers that bring the inputs of an operation, and the operations that produce them. Inputs are its data
/// dependencies; of a trace that states none, its events and collectives.
fn inputs(model: &Model, operation: usize) -> (Vec<usize>, Vec<usize>) {
    let stated = model.has_edge(Edge::Data);
    let is_input =
        |edge: Edge| if stated { edge == Edge::Data } else { matches!(edge, Edge::Event | Edge::Collective) };
    let (mut transfers, mut producers) = (Vec::new(), Vec::new());
    let (mut seen, mut open) = (HashSet::new(), vec![operation]);
    while let Some(at) = open.pop() {
        for (input, _) in model.inputs(at).filter(|(_, edge)| is_input(*edge)) {
            if !seen.insert(input) {
                continue;
            }
            match model.activities[input].class {
                Class::Compute => producers.push(input),
                Class::Sync => {}
                _ => {
                    transfers.push(input);
                    open.push(input);
                }
            }
        }
    }
    (transfers, producers)
}
