//! Which metrics are asked for: the quantities resolved against what ncu knows.

use super::catalog::{Catalog, Tool};
use super::quantities::{Need, QUANTITIES, Quantity, Way};
use super::tensor;
use crate::profilers::Missing;

/// Which quantities are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Occupancy, issue and stalls too, which explain a launch: a few more replays of each kernel.
    pub details: bool,
    /// All parts of the tensor cores' operations beside their sums: a check of the counters.
    pub tensor_parts: bool,
    /// Only what can be counted over a range: ncu counts single operations (`__sass_`) by kernel alone, so that FLOP of
    /// the vector units are missing.
    pub in_ranges: bool,
}

/// The metrics to ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricSet {
    /// Name of each quantity and the metrics that give it.
    pub chosen: Vec<(&'static str, Vec<String>)>,
    /// Names of quantities that this ncu does not count on this chip, or not in full.
    pub unresolved: Vec<&'static str>,
}

impl MetricSet {
    /// Every metric once, in the order of the quantities.
    pub fn metrics(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for metric in self.chosen.iter().flat_map(|(_, metrics)| metrics) {
            if !all.contains(&metric.as_str()) {
                all.push(metric);
            }
        }
        all
    }

    /// The metrics without their suffixes, each once.
    pub fn bases(&self) -> Vec<&str> {
        let mut bases: Vec<&str> = self.metrics().into_iter().map(|metric| split(metric).0).collect();
        bases.sort_unstable();
        bases.dedup();
        bases
    }

    /// Leaves out what is not in a list of full names: ncu refuses a command line with such a metric.
    ///
    /// # Errors
    /// When a quantity is then missing without which there is no roofline.
    pub fn confirm(mut self, full: &Catalog) -> Result<Self, Missing> {
        for (name, metrics) in &mut self.chosen {
            let before = metrics.len();
            metrics.retain(|metric| full.kind(metric).is_some());
            if metrics.len() < before {
                self.unresolved.push(name);
            }
        }
        self.chosen.retain(|(_, metrics)| !metrics.is_empty());
        let lost = |quantity: &&Quantity| self.unresolved.contains(&quantity.name) && is_must(quantity, full);
        match QUANTITIES.iter().find(lost) {
            Some(quantity) => Err(missing(quantity, full)),
            None => Ok(self),
        }
    }
}

/// Resolves every wanted quantity.
///
/// # Errors
/// When a quantity is missing without which there is no roofline.
pub fn resolve(catalog: &Catalog, wanted: Wanted) -> Result<MetricSet, Missing> {
    let mut set = MetricSet::default();
    let of_ranges = wanted.in_ranges.then(|| catalog.without("__sass_"));
    let catalog = of_ranges.as_ref().unwrap_or(catalog);
    for quantity in QUANTITIES.iter().filter(|quantity| wanted.details || !quantity.detail) {
        match quantity.ways.iter().find_map(|way| metrics_of(way, catalog, wanted)) {
            Some(metrics) => set.chosen.push((quantity.name, metrics)),
            None if is_must(quantity, catalog) => return Err(missing(quantity, catalog)),
            None if quantity.need == Need::May => {}
            None => set.unresolved.push(quantity.name),
        }
    }
    Ok(set)
}

fn is_must(quantity: &Quantity, catalog: &Catalog) -> bool {
    match quantity.need {
        Need::Must => true,
        Need::MustWith(prefix) => catalog.names().any(|name| name.starts_with(prefix)),
        Need::Should | Need::May => false,
    }
}

fn missing(quantity: &Quantity, catalog: &Catalog) -> Missing {
    let (tool, fix) = match catalog.tool {
        Tool::Ncu => ("ncu", "install the newest Nsight Compute from https://developer.nvidia.com/nsight-compute"),
        Tool::Cupti => ("CUPTI", "`pip install --upgrade nvidia-cuda-cupti`, and name it with PROFTOOL_CUPTI_PATH"),
    };
    Missing {
        reason: format!("this {tool} counts no {} ({}) on {}", quantity.name, quantity.doc, catalog.chip),
        fix: fix.to_owned(),
    }
}

fn metrics_of(way: &Way, catalog: &Catalog, wanted: Wanted) -> Option<Vec<String>> {
    let found = match way {
        Way::All(patterns) => all_of(patterns, catalog)?,
        Way::Any(patterns) => patterns.iter().flat_map(|pattern| matches(pattern, catalog)).collect(),
        Way::Arithmetic(letter, width) => {
            let of_unit = |unit| all_of(&arithmetic(unit, letter, width), catalog);
            of_unit("sm").or_else(|| of_unit("smsp"))?
        }
        Way::TensorOperations => tensor::operations(catalog, wanted.tensor_parts),
        Way::TensorPeaks => tensor::peaks(catalog),
    };
    (!found.is_empty()).then_some(found)
}

/// The counters of add, multiply and FMA of one unit.
pub(super) fn arithmetic(unit: &str, letter: &str, width: &str) -> [String; 3] {
    let name = |operation| format!("{unit}__sass_thread_inst_executed_op_{letter}{operation}{width}_pred_on.sum");
    ["add", "mul", "fma"].map(name)
}

fn all_of(patterns: &[impl AsRef<str>], catalog: &Catalog) -> Option<Vec<String>> {
    let found =
        patterns.iter().map(|pattern| Some(matches(pattern.as_ref(), catalog)).filter(|found| !found.is_empty()));
    found.collect::<Option<Vec<_>>>().map(|found| found.concat())
}

/// The metrics of a chip that a pattern means, with its suffix, in alphabetical order.
pub fn matches(pattern: &str, catalog: &Catalog) -> Vec<String> {
    let (base, suffix) = split(pattern);
    let takes = |name: &&str| catalog.kind(name).is_some_and(|kind| kind.takes(suffix));
    let named: Vec<&str> = if base.contains('*') {
        catalog.names().filter(|name| is_like(name, base)).filter(takes).collect()
    } else {
        Some(base).filter(takes).into_iter().collect()
    };
    named.into_iter().map(|name| format!("{name}.{suffix}")).collect()
}

/// A full name as the metric and its suffix: `dram__bytes` and `sum.per_second`.
fn split(full: &str) -> (&str, &str) {
    full.split_once('.').unwrap_or((full, ""))
}

/// Whether a name is like a pattern with one `*`.
fn is_like(name: &str, pattern: &str) -> bool {
    let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
    name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
}

#[cfg(test)]
mod tests;
