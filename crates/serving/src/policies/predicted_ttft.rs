//! Mooncake's rule: where the first token comes soonest.

use super::Maker;
use crate::policy::{cheapest, decodes, predict_ttft_ns, prefills};
use crate::{Ask, Explanation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "predicted_ttft",
    doc: "Where the first token is predicted soonest: queue, cached prefix and prefill time (Mooncake, FAST 2025, algorithm 1).",
    knobs: &[],
    make: |_, _| Box::new(PredictedTtft),
};

struct PredictedTtft;

impl Policy for PredictedTtft {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let cost = |device: usize| predict_ttft_ns(view, device, ask) as f64;
        cheapest(view, |device| prefills(view, device), cost, why)
    }

    /// The device with the largest share of its memory free.
    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let cost = |device: usize| {
            view.devices[device].kv_tokens as f64 / view.cluster.devices[device].kv_capacity_tokens.max(1) as f64
        };
        cheapest(view, |device| decodes(view, ask, device), cost, why)
    }
}
