//! What a percentage is a percentage of: the roof that limits, its source and its value.

use std::collections::BTreeMap;

use super::series::Series;
use crate::format;
use crate::run::{Row, Run};
use crate::{Against, RooflineOptions};

/// The roof that the bounds took for each precision and level, as the metric `roofs` marks it: source and value.
#[derive(Debug, Default)]
pub(crate) struct Used(BTreeMap<String, (String, f64)>);

impl Used {
    /// Of a series, or the datasheet's where results are held against that.
    pub(crate) fn read(series: &Series, options: &RooflineOptions) -> Self {
        let datasheet = options.against == Some(Against::Datasheet);
        Self::filtered(series.run, datasheet, |device| series.devices.contains(&device))
    }

    /// Of one device of a run.
    pub(crate) fn of_device(run: &Run, device: Option<i64>) -> Self {
        Self::filtered(run, false, |own| Some(own) == device)
    }

    fn filtered(run: &Run, datasheet: bool, wanted: impl Fn(i64) -> bool) -> Self {
        let used = |row: &&Row| {
            if datasheet { row.text("source") == Some("datasheet") } else { row.boolean("used") == Some(true) }
        };
        let rows = run.metric("roofs").iter().filter(used).filter(|row| row.boolean("sparse") != Some(true));
        let own = rows.filter(|row| row.int("device").is_none_or(&wanted));
        Self(own.filter_map(|row| Some((name(row)?, (row.text("source")?.to_owned(), row.float("value")?)))).collect())
    }

    /// Where the roof of a precision or level comes from.
    pub(crate) fn source(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(source, _)| source.as_str())
    }

    /// The roof of a precision or level, FLOP/s or bytes/s.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name).map(|(_, value)| *value)
    }

    /// The limiter of a row of `roofline` with the roof that it stands for: `memory (DRAM): measured 18.0 GB/s`.
    pub(crate) fn limiter(&self, row: &Row) -> String {
        let Some(limiter) = row.text("limiter") else { return format::ABSENT.to_owned() };
        let (name, value, rate): (_, _, fn(f64) -> String) = match limiter {
            "compute" => (row.text("precision"), row.float("roof_flop_per_s"), format::flop_rate),
            "memory" => {
                let level = row.text("limiter_level").unwrap_or("DRAM");
                // The row states the roof of its DRAM bytes only.
                let own = row.float("roof_bytes_per_s").filter(|_| level == "DRAM");
                (Some(level), own, format::bandwidth)
            }
            _ => (None, row.float("roof_bytes_per_s"), format::bandwidth),
        };
        let name = name.unwrap_or("");
        let listed = self.0.get(name);
        // Before the column was there, bounds came from measured roofs only; a link is stated, not measured.
        let own = row.text("roof_source").or(Some("measured")).filter(|_| limiter != "link");
        let source = listed.map(|(source, _)| source.as_str()).or(own.filter(|own| !own.contains('+')));
        let value = listed.map(|(_, value)| *value).or(value).map(rate);
        let limiter = if name.is_empty() { limiter.to_owned() } else { format!("{limiter} ({name})") };
        let roof = [source, value.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        if roof.is_empty() { limiter } else { format!("{limiter}: {roof}") }
    }

    #[cfg(test)]
    pub(crate) fn of(roofs: &[(&str, &str, f64)]) -> Self {
        Self(roofs.iter().map(|(name, source, value)| ((*name).to_owned(), ((*source).to_owned(), *value))).collect())
    }
}

/// Precision, level, or kind of a roof.
fn name(row: &Row) -> Option<String> {
    row.text("precision").or(row.text("level")).or(row.text("kind")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limiter(used: &Used, row: serde_json::Value) -> String {
        used.limiter(&Row::of(row))
    }

    #[test]
    fn the_limiter_names_source_and_value_of_its_roof() {
        let used = Used::of(&[("matrix_bf16", "datasheet", 989.4e12), ("L2", "measured", 7.1e12)]);
        let row = json!({"limiter": "compute", "precision": "matrix_bf16", "roof_source": "measured+datasheet"});
        assert_eq!(limiter(&used, row), "compute (matrix_bf16): datasheet 989 TFLOP/s");
        let row = json!({"limiter": "memory", "limiter_level": "L2", "roof_bytes_per_s": 3e12});
        assert_eq!(limiter(&used, row), "memory (L2): measured 7.10 TB/s");
    }

    #[test]
    fn without_the_metric_roofs_the_row_itself_says_what_it_knows() {
        let none = Used::default();
        let row = json!({"limiter": "memory", "roof_bytes_per_s": 18e9});
        assert_eq!(limiter(&none, row), "memory (DRAM): measured 18.0 GB/s");
        let row = json!({"limiter": "memory", "limiter_level": "L2", "roof_bytes_per_s": 3e12, "roof_source": "a+b"});
        assert_eq!(limiter(&none, row), "memory (L2)");
        assert_eq!(limiter(&none, json!({"limiter": "link", "roof_bytes_per_s": 25e9})), "link: 25.0 GB/s");
        assert_eq!(limiter(&none, json!({"limiter": "link"})), "link");
        assert_eq!(limiter(&none, json!({})), "n/a");
    }
}
