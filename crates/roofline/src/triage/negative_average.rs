//! Causes of negative samples of metrics that count something.

use super::{Cause, Facts, Fit, Negative, Symptom, text};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        slug: "signed_overflow",
        symptom: Symptom::NegativeAverage,
        doc: "The counter is wider than the field that it was stored in, and came back with a sign.",
        advice: "use the percentage or the per-cycle variant of the metric, which is not stored in that field",
        fits: signed_overflow,
    },
    Cause {
        slug: "difference",
        symptom: Symptom::NegativeAverage,
        doc: "The metric is a difference of counters that were not read at the same moment or in the same pass.",
        advice: "read it as zero where it is small, and average over longer windows",
        fits: difference,
    },
    Cause {
        slug: "idle_baseline",
        symptom: Symptom::NegativeAverage,
        doc: "A baseline that was measured while the device was idle was subtracted.",
        advice: "measure the baseline again",
        fits: idle_baseline,
    },
];

/// The metric in question and its name in lower case.
fn metric(facts: &Facts) -> Option<(&Negative, String)> {
    let metric = facts.negatives.first()?;
    Some((metric, metric.metric.to_ascii_lowercase()))
}

fn extremes(metric: &Negative) -> String {
    format!("it falls to {} and rises to {}", text::plain(metric.min), text::plain(metric.max))
}

/// Widths in which counters are stored; the extremes of an overflowing one lie just inside half of the range.
const BITS: [i32; 6] = [8, 16, 24, 32, 48, 64];

fn signed_overflow(facts: &Facts) -> Option<Fit> {
    let (metric, _) = metric(facts)?;
    let (low, high) = (-metric.min, metric.max);
    let half = |bits: i32| 2f64.powi(bits - 1);
    let at_edge = |value: f64, half: f64| value > 0.98 * half && value <= half;
    let whole = |bits: &i32| at_edge(low, half(*bits)) && (at_edge(high, half(*bits)) || high < 0.0);
    // A window that doesn't reach the edges shows large negative numbers all the same; of small fields that says nothing.
    let part = |bits: &i32| *bits >= 24 && low <= half(*bits) && high <= half(*bits) && low >= half(*bits) / 16.0;
    let found = BITS.into_iter().find(whole).map(|bits| (bits, true));
    let (bits, edges) = found.or_else(|| BITS.into_iter().find(part).map(|bits| (bits, false)))?;
    let evidence = format!(
        "they reach from {} to {}, inside of {bits} bits with a sign",
        text::plain(metric.min),
        text::plain(metric.max)
    );
    Some(Fit::of(edges, evidence))
}

fn difference(facts: &Facts) -> Option<Fit> {
    let (metric, name) = metric(facts)?;
    let subtracts = ["unallocated", "idle", "unused", "minus", "difference", "stall", "miss"];
    let small = metric.max > 0.0 && -metric.min <= 0.1 * metric.max;
    (small && (subtracts.iter().any(|word| name.contains(word)) || facts.passes.is_some_and(|passes| passes > 1)))
        .then(|| Fit::possible(extremes(metric)))
}

fn idle_baseline(facts: &Facts) -> Option<Fit> {
    let (metric, name) = metric(facts)?;
    let physical = ["power", "energy", "temperature", "current", "watt"].iter().any(|word| name.contains(word));
    let small = metric.max > 0.0 && -metric.min <= 0.1 * metric.max;
    (physical && small).then(|| Fit::possible(extremes(metric)))
}
