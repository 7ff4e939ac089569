//! Launches of which only rates are known.

use proftool_roofline::{Counts, Level, Precision};

use crate::roofline::Placed;
use crate::roofline::bounds::Bounds;

/// Sums over launches of which only rates are known: enough for a point, not for a sum. Each mean is over the launches
/// that state the rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    pub(super) launches: i64,
    flop_launches: i64,
    /// FLOP/s by precision, and whether sparse; zero of what was counted and not done.
    flop: Vec<(Precision, bool, f64)>,
    /// Bytes/s, and the launches that state them.
    bytes: Vec<(Level, f64, i64)>,
    /// FLOP/s and bytes/s of the launches that state both.
    both: Vec<(Level, f64, f64)>,
    /// Bounds of one second of each.
    pub(crate) used: Bounds,
    pub(crate) datasheet: Bounds,
    pub(crate) observed: Bounds,
}

impl Rates {
    pub(super) fn add(&mut self, counts: &Counts, placed: &Placed) {
        self.launches += 1;
        self.flop_launches += i64::from(counts.flop_sum().is_some());
        for flop in &counts.flop {
            match self.flop.iter_mut().find(|known| (known.0, known.1) == (flop.precision, flop.sparse)) {
                Some(known) => known.2 += flop.ops,
                None => self.flop.push((flop.precision, flop.sparse, flop.ops)),
            }
        }
        for traffic in &counts.bytes {
            match self.bytes.iter_mut().find(|known| known.0 == traffic.level) {
                Some(known) => (known.1, known.2) = (known.1 + traffic.bytes, known.2 + 1),
                None => self.bytes.push((traffic.level, traffic.bytes, 1)),
            }
            let Some(flop) = counts.flop_sum() else { continue };
            match self.both.iter_mut().find(|known| known.0 == traffic.level) {
                Some(known) => (known.1, known.2) = (known.1 + flop, known.2 + traffic.bytes),
                None => self.both.push((traffic.level, flop, traffic.bytes)),
            }
        }
        self.used.add(placed.bound, SECOND);
        self.datasheet.add(placed.datasheet, SECOND);
        self.observed.add(placed.observed, SECOND);
    }

    /// Mean FLOP/s of all precisions.
    pub(crate) fn flop_per_s(&self) -> Option<f64> {
        let all = self.flop.iter().filter(|known| !known.0.is_integer());
        self.mean(all.map(|known| known.2).sum())
    }

    /// Mean operations/s by precision, and whether sparse; zero of what was counted and not done.
    pub(crate) fn by_precision(&self) -> impl Iterator<Item = (Precision, bool, f64)> {
        self.flop.iter().filter_map(|(precision, sparse, sum)| Some((*precision, *sparse, self.mean(*sum)?)))
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.flop_launches > 0).then(|| sum / self.flop_launches as f64).filter(|mean| mean.is_finite())
    }

    /// Mean bytes/s of a level.
    pub(crate) fn bytes_per_s(&self, level: Level) -> Option<f64> {
        let known = self.bytes.iter().find(|known| known.0 == level)?;
        Some(known.1 / known.2 as f64).filter(|mean| mean.is_finite())
    }

    /// FLOP a byte of a level, of the launches that state both.
    pub(crate) fn intensity(&self, level: Level) -> Option<f64> {
        let known = self.both.iter().find(|known| known.0 == level)?;
        Some(known.1 / known.2).filter(|intensity| intensity.is_finite())
    }

    /// Whether any launch states bytes.
    pub(super) fn has_bytes(&self) -> bool {
        !self.bytes.is_empty()
    }
}

/// One second in ns.
const SECOND: i64 = 1_000_000_000;
