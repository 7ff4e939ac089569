//! What a blocking host call waited for.

use std::collections::{BTreeMap, HashMap};

use super::{Builder, NONE};
use crate::classes::Kind;
use crate::model::DeviceKey;

/// Work by its end: end and activity.
type Ends = Vec<(i64, u32)>;

/// The process of a row, or `None` where it is not recorded.
type Process = Option<i64>;

/// Where work ended, to be asked by blocking calls. Times are those of the rank's own clock.
pub(super) struct Waits {
    by_queue: HashMap<(DeviceKey, i64), Ends>,
    by_device: BTreeMap<(DeviceKey, Process), Ends>,
    /// The place that a `sync` row of the call states.
    places: HashMap<u32, (DeviceKey, Option<i64>)>,
}

impl Waits {
    pub(super) fn of(builder: &Builder) -> Self {
        let (model, mut waits) = (builder.model, Self::empty());
        if model.calls.iter().all(|call| !call.sync) {
            return waits;
        }
        for (at, row) in model.activities.iter().enumerate() {
            if let (Kind::Sync, Some(call)) = (row.kind, row.call) {
                waits.places.insert(call, (row.device, row.queue));
            }
            if builder.heads[at] == NONE {
                continue;
            }
            let end = (row.span.1, at as u32);
            waits.by_device.entry((row.device, row.process)).or_default().push(end);
            if let Some(queue) = row.queue {
                waits.by_queue.entry((row.device, queue)).or_default().push(end);
            }
        }
        waits.by_queue.values_mut().chain(waits.by_device.values_mut()).for_each(|ends| ends.sort_unstable());
        waits
    }

    fn empty() -> Self {
        Self { by_queue: HashMap::new(), by_device: BTreeMap::new(), places: HashMap::new() }
    }

    /// The activities that a call waited for: of each device or queue that it concerns, the one that ended last before
    /// it returned; and its own copies that ran inside it.
    pub(super) fn of_call(&self, builder: &Builder, call: u32) -> Vec<u32> {
        let (model, row) = (builder.model, &builder.model.calls[call as usize]);
        let mut found = Vec::new();
        if row.sync {
            let target = model.target(call as usize);
            let named = target.device.map(|device| ((row.rank, device), target.queue));
            match self.places.get(&call).copied().or(named) {
                Some((device, Some(queue))) => found.extend(last(self.by_queue.get(&(device, queue)), row.span.1)),
                place => found.extend(self.of_process(
                    row.rank,
                    model.thread_of(row).process,
                    place.map(|place| place.0),
                    row.span.1,
                )),
            }
        }
        let own = builder.launched_by(call).iter().map(|pair| pair.1);
        found.extend(own.filter(|at| {
            let copy = &model.activities[*at as usize];
            let inside = row.span.0 <= copy.span.0 && copy.span.1 <= row.span.1;
            matches!(copy.kind, Kind::Copy | Kind::Set) && inside
        }));
        found
    }

    fn of_process(&self, rank: i64, process: Process, device: Option<DeviceKey>, until: i64) -> Vec<u32> {
        let same = |other: Process| process.is_none() || other.is_none() || process == other;
        let from = device.unwrap_or((rank, i64::MIN));
        self.by_device
            .range((from, None)..)
            .take_while(|(key, _)| key.0.0 == rank && device.is_none_or(|device| key.0 == device))
            .filter(|(key, _)| same(key.1))
            .filter_map(|(_, ends)| last(Some(ends), until))
            .collect()
    }
}

/// The last to end at or before an instant.
fn last(ends: Option<&Ends>, until: i64) -> Option<u32> {
    let ends = ends?;
    let count = ends.partition_point(|row| row.0 <= until);
    ends.get(count.checked_sub(1)?).map(|row| row.1)
}
