//! GPU metrics as nsys up to 2023.3 exports them: one JSON object a sampling time, in a table for events of any shape.

use std::collections::HashMap;

use super::export::at;
use super::metrics::Samples;
use super::reader::Reader;
use super::session::Schema;
use crate::Error;

const EVENTS: &str = "GENERIC_EVENTS";
const WANTED: &[&str] = &["timestamp", "rawTimestamp", "typeId", "data"];
const TIME: usize = at(WANTED, "timestamp");
const RAW_TIME: usize = at(WANTED, "rawTimestamp");
const TYPE: usize = at(WANTED, "typeId");
const DATA: usize = at(WANTED, "data");

pub(super) fn read(reader: &mut Reader<'_, '_>, schema: &Schema) -> Result<(), Error> {
    let export = reader.export;
    let types = types(reader)?;
    if types.is_empty() {
        return Ok(());
    }
    reader.demand(EVENTS, &["typeId", "data"])?;
    let mut samples = Samples::default();
    let mut numbers = HashMap::<String, i64>::new();
    export.scan(EVENTS, WANTED, &mut |row| {
        let Some(kind) = row.int(TYPE).filter(|kind| types.contains(kind)) else { return Ok(()) };
        let place = || format!("{EVENTS} row {}", row.number + 1);
        let (Some(time), Some(data)) = (row.int(TIME).or_else(|| row.int(RAW_TIME)), row.text(DATA)) else {
            reader.import.bad_row("no_start", || format!("{}: it has no time or data", place()));
            return Ok(());
        };
        let Ok(serde_json::Value::Object(values)) = serde_json::from_str(&data) else {
            reader.import.bad_row("not_json", || format!("{}: its data is no JSON object", place()));
            return Ok(());
        };
        for (name, value) in values {
            let Some(value) = number(&value) else { continue };
            let known = numbers.len() as i64;
            let metric = *numbers.entry(name.clone()).or_insert(known);
            let series = samples.find(reader, (kind, metric), || name);
            samples.put(reader, series, time, Some(value), EVENTS, row.number)?;
        }
        Ok(())
    })?;
    samples.write(reader, schema)
}

/// Types of events that are GPU metrics: their source says so.
fn types(reader: &Reader<'_, '_>) -> Result<Vec<i64>, Error> {
    let mut sources = Vec::new();
    reader.export.scan("GENERIC_EVENT_SOURCES", &["sourceId", "data"], &mut |row| {
        let name = row.text(1).and_then(|data| serde_json::from_str::<serde_json::Value>(&data).ok());
        if name.is_some_and(|source| source["Name"] == "GpuMetrics") {
            sources.extend(row.int(0));
        }
        Ok(())
    })?;
    let mut types = Vec::new();
    reader.export.scan("GENERIC_EVENT_TYPES", &["typeId", "sourceId"], &mut |row| {
        types.extend(row.int(0).filter(|_| row.int(1).is_some_and(|source| sources.contains(&source))));
        Ok(())
    })?;
    Ok(types)
}

/// Values are numbers, in some versions in quotes.
fn number(value: &serde_json::Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use proftool_trace::frame::{floats, ints, texts};
    use proftool_trace::tables;

    #[test]
    fn metrics_in_json_become_samples_and_other_events_do_not() {
        let mut fake = Fake::default();
        for (source, name) in [(1, "{\"Name\": \"GpuMetrics\"}"), (2, "{\"Name\": \"FTrace\"}")] {
            fake.row("GENERIC_EVENT_SOURCES", &[("sourceId", source.into()), ("data", name.into())]);
            fake.row("GENERIC_EVENT_TYPES", &[("typeId", (source * 256).into()), ("sourceId", source.into())]);
        }
        let metric = "{\"SM Active [Throughput %]\": \"40\", \"GR Active [Throughput %]\": 50, \"Other\": null}";
        for (time, kind, data) in [(10, 256, metric), (20, 256, metric), (15, 512, "{\"common_pid\": 3}")] {
            let row = [("rawTimestamp", 0.into()), ("timestamp", time.into()), ("typeId", kind.into())];
            fake.row("GENERIC_EVENTS", &[&row[..], &[("data", data.into())]].concat());
        }
        let tables = fake.import().unwrap();
        let samples = tables.get(&tables::SAMPLES);
        assert_eq!(ints(samples, "start_ns").unwrap(), [10, 10, 10, 10].map(Some));
        assert_eq!(ints(samples, "end_ns").unwrap(), [10, 10, 20, 20].map(Some));
        let mut values: Vec<f64> = floats(samples, "value").unwrap().into_iter().flatten().collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [40.0, 40.0, 50.0, 50.0]);
        assert_eq!(texts(tables.get(&tables::COUNTER_DEFS), "unit").unwrap(), vec![Some("%".to_owned()); 2]);
    }
}
