//! Power of devices over time, from power samples and from energy counters.
//!
//! A power sample counts as a step over its interval: samplers and importers give each value the time since the one before
//! it, and since Ampere NVML's power draw is an average of the past second (`nvmlDeviceGetPowerUsage`), so that a straight
//! line between two values (the trapezoid rule) would claim a precision that the readings lack. Of an energy counter
//! the difference of two readings is the energy between them, taken as evenly spent; where it falls (it was reset, or it ran
//! over) the energy of that interval is not known.

use std::collections::BTreeMap;

use proftool_timeline::weighted::Weighted;
use proftool_trace::frame::Tables;
use proftool_trace::sampled;

use super::series::{self, Series};
use super::weighted;
use crate::Error;
use crate::metrics::roofline_energy::{LEAST_COVERAGE, watts};
use crate::model::DeviceKey;
use crate::operators::{Span, total};

/// Units of energy and what one of each is in joules.
const UNITS: &[(&str, f64)] = &[
    ("j", 1.0),
    ("joule", 1.0),
    ("joules", 1.0),
    ("mj", 1e-3),
    ("millijoule", 1e-3),
    ("millijoules", 1e-3),
    ("uj", 1e-6),
    ("microjoules", 1e-6),
    ("kwh", 3.6e6),
];

/// Words of the names of energies that are counted from some beginning on; others are those of each interval, or unknown.
const COUNTERS: &[&str] = &["total", "counter", "accumulated", "accumulator", "cumulative", "consumption"];

/// Metrics of NVML's power draw, in lower case: since Ampere, except GA100, the average of the last second.
const AVERAGES: &[&str] = &[sampled::POWER.name, "power.draw", "power.draw.average", "dcgm_fi_dev_power_usage"];

/// Over how much of the past NVML's power draw is an average.
const AVERAGED_NS: i64 = 1_000_000_000;

/// The first compute capability of Ampere is GA100's, whose power draw is that of the instant.
const GA100: u32 = 80;

/// Where power comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Differences of a counter of energy.
    Counter,
    /// Samples of power.
    Samples,
}

impl Source {
    /// The name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter => "energy_counter",
            Self::Samples => "power_samples",
        }
    }
}

/// The power of one device in watts.
pub(crate) struct Power {
    pub(crate) source: Source,
    /// The metric that tells it.
    pub(crate) metric: String,
    pub(crate) watts: Weighted,
    /// Intervals in which the counter fell.
    pub(crate) falls: i64,
}

impl Power {
    /// How much of the past each reading is an average of, besides its interval, on a device of that architecture (of an
    /// unknown one the longer time).
    pub(crate) fn averaged_ns(&self, arch: Option<&str>) -> i64 {
        let averages = AVERAGES.contains(&self.metric.to_ascii_lowercase().as_str());
        let capability = arch.and_then(|arch| arch.strip_prefix("sm_")?.parse::<u32>().ok());
        if averages && capability.is_none_or(|capability| capability > GA100) { AVERAGED_NS } else { 0 }
    }
}

/// What a value of the metric is in joules since some beginning; `None` for a metric that is no counter of energy.
fn joules(metric: &str, unit: Option<&str>) -> Option<f64> {
    let name = metric.to_ascii_lowercase();
    let counts = name.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| COUNTERS.contains(&word));
    let unit = unit?.trim().to_ascii_lowercase();
    let scale = UNITS.iter().find(|(known, _)| *known == unit)?.1;
    (counts || name == sampled::ENERGY.name).then_some(scale)
}

/// The powers of each device, the best first: counters before samples, then by the name of the metric.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(crate) fn read(tables: &Tables, pass: &str) -> Result<BTreeMap<DeviceKey, Vec<Power>>, Error> {
    let mut devices: BTreeMap<DeviceKey, Vec<Power>> = BTreeMap::new();
    let mut put = |device, power: Power| {
        if power.watts.extent().is_some() {
            devices.entry(device).or_default().push(power);
        }
    };
    for series in series::read_raw(tables, pass, |metric, unit| joules(metric, unit).is_some())? {
        put(series.device, counted(&series));
    }
    for series in series::read(tables, pass, |metric, unit| watts(metric, unit).is_some())? {
        let scale = watts(&series.metric, series.unit.as_deref()).unwrap_or(1.0);
        let watts = weighted(&series, scale);
        put(series.device, Power { source: Source::Samples, metric: series.metric, watts, falls: 0 });
    }
    for powers in devices.values_mut() {
        let key = |power: &Power| (power.source, power.metric != sampled::POWER.name, power.metric.clone());
        powers.sort_by_cached_key(key);
    }
    Ok(devices)
}

/// The board power of each device that states it: no reading, but the most that it draws, for as long as the log lasts.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(crate) fn board(tables: &Tables, pass: &str) -> Result<BTreeMap<DeviceKey, Power>, Error> {
    let all = series::read(tables, pass, |metric, unit| {
        metric == sampled::BOARD_POWER.name && unit == Some(sampled::BOARD_POWER.unit)
    })?;
    let power = |series: Series| {
        let watts = weighted(&series, 1.0);
        (series.device, Power { source: Source::Samples, metric: series.metric, watts, falls: 0 })
    };
    Ok(all.into_iter().map(power).collect())
}

/// The power between each two readings of a counter.
fn counted(series: &Series) -> Power {
    let scale = joules(&series.metric, series.unit.as_deref()).unwrap_or(1.0);
    let (mut pieces, mut falls) = (Vec::new(), 0);
    for pair in series.readings().windows(2) {
        let ((from, before), (to, after)) = (pair[0], pair[1]);
        if after < before {
            falls += 1;
            continue;
        }
        let seconds = (i128::from(to) - i128::from(from)) as f64 / 1e9;
        pieces.push(((from, to), (after - before) * scale / seconds));
    }
    Power { source: Source::Counter, metric: series.metric.clone(), watts: Weighted::of(pieces), falls }
}

/// The power to take for some windows: the first whose readings cover nearly all of them, else that which covers most.
pub(crate) fn best<'p>(powers: &'p [Power], windows: &[Span]) -> Option<&'p Power> {
    let covered: Vec<i64> = powers.iter().map(|power| power.watts.over(windows).covered_ns()).collect();
    let enough = total(windows) as f64 * LEAST_COVERAGE;
    let first = covered.iter().position(|covered| *covered as f64 >= enough);
    let most = || covered.iter().enumerate().rev().max_by_key(|(_, covered)| **covered).map(|(at, _)| at);
    powers.get(first.or_else(most)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::series::{FixtureMetric, put};

    const SECOND: i64 = 1_000_000_000;

    fn powers(metrics: &[FixtureMetric<'_>]) -> Vec<Power> {
        let mut tables = Tables::default();
        put(&mut tables, metrics);
        read(&tables, "host").unwrap().remove(&(0, 0)).unwrap_or_default()
    }

    #[test]
    fn counters_are_known_by_unit_and_name() {
        assert_eq!(joules("nvml.energy_j", Some("J")), Some(1.0));
        assert_eq!(joules("total_energy_consumption", Some("mJ")), Some(1e-3));
        assert_eq!(joules("energy-pkg", Some("Joules")), None, "it may be that of each interval");
        assert_eq!(joules("total energy", None), None);
        assert_eq!(joules("total power", Some("W")), None);
    }

    #[test]
    fn the_difference_of_two_readings_is_the_energy_between_them() {
        // 100 J until 1 s, 300 J until 3 s; then the driver is loaded again.
        let readings =
            [(0, 0, 5000.0), (0, SECOND, 5100.0), (SECOND, 3 * SECOND, 5400.0), (3 * SECOND, 4 * SECOND, 7.0)];
        let powers = powers(&[("nvml.energy_j", "J", &readings)]);
        assert_eq!((powers.len(), powers[0].source.name(), powers[0].falls), (1, "energy_counter", 1));
        let joules = |span| powers[0].watts.over(&[span]).integral().map(|value| value / 1e9);
        assert_eq!(joules((0, 4 * SECOND)), Some(400.0));
        // Half of the first interval and a quarter of the second.
        assert_eq!(joules((SECOND / 2, SECOND + SECOND / 2)), Some(50.0 + 75.0));
        assert_eq!(joules((3 * SECOND, 4 * SECOND)), None);
    }

    #[test]
    fn a_counter_is_taken_where_it_covers_the_windows_and_samples_elsewhere() {
        let readings = [(0, 0, 0.0), (0, 10, 1.0)];
        let samples = [(0, 100, 50.0)];
        let powers = powers(&[
            ("board power", "W", &samples),
            ("nvml.power_w", "W", &samples),
            ("nvml.energy_j", "J", &readings),
        ]);
        let metrics: Vec<&str> = powers.iter().map(|power| power.metric.as_str()).collect();
        assert_eq!(metrics, ["nvml.energy_j", "nvml.power_w", "board power"]);
        let best = |windows: &[Span]| best(&powers, windows).unwrap().metric.as_str();
        assert_eq!(
            (best(&[(0, 10)]), best(&[(0, 11)]), best(&[(0, 50)])),
            ("nvml.energy_j", "nvml.energy_j", "nvml.power_w")
        );
        assert_eq!(best(&[(500, 600)]), "nvml.energy_j", "nothing covers them: the first");
    }

    #[test]
    fn the_power_draw_of_newer_devices_is_an_average() {
        let powers = powers(&[("nvml.power_w", "W", &[(0, 1, 5.0)]), ("module power", "W", &[(0, 1, 5.0)])]);
        let averaged = |arch| powers[0].averaged_ns(arch);
        assert_eq!([Some("sm_70"), Some("sm_80"), Some("sm_90"), None].map(averaged), [0, 0, SECOND, SECOND]);
        assert_eq!(powers[1].averaged_ns(Some("sm_90")), 0);
    }

    #[test]
    fn board_power_is_no_reading_and_is_read_apart() {
        let mut tables = Tables::default();
        put(&mut tables, &[("board_power_w", "W", &[(0, SECOND, 700.0)])]);
        assert!(read(&tables, "host").unwrap().is_empty());
        let board = board(&tables, "host").unwrap();
        assert_eq!(board[&(0, 0)].watts.over(&[(0, SECOND)]).mean(), Some(700.0));
    }

    #[test]
    fn any_reading_has_an_answer() {
        let readings = [(i64::MIN, i64::MIN, -1e308), (0, i64::MAX, 1e308), (0, i64::MAX, f64::NAN), (0, 0, 0.0)];
        let powers = powers(&[("nvml.energy_j", "kWh", &readings)]);
        for power in &powers {
            assert!(power.watts.over(&[(i64::MIN, i64::MAX)]).integral().is_none_or(f64::is_finite));
        }
    }
}
