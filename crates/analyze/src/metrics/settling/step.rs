//! Where the rate of arrivals changes.

use crate::requests::Request;

/// A change of the rate of arrivals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) at: i64,
    /// Arrivals a second before and from then on.
    pub(super) before: f64,
    pub(super) after: f64,
}

/// Parts of the time in which arrivals are counted.
const PARTS: usize = 40;
/// The rate must change by at least this factor: smaller changes are no steps.
const LEAST_FACTOR: f64 = 1.25;
/// The logarithm of the likelihood must rise by this much times the dispersion of the counts: far beyond chance, also for the best of 40 places.
const LEAST_GAIN: f64 = 12.0;

/// The place that splits the arrivals into two parts of constant rate with the largest likelihood (Poisson counts in
/// equal parts of time); none where one rate explains them as well, bursts taken into account: the gain is divided by the
/// dispersion (variance / mean of the counts) that is left inside both sides.
pub(super) fn find(requests: &[&Request]) -> Option<Step> {
    let (first, last) = (requests.first()?.arrival, requests.last()?.arrival);
    let span = last.checked_sub(first).filter(|span| *span >= PARTS as i64)?;
    if requests.len() < 4 * PARTS {
        return None;
    }
    let mut counts = [0.0_f64; PARTS];
    for request in requests {
        let at = i128::from(request.arrival - first) * PARTS as i128 / (i128::from(span) + 1);
        counts[at as usize] += 1.0;
    }
    let total: f64 = counts.iter().sum();
    let likelihood = |count: f64, parts: f64| if count > 0.0 { count * (count / parts).ln() } else { 0.0 };
    let (mut best, mut before): (Option<(f64, usize, f64, f64)>, f64) = (None, 0.0);
    // At least a tenth of the time on each side.
    for at in 1..PARTS {
        before += counts[at - 1];
        let (left, right) = (at as f64, (PARTS - at) as f64);
        let gain = likelihood(before, left) + likelihood(total - before, right) - likelihood(total, PARTS as f64);
        let wide = at >= PARTS / 10 && PARTS - at >= PARTS / 10;
        if wide && best.is_none_or(|(most, ..)| gain > most) {
            best = Some((gain, at, before / left, (total - before) / right));
        }
    }
    let (gain, at, left, right) = best?;
    let factor = (left.max(right)) / left.min(right).max(f64::MIN_POSITIVE);
    if factor < LEAST_FACTOR || gain < LEAST_GAIN * dispersion(&counts, at, left, right) {
        return None;
    }
    let edge = first + (i128::from(span) * at as i128 / PARTS as i128) as i64;
    let per_s = |count: f64| count * PARTS as f64 * 1e9 / span as f64;
    Some(Step { at: edge, before: per_s(left), after: per_s(right) })
}

/// Variance over mean of the counts around the rates of their sides, at least 1 (that of a Poisson process).
fn dispersion(counts: &[f64], at: usize, left: f64, right: f64) -> f64 {
    let scaled = |(place, count): (usize, &f64)| {
        let mean = if place < at { left } else { right };
        if mean > 0.0 { (count - mean).powi(2) / mean } else { 0.0 }
    };
    let sum: f64 = counts.iter().enumerate().map(scaled).sum();
    (sum / (counts.len() - 2) as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::fixture::Fixture;

    fn found(arrivals: impl Iterator<Item = i64>) -> Option<Step> {
        let log = arrivals.fold(Fixture::new(), |fixture, at| fixture.request(at, None, None, 1)).log();
        find(&log.requests.iter().collect::<Vec<_>>())
    }

    #[test]
    fn even_and_bursty_arrivals_have_no_step() {
        assert_eq!(found((0..400).map(|number| number * 10)), None);
        // Bursts of 40 at once, evenly spread.
        assert_eq!(found((0..800).map(|number| number / 40 * 1000)), None);
        assert_eq!(found((0..20).map(|number| number * 10)), None);
        assert_eq!(found((0..400).map(|_| 5)), None);
    }

    #[test]
    fn a_rate_that_halves_is_a_step_too() {
        let step =
            found((0..400).map(|number| if number < 300 { number * 10 } else { 3000 + (number - 300) * 20 })).unwrap();
        assert!((2900..=3100).contains(&step.at) && step.before > 1.8 * step.after, "{step:?}");
    }
}
