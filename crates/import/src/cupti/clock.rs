//! From CUPTI's clock to the session's.

/// Pairs of both clocks, which a file states with each delivery.
#[derive(Debug)]
pub(crate) struct Clock {
    /// CUPTI's time and the time since the session start, by CUPTI's time.
    pairs: Vec<(i64, i64)>,
}

impl Clock {
    /// `None` without a pair that can be told.
    pub(crate) fn new(pairs: impl Iterator<Item = [i64; 2]>, session_start_ns: i64) -> Option<Self> {
        let pair = |[cupti, monotonic]: [i64; 2]| Some((cupti, monotonic.checked_sub(session_start_ns)?));
        let mut pairs: Vec<_> = pairs.filter_map(pair).collect();
        pairs.sort_unstable();
        pairs.dedup_by_key(|(cupti, _)| *cupti);
        (!pairs.is_empty()).then_some(Self { pairs })
    }

    /// A time of CUPTI on the session's clock, saturating: straight from one pair to the next, before the first and
    /// after the last with its distance.
    pub(crate) fn session(&self, time: i64) -> i64 {
        let after = self.pairs.partition_point(|(cupti, _)| *cupti <= time);
        let (from, to) = (self.pairs[after.saturating_sub(1)], self.pairs[after.min(self.pairs.len() - 1)]);
        let wide = |value: i64| i128::from(value);
        let past = wide(time) - wide(from.0);
        let moved = match wide(to.0) - wide(from.0) {
            0 => past,
            width => past.saturating_mul(wide(to.1) - wide(from.1)) / width,
        };
        (wide(from.1) + moved).clamp(wide(i64::MIN + 1), wide(i64::MAX)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_straight_from_pair_to_pair_and_keep_their_distance_outside() {
        let clock = Clock::new([[2000, 1100], [1000, 100], [3000, 3100]].into_iter(), 100).unwrap();
        assert_eq!(
            [900, 1000, 1500, 2000, 2500, 3000, 3007].map(|time| clock.session(time)),
            [-100, 0, 500, 1000, 2000, 3000, 3007]
        );
    }

    #[test]
    fn one_pair_is_enough_and_none_is_not() {
        assert_eq!(Clock::new([[50, 20]].into_iter(), 10).unwrap().session(40), 0);
        assert!(Clock::new(std::iter::empty(), 0).is_none());
    }

    #[test]
    fn extreme_times_saturate() {
        let clock = Clock::new([[i64::MIN, i64::MAX], [i64::MAX, i64::MIN + 5]].into_iter(), 0).unwrap();
        assert!(clock.session(i64::MAX) < 0 && clock.session(i64::MIN) > 0);
        assert!(clock.session(i64::MAX - 1) < 0);
    }
}
