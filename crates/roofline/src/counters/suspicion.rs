//! Values that cannot be as they are printed: kept in the result, a few of the worst.

use std::sync::Arc;

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SuspicionKind {
    /// A counter is below zero; it is left out of all sums.
    Negative,
    /// A percentage of a peak or a hit rate is above 100.
    PercentOver100,
    /// The parts of a tensor aggregate divided by the aggregate are not 1.
    AggregateMismatch,
    /// FLOP counted as tensor instructions that are half-precision FMA of the vector units (A100).
    HfmaInTensorPipe,
}

impl SuspicionKind {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::PercentOver100 => "percent_over_100",
            Self::AggregateMismatch => "aggregate_mismatch",
            Self::HfmaInTensorPipe => "hfma_in_tensor_pipe",
        }
    }
}

/// A value of a launch that cannot be right.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspicion {
    /// What is wrong.
    pub kind: SuspicionKind,
    /// The metric.
    pub metric: Arc<str>,
    /// Its value; of [`SuspicionKind::AggregateMismatch`] the ratio, of [`SuspicionKind::HfmaInTensorPipe`] the FLOP.
    pub value: f64,
}

/// How many of a launch are kept.
const KEPT: usize = 3;

/// The worst suspicions of a launch. What is about the formula comes before what is about one value; of one kind the
/// largest excess comes first.
#[derive(Debug, Default)]
pub(super) struct Worst(Vec<Suspicion>);

impl Worst {
    pub(super) fn add(&mut self, kind: SuspicionKind, metric: &Arc<str>, value: f64) {
        let at = self.0.partition_point(|other| rank(other.kind, other.value) >= rank(kind, value));
        if at < KEPT {
            self.0.truncate(KEPT - 1);
            self.0.insert(at, Suspicion { kind, metric: Arc::clone(metric), value });
        }
    }

    pub(super) fn finish(self) -> Vec<Suspicion> {
        self.0
    }
}

fn rank(kind: SuspicionKind, value: f64) -> (SuspicionKind, f64) {
    (kind, value.abs())
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn percentages_over_100_and_negative_counts_are_flagged_and_exactly_100_is_not() {
        // The L2 hit rate of the authors' naive GEMM on an RTX 5070.
        let found = counted(&[("lts__t_sector_hit_rate.pct", 100.39)], None, None);
        assert_eq!(found.suspicious.len(), 1);
        assert_eq!((found.suspicious[0].kind, found.suspicious[0].value), (SuspicionKind::PercentOver100, 100.39));
        assert_eq!(&*found.suspicious[0].metric, "lts__t_sector_hit_rate.pct");
        assert!(counted(&[("lts__t_sector_hit_rate.pct", 100.0)], None, None).suspicious.is_empty());
        let found = counted(&[("dram__bytes.sum", -1.0)], None, None);
        assert_eq!(found.suspicious[0].kind, SuspicionKind::Negative);
        assert!(found.counts.bytes.is_empty());
    }

    #[test]
    fn the_three_worst_are_kept() {
        let mut worst = Worst::default();
        for (kind, value) in [
            (SuspicionKind::PercentOver100, 101.0),
            (SuspicionKind::PercentOver100, 300.0),
            (SuspicionKind::Negative, -5.0),
            (SuspicionKind::PercentOver100, 200.0),
            (SuspicionKind::AggregateMismatch, 2.0),
        ] {
            worst.add(kind, &Arc::from("m"), value);
        }
        let values: Vec<f64> = worst.finish().into_iter().map(|one| one.value).collect();
        assert_eq!(values, [2.0, 300.0, 200.0]);
    }
}
