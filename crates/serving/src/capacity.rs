//! Capacity: how much faster requests may arrive before too few of them get what was agreed on.

/// How the highest rate is searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Share of the requests that must meet every SLO.
    pub share: f64,
    /// The lowest rate that is tried, as a factor on the workload's rate.
    pub least: f64,
    /// No rate above this is tried.
    pub most: f64,
    /// Width of the bracket at the end, relative to its lower end.
    pub precision: f64,
}

impl Default for Search {
    /// Nine requests in ten, to 1 %, from a 64th of the workload's rate to 4,096 times it.
    fn default() -> Self {
        Self { share: 0.9, least: 1.0 / 64.0, most: 4096.0, precision: 0.01 }
    }
}

/// The highest rate, and what it was found by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// The highest factor that was tried and met the share; none where [`Capacity::reason`] says why.
    pub factor: Option<f64>,
    /// The lowest that was tried above it and did not: capacity lies between the two. None where all met the share.
    pub failed: Option<f64>,
    /// Share of the requests that met every SLO at `factor`.
    pub attainment_ratio: Option<f64>,
    /// Why there is no factor, or why it may be larger.
    pub reason: Option<&'static str>,
    /// How many rates were tried.
    pub runs: u32,
}

impl Search {
    /// The highest factor at which `attainment` (the share of requests that meet every SLO when requests arrive that many
    /// times as fast) reaches the share.
    ///
    /// Attainment need not fall with the rate everywhere: bursts meet other batches. So the search goes up from the lowest
    /// rate in doublings until the first failure, and bisects (on the logarithm) between that and the rate before: what it
    /// finds is the first failure from below on the rates that it tried. A rate above that might meet the share again and
    /// doesn't count. As many runs as the same attainments need: nothing is drawn.
    pub fn run(&self, mut attainment: impl FnMut(f64) -> f64) -> Capacity {
        let mut capacity = Capacity { factor: None, failed: None, attainment_ratio: None, reason: None, runs: 0 };
        let mut factor = self.least;
        while capacity.failed.is_none() && factor <= self.most {
            self.step(&mut capacity, factor, &mut attainment);
            factor *= 2.0;
        }
        let Some(mut met) = capacity.factor else {
            let never = "even the lowest rate that was tried misses the share";
            let none = "no rate was tried: the lowest is above the highest";
            return Capacity { reason: Some(if capacity.runs == 0 { none } else { never }), ..capacity };
        };
        while let Some(failed) = capacity.failed {
            // A middle that rounds to an end would be tried for ever.
            let middle = (met * failed).sqrt();
            if failed <= met * (1.0 + self.precision) || middle <= met || middle >= failed {
                return capacity;
            }
            self.step(&mut capacity, middle, &mut attainment);
            met = capacity.factor.unwrap_or(met);
        }
        Capacity { reason: Some("the highest rate that was tried still meets the share"), ..capacity }
    }

    fn step(&self, capacity: &mut Capacity, factor: f64, attainment: &mut impl FnMut(f64) -> f64) {
        let met = attainment(factor);
        capacity.runs += 1;
        if met >= self.share {
            (capacity.factor, capacity.attainment_ratio) = (Some(factor), Some(met));
        } else {
            capacity.failed = Some(factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Everyone;
    use crate::testing::device;
    use crate::{
        Cluster, Cost, Device, Options, Outcome, Request, Role, Sink, Slo, StepModel, Workload, policies, simulate,
        summarize,
    };
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_step_is_found_to_a_percent_with_its_bracket() {
        for edge in [0.02, 0.9999, 1.0, 37.3, 4000.0] {
            let found = Search::default().run(|factor| if factor <= edge { 1.0 } else { 0.5 });
            let (met, failed) = (found.factor.expect("found"), found.failed.expect("bracketed"));
            assert!(met <= edge && edge < failed && failed <= met * 1.01, "{edge}: {found:?}");
            assert!(found.runs < 40 && found.reason.is_none());
        }
    }

    #[test]
    fn a_rate_that_meets_the_share_above_the_first_failure_does_not_count() {
        let island = |factor: f64| if factor <= 1.5 || factor > 3.0 { 0.95 } else { 0.1 };
        let found = Search::default().run(island).factor.expect("found");
        assert!((1.48..=1.5).contains(&found), "{found}");
    }

    #[test]
    fn where_nothing_or_everything_meets_the_share_the_reason_says_so() {
        let never = Search::default().run(|_| 0.89);
        assert_eq!((never.factor, never.failed, never.runs), (None, Some(1.0 / 64.0), 1));
        assert!(never.reason.is_some_and(|reason| reason.contains("lowest")));
        let always = Search::default().run(|_| 0.9);
        assert_eq!((always.factor, always.failed), (Some(4096.0), None));
        assert!(always.reason.is_some());
        assert!(Search { least: 2.0, most: 1.0, ..Search::default() }.run(|_| 1.0).factor.is_none());
        assert!(Search::default().run(|_| f64::NAN).factor.is_none());
    }

    #[derive(Default)]
    struct Keep(Vec<Outcome>);

    impl Sink for Keep {
        fn outcome(&mut self, outcome: &Outcome) {
            self.0.push(*outcome);
        }
    }

    /// One device that computes a prompt of 1,000 tokens in a millisecond, one after the other, and Poisson arrivals at one
    /// a millisecond: at a factor `f` an M/D/1 queue at the load `f`.
    fn queue() -> (Workload, Cluster) {
        let mut random = SmallRng::seed_from_u64(11);
        let (mut workload, mut at_ns) = (Workload { block_tokens: 16, ..Workload::default() }, 0.0);
        for _ in 0..40_000 {
            at_ns -= (1.0 - random.random::<f64>()).ln() * 1e6;
            let request =
                Request { arrival_ns: at_ns as i64, prompt_tokens: 1000, output_tokens: 1, ..Request::default() };
            workload.push(request, &[]);
        }
        let steps = StepModel { compute: Cost { prefill_token: 1000.0, ..Cost::default() }, ..StepModel::default() };
        let device = Device { steps, kv_capacity_tokens: 1 << 40, step_tokens: u32::MAX, ..device(Role::Mixed) };
        let cluster =
            Cluster { name: "q".to_owned(), devices: vec![device], kv_bytes_per_token: 1, ..Cluster::default() };
        (workload, cluster)
    }

    /// The rate at which a share of M/D/1's requests leave within a deadline follows from its waiting times. With a
    /// deadline of 5 services 9 of 10 do up to a load of 0.69: P(W <= 4) of Erlang's formula for M/D/1.
    #[test]
    fn the_capacity_of_a_queue_is_what_theory_says() {
        let (workload, cluster) = queue();
        let slo = Slo { ttft_ns: 5_000_000, tpot_ns: 1 };
        let found = Search::default().run(|factor| {
            let mut workload = workload.clone();
            workload.scale(factor);
            let mut policy = policies::POLICIES[0].with(&std::collections::BTreeMap::new(), 0).expect("no knobs");
            let mut kept = Keep::default();
            simulate(&workload, &cluster, policy.as_mut(), &mut Everyone, &Options::default(), &mut kept)
                .expect("sound");
            summarize(&kept.0, Some(slo)).slo_attainment_ratio
        });
        let theory = Search::default().run(|load| waits_at_most(4.0, load)).factor.expect("found");
        let factor = found.factor.expect("found");
        assert!((factor / theory - 1.0).abs() < 0.03, "{factor}, theory {theory}");
    }

    /// P(W <= t) of M/D/1 in services (Erlang 1909): (1 - r) sum over k <= t of (r(k - t))^k / k! e^(-r(k - t)).
    fn waits_at_most(services: f64, load: f64) -> f64 {
        if load >= 1.0 {
            return 0.0;
        }
        let mut factorial = 1.0;
        let terms = (0..=services as u32).map(|k| {
            factorial *= f64::from(k.max(1));
            let x = load * (f64::from(k) - services);
            x.powi(k as i32) / factorial * (-x).exp()
        });
        (1.0 - load) * terms.sum::<f64>()
    }
}
