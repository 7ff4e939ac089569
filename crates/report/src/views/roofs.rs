//! The roofs of a series: from the metric `roofs`, or, for results without it, as the rows of `roofline` state them.

use std::collections::{BTreeMap, BTreeSet};

use super::ceilings::Ceiling;
use super::series::{Series, add};
use crate::charts::roofs::{Limit, RoofSet, Source};
use crate::run::Row;
use crate::{Against, RooflineOptions};

/// Values beyond these are no hardware: drawing them would leave nothing else to see.
const SANE: std::ops::Range<f64> = 1.0..1e24;
/// Precisions in one picture; the metric `roofs` lists all.
const MOST_PRECISIONS: usize = 4;

/// Whether a rate can be drawn.
pub(crate) fn is_sane(value: f64) -> bool {
    SANE.contains(&value)
}

/// The roofs of a series for the precisions and levels that its points use.
pub(crate) fn of_series(
    series: &Series,
    number: Option<usize>,
    levels: &BTreeSet<String>,
    ceilings: &[Ceiling],
    options: &RooflineOptions,
) -> Vec<RoofSet> {
    let precisions = precisions(series);
    // Beside other devices only what the bounds use: three sources of each would hide the points.
    let alone = number.is_none();
    let mut sets = listed(series, &precisions, levels, options, alone);
    if sets.is_empty() {
        sets = stated(series, precisions.first().map(String::as_str), ceilings);
        sets.retain(|set| alone || set.source == Source::Measured);
    } else if alone {
        sets.extend(shared(series));
    }
    for set in &mut sets {
        set.series = number;
        set.compute.retain(|limit| is_sane(limit.value));
        set.bandwidth.retain(|limit| is_sane(limit.value));
    }
    sets.retain(|set| !set.compute.is_empty() || !set.bandwidth.is_empty());
    sets
}

/// The precisions of the rows, the one with most time first.
fn precisions(series: &Series) -> Vec<String> {
    let mut time: BTreeMap<&str, i64> = BTreeMap::new();
    for row in &series.rows {
        if let Some(precision) = row.text("precision") {
            add(&mut time, precision, row.int("time_ns").unwrap_or(0));
        }
    }
    let mut all: Vec<(&str, i64)> = time.into_iter().collect();
    all.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    all.into_iter().take(MOST_PRECISIONS).map(|(precision, _)| precision.to_owned()).collect()
}

/// One set a source, from the metric `roofs`.
fn listed(
    series: &Series,
    precisions: &[String],
    levels: &BTreeSet<String>,
    options: &RooflineOptions,
    all_sources: bool,
) -> Vec<RoofSet> {
    let first = series.devices.first().copied();
    let mut best: BTreeMap<(Source, bool, String), &Row> = BTreeMap::new();
    let rows = series.run.metric("roofs").iter().filter(|row| row.int("device").is_none_or(|own| Some(own) == first));
    let wanted = |row: &&Row| all_sources || options.against.is_some() || row.boolean("used") == Some(true);
    for row in rows.filter(|row| row.boolean("sparse") != Some(true)).filter(wanted) {
        let Some(source) = row.text("source").and_then(Source::parse) else { continue };
        let is_used = row.boolean("used") == Some(true);
        if options.against.is_some_and(|against| !against.shows(source, is_used)) {
            continue;
        }
        let (precision, level) = (row.text("precision"), row.text("level"));
        let key = match (precision, level) {
            (Some(precision), _) if precisions.iter().any(|wanted| wanted == precision) => (source, true, precision),
            (None, Some(level)) if levels.contains(level) => (source, false, level),
            _ => continue,
        };
        let key = (key.0, key.1, key.2.to_owned());
        if best.get(&key).is_none_or(|known| preference(row) > preference(known)) {
            best.insert(key, row);
        }
    }
    let mut sets: BTreeMap<Source, RoofSet> = BTreeMap::new();
    for ((source, is_compute, name), row) in best {
        let Some(value) = row.float("value") else { continue };
        let empty = RoofSet { source, series: None, compute: Vec::new(), bandwidth: Vec::new() };
        let set = sets.entry(source).or_insert(empty);
        let limit = Limit { value, name, what: what(row) };
        if is_compute { set.compute.push(limit) } else { set.bandwidth.push(limit) }
    }
    sets.into_values().collect()
}

/// What a bound uses comes first, then a reading stream, then the largest.
pub(crate) fn preference(row: &Row) -> (bool, bool, f64) {
    let reads = row.text("name").is_some_and(|name| name.to_ascii_lowercase().starts_with("read"));
    (row.boolean("used") == Some(true), reads, row.float("value").unwrap_or(0.0))
}

/// What states a roof, and whether its sources disagree.
fn what(row: &Row) -> String {
    let label = label_words(row.text("label"));
    if row.text("disputed").is_some() { format!("{label}; sources disagree") } else { label }
}

/// What reached a roof, without the value that the label repeats and without its reason: `DRAM read, 1 core` of
/// `DRAM read, 1 core, measured 18.0 GB/s: why`.
pub(crate) fn label_words(label: Option<&str>) -> String {
    let label = label.unwrap_or("not named");
    let cut = [", measured ", ", datasheet ", ", observed "].iter().find_map(|source| label.split_once(source));
    let Some((text, rest)) = cut else { return label.to_owned() };
    // Of the rest only ` / 2 in use` matters: the cores that share the roof.
    let shared = rest.split_once(" / ").map(|(_, shared)| shared.split(':').next().unwrap_or(shared));
    shared.map_or_else(|| text.to_owned(), |shared| format!("{text} / {}", shared.trim_end()))
}

fn longest<'a>(series: &Series<'a>, precision: Option<&str>) -> Option<&'a Row> {
    let of_precision = |row: &&&Row| row.text("precision") == precision && row.float("roof_flop_per_s").is_some();
    series.rows.iter().filter(of_precision).max_by_key(|row| row.int("time_ns")).copied()
}

/// The memory that the cores in use share, where that is less than what one core draws alone.
fn shared(series: &Series) -> Option<RoofSet> {
    let own = |row: &&&Row| row.float("roof_shared_bytes_per_s").is_some();
    let row = series.rows.iter().filter(own).max_by_key(|row| row.int("time_ns"))?;
    let value = row.float("roof_shared_bytes_per_s")?;
    // The shared roof equals the own one where the cores in use cannot exhaust the memory: one line is enough.
    if row.float("roof_bytes_per_s").is_some_and(|own| value >= own) {
        return None;
    }
    let limit = Limit { value, name: "DRAM".to_owned(), what: label_words(row.text("roof_shared")) };
    Some(RoofSet { source: Source::Shared, series: None, compute: Vec::new(), bandwidth: vec![limit] })
}

/// The roofs that the bounds used, as their rows state them; the datasheet's from the table `ceilings`.
fn stated(series: &Series, precision: Option<&str>, ceilings: &[Ceiling]) -> Vec<RoofSet> {
    let limit = |value: Option<f64>, name: &str, label: Option<&str>| {
        value.map(|value| Limit { value, name: name.to_owned(), what: label_words(label) })
    };
    let name = precision.unwrap_or("compute");
    let mut found = Vec::new();
    if let Some(row) = longest(series, precision) {
        let compute = limit(row.float("roof_flop_per_s"), name, row.text("roof_compute"));
        let bandwidth = limit(row.float("roof_bytes_per_s"), "DRAM", row.text("roof_bandwidth"));
        let source = row.text("roof_source").and_then(Source::parse).unwrap_or(Source::Measured);
        let (compute, bandwidth) = (compute.into_iter().collect(), bandwidth.into_iter().collect());
        found.push(RoofSet { source, series: None, compute, bandwidth });
    }
    found.extend(shared(series));
    found.extend(datasheet(ceilings, precision, series).or_else(|| derived(&series.rows, precision)));
    found
}

/// Datasheet roofs that no row of `ceilings` has, because the analysis derived them from the architecture: its label
/// states them as `..., datasheet 104.3 GFLOP/s; ..., datasheet 25.6 GB/s`.
fn derived(rows: &[&Row], precision: Option<&str>) -> Option<RoofSet> {
    let of_precision = |row: &&&Row| row.text("precision") == precision;
    let label = rows.iter().filter(of_precision).find_map(|row| row.text("roof_datasheet"))?;
    let stated = |unit: &str, factor: f64, name: &str| {
        label.split("; ").find_map(|part| {
            let (_, value) = part.split_once(", datasheet ")?;
            let value = value.split_once(unit)?.0.trim().parse::<f64>().ok()? * factor;
            Some(Limit { value, name: name.to_owned(), what: label_words(Some(part)) })
        })
    };
    let compute: Vec<Limit> = stated("GFLOP/s", 1e9, precision.unwrap_or("compute")).into_iter().collect();
    let bandwidth: Vec<Limit> = stated("GB/s", 1e9, "DRAM").into_iter().collect();
    let any = !compute.is_empty() || !bandwidth.is_empty();
    any.then_some(RoofSet { source: Source::Datasheet, series: None, compute, bandwidth })
}

fn datasheet(ceilings: &[Ceiling], precision: Option<&str>, series: &Series) -> Option<RoofSet> {
    let stated = || ceilings.iter().filter(|ceiling| ceiling.source == "datasheet");
    let one_core = |ceiling: &&Ceiling| !series.one_core || ceiling.cores.is_none_or(|cores| cores == 1);
    let has_own = stated().any(|ceiling| series.devices.contains(&ceiling.device));
    let usable =
        || stated().filter(one_core).filter(move |ceiling| !has_own || series.devices.contains(&ceiling.device));
    let best = |candidates: &mut dyn Iterator<Item = &Ceiling>, name: &str| {
        let best = candidates.max_by(|a, b| a.value.total_cmp(&b.value));
        best.map(|ceiling| Limit { value: ceiling.value, name: name.to_owned(), what: ceiling.words() })
    };
    let compute = best(
        &mut usable().filter(|one| one.kind == "compute" && one.precision.as_deref() == precision),
        precision.unwrap_or("compute"),
    );
    let bandwidth = best(&mut usable().filter(|ceiling| ceiling.is_memory()), "DRAM");
    let (compute, bandwidth): (Vec<Limit>, Vec<Limit>) =
        (compute.into_iter().collect(), bandwidth.into_iter().collect());
    let any = !compute.is_empty() || !bandwidth.is_empty();
    any.then_some(RoofSet { source: Source::Datasheet, series: None, compute, bandwidth })
}

impl Against {
    /// Whether roofs of that source are drawn when results are held against this one: a datasheet's fills up what was
    /// not measured.
    fn shows(self, source: Source, is_used: bool) -> bool {
        match self {
            Self::Measured => is_used || source != Source::Datasheet,
            Self::Datasheet => source == Source::Datasheet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roof_label_repeats_neither_its_value_nor_its_reason() {
        let words = |label: &str| label_words(Some(label));
        assert_eq!(words("DRAM read, 1 core, measured 18.0 GB/s: bytes come from DRAM"), "DRAM read, 1 core");
        assert_eq!(words("DRAM read, 2 cores, measured 25.0 GB/s / 2 in use"), "DRAM read, 2 cores / 2 in use");
        assert_eq!(words("H100 SXM HBM3, datasheet 3.35 TB/s"), "H100 SXM HBM3");
        assert_eq!(label_words(None), "not named");
    }

    #[test]
    fn what_is_no_hardware_is_not_drawn() {
        assert!(is_sane(1e12) && !is_sane(0.0) && !is_sane(-1.0) && !is_sane(1e300) && !is_sane(f64::NAN));
    }
}
