//! llm-d's scheduler: a weighted sum of scores between 0 and 1.

use super::{Knob, Maker};
use crate::policy::{cheapest, decodes, prefills};
use crate::{Ask, Explanation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "weighted_scorers",
    doc: "llm-d: the highest sum of weighted scores for the cached prefix, the queue and the KV memory.",
    knobs: &[
        Knob {
            name: "prefix",
            default: 3.0,
            range: (0.0, 100.0),
            doc: "Weight of the share of the prompt that is cached.",
        },
        Knob {
            name: "queue",
            default: 2.0,
            range: (0.0, 100.0),
            doc: "Weight of the queue: 1 for the shortest, 0 for the longest.",
        },
        Knob {
            name: "kv_utilization",
            default: 2.0,
            range: (0.0, 100.0),
            doc: "Weight of the share of KV memory that is free.",
        },
    ],
    make: |knobs, _| {
        Box::new(WeightedScorers {
            prefix: knobs.get("prefix"),
            queue: knobs.get("queue"),
            memory: knobs.get("kv_utilization"),
        })
    },
};

struct WeightedScorers {
    prefix: f64,
    queue: f64,
    memory: f64,
}

impl WeightedScorers {
    fn choose(
        &self,
        ask: &Ask<'_>,
        view: &View<'_>,
        may: impl Fn(usize) -> bool,
        depth: impl Fn(usize) -> u32,
        why: &mut Explanation,
    ) -> Option<usize> {
        let able = (0..view.devices.len()).filter(|&device| view.devices[device].up && may(device));
        let (least, most) =
            able.map(&depth).fold((u32::MAX, 0), |(least, most), depth| (least.min(depth), most.max(depth)));
        let terms = |device: usize| {
            let cached = f64::from(ask.cached_tokens[device]) / f64::from(ask.request.prompt_tokens.max(1));
            let queue = if most == least { 1.0 } else { f64::from(most - depth(device)) / f64::from(most - least) };
            let capacity = view.cluster.devices[device].kv_capacity_tokens.max(1) as f64;
            let free = 1.0 - (view.devices[device].kv_tokens as f64 / capacity).min(1.0);
            [self.prefix * cached, self.queue * queue, self.memory * free]
        };
        let chosen = cheapest(view, &may, |device| -terms(device).iter().sum::<f64>(), why)?;
        if why.wanted {
            why.terms.extend(["prefix", "queue", "kv_utilization"].into_iter().zip(terms(chosen)));
        }
        Some(chosen)
    }
}

impl Policy for WeightedScorers {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        self.choose(ask, view, |device| prefills(view, device), |device| view.devices[device].waiting, why)
    }

    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        self.choose(ask, view, |device| decodes(view, ask, device), |device| view.devices[device].running, why)
    }
}
