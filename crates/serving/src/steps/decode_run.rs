//! Decode steps of one batch, one after the other.

/// Parts of a nanosecond in which the steps of a run are added up.
const FRACTION_BITS: u32 = 20;

/// What is near the end of a step, in 2^-20 ns: ends are rounded down to whole ns, and floats to 53 bits several times.
const NEAR: f64 = (4_u64 << FRACTION_BITS) as f64;
const NEAR_RATIO: f64 = 1.0 / (1_u64 << 48) as f64;

/// Consecutive decode steps of one batch: each reads `sequences` tokens more than the one before, so that their durations
/// grow by the same amount. The end of any of them is known without going through them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeRun {
    /// Duration of the first step, in 2^-20 ns.
    first: i64,
    /// What each next one takes more.
    growth: i64,
}

impl DecodeRun {
    /// Steps of which the first takes `first_ns` and each next one `growth_ns` more.
    pub(super) fn new(first_ns: f64, growth_ns: f64) -> Self {
        let fixed = |ns: f64| (ns * f64::from(1_u32 << FRACTION_BITS)).round() as i64;
        Self { first: fixed(first_ns), growth: fixed(growth_ns) }
    }

    /// The end of its first `steps` steps, in ns from its start.
    pub fn end_ns(&self, steps: u64) -> i64 {
        let long = || {
            let steps = i128::from(steps);
            let sum = steps * i128::from(self.first) + i128::from(self.growth) * (steps * (steps - 1) / 2);
            (sum >> FRACTION_BITS) as i64
        };
        self.short_end(steps).map_or_else(long, |sum| sum >> FRACTION_BITS)
    }

    /// The same in 2^-20 ns, where it is less than two hours: these ends are computed for every decision and device.
    fn short_end(&self, steps: u64) -> Option<i64> {
        let steps = u64::from(u32::try_from(steps).ok()?);
        let pairs = steps * steps.saturating_sub(1) / 2;
        self.first.checked_mul(steps as i64)?.checked_add(self.growth.checked_mul(pairs as i64)?)
    }

    /// How many of its steps have ended after `elapsed_ns`, of `steps` at most.
    pub fn ended(&self, elapsed_ns: i64, steps: u64) -> u64 {
        // The ends without rounding are a parabola, whose root is exact but near a step's end: there exact ends decide.
        let elapsed = elapsed_ns as f64 * f64::from(1_u32 << FRACTION_BITS);
        let (growth, start) = (self.growth as f64, self.first as f64 - self.growth as f64 / 2.0);
        let root = 2.0 * elapsed / (start + (start * start + 2.0 * growth * elapsed).sqrt());
        let mut step = (root as u64).min(steps);
        let (into, near) = (root - step as f64, NEAR + elapsed * NEAR_RATIO);
        if into * start > near && (1.0 - into) * start > near {
            return step;
        }
        while step > 0 && self.end_ns(step) > elapsed_ns {
            step -= 1;
        }
        while step < steps && self.end_ns(step + 1) <= elapsed_ns {
            step += 1;
        }
        step
    }

    /// How many of its steps have begun after `elapsed_ns`, of `steps` at most: those that end at or before, and the one in
    /// progress.
    pub fn begun(&self, elapsed_ns: i64, steps: u64) -> u64 {
        (self.ended(elapsed_ns.saturating_sub(1), steps) + 1).min(steps.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_in_progress_is_found_in_long_and_steep_runs() {
        for (first, growth) in [(1 << 20, 0), (1 << 20, 1 << 19), (3, 0), (1, 7), (1 << 45, 1 << 5), (5 << 40, 1)] {
            let run = DecodeRun { first, growth };
            for step in [1_u64, 2, 3, 1000, 123_456, u64::from(u32::MAX)] {
                for moment in [-1, 0, 1].map(|by| run.end_ns(step) + by) {
                    let begun = run.begun(moment, step);
                    assert!((1..=step).contains(&begun) && (begun == step || run.end_ns(begun) >= moment));
                    assert!(begun == 1 || run.end_ns(begun - 1) < moment, "{run:?} {step} {moment} {begun}");
                    let ended = run.ended(moment, step);
                    assert!(ended == 0 || run.end_ns(ended) <= moment);
                    assert!(ended == step || run.end_ns(ended + 1) > moment, "{run:?} {step} {moment} {ended}");
                }
            }
        }
    }
}
