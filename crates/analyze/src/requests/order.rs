//! Order statistics of latencies: the nearest rank, the mean, the deviation.

/// Latencies in ascending order, each with how often it occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latencies {
    sorted: Vec<i64>,
    /// How many values there are up to and with each; empty where each occurred once.
    until: Vec<u64>,
}

impl FromIterator<i64> for Latencies {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        let mut sorted: Vec<i64> = values.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted, until: Vec::new() }
    }
}

impl Latencies {
    /// Values that occurred so often.
    pub(crate) fn weighted(mut values: Vec<(i64, u64)>) -> Self {
        values.retain(|(_, count)| *count > 0);
        values.sort_unstable();
        let mut sum = 0_u64;
        let mut until = Vec::with_capacity(values.len());
        for (_, count) in &values {
            sum = sum.saturating_add(*count);
            until.push(sum);
        }
        Self { sorted: values.into_iter().map(|(value, _)| value).collect(), until }
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.until.last().copied().unwrap_or(self.sorted.len() as u64)
    }

    /// The value of nearest rank: the smallest that at least so many of 1000 values do not exceed; none of nothing.
    pub(crate) fn permille(&self, permille: u32) -> Option<i64> {
        let wanted = (u128::from(self.count()) * u128::from(permille.min(1000))).div_ceil(1000).max(1);
        let at = match self.until.as_slice() {
            [] => wanted as usize - 1,
            until => until.partition_point(|until| u128::from(*until) < wanted),
        };
        self.sorted.get(at).copied()
    }

    /// The 50th, 95th and 99th percentile.
    pub(crate) fn usual(&self) -> [Option<i64>; 3] {
        [500, 950, 990].map(|permille| self.permille(permille))
    }

    /// The mean of values that occurred once each.
    pub(crate) fn mean(&self) -> Option<f64> {
        let sum: i128 = self.sorted.iter().map(|value| i128::from(*value)).sum();
        (!self.sorted.is_empty()).then(|| sum as f64 / self.sorted.len() as f64)
    }

    /// The standard deviation of them, as of all there are: the denominator is their number.
    pub(crate) fn deviation(&self) -> Option<f64> {
        let mean = self.mean()?;
        let squares: f64 = self.sorted.iter().map(|value| (*value as f64 - mean).powi(2)).sum();
        Some((squares / self.sorted.len() as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_nearest_rank_is_a_value_that_occurred() {
        let values: Latencies = (1..=20).collect();
        let found = [0, 500, 501, 950, 951, 1000].map(|permille| values.permille(permille));
        assert_eq!(found, [1, 10, 11, 19, 20, 20].map(Some));
        assert_eq!((Latencies::from_iter([7]).usual(), Latencies::default().permille(500)), ([Some(7); 3], None));
    }

    #[test]
    fn mean_and_deviation_are_those_of_all_values() {
        let values: Latencies = [2, 4, 4, 4, 5, 5, 7, 9].into_iter().collect();
        assert_eq!((values.mean(), values.deviation()), (Some(5.0), Some(2.0)));
        assert_eq!((Latencies::default().mean(), Latencies::default().deviation()), (None, None));
    }

    proptest! {
        #[test]
        fn a_value_that_occurred_often_counts_as_often(
            values in proptest::collection::vec((0_i64..20, 0_u64..5), 0..30),
            permille in 0_u32..=1000,
        ) {
            let each: Latencies =
                values.iter().flat_map(|(value, count)| (0..*count).map(move |_| *value)).collect();
            let weighted = Latencies::weighted(values);
            prop_assert_eq!(weighted.count(), each.count());
            prop_assert_eq!(weighted.permille(permille), each.permille(permille));
        }
    }
}
