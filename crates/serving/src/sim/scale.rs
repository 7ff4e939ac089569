//! Replicas that start and stop, see [`crate::autoscale`].

use super::engine::{Engine, What};
use super::record::Duty;
use crate::autoscale::{Load, Pool, Scaling};
use crate::policy::State;
use crate::{Observation, View};

impl Engine<'_> {
    /// Turns off what a run does not begin with.
    pub(super) fn begin_scaling(&mut self, start_ns: i64) {
        let Some(autoscale) = &self.options.autoscale else { return };
        for pool in Pool::ALL {
            let Some(scaling) = autoscale.of(pool) else { continue };
            for device in self.pool(pool).into_iter().skip(scaling.least) {
                self.states[device].up = false;
                self.turn(device, Duty::Off);
            }
        }
        self.tick(start_ns.saturating_add(autoscale.period_ns), What::Scale);
    }

    /// Looks at the load of each pool, and starts or stops a replica where it should.
    pub(super) fn scale(&mut self, arrival_ns: Option<i64>) {
        let Some(autoscale) = &self.options.autoscale else { return };
        for pool in Pool::ALL {
            let devices = self.pool(pool);
            for &device in &devices {
                self.drained(device);
            }
            let load = self.load(pool, &devices, autoscale.period_ns);
            if let Some(scaling) = autoscale.of(pool) {
                self.adjust(scaling, &devices, &load, autoscale.start_up_ns);
            }
        }
        // A pool shrinks also while nobody is there.
        let settled = arrival_ns.filter(|_| Pool::ALL.into_iter().all(|pool| self.is_least(pool)));
        let arrival_ns = arrival_ns.map(|at_ns| settled.unwrap_or(self.now_ns).min(at_ns));
        if let Some(at_ns) = self.next_ns(autoscale.period_ns, arrival_ns) {
            self.tick(at_ns, What::Scale);
        }
    }

    /// Whether a pool has as few replicas as it may.
    fn is_least(&self, pool: Pool) -> bool {
        let scaling = self.options.autoscale.as_ref().and_then(|autoscale| autoscale.of(pool));
        let devices = self.pool(pool);
        let more = self.count(&devices, Duty::Starting) + self.count(&devices, Duty::Draining);
        scaling.is_none_or(|scaling| more == 0 && self.count(&devices, Duty::Serving) <= scaling.least)
    }

    fn pool(&self, pool: Pool) -> Vec<usize> {
        (0..self.states.len()).filter(|&device| pool.has(self.cluster.devices[device].role)).collect()
    }

    fn count(&self, devices: &[usize], duty: Duty) -> usize {
        devices.iter().filter(|&&device| self.duties[device] == duty).count()
    }

    /// Load of a replica in the mean, those that start counted in.
    fn load(&mut self, pool: Pool, devices: &[usize], period_ns: i64) -> Load {
        let (mut waiting, mut usage) = (0, 0.0);
        for &device in devices {
            let worked_ns = self.machines[device].worked_since_last(self.now_ns);
            if self.duties[device] != Duty::Serving {
                continue;
            }
            waiting += u64::from(self.states[device].requests().saturating_sub(self.machines[device].batch()));
            usage += match pool {
                Pool::Prefill => worked_ns as f64 / period_ns as f64,
                Pool::Decode => {
                    let capacity = self.cluster.devices[device].kv_capacity_tokens as f64;
                    self.held_tokens(device, self.now_ns) as f64 / capacity
                }
            };
        }
        let replicas = self.count(devices, Duty::Serving) + self.count(devices, Duty::Starting);
        let replicas = replicas.max(1) as f64;
        Load { queue_length: waiting as f64 / replicas, usage_ratio: usage / replicas }
    }

    fn adjust(&mut self, scaling: &Scaling, devices: &[usize], load: &Load, start_up_ns: i64) {
        let serving = self.count(devices, Duty::Serving);
        let starting = self.count(devices, Duty::Starting);
        let draining = self.count(devices, Duty::Draining);
        let above = load.queue_length >= scaling.up.queue_length || load.usage_ratio >= scaling.up.usage_ratio;
        let below = load.queue_length <= scaling.down.queue_length && load.usage_ratio <= scaling.down.usage_ratio;
        if serving + starting < scaling.least || (above && serving + starting < scaling.most) {
            let first = |duty| devices.iter().copied().find(|&device| self.duties[device] == duty);
            if let Some(device) = first(Duty::Draining) {
                self.serve(device);
            } else if let Some(device) = first(Duty::Off).filter(|_| serving + starting < scaling.most) {
                self.start_up(device, start_up_ns);
            }
        } else if below && serving > scaling.least && starting + draining == 0 {
            let able = devices.iter().copied().filter(|&device| self.duties[device] == Duty::Serving);
            let least = able.min_by_key(|&device| (self.states[device].requests(), std::cmp::Reverse(device)));
            if let Some(device) = least {
                self.drain(device);
            }
        }
    }

    /// Whether the pool of a device has as many replicas as it may.
    pub(super) fn is_full(&self, device: usize) -> bool {
        let Some(autoscale) = &self.options.autoscale else { return false };
        let has = |pool: &Pool| pool.has(self.cluster.devices[device].role);
        let Some(pool) = Pool::ALL.into_iter().find(has) else { return false };
        let devices = self.pool(pool);
        let there = self.count(&devices, Duty::Serving) + self.count(&devices, Duty::Starting);
        autoscale.of(pool).is_some_and(|scaling| there >= scaling.most)
    }

    fn start_up(&mut self, device: usize, start_up_ns: i64) {
        self.turn(device, Duty::Starting);
        self.starts[device] += 1;
        let start = self.starts[device];
        self.schedule(self.now_ns.saturating_add(start_up_ns), What::Started { device, start });
    }

    /// A replica's start-up time is over, unless it has failed meanwhile.
    pub(super) fn started_up(&mut self, device: usize, start: u32) {
        if self.duties[device] == Duty::Starting && self.starts[device] == start {
            self.serve(device);
        }
    }

    fn serve(&mut self, device: usize) {
        self.states[device].up = true;
        self.turn(device, Duty::Serving);
        self.tell(device, true);
    }

    fn drain(&mut self, device: usize) {
        self.states[device].up = false;
        self.turn(device, Duty::Draining);
        self.tell(device, false);
        self.drained(device);
    }

    /// Turns a draining replica off when it has nothing left to do.
    pub(super) fn drained(&mut self, device: usize) {
        if self.duties[device] != Duty::Draining || self.states[device].requests() > 0 {
            return;
        }
        // Memory that a request holds which is on its way from here.
        let holds = self.machines[device].private > 0 || self.caches.unused(device) < self.caches.resident(device);
        if !holds {
            self.caches.clear(device);
            self.states[device] = State::default();
            self.turn(device, Duty::Off);
        }
    }

    /// Whether a device computes: it serves, or finishes what it has.
    pub(super) fn works(&self, device: usize) -> bool {
        matches!(self.duties[device], Duty::Serving | Duty::Draining)
    }

    pub(super) fn turn(&mut self, device: usize, duty: Duty) {
        self.duties[device] = duty;
        self.sink.duty(self.now_ns, device, duty);
    }

    fn tell(&mut self, device: usize, up: bool) {
        let view = View { now_ns: self.now_ns, cluster: self.cluster, devices: &self.states };
        self.policy.observe(&Observation::Changed { device, up }, &view);
    }
}
