//! Sampled metrics of network adapters. Their values are rates over the interval that nsys states.

use std::collections::HashMap;

use proftool_trace::rows::{CounterDef, Sample};

use super::export::at;
use super::reader::{Reader, next};
use super::session::Schema;
use crate::Error;

const TABLE: &str = "NET_NIC_METRIC";
const WANTED: &[&str] = &["start", "end", "globalId", "portId", "metricsListId", "metricsIdx", "value"];
const START: usize = at(WANTED, "start");
const END: usize = at(WANTED, "end");
const ADAPTER: usize = at(WANTED, "globalId");
const PORT: usize = at(WANTED, "portId");
const LIST: usize = at(WANTED, "metricsListId");
const INDEX: usize = at(WANTED, "metricsIdx");
const VALUE: usize = at(WANTED, "value");

/// The device of an adapter's samples: this and the adapter's rank in the file. No row of `devices` has such a number.
const FIRST_ADAPTER: i64 = 1_000;

/// Adapter, port, list and index of a metric.
type Key = [i64; 4];

/// What the export says of adapters and their metrics.
#[derive(Default)]
struct Known {
    adapters: HashMap<i64, String>,
    metrics: HashMap<(i64, i64), (String, Option<String>)>,
}

impl Known {
    fn read(reader: &Reader<'_, '_>) -> Result<Self, Error> {
        let mut known = Self::default();
        let mut names = HashMap::new();
        reader.export.scan("TARGET_INFO_NIC_INFO", &["nicId", "name"], &mut |row| {
            names.extend(row.int(0).zip(row.text(1).map(std::borrow::Cow::into_owned)));
            Ok(())
        })?;
        reader.export.scan("NIC_ID_MAP", &["globalId", "nicId"], &mut |row| {
            let name = row.int(1).and_then(|adapter| names.get(&adapter)).cloned();
            known.adapters.extend(row.int(0).zip(name));
            Ok(())
        })?;
        let wanted = &["metricsListId", "metricsIdx", "name", "unit"];
        reader.export.scan("TARGET_INFO_NETWORK_METRICS", wanted, &mut |row| {
            if let (Some(list), Some(index), Some(name)) = (row.int(0), row.int(1), row.text(2)) {
                let unit = row.text(3).filter(|unit| !unit.is_empty()).map(std::borrow::Cow::into_owned);
                known.metrics.insert((list, index), (name.into_owned(), unit));
            }
            Ok(())
        })?;
        Ok(known)
    }

    fn name(&self, [adapter, port, list, index]: Key) -> String {
        let device = self.adapters.get(&adapter).cloned().unwrap_or_else(|| format!("NIC {adapter}"));
        match self.metrics.get(&(list, index)) {
            Some((name, _)) => format!("{device} port {port}: {name}"),
            None => format!("{device} port {port}: metric {list}.{index}"),
        }
    }

    fn unit(&self, [_, _, list, index]: Key) -> Option<&str> {
        self.metrics.get(&(list, index))?.1.as_deref()
    }
}

pub(super) fn read(reader: &mut Reader<'_, '_>, schema: &Schema) -> Result<(), Error> {
    let export = reader.export;
    if !export.has(TABLE) {
        return Ok(());
    }
    reader.demand(TABLE, &["start", "end", "value"])?;
    let known = Known::read(reader)?;
    let mut defs = HashMap::<Key, i64>::new();
    let mut adapters = HashMap::<i64, i64>::new();
    export.scan(TABLE, WANTED, &mut |row| {
        let Some((start_ns, end_ns)) = reader.span(TABLE, row, START, END) else { return Ok(()) };
        let key = [ADAPTER, PORT, LIST, INDEX].map(|column| row.int(column).unwrap_or(0));
        let def = if let Some(def) = defs.get(&key) {
            *def
        } else {
            let def = next(&mut reader.ids.def);
            defs.insert(key, def);
            reader.import.put(&CounterDef {
                def,
                metric: &known.name(key),
                unit: known.unit(key),
                source: "counter",
                tool: Some("nsys"),
                tool_version: schema.tool_version.as_deref(),
                ..CounterDef::default()
            })?;
            def
        };
        let rank = FIRST_ADAPTER + adapters.len() as i64;
        let device = *adapters.entry(key[0]).or_insert(rank);
        reader.ids.sample += 1;
        reader.import.put(&Sample { device, def, start_ns, end_ns, value: row.real(VALUE) })
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use proftool_trace::frame::{floats, ints, texts};
    use proftool_trace::tables;

    #[test]
    fn samples_of_adapters_have_their_interval_name_and_unit() {
        let mut fake = Fake::default();
        fake.row("TARGET_INFO_NIC_INFO", &[("nicId", 4.into()), ("name", "mlx5_0".into())]);
        fake.row("NIC_ID_MAP", &[("nicId", 4.into()), ("globalId", 99.into())]);
        let metric = [("metricsListId", 1.into()), ("metricsIdx", 0.into())];
        let named = [("name", "IB: Bytes sent".into()), ("unit", "bytes/ms".into())];
        fake.row("TARGET_INFO_NETWORK_METRICS", &[&metric[..], &named].concat());
        for adapter in [99, 98] {
            let row = [("start", 0.into()), ("end", 10.into()), ("globalId", i64::into(adapter)), ("portId", 1.into())];
            fake.row("NET_NIC_METRIC", &[&row[..], &metric, &[("value", 7.into())]].concat());
        }
        let tables = fake.import().unwrap();
        let samples = tables.get(&tables::SAMPLES);
        assert_eq!(ints(samples, "device").unwrap(), [Some(1_000), Some(1_001)]);
        assert_eq!(floats(samples, "value").unwrap(), [Some(7.0), Some(7.0)]);
        let defs = tables.get(&tables::COUNTER_DEFS);
        let names = texts(defs, "metric").unwrap();
        assert_eq!(names[0].as_deref(), Some("mlx5_0 port 1: IB: Bytes sent"));
        assert_eq!(names[1].as_deref(), Some("NIC 98 port 1: IB: Bytes sent"));
        assert_eq!(texts(defs, "unit").unwrap()[0].as_deref(), Some("bytes/ms"));
    }
}
