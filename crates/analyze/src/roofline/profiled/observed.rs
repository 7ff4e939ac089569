//! Clocks and peaks that a counter page states.

use std::collections::BTreeMap;

use proftool_roofline::counters::Counted;
use proftool_roofline::{Level, Precision};

/// Values of many launches for a median: all of up to [`Sample::MOST`], then every second, every fourth, and so on.
#[derive(Debug, Default)]
struct Sample {
    values: Vec<f64>,
    seen: usize,
    shift: u32,
}

impl Sample {
    /// A median of this many is within a percent of the rank of that of all.
    const MOST: usize = 1 << 14;

    fn push(&mut self, value: f64) {
        if self.seen.trailing_zeros() >= self.shift {
            if self.values.len() == Self::MOST {
                let mut at = 0;
                self.values.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.shift += 1;
            }
            if self.seen.trailing_zeros() >= self.shift {
                self.values.push(value);
            }
        }
        self.seen += 1;
    }
}

/// What the page tells about the device, launch by launch.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    clocks: Sample,
    peaks: BTreeMap<(Precision, bool), Sample>,
    bandwidths: BTreeMap<Level, Sample>,
}

impl Observed {
    pub(super) fn add(&mut self, counted: &Counted) {
        if let Some(hz) = counted.counts.clock_hz {
            self.clocks.push(hz);
        }
        for (precision, sparse, value) in &counted.peaks {
            self.peaks.entry((*precision, *sparse)).or_default().push(*value);
        }
        for (level, value) in &counted.bandwidth_peaks {
            self.bandwidths.entry(*level).or_default().push(*value);
        }
    }

    /// What several passes tell about one device.
    pub(crate) fn merged<'o>(all: impl Iterator<Item = &'o Self>) -> Self {
        let mut whole = Self::default();
        for one in all {
            one.clocks.values.iter().for_each(|hz| whole.clocks.push(*hz));
            for (key, sample) in &one.peaks {
                sample.values.iter().for_each(|value| whole.peaks.entry(*key).or_default().push(*value));
            }
            for (level, sample) in &one.bandwidths {
                sample.values.iter().for_each(|value| whole.bandwidths.entry(*level).or_default().push(*value));
            }
        }
        whole
    }

    /// The median clock while kernels were profiled.
    pub(crate) fn clock_hz(&self) -> Option<f64> {
        median(&self.clocks)
    }

    /// The median peaks, FLOP/s.
    pub(crate) fn peaks(&self) -> impl Iterator<Item = ((Precision, bool), f64)> {
        self.peaks.iter().filter_map(|(key, values)| Some((*key, median(values)?)))
    }

    /// The median peaks, bytes/s.
    pub(crate) fn bandwidths(&self) -> impl Iterator<Item = (Level, f64)> {
        self.bandwidths.iter().filter_map(|(level, values)| Some((*level, median(values)?)))
    }
}

/// The lower median of what is positive and finite.
fn median(sample: &Sample) -> Option<f64> {
    let mut values: Vec<f64> =
        sample.values.iter().copied().filter(|value| value.is_finite() && *value > 0.0).collect();
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_every_value_of_few_and_spread_values_of_many() {
        let mut sample = Sample::default();
        (1..=3).for_each(|value| sample.push(f64::from(value)));
        assert_eq!(median(&sample), Some(2.0));
        let mut many = Sample::default();
        (0..1_000_000).for_each(|value| many.push(f64::from(value)));
        assert!(many.values.len() <= Sample::MOST && many.values.len() > Sample::MOST / 4);
        assert!((median(&many).unwrap() / 500_000.0 - 1.0).abs() < 0.01);
        assert_eq!(median(&Sample::default()), None);
    }
}
