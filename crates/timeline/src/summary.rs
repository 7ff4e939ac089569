//! Order statistics of integer lengths: sorted once, asked often.

/// Whole numbers in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    sorted: Vec<i64>,
}

impl FromIterator<i64> for Summary {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        Self::of(values.into_iter().collect())
    }
}

impl Summary {
    /// Sorts the values.
    pub fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        Self { sorted: values }
    }

    /// How many values there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// Their sum, at the limits of the type where it is beyond them.
    pub fn total(&self) -> i64 {
        saturated(self.sum())
    }

    fn sum(&self) -> i128 {
        self.sorted.iter().map(|value| i128::from(*value)).sum()
    }

    /// The smallest.
    pub fn min(&self) -> Option<i64> {
        self.sorted.first().copied()
    }

    /// The largest.
    pub fn max(&self) -> Option<i64> {
        self.sorted.last().copied()
    }

    /// The mean; `None` for no values.
    pub fn mean(&self) -> Option<f64> {
        (!self.sorted.is_empty()).then(|| self.sum() as f64 / self.sorted.len() as f64)
    }

    /// The median: the middle value, or the midpoint of the middle two rounded down. `None` for no values.
    pub fn median(&self) -> Option<i64> {
        self.percentile(50)
    }

    /// The quantile of so many percent (at most 100), interpolated linearly between closest ranks (definition 7 of Hyndman
    /// and Fan, 1996; the default of R and NumPy) and rounded down. Integers only, hence exact. `None` for no values.
    pub fn percentile(&self, percent: u8) -> Option<i64> {
        let hundredths = self.sorted.len().checked_sub(1)? as u128 * u128::from(percent.min(100));
        let (below, rest) = ((hundredths / 100) as usize, (hundredths % 100) as i128);
        let low = i128::from(self.sorted[below]);
        let high = i128::from(*self.sorted.get(below + 1).unwrap_or(&self.sorted[below]));
        Some(saturated(low + ((high - low) * rest).div_euclid(100)))
    }

    /// The sample standard deviation (denominator n - 1); `None` for fewer than two values.
    pub fn deviation(&self) -> Option<f64> {
        let mean = self.mean().filter(|_| self.sorted.len() > 1)?;
        let squares: f64 = self.sorted.iter().map(|value| (*value as f64 - mean).powi(2)).sum();
        Some((squares / (self.sorted.len() - 1) as f64).sqrt())
    }
}

/// The nearest number of 64 bits.
pub fn saturated(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_summary_states_what_a_textbook_does() {
        // Sum 40 of 8 values, squares of the differences from 5 sum to 32: deviation sqrt(32 / 7).
        let summary: Summary = [9, 4, 5, 2, 4, 7, 4, 5].into_iter().collect();
        assert_eq!((summary.count(), summary.total(), summary.min(), summary.max()), (8, 40, Some(2), Some(9)));
        assert_eq!((summary.mean(), summary.median()), (Some(5.0), Some(4)));
        assert!((summary.deviation().unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        // Position 0.99 * 7 = 6.93 of 2 4 4 4 5 5 7 9: 7 + 0.93 * 2 = 8.86.
        assert_eq!(
            (summary.percentile(99), summary.percentile(0), summary.percentile(100)),
            (Some(8), Some(2), Some(9))
        );
    }

    #[test]
    fn nothing_has_no_statistics_and_one_value_no_deviation() {
        let (none, one) = (Summary::default(), Summary::of(vec![7]));
        assert_eq!(
            (none.median(), none.mean(), none.deviation(), none.min(), none.total()),
            (None, None, None, None, 0)
        );
        assert_eq!((one.median(), one.percentile(99), one.deviation()), (Some(7), Some(7), None));
    }

    #[test]
    fn a_sum_stays_at_the_limit_of_its_type() {
        let extreme = Summary::of(vec![i64::MAX, i64::MIN, i64::MAX, i64::MAX]);
        assert_eq!((extreme.total(), extreme.percentile(1)), (i64::MAX, Some(-8_669_969_714_643_489_260)));
        assert!(extreme.deviation().unwrap().is_finite());
    }

    proptest! {
        #[test]
        fn a_percentile_is_the_interpolated_rank_in_any_order(
            values in prop::collection::vec(-1000..1000_i64, 1..40), percent in 0..=100_u8,
        ) {
            let mut shuffled = values.clone();
            shuffled.reverse();
            let summary: Summary = values.iter().copied().collect();
            prop_assert_eq!(&summary, &Summary::of(shuffled));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            // In hundredths of a rank, so that the reference is exact too.
            let place = (values.len() - 1) * usize::from(percent);
            let (low, high) = (sorted[place / 100], sorted[place.div_ceil(100)]);
            let expected = low * 100 + (high - low) * (place % 100) as i64;
            prop_assert_eq!(summary.percentile(percent), Some(expected.div_euclid(100)));
        }
    }
}
