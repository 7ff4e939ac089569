//! Quantities over time: by hand, against one value a nanosecond, and as partitions.

use super::*;
use crate::operators::{gaps, union};
use proptest::prelude::*;

#[test]
fn values_count_with_their_time_inside_the_windows() {
    // 5 ns of 10 and 2 ns of 40 in the first window, 3 ns of 40 in the second: 50 + 80 + 120 over 10 ns.
    let quantity = Weighted::of(vec![((20, 30), -7.0), ((0, 10), 10.0), ((10, 20), 40.0)]);
    let held = quantity.over(&[(5, 12), (15, 18)]);
    assert_eq!((held.pieces(), held.covered_ns(), held.integral(), held.mean()), (2, 10, Some(250.0), Some(25.0)));
    assert_eq!((held.min(), held.max()), (Some(10.0), Some(40.0)));
    // Five of the ten ns are at 10, so that half of the time it is not exceeded; 51 % need the 40.
    assert_eq!([0, 50, 51, 100].map(|percent| held.quantile(percent)), [10.0, 10.0, 40.0, 40.0].map(Some));
    assert_eq!((held.ns_where(|value| value > 10.0), held.pieces_where(|value| value < 0.0)), (5, 0));
    assert_eq!(quantity.over(&[(25, 90)]).pieces_where(|value| value < 0.0), 1);
    assert_eq!((held.typical_ns(), quantity.extent()), (10, Some((0, 30))));
}

#[test]
fn nothing_has_no_numbers() {
    let quantity = Weighted::of(vec![((0, 0), 1.0), ((5, 2), 1.0), ((0, 9), f64::NAN), ((0, 9), f64::INFINITY)]);
    let held = quantity.over(&[(0, 10)]);
    assert_eq!((held.pieces(), held.covered_ns(), held.typical_ns()), (0, 0, 0));
    assert_eq!([held.mean(), held.integral(), held.min(), held.max(), held.quantile(50)], [None; 5]);
    assert_eq!(quantity.extent(), None);
}

#[test]
fn any_number_and_any_time_have_an_answer() {
    let whole = [(i64::MIN, i64::MAX)];
    for value in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -0.0, 1e-300] {
        let quantity = Weighted::of(vec![((i64::MIN, 0), value), ((0, i64::MAX), value)]);
        let held = quantity.over(&whole);
        assert_eq!(held.covered_ns(), i64::MAX);
        assert!(held.integral().is_none_or(f64::is_finite) && held.mean().is_none_or(f64::is_finite), "{value}");
    }
    // 2^63 ns of 2.
    assert_eq!(Weighted::of(vec![((i64::MIN, 0), 2.0)]).over(&whole).integral(), Some(2.0_f64.powi(64)));
}

#[test]
fn pieces_that_overlap_give_their_time_once_whatever_their_order() {
    let pieces = vec![((0, 10), 1.0), ((0, 10), 2.0), ((5, 15), 3.0)];
    let reversed = pieces.iter().rev().copied().collect();
    assert_eq!(Weighted::of(pieces.clone()), Weighted::of(reversed));
    assert_eq!(Weighted::of(pieces).pieces().collect::<Vec<_>>(), [((0, 10), 1.0), ((10, 15), 3.0)]);
}

fn random_pieces() -> impl Strategy<Value = Vec<(Span, f64)>> {
    let value = prop_oneof![(-30..30_i32).prop_map(f64::from), -1e3..1e3_f64];
    let piece = (0..60_i64, 0..9_i64, value).prop_map(|(start, length, value)| ((start, start + length), value));
    prop::collection::vec(piece, 0..14)
}

fn random_set() -> impl Strategy<Value = Vec<Span>> {
    prop::collection::vec((-3..60_i64, 0..12_i64), 0..6)
        .prop_map(|spans| union(&spans.into_iter().map(|(start, length)| (start, start + length)).collect::<Vec<_>>()))
}

proptest! {
    #[test]
    fn every_number_is_that_of_one_value_a_nanosecond(pieces in random_pieces(), windows in random_set(), percent in 0..101_u8) {
        let quantity = Weighted::of(pieces);
        let value = |t: i64| quantity.pieces().find(|(span, _)| span.0 <= t && t < span.1).map(|piece| piece.1);
        let mut seen: Vec<f64> = windows.iter().flat_map(|window| window.0..window.1).filter_map(value).collect();
        seen.sort_by(f64::total_cmp);
        let held = quantity.over(&windows);
        prop_assert_eq!(held.covered_ns(), seen.len() as i64);
        prop_assert_eq!((held.min(), held.max()), (seen.first().copied(), seen.last().copied()));
        prop_assert_eq!(held.ns_where(|value| value > 7.0), seen.iter().filter(|value| **value > 7.0).count() as i64);
        let sum: f64 = seen.iter().sum();
        prop_assert!((held.integral().unwrap_or(0.0) - sum).abs() < 1e-6);
        // The smallest value with at least so many percent of the nanoseconds at or below it.
        let at_most = |value: f64| seen.iter().filter(|other| **other <= value).count() * 100;
        let quantile = seen.iter().copied().find(|value| at_most(*value) >= seen.len() * usize::from(percent));
        prop_assert_eq!(held.quantile(percent), quantile);
    }

    #[test]
    fn the_integrals_of_a_partition_sum_to_the_whole_exactly(pieces in random_pieces(), part in random_set(), window in (-5..70_i64, 0..80_i64)) {
        let window = (window.0, window.0 + window.1);
        let quantity = Weighted::of(pieces);
        let inside = crate::operators::within(&part, window);
        let outside = gaps(&part, window);
        let (whole, inside, outside) = (quantity.over(&[window]), quantity.over(&inside), quantity.over(&outside));
        prop_assert_eq!(inside.quanta() + outside.quanta(), whole.quanta());
        prop_assert_eq!(inside.covered_ns() + outside.covered_ns(), whole.covered_ns());
    }

    #[test]
    fn the_order_of_the_pieces_changes_nothing(pieces in random_pieces(), by in 0..14_usize) {
        let mut turned = pieces.clone();
        turned.rotate_left(by.min(pieces.len()));
        turned.reverse();
        prop_assert_eq!(Weighted::of(turned), Weighted::of(pieces));
    }
}
