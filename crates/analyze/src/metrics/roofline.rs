//! The roofline: how close each kernel family comes to its bound, and how much time is recoverable.
//!
//! Per launch: t_math = F / P with P the best roof of the kernel's precision; t_mem = Q / B over the levels for which
//! bytes are known (compulsory DRAM bytes here); t_comm = bytes / link rate for a copy. The bound is the largest, its
//! name the limiter, rounded to a nanosecond; bound_ns of a family is the sum over its launches (Williams et al., 2009,
//! in time form, so that it adds across kernels and is defined without FLOP). recoverable_ns = max(0, time - bound)
//! and above_roof_ns = max(0, bound - time) of the family's sums. A launch belongs to the window in which it begins, with its whole duration.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, kv_transfer, ratio};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, Device, DeviceKey, Model};
use crate::roofs::{Ceilings, Roofs};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline",
    doc: "How close each kernel comes to the hardware limit, the most recoverable time first.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline",
    doc: "One kernel family in one phase on one device, the most recoverable time first.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the kernel or copy."),
        text("phase", "Phase that the target states, for example `prefill`, `decode`, `kv_transfer`.").or_null(),
        text("precision", "Type of the arithmetic with the largest t_math.").or_null(),
        int("launches", "Launches that begin in the windows."),
        int("time_ns", "Sum of their durations."),
        int("flop", "Floating-point operations, an FMA counted as two.").or_null(),
        int("dram_bytes", "Compulsory bytes; of a copy the bytes moved.").or_null(),
        float("arithmetic_intensity", "flop / dram_bytes.").or_null(),
        float("flop_per_s", "flop / time_ns.").or_null(),
        float("bytes_per_s", "dram_bytes / time_ns.").or_null(),
        int("bound_ns", "Sum over the launches of the least time that the measured roofs allow.").or_null(),
        float("efficiency_ratio", "bound_ns over the time of the launches that have one.").or_null(),
        int("bound_datasheet_ns", "The same with datasheet roofs.").or_null(),
        float("efficiency_datasheet_ratio", "bound_datasheet_ns over the time of the launches that have one.")
            .or_null(),
        int("recoverable_ns", "max(0, time - bound) of the family.").or_null(),
        int("above_roof_ns", "max(0, bound - time) of the family.").or_null(),
        text("limiter", "`compute`, `memory` or `link`: which roof gives most of bound_ns.").or_null(),
        text("level", "Levels whose bytes entered the bound.").or_null(),
        int("shared_bound_ns", "The bound when the cores in use share the DRAM; cpu devices only.").or_null(),
        float("shared_efficiency_ratio", "shared_bound_ns over the time of the launches that have one.").or_null(),
        text("shared_limiter", "The limiter when the cores in use share the DRAM.").or_null(),
        text("roof_compute", "The measured compute roof and why it is the one.").or_null(),
        text("roof_bandwidth", "The measured bandwidth roof and why it is the one.").or_null(),
        text("roof_shared", "The shared bandwidth roof.").or_null(),
        text("roof_datasheet", "The datasheet roofs that bound_datasheet_ns used.").or_null(),
        float("roof_flop_per_s", "Value of the compute roof.").or_null(),
        float("roof_bytes_per_s", "Value of the bandwidth roof (of the link for a copy).").or_null(),
        float("roof_shared_bytes_per_s", "Value of the shared bandwidth roof.").or_null(),
        text("above_roof_reason", "What to look at first when launches lie above their roof.").or_null(),
        text("formula_id", "The formulas that made flop and bytes.").or_null(),
        text("flop_source", "`analytic` or `counter`.").or_null(),
        text("bytes_source", "`analytic (compulsory)`, `counter` or `trace`.").or_null(),
        text("time_source", "The pass that the durations come from."),
    ],
};

/// Formulas of a built-in target: each operation states its own FLOP and compulsory bytes.
const STATED: &str = "work-1";

/// Which roof is the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Limiter {
    Compute,
    Memory,
    Link,
}

impl Limiter {
    fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory => "memory",
            Self::Link => "link",
        }
    }
}

/// Bounds summed over launches.
#[derive(Clone, Debug, Default)]
struct Bounds {
    ns: i64,
    time: i64,
    limiters: BTreeMap<Limiter, i64>,
}

impl Bounds {
    fn add(&mut self, bound: Option<(i64, Limiter)>, time: i64) {
        let Some((bound, limiter)) = bound else { return };
        self.ns += bound;
        self.time += time;
        *self.limiters.entry(limiter).or_default() += bound;
    }

    /// The sum, `None` when no launch has a bound.
    fn known(&self, value: i64) -> Option<i64> {
        (!self.limiters.is_empty()).then_some(value)
    }

    fn recoverable(&self) -> Option<i64> {
        self.known((self.time - self.ns).max(0))
    }

    fn above_roof(&self) -> Option<i64> {
        self.known((self.ns - self.time).max(0))
    }

    fn efficiency(&self) -> Option<f64> {
        self.known(self.ns).and_then(|ns| ratio(ns, self.time))
    }

    fn limiter(&self) -> Option<Limiter> {
        // On equal sums the first: a kernel on the ridge is named compute.
        self.limiters.iter().rev().max_by_key(|(_, ns)| **ns).map(|(limiter, _)| *limiter)
    }
}

/// One kernel family in one phase.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) device: DeviceKey,
    pub(crate) window: String,
    pub(crate) name: String,
    pub(crate) phase: Option<String>,
    launches: i64,
    time: i64,
    /// FLOP and t_math in ns, by precision.
    pub(crate) flop: BTreeMap<String, (i64, f64)>,
    bytes: Option<i64>,
    is_copy: bool,
    measured: Bounds,
    shared: Bounds,
    datasheet: Bounds,
    roofs: std::rc::Rc<DeviceRoofs>,
    link: Option<f64>,
}

/// The roofs of one device from all sources.
#[derive(Debug, Default)]
struct DeviceRoofs {
    measured: Roofs,
    /// The measured roofs with the shared bandwidth in place of the own.
    shared: Option<Roofs>,
    datasheet: Roofs,
}

fn device_roofs(ceilings: &Ceilings, device: &Device, cores_in_use: i64) -> DeviceRoofs {
    let measured = ceilings.measured(device, cores_in_use);
    let shared = measured.shared.clone().map(|roof| Roofs { memory: Some(roof), ..measured.clone() });
    DeviceRoofs { measured, shared, datasheet: ceilings.datasheet(device) }
}

/// The families of every device and window set, unsorted.
pub(crate) fn families(input: &Input) -> Result<Vec<Family>, Error> {
    let ceilings = Ceilings::read(input.tables)?;
    let links = kv_transfer::links(input)?;
    input.of_devices(|model, key, sets| {
        let unknown = Device { key, kind: String::new(), arch: None };
        let device = model.devices.iter().find(|device| device.key == key).unwrap_or(&unknown);
        let of_set = |set| {
            let roofs = std::rc::Rc::new(device_roofs(&ceilings, device, cores_in_use(model, set)));
            of_device(model, key, set, &roofs, &links)
        };
        sets.iter().flat_map(of_set).collect()
    })
}

/// The roof that gives most of the bounds of a phase.
pub(crate) fn phase_limiter(families: &[Family], phase: Option<&str>) -> Option<&'static str> {
    let mut whole = Bounds::default();
    for family in families.iter().filter(|family| family.phase.as_deref() == phase && !family.is_copy) {
        for (limiter, ns) in &family.measured.limiters {
            *whole.limiters.entry(*limiter).or_default() += ns;
        }
    }
    whole.limiter().map(Limiter::name)
}

/// How many devices compute in the windows; of cpu devices, each is one core.
fn cores_in_use(model: &Model, set: &WindowSet) -> i64 {
    let rows = model.begun_in(&set.spans).filter(|row| row.class == Class::Compute);
    rows.map(|row| row.device).collect::<BTreeSet<_>>().len() as i64
}

fn of_device(
    model: &Model,
    device: DeviceKey,
    set: &WindowSet,
    roofs: &std::rc::Rc<DeviceRoofs>,
    links: &HashMap<(i64, i64), f64>,
) -> Vec<Family> {
    let mut families: BTreeMap<(&str, Option<&str>), Family> = BTreeMap::new();
    for row in model.begun_on(device, &set.spans).filter(|row| row.kind != Kind::Sync) {
        let key = (model.names.text(row.name), model.phase(row));
        let family = families.entry(key).or_insert_with(|| Family {
            device,
            window: set.name.clone(),
            name: key.0.to_owned(),
            phase: key.1.map(str::to_owned),
            roofs: roofs.clone(),
            ..Family::default()
        });
        add_launch(family, model, row, links);
    }
    families.into_values().collect()
}

fn add_launch(family: &mut Family, model: &Model, row: &Activity, links: &HashMap<(i64, i64), f64>) {
    let time = row.span.1 - row.span.0;
    family.launches += 1;
    family.time += time;
    if row.kind == Kind::Copy {
        family.is_copy = true;
        let link = row.src.zip(row.dst).and_then(|ends| links.get(&ends).copied());
        family.link = family.link.or(link);
        if let Some(bytes) = row.bytes {
            *family.bytes.get_or_insert(0) += bytes;
        }
        let bound =
            row.bytes.zip(link).map(|(bytes, rate)| ((bytes as f64 * 1e9 / rate).round() as i64, Limiter::Link));
        family.measured.add(bound, time);
        return;
    }
    let Some(work) = row.work else { return };
    let roofs = family.roofs.clone();
    let flop = work.flop.zip(work.precision.map(|precision| model.names.text(precision)));
    if let Some((flop, precision)) = flop {
        let entry = family.flop.entry(precision.to_owned()).or_default();
        entry.0 += flop;
        entry.1 += roofs.measured.compute.get(precision).map_or(0.0, |roof| flop as f64 * 1e9 / roof.value);
    }
    if let Some(bytes) = work.dram_bytes {
        *family.bytes.get_or_insert(0) += bytes;
    }
    family.measured.add(bound(&roofs.measured, flop, work.dram_bytes), time);
    family.datasheet.add(bound(&roofs.datasheet, flop, work.dram_bytes), time);
    if let Some(shared) = &roofs.shared {
        family.shared.add(bound(shared, flop, work.dram_bytes), time);
    }
}

/// The least time that the roofs allow for one launch. `None` with neither FLOP nor bytes under a roof.
fn bound(roofs: &Roofs, flop: Option<(i64, &str)>, bytes: Option<i64>) -> Option<(i64, Limiter)> {
    let math = flop.and_then(|(flop, precision)| Some(flop as f64 * 1e9 / roofs.compute.get(precision)?.value));
    let memory = bytes.and_then(|bytes| Some(bytes as f64 * 1e9 / roofs.memory.as_ref()?.value));
    match (math, memory) {
        (None, None) => None,
        (math, memory) if math >= memory => Some((math?.round() as i64, Limiter::Compute)),
        (_, memory) => Some((memory?.round() as i64, Limiter::Memory)),
    }
}

impl Family {
    fn flop_sum(&self) -> Option<i64> {
        (!self.flop.is_empty()).then(|| self.flop.values().map(|(flop, _)| flop).sum())
    }

    fn precision(&self) -> Option<&str> {
        let largest = self.flop.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1).then(a.1.0.cmp(&b.1.0)));
        largest.map(|(precision, _)| precision.as_str())
    }

    fn compute_roof<'a>(&self, roofs: &'a Roofs) -> Option<&'a crate::roofs::Roof> {
        roofs.compute.get(self.precision()?)
    }

    fn roof_compute(&self) -> Option<String> {
        let roof = self.compute_roof(&self.roofs.measured)?;
        Some(format!("{}: the best roof of the kernel's precision", roof.label))
    }

    fn roof_bandwidth(&self) -> Option<String> {
        if self.is_copy {
            return self.link.map(|rate| format!("link, stated {:.1} GB/s", rate / 1e9));
        }
        let roof = self.roofs.measured.memory.as_ref().filter(|_| self.bytes.is_some())?;
        Some(format!("{}: compulsory bytes come from DRAM", roof.label))
    }

    fn roof_shared(&self) -> Option<String> {
        let roof = self.roofs.measured.shared.as_ref().filter(|_| self.bytes.is_some() && !self.is_copy)?;
        Some(roof.label.clone())
    }

    fn roof_datasheet(&self) -> Option<String> {
        self.datasheet.known(0)?;
        let compute = self.compute_roof(&self.roofs.datasheet).map(|roof| roof.label.as_str());
        let memory = self.roofs.datasheet.memory.as_ref().map(|roof| roof.label.as_str());
        Some(format!("{}; {}", compute.unwrap_or("no compute roof"), memory.unwrap_or("no bandwidth roof")))
    }

    fn roof_bytes_per_s(&self) -> Option<f64> {
        let memory = self.roofs.measured.memory.as_ref().filter(|_| self.bytes.is_some());
        if self.is_copy { self.link } else { memory.map(|roof| roof.value) }
    }

    fn level(&self) -> Option<&'static str> {
        self.roof_bytes_per_s().map(|_| if self.is_copy { "link" } else { "DRAM" })
    }

    /// What most often puts launches above a roof, by the roof that they cross.
    fn above_roof_reason(&self) -> Option<&'static str> {
        if self.measured.above_roof().unwrap_or_default() == 0 {
            return None;
        }
        self.measured.limiter().map(|limiter| match limiter {
            Limiter::Compute => "a higher clock than that of the ceiling trial, or undercounted time",
            Limiter::Memory => "operands reused from a cache: compulsory bytes count as DRAM traffic",
            Limiter::Link => "a link faster than stated, or undercounted time",
        })
    }

    fn bytes_source(&self) -> Option<&'static str> {
        self.bytes.map(|_| if self.is_copy { "trace" } else { "analytic (compulsory)" })
    }

    fn formula(&self) -> Option<&'static str> {
        (!self.flop.is_empty() || (self.bytes.is_some() && !self.is_copy)).then_some(STATED)
    }
}

fn per_second(count: Option<i64>, ns: i64) -> Option<f64> {
    count.filter(|_| ns > 0).map(|count| count as f64 * 1e9 / ns as f64)
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut families = families(input)?;
    let recoverable = |family: &Family| family.measured.recoverable();
    families.sort_by_key(|family| std::cmp::Reverse((recoverable(family), family.time)));
    let pass = input.model()?.pass.as_str();
    Output::new(input.run, input.target, &families)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("name", |row| Some(&row.name))
        .text("phase", |row| row.phase.as_deref())
        .text("precision", Family::precision)
        .int("launches", |row| Some(row.launches))
        .int("time_ns", |row| Some(row.time))
        .int("flop", Family::flop_sum)
        .int("dram_bytes", |row| row.bytes)
        .float("arithmetic_intensity", |row| row.flop_sum().zip(row.bytes).and_then(|(flop, bytes)| ratio(flop, bytes)))
        .float("flop_per_s", |row| per_second(row.flop_sum(), row.time))
        .float("bytes_per_s", |row| per_second(row.bytes, row.time))
        .int("bound_ns", |row| row.measured.known(row.measured.ns))
        .float("efficiency_ratio", |row| row.measured.efficiency())
        .int("bound_datasheet_ns", |row| row.datasheet.known(row.datasheet.ns))
        .float("efficiency_datasheet_ratio", |row| row.datasheet.efficiency())
        .int("recoverable_ns", recoverable)
        .int("above_roof_ns", |row| row.measured.above_roof())
        .text("limiter", |row| row.measured.limiter().map(Limiter::name))
        .text("level", Family::level)
        .int("shared_bound_ns", |row| row.shared.known(row.shared.ns))
        .float("shared_efficiency_ratio", |row| row.shared.efficiency())
        .text("shared_limiter", |row| row.shared.limiter().map(Limiter::name))
        .text("roof_compute", Family::roof_compute)
        .text("roof_bandwidth", Family::roof_bandwidth)
        .text("roof_shared", Family::roof_shared)
        .text("roof_datasheet", Family::roof_datasheet)
        .float("roof_flop_per_s", |row| row.compute_roof(&row.roofs.measured).map(|roof| roof.value))
        .float("roof_bytes_per_s", Family::roof_bytes_per_s)
        .float("roof_shared_bytes_per_s", |row| {
            row.roof_shared().and(row.roofs.measured.shared.as_ref()).map(|r| r.value)
        })
        .text("above_roof_reason", Family::above_roof_reason)
        .text("formula_id", Family::formula)
        .text("flop_source", |row| row.flop_sum().map(|_| "analytic"))
        .text("bytes_source", Family::bytes_source)
        .text("time_source", |_| Some(pass))
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, FixtureCeiling};
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};

    fn fma(isa: &'static str, cores: i64, value: f64) -> FixtureCeiling {
        let (precision, per_cycle) = (Some("f32"), Some(value / (cores as f64 * 2e9)));
        FixtureCeiling { name: "fma", precision, level: None, isa: Some(isa), cores, value, per_cycle }
    }

    fn dram(name: &'static str, cores: i64, value: f64) -> FixtureCeiling {
        FixtureCeiling { name, precision: None, level: Some("DRAM"), isa: None, cores, value, per_cycle: None }
    }

    /// Roofs: 100 GFLOP/s and 10 GB/s a core, 12 GB/s shared by all.
    fn with_roofs(fixture: Fixture) -> Fixture {
        let fixture =
            fixture.ceiling(fma("avx2", 1, 60e9)).ceiling(fma("avx512", 1, 100e9)).ceiling(fma("avx512", 2, 190e9));
        fixture.ceiling(dram("read", 1, 10e9)).ceiling(dram("copy", 1, 15e9)).ceiling(dram("read", 2, 12e9))
    }

    fn roofline(fixture: &Fixture) -> DataFrame {
        compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap()
    }

    #[test]
    fn the_bound_is_the_larger_of_math_and_memory() {
        // Prefill: 10000 FLOP at 100 GFLOP/s = 100 ns, 100 bytes at 10 GB/s = 10 ns; takes 150 ns.
        // Decode on the other device: 100 FLOP = 1 ns, 1000 bytes = 100 ns (shared 6 GB/s: 167 ns); takes 200 ns.
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 150))
            .work(0, "prefill", 0, 0, 8)
            .counts(10_000, 100)
            .kernel(1, 0, (0, 200))
            .work(0, "decode", 1, 0, 1)
            .counts(100, 1000)
            .block((0, 300));
        let frame = roofline(&with_roofs(fixture));
        let column = |name| ints(&frame, name).unwrap();
        assert_eq!(texts(&frame, "phase").unwrap(), ["decode", "prefill"].map(|text| Some(text.to_owned())));
        assert_eq!(column("bound_ns"), [Some(100), Some(100)]);
        assert_eq!(column("recoverable_ns"), [Some(100), Some(50)]);
        assert_eq!(column("shared_bound_ns"), [Some(167), Some(100)]);
        assert_eq!(texts(&frame, "limiter").unwrap(), ["memory", "compute"].map(|text| Some(text.to_owned())));
        assert_eq!(floats(&frame, "efficiency_ratio").unwrap(), [Some(0.5), Some(100.0 / 150.0)]);
        assert_eq!(floats(&frame, "arithmetic_intensity").unwrap(), [Some(0.1), Some(100.0)]);
        let roof = texts(&frame, "roof_compute").unwrap()[1].clone().unwrap();
        assert!(roof.contains("f32 avx512") && roof.contains("100.0 GFLOP/s") && roof.contains("1 core"), "{roof}");
    }

    #[test]
    fn a_family_that_beats_its_bound_is_above_the_roof_by_the_difference() {
        // Bounds of 100 ns each; one launch takes 60 (reused from a cache), one 130: 190 against 200.
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 60))
            .work(0, "decode", 0, 0, 1)
            .counts(1, 1000)
            .kernel(0, 0, (60, 190))
            .work(0, "decode", 0, 1, 1)
            .counts(1, 1000);
        let frame = roofline(&with_roofs(fixture));
        let value = |name| ints(&frame, name).unwrap()[0].unwrap();
        assert_eq!((value("recoverable_ns"), value("above_roof_ns"), value("bound_ns")), (0, 10, 200));
        assert!(texts(&frame, "above_roof_reason").unwrap()[0].as_deref().unwrap().contains("cache"));
    }

    #[test]
    fn copies_are_bound_by_their_link_and_what_states_nothing_by_nothing() {
        let fixture = Fixture::new().copy(0, 1, (0, 50), 1, 100).work(0, "kv_transfer", 0, 0, 8).link(0, 1, 5e9);
        let frame = roofline(&with_roofs(fixture.named_kernel("unknown", 0, 0, (0, 500))));
        assert_eq!(texts(&frame, "limiter").unwrap(), [Some("link".to_owned()), None]);
        assert_eq!(ints(&frame, "bound_ns").unwrap(), [Some(20), None]);
        assert_eq!(ints(&frame, "recoverable_ns").unwrap(), [Some(30), None]);
        assert_eq!(ints(&frame, "time_ns").unwrap(), [Some(50), Some(500)]);
    }

    #[test]
    fn the_datasheet_stands_beside_at_the_clock_of_the_measured_trial() {
        // Trial: 100 GFLOP/s at 50 FLOP a cycle = 2 GHz; zen4 does 32 f32 FLOP a cycle: 64 GFLOP/s, 10000 FLOP in 156 ns.
        let fixture =
            Fixture::new().arch("zen4").kernel(0, 0, (0, 150)).work(0, "prefill", 0, 0, 8).counts(10_000, 100);
        let frame = roofline(&with_roofs(fixture));
        assert_eq!(ints(&frame, "bound_datasheet_ns").unwrap(), [Some(156)]);
        assert_eq!(floats(&frame, "efficiency_datasheet_ratio").unwrap(), [Some(156.0 / 150.0)]);
        let roof = texts(&frame, "roof_datasheet").unwrap()[0].clone().unwrap();
        assert!(roof.contains("64.0 GFLOP/s") && roof.contains("no bandwidth roof"), "{roof}");
    }

    #[test]
    fn without_ceilings_there_is_no_bound() {
        let frame = roofline(&Fixture::new().kernel(0, 0, (0, 10)).work(0, "prefill", 0, 0, 8).counts(1, 1));
        assert_eq!(ints(&frame, "bound_ns").unwrap(), [None]);
        assert_eq!(ints(&frame, "flop").unwrap(), [Some(1)]);
    }

    #[test]
    fn one_core_alone_is_bound_by_what_it_can_draw_itself() {
        let fixture = Fixture::new().kernel(0, 0, (0, 200)).work(0, "decode", 0, 0, 1).counts(1, 1000);
        let frame = roofline(&with_roofs(fixture));
        assert_eq!(ints(&frame, "shared_bound_ns").unwrap(), ints(&frame, "bound_ns").unwrap());
    }
}
