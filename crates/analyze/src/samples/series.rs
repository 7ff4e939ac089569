//! Sampled metrics as series of intervals, and their sums over windows.

use std::collections::HashMap;

use proftool_trace::frame::Tables;
use proftool_trace::tables;

use crate::Error;
use crate::model::{DeviceKey, Rows};
use crate::operators::Span;

/// One value and the interval that it covers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    start: i64,
    end: i64,
    value: f64,
}

/// One metric of one device: intervals in order that do not overlap.
#[derive(Debug)]
pub(crate) struct Series {
    /// Rank and device.
    pub(crate) device: DeviceKey,
    /// Name that the tool gives it.
    pub(crate) metric: String,
    /// Base unit.
    pub(crate) unit: Option<String>,
    /// Its number inside the pass and rank.
    pub(crate) def: i64,
    /// Whether an instant states what holds from then on, and not what was since the one before.
    pub(crate) onwards: bool,
    samples: Vec<Sample>,
}

/// What the samples of a series say about some windows. A sample counts where any part of it lies inside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Samples.
    pub(crate) samples: i64,
    /// Part of the windows that they cover.
    pub(crate) covered_ns: i64,
    /// Sum of value x ns inside the windows.
    pub(crate) value_ns: f64,
    /// Smallest value.
    pub(crate) min: Option<f64>,
    /// Largest value.
    pub(crate) max: Option<f64>,
    /// Samples below zero.
    pub(crate) negative: i64,
    /// Samples above the limit.
    pub(crate) over: i64,
    /// Sum of the lengths of the samples, also outside the windows.
    pub(crate) lengths: i64,
}

impl Tally {
    /// The mean, weighted by time; `None` where nothing is covered.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.covered_ns > 0).then(|| self.value_ns / self.covered_ns as f64).filter(|mean| mean.is_finite())
    }

    /// The mean length of a sample, 0 without any.
    pub(crate) fn typical_ns(&self) -> i64 {
        self.lengths / self.samples.max(1)
    }

    fn take(&mut self, sample: Sample, limit: Option<f64>) {
        let value = sample.value;
        self.samples += 1;
        self.lengths = self.lengths.saturating_add(sample.end.saturating_sub(sample.start));
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        self.negative += i64::from(value < 0.0);
        self.over += i64::from(limit.is_some_and(|limit| value > limit));
    }
}

impl Series {
    /// The sums over windows (sorted and disjoint), with the samples above `limit` counted.
    pub(crate) fn over(&self, windows: &[Span], limit: Option<f64>) -> Tally {
        let (mut tally, mut next, mut counted) = (Tally::default(), 0, 0);
        for window in windows {
            next += self.samples[next..].partition_point(|sample| sample.end <= window.0);
            for (at, sample) in self.samples.iter().enumerate().skip(next) {
                if sample.start >= window.1 {
                    break;
                }
                let inside = sample.end.min(window.1).saturating_sub(sample.start.max(window.0));
                tally.covered_ns = tally.covered_ns.saturating_add(inside);
                tally.value_ns += sample.value * inside as f64;
                // A sample that reaches into two windows is one sample.
                if at >= counted {
                    tally.take(*sample, limit);
                    counted = at + 1;
                }
            }
        }
        tally
    }

    /// As [`Series::over`], of the samples that lie wholly inside one of the windows.
    pub(crate) fn inside(&self, windows: &[Span]) -> Tally {
        let mut tally = Tally::default();
        for window in windows {
            let first = self.samples.partition_point(|sample| sample.start < window.0);
            for sample in self.samples[first..].iter().take_while(|sample| sample.end <= window.1) {
                let length = sample.end.saturating_sub(sample.start);
                tally.covered_ns = tally.covered_ns.saturating_add(length);
                tally.value_ns += sample.value * length as f64;
                tally.take(*sample, None);
            }
        }
        tally
    }

    /// The intervals and their values, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Span, f64)> {
        self.samples.iter().map(|sample| ((sample.start, sample.end), sample.value))
    }

    /// The instants of the readings and their values, in order; of several at one instant the largest.
    pub(crate) fn readings(&self) -> Vec<(i64, f64)> {
        let mut readings: Vec<(i64, f64)> = self.samples.iter().map(|sample| (sample.end, sample.value)).collect();
        readings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        readings.dedup_by_key(|reading| reading.0);
        readings
    }

    /// From the first start to the last end.
    pub(crate) fn extent(&self) -> Option<Span> {
        Some((self.samples.first()?.start, self.samples.last()?.end))
    }
}

/// The series of a pass that have intervals, of the metrics (name, unit) that are wanted, in the order in which they
/// first occur. A series of instants covers the time from one to the next: each value that since the one before, as
/// samplers read what has gathered, except in the traces of [`ONWARDS`].
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(crate) fn read(
    tables: &Tables,
    pass: &str,
    wanted: impl Fn(&str, Option<&str>) -> bool,
) -> Result<Vec<Series>, Error> {
    let mut series = read_raw(tables, pass, wanted)?;
    series.iter_mut().for_each(tidy);
    series.retain(|series| !series.samples.is_empty());
    Ok(series)
}

/// As [`read`], with the rows as they are: also those that cover no time, such as the first reading of a counter.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_raw(
    tables: &Tables,
    pass: &str,
    wanted: impl Fn(&str, Option<&str>) -> bool,
) -> Result<Vec<Series>, Error> {
    let defs = definitions(tables, pass, wanted)?;
    if defs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows::of_pass(tables.get(&tables::SAMPLES), pass)?;
    let (ranks, devices, numbers) = (rows.ints("rank")?, rows.ints("device")?, rows.ints("def")?);
    let (starts, ends, values) = (rows.ints("start_ns")?, rows.ints("end_ns")?, rows.floats("value")?);
    let mut found = Found::default();
    for (at, value) in values.into_iter().enumerate() {
        let Some(value) = value.filter(|value| value.is_finite()) else { continue };
        let Some(series) = found.series((ranks[at], devices[at], numbers[at]), &defs) else { continue };
        series.samples.push(Sample { start: starts[at], end: ends[at].max(starts[at]), value });
    }
    found.series.sort_by_key(|series| (series.device, series.def));
    Ok(found.series)
}

/// Tools whose counters are events: a value holds from its instant until the next (trace event format, phase `C`, and the
/// totals of PyTorch's allocator).
const ONWARDS: &[&str] = &["kineto"];

/// What a series is.
#[derive(Clone)]
struct Definition {
    metric: String,
    unit: Option<String>,
    onwards: bool,
}

/// By rank and number.
type Definitions = HashMap<(i64, i64), Definition>;

fn definitions(tables: &Tables, pass: &str, wanted: impl Fn(&str, Option<&str>) -> bool) -> Result<Definitions, Error> {
    let rows = Rows::of_pass(tables.get(&tables::COUNTER_DEFS), pass)?;
    let (ranks, defs) = (rows.ints("rank")?, rows.ints("def")?);
    let (metrics, units, tools) = (rows.texts("metric")?, rows.texts("unit")?, rows.texts("tool")?);
    let mut known = Definitions::new();
    for (at, (metric, unit)) in metrics.into_iter().zip(units).enumerate() {
        let metric = metric.unwrap_or_default();
        if wanted(&metric, unit.as_deref()) {
            let onwards = tools[at].as_deref().is_some_and(|tool| ONWARDS.contains(&tool));
            known.insert((ranks[at], defs[at]), Definition { metric, unit, onwards });
        }
    }
    Ok(known)
}

/// The series met so far. Metrics come round in the same order, so the next is guessed before it is looked up.
#[derive(Default)]
struct Found {
    series: Vec<Series>,
    keys: Vec<(i64, i64, i64)>,
    index: HashMap<(i64, i64, i64), usize>,
    turn: usize,
}

impl Found {
    fn series(&mut self, key: (i64, i64, i64), defs: &Definitions) -> Option<&mut Series> {
        let at = if self.keys.get(self.turn) == Some(&key) { self.turn } else { self.find(key, defs)? };
        self.turn = if at + 1 == self.keys.len() { 0 } else { at + 1 };
        self.series.get_mut(at)
    }

    fn find(&mut self, key: (i64, i64, i64), defs: &Definitions) -> Option<usize> {
        if let Some(at) = self.index.get(&key) {
            return Some(*at);
        }
        let Definition { metric, unit, onwards } = defs.get(&(key.0, key.2))?.clone();
        let device = (key.0, key.1);
        self.series.push(Series { device, metric, unit, def: key.2, onwards, samples: Vec::new() });
        self.keys.push(key);
        self.index.insert(key, self.keys.len() - 1);
        Some(self.keys.len() - 1)
    }
}

/// Sorts, gives instants the time since the one before, and cuts what overlaps, so that no time counts twice.
fn tidy(series: &mut Series) {
    let samples = &mut series.samples;
    // Of equal times the smaller value comes first, so that the order of the rows decides nothing.
    let order = |a: &Sample, b: &Sample| (a.start, a.end).cmp(&(b.start, b.end)).then(a.value.total_cmp(&b.value));
    if !samples.is_sorted_by(|a, b| order(a, b).is_le()) {
        samples.sort_unstable_by(order);
    }
    let instants = samples.iter().all(|sample| sample.start == sample.end);
    if instants && series.onwards {
        // Nothing says how long the last one held.
        for at in 1..samples.len() {
            samples[at - 1].end = samples[at].start;
        }
    }
    let instants = instants && !series.onwards;
    let mut last = samples.first().map_or(0, |sample| sample.start);
    for sample in samples.iter_mut() {
        sample.start = if instants { last } else { sample.start.max(last) };
        last = last.max(sample.end);
    }
    samples.retain(|sample| sample.start < sample.end);
}

/// Name, unit, and (start, end, value) of a metric of a test.
#[cfg(test)]
pub(crate) type FixtureMetric<'a> = (&'a str, &'a str, &'a [(i64, i64, f64)]);

/// Samples of device 0 in tables of a test: each metric with its unit and (start, end, value).
#[cfg(test)]
pub(crate) fn put(tables: &mut Tables, metrics: &[FixtureMetric<'_>]) {
    use proftool_trace::frame::{build, float_column, int_column, text_column};
    let same = |name, count| int_column(name, vec![Some(0); count]);
    let pass = |count| text_column("pass", vec![Some("host"); count]);
    let count = metrics.len();
    let columns = vec![
        pass(count),
        same("rank", count),
        int_column("def", (0..count).map(|def| Some(def as i64))),
        text_column("metric", metrics.iter().map(|metric| Some(metric.0))),
        text_column("unit", metrics.iter().map(|metric| Some(metric.1))),
        text_column("source", vec![Some("counter"); count]),
    ];
    tables.set(&tables::COUNTER_DEFS, build(&tables::COUNTER_DEFS, columns).unwrap()).unwrap();
    let rows: Vec<_> = metrics
        .iter()
        .enumerate()
        .flat_map(|(def, metric)| metric.2.iter().map(move |row| (def as i64, *row)))
        .collect();
    let columns = vec![
        pass(rows.len()),
        same("rank", rows.len()),
        same("device", rows.len()),
        int_column("def", rows.iter().map(|row| Some(row.0))),
        int_column("start_ns", rows.iter().map(|row| Some(row.1.0))),
        int_column("end_ns", rows.iter().map(|row| Some(row.1.1))),
        float_column("value", rows.iter().map(|row| Some(row.1.2))),
    ];
    tables.set(&tables::SAMPLES, build(&tables::SAMPLES, columns).unwrap()).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[(i64, i64, f64)]) -> Series {
        let samples = samples.iter().map(|(start, end, value)| Sample { start: *start, end: *end, value: *value });
        let mut series = Series {
            device: (0, 0),
            metric: "m".into(),
            unit: None,
            def: 0,
            onwards: false,
            samples: samples.collect(),
        };
        tidy(&mut series);
        series
    }

    #[test]
    fn values_are_weighted_by_their_time_inside_the_windows() {
        // 5 ns of 10 and 2 ns of 40 in the first window, 3 ns of 40 in the second: 50 + 80 + 120 over 10 ns.
        let series = series(&[(0, 10, 10.0), (10, 20, 40.0), (20, 30, -7.0)]);
        let tally = series.over(&[(5, 12), (15, 18)], Some(39.0));
        assert_eq!((tally.samples, tally.covered_ns, tally.mean()), (2, 10, Some(25.0)));
        assert_eq!((tally.min, tally.max, tally.negative, tally.over), (Some(10.0), Some(40.0), 0, 1));
        assert_eq!(series.over(&[(25, 90)], None).negative, 1);
        assert_eq!(series.over(&[(40, 90)], None), Tally::default());
        assert_eq!(series.extent(), Some((0, 30)));
        let whole = series.inside(&[(0, 12), (15, 40)]);
        assert_eq!((whole.samples, whole.covered_ns, whole.value_ns), (2, 20, 30.0));
    }

    #[test]
    fn instants_cover_the_time_since_the_one_before_and_overlaps_count_once() {
        let instants = series(&[(10, 10, 1.0), (30, 30, 3.0), (20, 20, 2.0)]);
        assert_eq!(instants.over(&[(0, 100)], None).mean(), Some((10.0 * 2.0 + 10.0 * 3.0) / 20.0));
        let doubled = series(&[(0, 10, 1.0), (0, 10, 1.0), (5, 15, 2.0)]);
        let tally = doubled.over(&[(0, 100)], None);
        assert_eq!((tally.covered_ns, tally.value_ns, tally.samples), (15, 20.0, 2));
    }

    #[test]
    fn counter_events_hold_until_the_next_one() {
        let mut series = series(&[]);
        series.onwards = true;
        // Of two at one instant the larger.
        let events = [(30, 3.0), (10, 1.0), (20, 9.0), (20, 2.0)];
        series.samples = events.map(|(at, value)| Sample { start: at, end: at, value }).to_vec();
        tidy(&mut series);
        assert_eq!(series.pieces().collect::<Vec<_>>(), [((10, 20), 1.0), ((20, 30), 9.0)]);
        assert_eq!(series.readings(), [(20, 1.0), (30, 9.0)]);
    }

    #[test]
    fn times_at_the_ends_of_the_integers_do_not_overflow() {
        let series = series(&[(i64::MIN, i64::MAX, 1.0), (i64::MAX, i64::MAX, 2.0)]);
        assert_eq!(series.over(&[(i64::MIN, 0), (0, i64::MAX)], None).covered_ns, i64::MAX);
    }
}
