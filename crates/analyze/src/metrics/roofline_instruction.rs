//! The instruction roofline (Ding and Williams, 2019): kernels by the warp instructions that they issue.
//!
//! It places what does no FLOP (sampling, dequantisation, routing). Throughput = warp instructions / time; intensity of
//! a level = warp instructions / transactions, a transaction being 32 bytes. The roofs are the issue rate, schedulers x
//! clock, and bandwidth / 32. Counts come from the profiler, time from the timeline where both were captured.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::DataFrame;
use proftool_roofline::models::TRANSACTION_BYTES;
use proftool_roofline::{Counts, Level, Roofs};
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::{DeviceKey, Model};
use crate::operators::Span;
use crate::roofline::{Engine, Placed};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline_instruction",
    doc: "Warp instructions of each kernel against the issue rate and against the bandwidth of each memory level.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_instruction",
    doc: "One kernel family with counted instructions in one phase on one device, the longest first.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the kernel."),
        text("phase", "Its phase.").or_null(),
        int("launches", "Launches that begin in the windows."),
        int("counted_launches", "Those of them whose instructions are known."),
        int("time_ns", "Sum of the durations of the counted ones."),
        int("instructions", "Warp (wavefront) instructions."),
        float("instructions_per_s", "instructions / time_ns; in billions: GIPS.").or_null(),
        float("roof_instructions_per_s", "Schedulers x clock.").or_null(),
        float("issue_ratio", "instructions_per_s / roof_instructions_per_s.").or_null(),
        float("dram_transactions", "DRAM bytes / 32.").or_null(),
        float("l2_transactions", "L2 bytes / 32.").or_null(),
        float("l1_transactions", "L1 bytes / 32.").or_null(),
        float("dram_intensity", "instructions / dram_transactions.").or_null(),
        float("l2_intensity", "instructions / l2_transactions.").or_null(),
        float("l1_intensity", "instructions / l1_transactions.").or_null(),
        float("roof_dram_transactions_per_s", "DRAM bandwidth / 32.").or_null(),
        float("roof_l2_transactions_per_s", "L2 bandwidth / 32.").or_null(),
        float("roof_l1_transactions_per_s", "L1 bandwidth / 32.").or_null(),
        int("bound_ns", "Sum over the counted launches of the least time that these roofs allow.").or_null(),
        float("efficiency_ratio", "bound_ns over the time of the launches that have one.").or_null(),
        text("limiter", "`issue`, or the level (`DRAM`, `L2`, `L1`) whose roof gives most of bound_ns.").or_null(),
        text("roof", "The issue roof.").or_null(),
        text("formula_id", "The formulas that made the counts.").or_null(),
        text("time_source", "The pass that the durations come from, or `replay` where there is no timeline."),
        text("reason", "Why a bound is null or partial.").or_null(),
    ],
};

/// The levels with a roof of their own here.
const LEVELS: [Level; 3] = [Level::Dram, Level::L2, Level::L1];

/// The launches of a device that begin in the windows, or every profiled launch where there is no timeline.
pub(super) fn launches_in<'a>(
    model: &Model,
    engine: &'a Engine,
    device: DeviceKey,
    set: &WindowSet,
) -> impl Iterator<Item = &'a Placed> + use<'a> {
    let placed = engine.placed();
    let mut ranges = Vec::with_capacity(set.spans.len());
    if engine.has_timeline() {
        let rows = model.of_device(device);
        let offset = model.activities.partition_point(|row| row.device < device);
        let begin = |instant| offset + rows.partition_point(|row| row.span.0 < instant);
        ranges.extend(set.spans.iter().map(|span: &Span| begin(span.0)..begin(span.1)));
    } else {
        ranges.push(0..placed.len());
    }
    ranges.into_iter().filter_map(|range| placed.get(range)).flatten().filter(move |launch| launch.device == device)
}

/// What bounds a launch: none is the issue rate.
type Limiter = Option<Level>;

#[derive(Default)]
struct Family {
    device: DeviceKey,
    window: String,
    name: String,
    phase: Option<String>,
    launches: i64,
    counted: i64,
    time: i64,
    instructions: f64,
    /// Transactions of each level, with how many launches know them.
    transactions: [(f64, i64); LEVELS.len()],
    bounds: BTreeMap<Limiter, i64>,
    bounded_time: i64,
    formula: Option<String>,
}

impl Family {
    fn add(&mut self, time_ns: i64, counts: Option<&Counts>, roofs: &Roofs) {
        self.launches += 1;
        let Some((counts, instructions)) = counts.and_then(|counts| Some((counts, counts.instructions?))) else {
            return;
        };
        self.counted += 1;
        self.time = self.time.saturating_add(time_ns);
        self.instructions += instructions;
        for (level, sum) in LEVELS.into_iter().zip(&mut self.transactions) {
            if let Some(bytes) = counts.bytes_of(level) {
                *sum = (sum.0 + bytes / TRANSACTION_BYTES, sum.1 + 1);
            }
        }
        if self.formula.is_none() {
            self.formula = counts.formula.as_deref().map(str::to_owned);
        }
        if let Some((ns, limiter)) = bound(counts, instructions, roofs) {
            let sum = self.bounds.entry(limiter).or_default();
            *sum = sum.saturating_add(ns);
            self.bounded_time = self.bounded_time.saturating_add(time_ns);
        }
    }

    /// Transactions of a level, where every counted launch knows them.
    fn transactions(&self, level: Level) -> Option<f64> {
        let at = LEVELS.iter().position(|known| *known == level)?;
        let (sum, known) = self.transactions[at];
        (known > 0 && known == self.counted).then_some(sum)
    }

    fn intensity(&self, level: Level) -> Option<f64> {
        self.transactions(level).filter(|count| *count > 0.0).map(|count| self.instructions / count)
    }

    fn rate(&self) -> Option<f64> {
        (self.time > 0).then(|| self.instructions * 1e9 / self.time as f64)
    }

    fn bound(&self) -> Option<i64> {
        (!self.bounds.is_empty()).then(|| self.bounds.values().copied().fold(0, i64::saturating_add))
    }

    /// The limiter of most of the bound; on equal sums the issue rate, then the outer level.
    fn limiter(&self) -> Option<&'static str> {
        let (limiter, _) = self.bounds.iter().rev().max_by_key(|(_, ns)| **ns)?;
        Some(limiter.map_or("issue", Level::name))
    }

    fn reason(&self, roofs: &Roofs) -> Option<&'static str> {
        if roofs.instructions.is_none() {
            return Some("the issue rate of the device is not known: no hardware spec matched");
        }
        LEVELS.iter().all(|level| self.transactions(*level).is_none()).then_some("no level's bytes were counted")
    }
}

/// The least time of a launch in ns, rounded, and what gives it. A resource without a roof bounds nothing.
fn bound(counts: &Counts, instructions: f64, roofs: &Roofs) -> Option<(i64, Limiter)> {
    let issue = roofs.instructions.as_ref().map(|roof| (instructions * 1e9 / roof.value, None));
    let memory = LEVELS.into_iter().filter_map(|level| {
        let roof = roofs.bandwidth.get(&level)?;
        Some((counts.bytes_of(level)? * 1e9 / roof.value, Some(level)))
    });
    let all = issue.into_iter().chain(memory).filter(|(ns, _)| ns.is_finite());
    let (ns, limiter) = all.reduce(|most, next| if next.0 > most.0 { next } else { most })?;
    Some((ns.round() as i64, limiter))
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let engine = input.engine()?;
    let rows = input.of_devices(|model, device, sets| {
        sets.iter().flat_map(|set| of_device(model, engine, device, set)).collect()
    })?;
    let none = Roofs::default();
    let roofs = |row: &Family| engine.roofs(row.device).map_or(&none, |roofs| &roofs.used);
    let issue = |row: &Family| roofs(row).instructions.as_ref().map(|roof| roof.value);
    let memory = |row: &Family, level| roofs(row).bandwidth.get(&level).map(|roof| roof.value / TRANSACTION_BYTES);
    let time_source = if engine.has_timeline() { input.model()?.pass.as_str() } else { "replay" };
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("name", |row| Some(&row.name))
        .text("phase", |row| row.phase.as_deref())
        .int("launches", |row| Some(row.launches))
        .int("counted_launches", |row| Some(row.counted))
        .int("time_ns", |row| Some(row.time))
        .int("instructions", |row| Some(row.instructions.round() as i64))
        .float("instructions_per_s", Family::rate)
        .float("roof_instructions_per_s", issue)
        .float("issue_ratio", |row| row.rate().zip(issue(row)).map(|(rate, roof)| rate / roof))
        .float("dram_transactions", |row| row.transactions(Level::Dram))
        .float("l2_transactions", |row| row.transactions(Level::L2))
        .float("l1_transactions", |row| row.transactions(Level::L1))
        .float("dram_intensity", |row| row.intensity(Level::Dram))
        .float("l2_intensity", |row| row.intensity(Level::L2))
        .float("l1_intensity", |row| row.intensity(Level::L1))
        .float("roof_dram_transactions_per_s", |row| memory(row, Level::Dram))
        .float("roof_l2_transactions_per_s", |row| memory(row, Level::L2))
        .float("roof_l1_transactions_per_s", |row| memory(row, Level::L1))
        .int("bound_ns", Family::bound)
        .float("efficiency_ratio", |row| ratio(row.bound()?, row.bounded_time))
        .text("limiter", Family::limiter)
        .text("roof", |row| roofs(row).instructions.as_ref().map(|roof| roof.label.as_str()))
        .text("formula_id", |row| row.formula.as_deref())
        .text("time_source", |_| Some(time_source))
        .text("reason", |row| row.reason(roofs(row)))
        .build(&TABLE)
}

fn of_device(model: &Model, engine: &Engine, device: DeviceKey, set: &WindowSet) -> Vec<Family> {
    let none = Roofs::default();
    let roofs = engine.roofs(device).map_or(&none, |roofs| &roofs.used);
    let mut families: HashMap<(u32, Option<u32>), Family> = HashMap::new();
    for placed in launches_in(model, engine, device, set) {
        families.entry((placed.name, placed.phase)).or_default().add(
            placed.time_ns,
            engine.counts(placed.counts),
            roofs,
        );
    }
    let counted = families.into_iter().filter(|(_, family)| family.counted > 0);
    let mut rows: Vec<Family> = counted
        .map(|((name, phase), family)| Family {
            device,
            window: set.name.clone(),
            name: engine.names.text(name).to_owned(),
            phase: phase.map(|phase| engine.names.text(phase).to_owned()),
            ..family
        })
        .collect();
    rows.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| (&a.name, &a.phase).cmp(&(&b.name, &b.phase))));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::shared_data;
    use crate::windows::Window;
    use proftool_roofline::{Roof, RoofSource, Traffic};
    use proftool_trace::frame::{floats, ints};

    fn roof(value: f64) -> Roof {
        Roof { value, source: RoofSource::Datasheet, label: String::new(), disputed: None }
    }

    /// The V100 of Ding and Williams: 80 SM x 4 schedulers x 1.53 GHz = 489.6 GIPS; 25.9 and 93.6 GTXN/s of 32 bytes.
    fn v100() -> Roofs {
        let mut roofs = Roofs { instructions: Some(roof(489.6e9)), ..Roofs::default() };
        roofs.bandwidth.insert(Level::Dram, roof(25.9e9 * 32.0));
        roofs.bandwidth.insert(Level::L2, roof(93.6e9 * 32.0));
        roofs
    }

    fn counts(instructions: f64, dram: f64, l2: f64) -> Counts {
        let bytes = vec![Traffic { level: Level::Dram, bytes: dram }, Traffic { level: Level::L2, bytes: l2 }];
        Counts { instructions: Some(instructions), bytes, flop_known: true, ..Counts::default() }
    }

    #[test]
    fn the_lower_of_issue_rate_and_transaction_rates_limits() {
        let roofs = v100();
        // 489.6e6 instructions need 1 ms; 25.9e6 transactions of DRAM too, so the issue rate is named.
        assert_eq!(bound(&counts(489.6e6, 25.9e6 * 32.0, 0.0), 489.6e6, &roofs), Some((1_000_000, None)));
        // One instruction a transaction is left of the DRAM ridge of 489.6 / 25.9 = 18.9.
        let streaming = counts(25.9e6, 2.0 * 25.9e6 * 32.0, 93.6e6 * 32.0);
        assert_eq!(bound(&streaming, 25.9e6, &roofs), Some((2_000_000, Some(Level::Dram))));
        assert_eq!(bound(&streaming, 25.9e6, &Roofs::default()), None);
    }

    #[test]
    fn a_family_sums_its_counted_launches_only() {
        let roofs = v100();
        let mut family = Family::default();
        family.add(4_000_000, Some(&counts(489.6e6, 32e6, 64e6)), &roofs);
        family.add(1_000_000, None, &roofs);
        assert_eq!((family.launches, family.counted, family.time), (2, 1, 4_000_000));
        // 489.6e6 in 4 ms: 122.4 GIPS, a quarter of the roof; per transaction 489.6 of DRAM and 244.8 of L2.
        assert_eq!(family.rate(), Some(122.4e9));
        assert_eq!((family.intensity(Level::Dram), family.intensity(Level::L2)), (Some(489.6), Some(244.8)));
        assert_eq!(
            (family.intensity(Level::L1), family.bound(), family.limiter()),
            (None, Some(1_000_000), Some("issue"))
        );
        // A launch whose DRAM bytes were not counted leaves the family without a DRAM intensity.
        let bare = Counts { instructions: Some(1.0), ..Counts::default() };
        family.add(1, Some(&bare), &roofs);
        assert_eq!(family.intensity(Level::Dram), None);
    }
    #[test]
    fn a_copy_kernel_without_flop_is_placed_by_its_wavefront_instructions() {
        let Some(path) = shared_data("amd/vcopy_MI200") else { return };
        let (_, tables) = proftool_import::into_memory(&path).unwrap();
        let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
        // Three dispatches with SQ_INSTS = 393216 each, in 20480 + 16320 + 15520 ns; DRAM bytes summed from the request
        // counters of pmc_perf.csv: 45217024 = 1413032 x 32.
        assert_eq!(ints(&frame, "instructions").unwrap(), [Some(3 * 393_216)]);
        assert_eq!(ints(&frame, "time_ns").unwrap(), [Some(52_320)]);
        assert_eq!(floats(&frame, "dram_transactions").unwrap(), [Some(1_413_032.0)]);
        assert_eq!(floats(&frame, "dram_intensity").unwrap(), [Some(1_179_648.0 / 1_413_032.0)]);
    }
}
