//! One record of AIPerf's `profile_export.jsonl`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decimal::{self, Unit};
use super::json::{Reason, Whole};
use super::log::Bad;
use proftool_trace::rows::Request;

/// A record as far as it matters here. Versions before 0.2 call some fields otherwise.
#[derive(Deserialize)]
pub(crate) struct Record<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    metrics: Option<Metrics<'a>>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Metadata {
    x_request_id: Option<String>,
    #[serde(default, alias = "timestamp_ns")]
    request_start_ns: Whole,
    #[serde(default)]
    request_end_ns: Whole,
    #[serde(alias = "credit_phase")]
    benchmark_phase: Option<String>,
    #[serde(default)]
    was_cancelled: bool,
}

/// Each is `{"value": 255.9, "unit": "ms"}`.
#[derive(Default, Deserialize)]
struct Metrics<'a> {
    #[serde(borrow, alias = "ttft")]
    time_to_first_token: Option<Metric<'a>>,
    #[serde(borrow)]
    request_latency: Option<Metric<'a>>,
    #[serde(borrow)]
    inter_chunk_latency: Option<Metric<'a>>,
    #[serde(borrow)]
    input_sequence_length: Option<Metric<'a>>,
    #[serde(borrow)]
    error_isl: Option<Metric<'a>>,
    #[serde(borrow)]
    output_sequence_length: Option<Metric<'a>>,
    #[serde(borrow)]
    usage_prompt_cache_read_tokens: Option<Metric<'a>>,
}

#[derive(Clone, Copy, Deserialize)]
struct Metric<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    unit: Option<&'a str>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: Whole,
    #[serde(default, rename = "type")]
    kind: Reason,
    #[serde(default)]
    message: Reason,
}

impl Metric<'_> {
    fn unit(self, name: &str) -> Result<Unit, Bad> {
        match self.unit.unwrap_or("ms") {
            "ns" => Ok(Unit::Ns),
            "us" => Ok(Unit::Us),
            "ms" => Ok(Unit::Ms),
            "s" | "sec" => Ok(Unit::S),
            other => Err(Bad::value(name, other, "unit of time")),
        }
    }
}

fn time(name: &str, metric: Option<Metric<'_>>) -> Result<Option<i64>, Bad> {
    let Some(metric) = metric else { return Ok(None) };
    let value = decimal::nanoseconds(metric.value.get(), metric.unit(name)?);
    value.map(Some).ok_or_else(|| Bad::value(name, metric.value.get(), "time"))
}

fn count(name: &str, metric: Option<Metric<'_>>) -> Result<Option<i64>, Bad> {
    let Some(metric) = metric else { return Ok(None) };
    let value = decimal::whole(metric.value.get());
    value.map(Some).ok_or_else(|| Bad::value(name, metric.value.get(), "whole number"))
}

impl Record<'_> {
    /// When the request was sent, Unix time.
    pub(crate) fn sent(&self) -> Option<i64> {
        self.metadata.request_start_ns.0
    }

    /// Whether it belongs to a warm-up, which AIPerf keeps out of its own results.
    pub(crate) fn warmup(&self) -> bool {
        self.metadata.benchmark_phase.as_deref() == Some("warmup")
    }

    /// The identifier that AIPerf gave the request.
    pub(crate) fn identifier(&self) -> Option<&str> {
        self.metadata.x_request_id.as_deref()
    }

    /// Type and message of the error.
    pub(crate) fn reason(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let code = error.code.0.map(|code| format!("code {code}"));
        let parts = [error.kind.0.clone().or(code), error.message.0.clone()];
        Some(parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
    }

    /// The request in Unix time; `tokens` gets the moments of its chunks.
    pub(crate) fn request<'r>(&self, reason: Option<&'r str>, tokens: &mut Vec<i64>) -> Result<Request<'r>, Bad> {
        tokens.clear();
        let none = Metrics::default();
        let metrics = self.metrics.as_ref().unwrap_or(&none);
        let arrival = self.sent().ok_or_else(|| Bad::missing("request_start_ns"))?;
        let far = || Bad::new("time_out_of_range", "a time is beyond 64 bits of nanoseconds");
        let after = |length: i64| arrival.checked_add(length).ok_or_else(far);
        let first = time("time_to_first_token", metrics.time_to_first_token)?.map(after).transpose()?;
        let latency = time("request_latency", metrics.request_latency)?.map(after).transpose()?;
        if let Some(first) = first {
            Self::chunks(first, metrics.inter_chunk_latency, tokens)?;
        }
        let status = match (&self.error, self.metadata.was_cancelled) {
            (_, true) => "aborted",
            (Some(error), false) if error.kind.0.as_deref() == Some("RequestCancellationError") => "aborted",
            (Some(_), false) => "failed",
            (None, false) => "ok",
        };
        let prompt = count("input_sequence_length", metrics.input_sequence_length)?;
        Ok(Request {
            arrival_ns: arrival,
            first_token_ns: first,
            // The last response with content; `request_end_ns` includes what follows it.
            end_ns: latency.or(self.metadata.request_end_ns.0),
            prompt_tokens: prompt.map_or_else(|| count("error_isl", metrics.error_isl), |prompt| Ok(Some(prompt)))?,
            output_tokens: count("output_sequence_length", metrics.output_sequence_length)?,
            cached_tokens: count("usage_prompt_cache_read_tokens", metrics.usage_prompt_cache_read_tokens)?,
            status,
            reason,
            ..Request::default()
        })
    }

    fn chunks(first: i64, gaps: Option<Metric<'_>>, tokens: &mut Vec<i64>) -> Result<(), Bad> {
        let Some(gaps) = gaps else { return Ok(()) };
        let bad = || Bad::new("bad_value", "inter_chunk_latency is no list of times");
        let unit = gaps.unit("inter_chunk_latency")?;
        let list: Vec<&RawValue> = serde_json::from_str(gaps.value.get()).map_err(|_| bad())?;
        tokens.push(first);
        let mut moment = first;
        for gap in list {
            let gap = decimal::nanoseconds(gap.get(), unit).ok_or_else(bad)?;
            moment = moment.checked_add(gap).ok_or_else(bad)?;
            tokens.push(moment);
        }
        Ok(())
    }
}
