//! The simulator against hand-worked cases, a naive simulator, theory, and what must hold in every run.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

mod all_fit;
mod golden;
mod mended;
mod naive;
mod pipelines;
mod random;
mod refusals;
mod samples;
mod scaling;
mod stopped;
mod theory;

use super::record::Change;
use super::*;
use crate::admission::{Admission, Everyone, Predicted, QueueThreshold, Slos};
use crate::{
    Autoscale, Cost, Device, Link, Load, Migration, Pipeline, Policy, Request, Role, Scaling, Slo, State, StepModel,
    Tier, View, policies,
};

/// Everything that happened.
#[derive(Clone, Debug, Default, PartialEq)]
struct All {
    outcomes: Vec<Outcome>,
    spans: Vec<Span>,
    runs: Vec<Run>,
    samples: Vec<(i64, Vec<State>)>,
    duties: Vec<(i64, usize, Duty)>,
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
    fn sample(&mut self, at_ns: i64, devices: &[State]) {
        self.samples.push((at_ns, devices.to_vec()));
    }
    fn duty(&mut self, at_ns: i64, device: usize, duty: Duty) {
        self.duties.push((at_ns, device, duty));
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
        numa_link: None,
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
    simulate(workload, cluster, policy.as_mut(), &mut Everyone, options, &mut all).expect("sound");
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
    let cluster = cluster(vec![device(Role::Mixed, 10_000)]);
    simulate(&crowd, &cluster, policy.as_mut(), admission, &options, &mut all).expect("sound");
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
