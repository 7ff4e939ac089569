//! KV transfers: bytes, time, what hides it, what it costs the first token and the decoder, and its share of the link.
//!
//! X are the intervals in which a KV cache moves, from one of several sources; each source has rows of its own:
//! `activities` (copies and communication of class kv), `ucx` (calls of UCX, ranges of UCX and NIXL), `nic` (what network
//! adapters moved), `ranges` (ranges named as KV transfers, where nothing else is recorded) and `requests` (a request log,
//! brought to the clock of the timeline). The row whose request is null is about all transfers of the source.
//!
//! * total = sum over the devices of |U(X)|; hidden = |U(X) ∩ U(compute)| on the device that carries it, as in `overlap`.
//! * sender_hidden = sum over the devices that are read of |U(X) ∩ U(prefill compute)|: the sender's own prefill hides it.
//! * exposed_ttft = max(0, KV ready - prefill end) where the decode device emits the first token, else exposed_itl.
//! * decode_wait = |(prefill end, first decode)| = decode_busy (the decode device decodes others, or this batch already
//!   decodes elsewhere) + decode_stall; decode_stall = stall_transfer (an own transfer is in flight) + stall_queue (the
//!   request is queued) + stall_other, first match in that order: a partition in integer ns.
//! * interference = median decode step with a transfer in flight / without, at equal batch.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};
use proftool_trace::tables;

use super::{Input, Metric, Output, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::windows::{Scope, Window};

mod clock;
mod flights;
mod hosts;
mod interference;
mod links;
mod nic;
mod phase;
mod requests;
mod stall;
#[cfg(test)]
mod tests;
mod units;

use flights::Flights;
use hosts::Hosts;
use links::Share;
use phase::Computed;
use stall::Stall;
use units::Units;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "kv_transfer",
    doc: "KV transfers: bytes, time, what is hidden behind compute, share of the link, effect on decoding.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "kv_transfer",
    doc: "The KV transfers of all requests (request null) or of one request, from one source, in one window set.",
    columns: &[
        RUN,
        TARGET,
        text("request", "The request, or null for all transfers.").or_null(),
        WINDOW,
        int("bytes", "Bytes moved inside the windows; of a transfer that a window cuts, in proportion to time.").or_null(),
        int("simulated_ns", "Part of total_ns whose duration is modelled; null where nobody tells.").or_null(),
        int("total_ns", "Time with a transfer in flight: per device (of `requests` the sender, of host-side sources the rank), summed."),
        int("hidden_ns", "Part of it during which the same device computes; of `activities` only.").or_null(),
        int("exposed_ns", "total_ns - hidden_ns; of `activities` only.").or_null(),
        int("exposed_ttft_ns", "max(0, KV ready - prefill end) where the decode device emits the first token, else null; of all the sum.")
            .or_null(),
        float("bytes_per_s", "bytes / total_ns.").or_null(),
        float("link_ratio", "Time that the bytes need at the links' rates over the time that they took; null without links.")
            .or_null(),
        float("interference_ratio", "Median decode operation with a transfer in flight over without, of equal kind and rows (median over the kinds); else of steps of equal batch.")
            .or_null(),
        text("source", "Where the intervals come from: `activities`, `ucx`, `nic`, `ranges` or `requests`."),
        text("clock", "What joined a request log with the timeline: `monotonic` or `utc`; null in one pass or where nothing was joined.")
            .or_null(),
        int("transfers", "Transfers that touch the windows."),
        text("roof", "The ceiling behind link_ratio, or how many there are.").or_null(),
        int("exposed_itl_ns", "max(0, KV ready - prefill end) where another device than the decode device emits the first token; of all the sum.")
            .or_null(),
        int("sender_ns", "Time with a transfer from a known sender in flight, per sender, summed.").or_null(),
        int("sender_hidden_ns", "Part of it during which the sender computes a prefill; null where no phase is known.").or_null(),
        int("sender_exposed_ns", "sender_ns - sender_hidden_ns.").or_null(),
        float("sender_hidden_ratio", "sender_hidden_ns / sender_ns.").or_null(),
        int("decode_wait_ns", "From the end of the prefill to the begin of the first decode; of all the sum.").or_null(),
        int("decode_busy_ns", "Part of it during which the decode device decodes, or the same batch does elsewhere; null where neither is known.").or_null(),
        int("decode_stall_ns", "decode_wait_ns - decode_busy_ns: stall_transfer_ns + stall_queue_ns + stall_other_ns.").or_null(),
        int("stall_transfer_ns", "Part of the stall with an own transfer in flight.").or_null(),
        int("stall_queue_ns", "Part of the rest in which the request was queued; null without events that say so.").or_null(),
        int("stall_other_ns", "What is left of the stall.").or_null(),
        text("compute_source", "What says when prefill and decode ran: `activities` or `request_events`.").or_null(),
        float("coverage_ratio", "Share of the transfers whose sender is known; of `requests`, of those whose wait for the decode is known.")
            .or_null(),
        text("reason", "Why columns are null, or what a number includes.").or_null(),
    ],
};

/// One result row.
#[derive(Default)]
struct Row {
    request: Option<String>,
    window: String,
    source: &'static str,
    clock: Option<&'static str>,
    transfers: i64,
    bytes: Option<i64>,
    simulated: Option<i64>,
    total: i64,
    hidden: Option<i64>,
    exposed_ttft: Option<i64>,
    exposed_itl: Option<i64>,
    share: Share,
    interference: Option<f64>,
    sender: Option<i64>,
    sender_hidden: Option<i64>,
    stall: Option<Stall>,
    computed: Option<&'static str>,
    coverage: Option<f64>,
    reasons: Vec<&'static str>,
}

impl Row {
    fn stalled(&self, part: fn(&Stall) -> i64) -> Option<i64> {
        self.stall.as_ref().map(part)
    }

    fn reason(&self) -> Option<String> {
        (!self.reasons.is_empty()).then(|| self.reasons.join("; "))
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input)?;
    Output::new(input.run, input.target, &rows)
        .text("request", |row| row.request.as_deref())
        .text("window", |row| Some(&row.window))
        .int("bytes", |row| row.bytes)
        .int("simulated_ns", |row| row.simulated)
        .int("total_ns", |row| Some(row.total))
        .int("hidden_ns", |row| row.hidden)
        .int("exposed_ns", |row| row.hidden.map(|hidden| row.total - hidden))
        .int("exposed_ttft_ns", |row| row.exposed_ttft)
        .float("bytes_per_s", |row| rate(row.bytes?, row.total))
        .float("link_ratio", |row| row.share.ratio())
        .float("interference_ratio", |row| row.interference)
        .text("source", |row| Some(row.source))
        .text("clock", |row| row.clock)
        .int("transfers", |row| Some(row.transfers))
        .text("roof", |row| row.share.roof())
        .int("exposed_itl_ns", |row| row.exposed_itl)
        .int("sender_ns", |row| row.sender)
        .int("sender_hidden_ns", |row| row.sender_hidden)
        .int("sender_exposed_ns", |row| Some(row.sender? - row.sender_hidden?))
        .float("sender_hidden_ratio", |row| ratio(row.sender_hidden?, row.sender?))
        .int("decode_wait_ns", |row| row.stalled(Stall::wait))
        .int("decode_busy_ns", |row| row.stall.as_ref()?.busy)
        .int("decode_stall_ns", |row| row.stalled(Stall::stall))
        .int("stall_transfer_ns", |row| row.stalled(|stall| stall.transfer))
        .int("stall_queue_ns", |row| row.stall.as_ref()?.queue)
        .int("stall_other_ns", |row| row.stalled(|stall| stall.other))
        .text("compute_source", |row| row.computed)
        .float("coverage_ratio", |row| row.coverage)
        .text("reason", Row::reason)
        .build(&TABLE)
}

fn rate(bytes: i64, ns: i64) -> Option<f64> {
    (ns > 0).then(|| bytes as f64 * 1e9 / ns as f64)
}

fn rows(input: &Input) -> Result<Vec<Row>, Error> {
    let model = input.model()?;
    let (calls, adapters) = (hosts::calls(model), nic::read(input, model)?);
    let recorded =
        model.activities.iter().any(|row| row.class == Class::Kv) || !calls.is_empty() || !adapters.is_empty();
    let named = if recorded { Hosts::default() } else { hosts::ranges(model) };
    let logged = input.tables.get(&tables::REQUEST_EVENTS).height() > 0;
    // The phases of millions of activities are not for free, and without transfers nobody asks.
    let needed = recorded || logged || !named.is_empty();
    let computed = if needed { Computed::of(model) } else { Computed::default() };
    let sets = input.sets(Scope::All)?;
    let flights = Flights::of(model, input, &computed)?;
    let units = Units::of(model, &computed);
    let mut rows: Vec<Row> = sets.iter().map(|set| flights.row(model, &units, set)).collect();
    for source in [calls, adapters, named].iter().filter(|source| !source.is_empty()) {
        rows.extend(sets.iter().map(|set| source.row(model, &computed, set)));
    }
    if input.window == Window::Default {
        rows.extend(requests::rows(input, model, &computed)?);
    }
    Ok(rows)
}
