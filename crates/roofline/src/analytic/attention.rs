//! Scaled dot-product attention.
//!
//! FLOP = 2 H_Q P (d_qk + d_v) for P pairs of a query and a key that see each other: Q K^T and the product with V. The
//! softmax is not counted (as FlashAttention, TraceLens and PyTorch's `flop_counter`). Grouped queries change the bytes,
//! not the FLOP.
//!
//! A causal mask leaves half of the square of queries and keys: P = N_Q N_KV - N_Q^2 / 2 where the last query sees every
//! key. That is the convention of FlashAttention and TraceLens; counting the diagonal whole gives (N + 1) / N of it. A
//! single query sees every key, so its P is N_KV. (`flop_counter` ignores the mask.)
//!
//! Bytes are Q, K, V, a mask and the output once; the log-sum-exp that training keeps is left out.

mod annotated;

use super::Operation;
use super::shapes::{Arguments, Tensor, product};
use crate::Precision;

pub(super) use annotated::paged;
pub use annotated::{Heads, Work, of_step};

/// Where the last query stands among the keys.
#[derive(Clone, Copy, PartialEq)]
enum Mask {
    None,
    /// Query i sees keys 0..=i (`torch.nn.functional.scaled_dot_product_attention`).
    TopLeft,
    /// The last query sees every key (flash-attn since 2.1, paged caches).
    BottomRight,
}

/// Pairs of one head and sequence that see each other.
fn pairs(n_q: u64, n_kv: u64, mask: Mask) -> f64 {
    let (q, kv) = (n_q as f64, n_kv as f64);
    match mask {
        Mask::None => q * kv,
        Mask::BottomRight if n_q <= 1 => q * kv,
        Mask::BottomRight if n_q <= n_kv => q * kv - q * q / 2.0,
        Mask::BottomRight => kv * kv / 2.0,
        Mask::TopLeft if n_q <= n_kv => q * q / 2.0,
        Mask::TopLeft => q * kv - kv * kv / 2.0,
    }
}

/// How an operator takes its inputs.
struct Layout {
    name: &'static str,
    /// Place of the query; key and value follow.
    first: usize,
    /// Whether sizes are batch, heads, length, depth; otherwise batch, length, heads, depth.
    heads_first: bool,
    /// An additive mask.
    bias: Option<usize>,
    causal: usize,
    mask: Mask,
    /// Place of the left window; the right one follows.
    window: Option<usize>,
    backward: bool,
}

const fn torch(name: &'static str, bias: Option<usize>, causal: usize) -> Layout {
    Layout { name, first: 0, heads_first: true, bias, causal, mask: Mask::TopLeft, window: None, backward: false }
}

const fn torch_backward(name: &'static str, bias: Option<usize>, causal: usize) -> Layout {
    Layout { first: 1, backward: true, ..torch(name, bias, causal) }
}

const fn flash(name: &'static str, first: usize, causal: usize, backward: bool) -> Layout {
    let window = Some(causal + 1);
    Layout { name, first, heads_first: false, bias: None, causal, mask: Mask::BottomRight, window, backward }
}

const LAYOUTS: &[Layout] = &[
    torch("aten::scaled_dot_product_attention", Some(3), 5),
    torch("aten::_scaled_dot_product_flash_attention", None, 4),
    torch("aten::_scaled_dot_product_flash_attention_for_cpu", None, 4),
    torch("aten::_scaled_dot_product_efficient_attention", Some(3), 6),
    torch("aten::_scaled_dot_product_cudnn_attention", Some(3), 6),
    torch("aten::_scaled_dot_product_fused_attention_overrideable", Some(3), 5),
    torch_backward("aten::_scaled_dot_product_flash_attention_backward", None, 11),
    torch_backward("aten::_scaled_dot_product_efficient_attention_backward", Some(4), 11),
    flash("flash_attn::_flash_attn_forward", 0, 5, false),
    flash("flash_attn::_flash_attn_backward", 1, 11, true),
    flash("aiter::mha_fwd", 0, 5, false),
];

/// Operators over sequences of different lengths, laid end to end, and caches.
const PAGED: &[&str] = &[
    "vllm::unified_attention",
    "vllm::unified_attention_with_output",
    "sglang::unified_attention_with_output",
    VARLEN,
    BATCH_PREFILL,
    "_vllm_fa2_C::varlen_fwd",
    "_vllm_fa3_C::fwd",
    "sgl_kernel::fwd",
];

const VARLEN: &str = "flash_attn::_flash_attn_varlen_forward";

const BATCH_PREFILL: &str = "aiter::mha_batch_prefill";

pub(super) fn names(name: &str) -> bool {
    LAYOUTS.iter().any(|layout| layout.name == name)
}

/// Whether the lengths of an operator stand in no shape, so that an annotation is needed.
pub fn is_paged(name: &str) -> bool {
    PAGED.contains(&name)
}

pub(super) fn operation(name: &str, arguments: &Arguments) -> Option<Operation> {
    match name {
        VARLEN => equal_lengths(arguments, [3, 5, 6, 9, 10]),
        BATCH_PREFILL => equal_lengths(arguments, [3, 6, 7, 12, 13]),
        _ => dense(LAYOUTS.iter().find(|layout| layout.name == name)?, arguments),
    }
}

fn dense(layout: &Layout, arguments: &Arguments) -> Option<Operation> {
    let tensor = |at: usize| arguments.tensor(layout.first + at);
    let (q, k, v) = (tensor(0)?, tensor(1)?, tensor(2)?);
    let mask = if arguments.flag(layout.causal)? { layout.mask } else { Mask::None };
    let (n_q, n_kv, heads) = if layout.heads_first {
        let (lead, [n_q, _]) = q.dims.split_last_chunk()?;
        (*n_q, k.dims.split_last_chunk::<2>()?.1[0], product(lead))
    } else {
        let ([batch, n_q, heads, _], [_, n_kv, ..]) = (q.sizes()?, k.sizes::<4>()?);
        (n_q, n_kv, product(&[batch, heads]))
    };
    if layout.window.is_some_and(|at| is_windowed(arguments, at, n_kv)) {
        return None;
    }
    let seen = heads * pairs(n_q, n_kv, mask);
    let (d_qk, d_v) = (q.last() as f64, v.last() as f64);
    let out = heads * n_q as f64 * d_v * f64::from(q.element.size);
    let bias = layout.bias.and_then(|at| arguments.tensor(at)).map_or(0.0, Tensor::bytes);
    let read = q.bytes() + k.bytes() + v.bytes() + bias;
    if layout.backward {
        // Recomputed scores, dQ and dK of depth d_qk, dP and dV of depth d_v: 2.5 times the forward products. Read are
        // the gradient and the output too; the gradients of Q, K and V are written.
        let flop = 2.0 * seen * (3.0 * d_qk + 2.0 * d_v);
        return attention(flop, 2.0 * read - bias + 2.0 * out, q);
    }
    attention(2.0 * seen * (d_qk + d_v), read + out, q)
}

fn attention(flop: f64, bytes: f64, q: &Tensor) -> Option<Operation> {
    let precision = q.element.matrix()?;
    let formula = match precision {
        Precision::F32 | Precision::F64 => "attention-2pd, unit unknown",
        _ => "attention-2pd",
    };
    Operation::new("attention", flop, bytes, precision, formula)
}

/// Whether a window hides keys; -1 is none.
fn is_windowed(arguments: &Arguments, at: usize, n_kv: u64) -> bool {
    let hides = |at: usize| arguments.integer(at).and_then(|size| u64::try_from(size).ok()).is_some_and(|s| s < n_kv);
    hides(at) || (arguments.integer(at + 1).is_some_and(|right| right > 0) && hides(at + 1))
}

/// Sequences laid end to end, where the shapes prove that all are equally long: their number times the longest is the
/// whole. `places`: starts of the queries, longest query, longest key, causal, window.
fn equal_lengths(arguments: &Arguments, places: [usize; 5]) -> Option<Operation> {
    let [starts, longest_q, longest_k, causal, window] = places;
    let (q, k, v) = (arguments.tensor(0)?, arguments.tensor(1)?, arguments.tensor(2)?);
    let ([total, h_q, d_qk], [keys, h_kv, _], [.., d_v]) = (q.sizes()?, k.sizes::<3>()?, v.sizes::<3>()?);
    let sequences = arguments.tensor(starts)?.sizes::<1>()?[0].checked_sub(1)?;
    let n_q = u64::try_from(arguments.integer(longest_q)?).ok()?;
    let n_kv = u64::try_from(arguments.integer(longest_k)?).ok()?;
    let causal = arguments.flag(causal)?;
    // Of a paged cache K is the whole cache. A causal sequence has at least as many keys as queries, so they are equal
    // where the longest of both are.
    let equal_keys = sequences.checked_mul(n_kv) == Some(keys) || (causal && n_q == n_kv);
    if sequences.checked_mul(n_q) != Some(total) || !equal_keys || is_windowed(arguments, window, n_kv) {
        return None;
    }
    let mask = if causal { Mask::BottomRight } else { Mask::None };
    let depth = d_qk as f64 + d_v as f64;
    let flop = 2.0 * product(&[sequences, h_q]) * pairs(n_q, n_kv, mask) * depth;
    let own = product(&[total, h_q]) * depth * f64::from(q.element.size);
    let cached = product(&[sequences, n_kv, h_kv]) * depth * f64::from(k.element.size);
    attention(flop, own + cached, q)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the counts are whole numbers")]
mod tests {
    use super::*;
    use crate::analytic::annotation::parse;
    use crate::analytic::{operator, operator_in_step};

    const QUERY: &str = r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","Scalar","Scalar"]"#;

    #[test]
    fn causal_masks_leave_half_of_the_square() {
        let of = |shapes: &str, causal: &str| {
            let concrete = format!(r#"["","","","0.","{causal}"]"#);
            operator("aten::_scaled_dot_product_flash_attention", shapes, QUERY, Some(&concrete)).unwrap()
        };
        // 2 * 2*4 heads * 10*10 pairs * (8+8); (2*4*10*8 * 2 + 2*2*10*8 * 2) * 2 bytes, two heads of keys.
        let shapes = "[[2,4,10,8],[2,2,10,8],[2,2,10,8],[],[]]";
        assert_eq!((of(shapes, "False").flop, of(shapes, "False").bytes), (25_600.0, 3840.0));
        assert_eq!(of(shapes, "True").flop, 12_800.0);
        let blind = operator("aten::_scaled_dot_product_flash_attention", shapes, QUERY, None);
        assert_eq!(blind, None, "whether it was causal is not known");
    }

    #[test]
    fn a_mask_ends_at_the_last_key_or_at_the_diagonal() {
        assert_eq!([2, 8].map(|n| pairs(n, 8, Mask::BottomRight)), [14.0, 32.0]);
        assert_eq!([2, 8].map(|n| pairs(n, 8, Mask::TopLeft)), [2.0, 32.0]);
        assert_eq!((pairs(1, 8, Mask::BottomRight), pairs(8, 2, Mask::TopLeft)), (8.0, 14.0));
    }

    #[test]
    fn equal_sequences_laid_end_to_end_need_no_annotation() {
        let shapes = "[[30,4,8],[999,2,8],[999,2,8],[4],[4],[40],[],[],[],[],[],[],[],[],[]]";
        let kinds = r#"["c10::Half","c10::Half","c10::Half","int","int","int","","","","","","","","",""]"#;
        let of = |longest: &str| {
            let concrete =
                format!(r#"["","","","","","","{longest}","{longest}","0.","1","0.","False","True","-1","-1"]"#);
            operator(BATCH_PREFILL, shapes, kinds, Some(&concrete))
        };
        // 3 sequences of 10: 2*3*4 heads * 50 pairs * 16; queries and outputs 30*4*16*2, keys and values 30*2*16*2.
        assert_eq!(of("10").map(|op| (op.flop, op.bytes)), Some((19_200.0, 5760.0)));
        assert_eq!(of("12"), None, "lengths differ");
        // The annotation tells them in any case.
        let step = parse("prefill[bs=3 tok=30 sqsq=300 sqsk=300 sk=30]").unwrap();
        let op = operator_in_step(BATCH_PREFILL, shapes, kinds, None, &step).unwrap();
        assert_eq!((op.flop, op.bytes), (19_200.0, 5760.0));
    }

    #[test]
    fn a_window_that_hides_keys_is_not_guessed() {
        let kinds = r#"["c10::Half","c10::Half","c10::Half","Scalar","Scalar","Scalar","Scalar","Scalar"]"#;
        let of = |left: &str| {
            let concrete = format!(r#"["","","","0.","0.1","True","{left}","0"]"#);
            let shapes = "[[1,10,4,8],[1,10,2,8],[1,10,2,8],[],[],[],[],[]]";
            operator("flash_attn::_flash_attn_forward", shapes, kinds, Some(&concrete)).map(|op| op.flop)
        };
        // 2 * 4 heads * 50 pairs * 16.
        assert_eq!([of("-1"), of("10"), of("3")], [Some(6400.0), Some(6400.0), None]);
    }
}
