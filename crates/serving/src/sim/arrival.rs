//! A request comes, is placed or refused, and waits.

use super::engine::Engine;
use super::live::{Live, Phase};
use super::record::Status;
use crate::admission::Asked;
use crate::policy::predict_ttft_ns;
use crate::{Ask, Cause, Request, Role, View};

impl Engine<'_> {
    pub(super) fn arrive(&mut self, number: usize, request: &Request) {
        let live = Live {
            request: number as u32,
            target: request.prompt_tokens,
            since_ns: self.now_ns,
            first_token_ns: i64::MIN,
            ..Live::default()
        };
        let place = self.lives.insert(live);
        self.alive += 1;
        if request.prompt_tokens == 0 {
            return self.give_up(place, "its prompt is empty");
        }
        if request.output_tokens == 0 {
            return self.give_up(place, "it asks for no output");
        }
        if request.prompt_tokens.checked_add(request.output_tokens).is_none() {
            return self.give_up(place, "it has more than 2^32 tokens");
        }
        self.place(place);
    }

    /// Gives a request to the device that computes its prompt, or what it has of context.
    pub(super) fn place(&mut self, place: u32) {
        self.refresh();
        let request = self.request(place);
        let blocks = self.blocks(place);
        if blocks.is_empty() {
            self.cached.fill(0);
        } else {
            self.caches.prefixes(blocks, &mut self.cached);
            let most = request.prompt_tokens - 1;
            self.cached.iter_mut().for_each(|cached| *cached = (*cached * self.block_tokens as u32).min(most));
        }
        let ask = Ask {
            number: self.lives.get(place).request as usize,
            request,
            cached_tokens: &self.cached,
            prefilled_on: None,
        };
        let able = self.able(self.lives.get(place).target.into(), Role::prefills);
        let devices = able.as_deref().unwrap_or(&self.states);
        let view = View { now_ns: self.now_ns, cluster: self.cluster, devices };
        self.why.cause = Cause::Prefill;
        let chosen = self.policy.place_prefill(&ask, &view, &mut self.why);
        let chosen = chosen.filter(|&device| self.states[device].up && self.cluster.devices[device].role.prefills());
        let predicted_ns = chosen.map_or(0, |device| predict_ttft_ns(&view, device, &ask));
        let slo = self.options.slos.of(request.tier);
        // What was accepted once is not refused later, when its device has failed.
        let refused = chosen.filter(|_| !self.lives.get(place).accepted).and_then(|device| {
            self.admission.admit(&Asked { ask, device, predicted_ttft_ns: predicted_ns, slo }, &view).err()
        });
        self.decided(place, chosen);
        let Some(device) = chosen else { return self.give_up(place, "no device computes prompts") };
        if let Some(reason) = refused {
            self.lives.get_mut(place).predicted_ttft_ns = predicted_ns;
            return self.outcome(place, Status::Rejected(reason));
        }
        let cached = self.cached[device];
        let live = self.lives.get_mut(place);
        live.device = device as u8;
        live.phase = Phase::Waiting;
        // Of one that has lost its device, what was said when it came.
        if !std::mem::replace(&mut live.accepted, true) {
            live.predicted_ttft_ns = predicted_ns;
        }
        self.queue(place, cached, false);
        self.wake(device);
    }

    /// Puts a request into the queue of its device, at the front if it was there before.
    pub(super) fn queue(&mut self, place: u32, cached: u32, front: bool) {
        let live = self.lives.get_mut(place);
        (live.phase, live.context) = (Phase::Waiting, 0);
        live.expected = live.target - cached.min(live.target - 1);
        let (state, machine) = (&mut self.states[live.device as usize], &mut self.machines[live.device as usize]);
        state.waiting += 1;
        state.waiting_tokens += u64::from(live.expected);
        state.waiting_pairs += live.expected_pairs();
        state.kv_tokens += u64::from(live.target);
        if front { machine.waiting.push_front(place) } else { machine.waiting.push_back(place) }
    }

    pub(super) fn decided(&mut self, place: u32, chosen: Option<usize>) {
        if self.why.wanted {
            self.sink.decision(self.now_ns, self.lives.get(place).request, chosen, &self.why);
            self.why.terms.clear();
        }
    }

    /// Takes a waiting request out of its device's state.
    pub(super) fn unqueue(&mut self, place: u32) {
        let live = self.lives.get(place);
        let state = &mut self.states[live.device as usize];
        state.waiting -= 1;
        state.waiting_tokens -= u64::from(live.expected);
        state.waiting_pairs -= live.expected_pairs();
        state.kv_tokens -= u64::from(live.target);
    }
}
