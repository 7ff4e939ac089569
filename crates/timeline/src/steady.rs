//! Steady states of a series of iterations.
//!
//! An iteration is *typical* when its length lies within 10 % of the reference, which is the median of the second half of
//! the series: the half that a warm-up reaches last. Where sizes are given (requests of a step), it must also hold at least
//! 90 % of the largest, and the reference is that of such iterations alone. An iteration is *settled* when most of the five
//! around it (fewer at the ends of the series) are typical, so that one outlier ends nothing and one lucky value begins
//! nothing. The steady state is the longest stretch of settled iterations, cut back until its first and last are typical
//! themselves; of equal ones the first. It must be longer than five iterations.
//!
//! The band of 10 % and the more than five in a row are those by which TraceLens finds the steady steps of a serving engine
//! (by requests alone); the band is also that of the settling time in control engineering. A truncation by the smallest
//! standard error (MSER-5, White 1997) was not taken: it knows no end of the steady state, and one late outlier moves it.

/// Largest distance from the reference, in percent of it.
pub const BAND_PERCENT: i64 = 10;
/// Fewest iterations of a steady state: more than five in a row.
pub const FEWEST: usize = 6;
/// Iterations around one that tell whether it is settled.
const AROUND: usize = 5;

/// A steady stretch of a series, both ends inclusive, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Its first iteration.
    pub first: usize,
    /// Its last iteration.
    pub last: usize,
    /// The length that its iterations are near to.
    pub reference: i64,
}

/// Where an iteration lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Before the steady state.
    WarmUp,
    /// In it.
    Steady,
    /// After it.
    CoolDown,
}

impl State {
    /// The name in result columns.
    pub fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm_up",
            Self::Steady => "steady",
            Self::CoolDown => "cool_down",
        }
    }
}

impl Steady {
    /// Iterations that it holds.
    pub fn count(&self) -> usize {
        self.last - self.first + 1
    }

    /// Where the iteration of that number lies.
    pub fn state(&self, at: usize) -> State {
        match at {
            at if at < self.first => State::WarmUp,
            at if at > self.last => State::CoolDown,
            _ => State::Steady,
        }
    }
}

/// Why a series has no steady state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsteady {
    /// Fewer than [`FEWEST`] iterations.
    Few,
    /// The lengths (or sizes) never stay near one another for long enough.
    Restless,
}

impl Unsteady {
    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Few => "fewer than 6 iterations in a window: no steady state can be told",
            Self::Restless => "no more than 5 iterations in a row stay within 10 % of the median: no steady state",
        }
    }
}

/// The steady state of a series of iteration lengths (any unit; of bad clocks also negative), optionally with their sizes
/// (as many, else they are not used). One sort: n log n.
///
/// # Errors
/// [`Unsteady`] says why there is none.
pub fn steady(lengths: &[i64], sizes: Option<&[i64]>) -> Result<Steady, Unsteady> {
    if lengths.len() < FEWEST {
        return Err(Unsteady::Few);
    }
    let full = full(lengths.len(), sizes);
    let reference = reference(lengths, &full).ok_or(Unsteady::Restless)?;
    let typical: Vec<bool> =
        lengths.iter().zip(&full).map(|(length, full)| *full && near(*length, reference)).collect();
    longest(&typical)
        .map(|(first, last)| Steady { first, last, reference })
        .filter(|found| found.count() >= FEWEST)
        .ok_or(Unsteady::Restless)
}

/// Which iterations hold nearly as much as the largest.
fn full(count: usize, sizes: Option<&[i64]>) -> Vec<bool> {
    let Some(sizes) = sizes.filter(|sizes| sizes.len() == count) else { return vec![true; count] };
    let largest = i128::from(sizes.iter().copied().max().unwrap_or(0));
    let enough = |size: i64| i128::from(size) * 100 >= largest * i128::from(100 - BAND_PERCENT);
    sizes.iter().map(|size| enough(*size)).collect()
}

/// The lower median of the second half of the full iterations.
fn reference(lengths: &[i64], full: &[bool]) -> Option<i64> {
    let chosen: Vec<i64> = lengths.iter().zip(full).filter(|(_, full)| **full).map(|(length, _)| *length).collect();
    let mut half = chosen[chosen.len() / 2..].to_vec();
    half.sort_unstable();
    half.get(half.len().checked_sub(1)? / 2).copied()
}

fn near(length: i64, reference: i64) -> bool {
    let (length, reference) = (i128::from(length), i128::from(reference));
    (length - reference).abs() * 100 <= reference.abs() * i128::from(BAND_PERCENT)
}

/// The longest stretch of settled iterations, between typical ones.
fn longest(typical: &[bool]) -> Option<(usize, usize)> {
    let mut counts = Vec::with_capacity(typical.len() + 1);
    counts.push(0_usize);
    for typical in typical {
        counts.push(counts[counts.len() - 1] + usize::from(*typical));
    }
    let settled = |at: usize| {
        let (from, to) = (at.saturating_sub(AROUND / 2), (at + AROUND / 2 + 1).min(typical.len()));
        (counts[to] - counts[from]) * 2 > to - from
    };
    let (mut best, mut open): (Option<(usize, usize)>, Option<usize>) = (None, None);
    for (at, typical) in typical.iter().enumerate() {
        if !settled(at) {
            open = None;
        } else if *typical {
            let first = *open.get_or_insert(at);
            if best.is_none_or(|(from, to)| at - first > to - from) {
                best = Some((first, at));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(lengths: &[i64]) -> Option<(usize, usize)> {
        steady(lengths, None).ok().map(|found| (found.first, found.last))
    }

    #[test]
    fn a_warm_up_and_a_cool_down_are_cut_off() {
        // The second half is 10, 10, 11, 10, 10, 30: its lower median is 10, the band 9..=11.
        let lengths = [80, 40, 12, 10, 9, 11, 10, 10, 11, 10, 10, 30];
        assert_eq!(steady(&lengths, None), Ok(Steady { first: 3, last: 10, reference: 10 }));
        let found = steady(&lengths, None).unwrap();
        let states = [0, 2, 3, 10, 11].map(|at| found.state(at).name());
        assert_eq!(states, ["warm_up", "warm_up", "steady", "steady", "cool_down"]);
        assert_eq!(found.count(), 8);
    }

    #[test]
    fn an_outlier_inside_ends_nothing_and_one_at_an_end_is_left_out() {
        assert_eq!(ends(&[10, 10, 10, 10, 99, 10, 10, 10, 10]), Some((0, 8)));
        assert_eq!(ends(&[99, 10, 10, 10, 10, 10, 10, 10]), Some((1, 7)));
        assert_eq!(ends(&[10, 10, 10, 10, 10, 10, 10, 99]), Some((0, 6)));
        // Two in a row are still a minority of any five; three end it.
        assert_eq!(ends(&[10, 10, 10, 99, 99, 10, 10, 10]), Some((0, 7)));
        assert_eq!(ends(&[10, 10, 10, 10, 10, 10, 99, 99, 99, 10, 10, 10]), Some((0, 5)));
    }

    #[test]
    fn without_a_steady_state_it_says_why() {
        assert_eq!(steady(&[], None), Err(Unsteady::Few));
        assert_eq!(steady(&[10; 5], None), Err(Unsteady::Few));
        assert_eq!(steady(&[10, 20, 40, 80, 160, 320, 640, 1280], None), Err(Unsteady::Restless));
        assert!(Unsteady::Few.reason().contains("fewer") && Unsteady::Restless.reason().contains("10 %"));
    }

    #[test]
    fn sizes_keep_the_steps_of_a_draining_engine_out() {
        // Equal lengths, but the last four steps hold few requests: 100 and 90 count as full, 89 and less do not.
        let sizes = [20, 90, 100, 95, 100, 98, 100, 100, 60, 30, 10, 5];
        assert_eq!(steady(&[7; 12], Some(&sizes)), Ok(Steady { first: 1, last: 7, reference: 7 }));
        assert_eq!(steady(&[7; 12], Some(&sizes[..3])).map(|found| found.count()), Ok(12), "not as many sizes: unused");
    }

    #[test]
    fn extreme_and_zero_lengths_have_an_answer() {
        assert_eq!(ends(&[0; 8]), Some((0, 7)));
        assert_eq!(ends(&[i64::MAX; 8]), Some((0, 7)));
        assert_eq!(ends(&[i64::MIN, i64::MAX, i64::MIN, i64::MAX, i64::MIN, i64::MAX]), None);
        assert_eq!(steady(&[3; 6], Some(&[i64::MIN; 6])), Err(Unsteady::Restless));
    }

    /// The rule by brute force: every stretch is tried, every median window is counted.
    fn by_trial(lengths: &[i64]) -> Option<(usize, usize)> {
        let count = lengths.len();
        let mut half = lengths[count / 2..].to_vec();
        half.sort_unstable();
        let reference = half[(half.len() - 1) / 2];
        let typical = |at: usize| (lengths[at] - reference).abs() * 10 <= reference.abs();
        let settled = |at: usize| {
            let around: Vec<usize> = (0..count).filter(|other| other.abs_diff(at) <= 2).collect();
            around.iter().filter(|other| typical(**other)).count() * 2 > around.len()
        };
        let mut best: Option<(usize, usize)> = None;
        for first in 0..count {
            for last in first..count {
                let holds = typical(first) && typical(last) && (first..=last).all(settled);
                if holds && best.is_none_or(|(from, to)| last - first > to - from) {
                    best = Some((first, last));
                }
            }
        }
        best.filter(|(first, last)| last - first + 1 >= FEWEST)
    }

    proptest! {
        #[test]
        fn the_stretch_is_that_of_trying_all(lengths in prop::collection::vec(prop_oneof![5..14_i64, 9..12_i64], 6..40)) {
            prop_assert_eq!(ends(&lengths), by_trial(&lengths));
        }

        #[test]
        fn a_constant_series_behind_a_warm_up_is_found_exactly(warm in 0..8_usize, count in 9..60_usize, length in 1..1000_i64) {
            let series: Vec<i64> =
                (0..warm).map(|at| length * (warm - at + 1) as i64).chain((0..count).map(|_| length)).collect();
            prop_assert_eq!(ends(&series), Some((warm, warm + count - 1)));
        }

        #[test]
        fn other_units_change_nothing_and_no_value_panics(
            lengths in prop::collection::vec(1..1000_i64, 6..40), factor in 1..1000_i64,
            wild in prop::collection::vec(any::<i64>(), 0..40), sizes in prop::collection::vec(any::<i64>(), 0..40),
        ) {
            let scaled: Vec<i64> = lengths.iter().map(|length| length * factor).collect();
            prop_assert_eq!(ends(&lengths), ends(&scaled));
            let _ = steady(&wild, Some(&sizes));
        }
    }
}
