//! The simulator against hand-worked cases, a naive simulator, theory, and what must hold in every run.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::record::Change;
use super::*;
use crate::admission::{Admission, Everyone, Predicted, QueueThreshold, Slos};
use crate::{Cost, Device, Link, Migration, Policy, Request, Role, Slo, StepModel, Tier, View, policies};

/// Everything that happened.
#[derive(Clone, Debug, Default, PartialEq)]
struct All {
    outcomes: Vec<Outcome>,
    spans: Vec<Span>,
    runs: Vec<Run>,
}

impl Sink for All {
    fn outcome(&mut self, outcome: &Outcome) {
        self.outcomes.push(*outcome);
    }
    fn span(&mut self, span: &Span) {
        self.spans.push(*span);
    }
    fn steps(&mut self, run: &Run) {
        self.runs.push(*run);
    }
}

fn device(role: Role, capacity: u64) -> Device {
    // Whole nanoseconds, so that sums are exact: 1000 + 10 a prompt token + 100 a sequence + 1 a token of context.
    let compute = Cost { constant: 1000.0, prefill_token: 10.0, prefill_pair: 0.0, sequence: 100.0, kv_token: 1.0 };
    Device {
        name: role.name().to_owned(),
        role,
        steps: StepModel { compute, ..StepModel::default() },
        kv_capacity_tokens: capacity,
        step_tokens: 64,
        most_sequences: 4,
        cost_per_hour: 1.0,
        watts: None,
        numa: 0,
    }
}

fn cluster(devices: Vec<Device>) -> Cluster {
    Cluster {
        name: "test".to_owned(),
        devices,
        link: Link { bytes_per_s: 1e9, latency_ns: 500 },
        kv_bytes_per_token: 10,
    }
}

fn workload(requests: &[(i64, u32, u32)]) -> Workload {
    let mut workload = Workload { block_tokens: 16, ..Workload::default() };
    for &(arrival_ns, prompt_tokens, output_tokens) in requests {
        workload.push(Request { arrival_ns, prompt_tokens, output_tokens, ..Request::default() }, &[]);
    }
    workload.sort();
    workload
}

fn run(workload: &Workload, cluster: &Cluster, policy: &str, options: &Options) -> All {
    let mut policy = policies::find(policy).expect("known").with(&BTreeMap::new(), 7).expect("defaults");
    let mut all = All::default();
    simulate(workload, cluster, policy.as_mut(), &mut Everyone, options, &mut all);
    all.outcomes.sort_by_key(|outcome| outcome.request);
    all
}

#[test]
fn a_request_alone_takes_its_prompt_in_chunks_and_then_a_step_a_token() {
    let all =
        run(&workload(&[(100, 100, 3)]), &cluster(vec![device(Role::Mixed, 1000)]), "round_robin", &Options::default());
    // 64 and 36 prompt tokens; then steps over 100 and 101 tokens.
    let first = 100 + (1000 + 640) + (1000 + 360);
    let end = first + (1000 + 100 + 100) + (1000 + 100 + 101);
    let outcome = all.outcomes[0];
    assert_eq!((outcome.first_token_ns, outcome.end_ns, outcome.status), (Some(first), end, Status::Ok));
    assert_eq!((outcome.output_tokens, outcome.predicted_ttft_ns), (3, first - 100));
    let ends: Vec<i64> = all.runs.iter().flat_map(Run::ends_ns).collect();
    assert_eq!(ends, [100 + 1640, first, first + 1200, end]);
}

#[test]
fn a_prompt_joins_the_batch_after_the_step_in_progress_and_decoding_goes_on_beside_it() {
    let both = workload(&[(0, 10, 4), (1500, 20, 2)]);
    let all = run(&both, &cluster(vec![device(Role::Mixed, 1000)]), "round_robin", &Options::default());
    // [0, 1100) first prompt; [1100, 2210) decodes over 10 tokens while the second arrives; then both in one step.
    let second = 2210 + 1000 + 200 + 100 + 11;
    assert_eq!(all.outcomes[1].first_token_ns, Some(second));
    let end = second + 1000 + 2 * 100 + (12 + 20);
    assert_eq!((all.outcomes[0].end_ns, all.outcomes[1].end_ns), (end, end));
}

#[test]
fn a_disaggregated_request_moves_its_context_over_the_link() {
    let devices = vec![device(Role::Prefill, 1000), device(Role::Decode, 1000)];
    let all = run(&workload(&[(0, 50, 2)]), &cluster(devices), "least_loaded", &Options::default());
    let first = 1000 + 500;
    // 50 tokens x 10 bytes at 1 byte a ns, after 500 ns.
    let arrived = first + 500 + 500;
    assert_eq!((all.outcomes[0].first_token_ns, all.outcomes[0].end_ns), (Some(first), arrived + 1000 + 100 + 50));
    let transfer = all.spans.iter().find(|span| span.kind == SpanKind::KvTransfer).expect("a transfer");
    assert_eq!((transfer.start_ns, transfer.end_ns, transfer.bytes, transfer.device), (first, arrived, 500, 1));
}

#[test]
fn a_second_prompt_with_the_same_blocks_computes_only_its_tail() {
    let mut twice = Workload { block_tokens: 16, distinct_blocks: 3, ..Workload::default() };
    for arrival_ns in [0, 100_000] {
        let request = Request { arrival_ns, prompt_tokens: 40, output_tokens: 1, ..Request::default() };
        twice.push(request, &[0, 1, 2]);
    }
    let all = run(&twice, &cluster(vec![device(Role::Mixed, 1000)]), "round_robin", &Options::default());
    // The third block is not whole.
    assert_eq!((all.outcomes[0].cached_tokens, all.outcomes[1].cached_tokens), (0, 32));
    assert_eq!(all.outcomes[1].end_ns, 100_000 + 1000 + 80);
}

#[test]
fn the_youngest_gives_up_its_memory_and_what_never_fits_fails() {
    let crowded = workload(&[(0, 40, 30), (1, 40, 30), (2, 200, 5)]);
    let all = run(&crowded, &cluster(vec![device(Role::Mixed, 100)]), "round_robin", &Options::default());
    assert_eq!(all.outcomes[0].status, Status::Ok);
    assert_eq!((all.outcomes[1].status, all.outcomes[1].output_tokens), (Status::Ok, 30));
    assert!(all.outcomes[1].preemptions > 0 && all.outcomes[0].preemptions == 0);
    assert_eq!(all.outcomes[2].status, Status::Failed("its context is larger than the KV memory"));
}

/// Many requests at once on one device, under a rule of admission: the outcomes.
fn refused(admission: &mut dyn Admission, tier: Tier) -> Vec<Outcome> {
    let mut crowd = workload(&[(0, 64, 2); 20]);
    crowd.requests.iter_mut().for_each(|request| request.tier = tier);
    let slo = |ttft_ns| Slo { ttft_ns, tpot_ns: 1_000_000 };
    let options = Options { slos: Slos([slo(10_000), slo(10_000), slo(5_000)]), ..Options::default() };
    let mut policy = policies::find("round_robin").expect("known").with(&BTreeMap::new(), 7).expect("defaults");
    let mut all = All::default();
    simulate(&crowd, &cluster(vec![device(Role::Mixed, 10_000)]), policy.as_mut(), admission, &options, &mut all);
    all.outcomes.sort_by_key(|outcome| outcome.request);
    all.outcomes
}

#[test]
fn early_rejection_refuses_exactly_those_whose_prediction_is_above_the_slo() {
    for tier in [Tier::Standard, Tier::Free] {
        let outcomes = refused(&mut Predicted::default(), tier);
        let slo_ns = if tier == Tier::Free { 5_000 } else { 10_000 };
        for outcome in &outcomes {
            let above = outcome.predicted_ttft_ns > slo_ns;
            let why = Status::Rejected("predicted TTFT is above the SLO");
            assert_eq!(outcome.status, if above { why } else { Status::Ok });
        }
        // A prompt takes 1640 ns alone: a few of them fit, not all.
        let ok = outcomes.iter().filter(|outcome| outcome.status == Status::Ok).count();
        assert!((1..20).contains(&ok), "{ok}");
    }
}

#[test]
fn a_queue_threshold_spares_premium_requests() {
    let mut rule = QueueThreshold { most_waiting: 3, most_kv_ratio: 1.0 };
    let ok = |outcomes: Vec<Outcome>| outcomes.iter().filter(|outcome| outcome.status == Status::Ok).count();
    assert_eq!((ok(refused(&mut rule, Tier::Standard)), ok(refused(&mut rule, Tier::Premium))), (3, 20));
}

/// Step by step, without runs, heaps or epochs: one mixed device, no prefixes, memory for all.
fn naive(workload: &Workload, device: &Device) -> Vec<(i64, i64)> {
    let mut left: Vec<(u32, u32)> =
        workload.requests.iter().map(|request| (request.prompt_tokens, request.output_tokens)).collect();
    let mut times = vec![(0, 0); left.len()];
    let mut batch: Vec<usize> = Vec::new();
    let (mut begun, mut now, mut seats) = (0, 0, Vec::new());
    while times.iter().any(|&(_, end)| end == 0) {
        let decoding: Vec<usize> = batch.iter().copied().filter(|&at| left[at].0 == 0).collect();
        let kv: u64 = decoding
            .iter()
            .map(|&at| {
                let request = &workload.requests[at];
                u64::from(request.prompt_tokens + request.output_tokens - left[at].1 - 1)
            })
            .sum();
        let mut room = device.step_tokens - decoding.len() as u32;
        let mut chunks = Vec::new();
        for &at in batch.iter().filter(|&&at| left[at].0 > 0) {
            let take = left[at].0.min(room);
            room -= take;
            if take > 0 {
                chunks.push((at, take));
            }
        }
        while room > 0
            && begun < left.len()
            && workload.requests[begun].arrival_ns <= now
            && batch.len() < device.most_sequences as usize
        {
            let take = left[begun].0.min(room);
            room -= take;
            chunks.push((begun, take));
            batch.push(begun);
            begun += 1;
        }
        if decoding.is_empty() && chunks.is_empty() {
            now = workload.requests[begun].arrival_ns;
            continue;
        }
        let tokens: u32 = chunks.iter().map(|(_, take)| take).sum();
        now += 1000 + 10 * i64::from(tokens) + 100 * decoding.len() as i64 + kv as i64;
        for at in decoding {
            left[at].1 -= 1;
            seats.push(at);
        }
        for (at, take) in chunks {
            left[at].0 -= take;
            if left[at].0 == 0 {
                left[at].1 -= 1;
                times[at].0 = now;
                seats.push(at);
            }
        }
        for at in seats.drain(..).filter(|&at| left[at].1 == 0) {
            times[at].1 = now;
            batch.retain(|&other| other != at);
        }
    }
    times
}

proptest! {
    #[test]
    fn it_equals_a_naive_simulator_to_the_nanosecond(
        requests in prop::collection::vec((0_i64..60_000, 1_u32..200, 1_u32..40), 1..40),
    ) {
        let (workload, device) = (workload(&requests), device(Role::Mixed, 1 << 40));
        let all = run(&workload, &cluster(vec![device.clone()]), "least_loaded", &Options::default());
        let got: Vec<(i64, i64)> =
            all.outcomes.iter().map(|outcome| (outcome.first_token_ns.unwrap_or(-1), outcome.end_ns)).collect();
        prop_assert_eq!(got, naive(&workload, &device));
    }

    #[test]
    fn every_request_ends_once_and_every_token_has_its_step(
        seed in 0_u64..1000,
        roles in prop::collection::vec(0_u8..3, 1..5),
        capacity in 150_u64..900,
        policy in 0_usize..policies::POLICIES.len(),
        down in prop::collection::vec((0_i64..200_000, 0_usize..5, any::<bool>()), 0..6),
    ) {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut workload = Workload { block_tokens: 16, distinct_blocks: 40, ..Workload::default() };
        for _ in 0..60 {
            let prompt_tokens = random.random_range(1..160);
            let start = random.random_range(0..30_u32);
            let blocks: Vec<u32> = (0..prompt_tokens / 16).map(|at| start + at).collect();
            let request = Request {
                arrival_ns: random.random_range(0..200_000),
                prompt_tokens,
                output_tokens: random.random_range(1..40),
                ..Request::default()
            };
            workload.push(request, &blocks);
        }
        workload.sort();
        let role = |number: u8| [Role::Mixed, Role::Prefill, Role::Decode][number as usize];
        let devices: Vec<Device> = roles.iter().map(|&number| device(role(number), capacity)).collect();
        let count = devices.len();
        let options = Options {
            migration_period_ns: Some(5_000),
            changes: down.iter().map(|&(at_ns, device, up)| Change { at_ns, device: device % count, up }).collect(),
            ..Options::default()
        };
        let cluster = cluster(devices);
        let name = policies::POLICIES[policy].name;
        let mut restless = Restless(policies::find(name).expect("known").with(&BTreeMap::new(), seed).expect("defaults"));
        let mut all = All::default();
        simulate(&workload, &cluster, &mut restless, &mut Everyone, &options, &mut all);
        all.outcomes.sort_by_key(|outcome| outcome.request);
        let numbers: Vec<u32> = all.outcomes.iter().map(|outcome| outcome.request).collect();
        prop_assert_eq!(numbers, (0..60).collect::<Vec<u32>>());
        for outcome in &all.outcomes {
            let request = &workload.requests[outcome.request as usize];
            prop_assert!(outcome.end_ns >= outcome.first_token_ns.unwrap_or(outcome.arrival_ns));
            if outcome.status == Status::Ok {
                prop_assert_eq!(outcome.output_tokens, request.output_tokens);
            }
        }
        for device in 0..count as u8 {
            let runs: Vec<&Run> = all.runs.iter().filter(|run| run.device == device).collect();
            prop_assert!(runs.windows(2).all(|pair| pair[0].end_ns <= pair[1].start_ns));
            prop_assert!(runs.iter().all(|run| run.sequences <= 4));
        }
        // Without failures each generated token has a step: the first of a prompt (or of one computed again) is not decoded.
        if down.is_empty() {
            let decoded: u64 = all.runs.iter().map(|run| run.sequences * run.steps).sum();
            let out: u64 = all.outcomes.iter().map(|outcome| u64::from(outcome.output_tokens)).sum();
            let prefills = all.spans.iter().filter(|span| span.kind == SpanKind::Prefill).count() as u64;
            prop_assert_eq!(decoded + prefills, out);
        }
    }
}

/// Moves requests about without a reason.
struct Restless(Box<dyn Policy>);

impl Policy for Restless {
    fn name(&self) -> &'static str {
        "restless"
    }
    fn place_prefill(&mut self, ask: &crate::Ask<'_>, view: &View<'_>, why: &mut crate::Explanation) -> Option<usize> {
        self.0.place_prefill(ask, view, why)
    }
    fn place_decode(&mut self, ask: &crate::Ask<'_>, view: &View<'_>, why: &mut crate::Explanation) -> Option<usize> {
        self.0.place_decode(ask, view, why)
    }
    fn plan_migrations(&mut self, view: &View<'_>, plan: &mut Vec<Migration>) {
        let count = view.devices.len();
        let from = (view.now_ns / 5_000) as usize % count;
        plan.push(Migration { from, to: (from + 1) % count, count: 2, gap: 0.0 });
    }
}

/// Mean time in the queue, in seconds, where each of `servers` serves one request after the other; jobs go round, which for
/// constant services is the same as one queue for all.
fn mean_wait_s(services_s: &[f64], seed: u64, per_s: f64, servers: usize) -> f64 {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut workload = Workload { block_tokens: 16, ..Workload::default() };
    let mut at_s = 0.0;
    for service_s in services_s {
        at_s -= (1.0 - random.random::<f64>()).ln() / per_s;
        let request = Request {
            arrival_ns: (at_s * 1e9) as i64,
            // A prompt token is a microsecond.
            prompt_tokens: ((service_s * 1e6).round() as u32).max(1),
            output_tokens: 1,
            ..Request::default()
        };
        workload.push(request, &[]);
    }
    let server = Device {
        steps: StepModel { compute: Cost { prefill_token: 1000.0, ..Cost::default() }, ..StepModel::default() },
        step_tokens: u32::MAX,
        most_sequences: 1,
        ..device(Role::Mixed, 1 << 50)
    };
    let all = run(&workload, &cluster(vec![server; servers]), "round_robin", &Options::default());
    let waits = all.spans.iter().filter(|span| span.kind == SpanKind::Queued).map(|span| span.end_ns - span.start_ns);
    waits.sum::<i64>() as f64 / 1e9 / services_s.len() as f64
}

/// Means of independent runs: their mean, and the half width of its 99.9 % interval.
fn over_seeds(run: impl Fn(u64) -> f64) -> (f64, f64) {
    let means: Vec<f64> = (0..60).map(run).collect();
    let mean = means.iter().sum::<f64>() / 60.0;
    let variance = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 59.0;
    // Student's t with 59 degrees of freedom.
    (mean, 3.463 * (variance / 60.0).sqrt())
}

/// Mean wait of M/D/c in service times (Crommelin 1932): sum over i of e^(-icr) times the tails of the Poisson terms.
fn crommelin(servers: usize, load: f64) -> f64 {
    let mut wait = 0.0;
    for i in 1..400_usize {
        let (mean, from) = ((i * servers) as f64 * load, i * servers);
        let mut term = (0..from).fold(-mean, |log, j| log + mean.ln() - ((j + 1) as f64).ln()).exp();
        let (mut tail, mut j) = (0.0, from);
        let first = term;
        while j < from + 2000 {
            tail += term;
            j += 1;
            term *= mean / j as f64;
        }
        wait += tail - (tail - first) / load;
    }
    wait
}

#[test]
fn queues_wait_as_long_as_theory_says() {
    const JOBS: usize = 20_000;
    // M/M/1 at a load of 0.7: r / (m - l), with services of 10 ms in the mean.
    let (wait_s, half) = over_seeds(|seed| {
        let mut random = SmallRng::seed_from_u64(seed + 1_000_000);
        let services: Vec<f64> = (0..JOBS).map(|_| -(1.0 - random.random::<f64>()).ln() * 0.01).collect();
        mean_wait_s(&services, seed, 70.0, 1)
    });
    assert!((wait_s - 0.7 / 30.0).abs() < half && half < 0.001, "{wait_s} +- {half}");
    // M/D/1: half of that. M/D/4: Crommelin's sum, which for one server is the same.
    assert!((crommelin(1, 0.7) - 0.7 / 0.6).abs() < 1e-9, "{}", crommelin(1, 0.7));
    for servers in [1, 4] {
        let (wait_s, half) = over_seeds(|seed| mean_wait_s(&vec![0.01; JOBS], seed, 70.0 * servers as f64, servers));
        let theory_s = crommelin(servers, 0.7) * 0.01;
        assert!((wait_s - theory_s).abs() < half && half < 0.1 * theory_s, "{servers}: {wait_s} +- {half}, {theory_s}");
    }
}
