//! Families in a phase, pooled over the equal devices of a series.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::denominator::Used;
use super::series::{Series, add, beside};
use crate::charts::limiter::Limiter;
use crate::format;
use crate::run::{Row, Run};
use crate::{Against, RooflineOptions};

/// Levels with a column of their own in `roofline`, for results without the metric `roofline_level`.
const COLUMNS: [(&str, &str); 3] = [("DRAM", "dram_bytes"), ("L2", "l2_bytes"), ("L1", "l1_bytes")];

/// One family in one phase, summed over the devices of a series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) time_ns: i64,
    pub(crate) launches: i64,
    pub(crate) flop: i64,
    /// Bytes by level, the outermost first where the metric `roofline_level` lists them so.
    pub(crate) bytes: BTreeMap<String, i64>,
    pub(crate) bound_ns: i64,
    /// Time of the launches that have a bound.
    pub(crate) bounded_ns: f64,
    /// Time of the launches whose counts are known: what rates are over.
    pub(crate) counted_ns: f64,
    pub(crate) above_ns: i64,
    /// Whether FLOP or bytes of any launch are known.
    pub(crate) counted: bool,
    /// Whether it may compute, but the FLOP of a row are not known: none were found is not the same as none.
    pub(crate) flop_unknown: bool,
    /// Whether the bound counts less than what was done, so that the true share of the roof is higher.
    pub(crate) is_lower_bound: bool,
    /// Causes that fit a point that cannot be.
    pub(crate) causes: BTreeSet<String>,
    pub(crate) precision: Option<String>,
    /// Level of the bandwidth that limits most of the time.
    pub(crate) limiter_level: Option<String>,
    /// FLOP/s and bytes/s of the roofs of its longest row.
    pub(crate) roofs: (Option<f64>, Option<f64>),
    /// Bytes/s of the roof of each level, of its longest row.
    pub(crate) level_roofs: BTreeMap<String, f64>,
    pub(crate) roof_source: Option<String>,
    pub(super) limiters: BTreeMap<String, i64>,
    pub(super) longest_ns: i64,
}

impl Pool {
    fn add(&mut self, row: &Row, levels: &Levels, options: &RooflineOptions) {
        // A negative time or count comes from a damaged file and must not take from the others.
        let time = row.int("time_ns").unwrap_or(0).max(0);
        let datasheet = options.against == Some(Against::Datasheet);
        let columns = if datasheet {
            ("bound_datasheet_ns", "efficiency_datasheet_ratio")
        } else {
            ("bound_ns", "efficiency_ratio")
        };
        let bound = row.int(columns.0);
        if let Some(bound) = bound {
            // The ratio is that of the launches with a bound; the time of the row is that of all.
            let ratio = row.float(columns.1).filter(|ratio| *ratio > 0.0);
            self.bounded_ns += ratio.map_or(time as f64, |ratio| bound as f64 / ratio);
        }
        let above =
            if datasheet { bound.map(|bound| bound.saturating_sub(time).max(0)) } else { row.int("above_roof_ns") };
        let parts = [&mut self.time_ns, &mut self.flop, &mut self.bound_ns, &mut self.launches, &mut self.above_ns];
        let values = [Some(time), row.int("flop"), bound, row.int("launches"), above];
        for (part, value) in parts.into_iter().zip(values) {
            *part = part.saturating_add(value.unwrap_or(0).max(0));
        }
        self.counted_ns += counted_ns(row, time);
        for (level, bytes) in levels.of(row) {
            add(&mut self.bytes, level, bytes.max(0));
        }
        if let Some(limiter) = row.text("limiter") {
            add(&mut self.limiters, limiter.to_owned(), time);
        }
        let causes = row.text("triage").unwrap_or_default().split(';').map(str::trim).filter(|cause| !cause.is_empty());
        self.causes.extend(causes.map(words));
        self.counted |= row.int("flop").is_some() || !levels.of(row).is_empty();
        self.flop_unknown |= is_flop_unknown(row);
        self.is_lower_bound |= is_lower_bound(row);
        if self.roofs == (None, None) || time > self.longest_ns {
            self.longest_ns = time;
            self.roofs = (row.float("roof_flop_per_s"), row.float("roof_bytes_per_s"));
            self.level_roofs = levels.roofs(row, datasheet);
            self.precision = row.text("precision").map(str::to_owned);
            self.limiter_level = row.text("limiter_level").map(str::to_owned);
            // Before the column was there, bounds came from measured roofs only.
            self.roof_source = Some(row.text("roof_source").unwrap_or("measured").to_owned());
        }
    }

    /// Bound over time of the launches that have one; none where no launch has a bound.
    pub(crate) fn efficiency(&self) -> Option<f64> {
        let ratio = self.bound_ns as f64 / self.bounded_ns;
        (self.bound_ns > 0 && self.bounded_ns > 0.0).then_some(ratio).filter(|ratio| ratio.is_finite())
    }

    /// What limits most of the time.
    pub(crate) fn limiter(&self) -> Limiter {
        Limiter::of(self.limiters.iter().max_by_key(|(_, ns)| **ns).map(|(limiter, _)| limiter.as_str()))
    }

    /// FLOP/s; none without FLOP or time.
    pub(crate) fn rate(&self) -> Option<f64> {
        (self.flop > 0).then(|| self.flop as f64 * 1e9 / self.rated_ns()).filter(|rate| rate.is_finite())
    }

    /// FLOP a byte of a level.
    pub(crate) fn intensity(&self, level: &str) -> Option<f64> {
        let bytes = self.bytes.get(level).copied().filter(|bytes| *bytes > 0)?;
        (self.flop > 0).then(|| self.flop as f64 / bytes as f64)
    }

    /// Bytes/s of a level.
    pub(crate) fn bandwidth(&self, level: &str) -> Option<f64> {
        let bytes = self.bytes.get(level).copied().filter(|bytes| *bytes > 0)?;
        Some(bytes as f64 * 1e9 / self.rated_ns()).filter(|rate| rate.is_finite() && *rate > 0.0)
    }

    /// The time that rates are over.
    fn rated_ns(&self) -> f64 {
        if self.counted_ns > 0.0 { self.counted_ns } else { self.time_ns.max(0) as f64 }
    }

    /// The phase; empty where the name says it.
    pub(crate) fn own_phase(&self) -> &str {
        if self.name.contains(self.phase.as_str()) { "" } else { &self.phase }
    }

    /// Family and phase, the phase only where the name does not say it.
    pub(crate) fn heading(&self) -> String {
        let phase = self.own_phase();
        if phase.is_empty() { self.name.clone() } else { format!("{}, {phase}", self.name) }
    }

    /// The causes that fit, for a label.
    pub(crate) fn cause(&self) -> String {
        let causes: Vec<&str> = self.causes.iter().map(String::as_str).collect();
        if causes.is_empty() { "cause not known".to_owned() } else { causes.join(", ") }
    }

    /// The denominator of its efficiency: `measured DRAM` or `datasheet f32`.
    pub(crate) fn roof(&self, used: &Used) -> String {
        let limiter = self.limiter();
        let name = match limiter {
            Limiter::Compute => self.precision.as_deref().unwrap_or("compute"),
            Limiter::Memory => self.memory_level(),
            Limiter::Link => "link",
            Limiter::Unknown => return "its bound".to_owned(),
        };
        // Of a mixture, and of a link, only the metric `roofs` knows the source.
        let stated = self.roof_source.as_deref().filter(|source| !source.contains('+') && limiter != Limiter::Link);
        match used.source(name).or(stated) {
            Some(source) => format!("{source} {name}"),
            None if limiter == Limiter::Memory => format!("memory ({name})"),
            None => format!("the {name} roof"),
        }
    }

    /// The level that limits, where memory does.
    pub(crate) fn memory_level(&self) -> &str {
        self.limiter_level.as_deref().unwrap_or("DRAM")
    }

    /// `52.0 %`, or `lower bound 52.0 %` where the bound is too low; none without a bound.
    pub(crate) fn share(&self) -> Option<String> {
        let percent = format::percent(self.efficiency()?);
        Some(if self.is_lower_bound { format!("{LOWER_BOUND} {percent}") } else { percent })
    }

    /// `, 52.0 % of measured DRAM`; empty without a bound.
    pub(crate) fn of_roof(&self, used: &Used) -> String {
        self.share().map_or_else(String::new, |share| format!(", {share} of {}", self.roof(used)))
    }
}

/// What stands before a share that is a lower bound of the true one.
pub(crate) const LOWER_BOUND: &str = "lower bound";

/// Whether a row may have done FLOP that nobody counted. Copies and sets do none; rows before the column `kind` was
/// there are taken at their word.
pub(crate) fn is_flop_unknown(row: &Row) -> bool {
    row.int("flop").is_none() && row.text("kind").is_some_and(|kind| !matches!(kind, "copy" | "set"))
}

/// Whether the bound of a row leaves out work without a roof or without counts.
pub(crate) fn is_lower_bound(row: &Row) -> bool {
    let partial = row.int("partial_launches").is_some_and(|partial| partial > 0);
    partial || is_flop_unknown(row) || row.boolean("flop_lower_bound") == Some(true)
}

/// The time of a row's launches whose counts are known: what its own rates are over. Without rates its whole time.
fn counted_ns(row: &Row, time: i64) -> f64 {
    let over = |count: &str, rate: &str| Some(row.int(count)? as f64 * 1e9 / row.float(rate)?);
    let known = over("flop", "flop_per_s").filter(|ns| ns.is_finite() && *ns > 0.0);
    let known = known.or_else(|| over("dram_bytes", "bytes_per_s").filter(|ns| ns.is_finite() && *ns > 0.0));
    known.unwrap_or(time as f64)
}

/// The levels that some row of a run has bytes of.
pub(crate) fn levels_of(run: &Run) -> Vec<&str> {
    let listed = run.metric("roofline_level").iter().filter_map(|row| row.text("level"));
    let has = |column: &str| run.metric("roofline").iter().any(|row| row.int(column).is_some());
    listed.chain(COLUMNS.into_iter().filter(|(_, column)| has(column)).map(|(level, _)| level)).collect()
}

/// `cache_reuse` as a reader writes it.
fn words(slug: &str) -> String {
    slug.replace('_', " ")
}

/// The rows of `roofline_level` of each row.
struct Levels<'a>(HashMap<Key<'a>, Vec<&'a Row>>);

type Key<'a> = (Option<i64>, Option<i64>, Option<&'a str>, Option<&'a str>);

fn key(row: &Row) -> Key<'_> {
    (row.int("rank"), row.int("device"), row.text("name"), row.text("phase"))
}

impl<'a> Levels<'a> {
    fn read(series: &Series<'a>) -> Self {
        let mut found: HashMap<Key, Vec<&Row>> = HashMap::new();
        for row in beside(series.run, "roofline_level") {
            if row.text("level").is_some() && row.float("bytes").is_some() {
                found.entry(key(row)).or_default().push(row);
            }
        }
        Self(found)
    }

    fn of(&self, row: &Row) -> Vec<(String, i64)> {
        let column = |(level, column): (&str, &str)| Some((level.to_owned(), row.int(column)?));
        match self.0.get(&key(row)) {
            Some(levels) => levels
                .iter()
                .filter_map(|row| Some((row.text("level")?.to_owned(), row.float("bytes")? as i64)))
                .collect(),
            None => COLUMNS.into_iter().filter_map(column).collect(),
        }
    }

    /// Bytes/s of the roofs of a row's levels; the row itself states that of its DRAM only.
    fn roofs(&self, row: &Row, datasheet: bool) -> BTreeMap<String, f64> {
        let column = if datasheet { "roof_datasheet_bytes_per_s" } else { "roof_bytes_per_s" };
        let own = row.float("roof_bytes_per_s").filter(|_| !datasheet).map(|roof| ("DRAM".to_owned(), roof));
        let listed = self.0.get(&key(row)).into_iter().flatten();
        own.into_iter()
            .chain(listed.filter_map(|row| Some((row.text("level")?.to_owned(), row.float(column)?))))
            .collect()
    }
}

/// The pools of a series, the one that ran longest first.
pub(crate) fn pools(series: &Series, options: &RooflineOptions) -> Vec<Pool> {
    let levels = Levels::read(series);
    let mut pools: BTreeMap<(&str, &str), Pool> = BTreeMap::new();
    for row in &series.rows {
        let key = (row.text("name").unwrap_or("unnamed"), row.text("phase").unwrap_or_default());
        let pool = pools.entry(key).or_insert_with(|| Pool {
            name: row.text("family").unwrap_or(key.0).to_owned(),
            phase: key.1.to_owned(),
            ..Pool::default()
        });
        pool.add(row, &levels, options);
    }
    let mut pools: Vec<Pool> = pools.into_values().collect();
    pools.sort_by(|a, b| b.time_ns.cmp(&a.time_ns).then_with(|| a.name.cmp(&b.name)));
    pools
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_family_is_headed_by_name_and_phase_but_never_twice() {
        let heading = |name: &str, phase: &str| {
            Pool { name: name.to_owned(), phase: phase.to_owned(), ..Pool::default() }.heading()
        };
        assert_eq!(heading("gemm", "decode"), "gemm, decode");
        assert_eq!(heading("decode_attention", "decode"), "decode_attention");
        assert_eq!(heading("gemm", ""), "gemm");
    }

    #[test]
    fn a_percentage_names_the_roof_and_its_source() {
        let mut pool = Pool { time_ns: 400, bounded_ns: 200.0, bound_ns: 50, ..Pool::default() };
        pool.limiters.insert("memory".to_owned(), 1);
        pool.roof_source = Some("measured+datasheet".to_owned());
        assert_eq!(pool.of_roof(&Used::default()), ", 25.0 % of memory (DRAM)");
        let used = Used::of(&[("DRAM", "datasheet", 3.35e12)]);
        assert_eq!(pool.of_roof(&used), ", 25.0 % of datasheet DRAM");
        pool.is_lower_bound = true;
        assert_eq!(pool.of_roof(&used), ", lower bound 25.0 % of datasheet DRAM");
        pool.is_lower_bound = false;
        pool.limiters.clear();
        assert_eq!(pool.of_roof(&used), ", 25.0 % of its bound");
    }

    #[test]
    fn a_kernel_whose_flop_nobody_counted_is_not_one_without_flop() {
        let unknown = |row: serde_json::Value| is_flop_unknown(&Row::of(row));
        assert!(unknown(json!({"kind": "kernel"})) && !unknown(json!({"kind": "kernel", "flop": 0})));
        assert!(!unknown(json!({"kind": "copy"})) && !unknown(json!({"name": "before the column was there"})));
        let lower = |row: serde_json::Value| is_lower_bound(&Row::of(row));
        assert!(lower(json!({"kind": "kernel", "flop": 4, "launches": 2, "partial_launches": 2})));
        assert!(lower(json!({"kind": "kernel", "flop": 4, "flop_lower_bound": true})));
        assert!(!lower(json!({"kind": "kernel", "flop": 4, "launches": 2, "partial_launches": 0})));
    }

    #[test]
    fn rates_are_over_the_launches_that_were_counted() {
        // 100 FLOP at 0.5 a ns: 200 of the 400 ns.
        let row = Row::of(json!({"flop": 100, "flop_per_s": 5e8, "dram_bytes": 0}));
        assert!((counted_ns(&row, 400) - 200.0).abs() < 1e-9);
        let pool = Pool { time_ns: 400, flop: 100, counted_ns: 200.0, ..Pool::default() };
        assert_eq!(pool.rate(), Some(5e8));
        assert!((counted_ns(&Row::of(json!({})), 400) - 400.0).abs() < 1e-9);
    }

    #[test]
    fn hostile_numbers_give_no_rate_and_no_panic() {
        let pool = Pool { time_ns: i64::MIN, flop: i64::MAX, bound_ns: i64::MAX, ..Pool::default() };
        assert_eq!((pool.rate(), pool.efficiency(), pool.intensity("DRAM")), (None, None, None));
    }
}
