//! The router of a target: its policy and the policy's knobs, which are parameters too.

use std::collections::BTreeMap;

use proftool_serving::Policy;
use proftool_serving::policies::{self, Knob, Maker};

use crate::parameters::{AUTO, refused};
use crate::{Error, Parameter, Settings};

/// A policy, ready to be made.
pub(crate) struct Router {
    maker: &'static Maker,
    /// Its knobs, as far as given.
    knobs: BTreeMap<String, f64>,
    seed: u64,
}

impl Router {
    /// Reads the knobs of the policy called `policy`. One that only another policy has is left alone, since the targets of a
    /// pair get the same parameters.
    ///
    /// # Errors
    /// For a policy that is not known, a name that is neither a parameter of the target nor a knob, and a value that its
    /// knob doesn't allow.
    pub(crate) fn new(
        target: &'static str,
        parameters: &'static [Parameter],
        policy: &str,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let maker = policies::find(policy).ok_or_else(|| {
            let names: Vec<&str> = policies::POLICIES.iter().map(|maker| maker.name).collect();
            refused("policy", &policy, format!("one of {}", names.join(", ")))
        })?;
        let mut knobs = BTreeMap::new();
        for (name, text) in &settings.parameters {
            let Some(knob) = knob(name) else {
                if parameters.iter().any(|parameter| parameter.name == name.as_str()) {
                    continue;
                }
                let names = parameters.iter().map(|parameter| parameter.name);
                let known = names.chain(maker.knobs.iter().map(|knob| knob.name)).collect();
                return Err(Error::UnknownParameter { target, name: name.clone(), known });
            };
            let Some(number) = number(knob, text)? else { continue };
            if maker.knobs.iter().any(|own| own.name == knob.name) {
                knobs.insert(name.clone(), number);
            }
        }
        Ok(Self { maker, knobs, seed: settings.seed })
    }

    /// Name of the policy.
    pub(crate) fn name(&self) -> &'static str {
        self.maker.name
    }

    /// A policy that has seen nothing yet.
    ///
    /// # Errors
    /// For a knob outside its range.
    pub(crate) fn policy(&self) -> Result<Box<dyn Policy>, Error> {
        self.maker.with(&self.knobs, self.seed).map_err(|error| match error {
            policies::Error::Value { name, value, least, most } => {
                refused(name, &value, format!("a number from {least} to {most}"))
            }
            other @ policies::Error::Unknown { .. } => refused("policy", &self.maker.name, other.to_string()),
        })
    }

    /// Every knob of the policy with its value.
    pub(crate) fn resolved(&self) -> impl Iterator<Item = (String, String)> {
        self.maker
            .knobs
            .iter()
            .map(|knob| (knob.name.to_owned(), self.knobs.get(knob.name).copied().unwrap_or(knob.default).to_string()))
    }
}

/// Whether it is the name of a policy's knob.
pub(crate) fn is_knob(name: &str) -> bool {
    knob(name).is_some()
}

/// Those of the given parameters that are the target's own; the others are knobs, or unknown.
pub(crate) fn own(parameters: &[Parameter], settings: &Settings) -> BTreeMap<String, String> {
    let known = |name: &str| parameters.iter().any(|parameter| parameter.name == name);
    settings.parameters.clone().into_iter().filter(|(name, _)| known(name)).collect()
}

fn knob(name: &str) -> Option<&'static Knob> {
    policies::POLICIES.iter().flat_map(|maker| maker.knobs).find(|knob| knob.name == name)
}

/// A number that the knob allows; none where its policy decides.
fn number(knob: &Knob, text: &str) -> Result<Option<f64>, Error> {
    if text == AUTO {
        return Ok(None);
    }
    let (least, most) = knob.range;
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.map(Some).ok_or_else(|| refused(knob.name, &text, format!("a number from {least} to {most}")))
}
