//! Outputs against the plain reference.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::config::Config;
use super::model::Model;
use crate::outputs::{Check, Outputs};
use crate::reference::{self, Sequence};

/// Compares what the first blocks gave with the f64 reference, for some sequences.
pub(crate) fn verify(config: &Config, model: &Model, outputs: &Outputs, blocks_done: usize) -> Vec<Check> {
    let drawn = draw(config, blocks_done);
    let (tokens, steps) = (config.prompt_tokens, config.decode_steps);
    let sequences: Vec<Sequence> = drawn
        .iter()
        .map(|&(iteration, sequence)| Sequence { iteration: iteration as u64, first_row: sequence * tokens })
        .collect();
    let expected = reference::compute(model, &sequences, tokens, steps);
    let (width, all) = (config.width(), config.sequences);
    let check = |(&(iteration, sequence), expected): (&(usize, usize), &reference::Expected)| {
        let name = format!("iteration {iteration}, sequence {sequence}, f64 reference");
        let mut check = Check::within(name, config.execution.tolerance());
        let prefill = outputs.get(iteration, "prefill").unwrap_or_default();
        let rows = prefill.get(sequence * tokens * width..(sequence + 1) * tokens * width).unwrap_or_default();
        check.add(rows, expected.prefill.iter().copied());
        let decode = outputs.get(iteration, "decode").unwrap_or_default();
        let rows: Vec<f32> = decode.chunks_exact(width).skip(sequence).step_by(all).flatten().copied().collect();
        check.add(&rows, expected.decode.iter().copied());
        check
    };
    drawn.iter().zip(&expected).map(check).collect()
}

/// Sequences to check: two, drawn by the seed from all measured iterations.
fn draw(config: &Config, blocks_done: usize) -> Vec<(usize, usize)> {
    const DRAWN: usize = 2;
    let mut random = SmallRng::seed_from_u64(config.seed);
    let measured = blocks_done * config.iterations;
    let mut drawn: Vec<(usize, usize)> = Vec::new();
    while drawn.len() < DRAWN.min(measured * config.sequences) {
        let pick = (random.random_range(0..measured), random.random_range(0..config.sequences));
        if !drawn.contains(&pick) {
            drawn.push(pick);
        }
    }
    drawn
}
