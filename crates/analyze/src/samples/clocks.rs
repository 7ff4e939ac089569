//! Clocks of devices and the reasons for which they are low, known by the names that samplers give them.

use proftool_timeline::weighted::Weighted;
use proftool_trace::sampled::{REASONS, Reason, THROTTLE};

use super::series::Series;
use super::weighted;
use crate::operators::{Span, into_union};

/// What a clock drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Domain {
    /// The compute units.
    Compute,
    /// The memory.
    Memory,
    /// Anything else.
    Other,
}

impl Domain {
    /// The name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory => "memory",
            Self::Other => "other",
        }
    }
}

/// Words of clocks' names, and what drives what. The names are those of NVML (`nvml.sm_clock_hz`), nvidia-smi
/// (`clocks.current.sm`), Nsight Systems (`GPC Clock Frequency`), DCGM (`DCGM_FI_DEV_SM_CLOCK`), and AMD's tools (`sclk`).
const CLOCKS: &[&str] = &["clock", "clocks", "sclk", "mclk", "gfxclk", "uclk", "freq", "frequency"];
const COMPUTE: &[&str] = &["gpc", "sm", "gr", "graphics", "gfx", "sclk", "gfxclk"];
const MEMORY: &[&str] = &["mem", "memory", "mclk", "uclk", "dram"];
/// Words of settings, and of what is no clock.
const NO_READINGS: &[&str] =
    &["max", "min", "limit", "default", "application", "applications", "target", "throttle", "reason", "reasons"];

/// Units of clocks in hertz.
const UNITS: &[(&str, f64)] = &[("hz", 1.0), ("khz", 1e3), ("mhz", 1e6), ("ghz", 1e9)];

fn words(name: &str) -> Vec<String> {
    let lower = name.to_ascii_lowercase();
    let words = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// What a metric is the clock of, and what one of its unit is in hertz; `None` for one that is no reading of a clock.
pub(crate) fn clock(metric: &str, unit: Option<&str>) -> Option<(Domain, f64)> {
    let words = words(metric);
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    if !has(CLOCKS) || has(NO_READINGS) {
        return None;
    }
    let unit = unit.map(|unit| unit.trim().to_ascii_lowercase()).or_else(|| words.last().cloned())?;
    let scale = UNITS.iter().find(|(known, _)| *known == unit)?.1;
    let domain = match () {
        () if has(MEMORY) => Domain::Memory,
        () if has(COMPUTE) => Domain::Compute,
        () => Domain::Other,
    };
    Some((domain, scale))
}

/// What a metric about reasons holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// NVML's mask of all reasons.
    Mask,
    /// One of the reasons, 0 or not.
    One(&'static Reason),
    /// A reason that NVML does not name.
    Unknown(String),
}

/// What a metric tells about the reasons for a low clock; `None` for another metric.
pub(crate) fn told(metric: &str) -> Option<Told> {
    let name = metric.to_ascii_lowercase();
    let of = |reason: &str| REASONS.iter().find(|known| known.name == reason).map(Told::One);
    if let Some(reason) = name.strip_prefix(THROTTLE) {
        return Some(of(reason).unwrap_or_else(|| Told::Unknown(reason.to_owned())));
    }
    // `clocks_event_reasons.active`, `clocks_throttle_reasons.hw_slowdown`, `DCGM_FI_DEV_CLOCK_THROTTLE_REASONS`.
    let (before, reason) = name.split_once("_reasons")?;
    if !before.contains("throttle") && !before.contains("event") {
        return None;
    }
    match reason.trim_start_matches('.') {
        "" | "active" => Some(Told::Mask),
        "supported" => None,
        reason => Some(of(reason).unwrap_or_else(|| Told::Unknown(reason.to_owned()))),
    }
}

/// One reason as a metric tells it.
pub(crate) struct Held {
    pub(crate) name: String,
    /// Whether it takes speed from a device that has work; null for a reason that NVML does not name.
    pub(crate) slows: Option<bool>,
    pub(crate) metric: String,
    /// The samples.
    pub(crate) samples: Weighted,
    /// When it held: a set.
    pub(crate) on: Vec<Span>,
}

/// The reasons that a series tells, each with the times at which it held.
pub(crate) fn held(series: &Series) -> Vec<Held> {
    let one = |name: &str, slows, holds: &dyn Fn(f64) -> bool| {
        let on = series.pieces().filter(|(_, value)| holds(*value)).map(|(span, _)| span).collect();
        Held {
            name: name.to_owned(),
            slows,
            metric: series.metric.clone(),
            samples: weighted(series, 1.0),
            on: into_union(on),
        }
    };
    // The cast saturates: a value below 0 is no mask and has no bit.
    let bit = |reason: &Reason, value: f64| (value as u64) & reason.bit != 0;
    match told(&series.metric) {
        None => Vec::new(),
        Some(Told::Mask) => {
            REASONS.iter().map(|reason| one(reason.name, Some(reason.slows), &|value| bit(reason, value))).collect()
        }
        Some(Told::One(reason)) => vec![one(reason.name, Some(reason.slows), &|value| value > 0.0)],
        Some(Told::Unknown(name)) => vec![one(&name, None, &|value| value > 0.0)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_known_by_their_names_and_settings_are_none() {
        assert_eq!(clock("nvml.sm_clock_hz", Some("Hz")), Some((Domain::Compute, 1.0)));
        assert_eq!(clock("nvml.memory_clock_hz", None), Some((Domain::Memory, 1.0)));
        assert_eq!(clock("GPC Clock Frequency [MHz]", Some("Hz")), Some((Domain::Compute, 1.0)));
        assert_eq!(clock("SYS Clock Frequency [MHz]", None), Some((Domain::Other, 1e6)));
        assert_eq!(clock("clocks.current.graphics", Some("MHz")), Some((Domain::Compute, 1e6)));
        for name in ["clocks.max.sm", "clocks.applications.memory", "clocks_throttle_reasons.active", "SM Active"] {
            assert_eq!(clock(name, Some("MHz")), None, "{name}");
        }
        assert_eq!(clock("GPC Clock", Some("%")), None);
    }

    #[test]
    fn reasons_are_known_by_their_names() {
        let reason = |name: &str| REASONS.iter().find(|reason| reason.name == name).map(Told::One);
        assert_eq!(told("nvml.throttle.sw_power_cap"), reason("sw_power_cap"));
        assert_eq!(told("clocks_event_reasons.hw_thermal_slowdown"), reason("hw_thermal_slowdown"));
        assert_eq!(told("clocks_throttle_reasons.active"), Some(Told::Mask));
        assert_eq!(told("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"), Some(Told::Mask));
        assert_eq!(told("nvml.throttle.reliability"), Some(Told::Unknown("reliability".to_owned())));
        assert_eq!(told("clocks_throttle_reasons.supported"), None);
        assert_eq!((told("stop_reasons"), told("SM Active")), (None, None));
    }
}
