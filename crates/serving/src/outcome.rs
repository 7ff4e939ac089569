//! What one request felt: summaries, trends and reports take its times and promises from here.

use crate::admission::Slos;
use crate::{Outcome, Status};

impl Outcome {
    /// Time from arrival to the first token; none of a request that was not served.
    pub fn ttft_ns(&self) -> Option<i64> {
        Some(self.first()? - self.arrival_ns)
    }

    /// Time per output token after the first, rounded down; none of a request that was not served, and of a single token.
    pub fn tpot_ns(&self) -> Option<i64> {
        let more = i64::from(self.output_tokens) - 1;
        (more > 0).then_some((self.end_ns - self.first()?) / more.max(1))
    }

    /// Time from arrival to the last token; none of a request that was not served.
    pub fn e2e_ns(&self) -> Option<i64> {
        self.first().map(|_| self.end_ns - self.arrival_ns)
    }

    /// Whether it was served within the SLO of its tier. A single token has no time per token to miss, nor has an output
    /// that nobody counted.
    pub fn meets(&self, slos: &Slos) -> bool {
        let slo = slos.of(self.tier);
        self.ttft_ns().is_some_and(|ttft| ttft <= slo.ttft_ns) && self.tpot_ns().is_none_or(|tpot| tpot <= slo.tpot_ns)
    }

    /// When the first token came, of a request that was served.
    fn first(&self) -> Option<i64> {
        self.first_token_ns.filter(|_| self.status == Status::Ok)
    }
}

/// The percentile `share` (0 to 1) of sorted values by the nearest rank: a value that occurred. None of nothing.
pub fn nearest_rank<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = ((share * sorted.len() as f64).ceil() as usize).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::outcome;
    use crate::{Slo, Tier};

    #[test]
    fn times_are_those_of_requests_that_were_served() {
        let served = Outcome { arrival_ns: 10, ..outcome(30, 55, 3) };
        assert_eq!((served.ttft_ns(), served.tpot_ns(), served.e2e_ns()), (Some(20), Some(12), Some(45)));
        assert_eq!(outcome(30, 30, 1).tpot_ns(), None);
        let failed = Outcome { status: Status::Failed("device"), ..served };
        assert_eq!((failed.ttft_ns(), failed.tpot_ns(), failed.e2e_ns()), (None, None, None));
    }

    #[test]
    fn a_request_is_held_to_both_times_of_its_own_tier() {
        let slo = |ttft_ns, tpot_ns| Slo { ttft_ns, tpot_ns };
        let slos = Slos([slo(99, 100), slo(100, 99), slo(100, 100)]);
        let met = Tier::ALL.map(|tier| Outcome { tier, ..outcome(100, 500, 5) }.meets(&slos));
        assert_eq!(met, [false, false, true]);
        assert!(Outcome { tier: Tier::Standard, ..outcome(100, 100, 1) }.meets(&slos));
        let refused = Outcome { tier: Tier::Free, status: Status::Rejected("full"), ..outcome(100, 500, 5) };
        assert!(!refused.meets(&slos));
    }

    #[test]
    fn the_nearest_rank_is_a_value_that_occurred() {
        assert_eq!(
            [0.0, 0.25, 0.26, 0.5, 0.99, 1.0].map(|share| nearest_rank(&[1, 2, 3, 4], share)),
            [1, 1, 2, 2, 4, 4].map(Some)
        );
        assert_eq!(nearest_rank::<i64>(&[], 0.5), None);
    }
}
