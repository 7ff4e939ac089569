//! The decision kernel of dynamic routing: offload and admit for batches of requests, one after the other or as vectors.

use std::collections::BTreeMap;

use proftool_serving::decide::{ADMIT, OFFLOAD, Requests, Rule};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::measured::Work;
use super::{Plan, simulate};
use crate::parameters::Given;
use crate::{Error, Parameter, Settings, targets};

/// Requests of a batch, as in the course.
const BATCH: usize = 1024;
/// Batches with requests of their own; a call goes over them again and again. Together they take 590 kB.
const DISTINCT: usize = 64;

/// The parameters.
pub(crate) static PARAMETERS: &[Parameter] = &[Parameter {
    name: "batches",
    default: "1024",
    doc: "Batches of 1,024 requests that an iteration decides about, 1 to 1000000.",
}];

/// Which version decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// One request after the other.
    Scalar,
    /// As many at a time as a vector holds.
    Simd,
}

/// Requests of a batch, column by column, and the state of the cluster when they arrive.
struct Batch {
    rule: Rule,
    prompt: Vec<u32>,
    cached: Vec<u32>,
    low: Vec<u8>,
    decisions: Vec<u8>,
}

/// The batches.
pub(crate) struct Decide {
    kernel: Kernel,
    batches: usize,
    distinct: Vec<Batch>,
    settings: Settings,
}

impl Decide {
    /// Draws the requests of a target's parameters by the seed.
    ///
    /// # Errors
    /// For a parameter that is unknown or has a bad value.
    pub(crate) fn new(target: &'static str, kernel: Kernel, settings: &Settings) -> Result<Self, Error> {
        let batches = batches(target, settings)?;
        let mut random = SmallRng::seed_from_u64(settings.seed);
        let distinct = (0..DISTINCT.min(batches)).map(|_| Batch::draw(&mut random)).collect();
        Ok(Self { kernel, batches, distinct, settings: settings.clone() })
    }
}

/// Every parameter with its value.
pub(crate) fn resolve(target: &'static str, settings: &Settings) -> Result<BTreeMap<String, String>, Error> {
    Ok(BTreeMap::from([("batches".to_owned(), batches(target, settings)?.to_string())]))
}

fn batches(target: &'static str, settings: &Settings) -> Result<usize, Error> {
    Given::new(target, PARAMETERS, &settings.parameters)?.number("batches", 1..=1_000_000)
}

impl Batch {
    fn draw(random: &mut SmallRng) -> Self {
        let rule = Rule {
            // About half of the batches meet short queues.
            prefill_queue: random.random_range(0..20),
            decode_queue: random.random_range(0..50),
            ..Rule::default()
        };
        let prompt: Vec<u32> = (0..BATCH).map(|_| random.random_range(1..1200)).collect();
        let cached = prompt.iter().map(|&prompt| random.random_range(0..=prompt)).collect();
        let low = (0..BATCH).map(|_| random.random_range(0..2)).collect();
        Self { rule, prompt, cached, low, decisions: vec![u8::MAX; BATCH] }
    }

    fn requests(&self) -> Requests<'_> {
        Requests { prompt_tokens: &self.prompt, cached_tokens: &self.cached, low_priority: &self.low }
    }
}

impl Work for Decide {
    const NAME: &'static str = "decide";

    fn decisions(&self) -> u64 {
        (self.batches * BATCH) as u64
    }

    fn flop(&self) -> Option<i64> {
        None
    }

    fn decide(&mut self) {
        for number in 0..self.batches {
            let at = number % self.distinct.len();
            let batch = &mut self.distinct[at];
            let mut decisions = std::mem::take(&mut batch.decisions);
            match self.kernel {
                Kernel::Scalar => batch.rule.scalar(&batch.requests(), &mut decisions),
                Kernel::Simd => batch.rule.simd(&batch.requests(), &mut decisions),
            }
            batch.decisions = decisions;
        }
    }

    fn decided(&self) -> Vec<f32> {
        self.distinct.iter().flat_map(|batch| batch.decisions.iter().map(|&decision| f32::from(decision))).collect()
    }

    /// What routing at all gives: the requests of `dynamic_router`, twice as fast from half time on, under the policy of the
    /// baseline or of its counterpart; simulated.
    fn trend(&self) -> Vec<String> {
        let target = match self.kernel {
            Kernel::Scalar => &targets::baseline_dynamic_router::TARGET,
            Kernel::Simd => &targets::optimized_dynamic_router::TARGET,
        };
        let step = BTreeMap::from([("step_factor".to_owned(), "2".to_owned())]);
        let settings = Settings { parameters: step, ..self.settings.clone() };
        let plan = Plan::new(target.name, target.parameters, &settings);
        plan.and_then(|plan| simulate::trend(target.name, &plan)).unwrap_or_else(|error| vec![error.to_string()])
    }

    /// The rule of the course as it reads, on wide signed numbers.
    fn reference(&self) -> Vec<f32> {
        let of = |batch: &Batch| -> Vec<f32> {
            let Rule { prefill_queue, decode_queue, prefill_ms, decode_ms, ttft_limit_ms, .. } = batch.rule;
            let wait_ms =
                i64::from(prefill_queue) * i64::from(prefill_ms) + i64::from(decode_queue) * i64::from(decode_ms);
            let rows = batch.prompt.iter().zip(&batch.cached).zip(&batch.low);
            let decide = |((&prompt, &cached), &low): ((&u32, &u32), &u8)| {
                let long = i64::from(prompt) - i64::from(cached) > i64::from(batch.rule.prompt_length_threshold);
                let offload = long && prefill_queue < batch.rule.prefill_queue_limit;
                let admit = wait_ms <= i64::from(ttft_limit_ms) || low == 0;
                let bit = |bit: u8, set: bool| if set { bit } else { 0 };
                f32::from(bit(OFFLOAD, offload) | bit(ADMIT, admit))
            };
            rows.map(decide).collect()
        };
        self.distinct.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            seed: 1,
            parameters: BTreeMap::new(),
            cores: vec![0],
            iterations: 1,
            blocks: 1,
            warmup: 0,
            device_name: "test".to_owned(),
            arch: "test".to_owned(),
            backend: crate::Backend::Cpu,
            record: false,
        }
    }

    #[test]
    fn the_trend_is_that_of_the_router_under_the_policy_of_each_side() {
        for (kernel, name) in [(Kernel::Scalar, "baseline_dynamic_router"), (Kernel::Simd, "optimized_dynamic_router")]
        {
            let lines = Decide::new("t", kernel, &settings()).expect("made").trend();
            assert!(lines[0].starts_with(name) && lines.len() > 10, "{lines:?}");
        }
    }

    #[test]
    fn both_versions_decide_as_the_reference_and_no_decision_is_always_the_same() {
        let batches = || {
            let mut random = SmallRng::seed_from_u64(5);
            (0..16).map(|_| Batch::draw(&mut random)).collect()
        };
        for kernel in [Kernel::Scalar, Kernel::Simd] {
            let mut work = Decide { kernel, batches: 16, distinct: batches(), settings: settings() };
            work.decide();
            assert_eq!(work.decided(), work.reference(), "{kernel:?}");
            let mut seen: Vec<u8> = work.distinct.iter().flat_map(|batch| batch.decisions.clone()).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, [0, OFFLOAD, ADMIT, OFFLOAD | ADMIT]);
        }
    }
}
