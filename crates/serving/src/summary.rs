//! What users felt, over the outcomes of a run.

use crate::{Outcome, Slo, Status};

/// A run in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Requests that came out whole, were refused, and could not be served.
    pub ok: usize,
    /// Refused.
    pub rejected: usize,
    /// Not served.
    pub failed: usize,
    /// Time to first token: 50th, 95th and 99th percentile; none where nobody was served.
    pub ttft_ns: Option<[i64; 3]>,
    /// Its standard deviation.
    pub ttft_stddev_ns: Option<f64>,
    /// Time per output token, likewise; none where every output was a single token.
    pub tpot_ns: Option<[i64; 3]>,
    /// Tokens that came out per second, from the first arrival to the last end.
    pub output_tokens_per_s: f64,
    /// Requests per second that meet every SLO.
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

/// Sums up outcomes.
pub fn summarize(outcomes: &[Outcome], slo: Option<Slo>) -> Summary {
    let mut summary = Summary::default();
    if outcomes.is_empty() {
        return summary;
    }
    let (mut ttft, mut tpot) = (Vec::new(), Vec::new());
    let (mut first, mut last, mut good) = (i64::MAX, i64::MIN, 0_usize);
    let (mut tokens, mut prompt, mut cached) = (0_u64, 0_u64, 0_u64);
    for outcome in outcomes {
        (first, last) = (first.min(outcome.arrival_ns), last.max(outcome.end_ns));
        summary.migrations += u64::from(outcome.migrations);
        summary.preemptions += u64::from(outcome.preemptions);
        match outcome.status {
            Status::Ok => summary.ok += 1,
            Status::Rejected(_) => summary.rejected += 1,
            Status::Failed(_) => summary.failed += 1,
        }
        let (Status::Ok, Some(first_token_ns)) = (outcome.status, outcome.first_token_ns) else { continue };
        tokens += u64::from(outcome.output_tokens);
        prompt += u64::from(outcome.prompt_tokens);
        cached += u64::from(outcome.cached_tokens);
        let own = first_token_ns - outcome.arrival_ns;
        ttft.push(own);
        let more = i64::from(outcome.output_tokens) - 1;
        let each = (more > 0).then(|| (outcome.end_ns - first_token_ns) / more.max(1));
        tpot.extend(each);
        let met = |slo: &Slo| own <= slo.ttft_ns && each.is_none_or(|each| each <= slo.tpot_ns);
        good += usize::from(slo.as_ref().is_some_and(met));
    }
    let seconds = (last - first).max(1) as f64 / 1e9;
    summary.ttft_stddev_ns = deviation(&ttft);
    (summary.ttft_ns, summary.tpot_ns) = (percentiles(&mut ttft), percentiles(&mut tpot));
    summary.output_tokens_per_s = tokens as f64 / seconds;
    summary.goodput_requests_per_s = good as f64 / seconds;
    summary.slo_attainment_ratio = good as f64 / outcomes.len() as f64;
    summary.kv_hit_ratio = cached as f64 / prompt.max(1) as f64;
    summary
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
    let rank = |share: f64| values[((share * values.len() as f64).ceil() as usize).max(1) - 1];
    (!values.is_empty()).then(|| [0.5, 0.95, 0.99].map(rank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tier;

    fn outcome(ttft_ns: i64, end_ns: i64, output_tokens: u32) -> Outcome {
        Outcome {
            request: 0,
            arrival_ns: 0,
            first_token_ns: Some(ttft_ns),
            end_ns,
            prompt_tokens: 100,
            output_tokens,
            cached_tokens: 25,
            tier: Tier::Standard,
            prefill_device: Some(0),
            decode_device: Some(0),
            predicted_ttft_ns: 0,
            migrations: 0,
            preemptions: 0,
            status: Status::Ok,
        }
    }

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
