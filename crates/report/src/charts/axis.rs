//! Axes that choose their own kind, unit and ticks from the values that they must show.

use super::plane::time_unit;
use super::scale::{Scale, linear_ticks, tick_label};
use crate::format;

/// A logarithmic axis with more values 1, 2 and 5 times a power of ten than this labels the powers alone.
const MOST_LABELS: usize = 9;
/// An axis of latencies is logarithmic where its ends are further apart than this.
const WIDE: f64 = 30.0;

/// What the numbers of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Nanoseconds from 0 on, linear.
    Time,
    /// Nanoseconds, logarithmic where they differ much.
    Latency,
    /// Ratios, shown as percentages up to 100.
    Share,
    /// Numbers from 0 on.
    Count,
}

impl Quantity {
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Time | Self::Latency => format::duration(value as i64),
            Self::Share => format::percent(value),
            Self::Count => format::significant(value),
        }
    }

    /// The axis over values, what they are divided by, the ticks as divided values, and the unit.
    pub(super) fn axis(self, values: impl Iterator<Item = f64>, range: (f64, f64)) -> Axis {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let high = values.iter().copied().fold(0.0, f64::max);
        let low = values.iter().copied().filter(|value| *value > 0.0).fold(high, f64::min);
        let wanted = ((range.1 - range.0).abs() / if range.0 < range.1 { 78.0 } else { 34.0 }) as u32;
        match self {
            Self::Latency if high > low * WIDE => Axis::logarithmic(low, high, range),
            Self::Time | Self::Latency => {
                let (unit, name) = time_unit(high);
                Axis::linear(high / unit, (unit, name), range, wanted)
            }
            Self::Share => Axis::linear(100.0, (0.01, "%"), range, wanted),
            Self::Count => Axis::linear(high, (1.0, ""), range, wanted),
        }
    }
}

/// An axis with its ticks.
pub(super) struct Axis {
    pub(super) scale: Scale,
    /// What a value is divided by.
    unit: f64,
    pub(super) name: &'static str,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    fn linear(high: f64, (unit, name): (f64, &'static str), range: (f64, f64), wanted: u32) -> Self {
        let scale = Scale::linear(0.0, if high > 0.0 { high } else { 1.0 }, range);
        let ticks = linear_ticks(0.0, scale.ends().1, wanted.max(2));
        let ticks = ticks.iter().map(|tick| (*tick, tick_label(*tick, &ticks))).collect();
        Self { scale, unit, name, ticks }
    }

    /// From the largest 1, 2 or 5 times a power of ten that is not above the least value to the smallest above the most.
    fn logarithmic(low: f64, high: f64, range: (f64, f64)) -> Self {
        // The unit of the middle of the axis: nearly all labels are then short.
        let (unit, name) = time_unit((low.max(1.0) * high).sqrt());
        let rounds: Vec<f64> =
            (-12..=18).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power))).collect();
        let (low, high) = (low / unit, high / unit);
        let from = rounds.iter().copied().rfind(|value| *value <= low * 1.000_001).unwrap_or(low);
        let to = rounds.iter().copied().find(|value| *value >= high * 0.999_999).unwrap_or(high);
        let scale = Scale::log(from, to, range);
        let inside = |value: &&f64| **value >= from * 0.999 && **value <= to * 1.001;
        let all: Vec<f64> = rounds.iter().filter(inside).copied().collect();
        let is_power = |value: &f64| (value.log10() - value.log10().round()).abs() < 1e-9;
        let few = all.len() <= MOST_LABELS;
        let ticks = all.into_iter().filter(|value| few || is_power(value)).map(|value| (value, plain(value))).collect();
        Self { scale, unit, name, ticks }
    }

    pub(super) fn pixel(&self, value: f64) -> f64 {
        let (from, to) = self.scale.pixels();
        self.scale.pixel(value / self.unit).clamp(from.min(to), from.max(to))
    }
}

/// A round number as a label.
fn plain(value: f64) -> String {
    if value >= 1.0 {
        format!("{value:.0}")
    } else {
        format!("{:.*}", (-value.log10()).ceil().clamp(1.0, 9.0) as usize, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_far_apart_have_a_logarithmic_axis_with_round_ticks() {
        let labels = |values: &[f64]| {
            let axis = Quantity::Latency.axis(values.iter().copied(), (0.0, 300.0));
            (axis.name, axis.ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(labels(&[3e6, 180e6]), ("ms", "2 5 10 20 50 100 200".to_owned()));
        assert_eq!(labels(&[3e6, 18e9]).1, "10 100 1000 10000");
        assert_eq!(labels(&[2e6, 4e6]), ("ms", "0 2 4".to_owned()));
        assert_eq!([0.05, 0.2, 5.0, 2000.0].map(plain), ["0.05", "0.2", "5", "2000"]);
    }
}
