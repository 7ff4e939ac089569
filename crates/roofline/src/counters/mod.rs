//! FLOP and bytes of a launch from profiler counters.
//!
//! ncu's own formulas change with its version and the device, and pages hold what somebody asked for, so the formula is
//! chosen once from the counters that a page has, its version and the compute capability ([`Formulas::choose`]), and
//! then applied to each launch ([`Formulas::counts`]). Its identifier names every part, for example
//! `sass-hfma4+tensor-ops-aggregate+dram-bytes+l2-lts2xbar/ncu-2025`; L1 and L2 bytes of different parts are not
//! comparable ([`comparable`]).

mod amd;
mod bytes;
mod check;
mod clock;
mod identifier;
mod missing;
mod page;
mod peaks;
mod sum;
mod suspicion;
mod tensor;
mod tensor_group;
mod tensor_inst;
mod tensor_name;
#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests;
mod vector;
mod version;

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Counts, Flop, Level, Precision, Source, Traffic};
use bytes::BytesPlan;
use check::Check;
use clock::Clock;
pub use identifier::comparable;
use identifier::identifier;
use page::Page;
use peaks::{Peak, largest};
use sum::{Domain, Moment, Term};
use suspicion::Worst;
pub use suspicion::{Suspicion, SuspicionKind, gather};
use tensor::Tensor;
use vector::{FlopPlan, Vector};

/// A counter of a page: a row of `counter_defs`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Def<'a> {
    /// Its number.
    pub def: i64,
    /// Its name.
    pub metric: &'a str,
    /// Its base unit, where the page prints one.
    pub unit: Option<&'a str>,
    /// Of a display name `section:<section>[/<label>]`.
    pub formula_id: Option<&'a str>,
    /// The tool.
    pub tool: Option<&'a str>,
}

/// What the reader must know about the formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// A short name, the same for the same cause.
    pub code: &'static str,
    /// A sentence.
    pub detail: String,
}

/// What the counters say about one launch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// FLOP and bytes of the launch.
    pub counts: Counts,
    /// The same per second, where the page states rates and no duration: enough for a point on the chart, not for a
    /// sum. Otherwise `None`.
    pub rates: Option<Counts>,
    /// Operations per second at the clock of this launch, as the page states them: precision, sparse, value.
    pub peaks: Vec<(Precision, bool, f64)>,
    /// Bytes per second, likewise.
    pub bandwidth_peaks: Vec<(Level, f64)>,
    /// Values that cannot be right, the three worst.
    pub suspicious: Vec<Suspicion>,
    /// Whether matrix instructions ran whose FLOP no counter tells, so that counted zeros say nothing about the launch.
    pub untold: bool,
}

/// The formulas of one page: which counter goes into which slot, and what is computed from the slots.
#[derive(Clone, Debug)]
pub struct Formulas {
    slots: HashMap<i64, usize>,
    metrics: Vec<Arc<str>>,
    percentages: Vec<usize>,
    clock: Clock,
    flop: Vec<FlopPlan>,
    tensor: Tensor,
    bytes: Vec<BytesPlan>,
    instructions: Option<Term>,
    peaks: Vec<Peak<(Precision, bool)>>,
    bandwidths: Vec<Peak<Level>>,
    /// Whether the page counts all arithmetic of the vector units, and of the matrix units.
    complete: [bool; 2],
    /// Where the page counts matrix instructions of AMD.
    matrix_instructions: Option<usize>,
    /// Tensor instructions without FLOP.
    rest: tensor_inst::Rest,
    /// Bytes that the page counts twice.
    check: Option<Check>,
    /// Tensor instructions (512 FLOP each) and thread instructions of half FMA that may be among them.
    hfma: Option<(Term, Term)>,
    /// Writes of AMD's caches.
    writes: Option<amd::Writes>,
    id: Option<Arc<str>>,
    notes: Vec<Note>,
}

/// Which of NVIDIA's tools counted.
struct Tool {
    /// Year of its metrics.
    year: Option<u32>,
    /// Its part of the formula's identifier.
    id: String,
}

impl Tool {
    fn of(defs: &[Def<'_>], version: Option<&str>) -> Self {
        if defs.iter().any(|def| def.tool == Some("cupti")) {
            let id = version.map_or_else(|| "cupti".to_owned(), |version| format!("cupti-{version}"));
            return Self { year: version::cupti_year(version), id };
        }
        let year = version::year(version);
        Self { year, id: year.map_or_else(|| "ncu".to_owned(), |year| format!("ncu-{year}")) }
    }
}

impl Formulas {
    /// Chooses the formulas for the counters `defs` of a page that this version of the tool wrote about a device of this
    /// architecture (`sm_90`, `gfx90a`).
    pub fn choose(defs: &[Def<'_>], tool_version: Option<&str>, arch: Option<&str>) -> Self {
        let mut page = Page::new(defs);
        let mut notes = Vec::new();
        let clock = Clock::choose(&mut page, &mut notes);
        let of_rocm = defs.iter().any(|def| def.tool.is_some_and(|tool| tool.starts_with("rocprof")));
        let mut formulas = if of_rocm || amd::is_amd(&page, arch) {
            Self::of_amd(&mut page, clock, arch)
        } else {
            Self::of_nvidia(&mut page, clock, &Tool::of(defs, tool_version), arch)
        };
        formulas.notes.append(&mut notes);
        formulas.percentages = page.percentages();
        (formulas.slots, formulas.metrics) = page.finish();
        formulas
    }

    fn empty(clock: Clock) -> Self {
        Self {
            slots: HashMap::new(),
            metrics: Vec::new(),
            percentages: Vec::new(),
            clock,
            flop: Vec::new(),
            tensor: Tensor::default(),
            bytes: Vec::new(),
            instructions: None,
            peaks: Vec::new(),
            bandwidths: Vec::new(),
            complete: [false; 2],
            matrix_instructions: None,
            rest: tensor_inst::Rest::default(),
            check: None,
            hfma: None,
            writes: None,
            id: None,
            notes: Vec::new(),
        }
    }

    fn of_nvidia(page: &mut Page<'_>, clock: Clock, tool: &Tool, arch: Option<&str>) -> Self {
        let mut formulas = Self::empty(clock);
        let notes = &mut formulas.notes;
        let (year, capability) = (tool.year, version::capability(arch));
        missing::origin(year, capability, notes);
        let vector = vector::choose(page, year, capability, notes);
        let tensor = tensor::choose(page, capability, notes);
        let mut instructions = tensor_inst::Instructions::default();
        if tensor.groups.is_empty() {
            instructions = tensor_inst::choose(page, capability, &vector, notes);
        }
        formulas.bytes = bytes::choose(page, capability, notes);
        missing::arithmetic(capability, &vector, &tensor, &instructions, !formulas.bytes.is_empty(), notes);
        formulas.instructions = page
            .term(&["smsp__inst_executed", "sm__inst_executed"], 1.0)
            .or_else(|| page.shown("Executed Instructions", |_| true).map(|slot| Term::count(slot, 1.0)));
        let parts: Vec<&str> = formulas.bytes.iter().map(|plan| plan.part).collect();
        formulas.peaks = peaks::vector(page, vector.half_fma);
        formulas.peaks.extend(peaks::tensor(page, capability, notes));
        formulas.bandwidths = peaks::bandwidth(page, &parts);
        let rated = |plan: &BytesPlan| plan.sum.has_rate();
        if !formulas.clock.has_time()
            && (vector.plans.iter().any(|plan| plan.sum.has_rate()) || formulas.bytes.iter().any(rated))
        {
            let detail = "the page states rates and no duration: points can be placed, FLOP and bytes are not known";
            notes.push(Note { code: "no-duration", detail: detail.to_owned() });
        }
        // Devices before 7.0 have no tensor cores.
        let no_tensor = capability.is_some_and(|capability| capability < 70);
        formulas.complete = [vector.complete, no_tensor || tensor.complete || instructions.complete];
        formulas.hfma = hfma(&vector, &instructions);
        let chosen = [vector.part.as_deref(), tensor.part.as_deref(), instructions.part];
        formulas.id = identifier(chosen.into_iter().flatten(), &formulas.bytes, &tool.id);
        formulas.flop = [vector.plans, instructions.plans].concat();
        formulas.tensor = tensor;
        formulas.rest = instructions.rest;
        let counted = formulas.bytes.iter().any(|plan| plan.level == Level::Dram);
        formulas.check = counted.then(|| Check::dram(page)).flatten();
        formulas
    }

    fn of_amd(page: &mut Page<'_>, clock: Clock, arch: Option<&str>) -> Self {
        let mut formulas = Self::empty(clock);
        let amd = amd::choose(page, arch, &mut formulas.notes);
        formulas.id = identifier(amd.part, &amd.bytes, "rocprof");
        formulas.flop = amd.flop;
        formulas.bytes = amd.bytes;
        formulas.complete = amd.complete;
        formulas.matrix_instructions = amd.matrix_instructions;
        formulas.instructions = amd.instructions;
        formulas.writes = amd.writes;
        formulas
    }

    /// The slot of a counter; `None` where no formula needs it.
    pub fn slot(&self, def: i64) -> Option<usize> {
        self.slots.get(&def).copied()
    }

    /// How many values a launch has in [`Formulas::counts`].
    pub fn slots(&self) -> usize {
        self.metrics.len()
    }

    /// The metric in a slot.
    pub fn metric(&self, slot: usize) -> Option<&str> {
        self.metrics.get(slot).map(|metric| &**metric)
    }

    /// What the reader must know.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The formula's identifier; `None` where the page has nothing to compute FLOP or bytes from.
    pub fn id(&self) -> Option<&Arc<str>> {
        self.id.as_ref()
    }

    /// FLOP and bytes of a launch, whose counters stand in their slots; NaN where it has none.
    pub fn counts(&self, values: &[f64]) -> Counted {
        let moment = self.clock.moment(values);
        let mut worst = Worst::default();
        let mut counts = self.at(values, &moment, &mut worst);
        counts.replay_ns = moment.seconds.map(|seconds| seconds * 1e9).filter(|ns| ns.is_finite());
        let rates = moment.seconds.is_none().then(|| self.at(values, &moment.second(), &mut Worst::default()));
        self.suspect(values, &moment, &mut worst);
        let no_matrix = counts.flop.iter().all(|flop| !flop.precision.is_matrix());
        let untyped = no_matrix && self.matrix_instructions(values).is_some_and(|count| count > 0.0);
        let untold = untyped || self.rest.left(values, &moment).untold;
        Counted {
            counts,
            rates: rates.filter(Counts::is_placed),
            peaks: largest(&self.peaks, values, &moment).into_iter().map(|((p, sparse), v)| (p, sparse, v)).collect(),
            bandwidth_peaks: largest(&self.bandwidths, values, &moment),
            suspicious: worst.finish(),
            untold,
        }
    }

    /// The matrix instructions of a launch, where the page counts them apart from their operations.
    fn matrix_instructions(&self, values: &[f64]) -> Option<f64> {
        self.matrix_instructions.and_then(|slot| sum::value(values, slot))
    }

    fn at(&self, values: &[f64], moment: &Moment, worst: &mut Worst) -> Counts {
        let mut counts = Counts { flop_known: true, ..Counts::default() };
        let mut any = false;
        let mut whole = self.complete;
        for plan in &self.flop {
            let (ops, all) = plan.sum.any(values, moment);
            any |= ops.is_some();
            whole[usize::from(plan.precision.is_matrix())] &= all;
            add(&mut counts.flop, plan.precision, false, ops.unwrap_or(0.0));
        }
        for group in &self.tensor.groups {
            let done = group.done(values, moment);
            any |= done.whole || done.dense > 0.0 || done.sparse > 0.0;
            whole[1] &= done.whole;
            add(&mut counts.flop, group.precision, false, done.dense);
            add(&mut counts.flop, group.precision, true, done.sparse);
            if let (Some(ratio), Some(slot)) = (done.mismatch, group.slot()) {
                worst.add(SuspicionKind::AggregateMismatch, &self.metrics[slot], ratio);
            }
        }
        whole[1] &= self.rest.left(values, moment).whole;
        let no_matrix = counts.flop.iter().all(|flop| !flop.precision.is_matrix());
        // Matrix instructions without operations are of a type that no counter tells; none are no operations.
        let matrix = match self.matrix_instructions(values) {
            Some(instructions) if no_matrix => instructions == 0.0,
            _ => whole[1],
        };
        counts.flop_known = any && whole[0] && matrix;
        for plan in &self.bytes {
            let bytes = plan.sum.all(values, moment);
            counts.bytes.extend(bytes.map(|bytes| Traffic { level: plan.level, bytes }));
        }
        counts.instructions = self.instructions.and_then(|term| term.value(values, moment));
        counts.clock_hz = moment.clock[Domain::Sm as usize];
        counts.flop_source = (counts.flop_known || !counts.flop.is_empty()).then_some(Source::Counter);
        counts.bytes_source = (!counts.bytes.is_empty()).then_some(Source::Counter);
        counts.formula = self.id.clone().filter(|_| counts.is_placed());
        counts
    }

    fn suspect(&self, values: &[f64], moment: &Moment, worst: &mut Worst) {
        for (value, metric) in values.iter().zip(&self.metrics) {
            if *value < 0.0 && value.is_finite() {
                worst.add(SuspicionKind::Negative, metric, *value);
            }
        }
        for slot in &self.percentages {
            if let Some(value) = sum::value(values, *slot).filter(|value| *value > 100.0) {
                worst.add(SuspicionKind::PercentOver100, &self.metrics[*slot], value);
            }
        }
        let bytes = self.check.as_ref().and_then(|check| check.mismatch(values, moment));
        for (slot, ratio) in self.rest.left(values, moment).mismatch.into_iter().chain(bytes) {
            worst.add(SuspicionKind::AggregateMismatch, &self.metrics[slot], ratio);
        }
        if let Some((tensor, hfma)) = &self.hfma {
            // 32 threads an instruction; the last one of a part of a warp counts as one.
            let vector = hfma.value(values, moment).map(|threads| (threads / 32.0).ceil() * tensor.factor);
            let all = tensor.value(values, moment);
            let both = vector.zip(all).map(|(vector, tensor)| vector.min(tensor));
            if let Some(flop) = both.filter(|flop| *flop > 0.0) {
                worst.add_part(SuspicionKind::HfmaInTensorPipe, &self.metrics[tensor.slot], flop, all);
            }
        }
        if let Some(writes) = &self.writes {
            writes.suspect(values, moment, &self.metrics, worst);
        }
    }
}

fn hfma(vector: &Vector, instructions: &tensor_inst::Instructions) -> Option<(Term, Term)> {
    let tensor = instructions.plans.first()?.sum.0.first()?;
    Some((*tensor, vector.half_fma_count.filter(|_| instructions.holds_hfma)?))
}

/// Adds operations to those of their precision; none are no entry.
fn add(flop: &mut Vec<Flop>, precision: Precision, sparse: bool, ops: f64) {
    if ops <= 0.0 {
        return;
    }
    match flop.iter_mut().find(|flop| flop.precision == precision && flop.sparse == sparse) {
        Some(flop) => flop.ops = (flop.ops + ops).min(f64::MAX),
        None => flop.push(Flop { precision, sparse, ops }),
    }
}
