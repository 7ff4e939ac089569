//! Transfers that are activities: peer and host copies, and communication launched as KV transfer.

use std::collections::{BTreeMap, HashMap};

use proftool_roofline::Roof;
use proftool_timeline::measure::Measure;
use proftool_trace::tables;

use super::interference;
use super::links::{Connections, Share};
use super::phase::{Computed, hidden};
use super::units::Units;
use super::{Input, Row};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, CopyKind, DeviceKey, Model, Rows};
use crate::operators::{Span, clip_set, contains, covered, into_union, length, total};
use crate::roofline::{Engine, wire};
use crate::windows::{Scope, WindowSet};

/// One transfer.
struct Flight<'m> {
    index: usize,
    row: &'m Activity,
    bytes: Option<i64>,
    sender: Option<DeviceKey>,
}

/// A device that carries transfers.
struct Carrier {
    transfers: Vec<Span>,
    simulated: Vec<Span>,
    compute: Measure,
    sets: Vec<WindowSet>,
}

/// All transfers of the pass, and what is asked about them for one window set after the other.
pub(super) struct Flights<'m> {
    /// Sorted by start.
    sorted: Vec<Flight<'m>>,
    longest: i64,
    in_flight: Measure,
    carriers: Vec<Carrier>,
    senders: BTreeMap<DeviceKey, Vec<Span>>,
    stated: HashMap<(i64, i64), Roof>,
    engine: Option<&'m Engine>,
    computed: &'m Computed,
}

impl<'m> Flights<'m> {
    pub(super) fn of(model: &'m Model, input: &'m Input, computed: &'m Computed) -> Result<Self, Error> {
        let collectives = collectives(model, input)?;
        let kv = model.activities.iter().enumerate().filter(|(_, row)| row.class == Class::Kv);
        let flight = |(index, row): (usize, &'m Activity)| {
            let stated = collectives.get(&(row.device.0, row.id));
            let bytes = row.bytes.or(stated.and_then(|collective| collective.bytes)).filter(|bytes| *bytes >= 0);
            let receives = stated.is_some_and(|collective| collective.operation == "recv");
            Flight { index, row, bytes, sender: sender(model, row).filter(|_| !receives) }
        };
        let mut flights: Vec<Flight> = kv.map(flight).collect();
        flights.sort_by_key(|flight| flight.row.span.0);
        let mut senders: BTreeMap<DeviceKey, Vec<Span>> = BTreeMap::new();
        for (flight, sender) in flights.iter().filter_map(|flight| Some((flight, flight.sender?))) {
            senders.entry(sender).or_default().push(flight.row.span);
        }
        let senders = senders.into_iter().map(|(key, spans)| (key, into_union(spans))).collect();
        let carrier = |device| Carrier::of(model, device, input);
        Ok(Self {
            longest: flights.iter().map(|flight| length(flight.row.span)).max().unwrap_or(0),
            in_flight: Measure::of(into_union(flights.iter().map(|flight| flight.row.span).collect())),
            carriers: model.device_keys().into_iter().map(carrier).collect::<Result<_, Error>>()?,
            senders,
            stated: wire::stated(input.tables)?,
            // Placing every launch is not for free, and a timeline without transfers has no use for it.
            engine: if flights.is_empty() { None } else { Some(input.engine()?) },
            computed,
            sorted: flights,
        })
    }

    /// The transfers that can touch the windows: none starts earlier than the longest takes.
    fn near(&self, windows: &[Span]) -> &[Flight<'m>] {
        let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return &[] };
        let from = self.sorted.partition_point(|flight| flight.row.span.0 < first.0.saturating_sub(self.longest));
        let to = self.sorted.partition_point(|flight| flight.row.span.0 < last.1);
        &self.sorted[from..to.max(from)]
    }

    /// One row for all transfers. Without any activity on the devices there is one window set without windows: all zero.
    pub(super) fn row(&self, model: &Model, units: &Units, set: &WindowSet) -> Row {
        let mut row = Row { window: set.name.clone(), source: "activities", ..Row::default() };
        let (mut hidden_ns, mut simulated): (i64, i64) = (0, 0);
        for carrier in &self.carriers {
            // Of an imported trace each device has its own extent, and a row sums what `overlap` shows for each.
            let Some(windows) = carrier.sets.iter().find(|own| own.name == set.name).map(|own| &own.spans) else {
                continue;
            };
            let transfers = clip_set(&carrier.transfers, windows);
            row.total = row.total.saturating_add(total(&transfers));
            hidden_ns = hidden_ns.saturating_add(hidden(&transfers, Some(&carrier.compute)));
            simulated = simulated.saturating_add(total(&clip_set(&carrier.simulated, windows)));
        }
        (row.hidden, row.simulated) = (Some(hidden_ns), Some(simulated));
        let inside: Vec<&Flight> = self.near(&set.spans).iter().filter(|flight| touches(flight, &set.spans)).collect();
        row.transfers = inside.len() as i64;
        let sized = inside.iter().filter_map(|flight| Some(bytes_inside(flight.row.span, flight.bytes?, &set.spans)));
        row.bytes = sized.reduce(i64::saturating_add).or((inside.is_empty()).then_some(0));
        row.share = self.share(&inside, &set.spans);
        row.interference = interference::of(model, self.computed, &self.in_flight, &set.spans);
        self.add_senders(&mut row, &inside, &set.spans);
        row.stall = units.stall(&set.spans);
        row.computed = (row.sender_hidden.is_some() || row.stall.is_some()).then_some("activities");
        if inside.is_empty() {
            row.reasons.push("nothing is recognised as a KV transfer");
        }
        if !inside.is_empty() && row.stall.is_none() {
            row.reasons
                .push("no dependency leads from a prefill through a transfer to a decode: the wait is not known");
        }
        row
    }

    fn add_senders(&self, row: &mut Row, inside: &[&Flight], windows: &[Span]) {
        let known = inside.iter().filter(|flight| flight.sender.is_some()).count();
        row.coverage = (!inside.is_empty()).then(|| known as f64 / inside.len() as f64);
        if inside.is_empty() {
            return;
        }
        if known == 0 {
            row.reasons.push("the device that is read is not recorded");
            return;
        }
        let sets = self.senders.iter().map(|(key, spans)| (key, clip_set(spans, windows)));
        let mut behind: i64 = 0;
        for (key, spans) in sets {
            row.sender = Some(row.sender.unwrap_or(0).saturating_add(total(&spans)));
            behind = behind.saturating_add(hidden(&spans, self.computed.device(*key).map(|side| &side.prefill)));
        }
        if self.computed.knows_prefill {
            row.sender_hidden = Some(behind);
        } else {
            row.reasons.push("no activity is known to be a prefill");
        }
    }

    /// Over the connections with a known rate: the stated one, or else that of the device's own link.
    fn share(&self, inside: &[&Flight], windows: &[Span]) -> Share {
        let mut connections = Connections::default();
        for flight in inside {
            let row = flight.row;
            let (ends, Some(bytes)) = (row.src.zip(row.dst), flight.bytes) else { continue };
            let link = || self.engine.and_then(|engine| engine.link(engine.of_activity(flight.index)?.link));
            let Some(roof) = ends.and_then(|ends| self.stated.get(&ends)).or_else(link) else { continue };
            // Where an end is not recorded, each device and direction counts as a connection.
            let apart = if ends.is_some() { None } else { Some((row.device, row.copy_kind, row.src, row.dst)) };
            connections.add((row.device.0, ends, apart), &[row.span], bytes_inside(row.span, bytes, windows), roof);
        }
        connections.share(Some(windows))
    }
}

impl Carrier {
    fn of(model: &Model, device: DeviceKey, input: &Input) -> Result<Self, Error> {
        let rows = model.of_device(device);
        let spans = |wanted: &dyn Fn(&Activity) -> bool| {
            into_union(rows.iter().filter(|row| wanted(row)).map(|row| row.span).collect())
        };
        let transfers = spans(&|row| row.class == Class::Kv);
        let compute = if transfers.is_empty() { Vec::new() } else { spans(&|row| row.class == Class::Compute) };
        Ok(Self {
            simulated: spans(&|row| row.class == Class::Kv && row.simulated),
            transfers,
            compute: Measure::of(compute),
            sets: input.sets(Scope::Device(device))?,
        })
    }
}

/// The device that is read: as recorded, else the one that carries the transfer, which a copy from the host and a kernel
/// that only receives are not.
fn sender(model: &Model, row: &Activity) -> Option<DeviceKey> {
    if let Some(src) = row.src {
        return Some((row.device.0, src));
    }
    let name = || model.names.text(row.name).to_ascii_lowercase();
    let carries = if row.kind == Kind::Copy {
        matches!(row.copy_kind, Some(CopyKind::D2h | CopyKind::D2d | CopyKind::P2p))
    } else {
        name().contains("send") || !name().contains("recv")
    };
    carries.then_some(row.device)
}

fn touches(flight: &Flight, windows: &[Span]) -> bool {
    let span = flight.row.span;
    if span.0 == span.1 { contains(windows, span.0) } else { covered(span, windows) > 0 }
}

/// The bytes of a transfer in proportion to its time inside the windows, rounded down.
pub(super) fn bytes_inside(span: Span, bytes: i64, windows: &[Span]) -> i64 {
    let length = length(span);
    if length == 0 {
        return if contains(windows, span.0) { bytes } else { 0 };
    }
    (i128::from(bytes) * i128::from(covered(span, windows)) / i128::from(length)) as i64
}

struct Collective {
    operation: String,
    bytes: Option<i64>,
}

/// What the tables say about communication of class kv, by rank and id; nothing is read where there is none.
fn collectives(model: &Model, input: &Input) -> Result<HashMap<(i64, i64), Collective>, Error> {
    if !model.activities.iter().any(|row| row.class == Class::Kv && row.kind != Kind::Copy) {
        return Ok(HashMap::new());
    }
    let rows = Rows::of_pass(input.tables.get(&tables::COLLECTIVES), &model.pass)?;
    let (ranks, ids) = (rows.ints("rank")?, rows.ints("activity")?);
    let bytes = rows.optional_ints("bytes_in")?.into_iter().zip(rows.optional_ints("bytes_out")?);
    let stated = rows.texts("operation")?.into_iter().zip(bytes).map(|(operation, (read, written))| Collective {
        operation: operation.unwrap_or_default(),
        bytes: wire::payload(read, written),
    });
    Ok(ranks.into_iter().zip(ids).zip(stated).collect())
}
