//! KV transfers: bytes, time, how much of it is hidden behind compute, and at what share of the link's rate.
//!
//! Times are unions per device, summed over the devices, as in `overlap`: a transfer is hidden while the device that
//! carries it computes. The row whose request is null is about all transfers; each request with recorded transfers has
//! a row of its own, whose time comes from `request_events`.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};
use proftool_trace::tables;

use super::overlap::Unions;
use super::{Input, Metric, Output, RUN, TARGET, WINDOW};
use crate::Error;
use crate::classes::Class;
use crate::model::{Activity, Model, Rows};
use crate::operators::{Span, contains, covered, intersect, total, union};
use crate::statistics::median;
use crate::windows::{Scope, Window, WindowSet};

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
    doc: "The KV transfers of all requests (request null) or of one request in one window set.",
    columns: &[
        RUN,
        TARGET,
        text("request", "The request, or null for all transfers.").or_null(),
        WINDOW,
        int("bytes", "Bytes moved inside the windows; of a transfer that a window cuts, in proportion to time.").or_null(),
        int("simulated_ns", "Part of total_ns whose duration is modelled; null for a request.").or_null(),
        int("total_ns", "Time with a transfer in flight: per device, summed over the devices."),
        int("hidden_ns", "Part of it during which the same device computes; null for a request.").or_null(),
        int("exposed_ns", "total_ns - hidden_ns; null for a request.").or_null(),
        int("exposed_ttft_ns", "max(0, KV ready - prefill end) where the decode device emits the first token; null elsewhere.")
            .or_null(),
        float("bytes_per_s", "bytes / total_ns.").or_null(),
        float("link_ratio", "Time that the bytes need at the links' rates over the time that they took; null without links.")
            .or_null(),
        float("interference_ratio", "Median decode operation with a transfer in flight over without, of equal kind and rows (median over the kinds).")
            .or_null(),
    ],
};

#[derive(Default)]
struct Row {
    request: Option<String>,
    window: String,
    bytes: Option<i64>,
    simulated: Option<i64>,
    total: i64,
    hidden: Option<i64>,
    exposed_ttft: Option<i64>,
    link_ratio: Option<f64>,
    interference: Option<f64>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let model = input.model()?;
    let links = links(input)?;
    let transfers = Flights::of(model, input)?;
    let mut rows: Vec<Row> =
        input.sets(Scope::All)?.iter().map(|set| all_transfers(model, &transfers, set, &links)).collect();
    if input.window == Window::Default {
        rows.extend(requests(input)?);
    }
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
        .float("link_ratio", |row| row.link_ratio)
        .float("interference_ratio", |row| row.interference)
        .build(&TABLE)
}

fn rate(bytes: i64, ns: i64) -> Option<f64> {
    (ns > 0).then(|| bytes as f64 * 1e9 / ns as f64)
}

/// The rate of each connection (source, destination).
pub(crate) fn links(input: &Input) -> Result<HashMap<(i64, i64), f64>, Error> {
    let rows = Rows::all(input.tables.get(&tables::LINKS));
    let ends = rows.ints("src")?.into_iter().zip(rows.ints("dst")?);
    Ok(ends
        .zip(rows.floats("bytes_per_s")?)
        .filter_map(|(ends, rate)| Some((ends, rate.filter(|r| *r > 0.0)?)))
        .collect())
}

/// All transfers of the pass, and what is asked about them for one window set after the other.
struct Flights<'m> {
    /// Sorted by start.
    rows: Vec<&'m Activity>,
    longest: i64,
    in_flight: Vec<Span>,
    devices: Vec<(Unions, Vec<WindowSet>)>,
}

impl<'m> Flights<'m> {
    fn of(model: &'m Model, input: &Input) -> Result<Self, Error> {
        let mut rows: Vec<&Activity> = model.activities.iter().filter(|row| row.class == Class::Kv).collect();
        rows.sort_by_key(|row| row.span.0);
        // Of an imported trace each device has its own extent, and a row sums what `overlap` shows for each.
        let device = |device| Ok((Unions::of(model, device), input.sets(Scope::Device(device))?));
        Ok(Self {
            longest: rows.iter().map(|row| row.span.1 - row.span.0).max().unwrap_or(0),
            in_flight: union(&rows.iter().map(|row| row.span).collect::<Vec<_>>()),
            devices: model.device_keys().into_iter().map(device).collect::<Result<_, Error>>()?,
            rows,
        })
    }

    /// The transfers that can touch the windows: none starts earlier than the longest takes.
    fn near(&self, windows: &[Span]) -> &[&'m Activity] {
        let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return &[] };
        let from = self.rows.partition_point(|row| row.span.0 < first.0 - self.longest);
        let to = self.rows.partition_point(|row| row.span.0 < last.1);
        &self.rows[from..to.max(from)]
    }
}

/// One row for all transfers. Without any activity on the devices there is one window set without windows: all zero.
fn all_transfers(model: &Model, flights: &Flights, set: &WindowSet, links: &HashMap<(i64, i64), f64>) -> Row {
    let mut row = Row { window: set.name.clone(), hidden: Some(0), simulated: Some(0), ..Row::default() };
    for (unions, sets) in &flights.devices {
        let Some(windows) = sets.iter().find(|own| own.name == set.name).map(|own| own.spans.as_slice()) else {
            continue;
        };
        let transfers = unions.class(Class::Kv, windows);
        let hidden = total(&intersect(&transfers, &unions.class(Class::Compute, windows)));
        let simulated = total(&unions.simulated(Class::Kv, windows));
        row.total += total(&transfers);
        row.hidden = row.hidden.map(|sum| sum + hidden);
        row.simulated = row.simulated.map(|sum| sum + simulated);
    }
    let transfers = flights.near(&set.spans);
    row.bytes = Some(transfers.iter().map(|transfer| bytes_inside(transfer, &set.spans)).sum());
    row.link_ratio = link_ratio(transfers, &set.spans, links);
    row.interference = interference(model, &flights.in_flight, &set.spans);
    row
}

/// The bytes of a transfer in proportion to its time inside the windows, rounded down.
fn bytes_inside(transfer: &Activity, windows: &[Span]) -> i64 {
    let (length, bytes) = (transfer.span.1 - transfer.span.0, transfer.bytes.unwrap_or(0));
    if length == 0 {
        return if contains(windows, transfer.span.0) { bytes } else { 0 };
    }
    (i128::from(bytes) * i128::from(covered(transfer.span, windows)) / i128::from(length)) as i64
}

/// Over the connections with a known rate: the time that the bytes need, over the time in which they were in flight.
fn link_ratio(transfers: &[&Activity], windows: &[Span], links: &HashMap<(i64, i64), f64>) -> Option<f64> {
    let mut connections: BTreeMap<(i64, i64, i64), (Vec<Span>, i64)> = BTreeMap::new();
    for transfer in transfers {
        if let (Some(src), Some(dst)) = (transfer.src, transfer.dst) {
            let (spans, bytes) = connections.entry((transfer.device.0, src, dst)).or_default();
            spans.push(transfer.span);
            *bytes += bytes_inside(transfer, windows);
        }
    }
    let (mut needed, mut taken) = (0.0, 0);
    for ((_, src, dst), (spans, bytes)) in connections {
        if let Some(rate) = links.get(&(src, dst)) {
            needed += bytes as f64 * 1e9 / rate;
            taken += total(&intersect(&union(&spans), windows));
        }
    }
    (taken > 0).then(|| needed / taken as f64)
}

/// How much longer decode operations take while a transfer is in flight on any device.
fn interference(model: &Model, in_flight: &[Span], windows: &[Span]) -> Option<f64> {
    let mut kinds: BTreeMap<_, [Vec<f64>; 2]> = BTreeMap::new();
    for row in model.begun_in(windows).filter(|row| row.class == Class::Compute) {
        if let Some(work) = row.work().filter(|_| model.phase(row) == Some("decode")) {
            let disturbed = usize::from(covered(row.span, in_flight) > 0);
            let both = kinds.entry((row.name, work.stage, work.rows)).or_default();
            both[disturbed].push((row.span.1 - row.span.0) as f64);
        }
    }
    let ratios = kinds.values().filter_map(|[without, with]| {
        let without = median(without).filter(|median| *median > 0.0)?;
        Some(median(with)? / without)
    });
    median(&ratios.collect::<Vec<f64>>())
}

/// What `request_events` says about one request.
#[derive(Default)]
struct Transfers {
    spans: Vec<Span>,
    bytes: Option<i64>,
    prefill_end: Option<i64>,
}

/// One row for each request with transfers in `request_events`.
fn requests(input: &Input) -> Result<Vec<Row>, Error> {
    let events = Rows::all(input.tables.get(&tables::REQUEST_EVENTS));
    let (names, kinds) = (events.texts("request")?, events.texts("kind")?);
    let (starts, ends, bytes) = (events.ints("start_ns")?, events.ints("end_ns")?, events.optional_ints("bytes")?);
    let mut found: BTreeMap<&str, Transfers> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        let request = found.entry(name.as_deref().unwrap_or_default()).or_default();
        match kinds[at].as_deref() {
            Some("kv_transfer") => {
                request.spans.push((starts[at], ends[at]));
                request.bytes = bytes[at].map(|bytes| bytes + request.bytes.unwrap_or(0)).or(request.bytes);
            }
            Some("prefill") => request.prefill_end = request.prefill_end.max(Some(ends[at])),
            _ => {}
        }
    }
    let decode_first = decode_device_emits_first(input)?;
    let rows = found.into_iter().filter(|(_, request)| !request.spans.is_empty());
    Ok(rows.map(|(name, request)| request_row(name, &request, decode_first.get(name) == Some(&true))).collect())
}

fn request_row(name: &str, request: &Transfers, decode_first: bool) -> Row {
    let ready = request.spans.iter().map(|span| span.1).max();
    let exposed = ready.zip(request.prefill_end).map(|(ready, end)| (ready - end).max(0));
    Row {
        request: Some(name.to_owned()),
        window: "trace".to_owned(),
        bytes: request.bytes,
        total: total(&union(&request.spans)),
        exposed_ttft: exposed.filter(|_| decode_first),
        ..Row::default()
    }
}

fn decode_device_emits_first(input: &Input) -> Result<HashMap<String, bool>, Error> {
    let rows = Rows::all(input.tables.get(&tables::REQUESTS));
    let devices = rows.optional_ints("decode_device")?.into_iter().zip(rows.optional_ints("first_token_device")?);
    let names = rows.texts("request")?.into_iter().map(Option::unwrap_or_default);
    Ok(names.zip(devices.map(|(decode, first)| decode.is_some() && decode == first)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use proftool_trace::frame::{build, floats, int_column, ints, text_column};

    fn kv(tables: &proftool_trace::frame::Tables) -> DataFrame {
        compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
    }

    #[test]
    fn transfers_hide_behind_the_compute_of_their_device_and_share_the_link() {
        // 100 bytes in 40..80 at 2.5 GB/s of a 5 GB/s link; device 0 computes 0..50, the block ends at 60.
        let fixture = Fixture::new()
            .queue(0, 1, "kv")
            .kernel(0, 0, (0, 50))
            .copy(0, 1, (40, 80), 1, 100)
            .simulated()
            .kernel(1, 0, (0, 100))
            .link(0, 1, 5e9)
            .block((0, 60));
        let frame = kv(&fixture.tables());
        let value = |name| ints(&frame, name).unwrap()[0].unwrap();
        assert_eq!((value("bytes"), value("total_ns"), value("hidden_ns"), value("exposed_ns")), (50, 20, 10, 10));
        assert_eq!(value("simulated_ns"), 20);
        assert_eq!(floats(&frame, "bytes_per_s").unwrap(), [Some(2.5e9)]);
        assert_eq!(floats(&frame, "link_ratio").unwrap(), [Some(0.5)]);
        assert_eq!(ints(&frame, "exposed_ttft_ns").unwrap(), [None]);
    }

    #[test]
    fn interference_compares_decode_operations_of_equal_kind() {
        let fixture = Fixture::new()
            .queue(0, 1, "kv")
            .copy(0, 1, (0, 30), 1, 100)
            .kernel(1, 0, (10, 25))
            .work(0, "decode", 1, 0, 8)
            .kernel(1, 0, (40, 50))
            .work(0, "decode", 1, 1, 8)
            .kernel(1, 0, (60, 99))
            .work(0, "decode", 1, 1, 4);
        assert_eq!(floats(&kv(&fixture.tables()), "interference_ratio").unwrap(), [Some(1.5)]);
    }

    #[test]
    fn a_request_exposes_what_comes_after_its_prefill() {
        let mut tables = proftool_trace::frame::Tables::default();
        let constant = |name, text: &'static str, count| text_column(name, vec![Some(text); count]);
        let requests = vec![
            constant("pass", "log", 2),
            int_column("rank", [Some(0), Some(0)]),
            text_column("request", [Some("a"), Some("b")]),
            int_column("arrival_ns", [Some(0), Some(0)]),
            int_column("decode_device", [Some(1), Some(1)]),
            int_column("first_token_device", [Some(1), Some(0)]),
            constant("status", "ok", 2),
        ];
        tables.set(&tables::REQUESTS, build(&tables::REQUESTS, requests).unwrap()).unwrap();
        let events = vec![
            constant("pass", "log", 4),
            int_column("rank", vec![Some(0); 4]),
            text_column("request", [Some("a"), Some("a"), Some("b"), Some("b")]),
            text_column("kind", [Some("prefill"), Some("kv_transfer"), Some("prefill"), Some("kv_transfer")]),
            int_column("start_ns", [Some(0), Some(5), Some(0), Some(5)]),
            int_column("end_ns", [Some(10), Some(17), Some(10), Some(17)]),
            int_column("bytes", [None, Some(24), None, None]),
        ];
        tables.set(&tables::REQUEST_EVENTS, build(&tables::REQUEST_EVENTS, events).unwrap()).unwrap();
        let frame = kv(&tables);
        assert_eq!(ints(&frame, "exposed_ttft_ns").unwrap(), [None, Some(7), None]);
        assert_eq!(ints(&frame, "total_ns").unwrap(), [Some(0), Some(12), Some(12)]);
        assert_eq!(floats(&frame, "bytes_per_s").unwrap(), [None, Some(2e9), None]);
    }
}
