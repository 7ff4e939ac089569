//! A request ends, and what is told of it.

use super::engine::Engine;
use super::live::Phase;
use super::record::{Outcome, Span, SpanKind, Status};
use crate::{Observation, View};

impl Engine<'_> {
    pub(super) fn complete(&mut self, place: u32) {
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
            // One that computes its context again may be where nobody decodes.
            decode_device: Some(live.device)
                .filter(|&device| live.generated > 1 && self.cluster.devices[usize::from(device)].role.decodes()),
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
}
