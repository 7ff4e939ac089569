//! The sink that writes what the simulator tells.

use std::io::Write;

use super::{DecisionRow, EventRow, Id, Known, Log, RequestRow, SampleRow, StepRow};
use crate::admission::Slos;
use crate::policy::State;
use crate::{Cause, Duty, Explanation, Outcome, Run, Sink, Span, SpanKind, Status};

/// Writes what the simulator tells. A sampled value goes on until it changes: a row covers the time from the first sample
/// that has it to the first that has another.
#[derive(Debug)]
pub struct Simulated<W: Write> {
    log: Log<W>,
    devices: Vec<Known>,
    policy: String,
    slos: Slos,
    /// Whether decisions are told: then refusals are, too.
    explained: bool,
    /// The values of each device that hold since some moment, in the order of [`METRICS`].
    open: Vec<[Held; METRICS.len()]>,
    sampled_ns: i64,
    /// Whether each device must be paid for, where that was told of any.
    paid: Vec<Held>,
    latest_ns: i64,
}

/// A value that holds since a moment.
#[derive(Clone, Copy, Debug)]
struct Held {
    since_ns: i64,
    value: f64,
}

/// Name and unit.
type Metric = (&'static str, &'static str);

/// What is sampled.
pub(super) const METRICS: [Metric; 5] = [
    ("waiting_requests", "requests"),
    ("waiting_tokens", "tokens"),
    ("running_requests", "requests"),
    ("kv_usage_ratio", "ratio"),
    ("up", "ratio"),
];
/// Whether a device must be paid for: of a cluster that grows and shrinks.
const PAID: Metric = ("paid", "ratio");

impl<W: Write> Simulated<W> {
    /// Writes into a log of the cluster that is simulated; the tiers' agreements stand in each request's row.
    pub fn new(log: Log<W>, policy: &str, slos: &Slos) -> Self {
        let devices = log.devices.clone();
        Self {
            log,
            devices,
            policy: policy.to_owned(),
            slos: *slos,
            explained: false,
            open: Vec::new(),
            sampled_ns: 0,
            paid: Vec::new(),
            latest_ns: 0,
        }
    }

    /// The log, for what else is to be written and its end. The values that still hold end with the last sample.
    pub fn into_log(mut self) -> Log<W> {
        for (device, held) in std::mem::take(&mut self.open).into_iter().enumerate() {
            for (metric, held) in held.into_iter().enumerate() {
                self.held(device, METRICS[metric], held, self.sampled_ns);
            }
        }
        for (device, held) in std::mem::take(&mut self.paid).into_iter().enumerate() {
            self.held(device, PAID, held, self.latest_ns);
        }
        self.log
    }

    /// Writes a value that holds no longer.
    fn held(&mut self, device: usize, (metric, unit): Metric, held: Held, end_ns: i64) {
        let (device, start_ns, value) = (device as i64, held.since_ns, held.value);
        // The memory of a device that holds nothing has no share in use.
        if value.is_finite() {
            self.log.sample(&SampleRow { metric, unit: Some(unit), device, start_ns, end_ns, value });
        }
    }

    /// The decision about a request that was refused, with what was predicted and agreed on; its row says for which reason.
    fn refused(&mut self, outcome: &Outcome) {
        let predicted = outcome.predicted_ttft_ns as f64;
        let agreed = self.slos.of(outcome.tier).ttft_ns as f64;
        self.log.decision(&DecisionRow {
            request: outcome.request.into(),
            t_ns: outcome.end_ns,
            kind: cause(Cause::Admit),
            policy: &self.policy,
            terms: &[("predicted_ttft_ns", predicted), ("slo_ttft_ns", agreed)],
            ..DecisionRow::default()
        });
    }
}

impl<W: Write> Sink for Simulated<W> {
    fn outcome(&mut self, outcome: &Outcome) {
        self.latest_ns = self.latest_ns.max(outcome.end_ns);
        let (status, reason) = match outcome.status {
            Status::Ok => ("ok", None),
            Status::Rejected(reason) => ("rejected", Some(reason)),
            Status::Failed(reason) => ("failed", Some(reason)),
            Status::Aborted(reason) => ("aborted", Some(reason)),
        };
        let slo = self.slos.of(outcome.tier);
        let device = |device: Option<u8>| device.map(i64::from);
        let began = outcome.first_token_ns.is_some();
        self.log.request(&RequestRow {
            request: Id::from(outcome.request),
            arrival_ns: outcome.arrival_ns,
            first_token_ns: outcome.first_token_ns,
            end_ns: Some(outcome.end_ns),
            prompt_tokens: Some(outcome.prompt_tokens.into()),
            output_tokens: Some(outcome.output_tokens.into()),
            cached_tokens: began.then_some(outcome.cached_tokens.into()),
            priority: Some(outcome.tier as i64),
            tier: Some(outcome.tier.name()),
            slo_ttft_ns: Some(slo.ttft_ns),
            slo_tpot_ns: Some(slo.tpot_ns),
            // One that was placed nowhere has none.
            predicted_ttft_ns: Some(outcome.predicted_ttft_ns).filter(|&ns| ns > 0),
            policy: Some(&self.policy),
            prefill_device: device(outcome.prefill_device),
            decode_device: device(outcome.decode_device),
            // The device that computes a prompt makes its first token.
            first_token_device: device(outcome.prefill_device).filter(|_| began),
            status,
            reason,
        });
        if self.explained && status == "rejected" {
            self.refused(outcome);
        }
    }

    fn span(&mut self, span: &Span) {
        self.log.event(&EventRow {
            kind: kind(span.kind),
            request: span.request.into(),
            device: Some(span.device.into()),
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            bytes: matches!(span.kind, SpanKind::KvTransfer | SpanKind::Migrate).then(|| signed(span.bytes)),
        });
    }

    fn steps(&mut self, run: &Run) {
        let first = StepRow {
            device: run.device.into(),
            start_ns: run.start_ns,
            end_ns: run.end_ns,
            prefill_tokens: Some(signed(run.prefill_tokens)),
            decode_batch: Some(signed(run.sequences)),
            kv_tokens: Some(signed(run.kv_tokens)),
        };
        self.log.steps(&first, run.ends_ns());
    }

    fn sample(&mut self, at_ns: i64, devices: &[State]) {
        (self.sampled_ns, self.latest_ns) = (at_ns, self.latest_ns.max(at_ns));
        for (device, state) in devices.iter().enumerate() {
            let now = values(state, self.devices.get(device)).map(|value| Held { since_ns: at_ns, value });
            if device == self.open.len() {
                self.open.push(now);
                continue;
            }
            for (metric, now) in now.into_iter().enumerate() {
                let before = self.open[device][metric];
                // Bits, so that a share that is no number does not change all the time.
                if before.value.to_bits() != now.value.to_bits() {
                    self.held(device, METRICS[metric], before, at_ns);
                    self.open[device][metric] = now;
                }
            }
        }
    }

    /// All devices serve, and are paid for, from the start until something else is told.
    fn duty(&mut self, at_ns: i64, device: usize, duty: Duty) {
        self.latest_ns = self.latest_ns.max(at_ns);
        self.paid.resize(self.devices.len().max(self.paid.len()), Held { since_ns: 0, value: 1.0 });
        let now = Held { since_ns: at_ns, value: f64::from(u8::from(duty.costs())) };
        let Some(&before) = self.paid.get(device).filter(|before| before.value.to_bits() != now.value.to_bits()) else {
            return;
        };
        if before.since_ns < at_ns {
            self.held(device, PAID, before, at_ns);
        }
        self.paid[device] = now;
    }

    fn decision(&mut self, at_ns: i64, request: u32, chosen: Option<usize>, why: &Explanation) {
        self.explained = true;
        let name = |device: usize| self.devices.get(device).map(|known| known.name.as_str());
        self.log.decision(&DecisionRow {
            request: request.into(),
            t_ns: at_ns,
            kind: cause(why.cause),
            policy: &self.policy,
            chosen: chosen.and_then(name),
            score: chosen.map(|_| why.score),
            terms: &why.terms,
            runner_up: why.runner_up.and_then(|(device, score)| Some((name(device)?, score))),
        });
    }
}

/// What is sampled of a device, in the order of [`METRICS`].
fn values(state: &State, known: Option<&Known>) -> [f64; METRICS.len()] {
    let capacity = known.map_or(0, |known| known.kv_capacity_tokens);
    [
        f64::from(state.waiting),
        state.waiting_tokens as f64,
        f64::from(state.running),
        state.kv_tokens as f64 / capacity as f64,
        f64::from(u8::from(state.up)),
    ]
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Queued => "queued",
        SpanKind::Prefill => "prefill",
        SpanKind::KvTransfer => "kv_transfer",
        SpanKind::Decode => "decode",
        SpanKind::Preempt => "preempt",
        SpanKind::Migrate => "migrate",
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Admit => "admit",
        Cause::Prefill => "prefill",
        Cause::Decode => "decode",
        Cause::Migrate => "migrate",
    }
}

/// Tables hold signed numbers.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
