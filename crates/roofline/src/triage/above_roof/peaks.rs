//! The roof is too low.

use super::super::facts::{FlopFact, RoofFact, ratio};
use super::super::{Facts, Fit, text};
use super::holds;
use crate::{Level, Limiter, Precision, RoofSource};

/// A fit by a higher peak: likely where the name says it and the peak holds the time, possible with one of the two.
fn higher_peak(facts: &Facts, named: bool, other: impl Fn(&FlopFact) -> Option<f64>, what: &str) -> Option<Fit> {
    let (time, roof) = facts.above_compute()?;
    let bound = roof.scaled(facts.math_share(&other)?, 1.0, 1.0);
    let held = holds(bound, time);
    (held || named).then(|| {
        let peak = facts.flop.iter().find_map(&other).unwrap_or_default();
        let evidence = format!("{} is the peak {what}, which allows {}", text::flops(peak), text::ns(bound));
        Fit::of(held && named, evidence)
    })
}

/// Structured sparsity by its name; kernels of unstructured or block sparsity compute with dense instructions.
fn is_structured_sparse(facts: &Facts) -> bool {
    let other = ["block_sparse", "blocksparse", "sparse_attn", "sparse_attention", "cusparse::", "spmv"];
    facts.is_named(&["sparse", "spmma"]) && !facts.is_named(&other)
}

pub(super) fn sparse_peak(facts: &Facts) -> Option<Fit> {
    // Where counters tell dense from sparse, only what they saw as sparse is.
    let counted = facts.flop.iter().any(|flop| flop.sparse);
    if !counted && !is_structured_sparse(facts) {
        return None;
    }
    let sparse = |flop: &FlopFact| flop.sparse_peak.filter(|_| flop.sparse || !counted);
    higher_peak(facts, true, sparse, "with 2:4 sparsity")
}

/// What a library's kernel name says of the accumulate type: `h16816` and `f16f16_f16f16_f16` in 16 bits, `s16816` in 32.
fn accumulates_in_16(facts: &Facts) -> Option<bool> {
    if facts.is_named(&["_s16816", "_s1688", "_s884", "f16f16_f16f32_f32", "f16f16_f32f32"]) {
        return Some(false);
    }
    facts.is_named(&["_h16816", "_h1688", "_h884", "f16f16_f16f16_f16"]).then_some(true)
}

pub(super) fn wrong_accumulate(facts: &Facts) -> Option<Fit> {
    let named = accumulates_in_16(facts);
    let open = |flop: &FlopFact| {
        let narrow = matches!(flop.precision, Precision::MatrixF16 | Precision::MatrixF8);
        flop.acc16_peak.filter(|_| narrow && !flop.accumulate_known)
    };
    let fit = higher_peak(facts, named == Some(true), open, "when accumulating in 16 bits");
    fit.filter(|_| named != Some(false))
}

pub(super) fn tf32(facts: &Facts) -> Option<Fit> {
    let named = facts.is_named(&["tf32", "s1688gemm", "_s1688", "f32f32_f32f32"]);
    let float = |flop: &FlopFact| {
        let open = flop.precision == Precision::F32 && flop.source == crate::Source::Analytic;
        flop.tf32_peak.filter(|_| open)
    };
    // Vector arithmetic cannot do it: that the tensor cores can is the whole evidence, a name only adds to it.
    let fit = higher_peak(facts, named, float, "of the tensor cores in TF32")?;
    Some(Fit::likely(fit.evidence))
}

pub(super) fn dual_issue(facts: &Facts) -> Option<Fit> {
    let vector = |flop: &FlopFact| flop.packed_peak.filter(|_| !flop.precision.is_matrix());
    let fit = higher_peak(facts, false, vector, "with packed or dual issue")?;
    // Only arithmetic that the peak can't hold says that it was used.
    Some(Fit::likely(fit.evidence))
}

pub(super) fn boost_clock(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above()?;
    let scale = ratio(facts.clock_hz, roof.clock_hz).filter(|scale| *scale > 1.001)?;
    let bound = match roof.limiter {
        Limiter::Compute => roof.scaled(1.0 / scale, 1.0, 1.0),
        // Caches run at the clock of the cores, DRAM and links do not.
        Limiter::Memory(Level::L0 | Level::L1 | Level::L2 | Level::Lds) => roof.scaled(1.0 / scale, 1.0 / scale, 1.0),
        Limiter::Memory(_) | Limiter::Link => return None,
    };
    let [observed, assumed] = [facts.clock_hz, roof.clock_hz].map(|clock| text::hz(clock.unwrap_or_default()));
    Some(Fit::of(
        holds(bound, time),
        format!("{observed} observed, {assumed} assumed: the bound becomes {}", text::ns(bound)),
    ))
}

pub(super) fn roof_too_low(facts: &Facts) -> Option<Fit> {
    let (time, _) = facts.above().filter(|(_, roof)| roof.source == RoofSource::Measured)?;
    let other = facts.other_roofs.iter().find(|other| other.bound_ns > 0.0 && holds(other.bound_ns, time))?;
    Some(Fit::likely(format!("the {} roof allows {}", other.source.name(), text::ns(other.bound_ns))))
}

pub(super) fn disputed_roof(facts: &Facts) -> Option<Fit> {
    let (_, roof) = facts.above()?;
    Some(Fit::possible(roof.disputed.clone().filter(|text| !text.is_empty())?))
}

/// A fit by more units than the roof assumes. The memory behind the caches of a device is as wide whatever uses it; that
/// of a CPU gives several cores more than one, by less than their number.
fn more_units(roof: &RoofFact, time: f64, has: Option<f64>, shares_memory: bool, what: &str) -> Option<Fit> {
    let scale = ratio(has, roof.units).filter(|scale| *scale > 1.001)?;
    let dram = matches!(roof.limiter, Limiter::Memory(Level::Dram | Level::Mall));
    let memory = if dram && shares_memory { 1.0 } else { 1.0 / scale };
    let bound = roof.scaled(1.0 / scale, memory, 1.0);
    let [has, units] = [has, roof.units].map(|units| text::plain(units.unwrap_or_default()));
    let evidence = format!("{has} {what}, the roof is for {units}: the bound becomes {}", text::ns(bound));
    (bound < roof.bound_ns).then(|| Fit::of(holds(bound, time) && !dram, evidence))
}

pub(super) fn other_device(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above()?;
    more_units(roof, time, facts.units, true, "units were probed")
}

pub(super) fn more_cores(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above()?;
    more_units(roof, time, facts.cores, false, "cores were used")
}
