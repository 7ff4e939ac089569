//! Devices that fail and come back, runs that are stopped, and what becomes of the requests there.

use super::device::Machine;
use super::engine::Engine;
use super::live::Phase;
use super::record::{Change, Duty, SpanKind, Status};
use crate::policy::State;
use crate::{Observation, View};

impl Engine<'_> {
    /// A device goes down or comes back. Its requests compute their context again elsewhere.
    pub(super) fn change(&mut self, change: Change) {
        let Change { device, up, .. } = change;
        if up != (self.duties[device] == Duty::Failed) {
            return;
        }
        let worked = self.works(device);
        let duty = match up {
            false => Duty::Failed,
            true if self.is_full(device) => Duty::Off,
            true => Duty::Serving,
        };
        self.turn(device, duty);
        self.states[device].up = duty == Duty::Serving;
        if worked {
            self.stop(device);
        }
        if up && duty == Duty::Off {
            return;
        }
        let view = View { now_ns: self.now_ns, cluster: self.cluster, devices: &self.states };
        self.policy.observe(&Observation::Changed { device, up }, &view);
    }

    fn stop(&mut self, device: usize) {
        let mut lost: Vec<u32> = Vec::new();
        let mut again: Vec<u32> = Vec::new();
        let mut places: Vec<u32> = self.lives.places().collect();
        places.sort_unstable_by_key(|&place| self.lives.get(place).request);
        for place in places {
            let live = *self.lives.get(place);
            let moves = matches!(live.phase, Phase::Incoming | Phase::Moving);
            match (live.device as usize == device, moves && live.from as usize == device) {
                (_, true) => {
                    self.forget_target(place);
                    lost.push(place);
                }
                (true, false) if moves => again.push(place),
                (true, false) => lost.push(place),
                (false, false) => {}
            }
        }
        self.break_off(device);
        let step = self.machines[device].step;
        for &place in &lost {
            self.interrupt(place);
            let live = self.lives.get_mut(place);
            if live.phase == Phase::Running {
                let steps = (step - live.joined) as u32;
                (live.context, live.generated) = (live.context + steps, live.generated + steps);
            }
            // One whose context is being computed keeps its aim.
            if !matches!(live.phase, Phase::Waiting | Phase::Prefilling) {
                live.target = live.context + 1;
            }
            (live.private, live.held, live.context, live.moving) = (0, 0, 0, false);
            live.epoch += 1;
        }
        for &place in &again {
            self.return_to_source(place);
        }
        let machine = &mut self.machines[device];
        let generation = machine.generation + 1;
        *machine = Machine { generation, ..Machine::default() };
        self.caches.clear(device);
        self.states[device] = State::default();
        let now_ns = self.now_ns;
        for place in lost {
            self.lives.get_mut(place).since_ns = now_ns;
            self.place(place);
        }
        for place in again {
            self.place_decode(place);
        }
        // Memory may have come free anywhere.
        (0..self.machines.len()).filter(|&other| other != device).for_each(|other| self.wake(other));
    }

    /// Ends a run before its time: the steps that have ended are told, and everybody who is there ends as aborted.
    pub(super) fn abort(&mut self) {
        if self.options.sample_period_ns.is_some() {
            self.sample(self.now_ns);
        }
        (0..self.machines.len()).for_each(|device| self.break_off(device));
        let mut places: Vec<u32> = self.lives.places().collect();
        places.sort_unstable_by_key(|&place| self.lives.get(place).request);
        for place in places {
            self.interrupt(place);
            let live = self.lives.get_mut(place);
            if live.phase == Phase::Running {
                live.generated += (self.machines[live.device as usize].step - live.joined) as u32;
            }
            self.outcome(place, Status::Aborted("stopped: the run was interrupted"));
        }
    }

    /// Tells what a request was doing when it lost its device; a transfer that was broken off has moved nothing.
    fn interrupt(&mut self, place: u32) {
        let live = *self.lives.get(place);
        let kind = match live.phase {
            Phase::Waiting | Phase::Incoming | Phase::Joining => SpanKind::Queued,
            Phase::Prefilling => SpanKind::Prefill,
            Phase::Running => SpanKind::Decode,
            Phase::Gone | Phase::Moving => return,
        };
        if live.since_ns < self.now_ns {
            self.span(place, kind, live.device as usize, live.since_ns, 0);
        }
    }

    /// Frees what a request whose source failed has reserved where it goes.
    fn forget_target(&mut self, place: u32) {
        let live = *self.lives.get(place);
        let device = live.device as usize;
        if live.phase == Phase::Moving {
            self.free(place, device, live.private, live.held);
        }
        self.states[device].running -= 1;
        self.states[device].kv_tokens -= u64::from(live.context);
    }

    /// Gives a request back to where its context still is.
    fn return_to_source(&mut self, place: u32) {
        let live = self.lives.get_mut(place);
        if live.phase == Phase::Moving {
            (live.private, live.held) = (live.from_private, live.from_held);
        }
        (live.device, live.phase, live.moving) = (live.from, Phase::Incoming, false);
        live.epoch += 1;
        self.states[live.device as usize].kv_tokens += u64::from(live.context);
    }
}
