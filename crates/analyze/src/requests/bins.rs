//! Parts of a window, all of one round width.

use super::Latencies;
use crate::operators::Span;

/// Parts of a window: 1, 2 or 5 times a power of ten nanoseconds each, the last as long as is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bins {
    window: Span,
    pub(crate) width: i64,
}

impl Bins {
    /// At most so many parts of a window, one at least.
    pub(crate) fn of(window: Span, most: u32) -> Self {
        let least = i128::try_from(length(window).div_ceil(u128::from(most.max(1)))).unwrap_or(i128::MAX).max(1);
        let widths = (0..=18).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i128.pow(power)));
        let width = widths.into_iter().find(|width| *width >= least).unwrap_or(i128::from(i64::MAX));
        Self { window, width: i64::try_from(width).unwrap_or(i64::MAX) }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        length(self.window).div_ceil(self.width.unsigned_abs().into()).max(1) as usize
    }

    /// The part of an instant; the end of the window belongs to the last.
    pub(crate) fn at(&self, instant: i64) -> Option<usize> {
        let inside = (self.window.0..=self.window.1).contains(&instant);
        let place = (i128::from(instant) - i128::from(self.window.0)) / i128::from(self.width);
        inside.then(|| (place as usize).min(self.count() - 1))
    }

    /// From the start of a part to its end.
    pub(crate) fn span(&self, at: usize) -> Span {
        let edge = |at: usize| i128::from(self.window.0) + i128::from(self.width) * at as i128;
        let end = edge(at + 1).min(i128::from(self.window.1).max(edge(at)));
        (edge(at) as i64, end as i64)
    }

    /// The values of each part, of pairs of an instant and a value.
    pub(crate) fn latencies(&self, values: impl Iterator<Item = (i64, i64)>) -> Vec<Latencies> {
        let mut parts: Vec<Vec<i64>> = vec![Vec::new(); self.count()];
        for (instant, value) in values {
            if let Some(at) = self.at(instant) {
                parts[at].push(value);
            }
        }
        parts.into_iter().map(Latencies::from_iter).collect()
    }
}

/// The length of a span, 0 of one that ends before it begins.
fn length(span: Span) -> u128 {
    (i128::from(span.1) - i128::from(span.0)).max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMES: std::ops::Range<i64> = -(1 << 61)..1 << 61;

    #[test]
    fn parts_have_a_round_width_and_the_last_is_what_is_left() {
        let bins = Bins::of((100, 1290), 60);
        assert_eq!((bins.width, bins.count()), (20, 60));
        assert_eq!((bins.span(0), bins.span(59)), ((100, 120), (1280, 1290)));
        assert_eq!(
            [99, 100, 119, 120, 1290, 1291].map(|at| bins.at(at)),
            [None, Some(0), Some(0), Some(1), Some(59), None]
        );
        let empty = Bins::of((5, 5), 60);
        assert_eq!((empty.count(), empty.span(0), empty.at(5)), (1, (5, 5), Some(0)));
    }

    proptest! {
        /// Importers take rows more than 2^53 ns apart for damaged.
        #[test]
        fn parts_are_a_partition_of_any_window(start in TIMES, end in TIMES, most in 1_u32..100) {
            let window = (start.min(end), start.max(end));
            let bins = Bins::of(window, most);
            prop_assert!(bins.count() <= most as usize);
            let spans: Vec<Span> = (0..bins.count()).map(|at| bins.span(at)).collect();
            prop_assert_eq!((spans[0].0, spans[spans.len() - 1].1), window);
            prop_assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].0 < pair[0].1));
        }
    }
}
