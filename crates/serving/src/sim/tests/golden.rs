//! Runs stay what they are, to the bit, unless a defect is mended. Those that changed them: the tokens of steps before a
//! failure were lost, the only decoding request failed where prompts held the memory, migrations waited for memory and could
//! wait for each other, predictions took all waiting prompts for one, routers did not see the tokens of steps amid a run,
//! those who lost their memory waited behind those who were sent there, predicted TPOT took those who wait for nobody, and a
//! request that failed while its context was computed again named a device as its decode device that does not decode.

use super::random::Restless;
use super::*;

/// FNV-1a (64 bits).
fn fnv(hash: u64, value: i64) -> u64 {
    value.to_le_bytes().iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn hash(all: &All) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for outcome in &all.outcomes {
        let status = match outcome.status {
            Status::Ok => 0,
            Status::Rejected(why) => why.len() as i64,
            Status::Failed(why) | Status::Aborted(why) => -(why.len() as i64),
        };
        let device = |device: Option<u8>| device.map_or(-1, i64::from);
        let values = [
            i64::from(outcome.request),
            outcome.first_token_ns.unwrap_or(-1),
            outcome.end_ns,
            i64::from(outcome.output_tokens),
            i64::from(outcome.cached_tokens),
            device(outcome.prefill_device),
            device(outcome.decode_device),
            outcome.predicted_ttft_ns,
            i64::from(outcome.migrations),
            i64::from(outcome.preemptions),
            status,
        ];
        hash = values.into_iter().fold(hash, fnv);
    }
    let spans = all.spans.iter().flat_map(|span| [i64::from(span.request), span.start_ns, span.end_ns]);
    let runs = all.runs.iter().flat_map(|run| [i64::from(run.device), run.start_ns, run.end_ns, run.kv_tokens as i64]);
    spans.chain(runs).fold(hash, fnv)
}

fn crowd(seed: u64) -> Workload {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut workload = Workload { block_tokens: 16, distinct_blocks: 60, ..Workload::default() };
    for _ in 0..1500 {
        let prompt_tokens = random.random_range(1..300);
        let start = random.random_range(0..40_u32);
        let blocks: Vec<u32> = (0..prompt_tokens / 16).map(|at| start + at).collect();
        let tier = Tier::ALL[random.random_range(0..3)];
        let arrival_ns = random.random_range(0..3_000_000);
        let output_tokens = random.random_range(1..60);
        workload.push(Request { arrival_ns, prompt_tokens, output_tokens, tier, ..Request::default() }, &blocks);
    }
    workload.sort();
    workload
}

#[test]
fn runs_without_new_options_are_what_they_were() {
    let roles = [Role::Prefill, Role::Prefill, Role::Decode, Role::Decode, Role::Mixed];
    let apart = roles.iter().map(|&role| device(role, 900)).collect();
    let changes = [(400_000, 2, false), (900_000, 2, true), (1_200_000, 0, false), (2_000_000, 4, false)];
    let changes = changes.map(|(at_ns, device, up)| Change { at_ns, device, up }).to_vec();
    let failing = run(&crowd(1), &cluster(apart), "kv_overlap", &Options { changes, ..Options::default() });
    let mixed = (0..4).map(|_| device(Role::Mixed, 600)).collect();
    let mixed = run(&crowd(2), &cluster(mixed), "power_of_two", &Options::default());
    let devices = roles.iter().map(|&role| device(role, 2_000)).collect();
    let mut policy =
        Restless(policies::find("weighted_scorers").expect("known").with(&BTreeMap::new(), 7).expect("ok"));
    let mut moving = All::default();
    let slo = |ttft_ns| Slo { ttft_ns, tpot_ns: 1_000_000 };
    let slos = Slos([slo(5_000), slo(4_000), slo(3_500)]);
    let options = Options { migration_period_ns: Some(5_000), slos, ..Options::default() };
    let (crowd, cluster) = (crowd(3), cluster(devices));
    simulate(&crowd, &cluster, &mut policy, &mut Predicted::default(), &options, &mut moving).expect("sound");
    let hashes = [&failing, &mixed, &moving].map(|all| format!("{:016x}", hash(all)));
    assert_eq!(hashes, ["cc8d5bda5148da14", "e199666eb6d7c7dc", "00fa5cb3a8a79cf0"]);
    let refused = moving.outcomes.iter().filter(|outcome| matches!(outcome.status, Status::Rejected(_))).count();
    let moved = moving.outcomes.iter().filter(|outcome| outcome.migrations > 0).count();
    assert!(refused > 20 && moved > 50, "{refused} {moved}");
}
