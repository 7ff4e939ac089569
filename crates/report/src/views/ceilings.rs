//! The table `ceilings`, as charts and sections read it.

use proftool_trace::frame::{bools, floats, ints, texts};
use proftool_trace::tables::CEILINGS;

use crate::error::Error;
use crate::run::Run;

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
        match (self.cores, self.isa.as_deref()) {
            (Some(units), Some("simt" | "tensor")) => format!("{what}, {units} SM"),
            (Some(1), _) => format!("{what}, 1 core"),
            (Some(cores), _) => format!("{what}, {cores} cores"),
            (None, _) => what,
        }
    }

    pub(super) fn is_memory(&self) -> bool {
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
