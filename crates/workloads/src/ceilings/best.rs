//! Which of many trials is the answer, when to stop, and when to say that other load disturbed them all.
//!
//! Load from elsewhere only ever makes a trial slower, so the fastest one is the estimate. A single fastest trial may
//! still be an accident (a clock step, a store that left dirty lines for the next trial), so it counts only when others
//! support it.

/// What one trial gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// FLOP/s or bytes/s, of all cores together.
    pub(super) value: f64,
    /// Sum over the cores of the clocks that the trial saw.
    pub(super) clock_sum_hz: f64,
    /// No thread lost its core and no clock moved while it ran.
    pub(super) clean: bool,
    /// The round in which it ran.
    pub(super) round: usize,
}

impl Point {
    fn per_cycle(&self) -> f64 {
        self.value / self.clock_sum_hz
    }
}

/// The answer for one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Best {
    pub(super) value: f64,
    /// The value divided by the clocks of its own trial: the median over the trials that support it, since a clock that
    /// steps during one trial would shift that one.
    pub(super) per_cycle: f64,
    /// No three clean trials agree, or trials of one round only, or even the fastest ran below the rate per cycle that
    /// others reached.
    pub(super) contended: bool,
    /// More rounds would hardly change it.
    pub(super) settled: bool,
}

/// When trials are said to agree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Criteria {
    /// Largest difference between the fastest trial and those that support it.
    pub(super) support: f64,
    /// Largest difference between rounds; the clocks of a shared machine drift by some percent in a second.
    pub(super) repeat: f64,
    /// The rate follows the clock of the core, so that rounds with different clocks are compared per cycle.
    pub(super) per_cycle: bool,
}

/// Trials that must agree before a value is believed: the fastest and two more.
const SUPPORT: usize = 3;

/// All trials of one row.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    points: Vec<Point>,
}

impl Tally {
    pub(super) fn extend(&mut self, points: impl IntoIterator<Item = Point>) {
        self.points.extend(points);
    }

    /// The fastest clean trial that two more clean ones reach; else, contended, the fastest trial. None before the first.
    pub(super) fn best(&self, criteria: Criteria) -> Option<Best> {
        let Some(fastest) = self.fastest(criteria, |point| point.value) else {
            let fastest = self.points.iter().max_by(|a, b| a.value.total_cmp(&b.value))?;
            let (value, per_cycle) = (fastest.value, fastest.per_cycle());
            return Some(Best { value, per_cycle, contended: true, settled: false });
        };
        let (value, per_cycle) = (fastest.level, median(fastest.support.iter().map(Point::per_cycle).collect()));
        let limit = self.fastest(criteria, Point::per_cycle);
        let reached = limit.is_some_and(|limit| limit.repeated && agree(limit.level, per_cycle, criteria.repeat));
        let contended = if criteria.per_cycle { !reached } else { !fastest.repeated };
        Some(Best { value, per_cycle, contended, settled: !contended && fastest.repeated })
    }

    /// The highest `rate` of a clean trial that enough others support.
    fn fastest(&self, criteria: Criteria, rate: fn(&Point) -> f64) -> Option<Supported> {
        let mut clean: Vec<Point> = self.points.iter().copied().filter(|point| point.clean).collect();
        clean.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
        let first = clean.windows(SUPPORT).position(|set| {
            let [fastest, slowest] = [0, SUPPORT - 1].map(|index| rate(&set[index]));
            agree(fastest, slowest, criteria.support)
        })?;
        let within = |tolerance| {
            let level = rate(&clean[first]);
            clean[first..].iter().copied().take_while(move |point| agree(level, rate(point), tolerance))
        };
        let repeated = within(criteria.repeat).any(|point| point.round != clean[first].round);
        Some(Supported { level: rate(&clean[first]), support: within(criteria.support).collect(), repeated })
    }
}

/// A rate that several clean trials reach.
struct Supported {
    level: f64,
    support: Vec<Point>,
    /// Another round, which lies seconds apart, came close.
    repeated: bool,
}

fn agree(best: f64, other: f64, tolerance: f64) -> bool {
    other >= best * (1.0 - tolerance)
}

/// Of at least one value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the expected values are computed exactly")]
mod tests {
    use super::*;

    const SHARED: Criteria = Criteria { support: 0.01, repeat: 0.03, per_cycle: false };
    const CORE: Criteria = Criteria { per_cycle: true, ..SHARED };

    /// Trials as (value, clock, clean, round).
    fn tally(points: &[(f64, f64, bool, usize)]) -> Tally {
        let mut tally = Tally::default();
        let point = |&(value, clock_sum_hz, clean, round)| Point { value, clock_sum_hz, clean, round };
        tally.extend(points.iter().map(point));
        tally
    }

    #[test]
    fn the_fastest_trial_wins_when_two_others_come_close() {
        let best = tally(&[(50.0, 1.0, true, 0), (99.5, 1.0, true, 0), (100.0, 1.0, true, 0), (99.9, 1.0, true, 1)]);
        let wanted = Best { value: 100.0, per_cycle: 99.9, contended: false, settled: true };
        assert_eq!(best.best(SHARED), Some(wanted));
        assert_eq!(best.best(CORE), Some(wanted));
    }

    #[test]
    fn a_lone_outlier_is_passed_over() {
        let tally = tally(&[(150.0, 1.0, true, 0), (100.0, 1.0, true, 0), (99.9, 1.0, true, 1), (99.8, 1.0, true, 0)]);
        assert_eq!(tally.best(SHARED).unwrap().value, 100.0);
    }

    #[test]
    fn disturbed_trials_do_not_count_unless_there_are_no_others() {
        let mixed =
            tally(&[(120.0, 1.0, false, 0), (100.0, 1.0, true, 0), (100.0, 1.0, true, 0), (99.0, 1.0, true, 0)]);
        assert_eq!(mixed.best(SHARED).unwrap().value, 100.0);
        let disturbed = tally(&[(90.0, 1.0, false, 0), (80.0, 1.0, false, 0), (80.0, 1.0, true, 0)]);
        let best = disturbed.best(SHARED).unwrap();
        assert_eq!((best.value, best.contended, best.settled), (90.0, true, false));
        assert_eq!(tally(&[]).best(SHARED), None);
    }

    #[test]
    fn a_row_is_settled_when_another_clean_round_repeats_its_best() {
        let with = |value, clean, round| {
            let once = (100.0, 1.0, true, 0);
            tally(&[once, once, once, (value, 1.0, clean, round)]).best(SHARED).unwrap().settled
        };
        assert!(with(97.5, true, 1));
        assert!(!with(97.5, true, 0));
        assert!(!with(96.0, true, 1));
        assert!(!with(100.0, false, 1));
    }

    #[test]
    fn a_drifting_clock_is_no_contention_and_a_lost_share_of_the_core_is() {
        let fast = (110.0, 1.1, true, 0);
        let drifted = tally(&[fast, fast, fast, (100.0, 1.0, true, 1)]).best(CORE).unwrap();
        assert_eq!((drifted.value, drifted.contended, drifted.settled), (110.0, false, false));
        // At a clock of 1.2 the value is the highest, but only 92 a cycle of 100: something shared the core.
        let (slowed, full) = ((110.0, 1.2, true, 0), (100.0, 1.0, true, 1));
        let shared = tally(&[slowed, slowed, slowed, full, full, (100.0, 1.0, true, 0)]).best(CORE).unwrap();
        assert_eq!((shared.value, shared.contended), (110.0, true));
    }
}
