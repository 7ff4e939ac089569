//! The roofs of each device from every source side by side: measured, datasheet, and scaled to the observed clock.
//!
//! A cpu device is one core, so its roofs are one-core roofs; the memory that all cores share is a roof beside them.

use std::collections::BTreeMap;

use proftool_roofline::{Level, Precision, Roof, RoofSource, Roofs};
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use super::Against;
use crate::Error;
use crate::model::{Device, Rows};

/// What a roof limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    /// Arithmetic of a precision; `true` where the structured-sparsity instructions do it.
    Compute(Precision, bool),
    /// Traffic of a level.
    Bandwidth(Level),
    /// Traffic to other devices or the host, one direction.
    Link,
    /// Issue of warp instructions.
    Instructions,
}

/// One ceiling of a device, from one source.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    /// What it limits.
    pub(crate) resource: Resource,
    /// What is measured or stated: `fma`, `read`, `nvlink`.
    pub(crate) name: String,
    /// The roof, its label included.
    pub(crate) roof: Roof,
    /// The clock that it assumes.
    pub(crate) clock_hz: Option<f64>,
    /// The type that a matrix unit accumulates in.
    pub(crate) accumulate: Option<String>,
    /// How sure the datasheet's number is.
    pub(crate) confidence: Option<String>,
}

/// Bandwidth of the memory that all cores of a cpu share.
#[derive(Clone, Debug)]
pub(crate) struct AllCores {
    value: f64,
    label: String,
}

/// The roofs of one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceRoofs {
    /// What the bounds of the results use.
    pub(crate) used: Roofs,
    /// Measured on the device.
    pub(crate) measured: Roofs,
    /// As the datasheet states, at its clocks.
    pub(crate) datasheet: Roofs,
    /// At the clock that was observed while kernels were profiled.
    pub(crate) observed: Roofs,
    /// Every ceiling that they were chosen from.
    pub(crate) ceilings: Vec<Ceiling>,
    /// What the reader must know about them.
    pub(crate) notes: Vec<String>,
    /// The slug of the matched hardware spec.
    pub(crate) spec: Option<&'static str>,
    /// That spec.
    pub(crate) gpu: Option<&'static proftool_hardware::gpu::GpuSpec>,
    /// Units (SM, CU) as probed.
    pub(crate) units: Option<i64>,
    /// `cpu`, `cuda`, `hip` or `simulated`; empty where nobody told.
    pub(crate) kind: String,
    /// Passes whose kernels ran at the clock of [`DeviceRoofs::observed`].
    pub(crate) observed_in: Vec<String>,
    /// Median compute clock while kernels were profiled.
    pub(crate) observed_clock: Option<f64>,
    all_cores: Option<AllCores>,
}

impl DeviceRoofs {
    /// The roofs in use while `cores` cores compute: the DRAM roof is the all-core bandwidth over the cores in use, and
    /// no more than one core can draw. `None` for devices that are not cores.
    pub(crate) fn shared(&self, cores: i64) -> Option<Roofs> {
        let own = self.used.bandwidth.get(&Level::Dram)?;
        let all = self.all_cores.as_ref()?;
        let share = all.value / cores.max(1) as f64;
        let label = format!("{} / {cores} in use", all.label);
        let roof = if share < own.value { Roof { value: share, label, ..own.clone() } } else { own.clone() };
        let mut roofs = self.used.clone();
        roofs.bandwidth.insert(Level::Dram, roof);
        Some(roofs)
    }

    /// The datasheet's link of one of those names, the first that the device has.
    pub(crate) fn link(&self, names: &[&str]) -> Option<&Ceiling> {
        let stated = |ceiling: &&Ceiling| ceiling.roof.source == RoofSource::Datasheet;
        let links = || self.ceilings.iter().filter(|ceiling| ceiling.resource == Resource::Link).filter(stated);
        names.iter().find_map(|name| links().find(|ceiling| ceiling.name == *name))
    }

    /// Chooses the best ceiling of each resource and source, and what the bounds use.
    fn choose(&mut self, against: Against) {
        for source in [RoofSource::Measured, RoofSource::Datasheet, RoofSource::Observed] {
            let of_source: Vec<&Ceiling> =
                self.ceilings.iter().filter(|ceiling| ceiling.roof.source == source).collect();
            let roofs = best(&of_source);
            match source {
                RoofSource::Measured => self.measured = roofs,
                RoofSource::Datasheet => self.datasheet = roofs,
                RoofSource::Observed => self.observed = roofs,
            }
        }
        self.used = match against {
            Against::Measured => filled(&self.measured, &self.datasheet),
            Against::Datasheet => self.datasheet.clone(),
        };
    }
}

/// The first roofs, and of the second what the first do not have.
pub(crate) fn filled(first: &Roofs, second: &Roofs) -> Roofs {
    let mut roofs = second.clone();
    roofs.compute.extend(first.compute.iter().map(|(key, roof)| (*key, roof.clone())));
    roofs.bandwidth.extend(first.bandwidth.iter().map(|(level, roof)| (*level, roof.clone())));
    roofs.link = first.link.clone().or(roofs.link);
    roofs.instructions = first.instructions.clone().or(roofs.instructions);
    roofs
}

/// The roof of each resource: the largest, of bandwidths a reading stream where one is stated, for the operands that are
/// read dwarf the results.
fn best(ceilings: &[&Ceiling]) -> Roofs {
    let mut chosen: BTreeMap<Resource, &Ceiling> = BTreeMap::new();
    for ceiling in ceilings {
        let known = chosen.entry(ceiling.resource).or_insert(ceiling);
        if rank(ceiling) > rank(known) {
            *known = ceiling;
        }
    }
    let mut roofs = Roofs::default();
    for (resource, ceiling) in chosen {
        let roof = ceiling.roof.clone();
        match resource {
            Resource::Compute(precision, sparse) => drop(roofs.compute.insert((precision, sparse), roof)),
            Resource::Bandwidth(level) => drop(roofs.bandwidth.insert(level, roof)),
            // Which link it is depends on the copy.
            Resource::Link => {}
            Resource::Instructions => roofs.instructions = Some(roof),
        }
    }
    roofs
}

fn rank(ceiling: &Ceiling) -> (bool, f64) {
    let reads =
        matches!(ceiling.resource, Resource::Bandwidth(_)) && ceiling.name.to_ascii_lowercase().starts_with("read");
    (reads, ceiling.roof.value)
}

/// A row of the table `ceilings`.
#[derive(Clone, Debug)]
struct Row {
    rank: i64,
    device: i64,
    name: String,
    precision: Option<String>,
    level: Option<String>,
    isa: Option<String>,
    cores: Option<i64>,
    value: f64,
    per_cycle: Option<f64>,
    source: RoofSource,
}

/// The table `ceilings`, and the roofs that follow from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ceilings(Vec<Row>);

impl Ceilings {
    /// Reads the table `ceilings`.
    ///
    /// # Errors
    /// When the frame does not have the columns of its table.
    pub(crate) fn read(tables: &Tables) -> Result<Self, Error> {
        let rows = Rows::all(tables.get(&tables::CEILINGS));
        let (ranks, devices) = (rows.ints("rank")?, rows.ints("device")?);
        let (names, precisions) = (rows.texts("name")?, rows.texts("precision")?);
        let (levels, isas, cores) = (rows.texts("level")?, rows.texts("isa")?, rows.optional_ints("cores")?);
        let (values, per_cycle, sources) = (rows.floats("value")?, rows.floats("per_cycle")?, rows.texts("source")?);
        let row = |at: usize| Row {
            rank: ranks[at],
            device: devices[at],
            name: names[at].clone().unwrap_or_default(),
            precision: precisions[at].clone(),
            level: levels[at].clone(),
            isa: isas[at].clone(),
            cores: cores[at],
            value: values[at].unwrap_or_default(),
            per_cycle: per_cycle[at],
            source: match sources[at].as_deref() {
                Some("datasheet") => RoofSource::Datasheet,
                _ => RoofSource::Measured,
            },
        };
        Ok(Self((0..devices.len()).map(row).filter(|row| row.value.is_finite() && row.value > 0.0).collect()))
    }

    /// The rows of a device from one source. Cores of one processor are alike, so that a cpu device takes the rows of
    /// another where it has none of its own.
    fn of(&self, device: &Device, source: RoofSource) -> Vec<&Row> {
        let rows = || self.0.iter().filter(|row| row.source == source);
        let own: Vec<&Row> = rows().filter(|row| (row.rank, row.device) == device.key).collect();
        let alike = || rows().filter(|row| row.device == device.key.1).collect::<Vec<_>>();
        match (own.is_empty(), alike()) {
            (false, _) => own,
            (true, alike) if alike.is_empty() && device.kind == "cpu" => rows().collect(),
            (true, alike) => alike,
        }
    }

    /// The roofs of a device from the table, and for a processor without datasheet rows what its architecture gives at
    /// the clock that the measured ceilings ran at; `more` are those that other sources state.
    pub(crate) fn roofs(&self, device: &Device, more: Vec<Ceiling>, against: Against) -> DeviceRoofs {
        let one_core = device.kind == "cpu";
        let measured = self.of(device, RoofSource::Measured);
        let stated: Vec<Row> = self.of(device, RoofSource::Datasheet).into_iter().cloned().collect();
        let datasheet = if stated.is_empty() { derived(device, clock_hz(&measured)) } else { stated };
        let usable = |row: &&Row| !one_core || row.cores.is_none_or(|cores| cores == 1);
        let mut roofs = DeviceRoofs::default();
        let rows = measured.iter().copied().chain(&datasheet).filter(usable);
        roofs.ceilings = rows.filter_map(ceiling).chain(more).collect();
        roofs.all_cores = all_cores(&measured).filter(|_| one_core);
        roofs.choose(against);
        roofs
    }
}

/// What the architecture of a processor does a cycle, at that clock.
fn derived(device: &Device, clock_hz: Option<f64>) -> Vec<Row> {
    let (Some(arch), Some(clock_hz)) = (device.arch.as_deref(), clock_hz) else { return Vec::new() };
    let row = |limit: proftool_hardware::Ceiling| Row {
        rank: device.key.0,
        device: device.key.1,
        name: limit.name.to_owned(),
        precision: limit.precision,
        level: limit.level,
        isa: limit.isa,
        cores: Some(limit.cores),
        value: limit.value,
        per_cycle: Some(limit.per_cycle),
        source: RoofSource::Datasheet,
    };
    proftool_hardware::datasheet(arch, clock_hz).into_iter().map(row).collect()
}

/// The clock of the fastest measured compute trial, of one core where there is one: value / (per_cycle * cores).
fn clock_hz(measured: &[&Row]) -> Option<f64> {
    let clocked = || measured.iter().filter(|row| row.precision.is_some() && row.clock_hz().is_some());
    let one_core = clocked().filter(|row| row.cores == Some(1)).max_by(|a, b| a.value.total_cmp(&b.value));
    one_core.or_else(|| clocked().max_by(|a, b| a.value.total_cmp(&b.value)))?.clock_hz()
}

impl Row {
    fn clock_hz(&self) -> Option<f64> {
        let clock = self.value / (self.per_cycle? * self.cores.unwrap_or(1) as f64);
        Some(clock).filter(|clock| clock.is_finite() && *clock > 0.0)
    }

    fn label(&self, what: &str) -> String {
        let isa = self.isa.as_deref().filter(|_| self.precision.is_some());
        let isa = isa.map_or_else(String::new, |isa| format!(" {isa}"));
        let cores = match (self.cores, self.isa.as_deref()) {
            (Some(units), Some("simt" | "tensor")) => format!(", {units} SM"),
            (Some(1), _) => ", 1 core".to_owned(),
            (Some(cores), _) => format!(", {cores} cores"),
            (None, _) => String::new(),
        };
        let rate = if self.precision.is_some() { flop_rate(self.value) } else { byte_rate(self.value) };
        format!("{what}{isa} {}{cores}, {} {rate}", self.name, self.source.name())
    }
}

/// A row as a ceiling; `None` for a type or level that no counter knows (`i32`).
fn ceiling(row: &Row) -> Option<Ceiling> {
    let (resource, what) = match (row.precision.as_deref(), row.level.as_deref()) {
        (Some(precision), _) => {
            let known = Precision::of_ceiling(&row.name, precision)?;
            (Resource::Compute(known, false), known.name())
        }
        // Of the links to the host one direction; both at once, and a way to another device that may not be the copy's, are
        // no roof of a copy.
        (None, Some("host")) if matches!(row.name.as_str(), "h2d" | "d2h") => (Resource::Link, "host"),
        (None, None | Some("host" | "peer")) => return None,
        (None, Some(level)) => (Resource::Bandwidth(Level::parse(level)?), level),
    };
    let roof = Roof { value: row.value, source: row.source, label: row.label(what), disputed: None };
    let clock_hz = row.clock_hz();
    let name = if resource == Resource::Link { what.to_owned() } else { row.name.clone() };
    Some(Ceiling { resource, name, roof, clock_hz, accumulate: None, confidence: None })
}

/// DRAM bandwidth of the most cores that were measured together.
fn all_cores(measured: &[&Row]) -> Option<AllCores> {
    let most = measured.iter().filter(|row| row.precision.is_none()).filter_map(|row| row.cores).max()?;
    let all = measured.iter().filter(|row| row.cores == Some(most)).filter_map(|row| ceiling(row));
    let dram: Vec<Ceiling> = all.filter(|ceiling| ceiling.resource == Resource::Bandwidth(Level::Dram)).collect();
    let best = dram.into_iter().max_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(std::cmp::Ordering::Equal))?;
    Some(AllCores { value: best.roof.value, label: best.roof.label })
}

/// FLOP/s for the reader.
pub(crate) fn flop_rate(value: f64) -> String {
    if value >= 1e13 { format!("{:.1} TFLOP/s", value / 1e12) } else { format!("{:.1} GFLOP/s", value / 1e9) }
}

/// bytes/s for the reader.
pub(crate) fn byte_rate(value: f64) -> String {
    if value >= 1e13 { format!("{:.1} TB/s", value / 1e12) } else { format!("{:.1} GB/s", value / 1e9) }
}
