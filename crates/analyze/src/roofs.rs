//! Which roofs bound a device: measured ones from the table `ceilings`, datasheet ones from the architecture.
//!
//! A cpu device is one core, so its roofs are one-core roofs; the memory that all cores share is a roof beside them.

use std::collections::BTreeMap;

use proftool_trace::frame::Tables;
use proftool_trace::tables;

use crate::Error;
use crate::model::{Device, Rows};

/// One roof.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    /// FLOP/s or bytes/s.
    pub value: f64,
    /// What it is and why it was chosen, for the reader.
    pub label: String,
}

/// The roofs of one device from one source.
#[derive(Clone, Debug, Default)]
pub struct Roofs {
    /// The best compute roof of each precision.
    pub compute: BTreeMap<String, Roof>,
    /// DRAM bandwidth.
    pub memory: Option<Roof>,
    /// Bandwidth left for one core when all that work share the DRAM; cpu devices only.
    pub shared: Option<Roof>,
}

/// A row of `ceilings`.
#[derive(Clone, Debug)]
struct Ceiling {
    device: i64,
    name: String,
    precision: Option<String>,
    level: Option<String>,
    isa: Option<String>,
    cores: Option<i64>,
    value: f64,
    per_cycle: Option<f64>,
    measured: bool,
}

/// The ceilings of all devices.
#[derive(Clone, Debug, Default)]
pub struct Ceilings(Vec<Ceiling>);

impl Ceilings {
    /// Reads the table `ceilings`.
    ///
    /// # Errors
    /// When the frame does not have the columns of its table.
    pub fn read(tables: &Tables) -> Result<Self, Error> {
        let rows = Rows::all(tables.get(&tables::CEILINGS));
        let (devices, names, precisions) = (rows.ints("device")?, rows.texts("name")?, rows.texts("precision")?);
        let (levels, isas, cores) = (rows.texts("level")?, rows.texts("isa")?, rows.optional_ints("cores")?);
        let (values, per_cycle, sources) = (rows.floats("value")?, rows.floats("per_cycle")?, rows.texts("source")?);
        let ceiling = |at: usize| Ceiling {
            device: devices[at],
            name: names[at].clone().unwrap_or_default(),
            precision: precisions[at].clone(),
            level: levels[at].clone(),
            isa: isas[at].clone(),
            cores: cores[at],
            value: values[at].unwrap_or_default(),
            per_cycle: per_cycle[at],
            measured: sources[at].as_deref() != Some("datasheet"),
        };
        Ok(Self((0..devices.len()).map(ceiling).filter(|ceiling| ceiling.value > 0.0).collect()))
    }

    /// The rows of a device. Cores of one processor are alike, so that a cpu device takes the rows of another where it
    /// has none of its own.
    fn of(&self, device: &Device, measured: bool) -> Vec<&Ceiling> {
        let rows = || self.0.iter().filter(|ceiling| ceiling.measured == measured);
        let own: Vec<&Ceiling> = rows().filter(|ceiling| ceiling.device == device.key.1).collect();
        if own.is_empty() && device.kind == "cpu" { rows().collect() } else { own }
    }

    /// The measured roofs of a device while `cores_in_use` cores compute.
    pub fn measured(&self, device: &Device, cores_in_use: i64) -> Roofs {
        roofs(&self.of(device, true), device, cores_in_use, "measured")
    }

    /// The datasheet roofs of a device: rows of the table, or else what its architecture gives at the clock that the
    /// measured ceilings ran at.
    pub fn datasheet(&self, device: &Device) -> Roofs {
        let stated = self.of(device, false);
        if !stated.is_empty() {
            return roofs(&stated, device, 1, "datasheet");
        }
        let (Some(arch), Some(clock_hz)) = (device.arch.as_deref(), self.clock_hz(device)) else {
            return Roofs::default();
        };
        let derived = derived(arch, clock_hz);
        roofs(&derived.iter().collect::<Vec<_>>(), device, 1, "datasheet")
    }

    /// The clock of the fastest measured compute trial, of one core where there is one: value / (per_cycle * cores).
    pub fn clock_hz(&self, device: &Device) -> Option<f64> {
        let rows = self.of(device, true);
        let clocked =
            |ceiling: &&Ceiling| ceiling.precision.is_some() && ceiling.per_cycle.is_some_and(|value| value > 0.0);
        let one_core = rows.iter().copied().filter(clocked).filter(|ceiling| ceiling.cores == Some(1)).max_by(by_value);
        let best = one_core.or_else(|| rows.iter().copied().filter(clocked).max_by(by_value))?;
        Some(best.value / (best.per_cycle? * best.cores.unwrap_or(1) as f64))
    }
}

/// What an architecture does a cycle, at that clock.
fn derived(arch: &str, clock_hz: f64) -> Vec<Ceiling> {
    let ceiling = |limit: proftool_hardware::Ceiling| Ceiling {
        device: 0,
        name: limit.name.to_owned(),
        precision: limit.precision,
        level: limit.level,
        isa: limit.isa,
        cores: Some(limit.cores),
        value: limit.value,
        per_cycle: Some(limit.per_cycle),
        measured: false,
    };
    proftool_hardware::datasheet(arch, clock_hz).into_iter().map(ceiling).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that Iterator::max_by wants")]
fn by_value(a: &&Ceiling, b: &&Ceiling) -> std::cmp::Ordering {
    a.value.total_cmp(&b.value)
}

fn roofs(ceilings: &[&Ceiling], device: &Device, cores_in_use: i64, source: &str) -> Roofs {
    let one_core = device.kind == "cpu";
    let usable = |ceiling: &&&Ceiling| !one_core || ceiling.cores.is_none_or(|cores| cores == 1);
    let mut compute: BTreeMap<String, &Ceiling> = BTreeMap::new();
    for ceiling in ceilings.iter().filter(usable) {
        if let Some(precision) = &ceiling.precision {
            let best = compute.entry(precision.clone()).or_insert(ceiling);
            if ceiling.value > best.value {
                *best = ceiling;
            }
        }
    }
    let own: Vec<&Ceiling> = ceilings.iter().filter(usable).copied().collect();
    let memory = dram_read(&own).map(|ceiling| Roof { value: ceiling.value, label: bandwidth_label(ceiling, source) });
    let shared = memory.as_ref().filter(|_| one_core).and_then(|own| shared(ceilings, own, cores_in_use, source));
    let compute = compute.into_iter().map(|(precision, ceiling)| (precision, compute_roof(ceiling, source))).collect();
    Roofs { compute, memory, shared }
}

/// The DRAM roof: a reading stream where one is stated, for the operands that are read dwarf the results; else the
/// largest.
fn dram_read<'a>(ceilings: &[&'a Ceiling]) -> Option<&'a Ceiling> {
    let is_dram = |ceiling: &&&Ceiling| {
        ceiling.precision.is_none()
            && ceiling
                .level
                .as_deref()
                .is_some_and(|level| ["dram", "hbm"].contains(&level.to_ascii_lowercase().as_str()))
    };
    let dram: Vec<&Ceiling> = ceilings.iter().filter(is_dram).copied().collect();
    let reads = dram.iter().filter(|ceiling| ceiling.name.to_ascii_lowercase().starts_with("read")).copied();
    reads.max_by(by_value).or_else(|| dram.iter().copied().max_by(by_value))
}

/// All-core bandwidth over the cores in use, and no more than one core can draw.
fn shared(ceilings: &[&Ceiling], own: &Roof, cores_in_use: i64, source: &str) -> Option<Roof> {
    let most =
        ceilings.iter().filter(|ceiling| ceiling.precision.is_none()).filter_map(|ceiling| ceiling.cores).max()?;
    let all: Vec<&Ceiling> = ceilings.iter().filter(|ceiling| ceiling.cores == Some(most)).copied().collect();
    let ceiling = dram_read(&all)?;
    let share = ceiling.value / cores_in_use.max(1) as f64;
    let label = format!("{} / {cores_in_use} in use", bandwidth_label(ceiling, source));
    Some(if share < own.value { Roof { value: share, label } } else { own.clone() })
}

fn compute_roof(ceiling: &Ceiling, source: &str) -> Roof {
    let precision = ceiling.precision.as_deref().unwrap_or("?");
    let isa = ceiling.isa.as_deref().map_or_else(String::new, |isa| format!(" {isa}"));
    let label =
        format!("{precision}{isa} {}{}, {source} {:.1} GFLOP/s", ceiling.name, cores(ceiling), ceiling.value / 1e9);
    Roof { value: ceiling.value, label }
}

fn bandwidth_label(ceiling: &Ceiling, source: &str) -> String {
    let level = ceiling.level.as_deref().unwrap_or("?");
    format!("{level} {}{}, {source} {:.1} GB/s", ceiling.name, cores(ceiling), ceiling.value / 1e9)
}

fn cores(ceiling: &Ceiling) -> String {
    match ceiling.cores {
        Some(1) => ", 1 core".to_owned(),
        Some(cores) => format!(", {cores} cores"),
        None => String::new(),
    }
}
