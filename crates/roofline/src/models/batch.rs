//! How a batch moves a layer along the intensity axis (the "all about rooflines" chapter of "How to Scale Your Model",
//! Austin et al., 2025), and why decode attention does not move.

use super::{count, finite, positive};

/// A layer that does the same to every row (token): a matrix multiplication, or a stack of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// Operations of one row.
    pub flop_per_row: f64,
    /// Bytes that are moved once whatever the batch: the weights.
    pub fixed_bytes: f64,
    /// Bytes that each row moves: its input and its output.
    pub bytes_per_row: f64,
}

impl Linear {
    /// The layer `[rows, inner] x [inner, outer]`, each tensor moved once, with the bytes of one weight and of one
    /// activation. Weights that are only stored in a narrow type leave the FLOP and their peak as they are.
    pub fn new(inner: f64, outer: f64, weight_bytes: f64, activation_bytes: f64) -> Self {
        Self {
            flop_per_row: 2.0 * inner * outer,
            fixed_bytes: inner * outer * weight_bytes,
            bytes_per_row: (inner + outer) * activation_bytes,
        }
    }

    /// Bytes of a batch.
    pub fn bytes(&self, rows: f64) -> Option<f64> {
        finite(count(self.fixed_bytes)? + count(self.bytes_per_row)? * count(rows)?)
    }

    /// FLOP/byte of a batch.
    pub fn intensity(&self, rows: f64) -> Option<f64> {
        super::intensity(self.flop_per_row * count(rows)?, self.bytes(rows)?)
    }

    /// The batch at which the layer leaves the memory roof: see [`batch_at_ridge`].
    pub fn batch_at_ridge(&self, flop_per_s: f64, bytes_per_s: f64) -> Option<f64> {
        batch_at_ridge(self.flop_per_row, self.fixed_bytes, self.bytes_per_row, flop_per_s, bytes_per_s)
    }
}

/// Rows at which arithmetic takes as long as memory: b f / P = (W + b k) / B, so b = (W/B) / (f/P - k/B).
///
/// f = FLOP of a row, W = bytes moved once, k = bytes of a row. `None` where a row's own bytes take as long as its
/// arithmetic, so that no batch leaves the memory roof.
pub fn batch_at_ridge(
    flop_per_row: f64,
    fixed_bytes: f64,
    bytes_per_row: f64,
    flop_per_s: f64,
    bytes_per_s: f64,
) -> Option<f64> {
    let (peak, bandwidth) = (positive(flop_per_s)?, positive(bytes_per_s)?);
    let gain = positive(count(flop_per_row)? / peak - count(bytes_per_row)? / bandwidth)?;
    finite(count(fixed_bytes)? / bandwidth / gain)
}

/// The same for a layer so wide that its activations cost nothing: P / B x bytes of a weight / 2, as each weight does two
/// operations a row. The peak is that of the arithmetic, not of the type in which the weights are stored.
pub fn critical_batch(flop_per_s: f64, bytes_per_s: f64, weight_bytes: f64) -> Option<f64> {
    finite(super::ridge(flop_per_s, bytes_per_s)? * count(weight_bytes)? / 2.0)
}

/// Tokens of context at which one step reads as many bytes of KV cache as of weights: W / (batch x KV bytes of a token).
pub fn context_at_weights(weight_bytes: f64, kv_bytes_per_token: f64, batch: f64) -> Option<f64> {
    finite(count(weight_bytes)? / positive(positive(kv_bytes_per_token)? * positive(batch)?)?)
}

/// Intensity of decode attention at a context, FLOP/byte, each tensor moved once: queries and output of `query_heads`,
/// keys and values of `kv_heads`, all of `head` elements and `bytes` an element, `queries` tokens a request (1, or more
/// with speculation).
pub fn attention_intensity(
    query_heads: f64,
    kv_heads: f64,
    head: f64,
    queries: f64,
    context: f64,
    bytes: f64,
) -> Option<f64> {
    let flop = 4.0 * query_heads * head * queries * context;
    super::intensity(flop, 2.0 * head * bytes * (query_heads * queries + kv_heads * context))
}

/// What that intensity tends to as the context grows: 2 (H_Q / H_KV) N_Q / bytes of a KV element. It doesn't depend on
/// batch or context, so decode attention crosses no ridge above it.
pub fn attention_intensity_limit(query_heads: f64, kv_heads: f64, queries: f64, kv_bytes: f64) -> Option<f64> {
    finite(2.0 * (count(query_heads)? / positive(kv_heads)?) * count(queries)? / positive(kv_bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_at_the_ridge_makes_both_times_equal() {
        // W = 100 B at 10 B/s: 10 s; a row gains 4/2 - 10/10 = 1 s on memory: 10 rows. Then 20 s of each.
        let layer = Linear { flop_per_row: 4.0, fixed_bytes: 100.0, bytes_per_row: 10.0 };
        assert_eq!(layer.batch_at_ridge(2.0, 10.0), Some(10.0));
        assert_eq!((layer.bytes(10.0), layer.intensity(10.0)), (Some(200.0), Some(0.2)));
        assert_eq!(super::super::ridge(2.0, 10.0), Some(0.2));
    }

    #[test]
    fn rows_that_cost_more_bytes_than_arithmetic_never_leave_the_memory_roof() {
        assert_eq!(batch_at_ridge(1.0, 100.0, 10.0, 1.0, 10.0), None);
        assert_eq!(batch_at_ridge(f64::NAN, 100.0, 10.0, 1.0, 10.0), None);
        assert_eq!(batch_at_ridge(2.0, 0.0, 10.0, 1.0, 10.0), Some(0.0));
    }

    #[test]
    fn narrow_weights_lower_the_critical_batch() {
        // Ridge 240: 240 rows of 16-bit weights, 120 of 8-bit, 60 of 4-bit.
        let batches = [2.0, 1.0, 0.5].map(|bytes| critical_batch(2.4e14, 1e12, bytes));
        assert_eq!(batches, [Some(240.0), Some(120.0), Some(60.0)]);
        let wide = Linear::new(1e9, 1e9, 1.0, 2.0).batch_at_ridge(2.4e14, 1e12).unwrap();
        assert!((wide / 120.0 - 1.0).abs() < 1e-5, "{wide}");
    }

    #[test]
    fn a_context_reads_as_much_as_the_weights() {
        // 16 GB of weights, 128 KiB of KV a token, batch 8: 15 258.8 tokens each.
        assert_eq!(context_at_weights(16e9, 131_072.0, 8.0), Some(16e9 / 1_048_576.0));
        assert_eq!(context_at_weights(16e9, 0.0, 8.0), None);
    }

    #[test]
    fn decode_attention_stays_under_its_limit_whatever_the_context() {
        assert_eq!(attention_intensity_limit(64.0, 8.0, 1.0, 2.0), Some(8.0));
        let at = [2048.0, 1e6].map(|context| attention_intensity(64.0, 8.0, 128.0, 1.0, context, 2.0).unwrap());
        assert!(at[0] < at[1] && at[1] < 8.0, "{at:?}");
    }
}
