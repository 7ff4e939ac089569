//! The roofline: how close each kernel family comes to its bound, and how much time is recoverable.
//!
//! Per launch: t_math = sum of F / P over the precisions; t_mem = the largest Q / B over the levels whose bytes are known;
//! t_comm = wire bytes / link rate. The bound is the largest, its name the limiter, rounded to a nanosecond; bound_ns of
//! a family is the sum over its launches (Williams et al., 2009, in time form, so that it adds across kernels and is
//! defined without FLOP). recoverable_ns = max(0, time - bound) and above_roof_ns = max(0, bound - time) of the family's
//! sums. A launch belongs to the window in which it begins, with its whole duration.

use std::collections::HashMap;

use polars::prelude::DataFrame;
use proftool_roofline::triage::{Finding, Symptom};
use proftool_roofline::{Level, RoofSource};
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::DeviceKey;
use crate::roofline::family::Family;
use crate::roofline::findings::findings;
use crate::roofline::{DeviceRoofs, Engine};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline",
    doc: "How close each kernel comes to the hardware limit, the most recoverable time first.",
    table: &TABLE,
    compute,
};

/// Version of the columns: a column that is removed or means something else is a new one.
const SCHEMA_VERSION: i64 = 1;

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
        text("family", "Short name: without return type, parameters, namespace and template arguments."),
        text("kind", "`kernel`, `copy`, `set` or `graph`."),
        text("phase", "Phase, for example `prefill`, `decode`, `kv_transfer`.").or_null(),
        text("precision", "Type of the arithmetic with the largest t_math.").or_null(),
        int("launches", "Launches that begin in the windows."),
        int("matched_launches", "Launches whose counts are known, or of pages without durations their rates."),
        text("match", "How the counts were found, the weakest of the launches: `launch` (counters of the launch), `shape` (mean of the same kernel, grid and block), `name` (mean of the same kernel), `stated` (by the target), `operator` (from shapes), `trace` (bytes of a copy, set or collective).").or_null(),
        int("time_ns", "Sum of their durations."),
        float("time_ratio", "time_ns over that of all kernels of the device in the windows; null for copies and sets.").or_null(),
        int("flop", "Floating-point operations, an FMA counted as two; integer operations are in `roofline_flop` only.").or_null(),
        int("dram_bytes", "DRAM bytes; of a copy between devices or a collective the bytes moved.").or_null(),
        int("l2_bytes", "Bytes of the second-level cache.").or_null(),
        int("l1_bytes", "Bytes of the first-level cache.").or_null(),
        float("arithmetic_intensity", "flop / dram_bytes, over the launches of which both are known.").or_null(),
        float("flop_per_s", "flop over the time of the launches whose counts are known.").or_null(),
        float("bytes_per_s", "dram_bytes over the time of the launches whose counts are known.").or_null(),
        boolean("placed", "Whether any launch has a bound."),
        int("placed_time_ns", "Time of the launches that have a bound."),
        int("bound_ns", "Sum over the launches of the least time that the roofs in use allow.").or_null(),
        float("efficiency_ratio", "bound_ns over the time of the launches that have one.").or_null(),
        int("bound_datasheet_ns", "The same with datasheet roofs.").or_null(),
        float("efficiency_datasheet_ratio", "bound_datasheet_ns over the time of the launches that have one.")
            .or_null(),
        int("bound_observed_ns", "The same with roofs at the observed clock; only where the time was taken at that clock.").or_null(),
        float("efficiency_observed_ratio", "bound_observed_ns over the time of the launches that have one.").or_null(),
        int("recoverable_ns", "max(0, time - bound) of the family.").or_null(),
        float("cumulative_recoverable_ratio", "recoverable_ns of this and the rows above it over that of all rows of the device and window.").or_null(),
        int("above_roof_ns", "max(0, bound - time) of the family.").or_null(),
        text("limiter", "`compute`, `memory` or `link`: which roof gives most of bound_ns.").or_null(),
        text("limiter_level", "The level that limits, where the limiter is memory.").or_null(),
        text("level", "Levels whose bytes entered the bound, joined by `;`; `link` for what crosses one.").or_null(),
        int("partial_launches", "Launches that did something without a roof, or of which the page does not count all arithmetic or the bytes of the memory: their bound is a lower one."),
        int("shared_bound_ns", "The bound when the cores in use share the DRAM; cpu devices only.").or_null(),
        float("shared_efficiency_ratio", "shared_bound_ns over the time of the launches that have one.").or_null(),
        text("shared_limiter", "The limiter when the cores in use share the DRAM.").or_null(),
        text("roof_source", "Where the roofs in use come from: `measured`, `datasheet`, or both joined by `+`.").or_null(),
        text("roof_compute", "The compute roof in use and why it is the one.").or_null(),
        text("roof_bandwidth", "The bandwidth roof in use and why it is the one.").or_null(),
        text("roof_shared", "The shared bandwidth roof.").or_null(),
        text("roof_datasheet", "The datasheet roofs that bound_datasheet_ns used.").or_null(),
        text("roof_observed", "The roofs that bound_observed_ns used.").or_null(),
        text("roof_note", "What the sources of the roofs disagree about, and what else limits them.").or_null(),
        float("roof_flop_per_s", "Value of the compute roof.").or_null(),
        float("roof_bytes_per_s", "Value of the bandwidth roof that belongs to dram_bytes (of the link for what crosses one).").or_null(),
        float("roof_shared_bytes_per_s", "Value of the shared bandwidth roof.").or_null(),
        float("amplification_ratio", "Counted over compulsory DRAM bytes of the launches for which both are known.").or_null(),
        float("flop_amplification_ratio", "Counted over analytic FLOP of the launches for which both are known.").or_null(),
        text("above_roof_reason", "The first cause that fits launches above their roof, with its evidence.").or_null(),
        text("triage", "Causes that fit what cannot be, joined by `;`; the metric `triage` explains them.").or_null(),
        text("formula_id", "The formulas that made flop and bytes, joined by `;`.").or_null(),
        text("formula_note", "What the reader must know about the formulas.").or_null(),
        text("flop_source", "`analytic`, `counter`, or both joined by `+`.").or_null(),
        text("bytes_source", "`analytic (compulsory)`, `counter`, `trace`, or several joined by `+`.").or_null(),
        text("time_source", "The pass that the durations come from; of replayed kernels `replay (pass ...)`; `no duration: mean rates (pass ...)` where flop_per_s, bytes_per_s and the ratios are means of what the page states."),
        int("schema_version", "Version of these columns."),
    ],
};

/// One row, with what it stands on.
struct Row<'a> {
    family: &'a Family,
    engine: &'a Engine,
    roofs: &'a DeviceRoofs,
    cumulative: Option<f64>,
    findings: Vec<Finding>,
}

/// The rows of every device and window set, the most recoverable time first.
fn rows<'i>(input: &'i Input<'_>) -> Result<Vec<Row<'i>>, Error> {
    let engine = input.engine()?;
    let mut families: Vec<&Family> = input.families()?.iter().collect();
    families.sort_by_key(|family| std::cmp::Reverse((family.used.recoverable(), family.time)));
    let mut sums: HashMap<(DeviceKey, &str), (i64, i64)> = HashMap::new();
    let key = |family: &'i Family| (family.device, family.window.as_str());
    for family in &families {
        let sum = sums.entry(key(family)).or_default();
        sum.1 = sum.1.saturating_add(family.used.recoverable().unwrap_or(0));
    }
    let findings = findings(input, &families)?;
    let mut row = |(family, findings): (&'i Family, Vec<Finding>)| {
        let sum = sums.entry(key(family)).or_default();
        sum.0 = sum.0.saturating_add(family.used.recoverable().unwrap_or(0));
        let cumulative = family.used.recoverable().and_then(|_| ratio(sum.0, sum.1));
        Some(Row { roofs: engine.roofs(family.device)?, family, engine, cumulative, findings })
    };
    Ok(families.into_iter().zip(findings).filter_map(&mut row).collect())
}

impl Row<'_> {
    fn roof_compute(&self) -> Option<String> {
        if let Some(roof) = self.family.compute_roof(&self.roofs.used) {
            return Some(format!("{}: the best roof of the kernel's precision", roof.label));
        }
        // Counted, and nothing done.
        self.family.known_used().limiter().filter(|name| *name == "compute")?;
        let roof = self.roofs.used.compute.values().next()?;
        Some(format!("{}: no FLOP, for which any compute roof gives zero", roof.label))
    }

    fn roof_bandwidth(&self) -> Option<String> {
        if let Some(link) = self.family.link_roof(self.engine) {
            return Some(link.label.clone());
        }
        let level = self.family.slowest(&self.roofs.used)?;
        let roof = self.roofs.used.bandwidth.get(&level)?;
        let why = match self.family.bytes_source().as_deref() {
            Some("counter") => "the level whose counted bytes take longest",
            Some("trace") => "the bytes of the trace come from DRAM",
            _ => "compulsory bytes come from DRAM",
        };
        Some(format!("{}: {why}", roof.label))
    }

    fn roof_shared(&self) -> Option<&proftool_roofline::Roof> {
        self.family.bytes_of(Level::Dram)?;
        self.family.shared_roofs()?.bandwidth.get(&Level::Dram).filter(|_| !self.family.is_copy)
    }

    /// The labels of the compute and the bandwidth roof of other roofs than those in use, or of the link's datasheet.
    fn roofs_of(&self, roofs: &proftool_roofline::Roofs) -> String {
        if let Some(link) = self.family.link_datasheet(self.engine) {
            return link.label.clone();
        }
        let compute = self.family.compute_roof(roofs).map(|roof| roof.label.as_str());
        let level = self.family.slowest(roofs).or(Some(Level::Dram));
        let memory = level.and_then(|level| roofs.bandwidth.get(&level)).map(|roof| roof.label.as_str());
        format!("{}; {}", compute.unwrap_or("no compute roof"), memory.unwrap_or("no bandwidth roof"))
    }

    fn roof_bytes_per_s(&self) -> Option<f64> {
        if let Some(link) = self.family.link_roof(self.engine) {
            return Some(link.value);
        }
        Some(self.roofs.used.bandwidth.get(&self.family.outermost()?)?.value)
    }

    fn roof_source(&self) -> Option<String> {
        let in_use = self.family.roofs_in_use(self.engine, self.roofs);
        let has = |source: RoofSource| in_use.iter().any(|roof| roof.source == source);
        let all = [RoofSource::Measured, RoofSource::Observed, RoofSource::Datasheet];
        let names: Vec<&str> = all.into_iter().filter(|source| has(*source)).map(RoofSource::name).collect();
        (!names.is_empty()).then(|| names.join("+"))
    }

    /// What is disputed about the roofs in use, then what is said about the device.
    fn roof_note(&self) -> Option<String> {
        let in_use = self.family.roofs_in_use(self.engine, self.roofs);
        if in_use.is_empty() {
            return None;
        }
        let disputed =
            in_use.iter().filter_map(|roof| Some(format!("{}: disputed: {}", roof.label, roof.disputed.as_ref()?)));
        let notes: Vec<String> = disputed.chain(self.roofs.notes.iter().cloned()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    fn level(&self) -> Option<String> {
        if self.family.link_roof(self.engine).is_some() {
            return Some("link".to_owned());
        }
        let levels: Vec<&str> = self.family.levels(&self.roofs.used).into_iter().map(Level::name).collect();
        (!levels.is_empty()).then(|| levels.join(";"))
    }

    /// The causes that fit, each once, the likely ones first.
    fn triage(&self) -> Option<String> {
        let mut causes: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if !causes.contains(&finding.cause) {
                causes.push(finding.cause);
            }
        }
        (!causes.is_empty()).then(|| causes.join(";"))
    }

    /// Why launches lie above their roof: the evidence of the first cause that fits.
    fn above_roof_reason(&self) -> Option<String> {
        let above = |finding: &&Finding| finding.symptom == Symptom::AboveRoof;
        let finding = self.findings.iter().find(above)?;
        Some(format!("{}: {}", finding.cause, finding.evidence))
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input)?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.family.device.0))
        .int("device", |row| Some(row.family.device.1))
        .text("window", |row| Some(&row.family.window))
        .text("name", |row| Some(&row.family.name))
        .text("family", |row| Some(row.family.short_name()))
        .text("kind", |row| Some(row.family.kind))
        .text("phase", |row| row.family.phase.as_deref())
        .text("precision", |row| row.family.largest(&row.roofs.used).map(|(precision, _)| precision.name()))
        .int("launches", |row| Some(row.family.launches))
        .int("matched_launches", |row| Some(row.family.matched))
        .text("match", |row| row.family.quality.map(crate::roofline::Quality::name))
        .int("time_ns", |row| Some(row.family.time))
        .float("time_ratio", |row| row.family.time_ratio())
        .int("flop", |row| row.family.flop_sum())
        .int("dram_bytes", |row| row.family.moved())
        .int("l2_bytes", |row| row.family.bytes_of(Level::L2))
        .int("l1_bytes", |row| row.family.bytes_of(Level::L1))
        .float("arithmetic_intensity", |row| row.family.intensity(Level::Dram))
        .float("flop_per_s", |row| row.family.flop_per_s())
        .float("bytes_per_s", |row| row.family.bytes_per_s())
        .bool("placed", |row| Some(row.family.is_placed()))
        .int("placed_time_ns", |row| Some(row.family.used.ns().map_or(0, |_| row.family.used.time())))
        .int("bound_ns", |row| row.family.used.ns())
        .float("efficiency_ratio", |row| row.family.known_used().efficiency())
        .int("bound_datasheet_ns", |row| row.family.datasheet.ns())
        .float("efficiency_datasheet_ratio", |row| row.family.known_datasheet().efficiency())
        .int("bound_observed_ns", |row| row.family.observed.ns())
        .float("efficiency_observed_ratio", |row| row.family.known_observed().efficiency())
        .int("recoverable_ns", |row| row.family.used.recoverable())
        .float("cumulative_recoverable_ratio", |row| row.cumulative)
        .int("above_roof_ns", |row| row.family.used.above_roof())
        .text("limiter", |row| row.family.known_used().limiter())
        .text("limiter_level", |row| row.family.known_used().level().map(Level::name))
        .text("level", Row::level)
        .int("partial_launches", |row| Some(row.family.known_used().partial))
        .int("shared_bound_ns", |row| row.family.shared.ns())
        .float("shared_efficiency_ratio", |row| row.family.shared.efficiency())
        .text("shared_limiter", |row| row.family.shared.limiter())
        .text("roof_source", Row::roof_source)
        .text("roof_compute", Row::roof_compute)
        .text("roof_bandwidth", Row::roof_bandwidth)
        .text("roof_shared", |row| row.roof_shared().map(|roof| &roof.label))
        .text("roof_datasheet", |row| row.family.known_datasheet().ns().map(|_| row.roofs_of(&row.roofs.datasheet)))
        .text("roof_observed", |row| row.family.known_observed().ns().map(|_| row.roofs_of(&row.roofs.observed)))
        .text("roof_note", Row::roof_note)
        .float("roof_flop_per_s", |row| row.family.compute_roof(&row.roofs.used).map(|roof| roof.value))
        .float("roof_bytes_per_s", Row::roof_bytes_per_s)
        .float("roof_shared_bytes_per_s", |row| row.roof_shared().map(|roof| roof.value))
        .float("amplification_ratio", |row| row.family.bytes_amplification.ratio())
        .float("flop_amplification_ratio", |row| row.family.flop_amplification.ratio())
        .text("above_roof_reason", Row::above_roof_reason)
        .text("triage", Row::triage)
        .text("formula_id", |row| row.family.formula())
        .text("formula_note", |row| row.family.formula_note(row.engine))
        .text("flop_source", |row| row.family.flop_source())
        .text("bytes_source", |row| row.family.bytes_source())
        .text("time_source", |row| Some(row.family.time_source(row.engine)))
        .int("schema_version", |_| Some(SCHEMA_VERSION))
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
        // 5 % above a measured DRAM roof.
        let reason = texts(&frame, "above_roof_reason").unwrap()[0].clone().unwrap();
        assert!(reason.starts_with("tolerance: "), "{reason}");
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
