//! How much of any stretch of time a set covers, each answer by two bisections.

use crate::operators::Span;
use crate::summary::saturated;

/// A set (sorted and disjoint, as [`crate::operators::union`] returns it) with the length of it up to each of its spans.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    set: Vec<Span>,
    /// Length of the set before the span of the same place.
    before: Vec<i128>,
    whole: i128,
}

impl Measure {
    /// Sums up a set.
    pub fn of(set: Vec<Span>) -> Self {
        let (mut before, mut whole) = (Vec::with_capacity(set.len()), 0);
        for (start, end) in &set {
            before.push(whole);
            whole += i128::from(*end) - i128::from(*start);
        }
        Self { set, before, whole }
    }

    /// The set.
    pub fn set(&self) -> &[Span] {
        &self.set
    }

    /// The length of the set inside a span; 0 where that is empty.
    pub fn inside(&self, span: Span) -> i64 {
        if span.1 <= span.0 {
            return 0;
        }
        saturated(self.until(span.1) - self.until(span.0))
    }

    /// The length of the set before an instant.
    fn until(&self, instant: i64) -> i128 {
        let next = self.set.partition_point(|(_, end)| *end <= instant);
        let Some((start, _)) = self.set.get(next) else { return self.whole };
        self.before[next] + (i128::from(instant) - i128::from(*start)).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::{covered, union};
    use proptest::prelude::*;

    #[test]
    fn the_whole_line_of_time_can_be_measured() {
        let measure = Measure::of(vec![(i64::MIN, -5), (5, i64::MAX)]);
        assert_eq!(measure.inside((i64::MIN, i64::MAX)), i64::MAX);
        assert_eq!((measure.inside((-7, 6)), measure.inside((6, -7)), measure.inside((-5, 5))), (3, 0, 0));
    }

    proptest! {
        #[test]
        fn a_measure_is_the_covered_length(
            spans in prop::collection::vec((0..60_i64, 0..12_i64), 0..12), start in -5..70_i64, length in -3..70_i64,
        ) {
            let spans: Vec<Span> = spans.into_iter().map(|(start, length)| (start, start + length)).collect();
            let set = union(&spans);
            let span = (start, start + length);
            let measure = Measure::of(set.clone());
            prop_assert_eq!(measure.inside(span), if length > 0 { covered(span, &set) } else { 0 });
        }
    }
}
