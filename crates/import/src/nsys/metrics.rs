//! Sampled GPU metrics.
//!
//! nsys gives each value one time. A value covers the time since the previous one of the same metric and GPU; the first
//! of each covers none.

use std::collections::HashMap;

use proftool_trace::rows::{CounterDef, Sample};

use super::export::{Row, at};
use super::generic;
use super::reader::{Reader, next};
use super::session::Schema;
use crate::Error;
use crate::raw::Severity;

const TABLE: &str = "GPU_METRICS";
const WANTED: &[&str] = &["timestamp", "typeId", "metricId", "value"];
const TIME: usize = at(WANTED, "timestamp");
const TYPE: usize = at(WANTED, "typeId");
const METRIC: usize = at(WANTED, "metricId");
const VALUE: usize = at(WANTED, "value");

/// A clock in MHz above this is one in Hz: nsys stores cycles per second under the label MHz.
const FASTEST_MHZ: f64 = 100_000.0;

pub(super) fn read(reader: &mut Reader<'_, '_>, schema: &Schema) -> Result<(), Error> {
    let export = reader.export;
    if !export.has(TABLE) {
        return generic::read(reader, schema);
    }
    reader.demand(TABLE, WANTED)?;
    let names = names(reader)?;
    let mut samples = Samples::default();
    export.scan(TABLE, WANTED, &mut |row| sample(reader, &names, &mut samples, row))?;
    samples.write(reader, schema)
}

/// Names of metrics by type and number.
fn names(reader: &Reader<'_, '_>) -> Result<HashMap<(i64, i64), String>, Error> {
    const WANTED: &[&str] = &["typeId", "metricId", "metricName"];
    let mut names = HashMap::new();
    reader.export.scan("TARGET_INFO_GPU_METRICS", WANTED, &mut |row| {
        if let (Some(kind), Some(metric), Some(name)) = (row.int(0), row.int(1), row.text(2)) {
            names.insert((kind, metric), name.into_owned());
        }
        Ok(())
    })?;
    Ok(names)
}

fn sample(
    reader: &mut Reader<'_, '_>,
    names: &HashMap<(i64, i64), String>,
    samples: &mut Samples,
    row: &Row<'_>,
) -> Result<(), Error> {
    let (Some(time), Some(kind), Some(metric)) = (row.int(TIME), row.int(TYPE), row.int(METRIC)) else {
        reader.import.bad_row("no_start", || format!("{TABLE} row {}: it has no time, type or metric", row.number + 1));
        return Ok(());
    };
    let key = (kind, metric);
    let series = match samples.expected(key) {
        Some(series) => series,
        None => samples.find(reader, key, || names.get(&key).cloned().unwrap_or_else(|| format!("metric {metric}"))),
    };
    samples.put(reader, series, time, row.real(VALUE), TABLE, row.number)
}

/// One metric of one GPU.
struct Series {
    key: (i64, i64),
    def: i64,
    device: i64,
    name: String,
    last: Option<i64>,
    negative: u64,
    largest: f64,
}

/// The metrics seen so far.
#[derive(Default)]
pub(super) struct Samples {
    series: Vec<Series>,
    index: HashMap<(i64, i64), usize>,
    /// The one that the next row has if metrics come round in the same order.
    next: usize,
}

impl Samples {
    /// The series of this key if it is the one whose turn it is.
    #[inline]
    fn expected(&mut self, key: (i64, i64)) -> Option<usize> {
        let turn = self.next;
        self.series.get(turn).filter(|series| series.key == key)?;
        self.next = if turn + 1 == self.series.len() { 0 } else { turn + 1 };
        Some(turn)
    }

    /// The series of a key, which is of the GPU in the lowest byte of the type.
    pub(super) fn find(
        &mut self,
        reader: &mut Reader<'_, '_>,
        key: (i64, i64),
        name: impl FnOnce() -> String,
    ) -> usize {
        let series = *self.index.entry(key).or_insert_with(|| {
            self.series.push(Series {
                key,
                def: next(&mut reader.ids.def),
                device: reader.devices.of_gpu(key.0 & 0xff),
                name: name(),
                last: None,
                negative: 0,
                largest: 0.0,
            });
            self.series.len() - 1
        });
        self.next = if series + 1 == self.series.len() { 0 } else { series + 1 };
        series
    }

    pub(super) fn put(
        &mut self,
        reader: &mut Reader<'_, '_>,
        series: usize,
        time: i64,
        value: Option<f64>,
        table: &str,
        row: u64,
    ) -> Result<(), Error> {
        let series = &mut self.series[series];
        let start_ns = series.last.filter(|last| *last <= time).unwrap_or(time);
        series.last = Some(time);
        if let Some(value) = value {
            series.negative += u64::from(value < 0.0);
            series.largest = series.largest.max(value);
        }
        let sample = Sample { device: series.device, def: series.def, start_ns, end_ns: time, value };
        reader.ids.sample += 1;
        reader.import.sample(&sample, || format!("{table} row {}", row + 1))
    }

    /// Writes what the metrics are, and flags those whose values cannot be.
    pub(super) fn write(self, reader: &mut Reader<'_, '_>, schema: &Schema) -> Result<(), Error> {
        for series in &self.series {
            reader.import.put(&CounterDef {
                def: series.def,
                metric: &series.name,
                unit: unit(&series.name, series.largest),
                source: "counter",
                tool: Some("nsys"),
                tool_version: schema.tool_version.as_deref(),
                ..CounterDef::default()
            })?;
        }
        let below: Vec<&Series> = self.series.iter().filter(|series| series.negative > 0).collect();
        let names: Vec<String> = below.iter().map(|one| format!("{} ({} samples)", one.name, one.negative)).collect();
        let detail = format!(
            "samples below 0 in metrics that cannot be: {}. The counter overflowed in its sampling interval, so all \
             values of these metrics are in doubt (hint: capture with a higher --gpu-metrics-frequency)",
            names.join(", ")
        );
        let count = below.iter().map(|series| series.negative).sum();
        reader.import.issue(Severity::Error, "negative_metric", count, detail);
        Ok(())
    }
}

/// The unit that stands in brackets behind a metric's name.
fn unit(name: &str, largest: f64) -> Option<&str> {
    let (_, bracketed) = name.strip_suffix(']')?.rsplit_once('[')?;
    match bracketed {
        "MHz" if largest > FASTEST_MHZ => Some("Hz"),
        unit if unit.contains('%') => Some("%"),
        unit => Some(unit),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::unit;
    use proftool_trace::frame::{floats, ints, texts};
    use proftool_trace::tables;

    #[test]
    fn units_stand_in_brackets_and_clocks_are_in_hertz() {
        assert_eq!(unit("SM Active [Throughput %]", 90.0), Some("%"));
        assert_eq!(unit("GPC Clock Frequency [MHz]", 1.98e9), Some("Hz"));
        assert_eq!(unit("GPC Clock Frequency [MHz]", 1980.0), Some("MHz"));
        assert_eq!(unit("Warps [Avg Warps per Cycle]", 1.0), Some("Avg Warps per Cycle"));
        assert_eq!(unit("plain", 1.0), None);
    }

    #[test]
    fn a_value_covers_the_time_since_the_last_one_of_its_metric_and_negative_ones_are_flagged() {
        let mut fake = Fake::default();
        for metric in 0..2 {
            let name = ["SM Active [Throughput %]", "Warps [Avg]"][metric as usize];
            let row = [("typeId", 0x100.into()), ("metricId", i64::into(metric)), ("metricName", name.into())];
            fake.row("TARGET_INFO_GPU_METRICS", &row);
        }
        for (time, metric, value) in [(-5, 0, 1), (-5, 1, 2), (10, 0, 3), (10, 1, -4), (20, 1, 5), (20, 7, 6)] {
            let row = [("timestamp", time.into()), ("typeId", 0x100.into()), ("metricId", metric.into())];
            fake.row("GPU_METRICS", &[&row[..], &[("value", i64::into(value))]].concat());
        }
        let tables = fake.import().unwrap();
        let samples = tables.get(&tables::SAMPLES);
        assert_eq!(ints(samples, "start_ns").unwrap(), [-5, -5, -5, -5, 10, 20].map(Some));
        assert_eq!(ints(samples, "end_ns").unwrap(), [-5, -5, 10, 10, 20, 20].map(Some));
        assert_eq!(ints(samples, "def").unwrap(), [0, 1, 0, 1, 1, 2].map(Some));
        assert_eq!(floats(samples, "value").unwrap()[3], Some(-4.0));
        assert_eq!(texts(tables.get(&tables::COUNTER_DEFS), "metric").unwrap()[2].as_deref(), Some("metric 7"));
        let issues = tables.get(&tables::ISSUES);
        let codes = texts(issues, "code").unwrap();
        let row = codes.iter().position(|code| code.as_deref() == Some("negative_metric")).unwrap();
        assert!(texts(issues, "detail").unwrap()[row].as_deref().unwrap().contains("Warps [Avg] (1 samples)"));
    }
}
