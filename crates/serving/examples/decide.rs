//! Nanoseconds a decision, scalar and SIMD, for batches of 1,024 requests.

use std::hint::black_box;
use std::time::Instant;

use proftool_serving::decide::{Requests, Rule};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const BATCH: usize = 1024;
const TRIALS: usize = 2000;

fn main() {
    let mut random = SmallRng::seed_from_u64(17);
    let prompt: Vec<u32> = (0..BATCH).map(|_| random.random_range(0..2000)).collect();
    let cached: Vec<u32> = prompt.iter().map(|&prompt| random.random_range(0..=prompt)).collect();
    let low: Vec<u8> = (0..BATCH).map(|_| random.random_range(0..2)).collect();
    let requests = Requests { prompt_tokens: &prompt, cached_tokens: &cached, low_priority: &low };
    let rule = Rule { prefill_queue: 4, decode_queue: 40, ..Rule::default() };
    let mut decisions = vec![0; BATCH];
    for (name, decide) in [("scalar", Rule::scalar as fn(&Rule, &Requests<'_>, &mut [u8])), ("simd", Rule::simd)] {
        let mut best_ns = f64::INFINITY;
        for _ in 0..TRIALS {
            let start = Instant::now();
            decide(black_box(&rule), black_box(&requests), black_box(&mut decisions));
            best_ns = best_ns.min(start.elapsed().as_nanos() as f64 / BATCH as f64);
        }
        println!("{name}: {best_ns:.3} ns a decision (best of {TRIALS} batches of {BATCH})");
    }
}
