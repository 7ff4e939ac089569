//! What a run on engines writes into the log.

use std::collections::BTreeMap;
use std::io::Write;

use super::{Ending, Gauges, Options, Served};
use crate::admission::Slos;
use crate::log::{DecisionRow, EventRow, IssueRow, Log, RequestRow, SampleRow};
use crate::policy::State;
use crate::{Cause, Cluster, Explanation, Tier};

/// The log of a run, with what its rows have in common.
pub(super) struct Journal<'a, W: Write> {
    log: &'a mut Log<W>,
    cluster: &'a Cluster,
    policy: &'static str,
    slos: Slos,
    tokens: bool,
    /// Values that hold since a moment, of each device in the order of [`METRICS`].
    open: Vec<[Option<(i64, f64)>; METRICS.len()]>,
    issues: BTreeMap<&'static str, Issue>,
}

/// A problem and how often it occurred.
struct Issue {
    severity: &'static str,
    count: i64,
    detail: String,
}

/// Name and unit of what is sampled: the router's view, then what engines tell.
const METRICS: [(&str, &str); 8] = [
    ("waiting_requests", "requests"),
    ("waiting_tokens", "tokens"),
    ("running_requests", "requests"),
    ("kv_usage_ratio", "ratio"),
    ("up", "ratio"),
    ("engine_waiting_requests", "requests"),
    ("engine_running_requests", "requests"),
    ("engine_kv_usage_ratio", "ratio"),
];
/// Who finds problems here.
const SOURCE: &str = "router";

impl<'a, W: Write> Journal<'a, W> {
    pub(super) fn new(log: &'a mut Log<W>, cluster: &'a Cluster, policy: &'static str, options: &Options) -> Self {
        let open = vec![[None; METRICS.len()]; cluster.devices.len()];
        let issues = BTreeMap::new();
        Self { log, cluster, policy, slos: options.slos, tokens: options.tokens, open, issues }
    }

    /// A request has ended.
    pub(super) fn served(&mut self, served: &Served, tier: Tier) {
        let failure;
        let (status, reason) = match &served.ending {
            Ending::Ok => ("ok", None),
            Ending::Rejected(reason) => ("rejected", Some(*reason)),
            Ending::Aborted(reason) => ("aborted", Some(*reason)),
            Ending::Failed(why) => {
                failure = why.to_string();
                ("failed", Some(failure.as_str()))
            }
        };
        let slo = self.slos.of(tier);
        let device = served.endpoint.map(|endpoint| endpoint as i64);
        let began = served.first_token_ns.is_some();
        self.log.request(&RequestRow {
            request: (served.request as u64).into(),
            arrival_ns: served.arrival_ns,
            first_token_ns: served.first_token_ns,
            end_ns: Some(served.end_ns),
            prompt_tokens: Some(served.prompt_tokens.into()),
            output_tokens: served.output_tokens.map(i64::from),
            cached_tokens: served.cached_tokens.map(i64::from),
            priority: Some(tier as i64),
            tier: Some(tier.name()),
            slo_ttft_ns: Some(slo.ttft_ns),
            slo_tpot_ns: Some(slo.tpot_ns),
            predicted_ttft_ns: served.predicted_ttft_ns,
            policy: Some(self.policy),
            prefill_device: device,
            decode_device: device.filter(|_| began),
            first_token_device: device.filter(|_| began),
            status,
            reason,
        });
    }

    /// A chunk with content arrived.
    pub(super) fn token(&mut self, request: usize, device: usize, at_ns: i64) {
        if self.tokens {
            self.log.event(&EventRow {
                kind: "token",
                request: (request as u64).into(),
                device: Some(device as i64),
                start_ns: at_ns,
                end_ns: at_ns,
                bytes: None,
            });
        }
    }

    /// A decision, where it is explained; a refusal has no device.
    pub(super) fn decision(&mut self, at_ns: i64, request: usize, chosen: Option<usize>, why: &Explanation) {
        if !why.wanted {
            return;
        }
        let name = |device: usize| self.cluster.devices.get(device).map(|device| device.name.as_str());
        let kind = match why.cause {
            Cause::Admit => "admit",
            Cause::Prefill => "prefill",
            Cause::Decode => "decode",
            Cause::Migrate => "migrate",
        };
        self.log.decision(&DecisionRow {
            request: (request as u64).into(),
            t_ns: at_ns,
            kind,
            policy: self.policy,
            chosen: chosen.and_then(name),
            score: chosen.map(|_| why.score),
            terms: &why.terms,
            runner_up: why.runner_up.and_then(|(device, score)| Some((name(device)?, score))),
        });
    }

    /// Samples the state of a device; a value that stays makes no row.
    pub(super) fn sample(&mut self, at_ns: i64, device: usize, state: &State, gauges: &Gauges) {
        let capacity = self.cluster.devices[device].kv_capacity_tokens.max(1) as f64;
        let values = [
            Some(f64::from(state.waiting)),
            Some(state.waiting_tokens as f64),
            Some(f64::from(state.running)),
            Some(state.kv_tokens as f64 / capacity),
            Some(f64::from(u8::from(state.up))),
            gauges.waiting,
            gauges.running,
            gauges.kv_usage_ratio,
        ];
        for (metric, value) in values.into_iter().enumerate() {
            let held = self.open[device][metric];
            if held.map(|(_, value)| value) != value {
                self.close(at_ns, device, metric);
                self.open[device][metric] = value.map(|value| (at_ns, value));
            }
        }
    }

    fn close(&mut self, end_ns: i64, device: usize, metric: usize) {
        if let Some((start_ns, value)) = self.open[device][metric].take() {
            let (metric, unit) = METRICS[metric];
            self.log.sample(&SampleRow { metric, unit: Some(unit), device: device as i64, start_ns, end_ns, value });
        }
    }

    /// A problem; problems of a code are one row, whose detail is the first's.
    pub(super) fn issue(&mut self, code: &'static str, severity: &'static str, detail: impl FnOnce() -> String) {
        self.issues.entry(code).or_insert_with(|| Issue { severity, count: 0, detail: detail() }).count += 1;
    }

    /// Hands what is written to the file, so that a run that is killed keeps it.
    pub(super) fn flush(&mut self) {
        self.log.flush();
    }

    /// Writes what is still open.
    pub(super) fn end(mut self, at_ns: i64) {
        for device in 0..self.open.len() {
            for metric in 0..METRICS.len() {
                self.close(at_ns, device, metric);
            }
        }
        for (code, Issue { severity, count, detail }) in &self.issues {
            self.log.issue(&IssueRow { code, source: SOURCE, severity, count: *count, detail });
        }
        self.log.flush();
    }
}
