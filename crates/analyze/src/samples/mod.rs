//! What samplers of a device recorded over time, and the parts of its time that the samples are read for.
//!
//! A sample counts for a scope with the part of its interval that lies inside it, whatever instant it was read at.

pub(crate) mod clocks;
pub(crate) mod power;
pub(crate) mod scopes;
pub(crate) mod series;

use std::collections::BTreeMap;

use proftool_timeline::weighted::Weighted;

use crate::model::DeviceKey;
use crate::operators::Span;
use series::Series;

/// The series of each device, by metric and number: in the order of the rows they would come as the sampler wrote them.
pub(crate) fn by_device(series: Vec<Series>) -> BTreeMap<DeviceKey, Vec<Series>> {
    let mut devices: BTreeMap<DeviceKey, Vec<Series>> = BTreeMap::new();
    for one in series {
        devices.entry(one.device).or_default().push(one);
    }
    for own in devices.values_mut() {
        own.sort_by(|a, b| (&a.metric, &a.unit, a.def).cmp(&(&b.metric, &b.unit, b.def)));
    }
    devices
}

/// A series as a quantity, each value times a factor.
pub(crate) fn weighted(series: &Series, factor: f64) -> Weighted {
    Weighted::of(series.pieces().map(|(span, value)| (span, value * factor)).collect())
}

/// Whether samples last longer than a typical stretch of a scope, so that they tell of what ran around it too.
pub(crate) fn is_coarse(sample_ns: i64, spans: &[Span]) -> bool {
    let span = crate::operators::total(spans);
    span / (spans.len() as i64).max(1) < sample_ns
}
