//! Router policies, one file each.

mod cache_aware;
pub(crate) mod dynamo_config;
mod ewma_score;
mod kv_overlap;
mod least_delay;
mod least_loaded;
mod power_of_two;
mod predicted_ttft;
mod round_robin;
mod weighted_scorers;

use std::collections::BTreeMap;

use crate::Policy;

/// How to make a policy.
pub struct Maker {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    /// Its parameters.
    pub knobs: &'static [Knob],
    /// Makes it, with every knob's value and the seed of the run.
    pub make: fn(&Knobs, u64) -> Box<dyn Policy>,
}

/// A parameter of a policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knob {
    /// Name: the key of `--set`.
    pub name: &'static str,
    /// Value without it.
    pub default: f64,
    /// Least and largest value.
    pub range: (f64, f64),
    /// What it means.
    pub doc: &'static str,
}

/// Values of knobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Knobs(BTreeMap<&'static str, f64>);

/// Every policy.
pub static POLICIES: &[&Maker] = &[
    &round_robin::MAKER,
    &least_loaded::MAKER,
    &power_of_two::MAKER,
    &ewma_score::MAKER,
    &kv_overlap::MAKER,
    &cache_aware::MAKER,
    &weighted_scorers::MAKER,
    &predicted_ttft::MAKER,
    &dynamo_config::MAKER,
    &least_delay::MAKER,
];

/// The policy of that name.
pub fn find(name: &str) -> Option<&'static Maker> {
    POLICIES.iter().copied().find(|maker| maker.name == name)
}

/// What is wrong with a knob.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The policy has no such knob.
    #[error("{policy} has no knob {name} (hint: {known})")]
    Unknown {
        /// The policy.
        policy: &'static str,
        /// As given.
        name: String,
        /// Those that it has.
        known: String,
    },
    /// Its value is not allowed.
    #[error("{name}={value} is not allowed (hint: a number from {least} to {most})")]
    Value {
        /// The knob.
        name: &'static str,
        /// As given.
        value: f64,
        /// The least.
        least: f64,
        /// The largest.
        most: f64,
    },
}

impl Maker {
    /// The policy with these knobs, the others at their defaults.
    ///
    /// # Errors
    /// For the first knob that is not known or has a value outside its range.
    pub fn with(&self, given: &BTreeMap<String, f64>, seed: u64) -> Result<Box<dyn Policy>, Error> {
        let mut knobs = Knobs(self.knobs.iter().map(|knob| (knob.name, knob.default)).collect());
        for (name, &value) in given {
            let Some(knob) = self.knobs.iter().find(|knob| knob.name == name) else {
                let known: Vec<&str> = self.knobs.iter().map(|knob| knob.name).collect();
                let known =
                    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
                return Err(Error::Unknown { policy: self.name, name: name.clone(), known });
            };
            let (least, most) = knob.range;
            if !(least..=most).contains(&value) {
                return Err(Error::Value { name: knob.name, value, least, most });
            }
            knobs.0.insert(knob.name, value);
        }
        Ok((self.make)(&knobs, seed))
    }
}

impl Knobs {
    /// The value of a knob of this policy.
    pub(crate) fn get(&self, name: &'static str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}
