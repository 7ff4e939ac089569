//! Clocks of several ranks: offsets from what all of them saw end together.
//!
//! A collective ends on all its ranks at nearly the same moment, whenever each of them began it. So the difference of
//! the ends that two ranks recorded is the difference of their clocks, up to the time of the last message. (The rule of
//! `nsys-jax`: the median over collectives of a device's end less the mean end of all devices.)

use std::collections::BTreeMap;

mod drift;
mod matching;

pub use drift::drift;
pub use matching::{overlapping, possible};

/// A collective as several clocks saw its end: number of the clock and the end on it.
pub type Ends = Vec<(usize, i64)>;

/// What makes a clock agree with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Nanoseconds to add to its times.
    pub add: i64,
    /// The clock that it was fitted to: the one with the smallest number that collectives connect with it, itself
    /// included (whose `add` is 0).
    pub reference: usize,
}

/// The offset of each of `count` clocks, `None` where no collective connects it with another clock.
///
/// Collectives are taken together by the set of clocks that saw them. In a set, a clock is ahead by the median over its
/// collectives of (end on this clock - mean end over the set); means are rounded down, so that ends which coincide give
/// skews to the nanosecond. Sets join until all connected clocks have one time: those of the most clocks first, then of
/// the most collectives; a set that overlaps an earlier one in several clocks is moved by the median of what they want.
/// Where one set holds all clocks (a collective of all ranks), it alone decides.
///
/// Of several ends on one clock the last counts; clocks beyond `count` are left out. Time: that of sorting the ends.
pub fn align(count: usize, collectives: &[Ends]) -> Vec<Option<Offset>> {
    let mut frames = Frames::apart(count);
    for set in sets(count, collectives) {
        frames.join(&set);
    }
    frames.offsets()
}

/// How far each end lies from their mean, rounded down.
pub fn deviations(ends: &[i64]) -> Vec<i64> {
    let sum: i128 = ends.iter().map(|end| i128::from(*end)).sum();
    let mean = sum.div_euclid(ends.len().max(1) as i128);
    ends.iter().map(|end| clamped(i128::from(*end) - mean)).collect()
}

/// The middle value, or the midpoint of the middle two rounded down. `None` for no values.
pub fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let sum = i128::from(values[values.len() / 2 - 1]) + i128::from(upper);
    Some(clamped(sum.div_euclid(2)))
}

fn clamped(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Clocks that saw the same collectives, and by how much each is ahead of their mean.
struct Set {
    collectives: usize,
    ahead: Vec<(usize, i64)>,
}

fn sets(count: usize, collectives: &[Ends]) -> Vec<Set> {
    let mut by_clocks: BTreeMap<Vec<usize>, Vec<Vec<i64>>> = BTreeMap::new();
    for seen in collectives {
        let mut last: BTreeMap<usize, i64> = BTreeMap::new();
        for (clock, end) in seen.iter().filter(|(clock, _)| *clock < count) {
            last.entry(*clock).and_modify(|known| *known = (*known).max(*end)).or_insert(*end);
        }
        if last.len() < 2 {
            continue;
        }
        let ends: Vec<i64> = last.values().copied().collect();
        let columns = by_clocks.entry(last.into_keys().collect()).or_insert_with(|| vec![Vec::new(); ends.len()]);
        for (column, deviation) in columns.iter_mut().zip(deviations(&ends)) {
            column.push(deviation);
        }
    }
    let set = |(clocks, columns): (Vec<usize>, Vec<Vec<i64>>)| Set {
        collectives: columns[0].len(),
        ahead: clocks
            .into_iter()
            .zip(columns)
            .filter_map(|(clock, mut all)| Some((clock, median(&mut all)?)))
            .collect(),
    };
    let mut sets: Vec<Set> = by_clocks.into_iter().map(set).collect();
    // Stable: sets that are alike stay in the order of their clocks.
    sets.sort_by_key(|set| std::cmp::Reverse((set.ahead.len(), set.collectives)));
    sets
}

/// Clocks that agree already: the frame that each is in, what to add to its times there, and the clocks of each frame.
struct Frames {
    of: Vec<usize>,
    add: Vec<i128>,
    clocks: Vec<Vec<usize>>,
}

impl Frames {
    /// Each clock in a frame of its own.
    fn apart(count: usize) -> Self {
        Self { of: (0..count).collect(), add: vec![0; count], clocks: (0..count).map(|clock| vec![clock]).collect() }
    }

    /// Moves all frames that the set touches onto the set's own time.
    fn join(&mut self, set: &Set) {
        let mut touched: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for (clock, ahead) in &set.ahead {
            let wanted = clamped(-i128::from(*ahead) - self.add[*clock]);
            touched.entry(self.of[*clock]).or_default().push(wanted);
        }
        if touched.len() < 2 {
            return;
        }
        // The largest takes the others in: each clock changes its frame at most log(count) times.
        let into = touched.keys().copied().max_by_key(|frame| self.clocks[*frame].len()).unwrap_or(0);
        let mut joined = Vec::new();
        for (frame, mut wanted) in touched {
            let shift = i128::from(median(&mut wanted).unwrap_or(0));
            for clock in &self.clocks[frame] {
                self.add[*clock] += shift;
            }
            if frame != into {
                joined.append(&mut self.clocks[frame]);
            }
        }
        for clock in &joined {
            self.of[*clock] = into;
        }
        self.clocks[into].append(&mut joined);
    }

    fn offsets(self) -> Vec<Option<Offset>> {
        let mut offsets = vec![None; self.of.len()];
        for clocks in self.clocks.iter().filter(|clocks| clocks.len() > 1) {
            let Some(reference) = clocks.iter().copied().min() else { continue };
            for clock in clocks {
                offsets[*clock] = Some(Offset { add: clamped(self.add[*clock] - self.add[reference]), reference });
            }
        }
        offsets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn adds(offsets: &[Option<Offset>]) -> Vec<Option<i64>> {
        offsets.iter().map(|offset| offset.map(|offset| offset.add)).collect()
    }

    #[test]
    fn a_skew_of_137_us_is_found_from_ends_that_coincide() {
        // Clock 1 is 137 us ahead; the collectives end at 1, 2 and 5 ms.
        let ends = [1_000_000, 2_000_000, 5_000_000].map(|end| vec![(0, end), (1, end + 137_000)]);
        assert_eq!(adds(&align(2, &ends)), [Some(0), Some(-137_000)]);
    }

    #[test]
    fn a_minority_of_odd_ends_changes_nothing() {
        let mut ends: Vec<Ends> = (0..5).map(|at| vec![(0, at * 100), (1, at * 100 + 7), (2, at * 100 - 3)]).collect();
        ends[1][2].1 += 60_000;
        ends[3][0].1 -= 9_000;
        // The two odd means move all three alike: by 20000 and by -3000.
        assert_eq!(adds(&align(3, &ends)), [Some(0), Some(-7), Some(3)]);
    }

    #[test]
    fn groups_of_some_ranks_connect_all_that_they_reach() {
        // Clocks 0 and 1 (1 ahead by 10), 2 and 3 (3 ahead by 4), then 1 and 3 (3 ahead by 100); 4 is alone with 5, 6
        // alone.
        let ends = [vec![(0, 50), (1, 60)], vec![(2, 70), (3, 74)], vec![(1, 5), (3, 105)], vec![(5, 8), (4, 1)]];
        let offsets = align(7, &ends);
        assert_eq!(
            adds(&offsets),
            [Some(0), Some(-10), Some(-106), Some(-110), Some(0), Some(-7), None],
            "3 = 1 ahead 10 + 100, 2 = 3 less 4"
        );
        assert_eq!(offsets[3].map(|offset| offset.reference), Some(0));
        assert_eq!(offsets[5].map(|offset| offset.reference), Some(4));
    }

    #[test]
    fn the_last_end_on_a_clock_counts_and_one_clock_alone_tells_nothing() {
        assert_eq!(adds(&align(2, &[vec![(0, 3), (0, 9), (1, 9)]])), [Some(0), Some(0)]);
        assert_eq!(adds(&align(2, &[vec![(0, 3), (0, 9)], Vec::new(), vec![(1, 2), (8, 3)]])), [None, None]);
    }

    #[test]
    fn times_at_the_limits_saturate() {
        let found = adds(&align(2, &[vec![(0, i64::MIN), (1, i64::MAX)]]));
        assert_eq!(found, [Some(0), Some(i64::MIN)]);
        assert_eq!(deviations(&[]), [] as [i64; 0]);
    }

    proptest! {
        #[test]
        fn random_skews_are_recovered_to_the_nanosecond_where_ends_coincide(
            skews in prop::collection::vec(-1_000_000..1_000_000_i64, 2..9),
            ends in prop::collection::vec(0..1_000_000_000_i64, 1..20),
        ) {
            let seen = |end: &i64| skews.iter().map(|skew| end + skew).enumerate().collect::<Ends>();
            let found = align(skews.len(), &ends.iter().map(seen).collect::<Vec<_>>());
            for (skew, offset) in skews.iter().zip(found) {
                prop_assert_eq!(offset.map(|offset| offset.add), Some(skews[0] - skew));
            }
        }

        #[test]
        fn random_skews_are_recovered_through_groups_of_two(
            skews in prop::collection::vec(-1_000_000..1_000_000_i64, 2..9),
            shuffle in any::<u64>(),
        ) {
            // A tree: each clock shares one collective with an earlier one.
            let mut seen: Vec<Ends> = (1..skews.len())
                .map(|clock| (clock, (shuffle >> clock) as usize % clock))
                .map(|(clock, other)| vec![(clock, 500 + skews[clock]), (other, 500 + skews[other])])
                .collect();
            let found = adds(&align(skews.len(), &seen));
            for (skew, add) in skews.iter().zip(&found) {
                prop_assert!((add.unwrap() - (skews[0] - skew)).abs() == 0);
            }
            seen.reverse();
            prop_assert_eq!(adds(&align(skews.len(), &seen)), found, "row order changes nothing");
        }

        #[test]
        fn noise_moves_an_offset_by_no_more_than_its_own_size(
            skews in prop::collection::vec(-1_000_000..1_000_000_i64, 2..6),
            noise in prop::collection::vec(prop::collection::vec(-500..500_i64, 6), 1..20),
        ) {
            let seen = |noise: &Vec<i64>| {
                skews.iter().zip(noise).map(|(skew, noise)| skew + noise).enumerate().collect::<Ends>()
            };
            let found = align(skews.len(), &noise.iter().map(seen).collect::<Vec<_>>());
            for (skew, offset) in skews.iter().zip(found) {
                // Each of the two medians is off by less than the noise and its mean; one more for rounding.
                prop_assert!((offset.unwrap().add - (skews[0] - skew)).abs() <= 4 * 500 + 1);
            }
        }
    }
}
