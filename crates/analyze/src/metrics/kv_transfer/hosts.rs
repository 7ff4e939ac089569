//! Transfers that a host records: calls of UCX, ranges of UCX and NIXL, ranges named as KV transfers, traffic of adapters.
//!
//! None of them says which device it reads, so that its sender is the rank: any device of it that computes a prefill
//! hides the transfer. An asynchronous call ends when the transfer is posted, not when it is done.

use std::collections::BTreeMap;

use proftool_timeline::measure::Measure;

use super::Row;
use super::flights::bytes_inside;
use super::interference;
use super::phase::{Computed, hidden};
use crate::model::{Api, Model};
use crate::operators::{Span, clip_set, contains, covered, into_union, length, total};
use crate::phases::{self, Phase};
use crate::windows::WindowSet;

/// Parts of the names of ranges of the transfer libraries, in lower case.
const LIBRARIES: &[&str] = &["nixl", "ucp_", "ucp:", "ucx"];

/// Parts of the names of calls and ranges that move nothing: set-up, polling, notices.
const NO_MOVE: &[&str] = &[
    "address",
    "cancel",
    "check",
    "close",
    "connect",
    "context",
    "create",
    "destroy",
    "initiali",
    "listener",
    "mem_map",
    "mem_unmap",
    "metadata",
    "notif",
    "poll",
    "prep",
    "progress",
    "query",
    "register",
    "release",
    "rkey",
    "state",
    "status",
    "ucp_init",
    "wait",
    "worker_signal",
];

/// One transfer that a host recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostFlight {
    pub(super) rank: i64,
    pub(super) span: Span,
    pub(super) bytes: Option<i64>,
}

/// The transfers of one such source.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    source: &'static str,
    note: &'static str,
    /// Sorted by start.
    flights: Vec<HostFlight>,
    longest: i64,
    ranks: BTreeMap<i64, Vec<Span>>,
    in_flight: Measure,
}

impl Hosts {
    pub(super) fn new(source: &'static str, note: &'static str, mut flights: Vec<HostFlight>) -> Self {
        flights.sort_by_key(|flight| (flight.span, flight.rank));
        let mut ranks: BTreeMap<i64, Vec<Span>> = BTreeMap::new();
        for flight in &flights {
            ranks.entry(flight.rank).or_default().push(flight.span);
        }
        let ranks = ranks.into_iter().map(|(rank, spans)| (rank, into_union(spans))).collect();
        Self {
            longest: flights.iter().map(|flight| length(flight.span)).max().unwrap_or(0),
            in_flight: Measure::of(into_union(flights.iter().map(|flight| flight.span).collect())),
            source,
            note,
            flights,
            ranks,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// The row of all transfers of the source in a window set.
    pub(super) fn row(&self, model: &Model, computed: &Computed, set: &WindowSet) -> Row {
        let mut row = Row { window: set.name.clone(), source: self.source, reasons: vec![self.note], ..Row::default() };
        for flight in self.near(&set.spans).iter().filter(|flight| touches(flight.span, &set.spans)) {
            row.transfers += 1;
            if let Some(bytes) = flight.bytes {
                let inside = bytes_inside(flight.span, bytes, &set.spans);
                row.bytes = Some(row.bytes.unwrap_or(0).saturating_add(inside));
            }
        }
        let mut behind: i64 = 0;
        for (rank, spans) in &self.ranks {
            let spans = clip_set(spans, &set.spans);
            row.total = row.total.saturating_add(total(&spans));
            behind = behind.saturating_add(hidden(&spans, computed.rank(*rank).map(|side| &side.prefill)));
        }
        row.sender = Some(row.total);
        row.sender_hidden = Some(behind).filter(|_| computed.knows_prefill);
        row.computed = computed.knows_prefill.then_some("activities");
        if !computed.knows_prefill {
            row.reasons.push("no activity is known to be a prefill");
        }
        row.interference = interference::of(model, computed, &self.in_flight, &set.spans);
        row
    }

    fn near(&self, windows: &[Span]) -> &[HostFlight] {
        let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return &[] };
        let from = self.flights.partition_point(|flight| flight.span.0 < first.0.saturating_sub(self.longest));
        let to = self.flights.partition_point(|flight| flight.span.0 < last.1);
        &self.flights[from..to.max(from)]
    }
}

fn touches(span: Span, windows: &[Span]) -> bool {
    if span.0 == span.1 { contains(windows, span.0) } else { covered(span, windows) > 0 }
}

/// Whether a call or range of a transfer library moves something.
fn moves(name: &str) -> bool {
    !NO_MOVE.iter().any(|part| name.contains(part))
}

/// Calls of UCX, and ranges of UCX and NIXL.
pub(super) fn calls(model: &Model) -> Hosts {
    let mut known: BTreeMap<u32, bool> = BTreeMap::new();
    let mut is = |name: u32, of_library: bool| {
        *known.entry(name << 1 | u32::from(of_library)).or_insert_with(|| {
            let name = model.names.text(name).to_ascii_lowercase();
            (of_library || LIBRARIES.iter().any(|part| name.contains(part))) && moves(&name)
        })
    };
    let mut flights = Vec::new();
    for call in model.calls.iter().filter(|call| call.api == Api::Ucx) {
        if is(call.name, true) {
            flights.push(HostFlight { rank: call.rank, span: call.span, bytes: None });
        }
    }
    for range in model.ranges.iter().filter(|range| range.place.is_none()) {
        if is(range.name, false) {
            flights.push(HostFlight { rank: range.rank, span: range.span, bytes: None });
        }
    }
    Hosts::new("ucx", "time of the calls and ranges; an asynchronous transfer goes on after its call", flights)
}

/// Ranges whose names say that a KV cache is moved.
pub(super) fn ranges(model: &Model) -> Hosts {
    let mut known: BTreeMap<u32, bool> = BTreeMap::new();
    let mut is = |name: u32| {
        *known.entry(name).or_insert_with(|| phases::of_range(model.names.text(name)) == Some(Phase::KvTransfer))
    };
    let named = model.ranges.iter().filter(|range| is(range.name));
    let flights = named.map(|range| HostFlight { rank: range.rank, span: range.span, bytes: None });
    Hosts::new("ranges", "ranges named as KV transfers; no copy, call or adapter is recorded", flights.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_up_and_polling_move_nothing() {
        for name in ["ucp_tag_send_nbx", "ucp_put_nbx", "ucp_get_nbx", "nixl_post_xfer", "nixl write layer 3", "nixl"] {
            assert!(moves(name), "{name}");
        }
        for name in
            ["ucp_worker_progress", "nixl_register_mem", "ucp_ep_create", "nixl get xfer status", "ucp_rkey_pack"]
        {
            assert!(!moves(name), "{name}");
        }
    }
}
