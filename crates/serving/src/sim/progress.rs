//! What a device has computed when a step ends.

use std::cmp::Reverse;

use super::device::Busy;
use super::engine::{Engine, What};
use super::record::{Run, SpanKind};
use crate::policy::pairs;
use crate::steps::Batch;
use crate::{Observation, View};

impl Engine<'_> {
    /// Something changed on a device: an idle one plans, one amid decode steps stops after the step in progress.
    pub(super) fn wake(&mut self, device: usize) {
        let machine = &mut self.machines[device];
        let Some(busy) = &mut machine.busy else { return self.plan(device) };
        if busy.steps < 2 {
            return;
        }
        let begun = busy.line.begun(self.now_ns - busy.start_ns, busy.steps);
        if begun < busy.steps {
            machine.private -= (busy.steps - begun) * busy.batch.sequences;
            busy.steps = begun;
            busy.end_ns = busy.start_ns + busy.line.end_ns(begun);
            machine.generation += 1;
            let (at_ns, generation) = (busy.end_ns, machine.generation);
            self.schedule(at_ns, What::StepEnd { device, generation });
        }
    }

    /// Brings the router's count of tokens up to now, those of steps amid a run included: a router sees every token in the
    /// streams.
    pub(super) fn refresh(&mut self) {
        (0..self.due_ns.len()).for_each(|device| self.refresh_device(device));
    }

    /// The same of one device.
    pub(super) fn refresh_device(&mut self, device: usize) {
        if self.due_ns[device] > self.now_ns {
            return;
        }
        self.due_ns[device] = i64::MAX;
        let Some(busy) = &mut self.machines[device].busy else { return };
        let ended = busy.ended(self.now_ns);
        self.states[device].kv_tokens += (ended - busy.told) * busy.batch.sequences;
        busy.told = ended;
        if ended < busy.steps {
            self.due_ns[device] = busy.step_end_ns(ended + 1);
        }
    }

    pub(super) fn step_ended(&mut self, device: usize) {
        let machine = &mut self.machines[device];
        let Some(busy) = machine.busy.take() else { return };
        machine.worked_ns += busy.end_ns - busy.start_ns;
        self.ran(device, &busy);
        let sequences = busy.batch.sequences;
        if sequences > 0 {
            let machine = &mut self.machines[device];
            machine.step += busy.steps;
            machine.kv_tokens += sequences * busy.steps;
            self.states[device].kv_tokens += sequences * (busy.steps - busy.told);
            self.finish(device);
        }
        self.leave(device);
        let mut chunks = std::mem::take(&mut self.machines[device].chunks);
        let mut done = 0;
        for (place, tokens) in chunks.drain(..) {
            done += u64::from(tokens);
            let late_ns = self.cluster.devices[device].steps.late_ns(&busy.batch, done);
            self.prefilled(device, place, tokens, late_ns);
        }
        self.machines[device].chunks = chunks;
        self.plan(device);
        self.drained(device);
    }

    /// Tells the steps that a device has done.
    fn ran(&mut self, device: usize, busy: &Busy) {
        let Batch { sequences, prefill_tokens, kv_tokens, .. } = busy.batch;
        self.sink.steps(&Run {
            device: device as u8,
            start_ns: busy.start_ns,
            end_ns: busy.end_ns,
            steps: busy.steps,
            prefill_tokens,
            sequences,
            kv_tokens,
            line: busy.line,
        });
    }

    /// Breaks off the steps under way on a device that fails: the tokens of those that have ended are out, the one in progress
    /// is lost.
    pub(super) fn break_off(&mut self, device: usize) {
        let machine = &mut self.machines[device];
        let Some(busy) = machine.busy.take().filter(|busy| busy.steps > 1) else { return };
        let steps = busy.line.begun(self.now_ns - busy.start_ns, busy.steps) - 1;
        if steps > 0 {
            machine.step += steps;
            let end_ns = busy.start_ns + busy.line.end_ns(steps);
            self.ran(device, &Busy { steps, end_ns, ..busy });
        }
    }

    /// Ends the requests that got their last token.
    fn finish(&mut self, device: usize) {
        while let Some(&Reverse(member)) = self.machines[device].running.peek() {
            let void = self.lives.get(member.place).epoch != member.epoch;
            if !void && member.ends > self.machines[device].step {
                return;
            }
            self.machines[device].running.pop();
            if !void {
                self.unseat(member.place);
                self.complete(member.place);
            }
        }
    }

    /// Takes a decoding request out of the batch: its context and memory are what they are now.
    pub(super) fn unseat(&mut self, place: u32) {
        let live = self.lives.get_mut(place);
        let machine = &mut self.machines[live.device as usize];
        let steps = (machine.step - live.joined) as u32;
        live.generated += steps;
        live.context += steps;
        live.private += steps;
        live.epoch += 1;
        machine.sequences -= 1;
        machine.kv_tokens -= u64::from(live.context);
    }

    /// Frees what a request holds on a device.
    pub(super) fn free(&mut self, place: u32, device: usize, private: u32, held: u32) {
        self.machines[device].private -= u64::from(private);
        let held = &self.blocks(place)[..held as usize];
        self.caches.release(device, held);
    }

    /// A chunk of a prompt was computed; it comes out of the last stage so much later.
    fn prefilled(&mut self, device: usize, place: u32, tokens: u32, late_ns: i64) {
        let live = self.lives.get_mut(place);
        self.states[device].waiting_tokens -= u64::from(tokens);
        self.states[device].waiting_pairs -= pairs(u64::from(tokens), u64::from(live.context));
        live.context += tokens;
        live.expected -= tokens;
        if live.context < live.target {
            return;
        }
        if late_ns == 0 {
            return self.computed(device, place);
        }
        let epoch = live.epoch;
        self.schedule(self.now_ns + late_ns, What::Emerged { place, epoch });
    }

    /// The end of a prompt has come out of the last stage.
    pub(super) fn emerged(&mut self, place: u32) {
        let device = self.lives.get(place).device as usize;
        self.computed(device, place);
        self.wake(device);
        self.drained(device);
    }

    /// A prompt is computed: its first token is there.
    fn computed(&mut self, device: usize, place: u32) {
        // The first of the prompts that are being computed ends first, as a rule.
        let prefilling = &mut self.machines[device].prefilling;
        if prefilling.front() == Some(&place) {
            prefilling.pop_front();
        } else {
            prefilling.retain(|&other| other != place);
        }
        self.keep(place);
        self.states[device].waiting -= 1;
        let since_ns = self.lives.get(place).since_ns;
        self.span(place, SpanKind::Prefill, device, since_ns, 0);
        let (now_ns, request) = (self.now_ns, self.request(place));
        let live = self.lives.get_mut(place);
        live.generated += 1;
        live.since_ns = now_ns;
        if live.first_token_ns == i64::MIN {
            (live.first_token_ns, live.prefilled_on) = (now_ns, device as u8);
            let observation = Observation::FirstToken {
                device,
                ttft_ns: now_ns - request.arrival_ns,
                prompt_tokens: request.prompt_tokens,
                cached_tokens: live.cached_tokens,
            };
            let view = View { now_ns, cluster: self.cluster, devices: &self.states };
            self.policy.observe(&observation, &view);
        }
        if self.lives.get(place).generated >= request.output_tokens {
            return self.complete(place);
        }
        self.place_decode(place);
    }

    /// Puts the blocks of a computed prompt into the prefix cache: they are memory that others can use.
    pub(super) fn keep(&mut self, place: u32) {
        let blocks = self.blocks(place);
        let live = self.lives.get_mut(place);
        let (device, held) = (live.device as usize, live.held as usize);
        let fresh = &blocks[held.min(blocks.len())..];
        let tokens = fresh.len() as u64 * self.block_tokens;
        live.held = blocks.len() as u32;
        live.private -= tokens as u32;
        self.machines[device].private -= tokens;
        self.caches.take(device, fresh);
    }
}
