//! Every operator against a bitmap of one flag a nanosecond, and at the ends of `i64`.

use super::*;
use proptest::prelude::*;

const SIZE: i64 = 60;

fn spans() -> impl Strategy<Value = Vec<Span>> {
    prop::collection::vec((0..SIZE, -2..12_i64), 0..12)
        .prop_map(|pairs| pairs.into_iter().map(|(start, length)| (start, (start + length).min(SIZE))).collect())
}

/// The brute force: one flag a nanosecond.
fn bitmap(spans: &[Span]) -> Vec<bool> {
    (0..SIZE).map(|t| spans.iter().any(|(start, end)| *start <= t && t < *end)).collect()
}

fn is_set(set: &[Span]) -> bool {
    set.iter().all(|(start, end)| start < end) && set.windows(2).all(|pair| pair[0].1 < pair[1].0)
}

fn sorted_disjoint(set: &[Span]) -> bool {
    set.iter().all(|(start, end)| start < end) && set.windows(2).all(|pair| pair[0].1 <= pair[1].0)
}

/// Times at and near the ends of `i64`, and near zero.
fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![i64::MIN..i64::MIN + 3, -2..3_i64, i64::MAX - 2..=i64::MAX, any::<i64>()]
}

fn extremes() -> impl Strategy<Value = Vec<Span>> {
    prop::collection::vec((extreme(), extreme()), 0..6)
}

/// The length without saturation.
fn wide(set: &[Span]) -> i128 {
    set.iter().map(|(start, end)| i128::from(*end) - i128::from(*start)).sum()
}

proptest! {
    #[test]
    fn union_covers_what_any_span_covers(a in spans()) {
        let set = union(&a);
        prop_assert!(is_set(&set));
        prop_assert_eq!(bitmap(&set), bitmap(&a));
        prop_assert_eq!(total(&set), bitmap(&a).iter().filter(|bit| **bit).count() as i64);
    }

    #[test]
    fn intersect_and_subtract_agree_with_the_bitmap(a in spans(), b in spans()) {
        let (x, y) = (bitmap(&a), bitmap(&b));
        let both: Vec<bool> = x.iter().zip(&y).map(|(p, q)| *p && *q).collect();
        let left: Vec<bool> = x.iter().zip(&y).map(|(p, q)| *p && !*q).collect();
        let (a, b) = (union(&a), union(&b));
        let (common, rest) = (intersect(&a, &b), subtract(&a, &b));
        prop_assert!(sorted_disjoint(&common) && sorted_disjoint(&rest));
        prop_assert_eq!(bitmap(&common), both);
        prop_assert_eq!(bitmap(&rest), left);
        prop_assert_eq!(total(&common) + total(&rest), total(&a));
    }

    #[test]
    fn gaps_and_cover_partition_the_window(a in spans(), start in 0..SIZE, length in 0..30_i64) {
        let (set, window) = (union(&a), (start, (start + length).min(SIZE)));
        let free = gaps(&set, window);
        prop_assert_eq!(total(&free) + covered(window, &set), (window.1 - window.0).max(0));
        let bits = bitmap(&a);
        prop_assert!((0..SIZE).all(|t| contains(&free, t) == (window.0 <= t && t < window.1 && !bits[t as usize])));
    }

    #[test]
    fn depth_counts_the_open_spans(a in spans()) {
        let pieces = depth(&a);
        for t in 0..SIZE {
            let open = a.iter().filter(|(start, end)| *start <= t && t < *end).count();
            let found = pieces.iter().find(|((start, end), _)| *start <= t && t < *end).map_or(0, |piece| piece.1);
            prop_assert_eq!(found, open);
        }
    }

    #[test]
    fn split_gives_each_instant_to_the_first_class_that_covers_it(w in spans(), a in spans(), b in spans()) {
        let (whole, first, second) = (union(&w), union(&a), union(&b));
        let parts = split(&whole, &[&first, &second]);
        let (x, y, z) = (bitmap(&w), bitmap(&a), bitmap(&b));
        for t in 0..SIZE {
            let at = t as usize;
            let expected = [x[at] && y[at], x[at] && !y[at] && z[at], x[at] && !y[at] && !z[at]];
            prop_assert_eq!([0, 1, 2].map(|part: usize| contains(&parts[part], t)), expected);
        }
        prop_assert_eq!(split_totals(&whole, &[&first, &second]).iter().sum::<i64>(), total(&whole));
    }

    #[test]
    fn the_operators_in_place_return_what_the_others_return(a in spans(), start in -5..SIZE, length in -3..70_i64) {
        let (set, window) = (union(&a), (start, start + length));
        prop_assert_eq!(&into_union(a), &set);
        prop_assert_eq!(into_gaps(set.clone(), window), gaps(&set, window));
    }

    #[test]
    fn clipping_to_windows_that_touch_is_the_intersection_with_them(a in spans(), cuts in prop::collection::vec(0..SIZE, 2..7)) {
        let set = union(&a);
        let mut cuts = cuts;
        cuts.sort_unstable();
        cuts.dedup();
        let windows: Vec<Span> = cuts.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let (inside, free) = (clip_set(&set, &windows), gaps_in(&set, &windows));
        prop_assert_eq!(&inside, &intersect(&set, &windows));
        prop_assert!(sorted_disjoint(&inside) && sorted_disjoint(&free));
        prop_assert_eq!(total(&inside) + total(&free), total(&windows));
        let bits = bitmap(&a);
        for t in 0..SIZE {
            let seen = contains(&windows, t);
            prop_assert_eq!(contains(&inside, t), seen && bits[t as usize]);
            prop_assert_eq!(contains(&free, t), seen && !bits[t as usize]);
        }
    }

    #[test]
    fn the_innermost_span_is_the_open_one_that_started_last(a in spans()) {
        let pieces = innermost(&a);
        prop_assert!(sorted_disjoint(&pieces.iter().map(|piece| piece.0).collect::<Vec<_>>()));
        for t in 0..SIZE {
            let open = (0..a.len()).filter(|at| a[*at].0 <= t && t < a[*at].1);
            let expected = open.max_by_key(|at| (a[*at].0, std::cmp::Reverse(a[*at].1), *at));
            let found = pieces.iter().find(|((start, end), _)| *start <= t && t < *end).map(|piece| piece.1);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_gaps_between_rows_are_those_of_their_union_and_the_next_row_begins_where_they_end(a in spans()) {
        let mut rows = a;
        rows.sort_unstable();
        let set = union(&rows);
        let extent = (set.first().map_or(0, |span| span.0), set.last().map_or(0, |span| span.1));
        let found = row_gaps(&rows);
        prop_assert_eq!(found.iter().map(|gap| gap.0).collect::<Vec<_>>(), gaps(&set, extent));
        for ((_, end), next) in found {
            let first = (0..rows.len()).find(|at| rows[*at].0 == end && rows[*at].1 > end);
            prop_assert_eq!(Some(next), first);
        }
    }

    #[test]
    fn the_running_maximum_names_the_first_of_the_latest_ends(a in spans()) {
        let found = latest_ends(&a);
        prop_assert_eq!(found.len(), a.len());
        for (at, found) in found.into_iter().enumerate() {
            let expected = (0..=at).max_by_key(|at| (a[*at].1, std::cmp::Reverse(*at))).unwrap();
            prop_assert_eq!(found as usize, expected);
        }
    }

    #[test]
    fn the_nearest_earlier_key_is_the_last_one_at_or_before(
        keys in prop::collection::vec(0..20_i64, 0..9),
        instants in prop::collection::vec(-2..22_i64, 0..9),
    ) {
        let mut keys = keys;
        keys.sort_unstable();
        // Unsorted instants too: a clock that stepped back gives the same answers.
        for sort in [false, true] {
            let mut instants = instants.clone();
            if sort {
                instants.sort_unstable();
            }
            let expected: Vec<_> = instants.iter().map(|t| keys.iter().rposition(|key| key <= t)).collect();
            prop_assert_eq!(&nearest_earlier(&keys, &instants), &expected);
            let single: Vec<_> = instants.iter().map(|t| last_at_or_before(&keys, *t)).collect();
            prop_assert_eq!(&single, &expected);
        }
    }

    #[test]
    fn the_order_of_the_spans_changes_nothing(a in spans(), keys in prop::collection::vec(any::<u32>(), 12)) {
        let mut places: Vec<usize> = (0..a.len()).collect();
        places.sort_unstable_by_key(|at| keys[*at]);
        let shuffled: Vec<Span> = places.iter().map(|at| a[*at]).collect();
        prop_assert_eq!(union(&shuffled), union(&a));
        prop_assert_eq!(depth(&shuffled), depth(&a));
        let named = |spans: &[Span]| innermost(spans).into_iter().map(|(piece, at)| (piece, spans[at])).collect::<Vec<_>>();
        prop_assert_eq!(named(&shuffled), named(&a));
    }

    #[test]
    fn no_time_overflows(a in extremes(), b in extremes(), window in (extreme(), extreme())) {
        let (x, y) = (union(&a), union(&b));
        prop_assert!(is_set(&x) && sorted_disjoint(&intersect(&x, &y)) && sorted_disjoint(&subtract(&x, &y)));
        let (free, inside) = (gaps(&x, window), within(&x, window));
        prop_assert_eq!(wide(&free) + wide(&inside), (i128::from(window.1) - i128::from(window.0)).max(0));
        prop_assert_eq!(wide(&intersect(&x, &y)) + wide(&subtract(&x, &y)), wide(&x));
        prop_assert_eq!(i128::from(total(&x)), wide(&x).min(i128::from(i64::MAX)));
        prop_assert_eq!(covered(window, &x), total(&inside));
        prop_assert_eq!(depth(&a).iter().map(|piece| wide(&[piece.0])).sum::<i128>(), wide(&x));
        prop_assert_eq!(innermost(&a).iter().map(|piece| wide(&[piece.0])).sum::<i128>(), wide(&x));
        let mut rows = a;
        rows.sort_unstable();
        prop_assert!(row_gaps(&rows).iter().all(|(gap, _)| gap.0 < gap.1));
    }
}

#[test]
fn touching_spans_merge_and_an_empty_window_has_no_gaps() {
    assert_eq!(union(&[(5, 7), (0, 3), (3, 5), (9, 9)]), [(0, 7)]);
    assert!(gaps(&[(0, 7)], (4, 4)).is_empty());
    assert_eq!(gaps(&[], (4, 6)), [(4, 6)]);
}

#[test]
fn each_instant_of_nested_calls_belongs_to_the_innermost() {
    // A call of 0..100 holds one of 10..40, which holds one of 20..30; another of 90..120 crosses the first's end.
    let spans = [(0, 100), (10, 40), (20, 30), (90, 120)];
    let expected = [((0, 10), 0), ((10, 20), 1), ((20, 30), 2), ((30, 40), 1), ((40, 90), 0), ((90, 120), 3)];
    assert_eq!(innermost(&spans), expected);
}

#[test]
fn a_gap_between_rows_begins_where_the_latest_of_them_ended() {
    // The second row lies inside the first: the gap is 50..60, not 20..60; the empty row at 55 does not cut it.
    assert_eq!(row_gaps(&[(0, 50), (10, 20), (55, 55), (60, 70), (70, 71)]), [((50, 60), 3)]);
    assert_eq!(latest_ends(&[(0, 50), (10, 20), (60, 70)]), [0, 0, 2]);
}

#[test]
fn the_longest_span_is_saturated() {
    assert_eq!(total(&[(i64::MIN, i64::MAX)]), i64::MAX);
    assert_eq!(gaps(&[(-1, 1)], (i64::MIN, i64::MAX)), [(i64::MIN, -1), (1, i64::MAX)]);
    assert_eq!(length((i64::MAX, i64::MIN)), 0);
}
