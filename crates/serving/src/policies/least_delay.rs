//! Our own: the least delay, for the request and for those that it delays.

use super::{Knob, Maker};
use crate::policy::{cheapest, decodes, predict_ttft_ns, prefills};
use crate::steps::Batch;
use crate::{Ask, Explanation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "least_delay",
    doc: "The least delay in all: the request's own predicted TTFT, and the device time it takes from those that come after it.",
    knobs: &[
        Knob {
            name: "work_weight",
            default: 2.0,
            range: (0.0, 100.0),
            doc: "Weight of the device time that the prompt takes: what is computed again delays everybody who follows.",
        },
        Knob {
            name: "decode_weight",
            default: 1.0,
            range: (0.0, 100.0),
            doc: "Weight of the time that the prompt takes from requests which decode beside it.",
        },
    ],
    make: |knobs, _| Box::new(LeastDelay { work: knobs.get("work_weight"), decode: knobs.get("decode_weight") }),
};

struct LeastDelay {
    work: f64,
    decode: f64,
}

impl LeastDelay {
    /// Predicted TTFT, and what computing the rest of the prompt there costs the requests that come later and those that
    /// decode beside it: in ns. That cost is counted in the time of a device of the mean speed: which device is faster is in
    /// the first term already.
    fn terms(&self, device: usize, ask: &Ask<'_>, view: &View<'_>, load: &Load) -> [f64; 3] {
        let cached = ask.cached_tokens[device].min(ask.request.prompt_tokens);
        let own = f64::from(ask.request.prompt_tokens - cached) * load.token_ns;
        let (spec, state) = (&view.cluster.devices[device], &view.devices[device]);
        let share = f64::from(state.running) / f64::from(spec.most_sequences.max(1));
        let ttft_ns = predict_ttft_ns(view, device, ask) as f64;
        [ttft_ns, self.work * own * load.followers, self.decode * own * share]
    }
}

/// What all devices that compute prompts have in common.
struct Load {
    /// Requests that wait, a device: by Little's law those that arrive while one waits, and that are served later by what
    /// the devices compute before them.
    followers: f64,
    /// Time that a prompt token takes, in the mean.
    token_ns: f64,
}

impl Load {
    fn new(ask: &Ask<'_>, view: &View<'_>) -> Self {
        let able = (0..view.devices.len()).filter(|&device| view.devices[device].up && prefills(view, device));
        let (mut devices, mut waiting, mut token_ns) = (0_u32, 0_u32, 0.0);
        for device in able {
            let cost = &view.cluster.devices[device].steps.compute;
            devices += 1;
            waiting += view.devices[device].waiting;
            token_ns += cost.prefill_token + cost.prefill_pair * f64::from(ask.request.prompt_tokens) / 2.0;
        }
        let devices = f64::from(devices.max(1));
        Self { followers: f64::from(waiting) / devices, token_ns: token_ns / devices }
    }
}

impl Policy for LeastDelay {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let load = Load::new(ask, view);
        let cost = |device: usize| self.terms(device, ask, view, &load).iter().sum::<f64>();
        let chosen = cheapest(view, |device| prefills(view, device), cost, why)?;
        if why.wanted {
            why.terms.extend(["ttft_ns", "work_ns", "decode_ns"].into_iter().zip(self.terms(chosen, ask, view, &load)));
        }
        Some(chosen)
    }

    /// Where the next step, with this request in it, takes longest for nobody: the shortest step time.
    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let cost = |device: usize| {
            let state = &view.devices[device];
            let context = u64::from(ask.request.prompt_tokens);
            let batch = Batch {
                sequences: u64::from(state.running) + 1,
                kv_tokens: state.kv_tokens + context,
                prefill_tokens: state.waiting_tokens.min(u64::from(view.cluster.devices[device].step_tokens)),
                prefill_pairs: 0,
            };
            let full = state.kv_tokens + context > view.cluster.devices[device].kv_capacity_tokens;
            // A device without memory for it would let it wait for somebody's end.
            view.cluster.devices[device].steps.step_ns(&batch) as f64 * if full { 100.0 } else { 1.0 }
        };
        cheapest(view, |device| decodes(view, ask, device), cost, why)
    }
}
