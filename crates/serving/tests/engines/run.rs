//! A run on endpoints, and what it left.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use proftool_serving::admission::{Everyone, Slos};
use proftool_serving::engines::{Address, Clock, Endpoint, Job, Limits, Options, Served, drive};
use proftool_serving::log::{Head, Log, Time};
use proftool_serving::{Device, Policy, Request, Role, StepModel, Workload, policies};

pub(crate) const MS: i64 = 1_000_000;

/// Requests of 20 tokens of prompt and 4 of output.
pub(crate) fn workload(requests: usize, gap_ns: i64) -> Workload {
    let mut workload = Workload { name: "test".to_owned(), block_tokens: 16, ..Workload::default() };
    for number in 0..requests {
        let arrival_ns = number as i64 * gap_ns;
        workload.push(Request { arrival_ns, prompt_tokens: 20, output_tokens: 4, ..Request::default() }, &[]);
    }
    workload
}

pub(crate) fn endpoint(address: Address, name: &str) -> Endpoint {
    let device = Device {
        name: name.to_owned(),
        role: Role::Mixed,
        steps: StepModel::default(),
        kv_capacity_tokens: 4096,
        step_tokens: 2048,
        most_sequences: 4,
        cost_per_hour: 1.0,
        watts: None,
        numa: 0,
    };
    Endpoint { address, model: "tiny".to_owned(), context_tokens: None, device }
}

/// Short limits, no telemetry.
pub(crate) fn quick() -> Options {
    let limits = Limits {
        connect: Duration::from_secs(2),
        first_token: Duration::from_millis(300),
        stall: Duration::from_millis(300),
        drain: Duration::from_secs(20),
    };
    Options { limits, telemetry_period: None, ..Options::default() }
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) served: Vec<Served>,
    /// First key and line.
    log: Vec<(String, serde_json::Value)>,
}

impl Ran {
    /// Rows of a kind: the first key of a line tells it.
    pub(crate) fn rows(&self, kind: &str) -> Vec<&serde_json::Value> {
        self.log.iter().filter(|(first, _)| first == kind).map(|(_, row)| row).collect()
    }

    pub(crate) fn issue(&self, code: &str) -> Option<i64> {
        self.rows("issue").into_iter().find(|row| row["issue"] == code).and_then(|row| row["count"].as_i64())
    }
}

/// Runs a policy of that name.
pub(crate) fn ran(
    workload: &Workload,
    endpoints: &[Endpoint],
    policy: &str,
    options: &Options,
    stop: &AtomicBool,
) -> Ran {
    let mut policy = policies::find(policy).expect("known").with(&BTreeMap::new(), 1).expect("no knobs");
    ran_by(policy.as_mut(), workload, endpoints, options, stop)
}

/// Runs a policy.
pub(crate) fn ran_by(
    policy: &mut dyn Policy,
    workload: &Workload,
    endpoints: &[Endpoint],
    options: &Options,
    stop: &AtomicBool,
) -> Ran {
    let clock = Clock::start();
    let job = Job { workload, endpoints, options, clock, stop };
    let cluster = job.cluster();
    let head = Head {
        time: Time::Measured,
        start_unix_ns: clock.start_unix_ns(),
        workload: &workload.name,
        policy: policy.name(),
        seed: options.seed,
        cluster: &cluster,
        slos: &Slos::default(),
        block_tokens: workload.block_tokens,
        modelled: &[],
    };
    let mut log = Log::new(Vec::new(), &head);
    let served = drive(&job, policy, &mut Everyone, &mut log).expect("a run");
    let text = String::from_utf8(log.finish().expect("memory")).expect("UTF-8");
    let first = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    let log = text.lines().map(|line| (first(line), serde_json::from_str(line).expect("JSON"))).collect();
    Ran { served, log }
}
