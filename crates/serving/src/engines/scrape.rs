//! What engines tell at `/metrics`, in Prometheus' text format.

/// Gauges of an engine, those that it has. Of several series of a name (ranks, models) counts are added and shares averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Requests that wait to be computed.
    pub waiting: Option<f64>,
    /// Requests that are computed, their prompts or their tokens.
    pub running: Option<f64>,
    /// Share of the KV memory in use.
    pub kv_usage_ratio: Option<f64>,
    /// Prompt tokens that were found in the prefix cache, since the engine's start.
    pub cached_tokens: Option<f64>,
    /// Prompt tokens that were looked for there.
    pub asked_tokens: Option<f64>,
}

/// Names of each gauge, the newest of each engine first: vLLM (0.32 and before 0.10), SGLang, llama.cpp, Hugging Face's TGI,
/// and Dynamo's front end.
const WAITING: &[&str] = &[
    "vllm:num_requests_waiting",
    "sglang:num_queue_reqs",
    "llamacpp:requests_deferred",
    "tgi_queue_size",
    "dynamo_frontend_queued_requests",
];
const RUNNING: &[&str] =
    &["vllm:num_requests_running", "sglang:num_running_reqs", "llamacpp:requests_processing", "tgi_batch_current_size"];
/// All requests, those that wait included.
const ALL: &[&str] = &["dynamo_frontend_inflight_requests"];
const KV_USAGE: &[&str] =
    &["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage", "llamacpp:kv_cache_usage_ratio"];
const CACHED: &[&str] = &["vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"];
const ASKED: &[&str] = &["vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"];

impl Gauges {
    /// Reads a page; names that it does not know are passed over, as are lines that are none.
    pub fn read(page: &str) -> Self {
        let rows: Vec<(&str, f64)> = page.lines().filter_map(row).collect();
        let of = |names: &[&str]| {
            let found = |name: &&str| {
                let values: Vec<f64> = rows.iter().filter(|row| row.0 == *name).map(|row| row.1).collect();
                (!values.is_empty()).then_some(values)
            };
            names.iter().find_map(found)
        };
        let sum = |names: &[&str]| of(names).map(|values| values.iter().sum::<f64>());
        let waiting = sum(WAITING);
        let computed = |all: f64| (all - waiting.unwrap_or(0.0)).max(0.0);
        Self {
            waiting,
            running: sum(RUNNING).or_else(|| sum(ALL).map(computed)),
            kv_usage_ratio: of(KV_USAGE).map(|values| values.iter().sum::<f64>() / values.len() as f64),
            cached_tokens: sum(CACHED),
            asked_tokens: sum(ASKED),
        }
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Name and value of a line; none of comments, damaged lines and values that are no finite number.
fn row(line: &str) -> Option<(&str, f64)> {
    let line = line.trim();
    let end = line.find(|letter: char| letter == '{' || letter.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let rest = if rest.starts_with('{') { behind_labels(rest)? } else { rest };
    // A time may follow the value.
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty() && !name.starts_with('#') && value.is_finite()).then_some((name, value))
}

/// What follows `{name="value",...}`; values are quoted and may hold any letter, with `\"` for a quote.
fn behind_labels(text: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(&text[at + 1..]),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_VLLM: &str = r#"
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_running{engine="1",model_name="tiny"} 2.0
vllm:num_requests_waiting{engine="0",model_name="ti}\"ny"} 4.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="tiny"} 0.75
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 4096.0
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 1024.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="tiny"} 7.0
vllm:prefix_cache_hits_created{engine="0",model_name="tiny"} 1.7e+09
"#;

    #[test]
    fn vllm_is_read_under_its_new_names_and_its_old_ones() {
        let gauges = Gauges::read(NEW_VLLM);
        assert_eq!((gauges.waiting, gauges.running, gauges.kv_usage_ratio), (Some(4.0), Some(5.0), Some(0.5)));
        assert_eq!((gauges.cached_tokens, gauges.asked_tokens), (Some(1024.0), Some(4096.0)));
        let old =
            "vllm:num_requests_running{model_name=\"m\"} 1.0\nvllm:gpu_cache_usage_perc{model_name=\"m\"} 0.125\n";
        let gauges = Gauges::read(old);
        assert_eq!((gauges.waiting, gauges.running, gauges.kv_usage_ratio), (None, Some(1.0), Some(0.125)));
    }

    #[test]
    fn other_engines_have_their_own_names() {
        let llama = "llamacpp:requests_processing 2\nllamacpp:requests_deferred 1 1712000000\n";
        assert_eq!(Gauges::read(llama), Gauges { waiting: Some(1.0), running: Some(2.0), ..Gauges::default() });
        let sglang =
            "sglang:num_running_reqs{a=\"b\"} 7\nsglang:num_queue_reqs{a=\"b\"} 2\nsglang:token_usage{a=\"b\"} 0.28\n";
        let gauges = Gauges::read(sglang);
        assert_eq!((gauges.waiting, gauges.running, gauges.kv_usage_ratio), (Some(2.0), Some(7.0), Some(0.28)));
        let dynamo =
            "dynamo_frontend_inflight_requests{model=\"m\"} 5\ndynamo_frontend_queued_requests{model=\"m\"} 2\n";
        assert_eq!((Gauges::read(dynamo).waiting, Gauges::read(dynamo).running), (Some(2.0), Some(3.0)));
    }

    #[test]
    fn damaged_lines_are_passed_over() {
        let page = "llamacpp:requests_processing{a=\"b 3\nllamacpp:requests_deferred\nllamacpp:requests_processing NaN\n{} 3\n\u{fffd}\n";
        assert!(Gauges::read(page).is_empty());
    }
}
