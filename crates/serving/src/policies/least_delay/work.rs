//! The time that prompts take on a device.

use crate::policy::{State, pairs};
use crate::{Cost, Device, StepModel};

/// Prompt tokens to compute, and pairs of one of them and a token before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) tokens: u64,
    pub(super) pairs: u64,
}

impl Work {
    /// Of a prompt of which `tokens` are computed after `cached` others.
    pub(super) fn of(tokens: u32, cached: u32) -> Self {
        let tokens = u64::from(tokens);
        Self { tokens, pairs: pairs(tokens, u64::from(cached)) }
    }

    /// What waits on a device.
    pub(super) fn waiting(state: &State) -> Self {
        Self { tokens: state.waiting_tokens, pairs: state.waiting_pairs }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { tokens: self.tokens + other.tokens, pairs: self.pairs + other.pairs }
    }
}

/// Steps that compute this many prompt tokens, in parts of one.
pub(super) fn steps(spec: &Device, state: &State, tokens: u64) -> f64 {
    let depth = spec.steps.pipeline.depth() as f64;
    tokens as f64 / ((f64::from(spec.step_tokens) - f64::from(state.running)) / depth).max(1.0)
}

/// Time of steps that compute this beside the device's decoding requests. Stages in sequence share the work.
pub(super) fn prefill_ns(spec: &Device, state: &State, work: Work, steps: f64) -> f64 {
    let StepModel { base_ns, compute, memory, pipeline } = &spec.steps;
    let depth = pipeline.depth() as f64;
    let sequences = f64::from(state.running);
    let kv_tokens = state.kv_tokens.saturating_sub(state.waiting_tokens) as f64;
    let (tokens, pairs) = (work.tokens as f64, work.pairs as f64);
    let of = |cost: &Cost| {
        let each = cost.constant + (cost.sequence * sequences + cost.kv_token * kv_tokens) / depth;
        cost.prefill_token * tokens + cost.prefill_pair * pairs + steps * each
    };
    let hops_ns = if depth > 1.0 { pipeline.hop_ns * steps + pipeline.hop_token_ns * tokens } else { 0.0 };
    (base_ns * steps + of(compute).max(of(memory))) / depth + hops_ns
}

/// What a prompt takes beside that: the time of its last micro-batch in the stages after the first.
pub(super) fn drain_ns(spec: &Device, work: Work, prefill_ns: f64) -> f64 {
    let depth = spec.steps.pipeline.depth() as f64;
    let steps = (work.tokens as f64 / f64::from(spec.step_tokens.max(1)) * depth).max(1.0);
    (depth - 1.0) * prefill_ns / steps
}
