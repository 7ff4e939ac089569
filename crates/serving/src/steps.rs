//! The duration of one batch step of an engine.

/// Nanoseconds that a batch takes of one resource: linear in what the batch holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// In every step.
    pub constant: f64,
    /// For each prompt token that is computed.
    pub prefill_token: f64,
    /// For each pair of a computed prompt token and a token before it (attention).
    pub prefill_pair: f64,
    /// For each request that decodes.
    pub sequence: f64,
    /// For each token whose keys and values a decoding request reads.
    pub kv_token: f64,
}

/// `base_ns + max(compute, memory)`: the roofline of a step.
///
/// Of a device of `P` FLOP/s and `B` bytes/s (what it reaches, not its datasheet), and a model of `w` parameters that are
/// used for a token, `W` bytes of weights, `l` layers, attention width `h` (heads x head size) and `k` bytes of keys and
/// values a token:
/// `compute = (2 w (p + b) + 4 l h (pairs + kv)) / P`, `memory = (W + k kv) / B`, with `p` prompt tokens, `b` decoding
/// requests and `kv` tokens in their contexts (the usual counts: Kaplan et al. 2020, Pope et al. 2022).
/// A model fitted to measured steps has its costs in `compute` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepModel {
    /// What a step takes beside the two.
    pub base_ns: f64,
    /// Arithmetic.
    pub compute: Cost,
    /// Memory.
    pub memory: Cost,
}

/// What a step computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Prompt tokens.
    pub prefill_tokens: u64,
    /// Pairs of a prompt token and one before it.
    pub prefill_pairs: u64,
    /// Requests that decode.
    pub sequences: u64,
    /// Tokens in their contexts.
    pub kv_tokens: u64,
}

impl Cost {
    fn of(&self, batch: &Batch) -> f64 {
        self.constant
            + self.prefill_token * batch.prefill_tokens as f64
            + self.prefill_pair * batch.prefill_pairs as f64
            + self.sequence * batch.sequences as f64
            + self.kv_token * batch.kv_tokens as f64
    }
}

/// What decodes beside a prefill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) sequences: u64,
    pub(crate) kv_tokens: u64,
}

/// Parts of a nanosecond in which the steps of a run are added up.
const FRACTION_BITS: u32 = 20;

/// Consecutive decode steps of one batch: each reads `sequences` tokens more than the one before, so that their durations
/// grow by the same amount. The end of any of them is known without going through them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeRun {
    /// Duration of the first step, in 2^-20 ns.
    first: i64,
    /// What each next one takes more.
    growth: i64,
}

impl StepModel {
    /// Duration of a step, at least 1 ns.
    pub fn step_ns(&self, batch: &Batch) -> i64 {
        let ns = self.base_ns + self.compute.of(batch).max(self.memory.of(batch));
        (ns.round() as i64).max(1)
    }

    /// Duration of a prefill of `tokens` after `before` others, in chunks of `chunk`, each beside the same decode batch.
    pub(crate) fn prefill_beside_ns(&self, tokens: u64, before: u64, chunk: u64, beside: &Beside) -> i64 {
        let steps = tokens.div_ceil(chunk.max(1)).max(1) as f64;
        let pairs = tokens as f64 * (before as f64 + (tokens.max(1) as f64 - 1.0) / 2.0);
        let all = |cost: &Cost| {
            let decode = cost.sequence * beside.sequences as f64 + cost.kv_token * beside.kv_tokens as f64;
            cost.prefill_token * tokens as f64 + cost.prefill_pair * pairs + steps * (cost.constant + decode)
        };
        (self.base_ns * steps + all(&self.compute).max(all(&self.memory))).round() as i64
    }

    /// Decode steps of a batch that begins with `kv_tokens`, and how many of them follow one line: where the larger of the
    /// two costs changes, a new run begins.
    pub fn decode_run(&self, sequences: u64, kv_tokens: u64, most: u64) -> (DecodeRun, u64) {
        let batch = Batch { sequences, kv_tokens, ..Batch::default() };
        let (compute, memory) = (self.compute.of(&batch), self.memory.of(&batch));
        let slopes = [self.compute, self.memory].map(|cost| cost.kv_token * sequences as f64);
        let (larger, slope, other, other_slope) = if compute >= memory {
            (compute, slopes[0], memory, slopes[1])
        } else {
            (memory, slopes[1], compute, slopes[0])
        };
        // Steps until the other line is above: (larger - other) / (other_slope - slope), the step itself included.
        let gain = other_slope - slope;
        let until = if gain > 0.0 { ((larger - other) / gain).floor() + 1.0 } else { f64::INFINITY };
        let steps = if until < most as f64 { (until as u64).max(1) } else { most };
        let fixed = |ns: f64| (ns * f64::from(1_u32 << FRACTION_BITS)).round() as i64;
        let run = DecodeRun { first: fixed((self.base_ns + larger).max(1.0)), growth: fixed(slope) };
        (run, steps)
    }
}

impl DecodeRun {
    /// The end of its first `steps` steps, in ns from its start.
    pub fn end_ns(&self, steps: u64) -> i64 {
        let steps = i128::from(steps);
        let sum = steps * i128::from(self.first) + i128::from(self.growth) * (steps * (steps - 1) / 2);
        (sum >> FRACTION_BITS) as i64
    }

    /// How many of its steps have begun after `elapsed_ns`, of `steps` at most: those that end at or before, and the one in
    /// progress.
    pub fn begun(&self, elapsed_ns: i64, steps: u64) -> u64 {
        let (mut low, mut high) = (1, steps.max(1));
        while low < high {
            let middle = u64::midpoint(low, high);
            if self.end_ns(middle) >= elapsed_ns { high = middle } else { low = middle + 1 }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> StepModel {
        StepModel {
            base_ns: 100.0,
            compute: Cost { constant: 1000.0, sequence: 10.0, prefill_token: 7.0, prefill_pair: 0.5, kv_token: 0.25 },
            memory: Cost { constant: 900.0, kv_token: 1.0, ..Cost::default() },
        }
    }

    #[test]
    fn a_run_ends_where_its_steps_added_up_end() {
        let (mut kv_tokens, mut left, mut at) = (20_u64, 500_u64, 0_i64);
        let mut exact = 0.0;
        while left > 0 {
            let (run, steps) = model().decode_run(4, kv_tokens, left);
            for step in 0..steps {
                let batch = Batch { sequences: 4, kv_tokens: kv_tokens + 4 * step, ..Batch::default() };
                exact += 100.0 + model().compute.of(&batch).max(model().memory.of(&batch));
                assert!((exact - (at + run.end_ns(step + 1)) as f64).abs() < 5.0, "step {step} of {steps}");
            }
            (at, kv_tokens, left) = (at + run.end_ns(steps), kv_tokens + 4 * steps, left - steps);
        }
    }

    #[test]
    fn the_step_in_progress_is_the_first_that_ends_at_or_after_a_moment() {
        let (run, steps) = model().decode_run(4, 2000, 50);
        for moment in (0..run.end_ns(steps)).step_by(97) {
            let begun = run.begun(moment, steps);
            assert!(run.end_ns(begun) >= moment);
            assert!(begun == 1 || run.end_ns(begun - 1) < moment);
        }
        assert_eq!(run.begun(i64::MAX, steps), steps);
    }

    #[test]
    fn a_prefill_alone_takes_as_long_as_its_chunks() {
        let mut sum = 0;
        for chunk in 0..4_u64 {
            let pairs = (0..512).map(|token| chunk * 512 + token).sum();
            sum += model().step_ns(&Batch { prefill_tokens: 512, prefill_pairs: pairs, ..Batch::default() });
        }
        assert!((model().prefill_beside_ns(2048, 0, 512, &Beside::default()) - sum).abs() <= 4, "{sum}");
    }
}
