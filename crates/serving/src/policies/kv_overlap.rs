//! Dynamo's cost: prompt blocks that are still to be computed, and blocks in use.

use super::{Knob, Maker};
use crate::policy::{cheapest, decodes, prefills};
use crate::{Ask, Explanation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "kv_overlap",
    doc: "The lowest cost of NVIDIA Dynamo's KV router: weight x prompt blocks to compute + blocks in use, ties by number.",
    knobs: &[Knob {
        name: "overlap_weight",
        default: 1.0,
        range: (0.0, 100.0),
        doc: "Weight of the prompt blocks that are to be computed, those that wait included.",
    }],
    make: |knobs, _| Box::new(KvOverlap { weight: knobs.get("overlap_weight") }),
};

/// Tokens of a block in the cost; the unit cancels out of every comparison.
const BLOCK: f64 = 16.0;

struct KvOverlap {
    weight: f64,
}

impl Policy for KvOverlap {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let terms = |device: usize| {
            let state = &view.devices[device];
            let fresh = ask.request.prompt_tokens.saturating_sub(ask.cached_tokens[device]);
            let prefill = (state.waiting_tokens as f64 + f64::from(fresh)) / BLOCK;
            (self.weight * prefill, state.kv_tokens as f64 / BLOCK)
        };
        let cost = |device: usize| terms(device).0 + terms(device).1;
        let chosen = cheapest(view, |device| prefills(view, device), cost, why)?;
        if why.wanted {
            let (prefill, decode) = terms(chosen);
            why.terms.extend([("prefill_blocks", prefill), ("active_blocks", decode)]);
        }
        Some(chosen)
    }

    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let cost = |device: usize| {
            let cached = f64::from(ask.cached_tokens[device]);
            (view.devices[device].kv_tokens as f64 - cached) / BLOCK
        };
        cheapest(view, |device| decodes(view, ask, device), cost, why)
    }
}
