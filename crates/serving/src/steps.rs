//! The duration of one batch step of an engine.

mod decode_run;
mod pipeline;

pub(crate) use decode_run::DecodeRun;
pub use pipeline::Pipeline;

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
    /// The stages, where several devices have a part of the layers each: the costs are those of the whole model on one.
    pub pipeline: Pipeline,
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
    /// Of a micro-batch that has this share of the batch.
    fn of(&self, batch: &Batch, share: f64) -> f64 {
        self.constant
            + self.prefill_token * batch.prefill_tokens as f64 * share
            + self.prefill_pair * batch.prefill_pairs as f64 * share
            + self.sequence * batch.sequences as f64 * share
            + self.kv_token * batch.kv_tokens as f64 * share
    }

    /// Whether every cost is a number, none below 0.
    fn is_sound(&self) -> bool {
        let all = [self.constant, self.prefill_token, self.prefill_pair, self.sequence, self.kv_token];
        all.iter().all(|cost| cost.is_finite() && *cost >= 0.0)
    }
}

/// What decodes beside a prefill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) sequences: u64,
    pub(crate) kv_tokens: u64,
}

impl StepModel {
    /// Whether every number can be computed with.
    pub fn is_sound(&self) -> bool {
        let more = [self.base_ns, self.pipeline.hop_ns, self.pipeline.hop_token_ns];
        let sound = |ns: &f64| ns.is_finite() && *ns >= 0.0;
        self.compute.is_sound() && self.memory.is_sound() && more.iter().all(sound)
    }

    /// Duration of a step, at least 1 ns: until the next may begin.
    pub fn step_ns(&self, batch: &Batch) -> i64 {
        let ns = if self.pipeline.depth() == 1 {
            self.base_ns + self.compute.of(batch, 1.0).max(self.memory.of(batch, 1.0))
        } else {
            let count = self.pipeline.micro_batches(batch);
            let rounds = if batch.sequences > 0 { self.pipeline.depth() } else { count };
            rounds as f64 * self.stage_ns(batch, count)
        };
        (ns.round() as i64).max(1)
    }

    /// Time that each of `count` micro-batches takes in a stage.
    fn stage_ns(&self, batch: &Batch, count: u64) -> f64 {
        let share = 1.0 / count as f64;
        let tokens = (batch.prefill_tokens + batch.sequences) as f64 * share;
        let work = self.base_ns + self.compute.of(batch, share).max(self.memory.of(batch, share));
        work / self.pipeline.depth() as f64 + self.pipeline.hop_ns + self.pipeline.hop_token_ns * tokens
    }

    /// How long after the end of a step the last stage has computed the first `done` of its prompt tokens.
    pub(crate) fn late_ns(&self, batch: &Batch, done: u64) -> i64 {
        if self.pipeline.depth() == 1 {
            return 0;
        }
        let count = self.pipeline.micro_batches(batch);
        let at = (done * count).div_ceil(batch.prefill_tokens.max(1)).clamp(1, count);
        let out_ns = (at + self.pipeline.depth() - 1) as f64 * self.stage_ns(batch, count);
        (out_ns.round() as i64 - self.step_ns(batch)).max(0)
    }

    /// Duration of a prefill of `tokens` with `pairs` of them and a token before, in chunks of `chunk`, each beside the same
    /// decode batch.
    /// Through `p` stages its `n` micro-batches take `(n + p - 1) / p` of their time.
    pub(crate) fn prefill_beside_ns(&self, tokens: u64, pairs: u64, chunk: u64, beside: &Beside) -> i64 {
        let depth = self.pipeline.depth();
        let steps = tokens.div_ceil((chunk / depth).max(1)).max(1) as f64;
        let share = 1.0 / depth.min(beside.sequences.max(1)) as f64;
        let all = |cost: &Cost| {
            let decode = cost.sequence * beside.sequences as f64 + cost.kv_token * beside.kv_tokens as f64;
            cost.prefill_token * tokens as f64
                + cost.prefill_pair * pairs as f64
                + steps * (cost.constant + decode * share)
        };
        let work = self.base_ns * steps + all(&self.compute).max(all(&self.memory));
        if depth == 1 {
            return work.round() as i64;
        }
        let stage = work / (steps * depth as f64) + self.pipeline.hop_ns;
        let hops = self.pipeline.hop_token_ns * (tokens as f64 / steps + beside.sequences as f64 * share);
        ((steps + depth as f64 - 1.0) * (stage + hops)).round() as i64
    }

    /// Decode steps of a batch that begins with `kv_tokens`, and how many of them follow one line: where the larger of the
    /// two costs changes, a new run begins.
    pub fn decode_run(&self, sequences: u64, kv_tokens: u64, most: u64) -> (DecodeRun, u64) {
        let batch = Batch { sequences, kv_tokens, ..Batch::default() };
        let share = 1.0 / self.pipeline.micro_batches(&batch) as f64;
        let (compute, memory) = (self.compute.of(&batch, share), self.memory.of(&batch, share));
        let slopes = [self.compute, self.memory].map(|cost| cost.kv_token * sequences as f64 * share);
        let (larger, slope, other, other_slope) = if compute >= memory {
            (compute, slopes[0], memory, slopes[1])
        } else {
            (memory, slopes[1], compute, slopes[0])
        };
        // Steps until the other line is above: (larger - other) / (other_slope - slope), the step itself included.
        let gain = other_slope - slope;
        let until = if gain > 0.0 { ((larger - other) / gain).floor() + 1.0 } else { f64::INFINITY };
        let steps = if until < most as f64 { (until as u64).max(1) } else { most };
        let run = DecodeRun::new((self.base_ns + larger + self.hops_ns(sequences, share)).max(1.0), slope);
        (run, steps)
    }

    /// What the stages wait for each other in a step that decodes.
    fn hops_ns(&self, sequences: u64, share: f64) -> f64 {
        let Pipeline { hop_ns, hop_token_ns, .. } = self.pipeline;
        let depth = self.pipeline.depth();
        if depth == 1 { 0.0 } else { depth as f64 * (hop_ns + hop_token_ns * sequences as f64 * share) }
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
            ..StepModel::default()
        }
    }

    /// The same in stages.
    fn staged(stages: u32) -> StepModel {
        StepModel { pipeline: Pipeline { stages, micro_tokens: 64, hop_ns: 30.0, hop_token_ns: 0.5 }, ..model() }
    }

    #[test]
    fn a_run_ends_where_its_steps_added_up_end() {
        let (mut kv_tokens, mut left, mut at) = (20_u64, 500_u64, 0_i64);
        let mut exact = 0.0;
        while left > 0 {
            let (run, steps) = model().decode_run(4, kv_tokens, left);
            for step in 0..steps {
                let batch = Batch { sequences: 4, kv_tokens: kv_tokens + 4 * step, ..Batch::default() };
                exact += 100.0 + model().compute.of(&batch, 1.0).max(model().memory.of(&batch, 1.0));
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
        assert!((model().prefill_beside_ns(2048, 2048 * 2047 / 2, 512, &Beside::default()) - sum).abs() <= 4, "{sum}");
    }

    #[test]
    fn prompts_flow_through_stages_and_decoding_requests_come_round() {
        // Three chunks of 64: a stage takes (100 + 1000 + 7 x 64) / 4 + 30 + 32 for each.
        let stage = (100.0 + 1000.0 + 448.0) / 4.0 + 30.0 + 32.0;
        let prompt = Batch { prefill_tokens: 192, ..Batch::default() };
        assert_eq!(staged(4).step_ns(&prompt), (3.0_f64 * stage).round() as i64);
        let late = |done| staged(4).late_ns(&prompt, done);
        // The first chunk comes out after four stages, one after the step's end; the last two stages later.
        assert_eq!([late(64), late(128), late(192)], [449, 898, 1347]);
        // Six requests over 400 tokens: four micro-batches of one and a half.
        let decode = Batch { sequences: 6, kv_tokens: 400, ..Batch::default() };
        let stage = (100.0 + 1000.0 + 15.0 + 25.0) / 4.0 + 30.0 + 0.75;
        assert_eq!(staged(4).step_ns(&decode), (4.0_f64 * stage).round() as i64);
        let (run, _) = staged(4).decode_run(6, 400, 10);
        assert_eq!(run.end_ns(1), (4.0_f64 * stage).round() as i64);
    }

    #[test]
    fn one_stage_is_none() {
        let batch = Batch { prefill_tokens: 100, prefill_pairs: 4950, sequences: 3, kv_tokens: 77 };
        for stages in [0, 1] {
            assert_eq!(staged(stages).step_ns(&batch), model().step_ns(&batch));
            assert_eq!(staged(stages).decode_run(3, 77, 9), model().decode_run(3, 77, 9));
            assert_eq!(staged(stages).late_ns(&batch, 100), 0);
        }
    }
}
