//! What a device computes next: which requests are in its batch, whose prompts, and for whose tokens there is memory.

use std::cmp::Reverse;

use super::device::{Busy, Member, free_tokens, make_room};
use super::engine::{Engine, What};
use super::live::Phase;
use super::record::{Span, SpanKind, Status};
use crate::policy::pairs;
use crate::steps::{Batch, DecodeRun};

/// Decode steps for which memory is freed at once: evicting for a whole run would empty the prefix cache before its time.
const STEPS_AHEAD: u64 = 16;

impl Engine<'_> {
    /// Plans the next step of an idle device, or the next steps.
    pub(super) fn plan(&mut self, device: usize) {
        if !self.works(device) || self.machines[device].busy.is_some() {
            return;
        }
        self.receive(device);
        self.join(device);
        self.grow(device);
        let spec = &self.cluster.devices[device];
        let machine = &self.machines[device];
        let left = u64::from(spec.step_tokens).saturating_sub(machine.sequences);
        let (prefill_tokens, prefill_pairs) = self.fill(device, left);
        let machine = &mut self.machines[device];
        let (sequences, kv_tokens) = (machine.sequences, machine.kv_tokens);
        let batch = Batch { prefill_tokens, prefill_pairs, sequences, kv_tokens };
        let start_ns = self.now_ns;
        let busy = if prefill_tokens > 0 {
            machine.private += sequences;
            let end_ns = start_ns + spec.steps.step_ns(&batch);
            Busy { start_ns, steps: 1, batch, line: DecodeRun::default(), end_ns, told: 0 }
        } else if sequences > 0 {
            let first = machine.running.peek().map_or(1, |Reverse(member)| member.ends.saturating_sub(machine.step));
            let free = free_tokens(machine, &self.caches, device, spec.kv_capacity_tokens, self.block_tokens);
            let most = first.clamp(1, free.checked_div(sequences).unwrap_or(1).max(1));
            let (line, steps) = spec.steps.decode_run(sequences, kv_tokens, most);
            machine.private += sequences * steps;
            Busy { start_ns, steps, batch, line, end_ns: start_ns + line.end_ns(steps), told: 0 }
        } else {
            // One that had come back and fits nowhere is gone: nobody else keeps what comes in waiting.
            return self.receive(device);
        };
        machine.busy = Some(busy);
        self.due_ns[device] = if sequences > 0 { busy.step_end_ns(1) } else { i64::MAX };
        machine.generation += 1;
        let generation = machine.generation;
        self.schedule(busy.end_ns, What::StepEnd { device, generation });
    }

    /// Lets requests into the batch that have their context here.
    fn join(&mut self, device: usize) {
        let most = u64::from(self.cluster.devices[device].most_sequences);
        while self.machines[device].sequences < most {
            let Some(place) = self.machines[device].joining.pop_front() else { return };
            let (waited_ns, output) = (self.lives.get(place).since_ns, self.request(place).output_tokens);
            if waited_ns < self.now_ns {
                self.span(place, SpanKind::Queued, device, waited_ns, 0);
            }
            let machine = &mut self.machines[device];
            let live = self.lives.get_mut(place);
            (live.phase, live.joined, live.since_ns) = (Phase::Running, machine.step, self.now_ns);
            machine.sequences += 1;
            machine.kv_tokens += u64::from(live.context);
            let ends = machine.step + u64::from(output - live.generated);
            machine.running.push(Reverse(Member { ends, place, epoch: live.epoch }));
        }
    }

    /// Makes room for the tokens that the batch generates; where there is none, the youngest gives up its memory.
    fn grow(&mut self, device: usize) {
        let capacity = self.cluster.devices[device].kv_capacity_tokens;
        loop {
            let machine = &self.machines[device];
            let sequences = machine.sequences;
            let mut room = |tokens| make_room(machine, &mut self.caches, device, capacity, self.block_tokens, tokens);
            if sequences == 0 || room(sequences * STEPS_AHEAD) || room(sequences) {
                return;
            }
            let youngest =
                self.machines[device].members(&self.lives).max_by_key(|&place| self.lives.get(place).request);
            let Some(place) = youngest else { return };
            self.preempt(device, place, capacity);
        }
    }

    /// Takes the memory of a decoding request: it computes its context again, or fails where it would not fit alone.
    fn preempt(&mut self, device: usize, place: u32, capacity: u64) {
        self.unseat(place);
        let live = *self.lives.get(place);
        self.span(place, SpanKind::Decode, device, live.since_ns, 0);
        self.free(place, device, live.private, live.held);
        self.states[device].kv_tokens -= u64::from(live.context);
        self.states[device].running -= 1;
        if u64::from(live.context) + 1 > capacity {
            return self.give_up(place, "its context is larger than the KV memory");
        }
        let now_ns = self.now_ns;
        self.sink.span(&Span {
            request: live.request,
            kind: SpanKind::Preempt,
            device: device as u8,
            start_ns: now_ns,
            end_ns: now_ns,
            bytes: 0,
        });
        let live = self.lives.get_mut(place);
        live.preemptions += 1;
        // The last token that came out is not in the context yet.
        (live.private, live.held, live.target, live.since_ns) = (0, 0, live.context + 1, now_ns);
        self.queue(place, 0, true);
    }

    /// Fills a step with prompt tokens: prompts that were begun, then those that wait. Gives the tokens, and the pairs of
    /// one of them and a token before it.
    fn fill(&mut self, device: usize, mut left: u64) -> (u64, u64) {
        let (mut tokens, mut pairs, mut at) = (0, 0, 0);
        while left > 0 {
            if at == self.machines[device].prefilling.len() && !self.begin(device) {
                break;
            }
            let place = self.machines[device].prefilling[at];
            let live = self.lives.get(place);
            let take = u64::from(live.target - live.context).min(left);
            at += 1;
            // One that is in the last stages has nothing left for the first.
            if take == 0 {
                continue;
            }
            pairs += take * u64::from(live.context) + take * (take - 1) / 2;
            self.machines[device].chunks.push((place, take as u32));
            (tokens, left) = (tokens + take, left - take);
        }
        (tokens, pairs)
    }

    /// Begins the prompt of the request that has waited longest, if its context fits.
    fn begin(&mut self, device: usize) -> bool {
        let spec = &self.cluster.devices[device];
        loop {
            let machine = &self.machines[device];
            let Some(&place) = machine.waiting.front() else { return false };
            if self.is_late(place) {
                self.machines[device].waiting.pop_front();
                self.refuse_late(place);
                continue;
            }
            let machine = &self.machines[device];
            if machine.seated() >= u64::from(spec.most_sequences) {
                return false;
            }
            let blocks = self.blocks(place);
            let target = u64::from(self.lives.get(place).target);
            if target + 1 > spec.kv_capacity_tokens {
                self.machines[device].waiting.pop_front();
                self.unqueue(place);
                self.give_up(place, "its context is larger than the KV memory");
                continue;
            }
            // The last token is always computed: its output is the next token.
            let most = ((target - 1) / self.block_tokens) as usize;
            let held = self.caches.prefix(device, blocks).min(most);
            self.caches.take(device, &blocks[..held]);
            let need = target - held as u64 * self.block_tokens;
            let capacity = spec.kv_capacity_tokens;
            // Room also for the next token of everybody: what is begun should not be preempted at once.
            let spare = self.machines[device].sequences;
            let machine = &self.machines[device];
            if !make_room(machine, &mut self.caches, device, capacity, self.block_tokens, need + spare) {
                self.caches.release(device, &blocks[..held]);
                return false;
            }
            self.machines[device].waiting.pop_front();
            self.machines[device].prefilling.push_back(place);
            self.machines[device].private += need;
            self.started(device, place, held, need);
            return true;
        }
    }

    /// Whether the deadline of a request's tier has passed before its first token's time came.
    fn is_late(&self, place: u32) -> bool {
        let request = self.request(place);
        let deadline_ns = self.options.deadlines_ns[request.tier as usize];
        let waits = self.lives.get(place).first_token_ns == i64::MIN;
        waits && deadline_ns.is_some_and(|deadline_ns| self.now_ns - request.arrival_ns > deadline_ns)
    }

    fn refuse_late(&mut self, place: u32) {
        let live = *self.lives.get(place);
        self.span(place, SpanKind::Queued, live.device as usize, live.since_ns, 0);
        self.unqueue(place);
        self.outcome(place, Status::Rejected("its deadline passed while it waited"));
    }

    fn started(&mut self, device: usize, place: u32, held: usize, need: u64) {
        let cached = held as u64 * self.block_tokens;
        let since_ns = self.lives.get(place).since_ns;
        self.span(place, SpanKind::Queued, device, since_ns, 0);
        let live = self.lives.get_mut(place);
        let state = &mut self.states[device];
        state.waiting_tokens = state.waiting_tokens - u64::from(live.expected) + need;
        state.waiting_pairs = state.waiting_pairs - live.expected_pairs() + pairs(need, cached);
        (live.phase, live.context, live.expected) = (Phase::Prefilling, cached as u32, need as u32);
        (live.held, live.private, live.since_ns) = (held as u32, need as u32, self.now_ns);
        if live.first_token_ns == i64::MIN {
            live.cached_tokens = cached as u32;
        }
    }
}
