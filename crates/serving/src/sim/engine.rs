//! The event loop and the life of a request on one device.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::device::Machine;
use super::live::{Live, Phase, Slab};
use super::{Options, Outcome, Run, Sink, Span, SpanKind, Status};
use crate::admission::{Admission, Asked};
use crate::cache::Caches;
use crate::policy::{State, predict_ttft_ns};
use crate::steps::Batch;
use crate::{Ask, Cause, Cluster, Explanation, Migration, Observation, Policy, Request, View, Workload};

pub(super) struct Engine<'a> {
    pub(super) workload: &'a Workload,
    pub(super) cluster: &'a Cluster,
    pub(super) policy: &'a mut dyn Policy,
    admission: &'a mut dyn Admission,
    pub(super) options: &'a Options,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) now_ns: i64,
    events: BinaryHeap<Reverse<Event>>,
    order: u64,
    pub(super) machines: Vec<Machine>,
    pub(super) states: Vec<State>,
    pub(super) caches: Caches,
    pub(super) lives: Slab,
    pub(super) alive: usize,
    pub(super) cached: Vec<u32>,
    pub(super) migrations: Vec<Migration>,
    pub(super) why: Explanation,
    pub(super) block_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_ns: i64,
    order: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    StepEnd { device: usize, generation: u32 },
    Moved { place: u32, epoch: u32 },
    Migrate,
    Change(usize),
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        workload: &'a Workload,
        cluster: &'a Cluster,
        policy: &'a mut dyn Policy,
        admission: &'a mut dyn Admission,
        options: &'a Options,
        sink: &'a mut dyn Sink,
    ) -> Self {
        let devices = cluster.devices.len();
        assert!(devices <= 64, "a cluster has at most 64 devices");
        Self {
            workload,
            cluster,
            policy,
            admission,
            options,
            sink,
            now_ns: 0,
            events: BinaryHeap::new(),
            order: 0,
            machines: (0..devices).map(|_| Machine::default()).collect(),
            states: vec![State { up: true, ..State::default() }; devices],
            caches: Caches::new(devices, workload.distinct_blocks),
            lives: Slab::default(),
            alive: 0,
            cached: vec![0; devices],
            migrations: Vec::new(),
            why: Explanation { wanted: options.decisions, ..Explanation::default() },
            block_tokens: u64::from(workload.block_tokens.max(1)),
        }
    }

    pub(super) fn run(mut self) {
        for (at, change) in self.options.changes.iter().enumerate() {
            self.schedule(change.at_ns, What::Change(at));
        }
        let start_ns = self.workload.requests.first().map_or(0, |request| request.arrival_ns);
        if let Some(period_ns) = self.options.migration_period_ns {
            self.schedule(start_ns + period_ns.max(1), What::Migrate);
        }
        let mut arrivals = self.workload.requests.iter().enumerate().peekable();
        loop {
            let arrival_ns = arrivals.peek().map(|(_, request)| request.arrival_ns);
            let event_ns = self.events.peek().map(|Reverse(event)| event.at_ns);
            match (event_ns, arrival_ns) {
                (None, None) => break,
                (Some(event_ns), arrival_ns) if arrival_ns.is_none_or(|arrival_ns| event_ns <= arrival_ns) => {
                    if arrival_ns.is_none() && self.alive == 0 {
                        break;
                    }
                    let Some(Reverse(event)) = self.events.pop() else { break };
                    self.now_ns = event.at_ns;
                    self.handle(event.what, arrival_ns.is_some());
                }
                _ => {
                    let Some((number, request)) = arrivals.next() else { break };
                    self.now_ns = request.arrival_ns;
                    self.arrive(number, request);
                }
            }
        }
        #[cfg(test)]
        if self.alive == 0 {
            self.check_empty();
        }
        let left: Vec<u32> = self.lives.places().collect();
        for place in left {
            self.give_up(place, "no device serves it any more");
        }
    }

    /// What every device must be like when all requests have ended: nothing is held and nobody is counted.
    #[cfg(test)]
    fn check_empty(&self) {
        for (device, machine) in self.machines.iter().enumerate() {
            assert_eq!((machine.private, machine.sequences, machine.kv_tokens), (0, 0, 0), "device {device}");
            assert_eq!(
                self.states[device],
                State { up: self.states[device].up, ..State::default() },
                "device {device}"
            );
            assert_eq!(self.caches.unused(device), self.caches.resident(device), "device {device}");
        }
    }

    pub(super) fn schedule(&mut self, at_ns: i64, what: What) {
        self.order += 1;
        self.events.push(Reverse(Event { at_ns, order: self.order, what }));
    }

    fn handle(&mut self, what: What, more: bool) {
        match what {
            What::StepEnd { device, generation } => {
                if self.machines[device].generation == generation {
                    self.step_ended(device);
                }
            }
            What::Moved { place, epoch } => {
                if self.lives.get(place).epoch == epoch {
                    self.moved(place);
                }
            }
            What::Migrate => {
                self.migrate();
                // Without other events nothing will change any more.
                if let Some(period_ns) = self.options.migration_period_ns.filter(|_| more || !self.events.is_empty()) {
                    self.schedule(self.now_ns + period_ns.max(1), What::Migrate);
                }
            }
            What::Change(at) => self.change(self.options.changes[at]),
        }
    }

    pub(super) fn request(&self, place: u32) -> &'a Request {
        &self.workload.requests[self.lives.get(place).request as usize]
    }

    /// The whole blocks of a prompt: only those are kept for others.
    pub(super) fn blocks(&self, place: u32) -> &'a [u32] {
        let request = self.request(place);
        let whole = (u64::from(request.prompt_tokens) / self.block_tokens) as usize;
        let blocks = self.workload.blocks_of(request);
        &blocks[..blocks.len().min(whole)]
    }

    fn arrive(&mut self, number: usize, request: &Request) {
        let live = Live {
            request: number as u32,
            target: request.prompt_tokens,
            since_ns: self.now_ns,
            first_token_ns: i64::MIN,
            ..Live::default()
        };
        let place = self.lives.insert(live);
        self.alive += 1;
        self.place(place);
    }

    /// Gives a request to the device that computes its prompt, or what it has of context.
    pub(super) fn place(&mut self, place: u32) {
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
        let view = View { now_ns: self.now_ns, cluster: self.cluster, devices: &self.states };
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
        live.accepted = true;
        if live.first_token_ns == i64::MIN {
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
        state.kv_tokens += u64::from(live.target);
        if front { machine.waiting.push_front(place) } else { machine.waiting.push_back(place) }
    }

    pub(super) fn decided(&mut self, place: u32, chosen: Option<usize>) {
        if self.why.wanted {
            self.sink.decision(self.now_ns, self.lives.get(place).request, chosen, &self.why);
            self.why.terms.clear();
        }
    }

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

    fn step_ended(&mut self, device: usize) {
        let machine = &mut self.machines[device];
        let Some(busy) = machine.busy.take() else { return };
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
        if sequences > 0 {
            machine.step += busy.steps;
            machine.kv_tokens += sequences * busy.steps;
            self.states[device].kv_tokens += sequences * busy.steps;
            self.finish(device);
        }
        self.leave(device);
        let chunks = std::mem::take(&mut self.machines[device].chunks);
        for &(place, tokens) in &chunks {
            self.prefilled(device, place, tokens);
        }
        let mut chunks = chunks;
        chunks.clear();
        self.machines[device].chunks = chunks;
        self.plan(device);
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

    fn complete(&mut self, place: u32) {
        let live = *self.lives.get(place);
        let device = live.device as usize;
        if live.phase == Phase::Running {
            self.span(place, SpanKind::Decode, device, live.since_ns, 0);
        }
        self.free(place, device, live.private, live.held);
        self.states[device].kv_tokens -= u64::from(live.context);
        let tokens = i64::from(live.generated) - 1;
        let tpot_ns = (tokens > 0).then(|| (self.now_ns - live.first_token_ns) / tokens.max(1));
        let view = View { now_ns: self.now_ns, cluster: self.cluster, devices: &self.states };
        self.policy.observe(&Observation::Finished { device, tpot_ns }, &view);
        if live.phase == Phase::Running {
            self.states[device].running -= 1;
        }
        self.outcome(place, Status::Ok);
    }

    /// Tells the end of a request and forgets it.
    pub(super) fn outcome(&mut self, place: u32, status: Status) {
        let live = *self.lives.get(place);
        let request = self.request(place);
        let began = live.first_token_ns != i64::MIN;
        let placed = live.phase != Phase::Gone;
        self.sink.outcome(&Outcome {
            request: live.request,
            arrival_ns: request.arrival_ns,
            first_token_ns: began.then_some(live.first_token_ns),
            end_ns: self.now_ns,
            prompt_tokens: request.prompt_tokens,
            output_tokens: live.generated,
            cached_tokens: live.cached_tokens,
            tier: request.tier,
            prefill_device: began.then_some(live.prefilled_on).or((placed).then_some(live.device)),
            decode_device: (live.generated > 1).then_some(live.device),
            predicted_ttft_ns: live.predicted_ttft_ns,
            migrations: live.migrations,
            preemptions: live.preemptions,
            status,
        });
        self.lives.remove(place);
        self.alive -= 1;
    }

    /// Ends a request that holds nothing.
    pub(super) fn give_up(&mut self, place: u32, reason: &'static str) {
        self.outcome(place, Status::Failed(reason));
    }

    pub(super) fn span(&mut self, place: u32, kind: SpanKind, device: usize, start_ns: i64, bytes: u64) {
        let request = self.lives.get(place).request;
        self.sink.span(&Span { request, kind, device: device as u8, start_ns, end_ns: self.now_ns, bytes });
    }

    /// A chunk of a prompt was computed.
    fn prefilled(&mut self, device: usize, place: u32, tokens: u32) {
        let live = self.lives.get_mut(place);
        live.context += tokens;
        live.expected -= tokens;
        self.states[device].waiting_tokens -= u64::from(tokens);
        if live.context < live.target {
            return;
        }
        // The first of the prompts that are being computed ends first.
        self.machines[device].prefilling.retain(|&other| other != place);
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

    /// Takes a waiting request out of its device's state.
    pub(super) fn unqueue(&mut self, place: u32) {
        let live = self.lives.get(place);
        let state = &mut self.states[live.device as usize];
        state.waiting -= 1;
        state.waiting_tokens -= u64::from(live.expected);
        state.kv_tokens -= u64::from(live.target);
    }
}
