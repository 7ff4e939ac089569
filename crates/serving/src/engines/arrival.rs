//! What happens to a request when it arrives.

use std::io::Write;
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::call::{Told, body, exchange};
use super::driver::{Driver, Event, Live};
use super::pacer::arrival_ns;
use super::{Ending, Endpoint, Failure, Served};
use crate::admission::Asked;
use crate::policy::{State, predict_ttft_ns};
use crate::{Ask, Cause, View};

/// Timers and the other thread take less; time to the first token is some ms and more.
const LATE_NS: i64 = 20_000_000;

impl<W: Write> Driver<'_, W> {
    /// Asks policy and admission about a request, and sends it.
    pub(super) fn arrive(&mut self, number: usize, rest: &str) {
        self.arrived += 1;
        let request = &self.job.workload.requests[number];
        let now_ns = self.job.clock.now_ns();
        let arrival_ns = arrival_ns(self.job.workload, self.start_ns, number);
        self.late(now_ns - arrival_ns);
        let mut served = Served {
            request: number,
            arrival_ns,
            sent_ns: None,
            first_token_ns: None,
            end_ns: now_ns,
            prompt_tokens: request.prompt_tokens,
            output_tokens: None,
            cached_tokens: None,
            endpoint: None,
            predicted_ttft_ns: None,
            ending: Ending::Ok,
        };
        self.books.cached(request, &mut self.cached);
        let ask = Ask { number, request, cached_tokens: &self.cached, prefilled_on: None };
        let able = self.able(u64::from(request.prompt_tokens) + u64::from(request.output_tokens));
        let devices = able.as_deref().unwrap_or(&self.books.states);
        let view = View { now_ns, cluster: self.cluster, devices };
        (self.why.cause, self.why.runner_up) = (Cause::Prefill, None);
        self.why.terms.clear();
        let chosen = self.policy.place_prefill(&ask, &view, &mut self.why);
        let chosen = chosen.filter(|&device| view.devices.get(device).is_some_and(|state| state.up));
        self.journal.decision(now_ns, number, chosen, &self.why);
        let Some(device) = chosen else {
            served.ending = Ending::Failed(Failure::NoEndpoint);
            return self.keep(served);
        };
        let predicted_ttft_ns = predict_ttft_ns(&view, device, &ask);
        // A device without a step model predicts nothing.
        let modelled = self.cluster.devices[device].steps.compute.prefill_token > 0.0;
        served.predicted_ttft_ns = modelled.then_some(predicted_ttft_ns);
        let slo = self.job.options.slos.of(request.tier);
        if let Err(reason) = self.admission.admit(&Asked { ask, device, predicted_ttft_ns, slo }, &view) {
            (self.why.cause, self.why.runner_up) = (Cause::Admit, None);
            self.journal.decision(now_ns, number, None, &self.why);
            served.ending = Ending::Rejected(reason);
            return self.keep(served);
        }
        served.endpoint = Some(device);
        let cached = self.cached[device];
        let held = self.books.place(request, device, cached);
        let task = self.send(number, device, rest);
        self.lives.insert(number, Live { held, served, cached, task });
    }

    /// The endpoints as a policy sees them that places a request of so many tokens, its output included: one whose context is
    /// shorter is not up. None where nobody is hidden, or nobody who is up would be left: then the engine's refusal is told.
    fn able(&self, tokens: u64) -> Option<Vec<State>> {
        let short = |endpoint: &Arc<Endpoint>| endpoint.context_tokens.is_some_and(|most| tokens > most);
        if !self.targets.iter().any(short) {
            return None;
        }
        let mut states = self.books.states.clone();
        for (state, endpoint) in states.iter_mut().zip(&self.targets) {
            state.up &= !short(endpoint);
        }
        states.iter().any(|state| state.up).then_some(states)
    }

    /// A request is looked at so long after it arrived: what this side loses counts in the time to the first token.
    fn late(&mut self, late_ns: i64) {
        if late_ns > LATE_NS {
            self.journal.issue("late", "info", || {
                format!(
                    "requests were placed more than {} ms after they arrived, the first of them {} ms: this side was too slow, and \
                     their times to the first token contain it",
                    LATE_NS / 1_000_000,
                    late_ns / 1_000_000
                )
            });
        }
    }

    fn send(&self, number: usize, device: usize, rest: &str) -> AbortHandle {
        let endpoint = Arc::clone(&self.targets[device]);
        let body = body(&endpoint.model, rest);
        let (tell, clock) = (self.tell.clone(), self.job.clock);
        let (limits, path) = (self.job.options.limits, self.job.options.protocol.path());
        let task = tokio::spawn(async move {
            // The loop hears everything as long as the request is live.
            let hears = |told: Told, at_ns: i64| drop(tell.send(Event::Told(number, told, at_ns)));
            let result = exchange((&endpoint.address, path), &body, (&limits, &clock), hears).await;
            let _ = tell.send(Event::Ended(number, clock.now_ns(), result));
        });
        task.abort_handle()
    }
}
