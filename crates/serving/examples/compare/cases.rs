//! What is compared: five workloads, nine cases.

use std::fs;
use std::path::Path;

use proftool_serving::evaluation::{Case, Source};
use proftool_serving::sources::{self, Synthetic};
use proftool_serving::{Cluster, Link, Model, Replica, Role, Slo, Workload, scenarios};

use crate::Failure;

/// A second, in ns.
const SECOND_NS: i64 = 1_000_000_000;

/// A kind of replica: name, spec, devices together, dollars an hour of all of them, role, how many.
type Kind = (&'static str, &'static str, u32, f64, Role, usize);

/// All cases; those whose trace is not in `traces` are left out and named.
pub(crate) fn all(traces: &Path) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for (name, file, within_ns) in [
        ("mooncake_conversation", "conversation_trace.jsonl", 3 * SECOND_NS),
        ("mooncake_synthetic", "synthetic_trace.jsonl", SECOND_NS),
        ("azure_conversation", "AzureLLMInferenceTrace_conv.csv", SECOND_NS),
    ] {
        let path = traces.join(file);
        if !path.exists() {
            eprintln!("{name} is left out: no {file}");
            continue;
        }
        cases.push(recorded(name, &fs::read_to_string(path)?, within_ns)?);
    }
    for scenario in ["flagship_vs_mid", "mig_slices"] {
        for (name, burst_factor, tenants) in lab(scenario) {
            cases.push(synthetic(scenario, name, burst_factor, tenants)?);
        }
    }
    Ok(cases)
}

fn lab(scenario: &str) -> [(&'static str, f64, u16); 3] {
    if scenario == "mig_slices" {
        [("mig_slices", 1.0, 0), ("mig_slices, bursts", 4.0, 0), ("mig_slices, tenants", 4.0, 16)]
    } else {
        [("flagship_vs_mid", 1.0, 0), ("flagship_vs_mid, bursts", 4.0, 0), ("flagship_vs_mid, tenants", 4.0, 16)]
    }
}

/// The lab's requests on its cluster; with tenants the first 512 tokens of a prompt are its tenant's.
fn synthetic(scenario: &str, name: &'static str, burst_factor: f64, tenants: u16) -> Result<Case, Failure> {
    let shape = Synthetic {
        requests: 3000,
        per_s: 100.0,
        burst_factor,
        tenants,
        shared_tokens: if tenants > 0 { 512 } else { 0 },
        ..Synthetic::default()
    };
    let model = Model::find("llama-3.1-8b").ok_or("no model")?;
    let scenario = scenarios::find(scenario).ok_or("no scenario")?;
    Ok(Case {
        name,
        source: Source::Synthetic(shape),
        cluster: scenario.cluster(model, None, None)?,
        slo: slo(350, 45),
        migration_period_ns: Some(SECOND_NS / 4),
        changes: Vec::new(),
    })
}

fn recorded(name: &'static str, text: &str, within_ns: i64) -> Result<Case, Failure> {
    let workload: Workload = match name {
        "azure_conversation" => sources::azure(name, text)?,
        _ => sources::mooncake(name, text)?,
    };
    let (model, kinds, slo): (_, &[Kind], _) = match name {
        "mooncake_conversation" => (
            "llama-3.1-70b",
            &[("h200x4", "h200", 4, 16.0, Role::Mixed, 4), ("h100x4", "h100-sxm", 4, 12.0, Role::Mixed, 4)],
            slo(10_000, 100),
        ),
        "mooncake_synthetic" => (
            "llama-3.1-70b",
            &[("h100x4", "h100-sxm", 4, 12.0, Role::Prefill, 4), ("h200x4", "h200", 4, 16.0, Role::Decode, 2)],
            slo(10_000, 100),
        ),
        _ => (
            "qwen2.5-32b",
            &[
                ("h200", "h200", 1, 4.0, Role::Mixed, 1),
                ("h100", "h100-sxm", 1, 3.0, Role::Mixed, 1),
                ("l40sx2", "l40s", 2, 2.4, Role::Mixed, 2),
            ],
            slo(2000, 150),
        ),
    };
    Ok(Case {
        name,
        source: Source::recorded(&workload, within_ns),
        cluster: cluster(name, model, kinds)?,
        slo,
        migration_period_ns: Some(SECOND_NS),
        changes: Vec::new(),
    })
}

fn slo(ttft_ms: i64, tpot_ms: i64) -> Slo {
    Slo { ttft_ns: ttft_ms * 1_000_000, tpot_ns: tpot_ms * 1_000_000 }
}

fn cluster(name: &str, model: &str, kinds: &[Kind]) -> Result<Cluster, Failure> {
    let model = Model::find(model).ok_or("no model")?;
    let mut devices = Vec::new();
    for &(name, spec, together, cost_per_hour, role, count) in kinds {
        for at in 0..count {
            let numa = (devices.len() % 2) as u16;
            let name = format!("{name}_{at}");
            devices.push(model.on(&Replica {
                name,
                spec,
                share: (1.0, 1.0),
                devices: together,
                role,
                cost_per_hour,
                numa,
                pipeline: 1,
            })?);
        }
    }
    Ok(Cluster {
        name: name.to_owned(),
        devices,
        kv_bytes_per_token: model.kv_bytes_per_token(),
        link: Link { bytes_per_s: 200e9, ..Link::default() },
        ..Cluster::default()
    })
}
