//! The first line of a router log: what was run on what.

use serde::Serialize;

use super::rows::finite;
use crate::admission::Slos;
use crate::{Cluster, Device, Link, Slo, Tier};

/// The name by which the file is recognised.
pub const FORMAT: &str = "proftool-router-log";
/// The version that is written. A reader refuses a larger major one; a minor one adds keys that may be ignored.
pub const VERSION: Version = Version { major: 1, minor: 0 };

/// Version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Grows when a reader of the old format would misunderstand the file.
    pub major: u16,
    /// Grows when keys are added.
    pub minor: u16,
}

/// Where the times of a log come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Time {
    /// The simulator.
    Simulated,
    /// Engines that ran.
    Measured,
}

/// What was run on what.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Where the times come from.
    pub time: Time,
    /// Start of the run on the wall clock, ns since 1970; 0 where there is none.
    pub start_unix_ns: i64,
    /// Name of the workload: a trace or a scenario.
    pub workload: &'a str,
    /// Name of the policy.
    pub policy: &'a str,
    /// Seed of the run.
    pub seed: u64,
    /// Devices, in the order in which rows number them.
    pub cluster: &'a Cluster,
    /// What was agreed on with each tier.
    pub slos: &'a Slos,
    /// Tokens of a prefix block; 0 where prompts have none.
    pub block_tokens: u32,
    /// What is computed by a model although the rest is measured, or everything of a simulation.
    pub modelled: &'a [String],
}

#[derive(Serialize)]
pub(super) struct Line<'a> {
    format: &'a str,
    version: Version,
    time: Time,
    start_unix_ns: i64,
    workload: &'a str,
    policy: &'a str,
    seed: u64,
    block_tokens: u32,
    cluster: &'a str,
    kv_bytes_per_token: u64,
    modelled: &'a [String],
    slos: [Agreed; 3],
    devices: Vec<Described<'a>>,
    links: Vec<Joined>,
}

#[derive(Serialize)]
struct Agreed {
    tier: &'static str,
    ttft_ns: i64,
    tpot_ns: i64,
}

#[derive(Serialize)]
struct Described<'a> {
    device: usize,
    name: &'a str,
    role: &'static str,
    kind: &'static str,
    numa_node: u16,
    kv_capacity_tokens: u64,
    step_tokens: u32,
    most_sequences: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_per_hour: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watts: Option<f64>,
}

#[derive(Serialize)]
struct Joined {
    src: usize,
    dst: usize,
    bytes_per_s: f64,
    latency_ns: i64,
    contended: bool,
}

impl<'a> Head<'a> {
    pub(super) fn line(&self) -> Line<'a> {
        let devices = self.cluster.devices.iter().enumerate();
        // An engine does not tell what it runs on.
        let kind = if self.time == Time::Simulated { "simulated" } else { "endpoint" };
        Line {
            format: FORMAT,
            version: VERSION,
            time: self.time,
            start_unix_ns: self.start_unix_ns,
            workload: self.workload,
            policy: self.policy,
            seed: self.seed,
            block_tokens: self.block_tokens,
            cluster: &self.cluster.name,
            kv_bytes_per_token: self.cluster.kv_bytes_per_token,
            modelled: self.modelled,
            slos: Tier::ALL.map(|tier| agreed(tier, self.slos.of(tier))),
            devices: devices.map(|(number, device)| described(number, device, kind)).collect(),
            // Between engines nothing moves over a link of the cluster: there it is made up.
            links: if self.time == Time::Simulated { links(self.cluster) } else { Vec::new() },
        }
    }
}

fn agreed(tier: Tier, Slo { ttft_ns, tpot_ns }: Slo) -> Agreed {
    Agreed { tier: tier.name(), ttft_ns, tpot_ns }
}

fn described<'a>(number: usize, device: &'a Device, kind: &'static str) -> Described<'a> {
    Described {
        device: number,
        name: &device.name,
        role: device.role.name(),
        kind,
        numa_node: device.numa,
        kv_capacity_tokens: device.kv_capacity_tokens,
        step_tokens: device.step_tokens,
        most_sequences: device.most_sequences,
        cost_per_hour: finite(device.cost_per_hour),
        watts: device.watts.and_then(finite),
    }
}

/// One row for each device that another sends to; of infinite bandwidth there is nothing to tell.
fn links(cluster: &Cluster) -> Vec<Joined> {
    let count = cluster.devices.len();
    let pairs = (0..count).flat_map(|src| (0..count).filter(move |&dst| dst != src).map(move |dst| (src, dst)));
    pairs.filter_map(|(src, dst)| joined(src, dst, cluster.link(src, dst))).collect()
}

fn joined(src: usize, dst: usize, link: &Link) -> Option<Joined> {
    let bytes_per_s = finite(link.bytes_per_s)?;
    Some(Joined { src, dst, bytes_per_s, latency_ns: link.latency_ns, contended: true })
}
