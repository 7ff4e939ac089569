//! What users felt, over the outcomes of a run.

use crate::admission::Slos;
use crate::{Device, Duty, Outcome, Role, Run, Sink, Slo, Status, nearest_rank};

/// A run in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Requests that came out whole, were refused, and could not be served.
    pub ok: usize,
    /// Refused.
    pub rejected: usize,
    /// Not served, or not to the end: a run that was stopped.
    pub failed: usize,
    /// Time to first token: 50th, 95th and 99th percentile; none where nobody was served.
    pub ttft_ns: Option<[i64; 3]>,
    /// Its standard deviation.
    pub ttft_stddev_ns: Option<f64>,
    /// Time per output token, likewise; none where every output was a single token.
    pub tpot_ns: Option<[i64; 3]>,
    /// Time from arrival to the last token, likewise.
    pub e2e_ns: Option<[i64; 3]>,
    /// Median of predicted over actual time to first token, of the requests that were served; none of nothing.
    pub predicted_ttft_ratio: Option<f64>,
    /// From the first arrival to the last end.
    pub span_ns: i64,
    /// Tokens that came out per second, from the first arrival to the last end.
    pub output_tokens_per_s: f64,
    /// Requests that meet every SLO.
    pub good: usize,
    /// Those, per second.
    pub goodput_requests_per_s: f64,
    /// Their share.
    pub slo_attainment_ratio: f64,
    /// Share of prompt tokens that were cached.
    pub kv_hit_ratio: f64,
    /// Migrations and preemptions.
    pub migrations: u64,
    /// Requests that lost their memory.
    pub preemptions: u64,
}

/// Sums up outcomes; every tier has the same SLO.
pub fn summarize(outcomes: &[Outcome], slo: Option<Slo>) -> Summary {
    summarize_tiers(outcomes, slo.map(|slo| Slos([slo; 3])).as_ref())
}

/// Sums up outcomes, each held to what was agreed on for its tier.
pub fn summarize_tiers(outcomes: &[Outcome], slos: Option<&Slos>) -> Summary {
    let mut summary = Summary::default();
    if outcomes.is_empty() {
        return summary;
    }
    let (mut ttft, mut tpot, mut e2e, mut predicted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut first, mut last, mut good) = (i64::MAX, i64::MIN, 0_usize);
    let (mut tokens, mut prompt, mut cached) = (0_u64, 0_u64, 0_u64);
    for outcome in outcomes {
        (first, last) = (first.min(outcome.arrival_ns), last.max(outcome.end_ns));
        summary.migrations += u64::from(outcome.migrations);
        summary.preemptions += u64::from(outcome.preemptions);
        match outcome.status {
            Status::Ok => summary.ok += 1,
            Status::Rejected(_) => summary.rejected += 1,
            Status::Failed(_) | Status::Aborted(_) => summary.failed += 1,
        }
        good += usize::from(slos.is_some_and(|slos| outcome.meets(slos)));
        let (Some(own), Some(whole)) = (outcome.ttft_ns(), outcome.e2e_ns()) else { continue };
        tokens += u64::from(outcome.output_tokens);
        prompt += u64::from(outcome.prompt_tokens);
        cached += u64::from(outcome.cached_tokens);
        ttft.push(own);
        e2e.push(whole);
        predicted.push(outcome.predicted_ttft_ns as f64 / own.max(1) as f64);
        tpot.extend(outcome.tpot_ns());
    }
    (summary.good, summary.span_ns) = (good, last - first);
    let seconds = summary.span_ns.max(1) as f64 / 1e9;
    summary.ttft_stddev_ns = deviation(&ttft);
    (summary.ttft_ns, summary.tpot_ns) = (percentiles(&mut ttft), percentiles(&mut tpot));
    summary.e2e_ns = percentiles(&mut e2e);
    predicted.sort_unstable_by(f64::total_cmp);
    summary.predicted_ttft_ratio = nearest_rank(&predicted, 0.5);
    summary.output_tokens_per_s = tokens as f64 / seconds;
    summary.goodput_requests_per_s = good as f64 / seconds;
    summary.slo_attainment_ratio = good as f64 / outcomes.len() as f64;
    summary.kv_hit_ratio = cached as f64 / prompt.max(1) as f64;
    summary
}

/// A sink that keeps what a summary needs: outcomes, how long each device was busy, and when it had to be paid.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Every outcome, in the order of its end.
    pub outcomes: Vec<Outcome>,
    /// Time that each device has spent in steps.
    pub busy_ns: Vec<i64>,
    /// From when on which device was there for what; before that it serves.
    pub duties: Vec<(i64, usize, Duty)>,
}

impl Sink for Tally {
    fn outcome(&mut self, outcome: &Outcome) {
        self.outcomes.push(*outcome);
    }

    fn steps(&mut self, run: &Run) {
        let device = usize::from(run.device);
        if self.busy_ns.len() <= device {
            self.busy_ns.resize(device + 1, 0);
        }
        self.busy_ns[device] += run.end_ns - run.start_ns;
    }

    fn duty(&mut self, at_ns: i64, device: usize, duty: Duty) {
        self.duties.push((at_ns, device, duty));
    }
}

impl Tally {
    /// Time from the first arrival to the last end in which a device must be paid: not while it is off or has failed.
    pub fn paid_ns(&self, device: usize) -> i64 {
        let first_ns = self.outcomes.iter().map(|outcome| outcome.arrival_ns).min().unwrap_or_default();
        let last_ns = self.outcomes.iter().map(|outcome| outcome.end_ns).max().unwrap_or_default();
        let (mut since_ns, mut paid, mut paid_ns) = (first_ns, true, 0);
        let own = self.duties.iter().filter(|(_, other, _)| *other == device);
        for (at_ns, duty) in own.map(|&(at_ns, _, duty)| (at_ns.clamp(first_ns, last_ns), duty)) {
            paid_ns += if paid { at_ns - since_ns } else { 0 };
            (since_ns, paid) = (at_ns, duty.costs());
        }
        paid_ns + if paid { last_ns - since_ns } else { 0 }
    }

    /// What the devices cost in that time.
    pub fn dollars(&self, devices: &[Device]) -> f64 {
        let cost = |(at, device): (usize, &Device)| device.cost_per_hour * self.paid_ns(at) as f64 / 3.6e12;
        devices.iter().enumerate().map(cost).sum()
    }

    /// What they draw in it at their board power, more than they really do; none where that of one is not known.
    pub fn joules(&self, devices: &[Device]) -> Option<f64> {
        let energy = |(at, device): (usize, &Device)| Some(device.watts? * self.paid_ns(at) as f64 / 1e9);
        devices.iter().enumerate().map(energy).sum()
    }

    /// The largest busy time over the mean of the devices with the same role, of the role where that is worst: 1 is even.
    /// None where no role has two devices of which one was busy.
    pub fn imbalance_ratio(&self, devices: &[Device]) -> Option<f64> {
        let of = |role| {
            let same = (0..devices.len()).filter(|&at| devices[at].role == role);
            let busy: Vec<i64> = same.map(|at| self.busy_ns.get(at).copied().unwrap_or_default()).collect();
            let sum = busy.iter().sum::<i64>() as f64;
            let largest = busy.iter().copied().max().unwrap_or_default() as f64;
            (busy.len() > 1 && sum > 0.0).then(|| largest * busy.len() as f64 / sum)
        };
        [Role::Prefill, Role::Decode, Role::Mixed].into_iter().filter_map(of).max_by(f64::total_cmp)
    }
}

/// Standard deviation of all of them; none of nothing.
fn deviation(values: &[i64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().map(|&ns| ns as f64).sum::<f64>() / count;
    let squares = values.iter().map(|&ns| (ns as f64 - mean).powi(2)).sum::<f64>();
    (!values.is_empty()).then(|| (squares / count).sqrt())
}

/// The 50th, 95th and 99th percentile by the nearest rank; none of nothing.
fn percentiles(values: &mut [i64]) -> Option<[i64; 3]> {
    values.sort_unstable();
    let rank = |share| nearest_rank(values, share);
    Some([rank(0.5)?, rank(0.95)?, rank(0.99)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tier;
    use crate::testing::{device, outcome};

    #[test]
    fn a_run_is_summed_up_as_by_hand() {
        // TPOT: (500 - 100) / 4, (900 - 300) / 3, none.
        let mut outcomes = vec![outcome(100, 500, 5), outcome(300, 900, 4), outcome(200, 200, 1)];
        let refused = Outcome { status: Status::Rejected("full"), first_token_ns: None, ..outcome(0, 1000, 0) };
        outcomes.push(refused);
        let summary = summarize(&outcomes, Some(Slo { ttft_ns: 250, tpot_ns: 150 }));
        assert_eq!((summary.ok, summary.rejected, summary.failed), (3, 1, 0));
        assert_eq!((summary.ttft_ns, summary.tpot_ns), (Some([200, 300, 300]), Some([100, 200, 200])));
        // Mean 200, squares 10^4 twice.
        assert!((summary.ttft_stddev_ns.unwrap_or_default() - (2e4_f64 / 3.0).sqrt()).abs() < 1e-9);
        // The first and, without a TPOT to miss, the third meet the SLO: 2 of 4, in 1000 ns.
        assert!((summary.slo_attainment_ratio - 0.5).abs() < 1e-12);
        assert!(
            (summary.goodput_requests_per_s - 2e6).abs() < 1e-3 && (summary.output_tokens_per_s - 1e7).abs() < 1e-2
        );
        assert!((summary.kv_hit_ratio - 0.25).abs() < 1e-12);
        assert_eq!((summary.e2e_ns, summary.span_ns), (Some([500, 900, 900]), 1000));
        assert_eq!(summary.predicted_ttft_ratio, Some(0.0));
    }

    #[test]
    fn each_tier_is_held_to_its_own_slo_and_predictions_to_what_happened() {
        let mut outcomes = [(Tier::Premium, 50), (Tier::Free, 50), (Tier::Free, 200)]
            .map(|(tier, predicted_ttft_ns)| Outcome { tier, predicted_ttft_ns, ..outcome(100, 500, 5) });
        let slo = |ttft_ns| Slo { ttft_ns, tpot_ns: 100 };
        let summary = summarize_tiers(&outcomes, Some(&Slos([slo(99), slo(1), slo(100)])));
        assert!((summary.slo_attainment_ratio - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(summary.predicted_ttft_ratio, Some(0.5));
        for outcome in &mut outcomes {
            outcome.status = Status::Rejected("full");
        }
        assert_eq!(summarize_tiers(&outcomes, None).predicted_ttft_ratio, None);
    }

    #[test]
    fn a_device_is_paid_while_it_is_neither_off_nor_failed() {
        let outcomes = vec![Outcome { arrival_ns: 100, ..outcome(5, 1100, 1) }];
        let duties = vec![(0, 1, Duty::Off), (300, 1, Duty::Starting), (400, 0, Duty::Failed), (500, 1, Duty::Serving)];
        let tally = Tally { outcomes, duties, ..Tally::default() };
        assert_eq!([0, 1, 2].map(|device| tally.paid_ns(device)), [300, 800, 1000]);
        let device = |watts| Device { cost_per_hour: 3.6e12, watts, ..device(Role::Mixed) };
        assert!((tally.dollars(&[device(None), device(None)]) - 1100.0).abs() < 1e-9);
        assert_eq!(tally.joules(&[device(Some(1e9)), device(None)]), None);
        assert_eq!(tally.joules(&[device(Some(1e9))]), Some(300.0));
    }

    #[test]
    fn imbalance_compares_devices_of_one_role() {
        let devices = [Role::Prefill, Role::Decode, Role::Decode, Role::Decode].map(device);
        let tally = |busy_ns: &[i64]| Tally { busy_ns: busy_ns.to_vec(), ..Tally::default() };
        assert_eq!(tally(&[900, 30, 60, 0]).imbalance_ratio(&devices), Some(2.0));
        assert_eq!(tally(&[900, 20]).imbalance_ratio(&devices), Some(3.0));
        assert_eq!(tally(&[900]).imbalance_ratio(&devices), None);
    }

    #[test]
    fn without_a_served_request_there_is_no_time() {
        let refused = Outcome { status: Status::Failed("none"), first_token_ns: None, ..outcome(0, 5, 0) };
        for outcomes in [&[][..], &[refused]] {
            let summary = summarize(outcomes, None);
            assert_eq!((summary.ttft_ns, summary.tpot_ns, summary.ttft_stddev_ns), (None, None, None));
        }
        assert_eq!(summarize(&[outcome(7, 7, 1)], None).tpot_ns, None);
    }
}
