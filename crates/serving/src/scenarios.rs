//! The lab's clusters, by name.

use crate::model::{Error, Model, Replica};
use crate::{Cluster, Device, Link, Role};

/// A cluster of the lab.
#[derive(Debug)]
pub struct Scenario {
    /// Its name: the value of `--scenario`.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub doc: &'static str,
    kinds: &'static [Kind],
    prefill: &'static [usize],
    decode: &'static [usize],
}

/// A kind of device in a scenario.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    spec: &'static str,
    share: (f64, f64),
    /// Stages.
    pipeline: u32,
    /// Dollars an hour: assumed, for the relation between the kinds.
    cost_per_hour: f64,
}

const fn whole(name: &'static str, spec: &'static str, cost_per_hour: f64) -> Kind {
    Kind { name, spec, share: (1.0, 1.0), pipeline: 1, cost_per_hour }
}

/// Several of a kind in sequence.
const fn staged(name: &'static str, spec: &'static str, pipeline: u32, cost_per_hour: f64) -> Kind {
    Kind { name, spec, share: (1.0, 1.0), pipeline, cost_per_hour }
}

/// A slice of an H100 with 80 GB: so many of 7 compute and of 8 memory slices (NVIDIA, MIG user guide).
const fn slice(name: &'static str, compute: f64, memory: f64) -> Kind {
    let share = (compute / 7.0, memory / 8.0);
    Kind { name, spec: "h100-sxm", share, pipeline: 1, cost_per_hour: 4.0 * compute / 7.0 }
}

/// Every scenario.
pub static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "flagship_vs_mid",
        doc: "Six GPUs of two classes: H200 and L40S, two compute prompts, four decode.",
        kinds: &[whole("flagship", "h200", 4.0), whole("mid", "l40s", 1.2)],
        prefill: &[0, 1],
        decode: &[0, 0, 1, 1],
    },
    Scenario {
        name: "mig_slices",
        doc: "Five MIG slices of H100s, of four sizes: two compute prompts, three decode.",
        kinds: &[
            slice("4g.40gb", 4.0, 4.0),
            slice("3g.40gb", 3.0, 4.0),
            slice("2g.20gb", 2.0, 2.0),
            slice("1g.20gb", 1.0, 2.0),
        ],
        prefill: &[0, 1],
        decode: &[1, 2, 3],
    },
    Scenario {
        name: "pipeline_and_pool",
        doc: "Eleven L40S: a pipeline of four stages for long contexts and a pool of four for short ones compute prompts, three decode.",
        kinds: &[staged("pipeline", "l40s", 4, 4.8), whole("single", "l40s", 1.2)],
        prefill: &[0, 1, 1, 1, 1],
        decode: &[1, 1, 1],
    },
];

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// Its cluster serving a model, with as many devices of each pool as asked for, else as the scenario has: the kinds of
    /// the pool in turn. Every second device is on the other NUMA node.
    ///
    /// # Errors
    /// When the model does not fit into a device.
    pub fn cluster(&self, model: &Model, prefill: Option<usize>, decode: Option<usize>) -> Result<Cluster, Error> {
        let mut devices = Vec::new();
        for (role, kinds, count) in [(Role::Prefill, self.prefill, prefill), (Role::Decode, self.decode, decode)] {
            for at in 0..count.unwrap_or(kinds.len()) {
                let kind = &self.kinds[kinds[at % kinds.len()]];
                let numa = (devices.len() % 2) as u16;
                devices.push(device(model, kind, role, at, numa)?);
            }
        }
        Ok(Cluster {
            name: self.name.to_owned(),
            devices,
            link: Link::default(),
            kv_bytes_per_token: model.kv_bytes_per_token(),
            ..Cluster::default()
        })
    }
}

fn device(model: &Model, kind: &Kind, role: Role, at: usize, numa: u16) -> Result<Device, Error> {
    let Kind { name, spec, share, pipeline, cost_per_hour } = *kind;
    let name = format!("{}_{name}_{at}", role.name());
    model.on(&Replica { name, spec, share, devices: 1, pipeline, role, cost_per_hour, numa })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_serves_the_small_model_and_pools_can_be_resized() {
        let model = Model::find("llama-3.1-8b").expect("known");
        for scenario in SCENARIOS {
            let cluster = scenario.cluster(model, None, None).expect("fits");
            assert_eq!(cluster.devices.len(), scenario.prefill.len() + scenario.decode.len());
            let resized = scenario.cluster(model, Some(3), Some(1)).expect("fits");
            let prefills = resized.devices.iter().filter(|device| device.role == Role::Prefill).count();
            assert_eq!((resized.devices.len(), prefills), (4, 3));
        }
        assert!(find("mig_slices").is_some() && find("x").is_none());
    }
}
