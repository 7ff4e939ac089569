//! How long a decode step of a device takes around a moment.

use std::collections::BTreeMap;

use proftool_trace::tables;

use crate::Error;
use crate::metrics::Input;
use crate::model::{DeviceKey, Rows};
use crate::operators::Span;

/// How far before and after a move steps are looked at.
pub(super) const SPAN_NS: i64 = 1_000_000_000;

/// The steps of each device in which requests decode, by end: end, and the sum of the lengths up to and with it.
#[derive(Default)]
pub(super) struct Paces(BTreeMap<DeviceKey, Vec<(i64, i128)>>);

impl Paces {
    pub(super) fn read(input: &Input, pass: &str) -> Result<Self, Error> {
        let rows = Rows::of_pass(input.tables.get(&tables::STEPS), pass)?;
        let (ranks, devices) = (rows.ints("rank")?, rows.ints("device")?);
        let (starts, ends, batches) =
            (rows.ints("start_ns")?, rows.ints("end_ns")?, rows.optional_ints("decode_batch")?);
        let mut steps: BTreeMap<DeviceKey, Vec<(i64, i128)>> = BTreeMap::new();
        for at in (0..starts.len()).filter(|at| batches[*at].is_some_and(|batch| batch > 0)) {
            let length = i128::from(ends[at]) - i128::from(starts[at]);
            steps.entry((ranks[at], devices[at])).or_default().push((ends[at], length.max(0)));
        }
        for own in steps.values_mut() {
            own.sort_unstable();
            let mut sum = 0;
            for (_, length) in own {
                sum += *length;
                *length = sum;
            }
        }
        Ok(Self(steps))
    }

    /// How many steps of a device end after the start of a span, up to its end; none of a device without steps.
    pub(super) fn steps(&self, device: DeviceKey, span: Span) -> Option<usize> {
        let (from, to) = self.places(device, span)?;
        Some(to.saturating_sub(from))
    }

    /// The mean length of those steps; none where there is none.
    pub(super) fn mean(&self, device: DeviceKey, span: Span) -> Option<f64> {
        let (from, to) = self.places(device, span).filter(|(from, to)| from < to)?;
        let own = &self.0[&device];
        let before = if from == 0 { 0 } else { own[from - 1].1 };
        Some((own[to - 1].1 - before) as f64 / (to - from) as f64)
    }

    fn places(&self, device: DeviceKey, span: Span) -> Option<(usize, usize)> {
        let own = self.0.get(&device)?;
        let until = |instant: i64| own.partition_point(|(end, _)| *end <= instant);
        Some((until(span.0), until(span.1)))
    }
}
