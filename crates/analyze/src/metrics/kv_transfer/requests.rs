//! Transfers as a request log tells them, one row a request and one for all, joined with the timeline by a clock.
//!
//! What hides a transfer is the prefill compute of the sender on the timeline, where the log can be joined with it, the
//! device is found there and phases are known; else the log's own prefill events of that device, of all requests. The
//! same holds for the decode device.

use std::collections::{BTreeMap, HashMap};

use proftool_roofline::Roof;
use proftool_timeline::measure::Measure;

use super::clock::{Join, Place, join};
use super::interference;
use super::links::Connections;
use super::phase::{Computed, Side, hidden};
use super::stall::{Stall, Wait};
use super::{Input, Row};
use crate::Error;
use crate::model::Model;
use crate::operators::{Span, into_union, total};
use crate::roofline::wire;

mod log;

use log::{Key, Log, Request};

/// The transfers of each sender: pass, rank and device where it is known; with the key of one of its requests.
type Senders<'a> = BTreeMap<(&'a str, i64, Option<i64>), (&'a Key, Vec<Span>)>;

/// What the rows need beside the log.
struct Context<'a> {
    input: &'a Input<'a>,
    model: &'a Model,
    computed: &'a Computed,
    log: &'a Log,
    links: &'a HashMap<(i64, i64), Roof>,
}

/// Where something says when a device prefills or decodes, and how to bring times of the log there.
struct Found<'a> {
    measure: &'a Measure,
    join: Join,
    source: &'static str,
}

/// One row for all requests with transfers in `request_events`, and one for each; none without such events.
pub(super) fn rows(input: &Input, model: &Model, computed: &Computed) -> Result<Vec<Row>, Error> {
    let log = Log::read(input)?;
    if log.requests.is_empty() {
        return Ok(Vec::new());
    }
    let links = wire::stated(input.tables)?;
    let context = Context { input, model, computed, log: &log, links: &links };
    let each: Vec<Row> = log.requests.iter().map(|(key, request)| context.row(key, request)).collect();
    let mut rows = vec![context.all(&each)?];
    rows.extend(each);
    Ok(rows)
}

impl Context<'_> {
    fn row(&self, key: &Key, request: &Request) -> Row {
        let transfers = into_union(request.transfers.clone());
        let mut row = Row {
            request: Some(key.2.clone()),
            window: "trace".to_owned(),
            source: "requests",
            transfers: request.transfers.len() as i64,
            bytes: request.bytes,
            total: total(&transfers),
            ..Row::default()
        };
        let ready = request.transfers.iter().map(|span| span.1).max();
        let exposed = ready.zip(request.prefill_end()).map(|(ready, end)| ready.saturating_sub(end).max(0));
        let decode_first = request.decode_device().zip(request.first_token).map(|(decode, first)| decode == first);
        row.exposed_ttft = exposed.filter(|_| decode_first == Some(true));
        row.exposed_itl = exposed.filter(|_| decode_first == Some(false));
        self.add_sender(&mut row, key, request, &transfers);
        self.add_wait(&mut row, key, request, &transfers);
        let mut connections = Connections::default();
        let ends = request.prefill_device().zip(request.decode_device());
        if let (Some(roof), Some(bytes)) = (ends.and_then(|ends| self.links.get(&ends)), request.bytes) {
            connections.add(ends, &request.transfers, bytes, roof);
        }
        row.share = connections.share(None);
        row
    }

    fn add_sender(&self, row: &mut Row, key: &Key, request: &Request, transfers: &[Span]) {
        let Some(device) = request.prefill_device() else {
            row.reasons.push("the prefill device is not recorded");
            return;
        };
        row.sender = Some(row.total);
        let Some(found) = self.find(key, device, self.computed.knows_prefill, 0, |side| &side.prefill) else {
            row.reasons.push("nothing says when the sender prefills");
            return;
        };
        row.sender_hidden = Some(behind(transfers, &found));
        note(row, &found);
    }

    fn add_wait(&self, row: &mut Row, key: &Key, request: &Request, transfers: &[Span]) {
        let (Some(start), Some(end)) = (request.prefill_end_before_decode(), request.first_decode()) else {
            row.reasons.push("the log has no prefill or no decode event of the request");
            return;
        };
        let wait = (start, end.max(start));
        let found = request
            .decode_device()
            .and_then(|device| self.find(key, device, self.computed.knows_decode, 1, |side| &side.decode));
        if found.is_none() {
            row.reasons.push("nothing says when the decode device decodes");
        }
        let place = |span: Span| found.as_ref().map_or(span, |found| found.join.span(span));
        let place_all = |spans: &[Span]| into_union(spans.iter().map(|span| place(*span)).collect());
        let queued = self.log.knows_queue.contains(&key.0).then(|| place_all(&request.queued));
        let cut = Wait {
            own: None,
            transfers: &place_all(transfers),
            queued: queued.as_deref(),
            device: found.as_ref().map(|found| found.measure),
        };
        row.stall = Some(cut.cut(place(wait)));
        if let Some(found) = &found {
            note(row, found);
        }
    }

    /// When a device of the log prefills (`at` 0) or decodes (1).
    fn find(&self, key: &Key, device: i64, known: bool, at: usize, side: fn(&Side) -> &Measure) -> Option<Found<'_>> {
        let from: Place = (&key.0, key.1);
        let own = (key.1, device);
        let same = key.0 == self.model.pass && self.computed.device(own).is_some();
        let on_timeline = if same { Some(own) } else { self.computed.only(device) }.filter(|_| known);
        let joined = on_timeline.and_then(|found| {
            let join = join(self.input.manifest, from, (&self.model.pass, found.0))?;
            Some(Found { measure: side(self.computed.device(found)?), join, source: "activities" })
        });
        joined.or_else(|| {
            let measure = &self.log.sides.get(&(key.0.clone(), key.1, device))?[at];
            Some(Found { measure, join: join(None, from, from)?, source: "request_events" })
        })
    }

    /// The row of all requests: sums, with transfers at one time on one sender counted once.
    fn all(&self, each: &[Row]) -> Result<Row, Error> {
        let mut all = Row { window: "trace".to_owned(), source: "requests", ..Row::default() };
        let sum = |value: fn(&Row) -> Option<i64>| each.iter().filter_map(value).reduce(i64::saturating_add);
        all.transfers = sum(|row| Some(row.transfers)).unwrap_or(0);
        all.bytes = sum(|row| row.bytes);
        all.exposed_ttft = sum(|row| row.exposed_ttft);
        all.exposed_itl = sum(|row| row.exposed_itl);
        for stall in each.iter().filter_map(|row| row.stall.as_ref()) {
            all.stall.get_or_insert_with(Stall::default).add(stall);
        }
        all.clock = each.iter().find_map(|row| row.clock);
        all.computed = each.iter().filter_map(|row| row.computed).reduce(both);
        all.coverage = Some(each.iter().filter(|row| row.stall.is_some()).count() as f64 / each.len() as f64);
        self.add_senders(&mut all);
        let mut connections = Connections::default();
        for ((pass, rank, _), request) in &self.log.requests {
            let ends = request.prefill_device().zip(request.decode_device());
            if let (Some(roof), Some(bytes)) = (ends.and_then(|ends| self.links.get(&ends)), request.bytes) {
                connections.add((pass, rank, ends), &request.transfers, bytes, roof);
            }
        }
        all.share = connections.share(None);
        all.interference = self.interference()?;
        if each.iter().any(|row| row.stall.is_none()) {
            all.reasons.push("some requests have no prefill or no decode event");
        }
        Ok(all)
    }

    /// Time in flight and what hides it, by sender.
    fn add_senders(&self, all: &mut Row) {
        let mut senders: Senders = BTreeMap::new();
        for (key, request) in &self.log.requests {
            let entry = senders.entry((&key.0, key.1, request.prefill_device())).or_insert_with(|| (key, Vec::new()));
            entry.1.extend(&request.transfers);
        }
        for ((_, _, device), (key, spans)) in senders {
            let spans = into_union(spans);
            all.total = all.total.saturating_add(total(&spans));
            let Some(device) = device else { continue };
            all.sender = Some(all.sender.unwrap_or(0).saturating_add(total(&spans)));
            if let Some(found) = self.find(key, device, self.computed.knows_prefill, 0, |side| &side.prefill) {
                all.sender_hidden = Some(all.sender_hidden.unwrap_or(0).saturating_add(behind(&spans, &found)));
            }
        }
    }

    /// Of the log's own decode steps, those of one device and equal batch with a transfer in flight and without.
    fn interference(&self) -> Result<Option<f64>, Error> {
        let mut in_flight: BTreeMap<(&str, i64), Vec<Span>> = BTreeMap::new();
        for ((pass, rank, _), request) in &self.log.requests {
            in_flight.entry((pass, *rank)).or_default().extend(&request.transfers);
        }
        let in_flight: BTreeMap<_, Measure> =
            in_flight.into_iter().map(|(place, spans)| (place, Measure::of(into_union(spans)))).collect();
        let mut kinds: BTreeMap<_, interference::Both> = BTreeMap::new();
        for step in log::decode_steps(self.input)? {
            if let Some(in_flight) = in_flight.get(&(step.pass.as_str(), step.rank)) {
                let kind = (step.pass.clone(), step.rank, step.device, step.batch);
                kinds.entry(kind).or_default().push(step.span, in_flight);
            }
        }
        Ok(interference::ratio(kinds.values()))
    }
}

/// The part of a set of the log during which something goes on.
fn behind(set: &[Span], found: &Found) -> i64 {
    let placed = into_union(set.iter().map(|span| found.join.span(*span)).collect());
    hidden(&placed, Some(found.measure))
}

fn note(row: &mut Row, found: &Found) {
    row.clock = row.clock.or(found.join.clock);
    row.computed = Some(row.computed.map_or(found.source, |known| both(known, found.source)));
}

fn both(a: &'static str, b: &'static str) -> &'static str {
    if a == b { a } else { "activities, request_events" }
}
