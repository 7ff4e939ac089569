//! The reduction over a sequence's prompt that makes a decode step's input.

use super::linear::Scratch;

/// One decode step's attention: one row a sequence.
#[derive(Debug)]
pub(crate) struct Attention<'a> {
    /// Values a row.
    pub(crate) width: usize,
    /// Rows of the prompt that each sequence keeps.
    pub(crate) prompt_tokens: usize,
    /// The rows before, `sequences` x `width`; empty at the first step, which starts from the last prompt row.
    pub(crate) previous: &'a [f32],
    /// The handed-over rows as blocks of whole sequences, each row-major; `keys_start` sequences are skipped.
    pub(crate) keys: &'a [&'a [f32]],
    /// Sequences to skip at the beginning of the first block.
    pub(crate) keys_start: usize,
}

/// Scores are `SHARPNESS / width * x . k`: about `SHARPNESS` for a row with itself and near 0 for unrelated rows, so that
/// every prompt row keeps a share of the result and a wrong one shows.
pub(crate) const SHARPNESS: f64 = 4.0;
/// Added to the mean square before its root.
pub(crate) const EPSILON: f64 = 1e-6;

/// Writes `normalise(x + softmax(scores) K)` for each sequence: keys are the values, too (a shared latent).
/// `normalise` divides by the root of the mean square.
///
/// Floating-point operations: 4 * prompt_tokens * width a sequence.
pub(crate) fn attention(step: &Attention<'_>, output: &mut [f32], scratch: &mut Scratch) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: both features were just detected.
            return unsafe { attention_avx2(step, output, scratch) };
        }
    }
    apply(step, output, scratch);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn attention_avx2(step: &Attention<'_>, output: &mut [f32], scratch: &mut Scratch) {
    apply(step, output, scratch);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it must be compiled with the target features of its caller")]
fn apply(step: &Attention<'_>, output: &mut [f32], scratch: &mut Scratch) {
    let sequence = step.prompt_tokens * step.width;
    let mut sequences = step.keys.iter().flat_map(|block| block.chunks_exact(sequence)).skip(step.keys_start);
    for (index, output) in output.chunks_exact_mut(step.width).enumerate() {
        let Some(keys) = sequences.next() else { return };
        let row = match step.previous.chunks_exact(step.width).nth(index) {
            Some(row) => row,
            None => &keys[sequence - step.width..],
        };
        output.copy_from_slice(row);
        softmax(row, keys, &mut scratch.scores);
        for (weight, key) in scratch.scores.iter().zip(keys.chunks_exact(step.width)) {
            output.iter_mut().zip(key).for_each(|(sum, value)| *sum += weight * value);
        }
        let square = dot(output, output) / step.width as f32 + EPSILON as f32;
        let scale = 1.0 / square.sqrt();
        for value in output {
            *value *= scale;
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it must be compiled with the target features of its caller")]
fn softmax(row: &[f32], keys: &[f32], scores: &mut Vec<f32>) {
    let scale = SHARPNESS as f32 / row.len() as f32;
    scores.clear();
    scores.extend(keys.chunks_exact(row.len()).map(|key| dot(row, key) * scale));
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
    }
    let sum: f32 = scores.iter().sum();
    for score in scores {
        *score /= sum;
    }
}

/// Sums in 32 lanes, which the compiler keeps in vector registers.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

// The widths of rows are multiples of TILE, so that `dot` has no remainder.
const _: () = assert!(super::TILE.is_multiple_of(32));
