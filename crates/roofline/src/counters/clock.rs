//! Time and clocks of a launch, as the page states them.

use super::page::{Page, in_roofline, in_speed_of_light};
use super::sum::{Domain, Moment, value};

/// A way to the duration of a launch.
#[derive(Clone, Copy, Debug)]
enum Time {
    Nanoseconds(usize),
    /// Cycles and cycles per second (NERSC's recipe).
    Cycles(usize, usize),
}

/// Where a page states time and clocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    times: Vec<Time>,
    cycles: [Vec<usize>; 4],
    per_second: [Vec<usize>; 4],
}

/// Prefixes of a domain's cycle counters.
fn units(domain: Domain) -> &'static [&'static str] {
    match domain {
        Domain::Sm => &["sm", "smsp"],
        Domain::L1 => &["l1tex"],
        Domain::L2 => &["lts"],
        Domain::Dram => &["dram"],
    }
}

impl Clock {
    pub(super) fn choose(page: &mut Page<'_>) -> Self {
        let mut clock = Self::default();
        for domain in Domain::ALL {
            for rollup in ["avg", "max"] {
                for unit in units(domain) {
                    let cycles = page.slot(&format!("{unit}__cycles_elapsed.{rollup}"));
                    let rate = page.slot(&format!("{unit}__cycles_elapsed.{rollup}.per_second"));
                    clock.cycles[domain as usize].extend(cycles);
                    clock.per_second[domain as usize].extend(rate);
                }
            }
        }
        for name in ["gpu__time_duration.sum", "gpu__time_duration.avg", "gpu__time_duration.max"] {
            clock.times.extend(page.slot(name).map(Time::Nanoseconds));
        }
        for unit in units(Domain::Sm) {
            let cycles = page.slot(&format!("{unit}__cycles_elapsed.avg"));
            let rate = page.slot(&format!("{unit}__cycles_elapsed.avg.per_second"));
            clock.times.extend(cycles.zip(rate).map(|(cycles, rate)| Time::Cycles(cycles, rate)));
        }
        clock.shown(page);
        clock
    }

    /// The display names of details pages. A chart's own frequency comes first: its points are products with it.
    fn shown(&mut self, page: &mut Page<'_>) {
        self.times.extend(page.shown("Duration", in_speed_of_light).map(Time::Nanoseconds));
        let frequency = page.shown("SM Frequency", in_speed_of_light);
        let cycles = page.shown("Elapsed Cycles", in_speed_of_light);
        self.times.extend(cycles.zip(frequency).map(|(cycles, rate)| Time::Cycles(cycles, rate)));
        let sm = &mut self.per_second[Domain::Sm as usize];
        sm.extend(page.shown("SM Frequency", |section| in_roofline(section) && section.ends_with("Achieved Value")));
        sm.extend(page.shown("SM Frequency", in_roofline));
        sm.extend(frequency);
        let dram = &mut self.per_second[Domain::Dram as usize];
        dram.extend(page.shown("DRAM Frequency", in_roofline));
        dram.extend(page.shown("DRAM Frequency", in_speed_of_light));
    }

    /// Time and clocks of one launch. Cycles that the page does not state are those of the clock in that time.
    pub(super) fn moment(&self, values: &[f64]) -> Moment {
        let positive = |slot: &usize| value(values, *slot).filter(|value| *value > 0.0);
        let seconds = self.times.iter().find_map(|time| match time {
            Time::Nanoseconds(slot) => positive(slot).map(|ns| ns / 1e9),
            Time::Cycles(cycles, rate) => positive(cycles).zip(positive(rate)).map(|(cycles, rate)| cycles / rate),
        });
        let seconds = seconds.filter(|seconds| *seconds > 0.0 && seconds.is_finite());
        let mut moment = Moment { seconds, ..Moment::default() };
        for domain in 0..moment.clock.len() {
            moment.clock[domain] = self.per_second[domain].iter().find_map(positive);
            let stated = self.cycles[domain].iter().find_map(positive);
            let derived = moment.clock[domain].zip(seconds).map(|(clock, seconds)| clock * seconds);
            moment.cycles[domain] = stated.or(derived).filter(|cycles| cycles.is_finite());
            let derived = stated.zip(seconds).map(|(cycles, seconds)| cycles / seconds);
            moment.clock[domain] = moment.clock[domain].or(derived).filter(|clock| clock.is_finite());
        }
        moment
    }

    /// Whether the page states times.
    pub(super) fn has_time(&self) -> bool {
        !self.times.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{page, values};
    use super::*;

    fn moment(metrics: &[(&str, f64)]) -> Moment {
        let defs = page(metrics);
        let mut page = Page::new(&defs);
        let clock = Clock::choose(&mut page);
        let (slots, names) = page.finish();
        clock.moment(&values(metrics, names.len(), |def| slots.get(&def).copied()))
    }

    #[test]
    fn time_is_the_duration_else_cycles_over_their_rate() {
        let nersc = [("sm__cycles_elapsed.avg", 8382.70), ("sm__cycles_elapsed.avg.per_second", 999_845_384.51)];
        // The authors' Time of this launch.
        assert!((moment(&nersc).seconds.unwrap() / 8.383_996_295_695_418e-6 - 1.0).abs() < 1e-15);
        let both = [("gpu__time_duration.sum", 292_928.0), nersc[0], nersc[1]];
        assert_eq!(moment(&both).seconds, Some(292_928.0 / 1e9));
        assert_eq!(moment(&[("gpu__time_duration.sum", 0.0)]).seconds, None);
    }

    #[test]
    fn clock_and_cycles_follow_from_each_other() {
        let found = moment(&[("gpu__time_duration.sum", 2000.0), ("smsp__cycles_elapsed.avg", 3000.0)]);
        assert_eq!((found.cycles[0], found.clock[0]), (Some(3000.0), Some(1.5e9)));
        let found = moment(&[
            ("section:GPU Speed Of Light Throughput|Duration", 2000.0),
            ("section:GPU Speed Of Light Throughput|SM Frequency", 1.5e9),
        ]);
        assert_eq!((found.cycles[0], found.clock[0]), (Some(3000.0), Some(1.5e9)));
    }
}
