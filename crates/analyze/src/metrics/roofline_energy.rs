//! The energy roofline: joules from power samples, over tokens, FLOP and bytes.
//!
//! Energy = sum of power x the time that each sample covers inside the windows; nothing is filled in where no sample
//! lies. Constant power pi0 is the mean of the samples during whose whole time the device ran nothing. In the model of
//! Choi et al. (2013), E = W e_flop + Q e_byte + pi0 T, reaching the roof saves pi0 x (T - bound) whatever the energies of
//! an operation and a byte are, which no trace tells: they are not guessed here.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::DataFrame;
use proftool_roofline::{Counts, Level};
use proftool_trace::table::{Table, float, int, text};
use proftool_trace::{sampled, tables};

use super::roofline_instruction::launches_in;
use super::roofline_sampled::{length, sampled_sets};
use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, DeviceKey, Model, Rows};
use crate::operators::{Span, contains, gaps, intersect, union};
use crate::roofline::{Engine, Placed};
use crate::samples::series::{self, Series, Tally};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline_energy",
    doc: "Energy from power samples: joules a token, FLOP a joule, and what constant power costs above the roof.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_energy",
    doc: "One power metric of one device in one phase of one window set.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("phase", "The phase whose activities bound the windows, or null for the whole window set.").or_null(),
        text("metric", "Name of the power metric; metrics of one device measure the same energy and are never added."),
        int("samples", "Samples that touch the windows."),
        int("span_ns", "Length of the windows."),
        int("covered_ns", "Part of it that samples cover."),
        float("coverage_ratio", "covered_ns / span_ns.").or_null(),
        float("energy_j", "Sum of power x covered time.").or_null(),
        float("mean_w", "energy_j over the covered time.").or_null(),
        float("min_w", "Smallest sample.").or_null(),
        float("max_w", "Largest sample.").or_null(),
        float(
            "constant_w",
            "Mean of the samples during which the device ran nothing; null where fewer than three are.",
        )
        .or_null(),
        float("constant_ratio", "constant_w / mean_w.").or_null(),
        int("tokens", "Tokens of the windows.").or_null(),
        text("tokens_source", "Where they are stated and which they are.").or_null(),
        float("joule_per_token", "energy_j / tokens.").or_null(),
        int("flop", "FLOP of the compute kernels that begin in the windows.").or_null(),
        int("dram_bytes", "Their DRAM bytes; those of copies are no kernel's.").or_null(),
        float("counts_coverage_ratio", "Share of the compute kernels' time whose FLOP are known.").or_null(),
        float("bytes_coverage_ratio", "Share of it whose DRAM bytes are known.").or_null(),
        float("joule_per_flop", "energy_j / flop.").or_null(),
        float("flop_per_joule", "flop / energy_j.").or_null(),
        float("byte_per_joule", "dram_bytes / energy_j.").or_null(),
        float("arithmetic_intensity", "flop / dram_bytes.").or_null(),
        float("recoverable_j", "constant_w x (time - bound) of the kernels with a bound.").or_null(),
        text("reason", "Why ratios are null.").or_null(),
    ],
};

/// Units of power and what a value of each is in watts.
const UNITS: &[(&str, f64)] =
    &[("w", 1.0), ("watt", 1.0), ("watts", 1.0), ("mw", 1e-3), ("milliwatt", 1e-3), ("milliwatts", 1e-3), ("uw", 1e-6)];

/// Parts of the names of power metrics that are settings, not readings.
const SETTINGS: &[&str] = &["limit", "cap", "max", "min", "default"];

/// Least coverage by samples, and by counts, for a ratio: what is missing would be an error of that size.
pub(crate) const LEAST_COVERAGE: f64 = 0.9;

/// Least samples on an idle device that make a constant power.
const LEAST_IDLE: i64 = 3;

/// What a value of the metric is in watts; `None` for a metric that is not power, or the most that it may be.
pub(crate) fn watts(metric: &str, unit: Option<&str>) -> Option<f64> {
    let name = metric.to_ascii_lowercase();
    if name == sampled::BOARD_POWER.name || SETTINGS.iter().any(|setting| name.contains(setting)) {
        return None;
    }
    let bracketed =
        || name.trim_end().strip_suffix([']', ')'])?.rsplit_once(['[', '(']).map(|(_, unit)| unit.to_owned());
    let unit = unit.map(str::to_ascii_lowercase).or_else(bracketed)?;
    UNITS.iter().find(|(known, _)| *known == unit.trim()).map(|(_, scale)| *scale)
}

/// What the kernels of a place did.
#[derive(Default)]
struct Work {
    spans: Vec<Span>,
    /// Time of the compute kernels: communication does no FLOP that anybody counts, and waits for its peers.
    compute_time: i64,
    flop: Counted,
    bytes: Counted,
    bound: Option<i64>,
    bounded_time: i64,
}

/// A sum over the compute kernels for which it is known, and how long those ran.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counted {
    sum: Option<f64>,
    time: i64,
}

impl Counted {
    fn add(&mut self, value: Option<f64>, time: i64) {
        if let Some(value) = value {
            self.sum = Some(self.sum.unwrap_or(0.0) + value);
            self.time = self.time.saturating_add(time);
        }
    }
}

impl Work {
    fn add(&mut self, engine: &Engine, placed: &Placed, row: &Activity) {
        if !matches!(row.kind, Kind::Kernel | Kind::Graph) {
            return;
        }
        if row.class == Class::Compute {
            let counts = engine.counts(placed.counts);
            self.compute_time = self.compute_time.saturating_add(placed.time_ns);
            self.flop.add(counts.and_then(Counts::flop_sum), placed.time_ns);
            self.bytes.add(counts.and_then(|counts| counts.bytes_of(Level::Dram)), placed.time_ns);
        }
        if let Some(bound) = placed.bound {
            self.bound = Some(self.bound.unwrap_or(0).saturating_add(bound.ns));
            self.bounded_time = self.bounded_time.saturating_add(placed.time_ns);
        }
    }
}

/// One phase of one window set.
struct Place {
    window: String,
    phase: Option<String>,
    spans: Vec<Span>,
    work: Work,
    tokens: Option<(i64, &'static str)>,
}

struct Row {
    device: DeviceKey,
    window: String,
    phase: Option<String>,
    metric: String,
    tally: Tally,
    span: i64,
    scale: f64,
    constant: Option<f64>,
    tokens: Option<(i64, &'static str)>,
    flop: Option<f64>,
    bytes: Option<f64>,
    /// Shares of the compute kernels' time for which they are known.
    flop_coverage: Option<f64>,
    bytes_coverage: Option<f64>,
    recoverable: Option<f64>,
    /// Why no ratio of the energy holds.
    doubt: Option<&'static str>,
}

impl Row {
    fn energy(&self) -> Option<f64> {
        (self.tally.covered_ns > 0).then_some(self.tally.value_ns / 1e9 * self.scale)
    }

    fn mean(&self) -> Option<f64> {
        self.tally.mean().map(|mean| mean * self.scale)
    }

    /// The energy, where ratios of it hold.
    fn whole_energy(&self) -> Option<f64> {
        self.energy().filter(|energy| *energy > 0.0 && self.doubt.is_none())
    }

    /// The FLOP, where they are those of nearly all compute kernels.
    fn whole_flop(&self) -> Option<f64> {
        self.flop.filter(|_| is_whole(self.flop_coverage))
    }

    fn whole_bytes(&self) -> Option<f64> {
        self.bytes.filter(|_| is_whole(self.bytes_coverage))
    }

    fn flop_per_joule(&self) -> Option<f64> {
        Some(self.whole_flop()? / self.whole_energy()?)
    }

    fn byte_per_joule(&self) -> Option<f64> {
        Some(self.whole_bytes()? / self.whole_energy()?)
    }

    fn intensity(&self) -> Option<f64> {
        Some(self.whole_flop()? / self.whole_bytes().filter(|bytes| *bytes > 0.0)?)
    }

    fn joule_per_token(&self) -> Option<f64> {
        let (tokens, _) = self.tokens.filter(|(tokens, _)| *tokens > 0)?;
        Some(self.whole_energy()? / tokens as f64)
    }

    fn reason(&self) -> Option<String> {
        let unknown = |coverage: Option<f64>, what: &str| match coverage {
            Some(0.0) => Some(format!("the {what} of the kernels are not known")),
            Some(_) if !is_whole(coverage) => {
                Some(format!("the {what} of more than a tenth of the kernels' time are not known"))
            }
            _ => None,
        };
        let idle = self.flop_coverage.is_none().then(|| "no compute kernel ran in the windows".to_owned());
        let counts = [idle, unknown(self.flop_coverage, "FLOP"), unknown(self.bytes_coverage, "DRAM bytes")];
        let tokens = self.tokens.is_none().then_some("the tokens are not stated");
        let stated = [self.doubt, tokens].into_iter().flatten().map(str::to_owned);
        let all: Vec<String> = stated.chain(counts.into_iter().flatten()).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn is_whole(coverage: Option<f64>) -> bool {
    coverage.is_some_and(|coverage| coverage >= LEAST_COVERAGE)
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input)?;
    let count = |value: Option<f64>| value.filter(|value| value.is_finite()).map(|value| value.round() as i64);
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("phase", |row| row.phase.as_deref())
        .text("metric", |row| Some(&row.metric))
        .int("samples", |row| Some(row.tally.samples))
        .int("span_ns", |row| Some(row.span))
        .int("covered_ns", |row| Some(row.tally.covered_ns))
        .float("coverage_ratio", |row| ratio(row.tally.covered_ns, row.span))
        .float("energy_j", Row::energy)
        .float("mean_w", Row::mean)
        .float("min_w", |row| row.tally.min.map(|value| value * row.scale))
        .float("max_w", |row| row.tally.max.map(|value| value * row.scale))
        .float("constant_w", |row| row.constant)
        .float("constant_ratio", |row| Some(row.constant? / row.mean().filter(|mean| *mean > 0.0)?))
        .int("tokens", |row| row.tokens.map(|tokens| tokens.0))
        .text("tokens_source", |row| row.tokens.map(|tokens| tokens.1))
        .float("joule_per_token", Row::joule_per_token)
        .int("flop", |row| count(row.flop))
        .int("dram_bytes", |row| count(row.bytes))
        .float("counts_coverage_ratio", |row| row.flop_coverage)
        .float("bytes_coverage_ratio", |row| row.bytes_coverage)
        .float("joule_per_flop", |row| row.flop_per_joule().filter(|rate| *rate > 0.0).map(|rate| 1.0 / rate))
        .float("flop_per_joule", Row::flop_per_joule)
        .float("byte_per_joule", Row::byte_per_joule)
        .float("arithmetic_intensity", Row::intensity)
        .float("recoverable_j", |row| row.recoverable)
        .text("reason", Row::reason)
        .build(&TABLE)
}

fn rows(input: &Input) -> Result<Vec<Row>, Error> {
    let (model, engine) = (input.model()?, input.engine()?);
    let power = series::read(input.tables, &model.pass, |metric, unit| watts(metric, unit).is_some())?;
    let devices: BTreeSet<DeviceKey> = power.iter().map(|series| series.device).collect();
    let tokens = Tokens::read(input, model, devices.len())?;
    let mut rows = Vec::new();
    for device in devices {
        let own: Vec<&Series> = power.iter().filter(|series| series.device == device).collect();
        let extents: Vec<Span> = own.iter().filter_map(|series| series.extent()).collect();
        let constants: Vec<Option<f64>> = own.iter().map(|series| constant(model, series)).collect();
        for set in sampled_sets(input, device, &extents)? {
            for place in places(model, engine, &tokens, device, &set) {
                rows.extend(own.iter().zip(&constants).map(|(series, constant)| row(&place, series, *constant)));
            }
        }
    }
    Ok(rows)
}

/// The whole of the windows, then each phase by name.
fn places(model: &Model, engine: &Engine, tokens: &Tokens, device: DeviceKey, set: &WindowSet) -> Vec<Place> {
    let mut phases: BTreeMap<Option<&str>, Work> = BTreeMap::from([(None, Work::default())]);
    for placed in launches_in(model, engine, device, set) {
        let Some(row) = placed.activity.and_then(|index| model.activities.get(index as usize)) else { continue };
        let phase = placed.phase.map(|phase| engine.names.text(phase));
        for key in std::iter::once(None).chain(phase.map(Some)) {
            let work = phases.entry(key).or_default();
            work.add(engine, placed, row);
            if key.is_some() {
                work.spans.push(row.span);
            }
        }
    }
    let place = |(phase, mut work): (Option<&str>, Work)| {
        let spans = std::mem::take(&mut work.spans);
        let spans = if phase.is_some() { intersect(&union(&spans), &set.spans) } else { set.spans.clone() };
        let tokens = tokens.within(device, phase, set);
        Place { window: set.name.clone(), phase: phase.map(str::to_owned), spans, work, tokens }
    };
    phases.into_iter().map(place).collect()
}

fn row(place: &Place, series: &Series, constant: Option<f64>) -> Row {
    let scale = watts(&series.metric, series.unit.as_deref()).unwrap_or(1.0);
    let (tally, span) = (series.over(&place.spans, None), length(&place.spans));
    let constant = constant.map(|power| power * scale);
    let work = &place.work;
    let lost = work.bound.map(|bound| work.bounded_time.saturating_sub(bound).max(0));
    Row {
        device: series.device,
        window: place.window.clone(),
        phase: place.phase.clone(),
        metric: series.metric.clone(),
        tally,
        span,
        scale,
        constant,
        tokens: place.tokens,
        flop: work.flop.sum,
        bytes: work.bytes.sum,
        flop_coverage: ratio(work.flop.time, work.compute_time),
        bytes_coverage: ratio(work.bytes.time, work.compute_time),
        recoverable: constant.zip(lost).map(|(power, lost)| power * lost as f64 / 1e9),
        doubt: doubt(place, &tally, span),
    }
}

/// Why ratios of the energy would not hold.
fn doubt(place: &Place, tally: &Tally, span: i64) -> Option<&'static str> {
    let coverage = ratio(tally.covered_ns, span).unwrap_or(0.0);
    // A phase whose stretches are shorter than a reading shares that reading with what runs around it.
    let stretch = span / (place.spans.len() as i64).max(1);
    let reading = tally.typical_ns();
    match () {
        () if tally.negative > 0 => Some("power below 0 was sampled"),
        () if coverage < LEAST_COVERAGE => Some("samples cover less than nine tenths of the windows"),
        () if place.phase.is_some() && stretch < reading => {
            Some("a sample lasts longer than a stretch of the phase, so that the phases share its reading")
        }
        () => None,
    }
}

/// Mean of the samples that lie wholly in times in which the device ran nothing.
fn constant(model: &Model, series: &Series) -> Option<f64> {
    let worked = model.of_device(series.device).iter().filter(|row| row.class != Class::Sync);
    let busy = union(&worked.map(|row| row.span).collect::<Vec<_>>());
    let idle = series.inside(&gaps(&busy, series.extent()?));
    idle.mean().filter(|_| idle.samples >= LEAST_IDLE && idle.negative == 0)
}

/// Tokens by device and time.
#[derive(Default)]
struct Tokens {
    /// Device, start, prompt tokens, generated tokens.
    steps: Vec<(DeviceKey, i64, Option<i64>, Option<i64>)>,
    /// End and output tokens of finished requests; empty where several devices share them.
    requests: Vec<(i64, i64)>,
}

impl Tokens {
    fn read(input: &Input, model: &Model, devices: usize) -> Result<Self, Error> {
        let rows = Rows::of_pass(input.tables.get(&tables::STEPS), &model.pass)?;
        let keys = rows.ints("rank")?.into_iter().zip(rows.ints("device")?);
        let counts = rows.optional_ints("prefill_tokens")?.into_iter().zip(rows.optional_ints("decode_batch")?);
        let steps = keys.zip(rows.ints("start_ns")?).zip(counts);
        let steps = steps.map(|((device, start), counts)| (device, start, counts.0, counts.1)).collect();
        let mut requests = Vec::new();
        if devices <= 1 {
            let rows = Rows::of_pass(input.tables.get(&tables::REQUESTS), &model.pass)?;
            let ends = rows.optional_ints("end_ns")?.into_iter().zip(rows.optional_ints("output_tokens")?);
            let known = ends.zip(rows.texts("status")?).filter(|(_, status)| status.as_deref() == Some("ok"));
            requests = known.filter_map(|((end, tokens), _)| end.zip(tokens)).collect();
        }
        Ok(Self { steps, requests })
    }

    /// The tokens of a phase (of everything for no phase) in the windows; `None` where they are not stated.
    fn within(&self, device: DeviceKey, phase: Option<&str>, set: &WindowSet) -> Option<(i64, &'static str)> {
        let steps = self.steps.iter().filter(|step| step.0 == device && contains(&set.spans, step.1));
        let sum = |counts: Vec<i64>| (!counts.is_empty()).then(|| counts.into_iter().fold(0, i64::saturating_add));
        match phase {
            Some("prefill") => sum(steps.filter_map(|step| step.2).collect()).map(|sum| (sum, "steps: prompt")),
            Some("decode") => sum(steps.filter_map(|step| step.3).collect()).map(|sum| (sum, "steps: generated")),
            Some(_) => None,
            None => {
                let all = steps.flat_map(|step| [step.2, step.3]).flatten().collect();
                sum(all).map(|sum| (sum, "steps: prompt and generated")).or_else(|| {
                    let ended = self.requests.iter().filter(|(end, _)| contains(&set.spans, *end));
                    sum(ended.map(|(_, tokens)| *tokens).collect()).map(|sum| (sum, "requests: generated"))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{Tables, build, floats, int_column, ints, text_column, texts};

    const SECOND: i64 = 1_000_000_000;

    fn energy(tables: &Tables) -> DataFrame {
        compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
    }

    fn row(frame: &DataFrame, phase: Option<&str>) -> usize {
        texts(frame, "phase").unwrap().iter().position(|known| known.as_deref() == phase).unwrap()
    }

    fn with_steps(tables: &mut Tables, steps: &[(i64, i64, i64)]) {
        let columns = vec![
            text_column("pass", steps.iter().map(|_| Some("host"))),
            int_column("rank", steps.iter().map(|_| Some(0))),
            int_column("device", steps.iter().map(|_| Some(0))),
            int_column("start_ns", steps.iter().map(|step| Some(step.0))),
            int_column("end_ns", steps.iter().map(|step| Some(step.0 + 1))),
            int_column("prefill_tokens", steps.iter().map(|step| Some(step.1))),
            int_column("decode_batch", steps.iter().map(|step| Some(step.2))),
        ];
        tables.set(&tables::STEPS, build(&tables::STEPS, columns).unwrap()).unwrap();
    }

    #[test]
    fn power_times_covered_time_is_energy_and_idle_samples_are_constant_power() {
        // A block of 10 s: 4 s prefill, 5 s decode. 100 W idle before it, 300 W in prefill, 200 W after.
        let fixture = Fixture::new()
            .kernel(0, 0, (10 * SECOND, 14 * SECOND))
            .work(0, "prefill", 0, 0, 1)
            .kernel(0, 0, (15 * SECOND, 20 * SECOND))
            .work(0, "decode", 0, 0, 1)
            .block((10 * SECOND, 20 * SECOND));
        let mut tables = fixture.tables();
        let mut samples: Vec<(i64, i64, f64)> =
            (6..10).map(|second| (second * SECOND, (second + 1) * SECOND, 100e3)).collect();
        samples.push((10 * SECOND, 14 * SECOND, 300e3));
        samples.push((14 * SECOND, 22 * SECOND, 200e3));
        series::put(&mut tables, &[("power.draw", "mW", &samples), ("power.limit", "W", &[(0, SECOND, 700.0)])]);
        with_steps(&mut tables, &[(11 * SECOND, 90, 0), (16 * SECOND, 0, 30), (40 * SECOND, 7, 7)]);
        let frame = energy(&tables);
        // A thousandth is no binary fraction: what milliwatts make is rounded to a microjoule.
        let float =
            |name, phase| floats(&frame, name).unwrap()[row(&frame, phase)].map(|value| (value * 1e6).round() / 1e6);
        // 4 s x 300 W + 6 s x 200 W = 2400 J for 90 + 30 tokens; prefill 1200 J for 90; the limit is no reading.
        assert_eq!((float("energy_j", None), float("mean_w", None)), (Some(2400.0), Some(240.0)));
        assert_eq!((float("constant_w", None), float("max_w", None)), (Some(100.0), Some(300.0)));
        assert_eq!(float("joule_per_token", None), Some(20.0));
        assert_eq!(
            (float("energy_j", Some("prefill")), ints(&frame, "tokens").unwrap()[row(&frame, Some("prefill"))]),
            (Some(1200.0), Some(90))
        );
        // The sample of 8 s is longer than the 5 s of decode: its power is not decode's alone.
        assert_eq!((float("energy_j", Some("decode")), float("joule_per_token", Some("decode"))), (Some(1000.0), None));
        let reasons = texts(&frame, "reason").unwrap();
        assert!(reasons[row(&frame, Some("decode"))].as_deref().unwrap().contains("share its reading"));
        assert!(reasons[row(&frame, None)].as_deref().unwrap().contains("FLOP of the kernels are not known"));
        assert_eq!(frame.height(), 3);
    }

    #[test]
    fn half_covered_windows_have_energy_and_no_ratios() {
        let mut tables = Fixture::new().kernel(0, 0, (0, 10)).tables();
        series::put(&mut tables, &[("GPU Power", "W", &[(0, 5, 100.0)])]);
        with_steps(&mut tables, &[(1, 1, 0)]);
        let frame = energy(&tables);
        assert_eq!(floats(&frame, "coverage_ratio").unwrap(), [Some(0.5)]);
        assert_eq!(floats(&frame, "energy_j").unwrap(), [Some(500.0 / 1e9)]);
        assert_eq!(floats(&frame, "joule_per_token").unwrap(), [None]);
        assert_eq!(floats(&frame, "constant_w").unwrap(), [None]);
    }

    #[test]
    fn counts_over_energy_are_flop_and_bytes_a_joule() {
        // 500 J for 1e12 FLOP and 2e11 bytes; 80 W constant, 3 s above the bound: 240 J.
        let tally = Tally { samples: 1, covered_ns: 10 * SECOND, value_ns: 50.0 * 1e10, ..Tally::default() };
        let mut row = Row {
            device: (0, 0),
            window: String::new(),
            phase: None,
            metric: String::new(),
            tally,
            span: 10 * SECOND,
            scale: 1.0,
            constant: Some(80.0),
            tokens: None,
            flop: Some(1e12),
            bytes: Some(2e11),
            flop_coverage: Some(0.95),
            bytes_coverage: Some(0.9),
            recoverable: None,
            doubt: None,
        };
        assert_eq!((row.energy(), row.flop_per_joule(), row.byte_per_joule()), (Some(500.0), Some(2e9), Some(4e8)));
        assert_eq!(row.intensity(), Some(5.0));
        row.bytes_coverage = Some(0.5);
        assert_eq!((row.flop_per_joule(), row.byte_per_joule(), row.intensity()), (Some(2e9), None, None));
        (row.bytes_coverage, row.flop_coverage) = (Some(1.0), Some(0.5));
        assert_eq!((row.flop_per_joule(), row.byte_per_joule(), row.intensity()), (None, Some(4e8), None));
    }

    #[test]
    fn copies_and_communication_are_no_part_of_what_kernels_did() {
        // The kernel does 3e9 FLOP in 3 s at 100 W, and no such number as -1 is its bytes; a copy moves 1 MB, an
        // all-reduce runs 2 s.
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 3 * SECOND))
            .work(0, "prefill", 0, 0, 1)
            .counts(3_000_000_000, -1)
            .copy(0, 0, (3 * SECOND, 4 * SECOND), 0, 1_000_000)
            .named_kernel("ncclDevKernel_AllReduce", 0, 1, (4 * SECOND, 6 * SECOND));
        let mut tables = fixture.tables();
        series::put(&mut tables, &[("power.draw", "W", &[(0, 6 * SECOND, 100.0)])]);
        let frame = energy(&tables);
        let all = row(&frame, None);
        let float = |name| floats(&frame, name).unwrap()[all];
        let int = |name| ints(&frame, name).unwrap()[all];
        assert_eq!((int("flop"), int("dram_bytes")), (Some(3_000_000_000), None));
        assert_eq!((float("counts_coverage_ratio"), float("bytes_coverage_ratio")), (Some(1.0), Some(0.0)));
        // 600 J.
        assert_eq!((float("flop_per_joule"), float("byte_per_joule")), (Some(5e6), None));
        assert_eq!(float("arithmetic_intensity"), None);
        let reason = texts(&frame, "reason").unwrap()[all].clone().unwrap();
        assert!(reason.contains("DRAM bytes of the kernels are not known"), "{reason}");
    }

    #[test]
    fn power_is_known_by_its_unit_and_settings_are_no_power() {
        assert_eq!(watts("power.draw", Some("W")), Some(1.0));
        assert_eq!(watts("GPU Power [mW]", None), Some(1e-3));
        assert_eq!(watts("power.draw", None), None);
        assert_eq!(watts("enforced.power.limit", Some("W")), None);
        assert_eq!(watts("SM Active [Throughput %]", Some("%")), None);
    }
}
