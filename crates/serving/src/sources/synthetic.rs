//! Made-up requests, from a seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::{Request, Workload};

/// How requests are made up.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// How many.
    pub requests: usize,
    /// Mean arrivals per second, outside bursts.
    pub per_s: f64,
    /// Seed.
    pub seed: u64,
    /// Least and largest prompt, uniform.
    pub prompt_tokens: (u32, u32),
    /// Least and largest output, uniform.
    pub output_tokens: (u32, u32),
}

/// Makes requests up: Poisson arrivals, uniform lengths.
pub fn synthetic(name: &str, shape: &Synthetic) -> Workload {
    let mut random = SmallRng::seed_from_u64(shape.seed);
    let mut workload = Workload { name: name.to_owned(), block_tokens: 16, ..Workload::default() };
    let mut at_s = 0.0;
    for _ in 0..shape.requests {
        // An exponential gap; 1 - u is never 0.
        at_s -= (1.0 - random.random::<f64>()).ln() / shape.per_s;
        let request = Request {
            arrival_ns: (at_s * 1e9) as i64,
            prompt_tokens: random.random_range(shape.prompt_tokens.0..=shape.prompt_tokens.1),
            output_tokens: random.random_range(shape.output_tokens.0..=shape.output_tokens.1),
            ..Request::default()
        };
        workload.push(request, &[]);
    }
    workload
}
