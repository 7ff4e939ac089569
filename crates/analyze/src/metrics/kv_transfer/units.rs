//! Hand-overs of a timeline with dependencies: each decode operation that reads KV transfers first.
//!
//! Every KV transfer belongs to the earliest decode operation that depends on it, directly or through other transfers
//! (a copy to the host, then one from it). Its prefill ends when the last prefill operation ends that those transfers
//! read. Only data, event and collective edges count: the order of a queue is no hand-over.

use std::collections::{BTreeMap, HashSet};

use super::phase::Computed;
use super::stall::{Stall, Wait};
use crate::classes::Class;
use crate::model::{DeviceKey, Edge, Model};
use crate::operators::{Span, into_union, within};
use crate::phases::Phase;

struct Unit {
    wait: Span,
    device: DeviceKey,
    transfers: Vec<Span>,
    batch: Option<Batch>,
}

/// Rank, iteration and micro-batch.
type Batch = (i64, i64, i64);

/// All hand-overs of a pass.
#[derive(Default)]
pub(super) struct Units<'c> {
    /// Sorted by the begin of the wait.
    sorted: Vec<Unit>,
    longest: i64,
    batches: BTreeMap<Batch, Vec<Span>>,
    computed: Option<&'c Computed>,
}

impl<'c> Units<'c> {
    pub(super) fn of(model: &Model, computed: &'c Computed) -> Self {
        if !model.has_dependencies || !model.activities.iter().any(|row| row.class == Class::Kv) {
            return Self::default();
        }
        let is = |index: usize, phase: Phase| {
            model.activities[index].class == Class::Compute && computed.phases.text(index) == Some(phase.name())
        };
        let mut decodes: Vec<usize> = (0..model.activities.len()).filter(|index| is(*index, Phase::Decode)).collect();
        decodes.sort_by_key(|index| {
            (model.activities[*index].span.0, model.activities[*index].device, model.activities[*index].id)
        });
        let (mut seen, mut units) = (HashSet::new(), Vec::new());
        for decode in &decodes {
            let (transfers, prefill_end) = handed_over(model, *decode, &mut seen, |index| is(index, Phase::Prefill));
            let Some(end) = prefill_end.filter(|_| !transfers.is_empty()) else { continue };
            let row = &model.activities[*decode];
            units.push(Unit {
                wait: (end, row.span.0.max(end)),
                device: row.device,
                transfers: into_union(transfers),
                batch: batch(model, *decode),
            });
        }
        let mut batches: BTreeMap<Batch, Vec<Span>> =
            units.iter().filter_map(|unit| Some((unit.batch?, Vec::new()))).collect();
        for decode in decodes {
            if let Some(spans) = batch(model, decode).and_then(|batch| batches.get_mut(&batch)) {
                spans.push(model.activities[decode].span);
            }
        }
        let batches = batches.into_iter().map(|(batch, spans)| (batch, into_union(spans))).collect();
        units.sort_by_key(|unit| unit.wait);
        let longest = units.iter().map(|unit| unit.wait.1.saturating_sub(unit.wait.0)).max().unwrap_or(0);
        Self { sorted: units, longest, batches, computed: Some(computed) }
    }

    /// The parts of all waits inside the windows; `None` without hand-overs.
    pub(super) fn stall(&self, windows: &[Span]) -> Option<Stall> {
        let (first, last) = (windows.first()?, windows.last()?);
        let from = self.sorted.partition_point(|unit| unit.wait.0 < first.0.saturating_sub(self.longest));
        let to = self.sorted.partition_point(|unit| unit.wait.0 < last.1);
        let mut sum = None;
        for unit in &self.sorted[from..to.max(from)] {
            let own = unit.batch.and_then(|batch| self.batches.get(&batch)).map_or(&[][..], Vec::as_slice);
            let device = self.computed.and_then(|computed| computed.device(unit.device)).map(|side| &side.decode);
            let pieces = within(windows, unit.wait);
            for piece in pieces {
                let (own, transfers) = (within(own, piece), within(&unit.transfers, piece));
                let cut = Wait { own: Some(&own), transfers: &transfers, queued: None, device }.cut(piece);
                sum.get_or_insert_with(Stall::default).add(&cut);
            }
            // A hand-over that nobody waits for is one all the same.
            if unit.wait.0 >= unit.wait.1
                && windows.iter().any(|window| window.0 <= unit.wait.0 && unit.wait.0 < window.1)
            {
                sum.get_or_insert_with(Stall::default);
            }
        }
        sum
    }
}

fn batch(model: &Model, index: usize) -> Option<Batch> {
    let row = &model.activities[index];
    let work = row.work()?;
    Some((row.device.0, work.step?, work.micro_batch?))
}

/// The transfers that an operation is the first to read, and the end of the last prefill operation that they read.
fn handed_over(
    model: &Model,
    operation: usize,
    seen: &mut HashSet<usize>,
    is_prefill: impl Fn(usize) -> bool,
) -> (Vec<Span>, Option<i64>) {
    let (mut transfers, mut prefill_end, mut open) = (Vec::new(), None, vec![operation]);
    while let Some(index) = open.pop() {
        for (input, edge) in model.inputs(index) {
            if matches!(edge, Edge::Queue | Edge::Launch) {
                continue;
            }
            let row = &model.activities[input];
            if row.class == Class::Kv && seen.insert(input) {
                transfers.push(row.span);
                open.push(input);
            } else if index != operation && is_prefill(input) {
                prefill_end = prefill_end.max(Some(row.span.1));
            }
        }
    }
    (transfers, prefill_end)
}
