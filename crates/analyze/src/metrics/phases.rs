//! The phase summary: what prefill and decode each cost a token, and where decode leaves the memory roof.
//!
//! A launch belongs to the window in which it begins, and to the phase of [`crate::phases`]. FLOP, bytes and bounds are
//! sums over the kernels that have counts (`coverage_ratio` says how much of the compute time that is). What a step
//! held comes from `steps::tokens`, the crossing from `roofline::crossing`; what the data do not tell stays null, and
//! `crossing_reason` says why.

use std::collections::BTreeMap;
use std::rc::Rc;

use polars::prelude::DataFrame;
use proftool_roofline::{Counts, Level, Limiter};
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, total, union};
use crate::roofline::crossing::{self, Crossing, Layers};
use crate::roofline::{Engine, Placed, operators};
use crate::steps::tokens::{DeviceLog, Held, Log};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "phases",
    doc: "What each phase costs a token, and the batch and context at which decode leaves the memory roof.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "phases",
    doc: "One phase on one device in one window set, the longest first.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("phase", "`prefill`, `decode`, `mixed`, `kv_transfer`, `other` or as the target states; null: unknown.")
            .or_null(),
        int("launches", "Kernels, copies, sets and graphs that begin in the windows."),
        int("time_ns", "Sum of their durations."),
        int("busy_ns", "Length of the union of their times; null without a timeline.").or_null(),
        float("coverage_ratio", "Share of the compute time whose launches have counts.").or_null(),
        int("flop", "Floating-point operations of the kernels that have counts.").or_null(),
        int("dram_bytes", "DRAM bytes of the kernels that have them, counted or compulsory; of a phase without kernels of its copies.").or_null(),
        float("arithmetic_intensity", "FLOP over bytes of the kernels for which both are known.").or_null(),
        int("bound_ns", "Sum of the bounds of the kernels (of a phase without kernels the copies) that have one.").or_null(),
        float("efficiency_ratio", "bound_ns over the time of those launches.").or_null(),
        text("limiter", "`compute`, `memory` or `link`: which roof gives most of bound_ns.").or_null(),
        int("steps", "Steps of the phase that tokens, batch and context are about.").or_null(),
        int("tokens", "Tokens that those steps computed.").or_null(),
        text("tokens_source", "`steps` (an engine's log), `annotation` (names of ranges) or `work` (the target).")
            .or_null(),
        float("flop_per_token", "flop / tokens, on this device.").or_null(),
        float("bytes_per_token", "dram_bytes / tokens, on this device.").or_null(),
        float("batch", "Median number of requests that decode in a step (of `work`: rows of a micro-batch).").or_null(),
        text("batch_source", "As tokens_source.").or_null(),
        float("context", "Mean number of tokens whose keys and values a decoding request reads.").or_null(),
        float("crossing_batch", "Batch at which decode leaves the memory roof.").or_null(),
        float("crossing_context", "Context at which a decode step reads as many bytes of KV cache as of weights.")
            .or_null(),
        text("crossing_reason", "What the crossing is computed from, or why it is null.").or_null(),
    ],
};

/// Sums of one phase.
#[derive(Default)]
struct Sums {
    launches: i64,
    time: i64,
    spans: Vec<Span>,
    compute: i64,
    compute_time: i64,
    counted_time: i64,
    /// What the kernels did, and what the rest did.
    counted: [Counted; 2],
}

/// Counts and bounds of launches.
#[derive(Default)]
struct Counted {
    flop: Option<f64>,
    bytes: Option<f64>,
    /// FLOP and bytes of the launches that have both.
    both: (f64, f64),
    bound: Option<i64>,
    bound_time: i64,
    limiters: BTreeMap<Limiter, i64>,
}

impl Sums {
    fn add(&mut self, engine: &Engine, placed: &Placed, row: Option<&Activity>) {
        self.launches += 1;
        self.time = self.time.saturating_add(placed.time_ns);
        self.spans.extend(row.map(|row| row.span));
        let counts = engine.counts(placed.counts);
        let is_compute = row.is_none_or(|row| row.class == Class::Compute);
        if is_compute {
            self.compute += 1;
            self.compute_time = self.compute_time.saturating_add(placed.time_ns);
            let counted = if counts.is_some() { placed.time_ns } else { 0 };
            self.counted_time = self.counted_time.saturating_add(counted);
        }
        self.counted[usize::from(!is_compute)].add(counts, placed);
    }

    /// Of the kernels, so that the bytes of a few copies do not pass for those of kernels without counts; of a phase
    /// without kernels of all.
    fn counted(&self) -> &Counted {
        &self.counted[usize::from(self.compute == 0)]
    }
}

impl Counted {
    fn add(&mut self, counts: Option<&Counts>, placed: &Placed) {
        if let Some(counts) = counts {
            let (flop, bytes) = (counts.flop_sum(), counts.bytes_of(Level::Dram));
            self.flop = sum(self.flop, flop);
            self.bytes = sum(self.bytes, bytes);
            if let (Some(flop), Some(bytes)) = (flop, bytes) {
                self.both = (self.both.0 + flop, self.both.1 + bytes);
            }
        }
        // Of rates the bound is that of one second of them: it adds to no time.
        let Some(bound) = placed.bound.filter(|_| placed.rates.is_none()) else { return };
        self.bound = Some(self.bound.unwrap_or(0).saturating_add(bound.ns));
        self.bound_time = self.bound_time.saturating_add(placed.time_ns);
        // The level of a memory bound does not matter here.
        let limiter = match bound.limiter {
            Limiter::Memory(_) => Limiter::Memory(Level::Dram),
            other => other,
        };
        let limited = self.limiters.entry(limiter).or_default();
        *limited = limited.saturating_add(bound.ns);
    }

    fn limiter(&self) -> Option<&'static str> {
        // On equal sums the first: compute before memory before link.
        let largest = self.limiters.iter().rev().max_by_key(|(_, ns)| **ns);
        largest.map(|(limiter, _)| limiter.name())
    }
}

fn sum(sum: Option<f64>, more: Option<f64>) -> Option<f64> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum + more),
        (sum, more) => sum.or(more),
    }
}

struct Row {
    device: DeviceKey,
    window: String,
    phase: Option<String>,
    sums: Sums,
    held: Option<Held>,
    crossing: Crossing,
}

impl Row {
    fn per_token(&self, value: Option<f64>) -> Option<f64> {
        let tokens = self.held.as_ref()?.tokens.filter(|tokens| *tokens > 0)?;
        value.map(|value| value / tokens as f64)
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let engine = input.engine()?;
    let log = Log::read(input)?;
    // Only decode asks what its operators were.
    let has_decode = engine.names.find("decode").is_some();
    let operators = if has_decode { operators::attribute(input.tables, input.model()?)? } else { Rc::default() };
    let rows = input.of_devices(|model, device, sets| {
        let place = Place {
            model,
            engine,
            device,
            log: log.of_device(model, device),
            layers: Layers::of_device(model, device, &operators),
        };
        sets.iter().enumerate().flat_map(|(at, set)| place.of_set(set, at == 0)).collect()
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("phase", |row| row.phase.as_ref())
        .int("launches", |row| Some(row.sums.launches))
        .int("time_ns", |row| Some(row.sums.time))
        .int("busy_ns", |row| (!row.sums.spans.is_empty()).then(|| total(&union(&row.sums.spans))))
        .float("coverage_ratio", |row| ratio(row.sums.counted_time, row.sums.compute_time))
        .int("flop", |row| row.sums.counted().flop.map(whole))
        .int("dram_bytes", |row| row.sums.counted().bytes.map(whole))
        .float("arithmetic_intensity", |row| Some(row.sums.counted().both.0 / row.sums.counted().both.1))
        .int("bound_ns", |row| row.sums.counted().bound)
        .float("efficiency_ratio", |row| {
            row.sums.counted().bound.and_then(|bound| ratio(bound, row.sums.counted().bound_time))
        })
        .text("limiter", |row| row.sums.counted().limiter())
        .int("steps", |row| Some(row.held.as_ref()?.steps))
        .int("tokens", |row| row.held.as_ref()?.tokens)
        .text("tokens_source", |row| row.held.as_ref().filter(|held| held.tokens.is_some()).map(|held| held.source))
        .float("flop_per_token", |row| row.per_token(row.sums.counted().flop))
        .float("bytes_per_token", |row| row.per_token(row.sums.counted().bytes))
        .float("batch", |row| row.held.as_ref()?.batch)
        .text("batch_source", |row| row.held.as_ref().filter(|held| held.batch.is_some()).map(|held| held.source))
        .float("context", |row| row.held.as_ref()?.context)
        .float("crossing_batch", |row| row.crossing.batch)
        .float("crossing_context", |row| row.crossing.context)
        .text("crossing_reason", |row| row.crossing.reason.as_ref())
        .build(&TABLE)
}

/// A sum of counts, each of which is exact; hostile ones saturate.
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// One device.
struct Place<'m> {
    model: &'m Model,
    engine: &'m Engine,
    device: DeviceKey,
    log: DeviceLog,
    layers: Layers,
}

impl Place<'_> {
    fn of_set(&self, set: &WindowSet, is_first: bool) -> Vec<Row> {
        let held = self.log.of(self.model, self.engine, &set.spans);
        let row = |(phase, sums): (Option<u32>, Sums)| {
            let phase = phase.map(|phase| self.engine.names.text(phase).to_owned());
            let held = phase.as_ref().and_then(|phase| held.get(phase).cloned());
            let crossing = match phase.as_deref() {
                Some("decode") => crossing::of_decode(self.model, self.engine, self.device, &set.spans, &self.layers),
                _ => Crossing::default(),
            };
            Row { device: self.device, window: set.name.clone(), phase, sums, held, crossing }
        };
        let mut rows: Vec<Row> = self.sums(set, is_first).into_iter().map(row).collect();
        rows.sort_by(|a, b| b.sums.time.cmp(&a.sums.time).then_with(|| a.phase.cmp(&b.phase)));
        rows
    }

    fn sums(&self, set: &WindowSet, is_first: bool) -> BTreeMap<Option<u32>, Sums> {
        let (engine, mut phases) = (self.engine, BTreeMap::<Option<u32>, Sums>::new());
        if engine.has_timeline() {
            for (index, row) in begun(self.model, self.device, &set.spans).filter(|(_, row)| row.class != Class::Sync) {
                if let Some(placed) = engine.of_activity(index) {
                    phases.entry(placed.phase).or_default().add(engine, placed, Some(row));
                }
            }
        } else if is_first {
            // Profiled launches without a timeline lie in no window; they are shown once.
            for placed in engine.placed().iter().filter(|placed| placed.device == self.device) {
                phases.entry(placed.phase).or_default().add(engine, placed, None);
            }
        }
        phases
    }
}

/// The activities of a device that begin inside the windows, with their indices in the model.
pub(crate) fn begun<'m>(
    model: &'m Model,
    device: DeviceKey,
    windows: &'m [Span],
) -> impl Iterator<Item = (usize, &'m Activity)> {
    let rows = model.of_device(device);
    let first = rows.first().map_or(0, |row| model.index_of(row));
    windows.iter().flat_map(move |window| {
        let from = rows.partition_point(|row| row.span.0 < window.0);
        let count = rows[from..].partition_point(|row| row.span.0 < window.1);
        (from..from + count).map(move |at| (first + at, &rows[at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, FixtureCeiling, shared_data};
    use crate::windows::Window;
    use proftool_import::into_memory;
    use proftool_trace::frame::{floats, ints, texts};

    /// 100 GFLOP/s and 10 GB/s: 0.01 ns a FLOP, 0.1 ns a byte.
    fn with_roofs(fixture: Fixture) -> Fixture {
        let (isa, per_cycle) = (Some("avx2"), None);
        let fma =
            FixtureCeiling { name: "fma", precision: Some("f32"), level: None, isa, cores: 1, value: 100e9, per_cycle };
        let read = FixtureCeiling { name: "read", precision: None, level: Some("DRAM"), isa: None, value: 10e9, ..fma };
        fixture.ceiling(fma).ceiling(read)
    }

    fn phases(fixture: &Fixture) -> DataFrame {
        compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap()
    }

    #[test]
    fn each_phase_costs_so_much_a_token_and_decode_crosses_where_its_lines_say() {
        // The kernel is 200 FLOP and 10 bytes a row beside 1000 bytes of weights. Prefill of 64 rows: 12 800 FLOP (128 ns),
        // 1640 bytes (164 ns). Two micro-batches of decode with 4 rows: 800 FLOP (8 ns), 1040 bytes (104 ns) each.
        // Crossing: 1000 x 0.1 ns / (200 x 0.01 - 10 x 0.1 ns) = 100 rows.
        let fixture = Fixture::new()
            .named_kernel("gemm", 0, 0, (0, 400))
            .work(0, "prefill", 0, 0, 64)
            .counts(12_800, 1640)
            .named_kernel("gemm", 0, 0, (400, 600))
            .work(0, "decode", 0, 0, 4)
            .counts(800, 1040)
            .named_kernel("gemm", 0, 0, (600, 750))
            .work(0, "decode", 0, 1, 4)
            .counts(800, 1040)
            .named_kernel("mystery", 0, 1, (700, 800))
            .work(0, "decode", 0, 1, 4)
            .block((0, 1000));
        let frame = phases(&with_roofs(fixture));
        let (ints, floats) = (|name| ints(&frame, name).unwrap(), |name| floats(&frame, name).unwrap());
        assert_eq!(texts(&frame, "phase").unwrap(), ["decode", "prefill"].map(|text| Some(text.to_owned())));
        assert_eq!(ints("launches"), [Some(3), Some(1)]);
        assert_eq!((ints("time_ns"), ints("busy_ns")), (vec![Some(450), Some(400)], vec![Some(400), Some(400)]));
        assert_eq!(floats("coverage_ratio"), [Some(350.0 / 450.0), Some(1.0)]);
        assert_eq!((ints("flop"), ints("dram_bytes")), (vec![Some(1600), Some(12_800)], vec![Some(2080), Some(1640)]));
        assert_eq!(floats("arithmetic_intensity"), [Some(1600.0 / 2080.0), Some(12_800.0 / 1640.0)]);
        assert_eq!((ints("bound_ns"), ints("tokens")), (vec![Some(208), Some(164)], vec![Some(8), Some(64)]));
        assert_eq!(floats("efficiency_ratio"), [Some(208.0 / 350.0), Some(164.0 / 400.0)]);
        assert_eq!(texts(&frame, "limiter").unwrap(), [Some("memory".to_owned()), Some("memory".to_owned())]);
        assert_eq!(floats("flop_per_token"), [Some(200.0), Some(200.0)]);
        assert_eq!(floats("bytes_per_token"), [Some(260.0), Some(1640.0 / 64.0)]);
        assert_eq!((floats("batch"), floats("context")), (vec![Some(4.0), None], vec![None, None]));
        let crossing = floats("crossing_batch");
        assert!((crossing[0].unwrap() - 100.0).abs() < 1e-9 && crossing[1].is_none(), "{crossing:?}");
        let reason = texts(&frame, "crossing_reason").unwrap();
        assert!(reason[0].as_ref().unwrap().contains("2 of 3 launches"), "{reason:?}");
    }

    #[test]
    fn a_trace_without_counts_has_times_and_nothing_else() {
        // The bytes of the copy inside decode are none of its kernel's.
        let fixture = Fixture::new()
            .range("decode", (0, 9))
            .kernel(0, 0, (10, 30))
            .launched((5, 6))
            .copy(0, 1, (30, 35), 0, 8)
            .launched((6, 7))
            .copy(0, 1, (35, 42), 0, 8);
        let frame = phases(&fixture);
        assert_eq!(texts(&frame, "phase").unwrap(), [Some("decode".to_owned()), None]);
        assert_eq!(ints(&frame, "time_ns").unwrap(), [Some(25), Some(7)]);
        for name in ["flop", "dram_bytes", "bound_ns", "tokens"] {
            assert_eq!(ints(&frame, name).unwrap()[0], None, "{name}");
        }
        assert_eq!(floats(&frame, "coverage_ratio").unwrap(), [Some(0.0), None]);
        let reason = texts(&frame, "crossing_reason").unwrap()[0].clone().unwrap();
        assert!(reason.starts_with("batch: no kernel was seen with two numbers of rows"), "{reason}");
    }

    #[test]
    fn what_is_known_by_rates_only_adds_no_bound() {
        // 5 GB/s of 10 are half a second of each second, of a launch that nobody timed.
        let rates = |fixture: Fixture| fixture.profiled("rated", None, &[("dram__bytes.sum.per_second", 5e9)]);
        let frame = phases(&with_roofs(rates(Fixture::new().gpu("Some accelerator", "sm_00"))));
        assert_eq!(
            (ints(&frame, "launches").unwrap(), ints(&frame, "time_ns").unwrap()),
            (vec![Some(1)], vec![Some(0)])
        );
        assert_eq!(ints(&frame, "bound_ns").unwrap(), [None]);
        assert_eq!(floats(&frame, "efficiency_ratio").unwrap(), [None]);
        assert_eq!(texts(&frame, "limiter").unwrap(), [None]);
    }

    #[test]
    fn the_annotation_of_a_vllm_step_tells_its_tokens_batch_and_context() {
        // execute_8192_context_9(sq8155..)_generation_37(sq37sk34489..): 8155 + 37 tokens, 37 requests, 34 489 / 37.
        let Some(path) = shared_data("kineto/mi300x_vllm_piecewise_graph.json.gz") else { return };
        let (_, tables) = into_memory(&path).unwrap();
        let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
        let row = texts(&frame, "phase").unwrap().iter().position(|phase| phase.as_deref() == Some("mixed")).unwrap();
        assert_eq!(ints(&frame, "steps").unwrap()[row], Some(1));
        assert_eq!(ints(&frame, "tokens").unwrap()[row], Some(8192));
        assert_eq!(floats(&frame, "batch").unwrap()[row], Some(37.0));
        assert_eq!(floats(&frame, "context").unwrap()[row], Some(34_489.0 / 37.0));
        assert_eq!(texts(&frame, "tokens_source").unwrap()[row].as_deref(), Some("annotation"));
    }
}
