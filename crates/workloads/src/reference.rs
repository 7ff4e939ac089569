//! The plain reference in f64: no packing, no fusing, no queues.

use crate::kernels::{EPSILON, SHARPNESS};
use crate::pipeline::Model;

/// One sequence to compute.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    /// Number of the iteration in the seed's stream.
    pub(crate) iteration: u64,
    /// Its first prompt row in the iteration.
    pub(crate) first_row: usize,
}

/// What a sequence gives, row-major.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// `prompt_tokens` rows.
    pub(crate) prefill: Vec<f64>,
    /// `decode_steps` rows.
    pub(crate) decode: Vec<f64>,
}

/// Computes whole sequences: all prompt rows, then all decode steps.
pub(crate) fn compute(
    model: &Model,
    sequences: &[Sequence],
    prompt_tokens: usize,
    decode_steps: usize,
) -> Vec<Expected> {
    let layers = plain_layers(model);
    let width = model.widths[0];
    let prompts: Vec<Vec<f64>> = sequences.iter().flat_map(|sequence| prompt(model, sequence, prompt_tokens)).collect();
    let prefill = forward(&layers, prompts);
    let keys: Vec<&[Vec<f64>]> = prefill.chunks(prompt_tokens).collect();
    let mut rows: Vec<Vec<f64>> = keys.iter().map(|keys| keys[prompt_tokens - 1].clone()).collect();
    let mut expected: Vec<Expected> =
        keys.iter().map(|keys| Expected { prefill: keys.concat(), decode: Vec::new() }).collect();
    for _ in 0..decode_steps {
        let inputs = rows.iter().zip(&keys).map(|(row, keys)| attend(row, keys, width)).collect();
        rows = forward(&layers, inputs);
        expected.iter_mut().zip(&rows).for_each(|(expected, row)| expected.decode.extend(row));
    }
    expected
}

/// A layer as a row-major matrix and a bias.
struct Layer {
    weights: Vec<Vec<f32>>,
    bias: Vec<f32>,
    last: bool,
}

fn plain_layers(model: &Model) -> Vec<Layer> {
    let count = model.widths.len() - 1;
    let layer = |layer: usize| {
        let row = |input: usize| {
            let mut row = vec![0.0; model.widths[layer + 1]];
            model.weights(layer, input, &mut row);
            row
        };
        Layer {
            weights: (0..model.widths[layer]).map(row).collect(),
            bias: model.bias(layer),
            last: layer + 1 == count,
        }
    };
    (0..count).map(layer).collect()
}

fn prompt(model: &Model, sequence: &Sequence, tokens: usize) -> Vec<Vec<f64>> {
    let mut values = vec![0.0; model.widths[0]];
    let row = |token: usize| {
        model.prompt(sequence.iteration, sequence.first_row + token, &mut values);
        values.iter().copied().map(f64::from).collect()
    };
    (0..tokens).map(row).collect()
}

fn forward(layers: &[Layer], mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for layer in layers {
        rows = rows.iter().map(|row| apply(layer, row)).collect();
    }
    rows
}

fn apply(layer: &Layer, row: &[f64]) -> Vec<f64> {
    let mut sums: Vec<f64> = layer.bias.iter().copied().map(f64::from).collect();
    for (value, weights) in row.iter().zip(&layer.weights) {
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * f64::from(*weight));
    }
    if !layer.last {
        for sum in &mut sums {
            *sum = gelu(*sum);
        }
    }
    sums
}

/// GELU in its tanh form.
fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
}

/// `normalise(x + softmax(scores) K)`, see [`crate::kernels::attention`].
fn attend(row: &[f64], keys: &[Vec<f64>], width: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scores: Vec<f64> = keys.iter().map(|key| (dot(row, key) * SHARPNESS / width as f64).exp()).collect();
    let total: f64 = scores.iter().sum();
    let mut output = row.to_vec();
    for (score, key) in scores.iter().zip(keys) {
        output.iter_mut().zip(key).for_each(|(sum, value)| *sum += score / total * value);
    }
    let scale = (dot(&output, &output) / width as f64 + EPSILON).sqrt();
    for value in &mut output {
        *value /= scale;
    }
    output
}
