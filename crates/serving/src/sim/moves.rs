//! Requests that go from one device to another: after their prompt, and by migration.

use super::Status;
use super::device::{free_tokens, make_room};
use super::engine::{Engine, What};
use super::live::Phase;
use super::record::{Duty, SpanKind};
use crate::{Ask, Cause, Migration, Role, View};

impl Engine<'_> {
    /// Decides where a request decodes whose prompt is computed.
    pub(super) fn place_decode(&mut self, place: u32) {
        let from = self.lives.get(place).device as usize;
        let chosen = self.choose_decode(place, from);
        self.decided(place, chosen);
        let Some(to) = chosen else {
            let live = *self.lives.get(place);
            self.free(place, from, live.private, live.held);
            self.states[from].kv_tokens -= u64::from(live.context);
            return self.outcome(place, Status::Failed("no device decodes"));
        };
        self.states[to].running += 1;
        if to == from {
            self.lives.get_mut(place).phase = Phase::Joining;
            self.machines[from].joining.push_back(place);
        } else {
            self.send(place, to);
        }
    }

    fn choose_decode(&mut self, place: u32, from: usize) -> Option<usize> {
        // What a device computed that also decodes stays there: nobody is compared, and this comes once a request.
        if self.cluster.devices[from].role.decodes() && self.states[from].up {
            self.refresh_device(from);
        } else {
            self.refresh();
        }
        let (request, blocks) = (self.request(place), self.blocks(place));
        self.caches.prefixes(blocks, &mut self.cached);
        let block_tokens = self.block_tokens as u32;
        self.cached.iter_mut().for_each(|cached| *cached *= block_tokens);
        let number = self.lives.get(place).request as usize;
        let ask = Ask { number, request, cached_tokens: &self.cached, prefilled_on: Some(from) };
        let able = self.able(self.lives.get(place).context.into(), Role::decodes);
        let devices = able.as_deref().unwrap_or(&self.states);
        let view = View { now_ns: self.now_ns, cluster: self.cluster, devices };
        self.why.cause = Cause::Decode;
        let chosen = self.policy.place_decode(&ask, &view, &mut self.why);
        let chosen = chosen.filter(|&device| self.states[device].up && self.cluster.devices[device].role.decodes());
        // Where nobody else does, a device that finishes what it has decodes what it computed.
        let stays = self.duties[from] == Duty::Draining && self.cluster.devices[from].role.decodes();
        chosen.or_else(|| stays.then_some(from))
    }

    /// Sends a request with its context to another device, once that has memory for it. Until it is there, it holds its
    /// memory where it was.
    fn send(&mut self, place: u32, to: usize) {
        let now_ns = self.now_ns;
        let live = self.lives.get_mut(place);
        let context = u64::from(live.context);
        (live.from, live.device, live.phase, live.since_ns) = (live.device, to as u8, Phase::Incoming, now_ns);
        self.states[live.from as usize].kv_tokens -= context;
        self.states[to].kv_tokens += context;
        self.machines[to].incoming.push_back((place, live.epoch));
        self.receive(to);
    }

    /// Starts the transfers of requests that fit into the memory, in the order in which they were sent. Those who lost their
    /// memory here come first: else a device that is sent enough would never have any for them.
    pub(super) fn receive(&mut self, device: usize) {
        if self.comes_back(device) {
            return;
        }
        let block_tokens = self.block_tokens;
        let capacity = self.cluster.devices[device].kv_capacity_tokens;
        while let Some(&(place, epoch)) = self.machines[device].incoming.front() {
            let live = *self.lives.get(place);
            if live.epoch != epoch || live.phase != Phase::Incoming {
                self.machines[device].incoming.pop_front();
                continue;
            }
            let blocks = self.blocks(place);
            let held = self.caches.prefix(device, blocks);
            self.caches.take(device, &blocks[..held]);
            let need = u64::from(live.context) - held as u64 * block_tokens;
            let machine = &self.machines[device];
            let spare = machine.sequences;
            if !make_room(machine, &mut self.caches, device, capacity, block_tokens, need + spare) {
                self.caches.release(device, &blocks[..held]);
                if u64::from(live.context) + 1 > capacity {
                    self.machines[device].incoming.pop_front();
                    self.drop_incoming(place);
                    continue;
                }
                return;
            }
            self.machines[device].incoming.pop_front();
            self.machines[device].private += need;
            self.transfer(place, device, held, need);
        }
    }

    /// Gives up a request whose context fits nowhere.
    fn drop_incoming(&mut self, place: u32) {
        let live = *self.lives.get(place);
        self.free(place, live.from as usize, live.private, live.held);
        let state = &mut self.states[live.device as usize];
        state.running -= 1;
        state.kv_tokens -= u64::from(live.context);
        self.give_up(place, "its context is larger than the KV memory");
        // Later: it may be amid a plan of its own.
        self.schedule(self.now_ns, What::Freed(usize::from(live.from)));
    }

    fn transfer(&mut self, place: u32, device: usize, held: usize, need: u64) {
        let live = *self.lives.get(place);
        let from = live.from as usize;
        let free_ns = self.machines[from].sending_until_ns.max(self.machines[device].receiving_until_ns);
        let start_ns = self.now_ns.max(free_ns);
        let end_ns = start_ns + self.cluster.link(from, device).duration_ns(need * self.cluster.kv_bytes_per_token);
        self.machines[from].sending_until_ns = end_ns;
        self.machines[device].receiving_until_ns = end_ns;
        if live.since_ns < start_ns {
            self.sink.span(&super::Span {
                request: live.request,
                kind: SpanKind::Queued,
                device: device as u8,
                start_ns: live.since_ns,
                end_ns: start_ns,
                bytes: 0,
            });
        }
        let live = self.lives.get_mut(place);
        (live.from_private, live.from_held) = (live.private, live.held);
        (live.private, live.held) = (need as u32, held as u32);
        (live.phase, live.since_ns) = (Phase::Moving, start_ns);
        let epoch = live.epoch;
        self.schedule(end_ns, What::Moved { place, epoch });
    }

    /// A request has arrived with its context.
    pub(super) fn moved(&mut self, place: u32) {
        let live = *self.lives.get(place);
        let (from, device) = (live.from as usize, live.device as usize);
        self.free(place, from, live.from_private, live.from_held);
        let kind = if live.moving { SpanKind::Migrate } else { SpanKind::KvTransfer };
        let bytes = u64::from(live.private) * self.cluster.kv_bytes_per_token;
        self.span(place, kind, device, live.since_ns, bytes);
        self.keep(place);
        let live = self.lives.get_mut(place);
        (live.phase, live.moving, live.since_ns) = (Phase::Joining, false, self.now_ns);
        self.machines[device].joining.push_back(place);
        self.wake(device);
        // Memory came free where it was.
        self.wake(from);
        self.drained(from);
    }

    /// Asks the policy for migrations and lets the requests go after the step in progress.
    pub(super) fn migrate(&mut self) {
        let mut plan = std::mem::take(&mut self.migrations);
        plan.clear();
        self.refresh();
        let view = View { now_ns: self.now_ns, cluster: self.cluster, devices: &self.states };
        self.policy.plan_migrations(&view, &mut plan);
        for migration in &plan {
            self.start(migration);
        }
        self.migrations = plan;
    }

    fn start(&mut self, migration: &Migration) {
        let Migration { from, to, count, gap } = *migration;
        let able = |device: usize| {
            self.states.get(device).is_some_and(|state| state.up) && self.cluster.devices[device].role.decodes()
        };
        if from == to || !able(from) || !able(to) {
            return;
        }
        let machine = &self.machines[from];
        let most = self.cluster.devices[to].kv_capacity_tokens;
        let goes = |place: &u32| {
            machine.leaving.iter().all(|(leaving, ..)| leaving != place) && self.context(*place, from) < most
        };
        let mut members: Vec<u32> = machine.members(&self.lives).filter(goes).collect();
        members.sort_unstable_by_key(|&place| {
            let live = self.lives.get(place);
            let steps = machine.step - live.joined;
            let tier = self.workload.requests[live.request as usize].tier;
            (std::cmp::Reverse(tier), u64::from(live.context) + steps, std::cmp::Reverse(live.request))
        });
        members.truncate(count as usize);
        for place in members {
            let epoch = self.lives.get(place).epoch;
            self.machines[from].leaving.push((place, epoch, to, gap));
        }
        self.wake(from);
    }

    /// Tokens in the context of a request that decodes on a device.
    fn context(&self, place: u32, device: usize) -> u64 {
        let live = self.lives.get(place);
        u64::from(live.context) + (self.machines[device].step - live.joined)
    }

    /// Whether a device has memory for so many tokens at once. A request that decodes does not wait for it elsewhere: it
    /// would keep what it holds, and those who wait for that might hold what it waits for.
    fn has_room(&self, device: usize, tokens: u64) -> bool {
        let (machine, capacity) = (&self.machines[device], self.cluster.devices[device].kv_capacity_tokens);
        let free = free_tokens(machine, &self.caches, device, capacity, self.block_tokens);
        let able = free + self.caches.unused(device) * self.block_tokens;
        let first = machine.incoming.is_empty() && !self.comes_back(device);
        first && tokens < capacity && tokens + machine.sequences <= able
    }

    /// Whether the next prompt of a device is that of a request which had tokens already and computes its context again.
    fn comes_back(&self, device: usize) -> bool {
        self.machines[device].waiting.front().is_some_and(|&place| self.lives.get(place).generated > 0)
    }

    /// Lets the requests go that were to leave after this step.
    pub(super) fn leave(&mut self, device: usize) {
        let mut leaving = std::mem::take(&mut self.machines[device].leaving);
        for &(place, epoch, to, gap) in &leaving {
            let live = *self.lives.get(place);
            if live.epoch != epoch || live.phase != Phase::Running || !self.states[to].up {
                continue;
            }
            if !self.has_room(to, self.context(place, device)) {
                continue;
            }
            // A plan that comes to nothing is no decision.
            self.why.cause = Cause::Migrate;
            (self.why.score, self.why.runner_up) = (gap, Some((device, 0.0)));
            self.decided(place, Some(to));
            self.unseat(place);
            self.span(place, SpanKind::Decode, device, live.since_ns, 0);
            let live = self.lives.get_mut(place);
            (live.moving, live.migrations) = (true, live.migrations + 1);
            self.states[device].running -= 1;
            self.states[to].running += 1;
            self.send(place, to);
        }
        leaving.clear();
        self.machines[device].leaving = leaving;
    }
}
