//! A count over time (how many launches wait, how many ranges are open): its distribution inside a window.

use std::collections::BTreeMap;

use crate::operators::{Span, clip};
use crate::summary::saturated;

/// How long a count had each of its values inside one or more windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Nanoseconds at each value that it had, 0 too.
    times: BTreeMap<usize, i128>,
}

impl Levels {
    /// The values inside a window of a count that [`crate::operators::depth`] returned: pieces in order where it is not 0.
    pub fn inside(pieces: &[(Span, usize)], window: Span) -> Self {
        let mut levels = Self::default();
        levels.add(pieces, window);
        levels
    }

    /// Adds the values inside another window, which must not overlap those before.
    pub fn add(&mut self, pieces: &[(Span, usize)], window: Span) {
        let mut empty = i128::from(window.1) - i128::from(window.0);
        if empty <= 0 {
            return;
        }
        let first = pieces.partition_point(|(span, _)| span.1 <= window.0);
        for (span, level) in pieces[first..].iter().take_while(|(span, _)| span.0 < window.1) {
            let Some((start, end)) = clip(*span, window) else { continue };
            let length = i128::from(end) - i128::from(start);
            *self.times.entry(*level).or_default() += length;
            empty -= length;
        }
        if empty > 0 {
            *self.times.entry(0).or_default() += empty;
        }
    }

    /// The length of the windows.
    pub fn span(&self) -> i64 {
        saturated(self.times.values().sum())
    }

    /// The largest value that it had for at least a nanosecond; `None` for empty windows.
    pub fn max(&self) -> Option<usize> {
        self.times.last_key_value().map(|(level, _)| *level)
    }

    /// Its mean over time; `None` for empty windows.
    pub fn mean(&self) -> Option<f64> {
        let whole: i128 = self.times.values().sum();
        let weighted: f64 = self.times.iter().map(|(level, time)| *level as f64 * *time as f64).sum();
        (whole > 0).then(|| weighted / whole as f64)
    }

    /// The smallest value that it did not exceed for so many percent of the time; `None` for empty windows.
    pub fn percentile(&self, percent: u8) -> Option<usize> {
        let wanted = self.times.values().sum::<i128>() * i128::from(percent.min(100));
        let mut below = 0;
        let reached = self.times.iter().find(|(_, time)| {
            below += **time;
            below * 100 >= wanted
        });
        reached.map(|(level, _)| *level)
    }

    /// How long it was at least that value.
    pub fn at_least(&self, level: usize) -> i64 {
        saturated(self.times.range(level..).map(|(_, time)| *time).sum())
    }
}

/// Cuts a span into at most `count` parts of equal length, which differ by a nanosecond where it does not divide; a span
/// of fewer nanoseconds gives a part for each.
pub fn bins(span: Span, count: u32) -> Vec<Span> {
    let length = i128::from(span.1) - i128::from(span.0);
    if length <= 0 || count == 0 {
        return Vec::new();
    }
    let count = i128::from(count).min(length);
    let edge = |number: i128| saturated(i128::from(span.0) + length * number / count);
    (0..count).map(|number| (edge(number), edge(number + 1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::depth;
    use proptest::prelude::*;

    #[test]
    fn levels_weigh_a_count_by_the_time_that_it_lasts() {
        // 0 in 0..10, 1 in 10..20, 2 in 20..25, 1 in 25..30, 0 in 30..40: mean (10 + 10 + 5) / 40.
        let pieces = depth(&[(10, 25), (20, 30)]);
        let levels = Levels::inside(&pieces, (0, 40));
        assert_eq!((levels.span(), levels.max(), levels.mean()), (40, Some(2), Some(25.0 / 40.0)));
        assert_eq!((levels.at_least(1), levels.at_least(2), levels.at_least(3)), (20, 5, 0));
        assert_eq!((levels.percentile(50), levels.percentile(51), levels.percentile(95)), (Some(0), Some(1), Some(2)));
    }

    #[test]
    fn an_empty_window_has_no_levels() {
        let levels = Levels::inside(&[((0, 9), 1)], (4, 4));
        assert_eq!((levels.span(), levels.max(), levels.mean(), levels.percentile(95)), (0, None, None, None));
    }

    #[test]
    fn the_whole_line_of_time_can_be_a_window() {
        let levels = Levels::inside(&[((i64::MIN, i64::MAX), 3)], (i64::MIN, i64::MAX));
        assert_eq!((levels.max(), levels.mean(), levels.at_least(3)), (Some(3), Some(3.0), i64::MAX));
        assert_eq!(bins((i64::MIN, i64::MAX), 2), [(i64::MIN, -1), (-1, i64::MAX)]);
    }

    proptest! {
        #[test]
        fn levels_agree_with_a_count_at_each_nanosecond(
            spans in prop::collection::vec((0..60_i64, 0..12_i64), 0..12), start in 0..60_i64, length in 1..40_i64, percent in 1..=100_u8,
        ) {
            let spans: Vec<Span> = spans.into_iter().map(|(start, length)| (start, start + length)).collect();
            let at = |t: i64| spans.iter().filter(|(start, end)| *start <= t && t < *end).count();
            let mut counts: Vec<usize> = (start..start + length).map(at).collect();
            let levels = Levels::inside(&depth(&spans), (start, start + length));
            counts.sort_unstable();
            prop_assert_eq!(levels.span(), length);
            prop_assert_eq!(levels.max(), counts.last().copied());
            let mean = counts.iter().sum::<usize>() as f64 / length as f64;
            prop_assert!((levels.mean().unwrap() - mean).abs() < 1e-9);
            prop_assert_eq!(levels.at_least(2), counts.iter().filter(|count| **count >= 2).count() as i64);
            // The smallest value with at least that share at or below it: the rank rounded up.
            let rank = (counts.len() * usize::from(percent)).div_ceil(100);
            prop_assert_eq!(levels.percentile(percent), Some(counts[rank - 1]));
        }

        #[test]
        fn bins_are_a_partition_of_nearly_equal_parts(start in -50..50_i64, length in 0..90_i64, count in 0..20_u32) {
            let parts = bins((start, start + length), count);
            prop_assert_eq!(parts.len() as i64, if length == 0 { 0 } else { i64::from(count).min(length) });
            prop_assert!(parts.windows(2).all(|pair| pair[0].1 == pair[1].0));
            let ends = (parts.first().map(|part| part.0), parts.last().map(|part| part.1));
            prop_assert!(parts.is_empty() || ends == (Some(start), Some(start + length)));
            let lengths: Vec<i64> = parts.iter().map(|part| part.1 - part.0).collect();
            prop_assert!(lengths.iter().max().unwrap_or(&0) - lengths.iter().min().unwrap_or(&0) <= 1);
        }
    }
}
