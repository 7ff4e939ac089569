//! What the devices of a pass cost in its window.

use std::collections::BTreeMap;

use proftool_trace::tables;

use crate::Error;
use crate::metrics::Input;
use crate::model::{DeviceKey, Rows};
use crate::operators::{Span, gaps, into_union, total};
use crate::requests::Log;
use crate::samples::{power, series};

/// A power reading counts where the readings cover at least this share of the time in which the device was up.
const LEAST_COVERAGE: f64 = 0.9;

/// Money and energy of all devices of a pass; null where one of them states none. Where nobody read a device's power, its
/// energy is that at board power, the most that it can be.
#[derive(Clone, Debug, Default)]
pub(super) struct Cost {
    pub(super) dollars: Option<f64>,
    pub(super) joules: Option<f64>,
    /// The metrics that tell the power.
    pub(super) source: Option<String>,
}

impl Cost {
    pub(super) fn of(input: &Input, log: &Log) -> Result<Self, Error> {
        let Some(window) = log.window() else { return Ok(Self::default()) };
        let prices = prices(input, &log.pass)?;
        if prices.is_empty() {
            return Ok(Self::default());
        }
        let up = up(input, log, window, prices.keys())?;
        let hours = |device: &DeviceKey| total(&up[device]) as f64 / 3.6e12;
        let dollars = prices.iter().map(|(device, price)| Some((*price)? * hours(device))).sum::<Option<f64>>();
        let (powers, boards) = (power::read(input.tables, &log.pass)?, power::board(input.tables, &log.pass)?);
        let (mut joules, mut names) = (Some(0.0), Vec::new());
        for (device, windows) in &up {
            let read = powers.get(device).and_then(|powers| power::best(powers, windows));
            let power = read.or_else(|| boards.get(device));
            let own = power.and_then(|power| energy(power, windows));
            joules = joules.zip(own).map(|(sum, own)| sum + own);
            names.extend(power.map(|power| power.metric.clone()));
        }
        names.sort_unstable();
        names.dedup();
        let source = joules.is_some().then(|| names.join(", "));
        Ok(Self { dollars: dollars.filter(|dollars| *dollars > 0.0), joules: joules.filter(|sum| *sum > 0.0), source })
    }
}

/// Energy in joules; none where the readings tell too little of the windows. A device that was never up took none.
fn energy(power: &power::Power, windows: &[Span]) -> Option<f64> {
    if windows.is_empty() {
        return Some(0.0);
    }
    let held = power.watts.over(windows);
    let enough = held.covered_ns() as f64 >= total(windows) as f64 * LEAST_COVERAGE;
    Some(held.mean().filter(|_| enough)? * total(windows) as f64 / 1e9)
}

/// The devices of a pass and their prices an hour.
fn prices(input: &Input, pass: &str) -> Result<BTreeMap<DeviceKey, Option<f64>>, Error> {
    let rows = Rows::of_pass(input.tables.get(&tables::DEVICES), pass)?;
    let (ranks, devices, prices) = (rows.ints("rank")?, rows.ints("device")?, rows.floats("cost_per_hour")?);
    Ok(ranks.into_iter().zip(devices).zip(prices).collect())
}

/// The parts of the window in which each device cost money: all of it but for the time in which its samples `paid`, or
/// `up` where it has none of those, are 0.
fn up<'d>(
    input: &Input,
    log: &Log,
    window: Span,
    devices: impl Iterator<Item = &'d DeviceKey>,
) -> Result<BTreeMap<DeviceKey, Vec<Span>>, Error> {
    let mut known = series::read(input.tables, &log.pass, |metric, _| matches!(metric, "paid" | "up"))?;
    // What is paid decides, so it comes last.
    known.sort_by_key(|series| series.metric == "paid");
    let mut down: BTreeMap<DeviceKey, Vec<Span>> = BTreeMap::new();
    for series in known {
        let pieces = series.pieces().filter(|(_, value)| *value <= 0.0).map(|(span, _)| span);
        down.insert(series.device, pieces.collect());
    }
    let mut up = |device: DeviceKey| (device, gaps(&into_union(down.remove(&device).unwrap_or_default()), window));
    Ok(devices.map(|device| up(*device)).collect())
}
