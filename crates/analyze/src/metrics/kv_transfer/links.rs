//! The share of the links' rates that transfers reach.

use std::collections::{BTreeMap, BTreeSet};

use proftool_roofline::Roof;

use crate::operators::{Span, clip_set, into_union, total};

/// The time that bytes need at the links' rates and the time that they took, over the connections with a known rate.
#[derive(Debug, Default)]
pub(super) struct Share {
    needed: f64,
    taken: i64,
    roofs: BTreeSet<String>,
}

impl Share {
    pub(super) fn ratio(&self) -> Option<f64> {
        (self.taken > 0).then(|| self.needed / self.taken as f64).filter(|ratio| ratio.is_finite())
    }

    pub(super) fn roof(&self) -> Option<String> {
        match self.roofs.len() {
            0 => None,
            1 => self.roofs.first().cloned(),
            many => Some(format!("{many} links")),
        }
    }
}

/// What moved over each connection.
#[derive(Debug)]
pub(super) struct Connections<'r, K>(BTreeMap<K, (Vec<Span>, i64, &'r Roof)>);

impl<K> Default for Connections<'_, K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'r, K: Ord> Connections<'r, K> {
    /// Counts transfers and the bytes of them that count.
    pub(super) fn add(&mut self, connection: K, spans: &[Span], bytes: i64, roof: &'r Roof) {
        let entry = self.0.entry(connection).or_insert_with(|| (Vec::new(), 0, roof));
        entry.0.extend(spans);
        entry.1 = entry.1.saturating_add(bytes);
    }

    /// The share over all connections, of what is inside the windows, or of all.
    pub(super) fn share(self, windows: Option<&[Span]>) -> Share {
        let mut share = Share::default();
        for (spans, bytes, roof) in self.0.into_values().filter(|(_, _, roof)| roof.value > 0.0) {
            share.needed += bytes as f64 * 1e9 / roof.value;
            let set = into_union(spans);
            let time = windows.map_or_else(|| total(&set), |windows| total(&clip_set(&set, windows)));
            share.taken = share.taken.saturating_add(time);
            share.roofs.insert(roof.label.clone());
        }
        share
    }
}
