//! Made-up requests, from a seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::{Request, Tier, Workload};

/// How requests are made up.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// How many.
    pub requests: usize,
    /// Mean arrivals per second outside bursts.
    pub per_s: f64,
    /// Times as many in a burst: a fifth of all seconds, drawn by the seed.
    pub burst_factor: f64,
    /// Seed.
    pub seed: u64,
    /// Prompt lengths.
    pub prompt_tokens: Lengths,
    /// Output lengths.
    pub output_tokens: Lengths,
    /// Who sends them: each tenant's prompts begin with the same tokens. None share anything with 0.
    pub tenants: u16,
    /// Tokens that a tenant's prompts share, beside those of [`Synthetic::prompt_tokens`].
    pub shared_tokens: u32,
    /// Shares of premium and free requests; the others are standard.
    pub tiers: (f64, f64),
    /// Tokens of a prefix block.
    pub block_tokens: u32,
}

/// A distribution of lengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lengths {
    /// From the least to the largest, each as likely.
    Uniform(u32, u32),
    /// Lognormal with this median and this standard deviation of the logarithm, cut at the largest.
    Lognormal {
        /// Median.
        median: f64,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
        /// The largest.
        most: u32,
    },
}

impl Default for Synthetic {
    /// The lab's: 1.2 arrivals in 50 ms, prompts of 100 to 1,200 tokens, outputs of 32 to 256.
    fn default() -> Self {
        Self {
            requests: 2000,
            per_s: 24.0,
            burst_factor: 1.0,
            seed: 0,
            prompt_tokens: Lengths::Uniform(100, 1200),
            output_tokens: Lengths::Uniform(32, 256),
            tenants: 0,
            shared_tokens: 0,
            tiers: (0.0, 0.0),
            block_tokens: BLOCK,
        }
    }
}

/// Share of the seconds that are bursts, as in the lab.
const BURSTS: f64 = 0.2;
const SECOND_NS: f64 = 1e9;
/// Made-up requests span at most this, three years: each second is drawn.
const MOST_SECONDS: f64 = 1e8;
/// The default of vLLM.
const BLOCK: u32 = 16;

impl Synthetic {
    /// Whether so many requests at this rate span more than three years: nobody waits for them to be drawn.
    pub fn is_endless(&self) -> bool {
        self.requests as f64 > self.per_s * MOST_SECONDS
    }
}

impl Lengths {
    fn draw(self, random: &mut SmallRng) -> u32 {
        match self {
            Self::Uniform(least, most) => random.random_range(least.max(1)..=most.max(least).max(1)),
            Self::Lognormal { median, sigma, most } => {
                // Box and Muller 1958; 1 - u is never 0.
                let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * random.random::<f64>()).cos();
                ((median * (sigma * normal).exp()).round() as u32).clamp(1, most.max(1))
            }
        }
    }
}

/// Makes requests up: Poisson arrivals at a rate that a second keeps.
pub fn synthetic(name: &str, shape: &Synthetic) -> Workload {
    // Arrivals, lengths and tenants from streams of their own: a longer prompt moves no arrival.
    let [mut arrivals, mut lengths, mut senders] = [1, 2, 3].map(|stream| stream_of(shape.seed, stream));
    let block = shape.block_tokens.max(1);
    let mut workload = Workload { name: name.to_owned(), block_tokens: block, ..Workload::default() };
    let (mut at_ns, mut second, mut per_s) = (0.0, -1, shape.per_s);
    let shared = shape.shared_tokens / block;
    let mut next_block = u32::from(shape.tenants) * shared;
    let mut blocks = Vec::new();
    while workload.requests.len() < shape.requests {
        if (at_ns / SECOND_NS) as i64 > second {
            second = (at_ns / SECOND_NS) as i64;
            let burst = arrivals.random::<f64>() < BURSTS;
            per_s = shape.per_s * if burst { shape.burst_factor } else { 1.0 };
        }
        let gap_ns = -(1.0 - arrivals.random::<f64>()).ln() / per_s.max(f64::MIN_POSITIVE) * SECOND_NS;
        let end_ns = (second + 1) as f64 * SECOND_NS;
        if at_ns + gap_ns >= end_ns {
            // Exponential gaps have no memory: the next second draws again.
            at_ns = end_ns;
            continue;
        }
        at_ns += gap_ns;
        let own = shape.prompt_tokens.draw(&mut lengths);
        let output_tokens = shape.output_tokens.draw(&mut lengths);
        let mut request = Request { arrival_ns: at_ns as i64, prompt_tokens: own, output_tokens, ..Request::default() };
        request.tier = tier(senders.random(), shape.tiers);
        blocks.clear();
        if shape.tenants > 0 {
            request.tenant = senders.random_range(0..shape.tenants);
            request.prompt_tokens += shape.shared_tokens;
            let first = u32::from(request.tenant) * shared;
            let fresh = (request.prompt_tokens / block).saturating_sub(shared);
            blocks.extend(first..first + shared);
            blocks.extend(next_block..next_block + fresh);
            next_block += fresh;
        }
        workload.push(request, &blocks);
    }
    workload.distinct_blocks = next_block;
    workload
}

/// Gives every request a tier, by the shares of premium and free ones: for traces that know none.
pub fn tiers(workload: &mut Workload, shares: (f64, f64), seed: u64) {
    let mut random = stream_of(seed, 4);
    workload.requests.iter_mut().for_each(|request| request.tier = tier(random.random(), shares));
}

fn tier(drawn: f64, (premium, free): (f64, f64)) -> Tier {
    if drawn < premium {
        Tier::Premium
    } else if drawn < premium + free {
        Tier::Free
    } else {
        Tier::Standard
    }
}

fn stream_of(seed: u64, stream: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_bursts_and_lengths_are_what_was_asked_for() {
        let shape = Synthetic { requests: 40_000, per_s: 50.0, burst_factor: 4.0, ..Synthetic::default() };
        let workload = synthetic("s", &shape);
        // 80 % of the seconds at 50, 20 % at 200: 80 in the mean.
        let per_s = 40_000.0 / (workload.span_ns() as f64 / 1e9);
        assert!((per_s - 80.0).abs() < 8.0, "{per_s}");
        let mean = workload.requests.iter().map(|request| f64::from(request.prompt_tokens)).sum::<f64>() / 40_000.0;
        assert!((mean - 650.0).abs() < 10.0, "{mean}");
        assert_eq!(workload.requests, synthetic("s", &shape).requests);
        assert_ne!(workload.requests, synthetic("s", &Synthetic { seed: 1, ..shape }).requests);
    }

    #[test]
    fn prompts_of_a_tenant_share_their_first_blocks_and_no_others() {
        let shape =
            Synthetic { requests: 200, tenants: 3, shared_tokens: 64, tiers: (0.5, 0.5), ..Synthetic::default() };
        let workload = synthetic("s", &shape);
        for request in &workload.requests {
            let blocks = workload.blocks_of(request);
            let first = u32::from(request.tenant) * 4;
            assert_eq!(blocks[..4], [first, first + 1, first + 2, first + 3]);
            assert!(blocks[4..].iter().all(|&block| block >= 12) && request.tier != Tier::Standard);
            assert_eq!(blocks.len() as u32, request.prompt_tokens / 16);
        }
        assert_eq!(workload.blocks.iter().copied().max(), Some(workload.distinct_blocks - 1));
    }

    #[test]
    fn a_rate_at_which_requests_take_years_is_told() {
        let of = |per_s: f64| Synthetic { requests: 1000, per_s, ..Synthetic::default() }.is_endless();
        assert_eq!([24.0, 1e-5, 0.99e-5, 1e-9].map(of), [false, false, true, true]);
    }

    #[test]
    fn a_lognormal_length_has_its_median() {
        let mut random = SmallRng::seed_from_u64(3);
        let lengths = Lengths::Lognormal { median: 300.0, sigma: 1.0, most: 100_000 };
        let mut drawn: Vec<u32> = (0..20_001).map(|_| lengths.draw(&mut random)).collect();
        drawn.sort_unstable();
        assert!((f64::from(drawn[10_000]) - 300.0).abs() < 10.0, "{}", drawn[10_000]);
    }
}
