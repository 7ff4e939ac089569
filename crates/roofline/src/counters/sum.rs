//! Weighted sums of counters, which may be rates.

/// The unit whose cycles a rate is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    Sm,
    L1,
    L2,
    Dram,
}

impl Domain {
    pub(super) const ALL: [Self; 4] = [Self::Sm, Self::L1, Self::L2, Self::Dram];

    /// Of a metric's name.
    pub(super) fn of(name: &str) -> Self {
        let name = name.strip_prefix("derived__").unwrap_or(name);
        match name.split("__").next() {
            Some("l1tex") => Self::L1,
            Some("lts") => Self::L2,
            Some("dram") => Self::Dram,
            _ => Self::Sm,
        }
    }
}

/// What a counter's value has to be multiplied by, to be a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Count,
    PerCycle(Domain),
    PerSecond,
}

/// One launch in time: seconds, and by [`Domain`] cycles and cycles per second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub(super) seconds: Option<f64>,
    pub(super) cycles: [Option<f64>; 4],
    pub(super) clock: [Option<f64>; 4],
    /// Whether sums are wanted per second: then only rates count.
    pub(super) per_second: bool,
}

impl Moment {
    /// One second of the launch.
    pub(super) fn second(self) -> Self {
        Self { seconds: Some(1.0), cycles: self.clock, clock: self.clock, per_second: true }
    }
}

/// One counter, weighted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) slot: usize,
    pub(super) factor: f64,
    pub(super) scale: Scale,
}

/// The value in a slot, where the launch has one that a counter can have.
pub(super) fn value(values: &[f64], slot: usize) -> Option<f64> {
    values.get(slot).copied().filter(|value| value.is_finite() && *value >= 0.0)
}

impl Term {
    pub(super) fn count(slot: usize, factor: f64) -> Self {
        Self { slot, factor, scale: Scale::Count }
    }

    /// The weighted count of a launch.
    pub(super) fn value(&self, values: &[f64], moment: &Moment) -> Option<f64> {
        let scale = match self.scale {
            Scale::Count if moment.per_second => return None,
            Scale::Count => 1.0,
            Scale::PerCycle(domain) => moment.cycles[domain as usize]?,
            Scale::PerSecond => moment.seconds?,
        };
        Some(value(values, self.slot)? * self.factor * scale).filter(|value| value.is_finite())
    }

    pub(super) fn is_rate(&self) -> bool {
        self.scale != Scale::Count
    }
}

/// A sum of counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sum(pub(super) Vec<Term>);

impl Sum {
    /// The sum where every counter has a value; of differences never less than zero.
    pub(super) fn all(&self, values: &[f64], moment: &Moment) -> Option<f64> {
        let mut sum = 0.0;
        for term in &self.0 {
            sum += term.value(values, moment)?;
        }
        Some(sum).filter(|sum| sum.is_finite() && *sum >= 0.0 && !self.0.is_empty())
    }

    /// The sum of the counters that have a value, where any has, and whether all have.
    pub(super) fn any(&self, values: &[f64], moment: &Moment) -> (Option<f64>, bool) {
        let (mut sum, mut found, mut whole) = (0.0, false, true);
        for term in &self.0 {
            match term.value(values, moment) {
                Some(value) => (sum, found) = (sum + value, true),
                None => whole = false,
            }
        }
        (Some(sum).filter(|sum| found && sum.is_finite()), whole)
    }

    pub(super) fn has_rate(&self) -> bool {
        self.0.iter().any(Term::is_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_become_counts_by_the_cycles_of_their_unit_and_by_time() {
        let moment = Moment { seconds: Some(0.5), cycles: [Some(100.0), None, None, None], ..Moment::default() };
        let term = |scale| Term { slot: 0, factor: 2.0, scale };
        assert_eq!(term(Scale::Count).value(&[3.0], &moment), Some(6.0));
        assert_eq!(term(Scale::PerSecond).value(&[3.0], &moment), Some(3.0));
        assert_eq!(term(Scale::PerCycle(Domain::of("smsp__x"))).value(&[3.0], &moment), Some(600.0));
        assert_eq!(term(Scale::PerCycle(Domain::of("derived__lts__x"))).value(&[3.0], &moment), None);
    }

    #[test]
    fn what_no_counter_can_hold_is_absent() {
        let sum = Sum(vec![Term::count(0, 1.0), Term::count(1, 1.0)]);
        let moment = Moment::default();
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(sum.all(&[1.0, bad], &moment), None);
            assert_eq!(sum.any(&[1.0, bad], &moment), (Some(1.0), false));
        }
        assert_eq!(sum.all(&[1.0], &moment), None);
        assert_eq!(sum.all(&[f64::MAX, f64::MAX], &moment), None);
        assert_eq!(Sum::default().all(&[], &moment), None);
    }

    #[test]
    fn a_difference_below_zero_is_absent() {
        let sum = Sum(vec![Term::count(0, 64.0), Term::count(1, -32.0)]);
        assert_eq!(sum.all(&[1.0, 1.0], &Moment::default()), Some(32.0));
        assert_eq!(sum.all(&[0.0, 1.0], &Moment::default()), None);
    }
}
