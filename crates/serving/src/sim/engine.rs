//! The event loop.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::device::Machine;
use super::live::Slab;
use super::record::POLL_EVENTS;
use super::{Duty, Options, Sink};
use crate::admission::Admission;
use crate::cache::Caches;
use crate::policy::State;
use crate::{Cluster, Explanation, Migration, Policy, Request, Role, Workload};

pub(super) struct Engine<'a> {
    pub(super) workload: &'a Workload,
    pub(super) cluster: &'a Cluster,
    pub(super) policy: &'a mut dyn Policy,
    pub(super) admission: &'a mut dyn Admission,
    pub(super) options: &'a Options,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) now_ns: i64,
    events: BinaryHeap<Reverse<Event>>,
    order: u64,
    pub(super) machines: Vec<Machine>,
    pub(super) states: Vec<State>,
    /// When the next step of each device ends whose tokens its state lacks; those of a device that is idle mean nothing.
    pub(super) due_ns: Vec<i64>,
    pub(super) duties: Vec<Duty>,
    /// How often each device was started: the end of a start that failed is void.
    pub(super) starts: Vec<u32>,
    pub(super) caches: Caches,
    pub(super) lives: Slab,
    pub(super) alive: usize,
    pub(super) cached: Vec<u32>,
    pub(super) migrations: Vec<Migration>,
    pub(super) why: Explanation,
    pub(super) block_tokens: u64,
    /// Tokens that the memory of every device holds.
    least_capacity: u64,
    /// When the devices are shown next, and what is shown.
    pub(super) sample_ns: i64,
    pub(super) shown: Vec<State>,
    /// Events that come again and again: they alone change nothing.
    ticks: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_ns: i64,
    order: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    StepEnd {
        device: usize,
        generation: u32,
    },
    Moved {
        place: u32,
        epoch: u32,
    },
    Emerged {
        place: u32,
        epoch: u32,
    },
    Migrate,
    Change(usize),
    Scale,
    Started {
        device: usize,
        start: u32,
    },
    /// Memory came free on a device.
    Freed(usize),
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
            due_ns: vec![i64::MAX; devices],
            duties: vec![Duty::Serving; devices],
            starts: vec![0; devices],
            caches: Caches::new(devices, workload.distinct_blocks),
            lives: Slab::default(),
            alive: 0,
            cached: vec![0; devices],
            migrations: Vec::new(),
            why: Explanation { wanted: options.decisions, ..Explanation::default() },
            block_tokens: u64::from(workload.block_tokens.max(1)),
            least_capacity: cluster.devices.iter().map(|device| device.kv_capacity_tokens).min().unwrap_or(0),
            sample_ns: i64::MAX,
            shown: Vec::new(),
            ticks: 0,
        }
    }

    pub(super) fn run(mut self) {
        for (at, change) in self.options.changes.iter().enumerate() {
            self.schedule(change.at_ns, What::Change(at));
        }
        let start_ns = self.workload.requests.first().map_or(0, |request| request.arrival_ns);
        (self.now_ns, self.sample_ns) = (start_ns, self.first_sample_ns(start_ns));
        if let Some(period_ns) = self.options.migration_period_ns {
            self.tick(start_ns.saturating_add(period_ns), What::Migrate);
        }
        self.begin_scaling(start_ns);
        let mut arrivals = self.workload.requests.iter().enumerate().peekable();
        let mut events = 0_u32;
        loop {
            events = events.wrapping_add(1);
            if events.is_multiple_of(POLL_EVENTS) && self.sink.stopped() {
                return self.abort();
            }
            let arrival_ns = arrivals.peek().map(|(_, request)| request.arrival_ns);
            let event_ns = self.events.peek().map(|Reverse(event)| event.at_ns);
            match (event_ns, arrival_ns) {
                (None, None) => break,
                (Some(event_ns), arrival_ns) if arrival_ns.is_none_or(|arrival_ns| event_ns <= arrival_ns) => {
                    if arrival_ns.is_none() && self.alive == 0 {
                        break;
                    }
                    self.sample_before(event_ns);
                    let Some(Reverse(event)) = self.events.pop() else { break };
                    self.now_ns = event.at_ns;
                    self.handle(event.what, arrival_ns);
                }
                _ => {
                    let Some((number, request)) = arrivals.next() else { break };
                    self.sample_before(request.arrival_ns);
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
        if self.options.sample_period_ns.is_some() {
            self.sample(self.now_ns);
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

    /// Schedules what comes again after a period.
    pub(super) fn tick(&mut self, at_ns: i64, what: What) {
        self.ticks += 1;
        self.schedule(at_ns, what);
    }

    /// When something comes again that happens every period, in the same rhythm: not before the next request arrives where
    /// nobody is there, and never where nothing will change any more.
    pub(super) fn next_ns(&self, period_ns: i64, arrival_ns: Option<i64>) -> Option<i64> {
        let waits_ns = arrival_ns.filter(|_| self.alive == 0).map_or(0, |at_ns| at_ns.saturating_sub(self.now_ns));
        let periods = (waits_ns / period_ns + i64::from(waits_ns % period_ns > 0)).max(1);
        let goes_on = arrival_ns.is_some() || self.events.len() > self.ticks;
        goes_on.then(|| self.now_ns.saturating_add(period_ns.saturating_mul(periods)))
    }

    fn handle(&mut self, what: What, arrival_ns: Option<i64>) {
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
            What::Emerged { place, epoch } => {
                if self.lives.get(place).epoch == epoch {
                    self.emerged(place);
                }
            }
            What::Migrate => {
                self.ticks -= 1;
                self.migrate();
                let period_ns = self.options.migration_period_ns.unwrap_or(i64::MAX);
                if let Some(at_ns) = self.next_ns(period_ns, arrival_ns) {
                    self.tick(at_ns, What::Migrate);
                }
            }
            What::Change(at) => self.change(self.options.changes[at]),
            What::Scale => {
                self.ticks -= 1;
                self.scale(arrival_ns);
            }
            What::Started { device, start } => self.started_up(device, start),
            What::Freed(device) => {
                self.wake(device);
                self.drained(device);
            }
        }
    }

    /// The devices as a policy sees them that places a context on one of those that `may` have it: who lacks the memory for it
    /// and its next token is not up, as a router knows the longest context that an engine takes. None where all have the
    /// memory, or none has.
    pub(super) fn able(&self, tokens: u64, may: fn(Role) -> bool) -> Option<Vec<State>> {
        if tokens < self.least_capacity {
            return None;
        }
        let mut states = self.states.clone();
        let mut any = false;
        for (state, device) in states.iter_mut().zip(&self.cluster.devices) {
            state.up &= tokens < device.kv_capacity_tokens;
            any |= state.up && may(device.role);
        }
        any.then_some(states)
    }

    pub(super) fn request(&self, place: u32) -> &'a Request {
        &self.workload.requests[self.lives.get(place).request as usize]
    }

    /// The whole blocks of a prompt: only those are kept for others.
    pub(super) fn blocks(&self, place: u32) -> &'a [u32] {
        let request = self.request(place);
        let whole = (u64::from(request.prompt_tokens) / self.block_tokens) as usize;
        let whole = if self.options.no_prefix_cache { 0 } else { whole };
        let blocks = self.workload.blocks_of(request);
        &blocks[..blocks.len().min(whole)]
    }
}
