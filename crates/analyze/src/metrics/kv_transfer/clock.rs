//! Which time of the timeline an event of another pass has.
//!
//! Each pass (and of a pass put together from files each rank) counts from its own session start. Two starts on the
//! monotonic clock of one machine are the better join; it is taken where both are known, count the same clock (some
//! tools count suspended time too) and do not contradict the wall clock: another machine or boot has another monotonic
//! clock. Else both starts on the wall clock, whose error between machines is that of NTP.

use proftool_trace::Manifest;

/// Most by which wall and monotonic clock of one boot may drift apart between two session starts.
const DRIFT_NS: i128 = 1_000_000_000;

/// How to bring a time of another pass to the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Join {
    /// What is added.
    shift: i128,
    /// What joined them; `None` inside one pass.
    pub(super) clock: Option<&'static str>,
}

impl Join {
    /// The same instant on the clock of the timeline.
    pub(super) fn time(&self, ns: i64) -> i64 {
        (i128::from(ns) + self.shift).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// The same span on the clock of the timeline.
    pub(super) fn span(&self, span: (i64, i64)) -> (i64, i64) {
        (self.time(span.0), self.time(span.1))
    }
}

/// A pass and a rank.
pub(super) type Place<'a> = (&'a str, i64);

/// What brings the times of `from` to those of `to`; `None` where no clock is common.
pub(super) fn join(manifest: Option<&Manifest>, from: Place, to: Place) -> Option<Join> {
    let same = Join { shift: 0, clock: None };
    if from == to {
        return Some(same);
    }
    let starts = [from, to].map(|place| Start::of(manifest?, place));
    let [Some(from_start), Some(to_start)] = starts else {
        // The ranks of a pass that says nothing about them share its clock.
        return (from.0 == to.0).then_some(same);
    };
    if from.0 == to.0 && from_start == to_start {
        return Some(same);
    }
    let clock = |clock| Some(clock).filter(|_| from.0 != to.0);
    if let Some(shift) = from_start.monotonic_to(&to_start) {
        return Some(Join { shift, clock: clock("monotonic") });
    }
    let shift = difference(from_start.unix, to_start.unix)?;
    Some(Join { shift, clock: clock("utc") })
}

/// When a session began.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Start {
    unix: i64,
    monotonic: i64,
    counts_suspend: bool,
}

impl Start {
    fn of(manifest: &Manifest, (pass, rank): Place) -> Option<Self> {
        let pass = manifest.passes.iter().find(|known| known.name == pass)?;
        let own = pass.ranks.iter().find(|known| known.rank == rank);
        let (unix, monotonic) = own
            .map_or((pass.start_unix_ns, pass.start_monotonic_ns), |own| (own.start_unix_ns, own.start_monotonic_ns));
        Some(Self { unix, monotonic, counts_suspend: pass.clock.contains("BOOTTIME") })
    }

    fn monotonic_to(&self, to: &Self) -> Option<i128> {
        let shift = difference(self.monotonic, to.monotonic).filter(|_| self.counts_suspend == to.counts_suspend)?;
        let contradicts = difference(self.unix, to.unix).is_some_and(|unix| (unix - shift).abs() > DRIFT_NS);
        (!contradicts).then_some(shift)
    }
}

/// `from - to` of two known starts; 0 stands for unknown.
fn difference(from: i64, to: i64) -> Option<i128> {
    (from != 0 && to != 0).then(|| i128::from(from) - i128::from(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::manifest;
    use proftool_trace::manifest::{Pass, RankStart};

    const SECOND: i64 = 1_000_000_000;

    fn pass(name: &str, clock: &str, unix: i64, monotonic: i64) -> Pass {
        Pass {
            name: name.to_owned(),
            profilers: Vec::new(),
            clock: clock.to_owned(),
            start_unix_ns: unix,
            start_monotonic_ns: monotonic,
            ranks: Vec::new(),
        }
    }

    fn joined(passes: Vec<Pass>) -> Option<(i64, Option<&'static str>)> {
        let mut manifest = manifest(1);
        manifest.passes = passes;
        join(Some(&manifest), ("log", 0), ("nsys", 0)).map(|join| (join.time(10), join.clock))
    }

    #[test]
    fn the_monotonic_clock_comes_before_the_wall_clock_unless_they_contradict() {
        let log = |unix, monotonic| pass("log", "monotonic", unix, monotonic);
        let nsys = |unix, monotonic| pass("nsys", "nsys", unix, monotonic);
        assert_eq!(joined(vec![log(9000, 700), nsys(8000, 500)]), Some((210, Some("monotonic"))));
        assert_eq!(joined(vec![log(0, 700), nsys(8000, 500)]), Some((210, Some("monotonic"))));
        assert_eq!(joined(vec![log(9000, 0), nsys(8000, 500)]), Some((1010, Some("utc"))));
        let rebooted = vec![log(9000, 700 + 2 * SECOND), nsys(8000, 500)];
        assert_eq!(joined(rebooted), Some((1010, Some("utc"))));
        let suspended = pass("nsys", "rocprofiler (CLOCK_BOOTTIME, ns)", 8000, 500);
        assert_eq!(joined(vec![log(9000, 700), suspended]), Some((1010, Some("utc"))));
        assert_eq!(joined(vec![log(0, 700), nsys(8000, 0)]), None);
        assert_eq!(joined(vec![log(9000, 700)]), None);
    }

    #[test]
    fn one_pass_needs_no_clock_and_its_ranks_may_have_their_own_start() {
        assert_eq!(join(None, ("host", 0), ("host", 1)), Some(Join { shift: 0, clock: None }));
        assert_eq!(join(None, ("log", 0), ("host", 0)), None);
        let rank = |rank, unix| RankStart { rank, file: String::new(), start_unix_ns: unix, start_monotonic_ns: 0 };
        let mut manifest = manifest(1);
        manifest.passes = vec![Pass { ranks: vec![rank(0, 1000), rank(1, 1500)], ..pass("nsys", "nsys", 1000, 0) }];
        let join = join(Some(&manifest), ("nsys", 0), ("nsys", 1)).unwrap();
        assert_eq!((join.time(10), join.clock), (-490, None));
    }

    #[test]
    fn times_saturate() {
        let mut manifest = manifest(1);
        manifest.passes = vec![pass("log", "", i64::MAX, 0), pass("nsys", "", i64::MIN, 0)];
        assert_eq!(join(Some(&manifest), ("log", 0), ("nsys", 0)).unwrap().span((0, i64::MIN)), (i64::MAX, i64::MAX));
    }
}
