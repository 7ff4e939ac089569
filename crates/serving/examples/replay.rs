//! Replays a workload on eight devices, on one thread, and prints what it took as a line of JSON a policy.
//!
//! ```text
//! replay FILE [--policy NAME,...] [--load F]         a recorded trace, F times as fast
//! replay synthetic N [--policy NAME,...]             N made-up requests of 64 tenants with shared prefixes
//! replay at-once N [--policy NAME,...]               N requests that arrive together: all are alive at once
//! ```
//!
//! CPU time is the thread's, memory the process's, both as Linux tells them; `scripts/benchmark/serving.py` runs it.

use std::collections::BTreeMap;
use std::path::Path;

use proftool_serving::admission::Everyone;
use proftool_serving::sources::{self, Lengths, Synthetic};
use proftool_serving::{
    Cluster, Cost, Device, Options, Outcome, Request, Role, Run, Sink, Status, StepModel, Workload, policies, simulate,
};

/// Counts, so that the memory is the simulator's.
#[derive(Default)]
struct Count<'a> {
    requests: &'a [Request],
    arrived: usize,
    ended: usize,
    alive: usize,
    ok: usize,
    ttft_ns: i128,
    steps: u64,
    digest: u64,
    end_ns: i64,
}

impl Sink for Count<'_> {
    fn outcome(&mut self, outcome: &Outcome) {
        while self.requests.get(self.arrived).is_some_and(|request| request.arrival_ns <= outcome.end_ns) {
            self.arrived += 1;
        }
        self.alive = self.alive.max(self.arrived - self.ended);
        self.ended += 1;
        self.ok += usize::from(outcome.status == Status::Ok);
        self.ttft_ns += i128::from(outcome.first_token_ns.map_or(0, |first_ns| first_ns - outcome.arrival_ns));
        self.end_ns = outcome.end_ns;
        // FNV-1a by words: equal runs have equal digests.
        for word in [u64::from(outcome.request), outcome.first_token_ns.unwrap_or(-1) as u64, outcome.end_ns as u64] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn steps(&mut self, run: &Run) {
        self.steps += run.steps;
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let workload = workload(&words, option("--load").map_or(1.0, |load| load.parse().expect("a number")));
    let cluster = cluster();
    let wanted = option("--policy").map_or("cache_aware,kv_overlap,least_delay", String::as_str);
    for name in wanted.split(',') {
        println!("{}", measured(name, &workload, &cluster));
    }
}

/// Replays until that much CPU time is spent: Linux tells it in ticks of some milliseconds.
const LEAST_NS: u64 = 400_000_000;

/// One policy's line.
fn measured(name: &str, workload: &Workload, cluster: &Cluster) -> String {
    // The peak from here on; without the right to reset it, that of the process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (before_bytes, start_ns) = (memory("VmRSS:"), cpu_ns());
    let count = replayed(name, workload, cluster);
    let peak_bytes = memory("VmHWM:");
    let mut runs = 1;
    while cpu_ns() - start_ns < LEAST_NS {
        assert_eq!(replayed(name, workload, cluster).digest, count.digest, "runs differ");
        runs += 1;
    }
    let cpu_ns = (cpu_ns() - start_ns) / runs;
    format!(
        "{{\"policy\": \"{name}\", \"requests\": {}, \"ok\": {}, \"cpu_ns\": {cpu_ns}, \"before_bytes\": {before_bytes}, \"peak_bytes\": {peak_bytes}, \
         \"workload_bytes\": {}, \"alive\": {}, \"steps\": {}, \"simulated_ns\": {}, \"mean_ttft_ns\": {}, \"digest\": \"{:016x}\"}}",
        count.ended,
        count.ok,
        bytes(workload),
        count.alive,
        count.steps,
        count.end_ns,
        count.ttft_ns / i128::from(count.ok.max(1) as u64),
        count.digest,
    )
}

fn replayed<'w>(name: &str, workload: &'w Workload, cluster: &Cluster) -> Count<'w> {
    let maker = policies::find(name).unwrap_or_else(|| panic!("no policy is called {name}"));
    let mut policy = maker.with(&BTreeMap::new(), 1).expect("defaults are allowed");
    let mut count = Count { requests: &workload.requests, digest: 0xcbf2_9ce4_8422_2325, ..Count::default() };
    simulate(workload, cluster, policy.as_mut(), &mut Everyone, &Options::default(), &mut count)
        .expect("the cluster can serve");
    count
}

fn workload(words: &[String], load: f64) -> Workload {
    let count = || words.get(1).expect("a number of requests").parse().expect("a number of requests");
    let mut workload = match words.first().map(String::as_str) {
        Some("synthetic") => sources::synthetic("synthetic", &prefixed(count())),
        Some("at-once") => {
            let output_tokens = Lengths::Uniform(2, 8);
            let shape = Synthetic { requests: count(), output_tokens, ..Synthetic::default() };
            let mut workload = sources::synthetic("at once", &shape);
            workload.requests.iter_mut().for_each(|request| request.arrival_ns = 0);
            workload
        }
        Some(path) => sources::open(Path::new(path)).unwrap_or_else(|error| panic!("{error}")).workload,
        None => panic!("name a trace, `synthetic N` or `at-once N`"),
    };
    workload.scale(load);
    workload
}

/// A load of about a third: 64 tenants with a system prompt of 512 tokens, blocks of as many.
fn prefixed(requests: usize) -> Synthetic {
    Synthetic { requests, per_s: 100.0, tenants: 64, shared_tokens: 512, block_tokens: 512, ..Synthetic::default() }
}

/// Llama-3 70B on eight replicas of eight H100: 70e9 parameters, 80 layers x 8192, 320 KiB of KV a token.
fn cluster() -> Cluster {
    let (flops, bandwidth) = (8.0 * 989e12 * 0.5, 8.0 * 3.35e12 * 0.7);
    let (token, attention) = (2.0 * 70e9 / flops * 1e9, 4.0 * 80.0 * 8192.0 / flops * 1e9);
    let steps = StepModel {
        base_ns: 1e6,
        compute: Cost {
            prefill_token: token,
            prefill_pair: attention,
            sequence: token,
            kv_token: attention,
            ..Cost::default()
        },
        memory: Cost { constant: 140e9 / bandwidth * 1e9, kv_token: 327_680.0 / bandwidth * 1e9, ..Cost::default() },
        ..StepModel::default()
    };
    let device = |at: usize| Device {
        name: format!("replica{at}"),
        role: Role::Mixed,
        steps,
        kv_capacity_tokens: 1_200_000,
        step_tokens: 2048,
        most_sequences: 256,
        cost_per_hour: 1.0,
        watts: None,
        numa: 0,
    };
    let devices = (0..8).map(device).collect();
    Cluster { name: "eight".to_owned(), devices, kv_bytes_per_token: 327_680, ..Cluster::default() }
}

/// Bytes of the requests and of their blocks.
fn bytes(workload: &Workload) -> usize {
    workload.requests.len() * size_of::<Request>() + workload.blocks.len() * size_of::<u32>()
}

/// Time that this thread has run.
fn cpu_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells the time of a thread");
    told.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("a number of nanoseconds")
}

/// A size that Linux tells about the process, in bytes.
fn memory(name: &str) -> u64 {
    let told = std::fs::read_to_string("/proc/self/status").expect("Linux tells about the process");
    let kib = told.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
