//! The course's `dynamo_config.yaml`: every knob works here, or is refused by name.
//!
//! | knob | meaning |
//! |---|---|
//! | `model` | the model that is served; `llama-70b` and `llama-8b` are those of Llama 3.1 |
//! | `split_policy.*`, `cache.min_cache_hit_ratio` | the knobs of the policy `dynamo_config` |
//! | `cache.reuse_prefix` | whether computed prompts are kept for others |
//! | `autoscale.prefill.*`, `autoscale.decode.*` | [`Autoscale`], thresholds in percent; a missing pool is fixed |
//! | `autoscale.{period_s, start_up_s}` | ours: how often loads are looked at, and how long a start takes |
//! | `qos.*` | [`EarlyRejection`]: `low_priority_threshold_ms` is the free tier's, where `enable_early_rejection` |
//!
//! What is missing has the course's value; a pool that is named must be whole.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::admission::EarlyRejection;
use crate::model::{Error as ModelError, Replica};
use crate::{Autoscale, Cluster, Link, Model, Options, Policy, Role, policies};

pub use read::Error;

/// What the file says.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamoConfig {
    /// The model that is served.
    pub model: &'static Model,
    /// Knobs of the policy `dynamo_config`.
    pub knobs: BTreeMap<String, f64>,
    /// Whether prompts are kept for others.
    pub reuse_prefix: bool,
    /// How the pools grow and shrink.
    pub autoscale: Option<Autoscale>,
    /// Who is refused.
    pub admission: EarlyRejection,
}

/// Replicas of a pool that does not scale: what the course's begins with.
const FIXED: [usize; 2] = [4, 8];

impl DynamoConfig {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// For text that is no YAML, and for the first knob that is unknown, missing, out of its range or contradicts another.
    pub fn read(text: &str) -> Result<Self, Error> {
        read::read(text)
    }

    /// The policy, with the seed of the run.
    ///
    /// # Errors
    /// For a knob that was changed to something that is not allowed.
    pub fn policy(&self, seed: u64) -> Result<Box<dyn Policy>, policies::Error> {
        policies::dynamo_config::MAKER.with(&self.knobs, seed)
    }

    /// These options with what the file says: prefix cache and scaling.
    pub fn options(&self, options: Options) -> Options {
        Options { no_prefix_cache: !self.reuse_prefix, autoscale: self.autoscale.clone(), ..options }
    }

    /// As many replicas as the pools may have: devices that compute prompts, and devices that decode and may compute prompts
    /// too. A replica is as many devices of that spec as the model needs, a power of two; every second is on the other NUMA
    /// node.
    ///
    /// # Errors
    /// When the spec is not known or the model does not fit into eight of its devices.
    pub fn cluster(&self, spec: &str, cost_per_device_hour: f64) -> Result<Cluster, ModelError> {
        let pools = self.autoscale.as_ref().map_or([None; 2], |autoscale| [autoscale.prefill, autoscale.decode]);
        let counts = [0, 1].map(|pool| pools[pool].map_or(FIXED[pool], |scaling| scaling.most));
        let size = self.size(spec)?;
        let mut devices = Vec::new();
        for (role, name, count) in [(Role::Prefill, "prefill", counts[0]), (Role::Mixed, "decode", counts[1])] {
            for at in 0..count {
                let (name, cost_per_hour) = (format!("{name}_{at}"), cost_per_device_hour * f64::from(size));
                let numa = (devices.len() % 2) as u16;
                let share = (1.0, 1.0);
                let replica = Replica { name, spec, share, devices: size, pipeline: 1, role, cost_per_hour, numa };
                devices.push(self.model.on(&replica)?);
            }
        }
        let (name, link) = ("dynamo_config".to_owned(), Link::default());
        Ok(Cluster { name, devices, link, kv_bytes_per_token: self.model.kv_bytes_per_token(), ..Cluster::default() })
    }

    /// Devices of a replica.
    fn size(&self, spec: &str) -> Result<u32, ModelError> {
        let fits = |devices: u32| {
            let (name, role) = (spec.to_owned(), Role::Mixed);
            let share = (1.0, 1.0);
            self.model.on(&Replica { name, spec, share, devices, pipeline: 1, role, cost_per_hour: 0.0, numa: 0 })
        };
        let sizes = [1, 2, 4];
        sizes.into_iter().find(|&size| fits(size).is_ok()).map_or_else(|| fits(8).map(|_| 8), Ok)
    }
}
