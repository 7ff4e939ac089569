//! SGLang's gateway: the longest cached prefix while load is even, the shortest queue when it is not.

use super::{Knob, Maker};
use crate::policy::{cheapest, decodes, prefills};
use crate::{Ask, Explanation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "cache_aware",
    doc: "SGLang's gateway: where load is uneven the fewest requests, else the longest cached prefix above a threshold.",
    knobs: &[
        Knob {
            name: "balance_abs_threshold",
            default: 64.0,
            range: (0.0, 100_000.0),
            doc: "Load is uneven when the most requests are this many above the fewest, and",
        },
        Knob { name: "balance_rel_threshold", default: 1.5, range: (1.0, 1000.0), doc: "this many times the fewest." },
        Knob {
            name: "cache_threshold",
            default: 0.3,
            range: (0.0, 1.0),
            doc: "Share of the prompt that must be cached for the cache to decide.",
        },
    ],
    make: |knobs, _| {
        Box::new(CacheAware {
            above: knobs.get("balance_abs_threshold"),
            times: knobs.get("balance_rel_threshold"),
            share: knobs.get("cache_threshold"),
        })
    },
};

struct CacheAware {
    above: f64,
    times: f64,
    share: f64,
}

impl Policy for CacheAware {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let may = |device: usize| prefills(view, device);
        let requests = |device: usize| f64::from(view.devices[device].requests());
        let able = (0..view.devices.len()).filter(|&device| view.devices[device].up && may(device));
        let (least, most) =
            able.map(requests).fold((f64::INFINITY, 0.0_f64), |(least, most), load| (least.min(load), most.max(load)));
        let uneven = most - least > self.above && most > self.times * least;
        let cached = |device: usize| f64::from(ask.cached_tokens[device]);
        if !uneven {
            // Of equally long prefixes the one with fewer requests.
            let cost = |device: usize| -cached(device) + requests(device) / (1.0 + most) * 0.5;
            let longest = cheapest(view, may, cost, why)?;
            if cached(longest) > self.share * f64::from(ask.request.prompt_tokens) {
                if why.wanted {
                    why.terms.extend([("cached_tokens", cached(longest)), ("requests", requests(longest))]);
                }
                return Some(longest);
            }
        }
        cheapest(view, may, requests, why)
    }

    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        cheapest(view, |device| decodes(view, ask, device), |device| f64::from(view.devices[device].requests()), why)
    }
}
