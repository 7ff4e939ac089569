//! Splits busy time evenly over what runs in it, in whole nanoseconds.

use crate::operators::{Span, clip};

/// Common denominators beyond this are rounded down to it, so that a product with a length in ns fits 128 bits.
const LARGEST: u128 = 1 << 62;

/// How much of a window belongs to each span, where an instant at which n spans are open gives each 1/n: the exact shares,
/// rounded to whole ns by the largest remainder, on equal remainders to the span that comes first. They sum to the
/// length of the union inside the window. O(n log n).
pub(crate) fn even(spans: &[Span], window: Span) -> Vec<i64> {
    let clipped: Vec<Option<Span>> = spans.iter().map(|span| clip(*span, window)).collect();
    let pieces = pieces(&clipped);
    let unit = denominator(&pieces);
    // The area under 1/n up to each instant at which n changes, in units of 1 ns / unit.
    let (mut instants, mut areas, mut area, mut whole) = (Vec::new(), Vec::new(), 0_u128, 0_i64);
    for ((start, end), open) in &pieces {
        instants.push(*start);
        areas.push(area);
        if *open > 0 {
            area += u128::from(end.abs_diff(*start)) * (unit / open);
            whole = whole.saturating_add(end.saturating_sub(*start));
        }
    }
    let until = |instant: i64| match instants.binary_search(&instant) {
        Ok(at) => areas[at],
        Err(_) => area,
    };
    let exact = |span: &Option<Span>| span.map_or(0, |span| until(span.1) - until(span.0));
    let exact: Vec<u128> = clipped.iter().map(exact).collect();
    rounded(&exact, unit, whole)
}

/// The pieces between the instants at which a span begins or ends, each with the number of open spans.
fn pieces(spans: &[Option<Span>]) -> Vec<(Span, u128)> {
    let mut edges: Vec<(i64, i64)> = spans.iter().flatten().flat_map(|span| [(span.0, 1), (span.1, -1)]).collect();
    edges.sort_unstable();
    let (mut pieces, mut open) = (Vec::new(), 0_i64);
    for (at, (instant, change)) in edges.iter().enumerate() {
        open += change;
        if let Some(next) = edges.get(at + 1).filter(|next| next.0 > *instant) {
            pieces.push(((*instant, next.0), open.unsigned_abs().into()));
        }
    }
    pieces
}

/// A number that every count of open spans divides, or the largest one where that would be too large.
fn denominator(pieces: &[(Span, u128)]) -> u128 {
    let mut counts: Vec<u128> = pieces.iter().map(|piece| piece.1).filter(|open| *open > 0).collect();
    counts.sort_unstable();
    counts.dedup();
    let multiple = counts.into_iter().try_fold(1_u128, |multiple, count| {
        let product = multiple / gcd(multiple, count) * count;
        (product <= LARGEST).then_some(product)
    });
    multiple.unwrap_or(LARGEST)
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn rounded(exact: &[u128], unit: u128, whole: i64) -> Vec<i64> {
    let mut shares: Vec<i64> = exact.iter().map(|share| i64::try_from(share / unit).unwrap_or(i64::MAX)).collect();
    let given = shares.iter().fold(0_i64, |sum, share| sum.saturating_add(*share));
    let mut order: Vec<usize> = (0..exact.len()).filter(|at| exact[*at] > 0).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(exact[*at] % unit), *at));
    // Exact shares lack less than one ns each; only a rounded denominator can make a second round necessary.
    let missing = usize::try_from(whole.saturating_sub(given)).unwrap_or(0);
    for at in order.iter().cycle().take(if order.is_empty() { 0 } else { missing }) {
        shares[*at] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_instant_is_shared_evenly_and_the_odd_nanosecond_goes_to_the_first() {
        // 0..10 alone, 10..15 two, 15..20 three (2 1/2 + 1 2/3 and so on), 20..30 the last alone.
        let spans = [(0, 20), (10, 20), (15, 30)];
        // Exact: 10 + 2 1/2 + 1 2/3 = 14 1/6; 4 1/6; 11 2/3. The one missing ns goes to the largest remainder.
        assert_eq!(even(&spans, (0, 30)), [14, 4, 12]);
        assert_eq!(even(&[(0, 5), (0, 5)], (0, 5)), [3, 2]);
        assert_eq!(even(&[(0, 10), (20, 25), (7, 7)], (5, 22)), [5, 2, 0]);
        assert!(even(&[], (0, 5)).is_empty());
    }

    #[test]
    fn shares_of_very_many_spans_still_sum_to_the_whole() {
        // 1 to 100 open at a time: their common multiple has 41 digits.
        let spans: Vec<Span> = (0..100).map(|at| (at * 7, 1000)).collect();
        assert_eq!(even(&spans, (0, 1000)).iter().sum::<i64>(), 1000);
        let hostile = [(i64::MIN, i64::MAX), (i64::MIN, 0), (-1, i64::MAX)];
        assert_eq!(even(&hostile, (i64::MIN, i64::MAX)).len(), 3);
    }

    proptest! {
        #[test]
        fn shares_agree_with_a_split_of_each_nanosecond(
            spans in prop::collection::vec((0..40_i64, 0..20_i64), 0..8),
            window in (0..30_i64, 0..40_i64),
        ) {
            let spans: Vec<Span> = spans.iter().map(|(start, length)| (*start, start + length)).collect();
            let window = (window.0, window.0 + window.1);
            // 840 is a multiple of 1 to 8.
            let (mut exact, mut whole) = (vec![0_i64; spans.len()], 0);
            for t in window.0..window.1 {
                let open: Vec<usize> =
                    (0..spans.len()).filter(|at| spans[*at].0 <= t && t < spans[*at].1).collect();
                for at in &open { exact[*at] += 840 / open.len() as i64; }
                whole += i64::from(!open.is_empty());
            }
            let mut expected: Vec<i64> = exact.iter().map(|share| share / 840).collect();
            let mut order: Vec<usize> = (0..spans.len()).collect();
            order.sort_by_key(|at| (-(exact[*at] % 840), *at));
            let missing = whole - expected.iter().sum::<i64>();
            order.iter().take(missing as usize).for_each(|at| expected[*at] += 1);
            prop_assert_eq!(even(&spans, window), expected);
        }
    }
}
