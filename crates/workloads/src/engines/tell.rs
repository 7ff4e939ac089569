//! What a run on engines gave, in lines for people.

use std::collections::BTreeMap;

use proftool_serving::engines::{Ending, Served};
use proftool_serving::{Outcome, Status, Summary, Workload};

/// What happened in the simulator's words, for its summary. Output tokens that an engine did not count are 0: no TPOT.
pub(super) fn outcomes(workload: &Workload, served: &[Served]) -> Vec<Outcome> {
    let outcome = |one: &Served| Outcome {
        request: one.request as u32,
        arrival_ns: one.arrival_ns,
        first_token_ns: one.first_token_ns,
        end_ns: one.end_ns,
        prompt_tokens: one.prompt_tokens,
        output_tokens: one.output_tokens.unwrap_or(0),
        cached_tokens: one.cached_tokens.unwrap_or(0),
        tier: workload.requests[one.request].tier,
        prefill_device: one.endpoint.map(|endpoint| endpoint as u8),
        decode_device: one.endpoint.map(|endpoint| endpoint as u8),
        predicted_ttft_ns: one.predicted_ttft_ns.unwrap_or(0),
        migrations: 0,
        preemptions: 0,
        status: match &one.ending {
            Ending::Ok => Status::Ok,
            Ending::Rejected(reason) => Status::Rejected(reason),
            Ending::Failed(_) => Status::Failed("failed"),
            Ending::Aborted(reason) => Status::Aborted(reason),
        },
    };
    served.iter().map(outcome).collect()
}

/// A line about the run, and one about each way in which requests failed.
pub(super) fn lines(target: &str, policy: &str, workload: &str, served: &[Served], summary: &Summary) -> Vec<String> {
    let times = |what: &str, times: Option<[i64; 3]>| {
        let ms = |ns: i64| ns as f64 / 1e6;
        times.map_or_else(
            || format!("{what} n/a"),
            |[p50, _, p99]| format!("{what} p50 {:.1} ms, p99 {:.1} ms", ms(p50), ms(p99)),
        )
    };
    let first = format!(
        "{target} (measured): {policy}, {} requests of {workload}: {}; {}; {:.0} tokens/s; goodput {:.2} requests/s; {:.1} % of \
         prompt tokens cached; {} rejected, {} failed",
        served.len(),
        times("TTFT", summary.ttft_ns),
        times("TPOT", summary.tpot_ns),
        summary.output_tokens_per_s,
        summary.goodput_requests_per_s,
        summary.kv_hit_ratio * 100.0,
        summary.rejected,
        summary.failed,
    );
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for one in served {
        let (code, text) = match &one.ending {
            Ending::Failed(failure) => (failure.code(), failure.to_string()),
            Ending::Aborted(reason) => ("aborted".to_owned(), (*reason).to_owned()),
            _ => continue,
        };
        reasons.entry(code).or_insert((0, text)).0 += 1;
    }
    let failed = reasons.into_values().map(|(count, text)| format!("  {count} requests failed: {text}"));
    std::iter::once(first).chain(failed).collect()
}
