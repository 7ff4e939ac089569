//! What is known of one group of requests.

use super::cost::Cost;
use super::gaps::token_gaps;
use crate::metrics::ratio;
use crate::requests::{Group, Kind, Latencies, Log, Request, Status, shares};

/// A distribution of latencies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    pub(super) count: i64,
    pub(super) mean: Option<f64>,
    /// The 50th, 95th and 99th.
    pub(super) percentiles: [Option<i64>; 3],
}

impl Latency {
    pub(super) fn of(values: &Latencies) -> Self {
        Self { count: values.count() as i64, mean: values.mean(), percentiles: values.usual() }
    }
}

/// Mean and 99th percentile of queue, prefill, kv, decode and host.
pub(super) type Parts = [(i64, Option<i64>); 5];

/// One result row.
pub(super) struct Row {
    pub(super) pass: String,
    pub(super) simulated: bool,
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) requests: i64,
    /// ok, rejected, failed, aborted.
    pub(super) ended: [i64; 4],
    pub(super) span: Option<i64>,
    pub(super) arrivals_per_s: Option<f64>,
    pub(super) ttft: Latency,
    pub(super) ttft_deviation: Option<f64>,
    pub(super) split_count: i64,
    pub(super) split: Option<Parts>,
    pub(super) tpot: Latency,
    pub(super) itl_source: Option<&'static str>,
    pub(super) itl: Latency,
    pub(super) e2e: Latency,
    pub(super) prompt_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
    pub(super) cached_ratio: Option<f64>,
    pub(super) slo_requests: i64,
    pub(super) met: Option<i64>,
    pub(super) ttft_met: Option<i64>,
    pub(super) tpot_met: Option<i64>,
    pub(super) cost: Cost,
    /// Migrations and preemptions.
    pub(super) moves: Option<[i64; 2]>,
}

impl Row {
    pub(super) fn of(log: &Log, group: Group, cost: &Cost, steps: Option<&Latencies>) -> Self {
        let requests = &group.requests;
        let count =
            |wanted: &dyn Fn(&Request) -> bool| requests.iter().filter(|request| wanted(request)).count() as i64;
        let ttfts: Latencies = requests.iter().filter_map(|request| request.ttft()).collect();
        let tpots: Latencies = requests.iter().filter_map(|request| request.tpot()).collect();
        let e2e: Latencies = requests.iter().filter_map(|request| request.e2e()).collect();
        let (itl_source, itl) = gaps(log, &group, steps);
        let (split_count, split) = split(log, requests);
        let [ttft_slo, tpot_slo] =
            [count(&|request| request.slo.ttft_ns.is_some()), count(&|request| request.slo.tpot_ns.is_some())];
        let slo_requests = count(&|request| request.slo.is_stated());
        let tells = log.tells_slos();
        let within =
            |value: Option<i64>, limit: Option<i64>| value.zip(limit).is_none_or(|(value, limit)| value <= limit);
        let served = |request: &Request| request.ttft().is_some();
        let ttft_met = count(&|request| served(request) && within(request.ttft(), request.slo.ttft_ns));
        let tpot_met = count(&|request| served(request) && within(request.tpot(), request.slo.tpot_ns));
        Self {
            pass: log.pass.clone(),
            simulated: log.simulated,
            kind: group.kind,
            requests: requests.len() as i64,
            ended: [Status::Ok, Status::Rejected, Status::Failed, Status::Aborted]
                .map(|status| count(&|request| request.status == status)),
            span: log.window().map(|window| window.1.saturating_sub(window.0)),
            arrivals_per_s: arrival_rate(requests),
            ttft_deviation: ttfts.deviation(),
            ttft: Latency::of(&ttfts),
            split_count,
            split,
            tpot: Latency::of(&tpots),
            itl_source,
            itl,
            e2e: Latency::of(&e2e),
            prompt_tokens: tokens(requests, |request| request.prompt_tokens),
            output_tokens: tokens(requests, |request| request.output_tokens),
            cached_ratio: cached(requests),
            slo_requests,
            met: (tells && slo_requests > 0).then(|| count(&Request::meets)),
            ttft_met: (tells && ttft_slo > 0).then_some(ttft_met),
            tpot_met: (tells && tpot_slo > 0).then_some(tpot_met),
            cost: cost.clone(),
            moves: moves(log, requests),
            name: group.name,
        }
    }

    /// So many a second of the window.
    pub(super) fn per_second(&self, count: Option<i64>) -> Option<f64> {
        let span = self.span.filter(|span| *span > 0)?;
        count.map(|count| count as f64 * 1e9 / span as f64)
    }

    /// So many of the requests.
    pub(super) fn share(&self, count: Option<i64>) -> Option<f64> {
        ratio(count?, self.requests)
    }
}

/// Gaps between arrivals a second: one less than requests, over the time from the first to the last.
fn arrival_rate(requests: &[&Request]) -> Option<f64> {
    let span = requests.last()?.arrival.saturating_sub(requests.first()?.arrival);
    (span > 0).then(|| (requests.len() - 1) as f64 * 1e9 / span as f64)
}

fn gaps(log: &Log, group: &Group, steps: Option<&Latencies>) -> (Option<&'static str>, Latency) {
    if log.has_tokens() {
        let gaps: Latencies = token_gaps(log, &group.requests).collect();
        return ((gaps.count() > 0).then_some("tokens"), Latency::of(&gaps));
    }
    match steps.filter(|steps| group.kind == "all" && steps.count() > 0) {
        Some(steps) => (Some("steps"), Latency::of(steps)),
        None => (None, Latency::default()),
    }
}

/// Of how many requests the TTFT is split, and mean and 99th percentile of each part.
fn split(log: &Log, requests: &[&Request]) -> (i64, Option<Parts>) {
    let splits: Vec<[i64; 5]> =
        requests.iter().filter_map(|request| log.split(request)).map(|split| split.parts()).collect();
    let sums = [0, 1, 2, 3, 4].map(|part| splits.iter().map(|split| i128::from(split[part])).sum());
    let most = |part: usize| splits.iter().map(|split| split[part]).collect::<Latencies>().permille(990);
    let means = shares(sums, splits.len());
    let split = means.map(|means| [0, 1, 2, 3, 4].map(|part| (means[part], most(part))));
    (splits.len() as i64, split)
}

fn whole<'l>(requests: &'l [&'l Request]) -> impl Iterator<Item = &'l Request> {
    requests.iter().copied().filter(|request| request.status == Status::Ok)
}

fn tokens(requests: &[&Request], tokens: impl Fn(&Request) -> Option<i64>) -> Option<i64> {
    whole(requests)
        .filter_map(tokens)
        .fold(None, |sum: Option<i64>, count| Some(sum.unwrap_or(0).saturating_add(count)))
}

fn cached(requests: &[&Request]) -> Option<f64> {
    let known = whole(requests).filter_map(|request| Some((request.cached_tokens?, request.prompt_tokens?)));
    // More than there is cannot be cached.
    let known = known.filter(|(cached, prompt)| (0..=*prompt).contains(cached));
    let (cached, prompt) = known
        .fold((0_i64, 0_i64), |sums, (cached, prompt)| (sums.0.saturating_add(cached), sums.1.saturating_add(prompt)));
    ratio(cached, prompt)
}

/// Migrations and preemptions; none where the log has no stages.
fn moves(log: &Log, requests: &[&Request]) -> Option<[i64; 2]> {
    let count = |kind: Kind| {
        let of = |request: &&Request| log.stages(request).iter().filter(|event| event.kind == kind).count();
        requests.iter().map(of).sum::<usize>() as i64
    };
    (!log.events.is_empty()).then(|| [count(Kind::Migrate), count(Kind::Preempt)])
}
