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
    /// Predicted TTFT, the prompt's own work, and what that work costs the requests that decode: in ns.
    fn terms(&self, device: usize, ask: &Ask<'_>, view: &View<'_>) -> [f64; 3] {
        let (spec, state) = (&view.cluster.devices[device], &view.devices[device]);
        let cached = u64::from(ask.cached_tokens[device]);
        let tokens = u64::from(ask.request.prompt_tokens).saturating_sub(cached);
        let pairs = tokens * cached + tokens * tokens.saturating_sub(1) / 2;
        let nothing = spec.steps.step_ns(&Batch::default());
        let batch = Batch { prefill_tokens: tokens, prefill_pairs: pairs, ..Batch::default() };
        let own = (spec.steps.step_ns(&batch) - nothing) as f64;
        let share = f64::from(state.running) / f64::from(spec.most_sequences.max(1));
        let followers = 1.0 + waiting(view);
        [predict_ttft_ns(view, device, ask) as f64, self.work * own * followers, self.decode * own * share]
    }
}

/// Requests that wait, a device: by Little's law those that arrive while one waits, and that are served later by what the
/// devices compute before them.
fn waiting(view: &View<'_>) -> f64 {
    let able: Vec<usize> =
        (0..view.devices.len()).filter(|&device| view.devices[device].up && prefills(view, device)).collect();
    let waiting: u32 = able.iter().map(|&device| view.devices[device].waiting).sum();
    f64::from(waiting) / able.len().max(1) as f64
}

impl Policy for LeastDelay {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let cost = |device: usize| self.terms(device, ask, view).iter().sum::<f64>();
        let chosen = cheapest(view, |device| prefills(view, device), cost, why)?;
        if why.wanted {
            why.terms.extend(["ttft_ns", "work_ns", "decode_ns"].into_iter().zip(self.terms(chosen, ask, view)));
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
