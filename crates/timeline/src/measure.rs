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

    /// The length of the set inside another one, which is sorted and disjoint too. Each end is looked for from the place
    /// of the one before, in steps that double: as cheap as a sweep for many spans and as bisections for few.
    pub fn inside_set(&self, spans: &[Span]) -> i64 {
        let (mut at, mut sum) = (0, 0_i128);
        for span in spans.iter().filter(|span| span.0 < span.1) {
            at = self.ended_by(at, span.0);
            let before = self.until_at(at, span.0);
            at = self.ended_by(at, span.1);
            sum += self.until_at(at, span.1) - before;
        }
        saturated(sum)
    }

    /// The number of spans that end no later than an instant, at least `from` of which do.
    fn ended_by(&self, from: usize, instant: i64) -> usize {
        let rest = &self.set[from..];
        let mut step = 1;
        while rest.get(step - 1).is_some_and(|(_, end)| *end <= instant) {
            step *= 2;
        }
        // Those before half a step have ended.
        let (known, bound) = (step / 2, (step - 1).min(rest.len()));
        from + known + rest[known..bound].partition_point(|(_, end)| *end <= instant)
    }

    /// The length of the set before an instant.
    fn until(&self, instant: i64) -> i128 {
        self.until_at(self.set.partition_point(|(_, end)| *end <= instant), instant)
    }

    /// The same where the first span that ends later is known.
    fn until_at(&self, next: usize, instant: i64) -> i128 {
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
        fn the_length_inside_a_set_is_that_inside_its_spans(
            own in prop::collection::vec((0..200_i64, 0..6_i64), 0..40),
            other in prop::collection::vec((-5..220_i64, 0..30_i64), 0..9),
        ) {
            let set = |spans: Vec<(i64, i64)>| {
                union(&spans.into_iter().map(|(start, length)| (start, start + length)).collect::<Vec<Span>>())
            };
            let (measure, other) = (Measure::of(set(own)), set(other));
            let each: i64 = other.iter().map(|span| measure.inside(*span)).sum();
            prop_assert_eq!(measure.inside_set(&other), each);
        }

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
