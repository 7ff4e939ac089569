//! What `requests` and `request_events` say about requests with transfers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proftool_timeline::measure::Measure;
use proftool_trace::tables;

use super::super::Input;
use crate::Error;
use crate::model::Rows;
use crate::operators::{Span, into_union};

/// Pass, rank and name.
pub(super) type Key = (String, i64, String);

/// One request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) transfers: Vec<Span>,
    /// Sum over the transfers whose bytes are known.
    pub(super) bytes: Option<i64>,
    pub(super) queued: Vec<Span>,
    prefills: Vec<Span>,
    decode: Option<Span>,
    /// Devices as the request states them, then as its events do.
    prefill_devices: [Option<i64>; 2],
    decode_devices: [Option<i64>; 2],
    pub(super) first_token: Option<i64>,
}

impl Request {
    pub(super) fn prefill_device(&self) -> Option<i64> {
        self.prefill_devices[0].or(self.prefill_devices[1])
    }

    pub(super) fn decode_device(&self) -> Option<i64> {
        self.decode_devices[0].or(self.decode_devices[1])
    }

    /// Begin of the first decode event.
    pub(super) fn first_decode(&self) -> Option<i64> {
        self.decode.map(|span| span.0)
    }

    /// End of the last prefill event.
    pub(super) fn prefill_end(&self) -> Option<i64> {
        self.prefills.iter().map(|span| span.1).max()
    }

    /// End of the last prefill that began before the first decode: a preempted request prefills again later.
    pub(super) fn prefill_end_before_decode(&self) -> Option<i64> {
        let decode = self.first_decode()?;
        self.prefills.iter().filter(|span| span.0 <= decode).map(|span| span.1).max()
    }

    fn add(&mut self, kind: &str, span: Span, device: Option<i64>, bytes: Option<i64>) {
        match kind {
            "kv_transfer" => {
                self.transfers.push(span);
                let known = bytes.filter(|bytes| *bytes >= 0);
                self.bytes = known.map(|bytes| bytes.saturating_add(self.bytes.unwrap_or(0))).or(self.bytes);
            }
            "queued" => self.queued.push(span),
            "prefill" => {
                self.prefills.push(span);
                // Of several devices the one with the lowest number, whatever the order of the rows.
                self.prefill_devices[1] = lower(self.prefill_devices[1], device);
            }
            _ => {
                if self.decode.is_none_or(|first| span.0 < first.0) {
                    (self.decode, self.decode_devices[1]) = (Some(span), device);
                } else if self.decode.is_some_and(|first| span.0 == first.0) {
                    self.decode_devices[1] = lower(self.decode_devices[1], device);
                }
            }
        }
    }
}

fn lower(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

/// When a device prefills and decodes, by the events of all requests.
type Sides = HashMap<(String, i64, i64), [Measure; 2]>;

/// The requests with transfers and what the log says about devices.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) requests: BTreeMap<Key, Request>,
    pub(super) sides: Sides,
    /// Passes whose log says when requests are queued.
    pub(super) knows_queue: BTreeSet<String>,
}

impl Log {
    /// Reads the log; nothing is kept where it has no transfers.
    pub(super) fn read(input: &Input) -> Result<Self, Error> {
        let events = Rows::all(input.tables.get(&tables::REQUEST_EVENTS));
        let kinds = events.texts("kind")?;
        if !kinds.iter().any(|kind| kind.as_deref() == Some("kv_transfer")) {
            return Ok(Self::default());
        }
        let mut log = Self::default();
        let (passes, ranks, names) = (events.texts("pass")?, events.ints("rank")?, events.texts("request")?);
        let (starts, ends) = (events.ints("start_ns")?, events.ints("end_ns")?);
        let (devices, bytes) = (events.optional_ints("device")?, events.optional_ints("bytes")?);
        let mut requests: BTreeMap<Key, Request> = BTreeMap::new();
        for (at, kind) in kinds.iter().enumerate() {
            let Some(kind @ ("kv_transfer" | "queued" | "prefill" | "decode")) = kind.as_deref() else { continue };
            let pass = passes[at].clone().unwrap_or_default();
            if kind == "queued" && !log.knows_queue.contains(&pass) {
                log.knows_queue.insert(pass.clone());
            }
            let span = (starts[at], ends[at].max(starts[at]));
            let key = (pass, ranks[at], names[at].clone().unwrap_or_default());
            requests.entry(key).or_default().add(kind, span, devices[at], bytes[at]);
        }
        add_stated(input, &mut requests)?;
        log.sides = sides(&requests, &events, &kinds)?;
        requests.retain(|_, request| !request.transfers.is_empty());
        log.requests = requests;
        Ok(log)
    }
}

/// Adds the devices that `requests` states.
fn add_stated(input: &Input, requests: &mut BTreeMap<Key, Request>) -> Result<(), Error> {
    let rows = Rows::all(input.tables.get(&tables::REQUESTS));
    let (passes, ranks, names) = (rows.texts("pass")?, rows.ints("rank")?, rows.texts("request")?);
    let (prefills, decodes) = (rows.optional_ints("prefill_device")?, rows.optional_ints("decode_device")?);
    let first_tokens = rows.optional_ints("first_token_device")?;
    for (at, name) in names.into_iter().enumerate() {
        let key = (passes[at].clone().unwrap_or_default(), ranks[at], name.unwrap_or_default());
        if let Some(request) = requests.get_mut(&key) {
            request.prefill_devices[0] = prefills[at];
            request.decode_devices[0] = decodes[at];
            request.first_token = first_tokens[at];
        }
    }
    Ok(())
}

/// When each device prefills and decodes; an event without a device is one of its request's.
fn sides(requests: &BTreeMap<Key, Request>, events: &Rows, kinds: &[Option<String>]) -> Result<Sides, Error> {
    let (passes, ranks, names) = (events.texts("pass")?, events.ints("rank")?, events.texts("request")?);
    let (starts, ends, devices) = (events.ints("start_ns")?, events.ints("end_ns")?, events.optional_ints("device")?);
    let mut spans: HashMap<(String, i64, i64), [Vec<Span>; 2]> = HashMap::new();
    for (at, kind) in kinds.iter().enumerate() {
        let side = match kind.as_deref() {
            Some("prefill") => 0,
            Some("decode") => 1,
            _ => continue,
        };
        let key = (passes[at].clone().unwrap_or_default(), ranks[at], names[at].clone().unwrap_or_default());
        let own = || {
            let request = requests.get(&key)?;
            if side == 0 { request.prefill_device() } else { request.decode_device() }
        };
        if let Some(device) = devices[at].or_else(own) {
            let place = (key.0.clone(), key.1, device);
            spans.entry(place).or_default()[side].push((starts[at], ends[at]));
        }
    }
    let measure = |spans: [Vec<Span>; 2]| spans.map(|spans| Measure::of(into_union(spans)));
    Ok(spans.into_iter().map(|(place, spans)| (place, measure(spans))).collect())
}

/// A batch step that only decodes.
pub(super) struct Step {
    pub(super) pass: String,
    pub(super) rank: i64,
    pub(super) device: i64,
    pub(super) batch: i64,
    pub(super) span: Span,
}

/// The batch steps that only decode.
pub(super) fn decode_steps(input: &Input) -> Result<Vec<Step>, Error> {
    let rows = Rows::all(input.tables.get(&tables::STEPS));
    let (passes, ranks, devices) = (rows.texts("pass")?, rows.ints("rank")?, rows.ints("device")?);
    let (starts, ends) = (rows.ints("start_ns")?, rows.ints("end_ns")?);
    let (prompts, batches) = (rows.optional_ints("prefill_tokens")?, rows.optional_ints("decode_batch")?);
    let step = |(at, pass): (usize, Option<String>)| {
        let batch = batches[at].filter(|batch| *batch > 0 && prompts[at].unwrap_or(0) == 0)?;
        let span = (starts[at], ends[at].max(starts[at]));
        Some(Step { pass: pass.unwrap_or_default(), rank: ranks[at], device: devices[at], batch, span })
    };
    Ok(passes.into_iter().enumerate().filter_map(step).collect())
}
