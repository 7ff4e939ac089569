//! Causes of counters that saw more FLOP than the kernel does, wherever the point is: a factor that is too large, or
//! counters that disagree.

use super::facts::ratio;
use super::{Cause, Facts, Fit, Symptom, text};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        slug: "vector_in_matrix_pipe",
        symptom: Symptom::OverstatedFlop,
        doc: "Vector instructions that run in the tensor pipe were counted as tensor instructions, 512 FLOP each.",
        advice: "take their FLOP from the counters of half-precision instructions and subtract these",
        fits: vector_in_matrix_pipe,
    },
    Cause {
        slug: "aggregate_mismatch",
        symptom: Symptom::OverstatedFlop,
        doc: "A counter of tensor operations is more than the sum of its parts, and the FLOP are those of the counter.",
        advice: "collect the counter and its parts again, in one pass",
        fits: aggregate_mismatch,
    },
];

/// Counted FLOP / those of them that are done, and the numbers, of a row that has too many.
pub(super) fn symptom(facts: &Facts) -> Option<(Option<f64>, String)> {
    if let Some((misplaced, all)) = facts.overstated_flop() {
        let numbers = format!("{} of {} that were counted are none", text::flop(misplaced), text::flop(all));
        return Some((ratio(Some(all), Some(all - misplaced)), numbers));
    }
    let parts = facts.missing_parts()?;
    let numbers = format!("the parts of a counter of tensor operations are {} of it", text::percent(parts));
    Some((ratio(Some(1.0), Some(parts)), numbers))
}

fn vector_in_matrix_pipe(facts: &Facts) -> Option<Fit> {
    let (misplaced, all) = facts.overstated_flop()?;
    let share = text::percent(misplaced / all);
    Some(Fit::likely(format!("{share}: tensor instructions that are half-precision FMA of the vector units")))
}

fn aggregate_mismatch(facts: &Facts) -> Option<Fit> {
    let parts = facts.missing_parts()?;
    Some(Fit::possible(format!("{} of the operations are in none of the parts", text::percent(1.0 - parts))))
}
