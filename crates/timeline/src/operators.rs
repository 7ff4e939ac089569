//! Interval operators: every metric is a short composition of these.
//!
//! A [`Span`] is a half-open interval of integer nanoseconds, `[start, end)`. A *set* is a slice of spans that are not
//! empty, sorted by start and disjoint (also not touching), as [`union`] returns it. All operators are linear sweeps over
//! sets, except that [`union`] and [`depth`] (the overlap count) sort what they are given.

/// A half-open interval `[start, end)` in nanoseconds. It is empty when `end <= start`.
pub type Span = (i64, i64);

/// The set that covers exactly the spans, which may overlap, touch, be empty, and come in any order.
pub fn union(spans: &[Span]) -> Vec<Span> {
    let mut spans: Vec<Span> = spans.iter().copied().filter(|(start, end)| end > start).collect();
    if !spans.is_sorted() {
        spans.sort_unstable();
    }
    let mut set: Vec<Span> = Vec::with_capacity(spans.len());
    for (start, end) in spans {
        match set.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => set.push((start, end)),
        }
    }
    set
}

/// The length of a set.
pub fn total(set: &[Span]) -> i64 {
    set.iter().map(|(start, end)| end - start).sum()
}

/// What two sets have in common.
pub fn intersect(a: &[Span], b: &[Span]) -> Vec<Span> {
    let (mut set, mut i, mut j) = (Vec::new(), 0, 0);
    while i < a.len() && j < b.len() {
        let (start, end) = (a[i].0.max(b[j].0), a[i].1.min(b[j].1));
        if start < end {
            set.push((start, end));
        }
        if a[i].1 < b[j].1 { i += 1 } else { j += 1 }
    }
    set
}

/// What is in `a` and not in `b`, both sets.
pub fn subtract(a: &[Span], b: &[Span]) -> Vec<Span> {
    let (mut set, mut j) = (Vec::new(), 0);
    for &(mut start, end) in a {
        while j < b.len() && b[j].1 <= start {
            j += 1;
        }
        let mut next = j;
        while next < b.len() && b[next].0 < end {
            if start < b[next].0 {
                set.push((start, b[next].0));
            }
            start = start.max(b[next].1);
            next += 1;
        }
        if start < end {
            set.push((start, end));
        }
    }
    set
}

/// The parts of `window` that the set leaves free.
pub fn gaps(set: &[Span], window: Span) -> Vec<Span> {
    if window.1 <= window.0 {
        return Vec::new();
    }
    subtract(&[window], set)
}

/// The part of one span inside a window, if any.
pub fn clip(span: Span, window: Span) -> Option<Span> {
    let clipped = (span.0.max(window.0), span.1.min(window.1));
    (clipped.0 < clipped.1).then_some(clipped)
}

/// The part of a set inside a window, found by bisection: cheap for a short window on a long set.
pub fn within(set: &[Span], window: Span) -> Vec<Span> {
    let first = set.partition_point(|(_, end)| *end <= window.0);
    set[first..].iter().take_while(|(start, _)| *start < window.1).filter_map(|part| clip(*part, window)).collect()
}

/// The length of one span inside a set.
pub fn covered(span: Span, set: &[Span]) -> i64 {
    total(&within(set, span))
}

/// Whether an instant lies in a set.
pub fn contains(set: &[Span], instant: i64) -> bool {
    let next = set.partition_point(|(_, end)| *end <= instant);
    set.get(next).is_some_and(|(start, _)| *start <= instant)
}

/// How many of the spans (any order, overlaps allowed) are open at each instant: the pieces where at least one is, in
/// order, each with its count.
pub fn depth(spans: &[Span]) -> Vec<(Span, usize)> {
    let mut edges: Vec<(i64, i32)> =
        spans.iter().filter(|(start, end)| end > start).flat_map(|&(start, end)| [(start, 1), (end, -1)]).collect();
    edges.sort_unstable();
    let (mut pieces, mut open, mut since): (Vec<(Span, usize)>, i32, i64) = (Vec::new(), 0, 0);
    for (instant, change) in edges {
        if open > 0 && instant > since {
            push_piece(&mut pieces, (since, instant), open as usize);
        }
        open += change;
        since = instant;
    }
    pieces
}

/// Appends a piece, or lengthens the last one when it touches and has the same count.
fn push_piece(pieces: &mut Vec<(Span, usize)>, span: Span, count: usize) {
    match pieces.last_mut() {
        Some((last, same)) if last.1 == span.0 && *same == count => last.1 = span.1,
        _ => pieces.push((span, count)),
    }
}

/// Cuts `whole` by priority: each instant belongs to the first class (a set) that covers it. Returns one set a class
/// and last the rest; together they are a partition of `whole`.
pub fn split(whole: &[Span], classes: &[&[Span]]) -> Vec<Vec<Span>> {
    let mut rest = whole.to_vec();
    let mut parts = Vec::with_capacity(classes.len() + 1);
    for class in classes {
        parts.push(intersect(&rest, class));
        rest = subtract(&rest, class);
    }
    parts.push(rest);
    parts
}

/// The lengths of the parts that [`split`] returns.
pub fn split_totals(whole: &[Span], classes: &[&[Span]]) -> Vec<i64> {
    split(whole, classes).iter().map(|part| total(part)).collect()
}

#[cfg(test)]
mod tests {
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
    }

    #[test]
    fn touching_spans_merge_and_an_empty_window_has_no_gaps() {
        assert_eq!(union(&[(5, 7), (0, 3), (3, 5), (9, 9)]), [(0, 7)]);
        assert!(gaps(&[(0, 7)], (4, 4)).is_empty());
        assert_eq!(gaps(&[], (4, 6)), [(4, 6)]);
    }
}
