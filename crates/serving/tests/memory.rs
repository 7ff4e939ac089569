//! What a request in the system takes of memory: counted, not timed.

use std::alloc::System;
use std::collections::BTreeMap;

use proftool_serving::admission::Everyone;
use proftool_serving::{
    Cluster, Cost, Device, Options, Outcome, Request, Role, Sink, StepModel, Workload, policies, simulate,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is promised, of each request that is neither finished nor given up, its block ids apart.
const MOST_BYTES: usize = 200;

/// The heap that has come to be in use when the first request ends.
struct Weigh<'a> {
    region: Region<'a, System>,
    bytes: Option<usize>,
}

impl Sink for Weigh<'_> {
    fn outcome(&mut self, _outcome: &Outcome) {
        let change = self.region.change();
        self.bytes.get_or_insert(change.bytes_allocated - change.bytes_deallocated);
    }
}

/// Bytes a request when `count` of them are there, on devices of these roles that serve so many together.
fn weight(count: usize, roles: &[Role], most_sequences: u32) -> usize {
    let mut workload = Workload { block_tokens: 16, ..Workload::default() };
    for _ in 0..count {
        workload.push(Request { prompt_tokens: 10, output_tokens: 1000, ..Request::default() }, &[]);
    }
    let compute = Cost { constant: 1000.0, prefill_token: 1.0, ..Cost::default() };
    let device = |&role| Device {
        name: String::new(),
        role,
        steps: StepModel { compute, ..StepModel::default() },
        kv_capacity_tokens: 1 << 40,
        step_tokens: 1 << 24,
        most_sequences,
        cost_per_hour: 0.0,
        watts: None,
        numa: 0,
    };
    let cluster = Cluster { devices: roles.iter().map(device).collect(), ..Cluster::default() };
    let mut policy = policies::find("round_robin").expect("known").with(&BTreeMap::new(), 1).expect("defaults");
    let mut weigh = Weigh { region: Region::new(GLOBAL), bytes: None };
    simulate(&workload, &cluster, policy.as_mut(), &mut Everyone, &Options::default(), &mut weigh).expect("sound");
    weigh.bytes.expect("somebody ends") / count
}

/// One test: the counts are the process's.
#[test]
fn a_live_request_takes_at_most_two_hundred_bytes() {
    // Just above a power of two, where lists that double have most to spare, and far from it.
    for count in [20_000, (1 << 14) + 1, (1 << 15) - 1] {
        let waiting = weight(count, &[Role::Mixed], 1);
        let decoding = weight(count, &[Role::Mixed], u32::MAX);
        let spread = weight(count, &[Role::Mixed; 8], u32::MAX);
        let moved = weight(count, &[Role::Prefill, Role::Decode], u32::MAX);
        let all = [waiting, decoding, spread, moved];
        println!("{count} requests: {all:?} bytes each");
        assert!(waiting >= 80 && all.iter().all(|&bytes| bytes <= MOST_BYTES), "{count}: {all:?}");
    }
}
