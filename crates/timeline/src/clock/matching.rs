//! Which spans of several lists belong together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::operators::Span;

/// Whether the spans have an instant in common (an end included): nobody leaves a collective before all have entered.
pub fn possible(spans: &[Span]) -> bool {
    let last_start = spans.iter().map(|span| span.0).max();
    let first_end = spans.iter().map(|span| span.1).min();
    last_start.zip(first_end).is_some_and(|(start, end)| start <= end)
}

/// The groups of one span of each list (sorted by start) that have an instant in common, as places in the lists.
///
/// A sweep over the first spans that are left of each list: where all have an instant in common they are a group, else
/// the one that ends first can have none with the one that starts last, nor with what follows it, and is left out.
/// Time: n log(lists).
pub fn overlapping(lists: &[Vec<Span>]) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    if lists.is_empty() || lists.iter().any(Vec::is_empty) {
        return groups;
    }
    let mut next = vec![0; lists.len()];
    // Starts only grow, so that the largest among the first spans is the largest seen.
    let mut last_start = lists.iter().map(|list| list[0].0).max().unwrap_or(0);
    let mut ends: BinaryHeap<Reverse<(i64, usize)>> =
        lists.iter().enumerate().map(|(list, spans)| Reverse((spans[0].1, list))).collect();
    while let Some(Reverse((first_end, list))) = ends.peek().copied() {
        let stepped: Vec<usize> = if last_start <= first_end {
            groups.push(next.clone());
            ends.clear();
            (0..lists.len()).collect()
        } else {
            ends.pop();
            vec![list]
        };
        for list in stepped {
            next[list] += 1;
            let Some(span) = lists[list].get(next[list]) else { return groups };
            last_start = last_start.max(span.0);
            ends.push(Reverse((span.1, list)));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_belong_together_where_all_of_them_are_open() {
        // The first of list 0 and the last of list 1 have no partner.
        let lists = [vec![(0, 5), (10, 20), (30, 40)], vec![(12, 22), (33, 38), (50, 60)]];
        assert_eq!(overlapping(&lists), [vec![1, 0], vec![2, 1]]);
        assert_eq!(overlapping(&[vec![(0, 5)], vec![(5, 9)]]), [vec![0, 0]], "touching is possible");
        assert!(overlapping(&[]).is_empty() && overlapping(&[vec![(0, 1)], Vec::new()]).is_empty());
        assert!(possible(&[(0, 5), (5, 9)]) && !possible(&[(0, 4), (5, 9)]) && !possible(&[]));
    }

    /// Spans of one list: in order and disjoint, as those of one queue.
    fn list() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((1..9_i64, 0..9_i64), 0..12).prop_map(|steps| {
            let mut now = 0;
            let span = |(gap, length): (i64, i64)| {
                let start = now + gap;
                now = start + length;
                (start, now)
            };
            steps.into_iter().map(span).collect()
        })
    }

    /// Every choice of one span a list that has a common instant; the first of each in the order of the lists' places.
    fn naive(lists: &[Vec<Span>]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for a in 0..lists[0].len() {
            for b in 0..lists[1].len() {
                let free = groups.last().is_none_or(|last| last[0] < a && last[1] < b);
                if free && possible(&[lists[0][a], lists[1][b]]) {
                    groups.push(vec![a, b]);
                }
            }
        }
        groups
    }

    proptest! {
        #[test]
        fn the_sweep_finds_what_trying_all_pairs_finds(a in list(), b in list()) {
            let lists = [a, b];
            prop_assert_eq!(overlapping(&lists), naive(&lists));
        }

        #[test]
        fn the_order_of_the_lists_changes_nothing(a in list(), b in list(), c in list()) {
            let forward = overlapping(&[a.clone(), b.clone(), c.clone()]);
            let mut backward = overlapping(&[c.clone(), b.clone(), a.clone()]);
            for group in &mut backward {
                group.reverse();
            }
            prop_assert_eq!(&forward, &backward);
            for group in &forward {
                prop_assert!(possible(&[a[group[0]], b[group[1]], c[group[2]]]));
            }
        }
    }
}
