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
    /// Time to first token: 50th, 95th and 99th percentile.
    pub ttft_ns: [i64; 3],
    /// Its standard deviation.
    pub ttft_stddev_ns: f64,
    /// Time per output token, likewise.
    pub tpot_ns: [i64; 3],
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
    if outcomes.is_empty() {
        return summary;
    }
    let count = ttft.len().max(1) as f64;
    let mean = ttft.iter().map(|&ns| ns as f64).sum::<f64>() / count;
    summary.ttft_stddev_ns = (ttft.iter().map(|&ns| (ns as f64 - mean).powi(2)).sum::<f64>() / count).sqrt();
    (summary.ttft_ns, summary.tpot_ns) = (percentiles(&mut ttft), percentiles(&mut tpot));
    summary.output_tokens_per_s = tokens as f64 / seconds;
    summary.goodput_requests_per_s = good as f64 / seconds;
    summary.slo_attainment_ratio = good as f64 / outcomes.len() as f64;
    summary.kv_hit_ratio = cached as f64 / prompt.max(1) as f64;
    summary
}

/// The 50th, 95th and 99th percentile by the nearest rank; 0 of nothing.
fn percentiles(values: &mut [i64]) -> [i64; 3] {
    values.sort_unstable();
    let rank = |share: f64| {
        let at = (share * values.len() as f64).ceil() as usize;
        values.get(at.max(1) - 1).copied().unwrap_or(0)
    };
    [rank(0.5), rank(0.95), rank(0.99)]
}
