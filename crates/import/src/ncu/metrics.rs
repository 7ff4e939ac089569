//! Rows of `counter_defs`.

use std::collections::HashMap;

use proftool_trace::rows;

use super::unit::Unit;
use crate::Error;
use crate::raw::Import;

/// Where ncu prints the metrics that `--metrics` asked for, under their real names.
const BY_NAME: &str = "Command line profiler metrics";

/// What tells one metric from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Metric {
    pub(super) name: String,
    /// The base unit.
    pub(super) unit: Option<String>,
    /// The section whose formula a display name stands for; `None` for a metric under its real name.
    pub(super) formula: Option<String>,
}

impl Metric {
    /// The metric of a row of a long page, whose unit is given as the page prints it.
    ///
    /// Sections print display names ("Memory Throughput"), which mean different metrics in different sections. Such a
    /// name says nothing without its section (and the label of the section's part), so these are the formula's
    /// identifier. Real names hold a double underscore or stand in the section of `--metrics`. With
    /// `--print-metric-name label-name` both are printed, as `Duration (gpu__time_duration.sum)`: the real one is kept.
    pub(super) fn of_section(name: &str, unit: &Unit, section: &str, label: &str) -> Self {
        let real = real_name(name);
        let formula = (real.is_none() && section != BY_NAME && !section.is_empty()).then(|| {
            let part = if label.is_empty() { String::new() } else { format!("/{label}") };
            format!("section:{section}{part}")
        });
        Self { name: real.unwrap_or(name).to_owned(), unit: unit.name.clone(), formula }
    }
}

fn real_name(name: &str) -> Option<&str> {
    let inside = name.strip_suffix(')').and_then(|rest| rest.rsplit_once('('));
    let real = |name: &&str| name.contains("__") && !name.contains(char::is_whitespace);
    Some(name).filter(real).or_else(|| inside.map(|(_, inside)| inside).filter(real))
}

/// Numbers metrics, each when its first value comes.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    numbers: HashMap<Metric, i64>,
    tool_version: Option<String>,
}

impl Metrics {
    /// Metrics that this version of ncu collected, where it is known.
    pub(super) fn new(tool_version: Option<&str>) -> Self {
        Self { numbers: HashMap::new(), tool_version: tool_version.map(str::to_owned) }
    }

    /// The number of a metric, whose row is put when it is new.
    pub(super) fn number(&mut self, metric: &Metric, import: &mut Import<'_>) -> Result<i64, Error> {
        if let Some(number) = self.numbers.get(metric) {
            return Ok(*number);
        }
        let number = self.numbers.len() as i64;
        import.put(&rows::CounterDef {
            def: number,
            metric: &metric.name,
            unit: metric.unit.as_deref(),
            source: "counter",
            formula_id: metric.formula.as_deref(),
            tool: Some("ncu"),
            tool_version: self.tool_version.as_deref(),
        })?;
        self.numbers.insert(metric.clone(), number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, section: &str, label: &str) -> (String, Option<String>) {
        let metric = Metric::of_section(name, &Unit::base(""), section, label);
        (metric.name, metric.formula)
    }

    #[test]
    fn display_names_keep_their_section_and_real_names_do_not() {
        let sol = "GPU Speed Of Light Throughput";
        assert_eq!(metric("Duration", sol, ""), ("Duration".into(), Some(format!("section:{sol}"))));
        assert_eq!(
            metric("SM Frequency", sol, "Single"),
            ("SM Frequency".into(), Some(format!("section:{sol}/Single")))
        );
        assert_eq!(metric("dram__bytes.sum", sol, ""), ("dram__bytes.sum".into(), None));
        assert_eq!(metric("flop_count_hp.sum", BY_NAME, ""), ("flop_count_hp.sum".into(), None));
        assert_eq!(metric("Duration (gpu__time_duration.sum)", sol, ""), ("gpu__time_duration.sum".into(), None));
        assert_eq!(metric("Compute (SM) Throughput", sol, "").0, "Compute (SM) Throughput");
    }
}
