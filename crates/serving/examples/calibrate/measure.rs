//! What is measured: prompts alone, requests that decode together, and others to predict.

use std::error::Error;

use proftool_serving::engines::{Decoded, Fitted, Prefilled};
use proftool_serving::sources::{Lengths, Synthetic, synthetic};
use proftool_serving::{Request, Workload};

use crate::ENGINES;
use crate::bench::{Bench, Times, median};

/// Prompt lengths whose times are fitted.
const PROMPTS: [u32; 7] = [16, 32, 64, 96, 128, 192, 256];
/// Batches whose times are fitted: requests a engine and their prompt length. Long prompts are alone: beside others they
/// would be computed while those decode.
const BATCHES: [(u32, u32); 6] = [(1, 16), (1, 256), (1, 512), (2, 16), (3, 16), (4, 16)];
const BATCH_OUTPUT: u32 = 64;
/// Groups of each.
const REPEATS: usize = 9;
/// Shares of the engines' capacity at which others are predicted, and the policies that place them.
pub(crate) const LOADS: [f64; 3] = [0.3, 0.5, 0.7];
const POLICIES: [&str; 2] = ["round_robin", "least_loaded"];
/// Rounds at each load, and requests of each run in a round. Medians are over all rounds: as many requests that a median moves
/// little with one more or less, and in turns, since a machine that others share is some percent faster or slower for minutes.
const ROUNDS: u64 = 4;
const REFINE: usize = 60;
const OTHERS: usize = 40;
/// Seeds of the first rounds: of the requests that the model is fitted to, and of those that it predicts.
const REFINE_SEED: u64 = 7;
const OTHERS_SEED: u64 = 100;
const REFINE_STEPS: usize = 20;
const OTHER_PROMPTS: (u32, u32) = (20, 250);
const OTHER_OUTPUTS: (u32, u32) = (32, 128);

/// What was measured at a load, and how the simulator predicts it.
pub(crate) struct AtLoad {
    pub(crate) load: f64,
    pub(crate) per_s: f64,
    /// How many times as long prompts and decoding take as when they were fitted.
    pub(crate) factors: [f64; 2],
    /// A policy with its runs on the engines and their prediction.
    pub(crate) compared: Vec<Compared>,
}

/// The runs of a policy and their prediction.
pub(crate) struct Compared {
    pub(crate) policy: &'static str,
    pub(crate) measured: Times,
    pub(crate) simulated: Times,
}

/// Requests of one length, `together` at each engine, all at once.
fn group(together: u32, (prompt, output): (u32, u32)) -> Workload {
    let mut workload = Workload { name: "fit".to_owned(), block_tokens: 16, ..Workload::default() };
    for _ in 0..together as usize * ENGINES {
        workload.push(Request { prompt_tokens: prompt, output_tokens: output, ..Request::default() }, &[]);
    }
    workload
}

/// Runs such a group: both engines are as busy, since they share a machine.
fn run(bench: &mut Bench, together: u32, lengths: (u32, u32)) -> Result<Times, Box<dyn Error>> {
    let times = Times::of(&bench.run(&group(together, lengths), "round_robin")?);
    if times.failed > 0 { Err("a request failed while the engines were measured".into()) } else { Ok(times) }
}

/// The first requests find cold caches and pages.
pub(crate) fn warm_up(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    for _ in 0..REPEATS {
        run(bench, 2, (256, 16))?;
    }
    Ok(())
}

/// The median times of prompts of each length, one at a time at each engine, and of batches of each size. Lengths and sizes
/// take turns: what disturbs the machine for some seconds disturbs few of each.
pub(crate) fn fitted(bench: &mut Bench) -> Result<(Vec<Prefilled>, Vec<Decoded>), Box<dyn Error>> {
    let (mut ttft, mut tpot) = (vec![Vec::new(); PROMPTS.len()], vec![Vec::new(); BATCHES.len()]);
    for _ in 0..REPEATS {
        for (times, tokens) in ttft.iter_mut().zip(PROMPTS) {
            times.extend(run(bench, 1, (tokens, 2))?.ttft);
        }
        for (times, (sequences, prompt)) in tpot.iter_mut().zip(BATCHES) {
            times.extend(run(bench, sequences, (prompt, BATCH_OUTPUT))?.tpot);
        }
    }
    let prefilled = PROMPTS.iter().zip(&ttft).map(|(&tokens, times)| Prefilled { tokens, ttft_ns: median(times) });
    let decoded = BATCHES.iter().zip(&tpot).map(|(&(sequences, prompt), times)| {
        let kv_tokens = f64::from(sequences) * (f64::from(prompt) + f64::from(BATCH_OUTPUT) / 2.0);
        Decoded { sequences, kv_tokens, tpot_ns: median(times) }
    });
    Ok((prefilled.collect(), decoded.collect()))
}

/// Other requests, in an open loop at a load: measured, and predicted.
///
/// How long a step takes depends on how busy the engines are, which no group of requests shows: engines disturb one another,
/// and an engine that was idle finds its weights gone from the caches that its core shares. So other requests again are run in
/// between, from which come two factors; none of those is predicted.
pub(crate) fn at_load(bench: &mut Bench, fitted: &Fitted, load: f64) -> Result<AtLoad, Box<dyn Error>> {
    bench.learn(fitted);
    let per_s = load * capacity_per_s(fitted);
    let workloads = |seed: u64, requests: usize| -> Vec<Workload> {
        (0..ROUNDS).map(|round| other(per_s, seed + round, requests)).collect()
    };
    let (refining, predicted) = (workloads(REFINE_SEED, REFINE), workloads(OTHERS_SEED, OTHERS));
    let (mut refine, mut others) = (Times::default(), vec![Times::default(); POLICIES.len()]);
    for (round, (refining, predicted)) in refining.iter().zip(&predicted).enumerate() {
        refine.extend(Times::of(&bench.run(refining, POLICIES[round % POLICIES.len()])?));
        for turn in 0..POLICIES.len() {
            let policy = (round + turn) % POLICIES.len();
            others[policy].extend(Times::of(&bench.run(predicted, POLICIES[policy])?));
        }
    }
    let factors = refined(bench, fitted, &refining, &refine)?;
    let model = scaled(fitted, factors);
    bench.learn(&model);
    let mut compared = Vec::new();
    for (policy, measured) in POLICIES.into_iter().zip(others) {
        let simulated = simulated(bench, &model, &predicted, |_| policy)?;
        eprintln!("{policy} at {load}: TTFT and TPOT {:?} ms measured, {:?} simulated", measured.ms(), simulated.ms());
        compared.push(Compared { policy, measured, simulated });
    }
    Ok(AtLoad { load, per_s, factors, compared })
}

/// The factors with which the simulated times of runs are the measured ones in the geometric mean. (The median of TPOT says less:
/// it lies between those who decode alone and those who wait for prompts, where a few requests more or less move it far.)
fn refined(
    bench: &mut Bench,
    fitted: &Fitted,
    refining: &[Workload],
    measured: &Times,
) -> Result<[f64; 2], Box<dyn Error>> {
    let mut factors = [1.0_f64; 2];
    for _ in 0..REFINE_STEPS {
        let now = scaled(fitted, factors);
        bench.learn(&now);
        let simulated = simulated(bench, &now, refining, |round| POLICIES[round % POLICIES.len()])?;
        // The root: waiting makes times grow faster than the factors.
        factors[0] *= (middle(&measured.ttft) / middle(&simulated.ttft)).sqrt();
        factors[1] *= (middle(&measured.tpot) / middle(&simulated.tpot)).sqrt();
    }
    Ok(factors)
}

fn simulated(
    bench: &Bench,
    model: &Fitted,
    workloads: &[Workload],
    policy: impl Fn(usize) -> &'static str,
) -> Result<Times, Box<dyn Error>> {
    let mut times = Times::default();
    for (round, workload) in workloads.iter().enumerate() {
        times.extend(bench.simulated(workload, policy(round), model)?);
    }
    Ok(times)
}

/// The geometric mean.
fn middle(times: &[f64]) -> f64 {
    let logs = times.iter().map(|ns| ns.max(1.0).ln()).sum::<f64>();
    (logs / times.len().max(1) as f64).exp()
}

/// The model with other times of prompts and of decoding.
fn scaled(fitted: &Fitted, [prefill, decode]: [f64; 2]) -> Fitted {
    let mut scaled = *fitted;
    let cost = &mut scaled.steps.compute;
    cost.prefill_token *= prefill;
    cost.prefill_pair *= prefill;
    cost.sequence *= decode;
    cost.kv_token *= decode;
    scaled.steps.base_ns *= decode;
    scaled
}

fn other(per_s: f64, seed: u64, requests: usize) -> Workload {
    let shape = Synthetic {
        requests,
        per_s,
        seed,
        prompt_tokens: Lengths::Uniform(OTHER_PROMPTS.0, OTHER_PROMPTS.1),
        output_tokens: Lengths::Uniform(OTHER_OUTPUTS.0, OTHER_OUTPUTS.1),
        ..Synthetic::default()
    };
    synthetic("others", &shape)
}

/// Requests per second that keep the engines busy, by the model, if each decoded alone: a scale for loads.
fn capacity_per_s(fitted: &Fitted) -> f64 {
    let mean = |(least, most): (u32, u32)| f64::midpoint(f64::from(least), f64::from(most));
    let (prompt, output) = (mean(OTHER_PROMPTS), mean(OTHER_OUTPUTS));
    let (steps, cost) = (&fitted.steps, &fitted.steps.compute);
    let prefill_ns = steps.base_ns + cost.prefill_token * prompt + cost.prefill_pair * prompt * prompt / 2.0;
    let step_ns = steps.base_ns + cost.sequence + cost.kv_token * (prompt + output / 2.0);
    ENGINES as f64 * 1e9 / (prefill_ns + output * step_ns)
}
