//! The FLOP are fewer than they are held to be.

use super::super::facts::ratio;
use super::super::{Facts, Fit, text};
use super::holds;
use crate::Source;

/// Parts of names whose kernels skip work that the shapes count.
const MASKED: &[&str] = &["attention", "attn", "flash", "fmha", "sdpa", "moe", "grouped_gemm", "varlen", "causal"];

pub(super) fn overcounted_flop(facts: &Facts) -> Option<Fit> {
    let analytic = facts.flop.iter().any(|flop| flop.source == Source::Analytic);
    let (time, roof) = facts.above_compute().filter(|_| analytic)?;
    if let Some(share) = ratio(facts.counter_flop, facts.analytic_flop) {
        return (share < 0.99).then(|| {
            let evidence = format!("counters saw {} of those FLOP", text::percent(share));
            Fit::of(holds(roof.scaled(share, 1.0, 1.0), time), evidence)
        });
    }
    facts.is_named(MASKED).then(|| Fit::possible("the name says that work may be masked or skipped".to_owned()))
}

pub(super) fn vector_in_matrix_pipe(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above_compute()?;
    let matrix: f64 = facts.flop.iter().filter(|flop| flop.precision.is_matrix()).map(|flop| flop.ops).sum();
    let share = ratio(facts.misplaced_flop, Some(matrix)).filter(|share| *share > 0.0)?.min(1.0);
    let evidence = format!("{} of the matrix FLOP are those of vector instructions", text::percent(share));
    Some(Fit::of(holds(roof.scaled(1.0 - share, 1.0, 1.0), time), evidence))
}

pub(super) fn unverified_formula(facts: &Facts) -> Option<Fit> {
    facts.above_compute()?;
    let formula = facts.formula.as_deref().filter(|formula| formula.contains("unverified"))?;
    Some(Fit::possible(format!("the formula is {formula}")))
}
