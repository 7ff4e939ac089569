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
    /// Bytes that the L1s wrote to the L2 and no write request of the L2 to memory accounts for (AMD).
    WritesLeftInCache,
}

impl SuspicionKind {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::PercentOver100 => "percent_over_100",
            Self::AggregateMismatch => "aggregate_mismatch",
            Self::HfmaInTensorPipe => "hfma_in_tensor_pipe",
            Self::WritesLeftInCache => "writes_left_in_cache",
        }
    }

    /// Whether values of several launches add up to one of all.
    fn adds_up(self) -> bool {
        matches!(self, Self::HfmaInTensorPipe | Self::WritesLeftInCache)
    }
}

/// A value of a launch that cannot be right, or of several ([`gather`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Suspicion {
    /// What is wrong.
    pub kind: SuspicionKind,
    /// The metric.
    pub metric: Arc<str>,
    /// Its value; of [`SuspicionKind::AggregateMismatch`] the ratio, of [`SuspicionKind::HfmaInTensorPipe`] the FLOP, of
    /// [`SuspicionKind::WritesLeftInCache`] the bytes.
    pub value: f64,
    /// What the value is a part of, where it is one: the FLOP of all tensor instructions, the bytes that the L1s wrote.
    pub whole: Option<f64>,
    /// Launches that the value is of.
    pub launches: u64,
}

/// How many of a launch are kept, and of several launches of each kind that doesn't add up.
const KEPT: usize = 3;

/// Adds the suspicions of one more launch to those of others: sums where values add up, else the worst.
pub fn gather(known: &mut Vec<Suspicion>, more: Vec<Suspicion>) {
    for one in more {
        let same = |other: &Suspicion| other.kind == one.kind;
        if one.kind.adds_up() {
            match known.iter_mut().find(|other| same(other)) {
                Some(sum) => sum.add(&one),
                None => known.push(one),
            }
            continue;
        }
        let at = known.partition_point(|other| rank(other.kind, other.value) >= rank(one.kind, one.value));
        let kind = one.kind;
        known.insert(at, one);
        let mut kept = 0;
        known.retain(|other| {
            kept += usize::from(other.kind == kind);
            other.kind != kind || kept <= KEPT
        });
    }
}

impl Suspicion {
    /// Adds a launch; sums stay finite.
    fn add(&mut self, other: &Self) {
        let sum = |a: f64, b: f64| (a + b).clamp(f64::MIN, f64::MAX);
        self.value = sum(self.value, other.value);
        self.whole = self.whole.zip(other.whole).map(|(a, b)| sum(a, b));
        self.launches = self.launches.saturating_add(other.launches);
    }
}

/// The worst suspicions of a launch. What is about the formula comes before what is about one value; of one kind the
/// largest excess comes first.
#[derive(Debug, Default)]
pub(super) struct Worst(Vec<Suspicion>);

impl Worst {
    pub(super) fn add(&mut self, kind: SuspicionKind, metric: &Arc<str>, value: f64) {
        self.add_part(kind, metric, value, None);
    }

    /// Adds a value that is part of another.
    pub(super) fn add_part(&mut self, kind: SuspicionKind, metric: &Arc<str>, value: f64, whole: Option<f64>) {
        let at = self.0.partition_point(|other| rank(other.kind, other.value) >= rank(kind, value));
        if at < KEPT {
            self.0.truncate(KEPT - 1);
            self.0.insert(at, Suspicion { kind, metric: Arc::clone(metric), value, whole, launches: 1 });
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

    #[test]
    fn of_several_launches_parts_add_up_and_of_other_kinds_the_worst_stay() {
        let launch = |hfma: f64, percent: f64| {
            let mut worst = Worst::default();
            worst.add_part(SuspicionKind::HfmaInTensorPipe, &Arc::from("m"), hfma, Some(100.0));
            worst.add(SuspicionKind::PercentOver100, &Arc::from("p"), percent);
            worst.finish()
        };
        let mut known = Vec::new();
        for (hfma, percent) in [(10.0, 101.0), (20.0, 104.0), (30.0, 102.0), (40.0, 103.0)] {
            gather(&mut known, launch(hfma, percent));
        }
        let found: Vec<_> = known.iter().map(|one| (one.value, one.whole, one.launches)).collect();
        assert_eq!(found, [(100.0, Some(400.0), 4), (104.0, None, 1), (103.0, None, 1), (102.0, None, 1)]);
        gather(&mut known, launch(f64::MAX, 0.0));
        gather(&mut known, launch(f64::MAX, 0.0));
        assert!(known.iter().all(|one| one.value.is_finite()), "{known:?}");
    }
}
