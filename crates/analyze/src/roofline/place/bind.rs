//! The bounds of a launch.

use proftool_roofline::{Counts, Limiter, Roof, Roofs, bound};

use super::Placing;
use crate::roofline::join::Reason;
use crate::roofline::links::LinkRoofs;
use crate::roofline::{DeviceRoofs, LaunchBound, Placed, Quality};

impl Placing<'_> {
    /// The bounds of a launch, from its counts.
    pub(super) fn bind(&mut self, placed: &mut Placed) {
        let Some(number) = placed.rates.or(placed.counts) else { return };
        let Some(roofs) = self.engine.roofs.get(&placed.device) else {
            placed.reason = Some(Reason::NoRoof);
            return;
        };
        let counts = &self.engine.counts[number as usize];
        let pass = self.engine.names.text(placed.pass);
        let observed = roofs.observed_in.iter().any(|own| own == pass);
        let link = self.engine.links.roofs(placed.link);
        let compute = || bounds(counts, roofs, link, observed);
        // The counts of a launch of its own are used once.
        let bounds = if placed.quality == Some(Quality::Launch) {
            compute()
        } else {
            *self.bounds.entry((placed.device, number, placed.link, observed)).or_insert_with(compute)
        };
        [placed.bound, placed.datasheet, placed.observed] = bounds;
        if placed.bound.is_none() {
            placed.reason = Some(Reason::NoRoof);
        }
    }
}

/// Bounds of the roofs in use, of the datasheet's, and at the observed clock.
fn bounds(counts: &Counts, roofs: &DeviceRoofs, link: Option<&LinkRoofs>, observed: bool) -> [Option<LaunchBound>; 3] {
    let datasheet = link.and_then(|link| link.datasheet.as_ref());
    [
        launch_bound(counts, &roofs.used, link.map(|link| &link.used)),
        launch_bound(counts, &roofs.datasheet, datasheet),
        if observed { launch_bound(counts, &roofs.observed, datasheet) } else { None },
    ]
}

/// The bound of one launch; `link` is the roof of its own link, where it has one.
pub(crate) fn launch_bound(counts: &Counts, roofs: &Roofs, link: Option<&Roof>) -> Option<LaunchBound> {
    let found = bound(counts, roofs);
    let wire = counts.wire_bytes.zip(link.or(roofs.link.as_ref())).map(|(bytes, roof)| bytes * 1e9 / roof.value);
    let of_link = |ns| LaunchBound { ns: whole(ns), limiter: Limiter::Link, precision: None, partial: false };
    let Some(found) = found else { return wire.map(of_link) };
    if let Some(ns) = wire.filter(|ns| *ns > found.ns) {
        return Some(LaunchBound { precision: found.precision, ..of_link(ns) });
    }
    let (limiter, precision) = (found.limiter, found.precision);
    Some(LaunchBound { ns: whole(found.ns), limiter, precision, partial: found.partial && wire.is_none() })
}

/// To the nearest integer; what is too large is the largest.
pub(crate) fn whole(value: f64) -> i64 {
    // The cast saturates, and NaN is 0.
    value.round() as i64
}
