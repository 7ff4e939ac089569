//! The rows of a router log: the columns of the tables that they are named after, in lines whose first key tells the table.

use serde::{Serialize, Serializer};

/// Identifier of a request: its number in the workload, or what an engine calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Id<'a> {
    /// A number.
    Number(u64),
    /// A name.
    Text(&'a str),
}

impl From<u32> for Id<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Id<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for Id<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl Default for Id<'_> {
    fn default() -> Self {
        Self::Number(0)
    }
}

/// A row of `requests`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestRow<'a> {
    /// Identifier, of no other request.
    pub request: Id<'a>,
    /// Arrival.
    pub arrival_ns: i64,
    /// First output token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ns: Option<i64>,
    /// Last output token, or the end of a failed request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ns: Option<i64>,
    /// Prompt length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<i64>,
    /// Output length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<i64>,
    /// Prompt tokens found in a prefix cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<i64>,
    /// Priority, the lower the better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Service tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<&'a str>,
    /// Agreed time to first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo_ttft_ns: Option<i64>,
    /// Agreed time per output token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo_tpot_ns: Option<i64>,
    /// Time to first token that the router predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_ttft_ns: Option<i64>,
    /// Router policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<&'a str>,
    /// Device that ran the prefill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill_device: Option<i64>,
    /// Device that ran the decode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode_device: Option<i64>,
    /// Device that emitted the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_device: Option<i64>,
    /// `ok`, `rejected`, `failed` or `aborted`.
    pub status: &'a str,
    /// Why it was rejected or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

/// A row of `request_events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventRow<'a> {
    /// `queued`, `prefill`, `kv_transfer`, `decode`, `token`, `preempt` or `migrate`.
    #[serde(rename = "event")]
    pub kind: &'a str,
    /// The request.
    pub request: Id<'a>,
    /// The device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<i64>,
    /// Start.
    pub start_ns: i64,
    /// End.
    pub end_ns: i64,
    /// Bytes moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// A row of `steps`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepRow {
    /// The device.
    pub device: i64,
    /// Start.
    pub start_ns: i64,
    /// End.
    pub end_ns: i64,
    /// Prompt tokens in the batch.
    pub prefill_tokens: Option<i64>,
    /// Requests that decode.
    pub decode_batch: Option<i64>,
    /// Tokens whose keys and values are read.
    pub kv_tokens: Option<i64>,
}

/// Consecutive steps.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
pub(super) struct Steps<'a> {
    /// Duration of each, in ns.
    steps: &'a [i64],
    device: i64,
    start_ns: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefill_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decode_batch: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kv_tokens: Option<i64>,
}

impl StepRow {
    pub(super) fn line<'a>(&self, steps: &'a [i64]) -> Steps<'a> {
        let Self { device, start_ns, prefill_tokens, decode_batch, kv_tokens, .. } = *self;
        Steps { steps, device, start_ns, prefill_tokens, decode_batch, kv_tokens }
    }

    /// The step that many steps later.
    pub(super) fn after(&self, start_ns: i64, steps: usize) -> Self {
        let growth = self.decode_batch.unwrap_or(0).saturating_mul(steps as i64);
        Self { start_ns, kv_tokens: self.kv_tokens.map(|tokens| tokens.saturating_add(growth)), ..*self }
    }
}

/// A row of `samples` with the name and unit that stand in `counter_defs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SampleRow<'a> {
    /// Name of the metric, with its unit where that is not in `unit`.
    #[serde(rename = "sample")]
    pub metric: &'a str,
    /// Unit: that of the metric's first row counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'a str>,
    /// The device.
    pub device: i64,
    /// From when the value holds.
    pub start_ns: i64,
    /// To when.
    pub end_ns: i64,
    /// The value; one that is not finite is left out.
    #[serde(skip_serializing_if = "is_not_finite")]
    pub value: f64,
}

/// A row of `decisions`. Numbers that are not finite are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecisionRow<'a> {
    /// The request.
    pub request: Id<'a>,
    /// When.
    pub t_ns: i64,
    /// `admit`, `prefill`, `decode` or `migrate`.
    pub kind: &'a str,
    /// The policy.
    pub policy: &'a str,
    /// Name of the device that was chosen; none of a refusal.
    pub chosen: Option<&'a str>,
    /// Its cost or score.
    pub score: Option<f64>,
    /// The terms of it.
    pub terms: &'a [(&'a str, f64)],
    /// Name of the next best device, and its cost or score.
    pub runner_up: Option<(&'a str, f64)>,
}

/// How a decision is written.
#[derive(Serialize)]
pub(super) struct Decision<'a> {
    #[serde(rename = "decision")]
    kind: &'a str,
    request: Id<'a>,
    t_ns: i64,
    policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen: Option<&'a str>,
    #[serde(skip_serializing_if = "Terms::is_empty")]
    terms: Terms<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runner_up: Option<RunnerUp<'a>>,
}

/// `{"score": .., term: ..}`.
struct Terms<'a> {
    score: Option<f64>,
    terms: &'a [(&'a str, f64)],
}

#[derive(Serialize)]
struct RunnerUp<'a> {
    device: &'a str,
    #[serde(skip_serializing_if = "is_not_finite")]
    score: f64,
}

impl<'a> DecisionRow<'a> {
    pub(super) fn line(&self) -> Decision<'a> {
        let Self { request, t_ns, kind, policy, chosen, score, terms, runner_up } = *self;
        let terms = Terms { score, terms };
        let runner_up = runner_up.map(|(device, score)| RunnerUp { device, score });
        Decision { kind, request, t_ns, policy, chosen, terms, runner_up }
    }
}

impl Terms<'_> {
    fn all(&self) -> impl Iterator<Item = (&str, f64)> {
        let score = self.score.map(|score| ("score", score));
        score.into_iter().chain(self.terms.iter().copied()).filter(|(_, value)| value.is_finite())
    }

    fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }
}

impl Serialize for Terms<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.all())
    }
}

/// A row of `issues`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IssueRow<'a> {
    /// Short stable name.
    #[serde(rename = "issue")]
    pub code: &'a str,
    /// What found it.
    pub source: &'a str,
    /// `info`, `data_loss` or `error`.
    pub severity: &'a str,
    /// How often it occurred, at least once.
    pub count: i64,
    /// What happened and what to try.
    pub detail: &'a str,
}

/// The last line.
#[derive(Serialize)]
pub(super) struct End {
    /// Lines before it, the head included.
    pub(super) end: u64,
}

pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_not_finite(value: &f64) -> bool {
    !value.is_finite()
}
