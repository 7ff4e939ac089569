//! What remains between the clocks once they are aligned.

use std::collections::HashMap;

use proftool_timeline::clock::{deviations, drift};

use crate::clock::Aligned;
use crate::model::{DeviceKey, Model};
use crate::statistics::median_ns;

/// What the clocks do not explain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Residual {
    pub(super) count: i64,
    pub(super) median: Option<i64>,
    pub(super) max: Option<i64>,
    pub(super) drift: Option<f64>,
}

/// What is known about a device's ends, in the common time.
#[derive(Default)]
struct Left {
    /// Distances from the mean ends.
    distances: Vec<i64>,
    /// End of the reference rank and how much later this device's is.
    ahead: Vec<(i64, i64)>,
}

/// How far the ends of each device stay from the mean ends, over the collectives that clocks are fitted to.
pub(super) fn residuals(model: &Model, aligned: &Aligned) -> HashMap<DeviceKey, Residual> {
    let mut all: HashMap<DeviceKey, Left> = HashMap::new();
    for group in aligned.groups.iter().filter(|group| group.aligns) {
        let ends: Vec<i64> = aligned.spans(model, group).iter().map(|span| span.1).collect();
        let devices: Vec<DeviceKey> =
            group.members.iter().map(|activity| model.activities[*activity as usize].device).collect();
        // Members are in the order of ranks.
        let end_of = |rank: i64| {
            let at = devices.partition_point(|device| device.0 < rank);
            devices.get(at).filter(|device| device.0 == rank).map(|_| ends[at])
        };
        for ((device, end), deviation) in devices.iter().zip(&ends).zip(deviations(&ends)) {
            let left = all.entry(*device).or_default();
            left.distances.push(deviation.saturating_abs());
            let reference = aligned.clocks.get(&device.0).and_then(|clock| clock.reference);
            let reference = reference.filter(|reference| *reference != device.0).and_then(end_of);
            left.ahead.extend(reference.map(|time| (time, end.saturating_sub(time))));
        }
    }
    let residual = |left: &Left| Residual {
        count: left.distances.len() as i64,
        median: median_ns(&left.distances),
        max: left.distances.iter().copied().max(),
        drift: drift(&left.ahead),
    };
    all.iter().map(|(device, left)| (*device, residual(left))).collect()
}
