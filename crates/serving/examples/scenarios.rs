//! The lab's scenarios under every policy.

use std::collections::BTreeMap;

use proftool_serving::admission::Everyone;
use proftool_serving::sources::{Synthetic, synthetic};
use proftool_serving::{Model, Options, Outcome, Sink, policies, scenarios, simulate, summarize};

#[derive(Default)]
struct Keep(Vec<Outcome>);

impl Sink for Keep {
    fn outcome(&mut self, outcome: &Outcome) {
        self.0.push(*outcome);
    }
}

fn main() {
    let model = Model::find("llama-3.1-8b").expect("known");
    for scenario in scenarios::SCENARIOS {
        let cluster = scenario.cluster(model, None, None).expect("fits");
        for per_s in [4.0, 8.0, 16.0, 24.0] {
            for burst_factor in [1.0, 4.0] {
                println!("{} {per_s}/s bursts x{burst_factor}", scenario.name);
                let shape = Synthetic { per_s, burst_factor, requests: 4000, seed: 1, ..Synthetic::default() };
                let workload = synthetic("lab", &shape);
                for maker in policies::POLICIES {
                    let mut policy = maker.with(&BTreeMap::new(), 1).expect("defaults");
                    let mut kept = Keep::default();
                    let options = Options { migration_period_ns: Some(250_000_000), ..Options::default() };
                    simulate(&workload, &cluster, policy.as_mut(), &mut Everyone, &options, &mut kept);
                    let s = summarize(&kept.0, None);
                    println!(
                        "  {:16} {:5} ok {:3} failed ttft p50 {:8.1} p99 {:9.1} sd {:8.1} ms  tpot p50 {:5.1} p99 {:5.1} {:7.0} tok/s migrations {} pre {}",
                        maker.name,
                        s.ok,
                        s.failed,
                        s.ttft_ns[0] as f64 / 1e6,
                        s.ttft_ns[2] as f64 / 1e6,
                        s.ttft_stddev_ns / 1e6,
                        s.tpot_ns[0] as f64 / 1e6,
                        s.tpot_ns[2] as f64 / 1e6,
                        s.output_tokens_per_s,
                        s.migrations,
                        s.preemptions,
                    );
                }
            }
        }
    }
}
