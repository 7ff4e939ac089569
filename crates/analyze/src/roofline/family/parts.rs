//! Parts of a family that are summed beside its counts.

use proftool_roofline::{Counts, Level, Precision};

use crate::metrics::ratio;
use crate::roofline::place::whole;

/// Counts of launches for which both counters and analytic counts are known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amplification {
    launches: i64,
    counter: f64,
    analytic: f64,
}

impl Amplification {
    pub(super) fn add(&mut self, counter: Option<f64>, analytic: Option<f64>) {
        if let (Some(counter), Some(analytic)) = (counter, analytic) {
            self.launches += 1;
            self.counter += counter;
            self.analytic += analytic;
        }
    }

    /// Counted and analytic; `None` where no launch has both.
    pub(crate) fn parts(self) -> Option<(f64, f64)> {
        (self.launches > 0).then_some((self.counter, self.analytic))
    }

    /// counter / analytic; `None` where there is nothing to compare.
    pub(crate) fn ratio(self) -> Option<f64> {
        Some(self.counter / self.analytic).filter(|ratio| ratio.is_finite() && self.analytic > 0.0)
    }
}

/// FLOP and bytes of the launches of which both are known, by level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paired(Vec<(Level, i64, i64)>);

impl Paired {
    pub(super) fn add(&mut self, counts: &Counts) {
        if counts.flop_sum().is_none() {
            return;
        }
        let own = counts.flop.iter().filter(|flop| !flop.precision.is_integer());
        let flop = own.fold(0_i64, |sum, flop| sum.saturating_add(whole(flop.ops)));
        for traffic in &counts.bytes {
            let bytes = whole(traffic.bytes);
            match self.0.iter_mut().find(|known| known.0 == traffic.level) {
                Some(known) => (known.1, known.2) = (known.1.saturating_add(flop), known.2.saturating_add(bytes)),
                None => self.0.push((traffic.level, flop, bytes)),
            }
        }
    }

    /// FLOP a byte; `None` where no launch has both, or none moved anything.
    pub(super) fn intensity(&self, level: Level) -> Option<f64> {
        let (_, flop, bytes) = self.0.iter().find(|known| known.0 == level)?;
        ratio(*flop, *bytes)
    }
}

/// Operations of one precision of a family: their number where launches were counted, and how many a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operations {
    pub(crate) precision: Precision,
    pub(crate) sparse: bool,
    /// `None` where pages state rates only.
    pub(crate) ops: Option<i64>,
    pub(crate) per_second: Option<f64>,
}
