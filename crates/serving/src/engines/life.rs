//! What happens to a request after it was sent.

use std::io::Write;

use super::call::{Told, Whole};
use super::driver::{Driver, Live};
use super::{Ending, Failure, Served};
use crate::{Observation, View};

impl<W: Write> Driver<'_, W> {
    /// A stream goes on.
    pub(super) fn told(&mut self, number: usize, told: Told, at_ns: i64) {
        let Some(live) = self.lives.get_mut(&number) else { return };
        if told == Told::Sent {
            live.served.sent_ns = Some(at_ns);
            return;
        }
        let device = live.held.device;
        self.journal.token(number, device, at_ns);
        if !self.books.content(&mut live.held) {
            return;
        }
        live.served.first_token_ns = Some(at_ns);
        let observation = Observation::FirstToken {
            device,
            ttft_ns: at_ns - live.served.arrival_ns,
            prompt_tokens: live.served.prompt_tokens,
            // What the engine says comes with the stream's end.
            cached_tokens: live.cached,
        };
        self.observe(&observation);
    }

    /// Tells the policy.
    pub(super) fn observe(&mut self, observation: &Observation) {
        let view = View { now_ns: self.job.clock.now_ns(), cluster: self.cluster, devices: &self.books.states };
        self.policy.observe(observation, &view);
    }

    /// A stream ended.
    pub(super) fn ended(&mut self, number: usize, at_ns: i64, result: Result<Whole, Failure>) {
        let Some(Live { held, mut served, .. }) = self.lives.remove(&number) else { return };
        self.books.leave(&held);
        served.end_ns = at_ns;
        match result {
            Ok(whole) => {
                served.end_ns = whole.last_ns;
                self.count(&mut served, &whole);
                self.observe(&Observation::Finished { device: held.device, tpot_ns: served.tpot_ns() });
            }
            Err(failure) => {
                if failure.unreachable() {
                    self.change(held.device, false);
                }
                served.ending = Ending::Failed(failure);
            }
        }
        self.keep(served);
    }

    /// Takes over the engine's counts.
    fn count(&mut self, served: &mut Served, whole: &Whole) {
        let Some(usage) = whole.usage else {
            let what = || "streams ended without usage counts: their output tokens and TPOT are not known".to_owned();
            return self.journal.issue("no_usage", "data_loss", what);
        };
        served.prompt_tokens = usage.prompt_tokens.unwrap_or(served.prompt_tokens);
        served.output_tokens = usage.completion_tokens;
        served.cached_tokens = usage.cached_tokens();
        if served.cached_tokens.is_none() {
            let what =
                || "usage without cached_tokens (vLLM: --enable-prompt-tokens-details): cache hits are not known";
            self.journal.issue("no_cached_tokens", "info", || what().to_owned());
        }
    }

    /// Writes the row of a request that has ended.
    pub(super) fn keep(&mut self, served: Served) {
        self.journal.served(&served, self.job.workload.requests[served.request].tier);
        self.served.push(served);
    }

    /// An endpoint can't be reached, or answers again.
    pub(super) fn change(&mut self, device: usize, up: bool) {
        if self.books.states[device].up == up {
            return;
        }
        self.books.change(device, up);
        let name = &self.cluster.devices[device].name;
        let what =
            || format!("an endpoint could not be reached, {name} the first: nobody was sent there until it answered");
        if !up {
            self.journal.issue("endpoint_down", "info", what);
        }
        self.observe(&Observation::Changed { device, up });
    }
}
