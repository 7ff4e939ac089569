//! When each device computes, prefills and decodes.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proftool_timeline::measure::Measure;

use crate::classes::Class;
use crate::model::{DeviceKey, Model};
use crate::operators::{Span, into_union};
use crate::phases::{Phase, Phases};
use crate::steps::{self, Steps};

/// What a device or rank does over time.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Compute of prefills, and of batches that hold prompt tokens beside others.
    pub(super) prefill: Measure,
    /// Compute of decode steps, and of batches that hold new tokens beside others.
    pub(super) decode: Measure,
}

/// Compute by phase, of every device and rank.
#[derive(Debug, Default)]
pub(super) struct Computed {
    devices: BTreeMap<DeviceKey, Side>,
    ranks: BTreeMap<i64, Side>,
    /// The phase of each activity.
    pub(super) phases: Rc<Phases>,
    steps: OnceCell<Rc<Steps>>,
    /// Whether the phase of any compute is known to be a prefill (or mixed).
    pub(super) knows_prefill: bool,
    /// Whether the phase of any compute is known to be a decode (or mixed).
    pub(super) knows_decode: bool,
}

impl Computed {
    pub(super) fn of(model: &Model) -> Self {
        let phases = Phases::of_model(model);
        let (mut devices, mut ranks) = (Spans::default(), Spans::default());
        for (index, row) in model.activities.iter().enumerate().filter(|(_, row)| row.class == Class::Compute) {
            let phase = phases.text(index).unwrap_or_default();
            let [prefill, decode] =
                [Phase::Prefill, Phase::Decode].map(|one| [one, Phase::Mixed].iter().any(|one| phase == one.name()));
            for (at, _) in [prefill, decode].iter().enumerate().filter(|(_, holds)| **holds) {
                devices.entry(row.device).or_default()[at].push(row.span);
                ranks.entry(row.device.0).or_default()[at].push(row.span);
            }
        }
        let knows = |at: usize| devices.values().any(|spans| !spans[at].is_empty());
        let (knows_prefill, knows_decode) = (knows(0), knows(1));
        let (devices, ranks) = (sides(devices), sides(ranks));
        Self { devices, ranks, phases, steps: OnceCell::new(), knows_prefill, knows_decode }
    }

    /// The steps that an engine draws, found when first asked for.
    pub(super) fn steps(&self, model: &Model) -> &Steps {
        self.steps.get_or_init(|| steps::of_model(model))
    }

    pub(super) fn device(&self, key: DeviceKey) -> Option<&Side> {
        self.devices.get(&key)
    }

    pub(super) fn rank(&self, rank: i64) -> Option<&Side> {
        self.ranks.get(&rank)
    }

    /// The only device of that number; `None` where several ranks have one, or none.
    pub(super) fn only(&self, device: i64) -> Option<DeviceKey> {
        let mut keys = self.devices.keys().filter(|key| key.1 == device);
        keys.next().copied().filter(|_| keys.next().is_none())
    }
}

type Spans<K> = BTreeMap<K, [Vec<Span>; 2]>;

fn sides<K: Ord>(spans: Spans<K>) -> BTreeMap<K, Side> {
    let side = |[prefill, decode]: [Vec<Span>; 2]| Side {
        prefill: Measure::of(into_union(prefill)),
        decode: Measure::of(into_union(decode)),
    };
    spans.into_iter().map(|(key, spans)| (key, side(spans))).collect()
}

/// The part of a set during which something measured goes on.
pub(super) fn hidden(set: &[Span], measure: Option<&Measure>) -> i64 {
    let Some(measure) = measure else { return 0 };
    set.iter().map(|span| measure.inside(*span)).fold(0, i64::saturating_add)
}
