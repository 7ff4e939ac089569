//! A step model fitted to requests that were measured: engines do not show their steps.
//!
//! An idle engine computes a prompt of `p` tokens that fits into one step in `c + a p + b p (p - 1) / 2`. A batch of `n`
//! requests with `kv` tokens in their contexts takes `base + s n + k kv` a step, which is the TPOT of requests that decode
//! together. Both are fitted by least squares of relative errors (a millisecond matters more in a short time than in a long
//! one), with no coefficient below zero: of the sets of coefficients that are left at zero the one with the least error. What `c`
//! is above `base` belongs to no step: HTTP, tokenisation, the client. It is told apart as the overhead of a request.

use crate::{Cost, StepModel};

/// A request whose prompt an idle engine computed, without a cached token and in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prefilled {
    /// Prompt length.
    pub tokens: u32,
    /// Its time to the first token.
    pub ttft_ns: f64,
}

/// Requests that decoded together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoded {
    /// How many.
    pub sequences: u32,
    /// Tokens in all their contexts, in the mean over the run.
    pub kv_tokens: f64,
    /// Time per output token.
    pub tpot_ns: f64,
}

/// What was fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// The duration of steps; all in its `compute`.
    pub steps: StepModel,
    /// What a request takes to its first token beside steps.
    pub overhead_ns: f64,
    /// Median relative error of the times to first token that were fitted.
    pub ttft_error: f64,
    /// Of the times per output token.
    pub tpot_error: f64,
}

/// Fits a step model.
///
/// Gives none where there are fewer than three times of each kind, or one that is not above zero.
pub fn fit(prefilled: &[Prefilled], decoded: &[Decoded]) -> Option<Fitted> {
    let prompt = |row: &Prefilled| {
        let tokens = f64::from(row.tokens);
        ([1.0, tokens, tokens * (tokens - 1.0) / 2.0], row.ttft_ns)
    };
    let prompts: Vec<Row> = prefilled.iter().map(prompt).collect();
    let steps: Vec<Row> =
        decoded.iter().map(|row| ([1.0, f64::from(row.sequences), row.kv_tokens], row.tpot_ns)).collect();
    let [constant, prefill_token, prefill_pair] = least_squares(&prompts)?;
    let [base_ns, sequence, kv_token] = least_squares(&steps)?;
    let compute = Cost { constant: 0.0, prefill_token, prefill_pair, sequence, kv_token };
    Some(Fitted {
        steps: StepModel { base_ns, compute, ..StepModel::default() },
        overhead_ns: (constant - base_ns).max(0.0),
        ttft_error: median_error(&prompts, [constant, prefill_token, prefill_pair]),
        tpot_error: median_error(&steps, [base_ns, sequence, kv_token]),
    })
}

/// What a time is linear in, and the time.
type Row = ([f64; 3], f64);

fn dot(coefficients: [f64; 3], features: [f64; 3]) -> f64 {
    coefficients.iter().zip(features).map(|(coefficient, feature)| coefficient * feature).sum()
}

/// The coefficients of the least sum of squared relative errors, none below zero. There are three, so that every set of those
/// that are not zero is tried.
fn least_squares(rows: &[Row]) -> Option<[f64; 3]> {
    if rows.len() < 3 || rows.iter().any(|row| row.1.is_nan() || row.1 <= 0.0) {
        return None;
    }
    let solutions =
        (1_u8..8).filter_map(|set| solve(rows, set)).filter(|found| found.iter().all(|&value| value >= 0.0));
    let error = |found: &[f64; 3]| rows.iter().map(|row| (dot(*found, row.0) / row.1 - 1.0).powi(2)).sum::<f64>();
    solutions.min_by(|one, other| error(one).total_cmp(&error(other)))
}

/// Solves the normal equations for the coefficients in `set`, the others zero; none where they are not independent.
fn solve(rows: &[Row], set: u8) -> Option<[f64; 3]> {
    // Features differ by ten orders of magnitude: each is scaled by its largest weighted value.
    let mut scale = [0.0_f64; 3];
    for (features, time) in rows {
        for (scale, feature) in scale.iter_mut().zip(features) {
            *scale = scale.max(feature / time);
        }
    }
    let chosen: Vec<usize> = (0..3).filter(|at| set >> at & 1 == 1).collect();
    let size = chosen.len();
    let mut matrix = vec![vec![0.0; size + 1]; size];
    for (features, time) in rows {
        let value = |at: usize| features[at] / time / scale[at];
        for (line, &at) in matrix.iter_mut().zip(&chosen) {
            for (cell, &other) in line.iter_mut().zip(&chosen) {
                *cell += value(at) * value(other);
            }
            line[size] += value(at);
        }
    }
    let solution = eliminate(matrix)?;
    let mut coefficients = [0.0; 3];
    for (&at, value) in chosen.iter().zip(solution) {
        coefficients[at] = value / scale[at];
    }
    coefficients.iter().all(|value| value.is_finite()).then_some(coefficients)
}

/// Gauss with the largest pivot.
fn eliminate(mut matrix: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    const SINGULAR: f64 = 1e-12;
    let size = matrix.len();
    for column in 0..size {
        let pivot = (column..size).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        matrix.swap(column, pivot);
        let line = matrix[column].clone();
        if line[column].abs() < SINGULAR {
            return None;
        }
        for (at, other) in matrix.iter_mut().enumerate() {
            if at != column {
                let times = other[column] / line[column];
                other.iter_mut().zip(&line).for_each(|(cell, value)| *cell -= times * value);
            }
        }
    }
    Some((0..size).map(|at| matrix[at][size] / matrix[at][at]).collect())
}

fn median_error(rows: &[Row], coefficients: [f64; 3]) -> f64 {
    let mut errors: Vec<f64> = rows.iter().map(|row| (dot(coefficients, row.0) / row.1 - 1.0).abs()).collect();
    errors.sort_unstable_by(f64::total_cmp);
    errors.get(errors.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} {expected}");
    }

    #[test]
    fn what_made_the_times_is_found_again() {
        let prompt = |tokens: u32| {
            let p = f64::from(tokens);
            Prefilled { tokens, ttft_ns: 3e6 + 40e3 * p + 5.0 * p * (p - 1.0) / 2.0 }
        };
        let step = |sequences: u32, kv_tokens: f64| Decoded {
            sequences,
            kv_tokens,
            tpot_ns: 2e6 + 150e3 * f64::from(sequences) + 30.0 * kv_tokens,
        };
        let prompts = [16, 64, 128, 512, 1024].map(prompt);
        let steps = [step(1, 100.0), step(2, 900.0), step(4, 500.0), step(4, 4000.0)];
        let fitted = fit(&prompts, &steps).expect("a fit");
        let cost = fitted.steps.compute;
        close(cost.prefill_token, 40e3);
        close(cost.prefill_pair, 5.0);
        close(cost.sequence, 150e3);
        close(cost.kv_token, 30.0);
        close(fitted.steps.base_ns, 2e6);
        close(fitted.overhead_ns, 1e6);
        assert!(fitted.ttft_error < 1e-9 && fitted.tpot_error < 1e-9);
    }

    #[test]
    fn no_coefficient_is_below_zero() {
        // Falls with the tokens' pairs: a line without them is the best that is allowed.
        let prompts =
            [(10, 110.0), (20, 205.0), (40, 390.0), (80, 760.0)].map(|(tokens, ttft_ns)| Prefilled { tokens, ttft_ns });
        let steps = [1, 2, 4].map(|sequences| Decoded { sequences, kv_tokens: 100.0, tpot_ns: 50.0 });
        let fitted = fit(&prompts, &steps).expect("a fit");
        let Cost { prefill_token, prefill_pair, sequence, kv_token, .. } = fitted.steps.compute;
        assert!(prefill_token > 9.0 && prefill_pair >= 0.0 && sequence >= 0.0 && kv_token >= 0.0);
        assert!((fitted.steps.base_ns + 100.0 * kv_token - 50.0).abs() < 1e-6);
        assert!(fitted.ttft_error < 0.05);
    }

    #[test]
    fn too_little_or_impossible_times_fit_nothing() {
        let prompt = Prefilled { tokens: 1, ttft_ns: 1.0 };
        let step = Decoded { sequences: 1, kv_tokens: 1.0, tpot_ns: 1.0 };
        assert_eq!(fit(&[prompt; 2], &[step; 3]), None);
        assert_eq!(fit(&[prompt; 3], &[Decoded { tpot_ns: 0.0, ..step }; 3]), None);
        assert!(fit(&[prompt; 3], &[step; 3]).is_some());
    }
}
