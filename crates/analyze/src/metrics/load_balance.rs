//! How evenly the devices of a serving run were loaded.
//!
//! Compared are devices of one role: those that compute prompts, those that decode, those that do both. Time is busy time
//! over the time that a device was up, so that one that failed or was added later is no idle one. max / mean is 1 where
//! all have the same and the number of devices where one does everything; CV is the standard deviation (of all values) over
//! the mean.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::device_load::{Device, read};
use super::serving::{PASS, SIMULATED};
use super::{Input, Metric, Output, RUN, TARGET};
use crate::Error;
use crate::operators::Span;
use crate::requests::Log;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "load_balance",
    doc: "How evenly devices of the same role were busy, and how evenly requests and tokens were spread.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "load_balance",
    doc: "The devices of one role.",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        text("role", "`prefill`, `decode`, `mixed`, or `none`: devices that did nothing and state no role."),
        int("devices", "Devices."),
        int("idle_devices", "Those that were never busy.").or_null(),
        int("most_busy_device", "The busiest; of equal ones the one with the lowest number.").or_null(),
        float("busy_mean_ratio", "Mean share of busy time.").or_null(),
        float("busy_max_ratio", "The largest.").or_null(),
        float("imbalance_ratio", "busy_max_ratio / busy_mean_ratio: 1 is even.").or_null(),
        float("busy_cv_ratio", "Standard deviation of the shares / their mean.").or_null(),
        int("requests", "Prefills (of devices that decode only: stretches of decoding) that began there.").or_null(),
        float("requests_imbalance_ratio", "Most of a device / mean.").or_null(),
        int("tokens", "Prompt and output tokens of their steps.").or_null(),
        float("tokens_imbalance_ratio", "Most of a device / mean.").or_null(),
    ],
};

/// What a device did.
struct Told {
    number: i64,
    /// Share of its time.
    busy: Option<f64>,
    requests: Option<i64>,
    tokens: Option<i64>,
}

struct Row<'l> {
    log: &'l Log,
    role: &'static str,
    devices: Vec<Told>,
}

const ROLES: [&str; 4] = ["prefill", "decode", "mixed", "none"];

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = Vec::new();
    for log in input.logs()? {
        let Some(window) = log.window() else { continue };
        let devices = read(input, log, window)?;
        for role in ROLES {
            let own = devices.iter().filter(|device| device.role.as_deref().unwrap_or("none") == role);
            let devices: Vec<_> = own.map(|device| told(device, window)).collect();
            if !devices.is_empty() {
                rows.push(Row { log, role, devices });
            }
        }
    }
    Output::new(input.run, input.target, &rows)
        .text("pass", |row| Some(&row.log.pass))
        .bool("simulated", |row| Some(row.log.simulated))
        .text("role", |row| Some(row.role))
        .int("devices", |row| Some(row.devices.len() as i64))
        .int("idle_devices", |row| Some(row.busy()?.iter().filter(|busy| **busy <= 0.0).count() as i64))
        .int("most_busy_device", Row::busiest)
        .float("busy_mean_ratio", |row| mean(&row.busy()?))
        .float("busy_max_ratio", |row| row.busy()?.into_iter().reduce(f64::max))
        .float("imbalance_ratio", |row| imbalance(&row.busy()?))
        .float("busy_cv_ratio", |row| variation(&row.busy()?))
        .int("requests", |row| row.sum(|device| device.requests))
        .float("requests_imbalance_ratio", |row| imbalance(&row.values(|device| device.requests)?))
        .int("tokens", |row| row.sum(|device| device.tokens))
        .float("tokens_imbalance_ratio", |row| imbalance(&row.values(|device| device.tokens)?))
        .build(&TABLE)
}

fn told(device: &Device, window: Span) -> Told {
    // A device that was never up has no share of anything.
    let share = device.busy_ratio(window);
    let decodes_only = device.role.as_deref() == Some("decode");
    let requests = device.starts.as_ref().map(|starts| starts[usize::from(decodes_only)].len() as i64);
    let tokens = device.tokens(window, true).map(|tokens| tokens[0].saturating_add(tokens[1]));
    // Other devices have steps: this one computed no token.
    let tokens = tokens.or_else(|| (device.busy_source == "steps").then_some(0));
    Told { number: device.key.1, busy: share, requests, tokens }
}

impl Row<'_> {
    fn busy(&self) -> Option<Vec<f64>> {
        let known: Vec<f64> = self.devices.iter().filter_map(|device| device.busy).collect();
        (!known.is_empty()).then_some(known)
    }

    fn busiest(&self) -> Option<i64> {
        let known = self.devices.iter().filter_map(|device| Some((device.number, device.busy?)));
        let most = known.reduce(|best, device| if device.1 > best.1 { device } else { best })?;
        (most.1 > 0.0).then_some(most.0)
    }

    fn values(&self, value: impl Fn(&Told) -> Option<i64>) -> Option<Vec<f64>> {
        self.devices.iter().map(|device| value(device).map(|value| value as f64)).collect()
    }

    fn sum(&self, value: impl Fn(&Told) -> Option<i64>) -> Option<i64> {
        self.devices.iter().map(value).try_fold(0, |sum: i64, value| Some(sum.saturating_add(value?)))
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The largest over the mean; none where all are 0.
fn imbalance(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|mean| *mean > 0.0)?;
    Some(values.iter().copied().fold(0.0, f64::max) / mean)
}

fn variation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|mean| *mean > 0.0)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / values.len() as f64).sqrt() / mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};

    #[test]
    fn devices_are_compared_with_those_of_their_role() {
        let fixture = Fixture::new()
            .request(0, Some(30), Some(100), 5)
            .event("prefill", Some(0), (0, 30))
            .event("decode", Some(1), (30, 100))
            .device(3, "simulated", None)
            .step(0, (0, 30), 100, 0)
            .step(1, (30, 100), 0, 4)
            .step(2, (0, 10), 0, 2);
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        assert_eq!(texts(&frame, "role").unwrap(), ["prefill", "decode", "none"].map(|role| Some(role.to_owned())));
        let (ints, floats) = (|name| ints(&frame, name).unwrap(), |name| floats(&frame, name).unwrap());
        assert_eq!(
            (ints("devices"), ints("idle_devices")),
            (vec![Some(1), Some(2), Some(1)], vec![Some(0), Some(0), Some(1)])
        );
        // Busy 0.7 and 0.1: mean 0.4, deviation 0.3.
        assert!((floats("imbalance_ratio")[1].unwrap() - 1.75).abs() < 1e-12);
        assert!((floats("busy_cv_ratio")[1].unwrap() - 0.75).abs() < 1e-12);
        assert_eq!((ints("most_busy_device")[1], floats("tokens_imbalance_ratio")[1]), (Some(1), Some(4.0 / 3.0)));
        assert_eq!((ints("requests"), ints("tokens")[2]), (vec![Some(1), Some(1), Some(0)], Some(0)));
        assert_eq!((floats("imbalance_ratio")[2], ints("most_busy_device")[2]), (None, None));
    }
}
