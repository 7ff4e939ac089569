//! Replays a trace on eight devices under every policy: CPU time and what users felt.

use std::collections::BTreeMap;
use std::time::Instant;

use proftool_serving::admission::Everyone;
use proftool_serving::{
    Cluster, Cost, Device, Link, Options, Outcome, Role, Sink, StepModel, policies, simulate, sources, summarize,
};

#[derive(Default)]
struct Keep(Vec<Outcome>, u64, u64);

impl Sink for Keep {
    fn outcome(&mut self, outcome: &Outcome) {
        self.0.push(*outcome);
    }
    fn steps(&mut self, run: &proftool_serving::Run) {
        self.1 += 1;
        self.2 += run.steps;
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (kind, path) = (args.next().expect("kind"), args.next().expect("path"));
    let count: usize = args.next().map_or(8, |n| n.parse().expect("a number"));
    let faster: f64 = args.next().map_or(1.0, |n| n.parse().expect("a number"));
    let text = std::fs::read_to_string(&path).expect("readable");
    let workload =
        if kind == "azure" { sources::azure(&path, &text) } else { sources::mooncake(&path, &text) }.expect("a trace");
    let mut workload = workload;
    for request in &mut workload.requests {
        request.arrival_ns = (request.arrival_ns as f64 / faster) as i64;
    }
    // Llama-3 70B on eight H100: 70e9 parameters, 80 layers x 8192, 320 KiB of KV a token.
    let (flops, bandwidth) = (8.0 * 989e12 * 0.5, 8.0 * 3.35e12 * 0.7);
    let steps = StepModel {
        base_ns: 1e6,
        compute: Cost {
            prefill_token: 2.0 * 70e9 / flops * 1e9,
            prefill_pair: 4.0 * 80.0 * 8192.0 / flops * 1e9,
            sequence: 2.0 * 70e9 / flops * 1e9,
            kv_token: 4.0 * 80.0 * 8192.0 / flops * 1e9,
            ..Cost::default()
        },
        memory: Cost { constant: 140e9 / bandwidth * 1e9, kv_token: 327_680.0 / bandwidth * 1e9, ..Cost::default() },
    };
    let device = |at: usize| Device {
        name: format!("d{at}"),
        role: Role::Mixed,
        steps,
        kv_capacity_tokens: 1_200_000,
        step_tokens: 2048,
        most_sequences: 256,
        cost_per_hour: 1.0,
        watts: None,
        numa: 0,
    };
    let cluster = Cluster {
        name: "test".to_owned(),
        devices: (0..count).map(device).collect(),
        link: Link::default(),
        kv_bytes_per_token: 327_680,
    };
    for maker in policies::POLICIES {
        let mut knobs = BTreeMap::new();
        for pair in std::env::var("KNOBS").unwrap_or_default().split_whitespace() {
            let (name, value) = pair.split_once('=').expect("a pair");
            if maker.knobs.iter().any(|knob| knob.name == name) {
                knobs.insert(name.to_owned(), value.parse().expect("a number"));
            }
        }
        if std::env::var("ONLY").is_ok_and(|only| only != maker.name) {
            continue;
        }
        let mut policy = maker.with(&knobs, 1).expect("allowed");
        let mut kept = Keep::default();
        let start = Instant::now();
        simulate(&workload, &cluster, policy.as_mut(), &mut Everyone, &Options::default(), &mut kept);
        let seconds = start.elapsed().as_secs_f64();
        let s = summarize(&kept.0, None);
        println!(
            "{:16} {:6} ok {:3} failed {:8.0} req/s-cpu  ttft p50 {:7.1} p99 {:8.1} ms  tpot p50 {:5.1} p99 {:5.1}  hit {:.3} pre {} runs {} steps {}",
            maker.name,
            s.ok,
            s.failed,
            workload.requests.len() as f64 / seconds,
            s.ttft_ns.unwrap_or_default()[0] as f64 / 1e6,
            s.ttft_ns.unwrap_or_default()[2] as f64 / 1e6,
            s.tpot_ns.unwrap_or_default()[0] as f64 / 1e6,
            s.tpot_ns.unwrap_or_default()[2] as f64 / 1e6,
            s.kv_hit_ratio,
            s.preemptions,
            kept.1,
            kept.2,
        );
    }
}
