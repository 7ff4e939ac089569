//! Attention of an annotated step: the lengths come from its sums.

use crate::analytic::annotation::{Step, Sums};
use crate::analytic::shapes::Arguments;
use crate::analytic::{MOST, Operation};

/// Heads and sizes of one attention layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Heads of the queries.
    pub h_q: u64,
    /// Heads of keys and values.
    pub h_kv: u64,
    /// Size of a query and a key.
    pub d_qk: u64,
    /// Size of a value.
    pub d_v: u64,
    /// Bytes of an element of queries, outputs, and the keys and values of this step.
    pub bytes_q: u64,
    /// Bytes of an element of the cached keys and values.
    pub bytes_kv: u64,
}

/// FLOP and compulsory bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Floating-point operations.
    pub flop: f64,
    /// Bytes.
    pub bytes: f64,
}

/// What one layer's attention does in an annotated step, as TraceLens computes it from the same sums.
///
/// F = 2 H_Q (d_qk + d_v) (sum s_q s_k - sum s_q^2 / 2) for the context requests, without the last term for those that
/// generate. Bytes: queries and outputs, the step's own keys and values, and the cached ones, those at the cache's type.
/// Pages shared by requests are counted for each; a sliding window is not known.
///
/// `None` where a group has requests and no sums, or sums that cannot be.
pub fn of_step(step: &Step, heads: &Heads) -> Option<Work> {
    let context = group(step.context.as_ref(), true)?;
    let generation = group(step.generation.as_ref(), false)?;
    let (h_q, h_kv, depth) = (heads.h_q as f64, heads.h_kv as f64, heads.d_qk as f64 + heads.d_v as f64);
    let flop = 2.0 * h_q * depth * (context.pairs + generation.pairs);
    let (tokens, cached) = (context.tokens + generation.tokens, context.cached + generation.cached);
    let (size_q, size_kv) = (heads.bytes_q as f64, heads.bytes_kv as f64);
    let bytes = depth * ((h_q + h_kv) * tokens * size_q + h_kv * cached * size_kv);
    (flop <= MOST && bytes <= MOST).then_some(Work { flop, bytes })
}

#[derive(Default)]
struct Group {
    pairs: f64,
    tokens: f64,
    cached: f64,
}

fn group(sums: Option<&Sums>, causal: bool) -> Option<Group> {
    let Some(sums) = sums.filter(|sums| sums.requests != Some(0) || sums.sq.is_some_and(|tokens| tokens > 0)) else {
        return Some(Group::default());
    };
    let (tokens, keys, pairs) = (sums.sq? as f64, sums.sk? as f64, sums.sqsk? as f64);
    let masked = if causal { sums.sqsq? as f64 / 2.0 } else { 0.0 };
    (keys >= tokens && pairs >= masked).then_some(Group { pairs: pairs - masked, tokens, cached: keys - tokens })
}

/// Attention of a step over a cache: heads from the shapes, lengths from the annotation.
pub(in crate::analytic) fn paged(name: &str, arguments: &Arguments, step: &Step) -> Option<Operation> {
    if !super::is_paged(name) || step.split {
        return None;
    }
    let (q, k, v) = (arguments.tensor(0)?, arguments.tensor(1)?, arguments.tensor(2)?);
    let [_, h_q, d_qk] = q.sizes()?;
    // Keys of the step are `[tokens, heads, depth]`, a cache may have one size more for the page.
    let rank = k.dims.len();
    if !(3..=4).contains(&rank) || v.dims.len() != rank {
        return None;
    }
    let (bytes_q, bytes_kv) = (u64::from(q.element.size), u64::from(k.element.size));
    let heads = Heads { h_q, h_kv: k.dims[rank - 2], d_qk, d_v: v.last(), bytes_q, bytes_kv };
    let work = of_step(step, &heads)?;
    let precision = q.element.matrix()?;
    Operation::new("attention", work.flop, work.bytes, precision, "attention-step, window unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytic::annotation::parse;

    const LLAMA: Heads = Heads { h_q: 64, h_kv: 8, d_qk: 128, d_v: 128, bytes_q: 2, bytes_kv: 2 };

    fn of(text: &str) -> (f64, f64) {
        let work = of_step(&parse(text).unwrap(), &LLAMA).unwrap();
        (work.flop, work.bytes)
    }

    #[test]
    fn published_sums_give_the_published_work() {
        // V14: 64*256*(2*23019520 - 20971520) + 2*64*256*6144; (2*6147*64 + 13288*2*8)*128*2.
        let mixed =
            of("execute_6147_context_2(sq6144sk7144sqsq20971520sqsk23019520)_generation_3(sq3sk6144sqsq3sqsk6144)");
        assert_eq!(mixed, (410_907_574_272.0, 255_852_544.0));
        assert!((mixed.0 / mixed.1 - 1606.03).abs() < 0.005);
        // V15 and V16.
        let decode = of("step[DECODE bs=64 g_sq=64 g_sqsq=64 g_sqsk=131072 g_sk=131072]");
        assert_eq!(decode, (4_294_967_296.0, 538_968_064.0));
        assert!((decode.0 / decode.1 - 7.96887).abs() < 5e-6);
        let drafts = of("step[DECODE bs=64 g_sq=128 g_sqsq=256 g_sqsk=262144 g_sk=131072]");
        assert_eq!(drafts, (8_589_934_592.0, 541_065_216.0));
        assert!((drafts.0 / drafts.1 - 15.87597).abs() < 5e-6);
    }

    #[test]
    fn steps_without_sums_or_with_impossible_ones_have_no_work() {
        let none = |text: &str| assert_eq!(of_step(&parse(text).unwrap(), &LLAMA), None, "{text}");
        none("execute_context_2(6144)_generation_3(3)");
        none("step[DECODE bs=1 g_sq=9 g_sqsq=81 g_sqsk=81 g_sk=8]");
        none("prefill[bs=1 tok=2 sqsq=100 sqsk=4 sk=2]");
        none("decode[bs=1 tok=1 sqsq=1 sqsk=18446744073709551615 sk=18446744073709551615]");
    }
}
