//! How much longer decoding takes while a transfer is in flight on any device.

use std::collections::BTreeMap;

use proftool_timeline::measure::Measure;

use super::phase::Computed;
use crate::classes::Class;
use crate::model::Model;
use crate::operators::{Span, contains, length};
use crate::phases::Phase;
use crate::statistics::median;
use crate::steps::batch::Batch;

/// Durations of one kind: without a transfer in flight, and with one.
#[derive(Default)]
pub(super) struct Both([Vec<f64>; 2]);

impl Both {
    pub(super) fn push(&mut self, span: Span, in_flight: &Measure) {
        self.0[usize::from(in_flight.inside(span) > 0)].push(length(span) as f64);
    }
}

/// The median over the kinds of median with / median without; `None` where no kind has both.
pub(super) fn ratio<'a>(kinds: impl Iterator<Item = &'a Both>) -> Option<f64> {
    let ratios = kinds.filter_map(|Both([without, with])| {
        let without = median(without).filter(|median| *median > 0.0)?;
        Some(median(with)? / without)
    });
    median(&ratios.collect::<Vec<f64>>())
}

/// Of decode operations where a built-in target states them, else of decode steps as an engine annotates them.
pub(super) fn of(model: &Model, computed: &Computed, in_flight: &Measure, windows: &[Span]) -> Option<f64> {
    if in_flight.set().is_empty() {
        return None;
    }
    of_operations(model, in_flight, windows).or_else(|| of_annotations(model, computed, in_flight, windows))
}

/// Decode operations of equal name, stage and rows, as a built-in target states them.
fn of_operations(model: &Model, in_flight: &Measure, windows: &[Span]) -> Option<f64> {
    let mut kinds: BTreeMap<_, Both> = BTreeMap::new();
    for row in model.begun_in(windows).filter(|row| row.class == Class::Compute) {
        if let Some(work) = row.work().filter(|_| model.phase(row) == Some(Phase::Decode.name())) {
            kinds.entry((row.name, work.stage, work.rows)).or_default().push(row.span, in_flight);
        }
    }
    ratio(kinds.values())
}

/// Decode steps of one device and an equal number of requests, by the annotations of an engine.
fn of_annotations(model: &Model, computed: &Computed, in_flight: &Measure, windows: &[Span]) -> Option<f64> {
    let steps = computed.steps(model);
    let mut kinds: BTreeMap<_, Both> = BTreeMap::new();
    for device in model.device_keys() {
        for step in steps.of_device(device).iter().filter(|step| contains(windows, step.span.0)) {
            let batch = step.annotations.iter().find_map(|name| Batch::parse(model.names.text(*name)));
            if let Some(requests) = batch.filter(|batch| batch.phase == Phase::Decode).and_then(|batch| batch.decoding)
            {
                kinds.entry((device, requests)).or_default().push(step.span, in_flight);
            }
        }
    }
    ratio(kinds.values())
}
