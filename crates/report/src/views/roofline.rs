//! What the roofline shows of a run: families pooled over equal devices, and the roofs that their bounds use.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use proftool_trace::frame::{bools, floats, ints, texts};
use proftool_trace::tables::CEILINGS;

use crate::charts::lane::Traffic;
use crate::charts::points::Point;
use crate::charts::roofline::{Roof, Roofline, Source};
use crate::charts::style::Ink;
use crate::error::Error;
use crate::format;
use crate::run::{Row, Run, file_stem, sum};

/// More families without FLOP than this make the lane unreadable; the table has all of them.
const MOST_TRAFFIC: usize = 6;

/// One row of the table `ceilings`.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    pub(crate) device: i64,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) precision: Option<String>,
    pub(crate) level: Option<String>,
    pub(crate) isa: Option<String>,
    pub(crate) cores: Option<i64>,
    pub(crate) value: f64,
    pub(crate) per_cycle: Option<f64>,
    pub(crate) source: String,
    pub(crate) contended: bool,
}

impl Ceiling {
    /// What reached it: `avx512 f32 fma, 1 core`.
    pub(crate) fn words(&self) -> String {
        let parts = [self.isa.as_deref(), self.precision.as_deref(), self.level.as_deref(), Some(&*self.name)];
        let what = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        match self.cores {
            Some(1) => format!("{what}, 1 core"),
            Some(cores) => format!("{what}, {cores} cores"),
            None => what,
        }
    }

    fn is_memory(&self) -> bool {
        self.kind == "bandwidth"
            && self.level.as_deref().is_some_and(|level| {
                let level = level.to_ascii_uppercase();
                level == "DRAM" || level.starts_with("HBM")
            })
    }

    /// Whether it writes around the cache that it is listed under, so that it is no limit of that cache.
    pub(crate) fn is_around_its_cache(&self) -> bool {
        self.kind == "bandwidth" && self.level.is_some() && !self.is_memory() && self.name.ends_with("_nt")
    }

    /// Place in a list: compute first, then the levels from the innermost to the memory.
    pub(crate) fn rank(&self) -> u32 {
        let level = self.level.as_deref().unwrap_or_default();
        match level.strip_prefix('L').and_then(|number| number.parse::<u32>().ok()) {
            _ if self.kind == "compute" => 0,
            Some(number) => number.clamp(1, 98),
            None if self.is_memory() => 99,
            None => 100,
        }
    }
}

/// The ceilings of a run, in the order of their table.
///
/// # Errors
/// When the table lacks a column, which the schema check excludes.
pub(crate) fn ceilings(run: &Run) -> Result<Vec<Ceiling>, Error> {
    let frame = run.tables.get(&CEILINGS);
    let text = |name: &str| texts(frame, name);
    let (devices, cores, values) = (ints(frame, "device")?, ints(frame, "cores")?, floats(frame, "value")?);
    let (kinds, names, sources) = (text("kind")?, text("name")?, text("source")?);
    let (precisions, levels, isas) = (text("precision")?, text("level")?, text("isa")?);
    let (per_cycle, contended) = (floats(frame, "per_cycle")?, bools(frame, "contended")?);
    let row = |row: usize| {
        Some(Ceiling {
            device: devices[row]?,
            kind: kinds[row].clone()?,
            name: names[row].clone()?,
            precision: precisions[row].clone(),
            level: levels[row].clone(),
            isa: isas[row].clone(),
            cores: cores[row],
            value: values[row]?,
            per_cycle: per_cycle[row],
            source: sources[row].clone()?,
            contended: contended[row] == Some(true),
        })
    };
    Ok((0..values.len()).filter_map(row).collect())
}

/// One family in one phase, summed over the devices of one kind.
#[derive(Clone, Debug, Default)]
struct Pool {
    time_ns: i64,
    flop: i64,
    bytes: i64,
    bound_ns: i64,
    launches: i64,
    limiters: BTreeMap<String, i64>,
}

impl Pool {
    fn add(&mut self, row: &Row) {
        let time = row.int("time_ns").unwrap_or(0);
        let parts = [&mut self.time_ns, &mut self.flop, &mut self.bytes, &mut self.bound_ns, &mut self.launches];
        for (part, column) in parts.into_iter().zip(["time_ns", "flop", "dram_bytes", "bound_ns", "launches"]) {
            *part = part.saturating_add(row.int(column).unwrap_or(0));
        }
        if let Some(limiter) = row.text("limiter") {
            add(&mut self.limiters, limiter.to_owned(), time);
        }
    }

    fn efficiency(&self) -> Option<f64> {
        (self.bound_ns > 0 && self.time_ns > 0).then(|| self.bound_ns as f64 / self.time_ns as f64)
    }
}

/// Adds to the total of a key, without overflow on hostile values.
fn add<K: Ord>(totals: &mut BTreeMap<K, i64>, key: K, value: i64) {
    let total = totals.entry(key).or_default();
    *total = total.saturating_add(value);
}

/// The rows of the first window set: with several windows the same work would be drawn several times.
pub(crate) fn rows(run: &Run) -> Vec<&Row> {
    let rows = run.metric("roofline");
    let window = rows.first().and_then(|row| row.text("window"));
    rows.iter().filter(|row| row.text("window") == window).collect()
}

/// The roofline of a run; none where the metric has no rows.
///
/// # Errors
/// When a table lacks a column, which the schema check excludes.
pub(crate) fn view(run: &Run, suffix: &str) -> Result<Option<Roofline>, Error> {
    let rows = rows(run);
    if rows.is_empty() {
        return Ok(None);
    }
    let shown = main_devices(run, &rows);
    let mut pools: BTreeMap<(String, String), Pool> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.int("device").is_none_or(|device| shown.devices.contains(&device))) {
        let name = row.text("name").unwrap_or("unnamed").to_owned();
        pools.entry((name, row.text("phase").unwrap_or_default().to_owned())).or_default().add(row);
    }
    let all_ns = sum(pools.values().map(|pool| pool.time_ns));
    let mut points: Vec<Point> = pools.iter().filter_map(|(key, pool)| point(key, pool, all_ns)).collect();
    // The families that cost most get the best places for their labels.
    points.sort_by(|a, b| b.time_ratio.total_cmp(&a.time_ratio));
    let mut traffic: Vec<(i64, Traffic)> =
        pools.iter().filter_map(|(key, pool)| Some((pool.time_ns, lane_row(key, pool)?))).collect();
    traffic.sort_by_key(|(time, _)| Reverse(*time));
    let more = traffic.len().saturating_sub(MOST_TRAFFIC);
    let precision = precision(&rows);
    Ok(Some(Roofline {
        id: format!("roofline{}", file_stem(suffix)),
        title: format!("Roofline: {}", run.artifact.manifest.target.name),
        subtitle: format!("{}; {}", run.artifact.manifest.hardware_key, shown.words),
        roofs: roofs(&ceilings(run)?, &rows, precision.as_deref(), &shown),
        points,
        traffic: traffic.into_iter().take(MOST_TRAFFIC).map(|(_, row)| row).collect(),
        notes: notes(&rows, &pools, more),
    }))
}

/// Which devices one picture shows: those that share the name of the busiest one.
struct Shown {
    devices: BTreeSet<i64>,
    /// A cpu device is one core, so its points stand under one-core roofs.
    one_core: bool,
    words: String,
}

fn main_devices(run: &Run, rows: &[&Row]) -> Shown {
    let mut time: BTreeMap<i64, i64> = BTreeMap::new();
    for row in rows {
        add(&mut time, row.int("device").unwrap_or(0), row.int("time_ns").unwrap_or(0));
    }
    let probed = |number: i64| run.artifact.manifest.devices.iter().find(|device| device.device == number);
    let busiest = time.iter().max_by_key(|(number, ns)| (**ns, Reverse(**number))).map_or(0, |(number, _)| *number);
    let like = |number: &i64| match (probed(*number), probed(busiest)) {
        (Some(one), Some(other)) => one.kind == other.kind && one.name == other.name,
        _ => *number == busiest,
    };
    let devices: BTreeSet<i64> = time.keys().copied().filter(like).collect();
    let one_core = probed(busiest).is_some_and(|device| device.kind == "cpu");
    let name = probed(busiest).map_or("device", |device| device.name.as_str());
    let unit = if one_core { ", one core each" } else { "" };
    let count = devices.len();
    let words = format!("{count} device{} ({name}){unit}", if count == 1 { "" } else { "s" });
    Shown { devices, one_core, words }
}

/// The precision that most of the time is spent in.
fn precision(rows: &[&Row]) -> Option<String> {
    let mut time: BTreeMap<&str, i64> = BTreeMap::new();
    for row in rows {
        if let Some(precision) = row.text("precision") {
            add(&mut time, precision, row.int("time_ns").unwrap_or(0));
        }
    }
    time.into_iter().max_by_key(|(_, ns)| *ns).map(|(precision, _)| precision.to_owned())
}

fn heading((name, phase): &(String, String)) -> String {
    if phase.is_empty() || name.contains(phase.as_str()) { name.clone() } else { format!("{name}, {phase}") }
}

fn point(key: &(String, String), pool: &Pool, all_ns: i64) -> Option<Point> {
    if pool.flop <= 0 || pool.bytes <= 0 || pool.time_ns <= 0 {
        return None;
    }
    let rate = pool.flop as f64 / (pool.time_ns as f64 / 1e9);
    let intensity = pool.flop as f64 / pool.bytes as f64;
    let time_ratio = pool.time_ns as f64 / all_ns.max(1) as f64;
    let of_bound = pool.efficiency().map_or_else(String::new, |ratio| format!(", {} of bound", format::percent(ratio)));
    let limiter = pool.limiters.iter().max_by_key(|(_, ns)| **ns).map_or("unknown", |(limiter, _)| limiter);
    let tooltip = format!(
        "{}: {}{of_bound}; limiter {limiter}; {} FLOP/byte; {} in {} launches, {} of the time",
        heading(key),
        format::flop_rate(rate),
        format::significant(intensity),
        format::duration(pool.time_ns),
        format::count(pool.launches),
        format::percent(time_ratio),
    );
    let detail = format!("{}{of_bound}", format::flop_rate(rate));
    let ink = Ink::of_phase(Some(&key.1));
    Some(Point { name: heading(key), family: key.0.clone(), detail, ink, intensity, rate, time_ratio, tooltip })
}

fn lane_row(key: &(String, String), pool: &Pool) -> Option<Traffic> {
    if pool.flop > 0 || pool.bytes <= 0 || pool.time_ns <= 0 {
        return None;
    }
    let rate = pool.bytes as f64 / (pool.time_ns as f64 / 1e9);
    let bound = (pool.bound_ns > 0).then(|| pool.bytes as f64 / (pool.bound_ns as f64 / 1e9));
    let of_bound = pool.efficiency().map_or_else(String::new, |ratio| format!(", {} of bound", format::percent(ratio)));
    let label = format!("{}: {}{of_bound}", heading(key), format::bandwidth(rate));
    // A copy of a compute phase (a hand-over between stages) is no compute.
    let ink = if Ink::of_phase(Some(&key.1)) == Ink::Kv { Ink::Kv } else { Ink::Copy };
    Some(Traffic { label, ink, rate, bound })
}

/// The roofs that the bounds used, as their rows state them; the datasheet's from the table `ceilings`.
fn roofs(ceilings: &[Ceiling], rows: &[&Row], precision: Option<&str>, shown: &Shown) -> Vec<Roof> {
    let of_precision = |row: &&&Row| row.text("precision") == precision && row.float("roof_flop_per_s").is_some();
    let mut found = Vec::new();
    if let Some(row) = rows.iter().filter(of_precision).max_by_key(|row| row.int("time_ns")) {
        let compute = row.float("roof_flop_per_s").map(|value| (value, what(row.text("roof_compute"))));
        let bandwidth = row.float("roof_bytes_per_s").map(|value| (value, what(row.text("roof_bandwidth"))));
        let own = bandwidth.as_ref().map(|bandwidth| bandwidth.0);
        // The shared roof equals the own one where the cores in use cannot exhaust the memory: one line is enough.
        let shared = row.float("roof_shared_bytes_per_s").filter(|shared| own.is_none_or(|own| *shared < own));
        let shared = shared.map(|value| (value, what(row.text("roof_shared"))));
        found.push(Roof { source: Source::Measured, compute, bandwidth });
        found.extend(shared.map(|shared| Roof { source: Source::Shared, compute: None, bandwidth: Some(shared) }));
    }
    found.extend(datasheet(ceilings, precision, shown).or_else(|| derived(rows, precision)));
    found
}

/// What reached a roof, without the value that the label repeats and without its reason: `DRAM read, 1 core` of
/// `DRAM read, 1 core, measured 18.0 GB/s: why`.
fn what(label: Option<&str>) -> String {
    let label = label.unwrap_or("not named");
    let Some((text, rest)) = label.split_once(", measured ").or_else(|| label.split_once(", datasheet ")) else {
        return label.to_owned();
    };
    // Of the rest only ` / 2 in use` matters: the cores that share the roof.
    let shared = rest.split_once(" / ").map(|(_, shared)| shared.split(':').next().unwrap_or(shared));
    shared.map_or_else(|| text.to_owned(), |shared| format!("{text} / {}", shared.trim_end()))
}

/// Datasheet roofs that no row of `ceilings` has, because the analysis derived them from the architecture: its label
/// states them as `..., datasheet 104.3 GFLOP/s; ..., datasheet 25.6 GB/s`.
fn derived(rows: &[&Row], precision: Option<&str>) -> Option<Roof> {
    let of_precision = |row: &&&Row| row.text("precision") == precision;
    let label = rows.iter().filter(of_precision).find_map(|row| row.text("roof_datasheet"))?;
    let stated = |unit: &str, factor: f64| {
        let (part, value) = label.split("; ").find_map(|part| {
            let (_, value) = part.split_once(", datasheet ")?;
            Some((part, value.split_once(unit)?.0.trim().parse::<f64>().ok()?))
        })?;
        Some((value * factor, what(Some(part))))
    };
    let (compute, bandwidth) = (stated("GFLOP/s", 1e9), stated("GB/s", 1e9));
    (compute.is_some() || bandwidth.is_some()).then_some(Roof { source: Source::Datasheet, compute, bandwidth })
}

fn datasheet(ceilings: &[Ceiling], precision: Option<&str>, shown: &Shown) -> Option<Roof> {
    let stated = || ceilings.iter().filter(|ceiling| ceiling.source == "datasheet");
    let one_core = |ceiling: &&Ceiling| !shown.one_core || ceiling.cores.is_none_or(|cores| cores == 1);
    let has_own = stated().any(|ceiling| shown.devices.contains(&ceiling.device));
    let usable =
        || stated().filter(one_core).filter(move |ceiling| !has_own || shown.devices.contains(&ceiling.device));
    let best = |candidates: &mut dyn Iterator<Item = &Ceiling>| {
        candidates.max_by(|a, b| a.value.total_cmp(&b.value)).map(|ceiling| (ceiling.value, ceiling.words()))
    };
    let compute = best(&mut usable().filter(|one| one.kind == "compute" && one.precision.as_deref() == precision));
    let bandwidth = best(&mut usable().filter(|ceiling| ceiling.is_memory()));
    (compute.is_some() || bandwidth.is_some()).then_some(Roof { source: Source::Datasheet, compute, bandwidth })
}

fn notes(rows: &[&Row], pools: &BTreeMap<(String, String), Pool>, more: usize) -> Vec<String> {
    let first = |column: &str| rows.iter().find_map(|row| row.text(column)).unwrap_or(format::ABSENT).to_owned();
    let window = first("window");
    let mut notes = vec![format!(
        "One point a kernel family and phase, summed over the devices: FLOP / time against FLOP / bytes. Window: {window}. \
         FLOP: {}; bytes: {}; time: {}. Bound: the sum over launches of the slower of compute and memory on the \
         measured roofs.",
        first("flop_source"),
        first("bytes_source"),
        first("time_source"),
    )];
    let uncounted = pools.values().filter(|pool| pool.flop <= 0 && pool.bytes <= 0).count();
    if uncounted > 0 {
        notes.push(format!("{uncounted} families have neither FLOP nor bytes and are only in the table."));
    }
    if more > 0 {
        notes.push(format!("{more} more families without FLOP are only in the table."));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roof_label_repeats_neither_its_value_nor_its_reason() {
        assert_eq!(what(Some("DRAM read, 1 core, measured 18.0 GB/s: bytes come from DRAM")), "DRAM read, 1 core");
        assert_eq!(what(Some("DRAM read, 2 cores, measured 25.0 GB/s / 2 in use")), "DRAM read, 2 cores / 2 in use");
        assert_eq!(what(None), "not named");
    }

    #[test]
    fn a_family_is_headed_by_name_and_phase_but_never_twice() {
        let key = |name: &str, phase: &str| heading(&(name.to_owned(), phase.to_owned()));
        assert_eq!(key("gemm", "decode"), "gemm, decode");
        assert_eq!(key("decode_attention", "decode"), "decode_attention");
        assert_eq!(key("gemm", ""), "gemm");
    }
}
