//! What network adapters moved, from their sampled rates.
//!
//! An adapter counts all traffic, not that of KV caches alone, and every transfer once where it leaves and once where it
//! arrives: of each rank the direction counts that moved more bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proftool_trace::tables;

use super::Input;
use super::hosts::{HostFlight, Hosts};
use crate::Error;
use crate::model::{Model, Rows};

/// Parts of the names of metrics, in lower case, that count what leaves and what arrives.
const SENT: &[&str] = &["sent", "xmit", "transmit", "tx"];
const RECEIVED: &[&str] = &["received", "rcv", "rx"];

const NOTE: &str = "all traffic of the network adapters, whatever it carried, in the direction that moved more bytes";

/// A rate of an adapter.
#[derive(Clone, Copy)]
struct Rate {
    sent: bool,
    /// Bytes a nanosecond of one unit.
    scale: f64,
}

/// The intervals in which adapters moved something. Adapters are the sampled devices that the table `devices` lacks.
pub(super) fn read(input: &Input, model: &Model) -> Result<Hosts, Error> {
    let rates = rates(input, model)?;
    if rates.is_empty() {
        return Ok(Hosts::default());
    }
    let devices: BTreeSet<(i64, i64)> = model.devices.iter().map(|device| device.key).collect();
    let rows = Rows::of_pass(input.tables.get(&tables::SAMPLES), &model.pass)?;
    let (ranks, numbers, defs) = (rows.ints("rank")?, rows.ints("device")?, rows.ints("def")?);
    let (starts, ends, values) = (rows.ints("start_ns")?, rows.ints("end_ns")?, rows.floats("value")?);
    let mut directions: BTreeMap<i64, [(f64, Vec<HostFlight>); 2]> = BTreeMap::new();
    for at in 0..ranks.len() {
        let Some(rate) = rates.get(&(ranks[at], defs[at])) else { continue };
        let span = (starts[at], ends[at].max(starts[at]));
        let value = values[at].filter(|value| value.is_finite() && *value > 0.0);
        let (Some(value), false) = (value, devices.contains(&(ranks[at], numbers[at]))) else { continue };
        let bytes = value * rate.scale * (i128::from(span.1) - i128::from(span.0)) as f64;
        let (sum, flights) = &mut directions.entry(ranks[at]).or_default()[usize::from(rate.sent)];
        *sum += bytes;
        // The cast saturates.
        flights.push(HostFlight { rank: ranks[at], span, bytes: Some(bytes.round() as i64) });
    }
    let larger =
        directions.into_values().flat_map(|[received, sent]| if received.0 > sent.0 { received.1 } else { sent.1 });
    Ok(Hosts::new("nic", NOTE, larger.collect()))
}

/// The rates of bytes that are sampled, by rank and def.
fn rates(input: &Input, model: &Model) -> Result<HashMap<(i64, i64), Rate>, Error> {
    let rows = Rows::of_pass(input.tables.get(&tables::COUNTER_DEFS), &model.pass)?;
    let keys = rows.ints("rank")?.into_iter().zip(rows.ints("def")?);
    let named = rows.texts("metric")?.into_iter().zip(rows.texts("unit")?);
    let rate = |(key, (metric, unit)): ((i64, i64), (Option<String>, Option<String>))| {
        let words = crate::phases::words(&metric?);
        let has = |parts: &[&str]| words.iter().any(|word| parts.contains(&word.as_str()));
        let sent = has(SENT);
        (sent || has(RECEIVED)).then_some(())?;
        Some((key, Rate { sent, scale: bytes_per_ns(&unit?)? }))
    };
    Ok(keys.zip(named).filter_map(rate).collect())
}

/// How many bytes a nanosecond one of a unit is: `bytes/ms`, `MB/s`, `GiB/s`, `Gbit/s`, `Gb/s` (bits). `None` for a unit
/// that is no rate of bytes.
fn bytes_per_ns(unit: &str) -> Option<f64> {
    let (amount, time) = unit.trim().split_once('/')?;
    let ns = match time.trim() {
        "s" | "sec" | "second" => 1e9,
        "ms" => 1e6,
        "us" => 1e3,
        "ns" => 1.0,
        _ => return None,
    };
    let amount = amount.trim();
    let known =
        [("bytes", 1.0), ("byte", 1.0), ("Bytes", 1.0), ("bits", 0.125), ("bit", 0.125), ("B", 1.0), ("b", 0.125)];
    let (prefix, size) = known.iter().find_map(|(name, size)| Some((amount.strip_suffix(name)?, size)))?;
    let factor = match prefix.trim() {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        _ => return None,
    };
    Some(size * factor / ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_rates_become_bytes_a_nanosecond() {
        for (unit, per_second) in [
            ("B/s", 1.0),
            ("bytes/ms", 1e3),
            ("MB/s", 1e6),
            ("GiB/s", 1_073_741_824.0),
            ("Gb/s", 0.125e9),
            ("kbit/s", 125.0),
        ] {
            let found = bytes_per_ns(unit).unwrap() * 1e9;
            assert!((found / per_second - 1.0).abs() < 1e-12, "{unit}: {found}");
        }
        for unit in ["packets/s", "%", "bytes", "B/h", "xB/s", ""] {
            assert_eq!(bytes_per_ns(unit), None, "{unit}");
        }
    }
}
