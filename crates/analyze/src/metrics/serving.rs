//! What users felt: time to the first token and where it went, time per output token, gaps between tokens, goodput.
//!
//! Percentiles are of the nearest rank: values that occurred, as `proftool simulate` prints them. Latencies are those of
//! requests of status `ok` with a first token. Rates divide by the window of the whole pass, first arrival to last end, in
//! every row, so that those of a grouping add up. `itl_source`: `tokens` are the gaps between consecutive `token` events of
//! a request (chunks of a stream, which may hold several tokens); `steps` are the batch steps of each device, weighted by
//! the requests that decode in them, a step that follows another at once counting from its end. The first kind is taken
//! where there is any. Steps belong to no group, so that rows of groups have gaps of tokens only.
//!
//! Cost is the price of every device for as long as it was up in the window; energy what their power readings (or, of
//! simulated devices, their board power: an upper bound) integrate to. Both are null where one device lacks them.

mod cost;
mod gaps;
mod row;

#[cfg(test)]
mod tests;

use polars::prelude::DataFrame;
use proftool_trace::table::{Column, Table, boolean, float, int, text};

use super::{Input, Metric, Output, RUN, TARGET};
use crate::Error;
use crate::requests::By;
use cost::Cost;
use row::{Latency, Row};

pub(crate) use gaps::token_gaps;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "serving",
    doc: "What users felt: TTFT and its parts, TPOT, ITL, goodput under the SLO; all requests, then by tier, policy and device.",
    table: &TABLE,
    compute,
};

pub(crate) const PASS: Column = text("pass", "The pass whose log it is.");
pub(crate) const SIMULATED: Column =
    boolean("simulated", "Whether a model computed the times: no hardware was measured.");

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "serving",
    doc: "A group of requests: first all of a pass, then by tier, by policy and by prefill device where there are several.",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        text("group_kind", "`all`, `tier`, `policy` or `prefill_device`."),
        text("group", "`all`, or the name of the tier, policy or device."),
        int("requests", "Requests, whatever became of them."),
        int("ok", "Came out whole."),
        int("rejected", "Were not accepted."),
        int("failed", "Could not be served."),
        int("aborted", "Were given up by their client."),
        int("span_ns", "First arrival to last end of the pass; null where no end is known.").or_null(),
        float("arrivals_per_s", "Arrivals a second, from the group's first to its last.").or_null(),
        int("ttft_requests", "Requests with a time to first token: `ok` and with a first token."),
        float("ttft_mean_ns", "Mean TTFT = first token - arrival.").or_null(),
        float("ttft_stddev_ns", "Its standard deviation (of all values, denominator n).").or_null(),
        int("ttft_p50_ns", "Median TTFT (nearest rank, as all percentiles here).").or_null(),
        int("ttft_p95_ns", "95th percentile.").or_null(),
        int("ttft_p99_ns", "99th percentile.").or_null(),
        int("split_requests", "Requests whose TTFT is split: those of which the log knows a stage."),
        int("ttft_queue_mean_ns", "Mean part of TTFT that was spent queued. The five means sum to the mean TTFT of these requests, rounded down.").or_null(),
        int("ttft_queue_p99_ns", "99th percentile of that part.").or_null(),
        int("ttft_prefill_mean_ns", "Mean part in which the prompt was computed.").or_null(),
        int("ttft_prefill_p99_ns", "99th percentile of that part.").or_null(),
        int("ttft_kv_mean_ns", "Mean part in which its KV moved, outside of prefill.").or_null(),
        int("ttft_kv_p99_ns", "99th percentile of that part.").or_null(),
        int("ttft_decode_mean_ns", "Mean part that a decode took, outside of both.").or_null(),
        int("ttft_decode_p99_ns", "99th percentile of that part.").or_null(),
        int("ttft_host_mean_ns", "Mean rest: network, tokenizer, router, client.").or_null(),
        int("ttft_host_p99_ns", "99th percentile of that part.").or_null(),
        int("tpot_requests", "Requests with a TPOT: more than one output token."),
        float("tpot_mean_ns", "Mean TPOT = (end - first token) / (output tokens - 1), rounded down for each request.").or_null(),
        int("tpot_p50_ns", "Median TPOT.").or_null(),
        int("tpot_p95_ns", "95th percentile.").or_null(),
        int("tpot_p99_ns", "99th percentile.").or_null(),
        text("itl_source", "`tokens` (gaps between streamed tokens) or `steps` (batch steps, weighted by decoding requests).").or_null(),
        int("itl_gaps", "Gaps that the percentiles are of.").or_null(),
        int("itl_p50_ns", "Median gap between tokens.").or_null(),
        int("itl_p95_ns", "95th percentile.").or_null(),
        int("itl_p99_ns", "99th percentile.").or_null(),
        float("e2e_mean_ns", "Mean time from arrival to the last token.").or_null(),
        int("e2e_p50_ns", "Median of it.").or_null(),
        int("e2e_p95_ns", "95th percentile.").or_null(),
        int("e2e_p99_ns", "99th percentile.").or_null(),
        int("prompt_tokens", "Prompt tokens of the `ok` requests that state them.").or_null(),
        int("output_tokens", "Output tokens of the `ok` requests that state them.").or_null(),
        float("output_tokens_per_s", "output_tokens / span_ns.").or_null(),
        float("requests_per_s", "`ok` requests / span_ns.").or_null(),
        float("cached_ratio", "Cached / all prompt tokens of the `ok` requests that state both.").or_null(),
        int("slo_requests", "Requests for which an SLO is stated."),
        int("slo_met", "Requests that meet every SLO; a null TPOT counts as met, rejected, failed and aborted ones as missed; null without an SLO, and where the log knows no first token.").or_null(),
        float("slo_attainment_ratio", "slo_met / requests.").or_null(),
        float("ttft_attainment_ratio", "Share of all requests whose TTFT is within its SLO.").or_null(),
        float("tpot_attainment_ratio", "Share of all requests that were served and whose TPOT is within its SLO or null.").or_null(),
        float("goodput_requests_per_s", "slo_met / span_ns: the measured goodput.").or_null(),
        float("cost_dollars", "Price of the devices while they were up in the window; of the pass.").or_null(),
        float("goodput_requests_per_dollar", "slo_met / cost_dollars, in every row the cost of the whole pass.").or_null(),
        float("output_tokens_per_dollar", "output_tokens / cost_dollars.").or_null(),
        float("energy_j", "Energy of the devices while they were up in the window; of the pass. At board power, where `energy_source` says so, an upper bound.").or_null(),
        float("goodput_requests_per_j", "slo_met / energy_j; at board power a lower bound.").or_null(),
        text("energy_source", "Metrics that tell the power; `board_power_w` is no reading but the most that a device draws by its vendor's word.").or_null(),
        int("migrations", "Moves of decoding requests to another device; null where the log has no stages.").or_null(),
        int("preemptions", "Requests' losses of their memory, likewise.").or_null(),
    ],
};

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = Vec::new();
    for log in input.logs()? {
        let cost = Cost::of(input, log)?;
        let groups = log.groups(&[By::Tier, By::Policy, By::PrefillDevice]);
        let steps = if log.has_tokens() { None } else { gaps::step_gaps(input, &log.pass)? };
        for group in groups {
            rows.push(Row::of(log, group, &cost, steps.as_ref()));
        }
    }
    build(input, &rows)
}

fn build(input: &Input, rows: &[Row]) -> Result<DataFrame, Error> {
    let mut output = Output::new(input.run, input.target, rows)
        .text("pass", |row| Some(&row.pass))
        .bool("simulated", |row| Some(row.simulated))
        .text("group_kind", |row| Some(row.kind))
        .text("group", |row| Some(&row.name))
        .int("requests", |row| Some(row.requests))
        .int("ok", |row| Some(row.ended[0]))
        .int("rejected", |row| Some(row.ended[1]))
        .int("failed", |row| Some(row.ended[2]))
        .int("aborted", |row| Some(row.ended[3]))
        .int("span_ns", |row| row.span)
        .float("arrivals_per_s", |row| row.arrivals_per_s)
        .int("ttft_requests", |row| Some(row.ttft.count))
        .float("ttft_stddev_ns", |row| row.ttft_deviation)
        .int("split_requests", |row| Some(row.split_count))
        .int("tpot_requests", |row| Some(row.tpot.count))
        .text("itl_source", |row| row.itl_source)
        .int("itl_gaps", |row| row.itl_source.map(|_| row.itl.count));
    for (at, name) in ["ttft", "tpot", "itl", "e2e"].into_iter().enumerate() {
        let latency = |row: &Row| -> Latency { [row.ttft, row.tpot, row.itl, row.e2e][at] };
        if name != "itl" {
            output = output.float(&format!("{name}_mean_ns"), |row| latency(row).mean);
        }
        for (at, percent) in ["p50", "p95", "p99"].into_iter().enumerate() {
            output = output.int(&format!("{name}_{percent}_ns"), |row| latency(row).percentiles[at]);
        }
    }
    for (at, part) in ["queue", "prefill", "kv", "decode", "host"].into_iter().enumerate() {
        output = output
            .int(&format!("ttft_{part}_mean_ns"), |row| Some(row.split.as_ref()?[at].0))
            .int(&format!("ttft_{part}_p99_ns"), |row| row.split.as_ref()?[at].1);
    }
    rates(output).build(&TABLE)
}

fn rates(output: Output<'_, Row>) -> Output<'_, Row> {
    output
        .int("prompt_tokens", |row| row.prompt_tokens)
        .int("output_tokens", |row| row.output_tokens)
        .float("output_tokens_per_s", |row| row.per_second(row.output_tokens))
        .float("requests_per_s", |row| row.per_second(Some(row.ended[0])))
        .float("cached_ratio", |row| row.cached_ratio)
        .int("slo_requests", |row| Some(row.slo_requests))
        .int("slo_met", |row| row.met)
        .float("slo_attainment_ratio", |row| row.share(row.met))
        .float("ttft_attainment_ratio", |row| row.share(row.ttft_met))
        .float("tpot_attainment_ratio", |row| row.share(row.tpot_met))
        .float("goodput_requests_per_s", |row| row.per_second(row.met))
        .float("cost_dollars", |row| row.cost.dollars)
        .float("goodput_requests_per_dollar", |row| Some(row.met? as f64 / row.cost.dollars?))
        .float("output_tokens_per_dollar", |row| Some(row.output_tokens? as f64 / row.cost.dollars?))
        .float("energy_j", |row| row.cost.joules)
        .float("goodput_requests_per_j", |row| Some(row.met? as f64 / row.cost.joules?))
        .text("energy_source", |row| row.cost.source.as_ref())
        .int("migrations", |row| Some(row.moves?[0]))
        .int("preemptions", |row| Some(row.moves?[1]))
}
