//! The file's sections and values, each with the name by which it is refused.

use std::collections::BTreeMap;

use yaml_serde::{Mapping, Value};

use super::{DynamoConfig, FIXED};
use crate::admission::{EarlyRejection, Predicted};
use crate::{Autoscale, Cluster, Load, Model, Scaling};

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No YAML.
    #[error("not a YAML file of sections: {0}")]
    Yaml(String),
    /// A knob that does not exist.
    #[error("no knob is called {name} (hint: {hint})")]
    Unknown {
        /// With its section.
        name: String,
        /// What there is.
        hint: String,
    },
    /// A knob that a pool needs.
    #[error("{0} is missing (hint: a pool that scales needs every knob; leave the whole pool out for a fixed one)")]
    Missing(String),
    /// A value out of its range.
    #[error("{name}: {value} is not allowed (hint: {wanted})")]
    Value {
        /// With its section.
        name: String,
        /// As given.
        value: String,
        /// What would be.
        wanted: String,
    },
    /// Two knobs that contradict each other.
    #[error("{name}: {reason}")]
    Contradiction {
        /// The section or knob.
        name: String,
        /// Why.
        reason: String,
    },
    /// A model of no known shape.
    #[error("model: the shape of {name} is not known (hint: one of {known})")]
    Model {
        /// As given.
        name: String,
        /// Those that are.
        known: String,
    },
}

/// A part of the file, with its name.
struct Section<'a> {
    name: String,
    values: Option<&'a Mapping>,
}

impl<'a> Section<'a> {
    /// A part that has only these knobs.
    fn new(name: String, value: Option<&'a Value>, known: &[&str]) -> Result<Self, Error> {
        let values = match value {
            None | Some(Value::Null) => None,
            Some(Value::Mapping(values)) => Some(values),
            Some(other) if name.is_empty() => return Err(Error::Yaml(format!("it is {}", shown(other)))),
            Some(other) => return Err(wrong(name, other, format!("a section with {}", known.join(", ")))),
        };
        let section = Self { name, values };
        for key in values.into_iter().flat_map(Mapping::keys) {
            let text = key.as_str().map_or_else(|| shown(key), ToOwned::to_owned);
            if !known.contains(&text.as_str()) {
                return Err(Error::Unknown { name: section.path(&text), hint: hint(&text, known) });
            }
        }
        Ok(section)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.values.and_then(|values| values.get(key))
    }

    fn part(&self, key: &str, known: &[&str]) -> Result<Section<'a>, Error> {
        Section::new(self.path(key), self.get(key), known)
    }

    /// A number from `least` to `most`; none where the knob is missing.
    fn number(&self, key: &str, least: f64, most: f64) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_f64().filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or_else(|| wrong(self.path(key), value, format!("a number from {least} to {most}")))
    }

    fn needed(&self, key: &str, least: f64, most: f64) -> Result<f64, Error> {
        self.number(key, least, most)?.ok_or_else(|| Error::Missing(self.path(key)))
    }

    fn count(&self, key: &str) -> Result<usize, Error> {
        let most = Cluster::MOST_DEVICES;
        let number = self.needed(key, 1.0, most as f64)?;
        let whole = (number.fract() == 0.0).then_some(number as usize);
        whole.ok_or_else(|| Error::Value {
            name: self.path(key),
            value: number.to_string(),
            wanted: format!("a whole number from 1 to {most}"),
        })
    }

    fn flag(&self, key: &str) -> Result<bool, Error> {
        let Some(value) = self.get(key) else { return Ok(true) };
        value.as_bool().ok_or_else(|| wrong(self.path(key), value, "true or false".to_owned()))
    }
}

fn wrong(name: String, value: &Value, wanted: String) -> Error {
    Error::Value { name, value: shown(value), wanted }
}

/// A value on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => format!("\"{value}\""),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a section".to_owned(),
        Value::Tagged(_) => "a tagged value".to_owned(),
    }
}

fn hint(given: &str, known: &[&str]) -> String {
    let closest = known.iter().min_by_key(|name| strsim::levenshtein(given, name));
    let close = closest.filter(|name| strsim::levenshtein(given, name) * 2 <= name.len());
    close.map_or_else(|| format!("there is {}", known.join(", ")), |name| format!("did you mean {name}?"))
}

pub(super) fn read(text: &str) -> Result<DynamoConfig, Error> {
    let value: Value = yaml_serde::from_str(text).map_err(|error| Error::Yaml(error.to_string()))?;
    let sections = ["model", "split_policy", "cache", "autoscale", "qos"];
    let file = Section::new(String::new(), Some(&value), &sections)?;
    let cache = file.part("cache", &["reuse_prefix", "min_cache_hit_ratio"])?;
    Ok(DynamoConfig {
        model: model(&file)?,
        knobs: knobs(&file, &cache)?,
        reuse_prefix: cache.flag("reuse_prefix")?,
        autoscale: autoscale(&file)?,
        admission: admission(&file)?,
    })
}

fn model(file: &Section<'_>) -> Result<&'static Model, Error> {
    let Some(value) = file.get("model") else { return find("llama-70b") };
    let name = value.as_str().ok_or_else(|| wrong("model".to_owned(), value, "a name".to_owned()))?;
    find(name)
}

fn find(name: &str) -> Result<&'static Model, Error> {
    let full = match name {
        "llama-70b" => "llama-3.1-70b",
        "llama-8b" => "llama-3.1-8b",
        other => other,
    };
    let known = || crate::MODELS.iter().map(|model| model.name).collect::<Vec<_>>().join(", ");
    Model::find(full).ok_or_else(|| Error::Model { name: name.to_owned(), known: known() })
}

/// Knobs of the policy, under their own names.
fn knobs(file: &Section<'_>, cache: &Section<'_>) -> Result<BTreeMap<String, f64>, Error> {
    let policy = crate::policies::dynamo_config::MAKER.knobs;
    let known: Vec<&str> = policy.iter().map(|knob| knob.name).filter(|name| *name != "min_cache_hit_ratio").collect();
    let split = file.part("split_policy", &known)?;
    let mut knobs = BTreeMap::new();
    for knob in policy {
        let (least, most) = knob.range;
        let value = match knob.name {
            "min_cache_hit_ratio" => cache.number(knob.name, least, most)?,
            "enable_hotspot_prevention" => Some(f64::from(u8::from(split.flag(knob.name)?))),
            name => split.number(name, least, most)?,
        };
        knobs.extend(value.map(|value| (knob.name.to_owned(), value)));
    }
    Ok(knobs)
}

fn autoscale(file: &Section<'_>) -> Result<Option<Autoscale>, Error> {
    let section = file.part("autoscale", &["prefill", "decode", "period_s", "start_up_s"])?;
    if section.values.is_none() {
        return Ok(None);
    }
    let plain = Autoscale::default();
    let ns = |key, least, default: i64| {
        Ok(section.number(key, least, 86_400.0)?.map_or(default, |seconds| (seconds * 1e9) as i64))
    };
    let autoscale = Autoscale {
        period_ns: ns("period_s", 0.001, plain.period_ns)?,
        start_up_ns: ns("start_up_s", 0.0, plain.start_up_ns)?,
        prefill: pool(&section, "prefill", "gpu_utilization")?,
        decode: pool(&section, "decode", "kv_cache_usage")?,
    };
    let pools = [autoscale.prefill, autoscale.decode].into_iter().zip(FIXED);
    let most = pools.map(|(scaling, fixed)| scaling.map_or(fixed, |scaling| scaling.most)).sum::<usize>();
    if most > Cluster::MOST_DEVICES {
        let reason = format!("{most} replicas in all are too many (hint: at most {})", Cluster::MOST_DEVICES);
        return Err(Error::Contradiction { name: "autoscale".to_owned(), reason });
    }
    Ok(Some(autoscale))
}

fn pool(autoscale: &Section<'_>, key: &str, usage: &str) -> Result<Option<Scaling>, Error> {
    let pool = autoscale.part(key, &["min_replicas", "max_replicas", "scale_up", "scale_down"])?;
    if pool.values.is_none() {
        return Ok(None);
    }
    let load = |key| {
        let limits = pool.part(key, &["queue_length", usage])?;
        let usage_ratio = limits.needed(usage, 0.0, 100.0)? / 100.0;
        Ok(Load { queue_length: limits.needed("queue_length", 0.0, 1e9)?, usage_ratio })
    };
    let (least, most) = (pool.count("min_replicas")?, pool.count("max_replicas")?);
    let (up, down): (Load, Load) = (load("scale_up")?, load("scale_down")?);
    let against =
        |key: &str, reason: &str| Err(Error::Contradiction { name: pool.path(key), reason: reason.to_owned() });
    if least > most {
        return against("min_replicas", "it is above max_replicas");
    }
    if down.queue_length >= up.queue_length {
        return against("scale_down.queue_length", "it must be below scale_up's, or the pool would go up and down");
    }
    if down.usage_ratio >= up.usage_ratio {
        return against(
            &format!("scale_down.{usage}"),
            "it must be below scale_up's, or the pool would go up and down",
        );
    }
    Ok(Some(Scaling { least, most, up, down }))
}

fn admission(file: &Section<'_>) -> Result<EarlyRejection, Error> {
    let qos = file.part("qos", &["enable_early_rejection", "low_priority_threshold_ms", "reject_on_slo_violation"])?;
    let limit_ms = qos.number("low_priority_threshold_ms", 0.001, 1e9)?.unwrap_or(500.0);
    Ok(EarlyRejection {
        free_ttft_ns: qos.flag("enable_early_rejection")?.then_some((limit_ms * 1e6) as i64),
        predicted: qos.flag("reject_on_slo_violation")?.then(Predicted::default),
    })
}
