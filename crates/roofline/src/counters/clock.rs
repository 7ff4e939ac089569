//! Time and clocks of a launch, as the page states them.

use super::Note;
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
    /// Cycles and cycles per second of the GPC, which are those of the SM, where the page states no better.
    gpc: (Vec<usize>, Option<usize>),
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
    pub(super) fn choose(page: &mut Page<'_>, notes: &mut Vec<Note>) -> Self {
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
        clock.gpc(page, notes);
        clock
    }

    /// The clock of the GPC is the last resort: ncu's sections before 2021 show it as the frequency of the SM.
    fn gpc(&mut self, page: &mut Page<'_>, notes: &mut Vec<Note>) {
        let sm = Domain::Sm as usize;
        let lacks = (self.times.is_empty(), self.cycles[sm].is_empty() && self.per_second[sm].is_empty());
        for name in ["gpc__cycles_elapsed.avg", "gpc__cycles_elapsed.max"] {
            self.gpc.0.extend(page.slot(name));
        }
        self.gpc.1 = page.slot("gpc__cycles_elapsed.avg.per_second");
        let pairs = self.gpc.0.iter().copied().zip(std::iter::repeat_n(self.gpc.1, 2));
        let times: Vec<Time> = pairs.filter_map(|(cycles, rate)| Some(Time::Cycles(cycles, rate?))).collect();
        let used = (lacks.0 && !times.is_empty()) || (lacks.1 && (self.gpc.1.is_some() || !self.gpc.0.is_empty()));
        self.times.extend(times);
        if used {
            let detail =
                "cycles and clock of the SM are those of the GPC (gpc__cycles_elapsed): the page has no others";
            notes.push(Note { code: "gpc-clock", detail: detail.to_owned() });
        }
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
        self.fill_from_gpc(values, &mut moment);
        moment
    }

    fn fill_from_gpc(&self, values: &[f64], moment: &mut Moment) {
        let positive = |slot: usize| value(values, slot).filter(|value| *value > 0.0);
        let sm = Domain::Sm as usize;
        let cycles = self.gpc.0.iter().find_map(|slot| positive(*slot));
        let rate = self.gpc.1.and_then(positive);
        let derived = || cycles.zip(moment.seconds).map(|(cycles, seconds)| cycles / seconds);
        let clock = moment.clock[sm].or(rate).or_else(derived).filter(|clock| clock.is_finite());
        let derived = || clock.zip(moment.seconds).map(|(clock, seconds)| clock * seconds);
        moment.cycles[sm] = moment.cycles[sm].or(cycles).or_else(derived).filter(|cycles| cycles.is_finite());
        moment.clock[sm] = clock;
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
        let clock = Clock::choose(&mut page, &mut Vec::new());
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

    #[test]
    fn the_clock_of_the_gpc_is_the_last_resort_and_said() {
        // 14100 cycles at 1.41 GHz are 10 us.
        let gpc = [("gpc__cycles_elapsed.max", 14_100.0), ("gpc__cycles_elapsed.avg.per_second", 1.41e9)];
        let found = moment(&gpc);
        assert!((found.seconds.unwrap() / 1e-5 - 1.0).abs() < 1e-12);
        assert_eq!((found.cycles[0], found.clock[0]), (Some(14_100.0), Some(1.41e9)));
        assert!(super::super::tests::notes(&gpc, Some("sm_80")).contains(&"gpc-clock"));
        // With a duration of 20 us the rate gives 28200 cycles, and cycles alone a rate of 0.705 GHz.
        let found = moment(&[("gpu__time_duration.sum", 20_000.0), gpc[1]]);
        assert!((found.cycles[0].unwrap() / 28_200.0 - 1.0).abs() < 1e-12);
        let found = moment(&[("gpu__time_duration.sum", 20_000.0), gpc[0]]);
        assert!((found.clock[0].unwrap() / 0.705e9 - 1.0).abs() < 1e-12);
        // The SM's own comes first.
        let own = [("sm__cycles_elapsed.avg", 10_000.0), ("sm__cycles_elapsed.avg.per_second", 1e9), gpc[0], gpc[1]];
        let found = moment(&own);
        assert_eq!((found.seconds, found.cycles[0], found.clock[0]), (Some(1e-5), Some(10_000.0), Some(1e9)));
        assert!(!super::super::tests::notes(&own, Some("sm_80")).contains(&"gpc-clock"));
    }
}
