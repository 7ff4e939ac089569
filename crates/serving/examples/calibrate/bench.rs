//! Runs on real engines and on simulated ones.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::sync::atomic::AtomicBool;

use proftool_serving::admission::Everyone;
use proftool_serving::engines::{Clock, Ending, Endpoint, Engines, Fitted, Job, Options, Served, discover, drive};
use proftool_serving::log::{Head, Log, Time};
use proftool_serving::{Device, Outcome, Role, Sink, StepModel, Workload, policies, simulate};

/// Real engines, and what is known of them.
pub(crate) struct Bench {
    endpoints: Vec<Endpoint>,
    /// Each run has prompts of its own.
    nonce: u64,
}

/// Times of requests, in ns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    pub(crate) ttft: Vec<f64>,
    pub(crate) tpot: Vec<f64>,
    /// Requests that failed.
    pub(crate) failed: usize,
}

impl Bench {
    pub(crate) fn new(engines: &Engines, slots: u32, context: u32) -> Result<Self, Box<dyn Error>> {
        let device = |at: usize| Device {
            name: format!("engine_{at}"),
            role: Role::Mixed,
            steps: StepModel::default(),
            kv_capacity_tokens: context.into(),
            // llama.cpp computes the tokens of all who decode first, then prompts up to its batch size of 2048.
            step_tokens: 2048,
            most_sequences: slots,
            cost_per_hour: 1.0,
            watts: None,
            numa: 0,
        };
        let mut endpoints = Vec::new();
        for (at, address) in engines.addresses().enumerate() {
            endpoints.push(Endpoint {
                address: address.clone(),
                model: discover(address)?,
                context_tokens: None,
                device: device(at),
            });
        }
        Ok(Self { endpoints, nonce: 1 })
    }

    /// Runs a workload on the engines.
    pub(crate) fn run(&mut self, workload: &Workload, policy: &str) -> Result<Vec<Served>, Box<dyn Error>> {
        self.nonce += 1;
        let options = Options { nonce: self.nonce, tokens: false, telemetry_period: None, ..Options::default() };
        let (clock, stop) = (Clock::start(), AtomicBool::new(false));
        let job = Job { workload, endpoints: &self.endpoints, options: &options, clock, stop: &stop };
        let cluster = job.cluster();
        let head = Head {
            time: Time::Measured,
            start_unix_ns: clock.start_unix_ns(),
            workload: &workload.name,
            policy,
            seed: options.seed,
            cluster: &cluster,
            slos: &options.slos,
            block_tokens: workload.block_tokens,
            modelled: &[],
        };
        let mut log = Log::new(io::sink(), &head);
        Ok(drive(&job, made(policy)?.as_mut(), &mut Everyone, &mut log)?)
    }

    /// Runs the same on the simulator.
    pub(crate) fn simulated(
        &self,
        workload: &Workload,
        policy: &str,
        fitted: &Fitted,
    ) -> Result<Times, Box<dyn Error>> {
        let (options, stop) = (Options::default(), AtomicBool::new(false));
        let job = Job { workload, endpoints: &self.endpoints, options: &options, clock: Clock::start(), stop: &stop };
        let cluster = job.cluster();
        let mut times = Simulated { overhead_ns: fitted.overhead_ns, times: Times::default() };
        let options = proftool_serving::Options::default();
        simulate(workload, &cluster, made(policy)?.as_mut(), &mut Everyone, &options, &mut times)?;
        Ok(times.times)
    }

    /// What policies and the simulator know from now on.
    pub(crate) fn learn(&mut self, fitted: &Fitted) {
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.device.steps = fitted.steps);
    }
}

fn made(policy: &str) -> Result<Box<dyn proftool_serving::Policy>, Box<dyn Error>> {
    let maker = policies::find(policy).ok_or_else(|| format!("no policy {policy}"))?;
    Ok(maker.with(&BTreeMap::new(), 1)?)
}

impl Times {
    /// Those of requests that were served.
    pub(crate) fn of(served: &[Served]) -> Self {
        let whole = || served.iter().filter(|served| served.ending == Ending::Ok);
        Self {
            ttft: whole().filter_map(Served::ttft_ns).map(|ns| ns as f64).collect(),
            tpot: whole().filter_map(Served::tpot_ns).map(|ns| ns as f64).collect(),
            failed: served.len() - whole().count(),
        }
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.ttft.extend(more.ttft);
        self.tpot.extend(more.tpot);
        self.failed += more.failed;
    }

    /// The medians of TTFT and TPOT in ms.
    pub(crate) fn ms(&self) -> [f64; 2] {
        [&self.ttft, &self.tpot].map(|times| median(times) / 1e6)
    }
}

struct Simulated {
    overhead_ns: f64,
    times: Times,
}

impl Sink for Simulated {
    fn outcome(&mut self, outcome: &Outcome) {
        let Some(ttft_ns) = outcome.ttft_ns() else {
            self.times.failed += 1;
            return;
        };
        self.times.ttft.push(ttft_ns as f64 + self.overhead_ns);
        self.times.tpot.extend(outcome.tpot_ns().map(|ns| ns as f64));
    }
}

/// The middle one; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}
