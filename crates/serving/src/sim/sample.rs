//! What devices show from outside at a moment.

use super::engine::Engine;
use crate::policy::State;

impl Engine<'_> {
    /// The first moment at which the devices are shown: the first multiple of the period from `start_ns` on.
    pub(super) fn first_sample_ns(&self, start_ns: i64) -> i64 {
        self.options.sample_period_ns.map_or(i64::MAX, |period_ns| multiple(start_ns, period_ns))
    }

    /// Shows the devices at every multiple of the period before `next_ns`, when all that happens at it has happened. While
    /// nobody is there nothing changes: once is enough.
    pub(super) fn sample_before(&mut self, next_ns: i64) {
        let Some(period_ns) = self.options.sample_period_ns else { return };
        while self.sample_ns < next_ns {
            self.sample(self.sample_ns);
            let after_ns = if self.alive == 0 { multiple(next_ns, period_ns) } else { self.sample_ns };
            self.sample_ns = after_ns.max(self.sample_ns.saturating_add(period_ns));
        }
    }

    /// Shows the devices as they are, see [`super::Sink::sample`].
    pub(super) fn sample(&mut self, at_ns: i64) {
        let mut shown = std::mem::take(&mut self.shown);
        shown.clear();
        shown.extend((0..self.states.len()).map(|device| {
            let (state, running) = (&self.states[device], self.machines[device].batch());
            let waiting = state.requests().saturating_sub(running);
            State { waiting, running, kv_tokens: self.held_tokens(device, at_ns), ..*state }
        }));
        self.sink.sample(at_ns, &shown);
        self.shown = shown;
    }

    /// Tokens of memory that requests hold: what steps to come will fill is not counted, and shared blocks once.
    pub(super) fn held_tokens(&self, device: usize, at_ns: i64) -> u64 {
        let machine = &self.machines[device];
        let ahead = machine.busy.as_ref().filter(|busy| busy.steps > 1).map_or(0, |busy| {
            let begun = busy.line.begun(at_ns - busy.start_ns, busy.steps);
            (busy.steps - begun) * busy.batch.sequences
        });
        let shared = self.caches.resident(device) - self.caches.unused(device);
        machine.private - ahead + shared * self.block_tokens
    }
}

/// The first multiple of a period at or after a moment.
fn multiple(at_ns: i64, period_ns: i64) -> i64 {
    let before = at_ns.div_euclid(period_ns);
    let up = i64::from(at_ns.rem_euclid(period_ns) > 0);
    (before + up).saturating_mul(period_ns)
}
