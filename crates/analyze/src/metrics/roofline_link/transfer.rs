//! What the tables say about each transfer, and the bytes that it puts on its link.

use std::borrow::Cow;
use std::collections::HashMap;

use proftool_roofline::Roof;
use proftool_trace::tables;

use crate::Error;
use crate::classes::{Class, Kind};
use crate::metrics::Input;
use crate::model::{Activity, Model, Rows};
use crate::operators::Span;
use crate::roofline::timeline::Direction;
use crate::roofline::wire::{self, Formula, PAYLOAD, THROUGH_MEMORY};

/// What the tables say about the transfers of the pass, by rank and id of the activity.
#[derive(Default)]
pub(super) struct Stated {
    copies: HashMap<(i64, i64), (Option<String>, bool)>,
    collectives: HashMap<(i64, i64), Collective>,
    pub(super) links: HashMap<(i64, i64), Roof>,
}

struct Collective {
    operation: String,
    bytes: Option<i64>,
    ranks: Option<i64>,
}

impl Stated {
    pub(super) fn read(input: &Input, pass: &str) -> Result<Self, Error> {
        let mut stated = Self { links: wire::stated(input.tables)?, ..Self::default() };
        let rows = Rows::of_pass(input.tables.get(&tables::ACTIVITIES), pass)?;
        let keys = rows.ints("rank")?.into_iter().zip(rows.ints("id")?);
        let memories = rows.texts("src_memory")?.into_iter().zip(rows.texts("dst_memory")?);
        for ((key, kind), memory) in keys.zip(rows.texts("copy_kind")?).zip(memories) {
            let pageable = [&memory.0, &memory.1].iter().any(|memory| memory.as_deref() == Some("pageable"));
            if kind.is_some() || pageable {
                stated.copies.insert(key, (kind, pageable));
            }
        }
        let rows = Rows::of_pass(input.tables.get(&tables::COLLECTIVES), pass)?;
        let (ranks, ids, sizes) = (rows.ints("rank")?, rows.ints("activity")?, rows.optional_ints("group_size")?);
        let (read, written) = (rows.optional_ints("bytes_in")?, rows.optional_ints("bytes_out")?);
        for (at, operation) in rows.texts("operation")?.into_iter().enumerate() {
            let collective = Collective {
                operation: operation.unwrap_or_default(),
                bytes: wire::payload(read[at], written[at]),
                ranks: sizes[at],
            };
            stated.collectives.insert((ranks[at], ids[at]), collective);
        }
        Ok(stated)
    }
}

/// Transfers that share a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Cow<'static, str>,
    /// Direction of a copy, which the kind of a KV transfer does not tell; `None` for a collective.
    pub(super) way: Option<&'static str>,
    /// Whether it stays inside the memory of one device.
    pub(super) local: bool,
    pub(super) src: Option<i64>,
    pub(super) dst: Option<i64>,
    pub(super) ranks: Option<i64>,
}

/// One transfer.
pub(super) struct Transfer {
    pub(super) key: Key,
    pub(super) span: Span,
    pub(super) bytes: Option<i64>,
    pub(super) formula: Option<Formula>,
    pub(super) pageable: bool,
    pub(super) simulated: bool,
}

impl Transfer {
    /// The transfer that an activity is, if it is one.
    pub(super) fn of(model: &Model, row: &Activity, stated: &Stated) -> Option<Self> {
        let id = (row.device.0, row.id);
        let transfer = |key, bytes: Option<i64>, formula, pageable| Self {
            key,
            span: row.span,
            bytes: bytes.filter(|bytes| *bytes >= 0),
            formula,
            pageable,
            simulated: row.simulated,
        };
        if row.kind == Kind::Copy {
            let (kind, pageable) = stated.copies.get(&id).map_or((None, false), |copy| (copy.0.as_deref(), copy.1));
            let way = copy_kind(kind, row.src, row.dst);
            let kind = if row.class == Class::Kv { "kv" } else { way };
            let local = way == "d2d";
            let formula = if local { THROUGH_MEMORY } else { PAYLOAD };
            let key = Key { kind: kind.into(), way: Some(way), local, src: row.src, dst: row.dst, ranks: None };
            return Some(transfer(key, row.bytes, Some(formula), pageable));
        }
        if !matches!(row.class, Class::Comm | Class::Kv) {
            return None;
        }
        let known = stated.collectives.get(&id);
        let operation: Cow<'static, str> = match known {
            Some(collective) => collective.operation.clone().into(),
            None => wire::operation_of(model.names.text(row.name)).into(),
        };
        let ranks = known.and_then(|collective| collective.ranks);
        let formula = wire::bus_bytes(&operation, ranks);
        let kind = if row.class == Class::Kv { "kv".into() } else { operation };
        let bytes = known.and_then(|collective| collective.bytes);
        Some(transfer(Key { kind, way: None, local: false, src: None, dst: None, ranks }, bytes, formula, false))
    }
}

/// The direction of a copy: as stated, or from its ends.
fn copy_kind(stated: Option<&str>, src: Option<i64>, dst: Option<i64>) -> &'static str {
    match stated {
        Some("h2d") => "h2d",
        Some("d2h") => "d2h",
        Some("h2h") => "h2h",
        _ => match Direction::between(stated.and_then(Direction::parse), src, dst) {
            Some(Direction::Inside) => "d2d",
            Some(Direction::Peer) => "p2p",
            Some(Direction::Host) | None => "copy",
        },
    }
}
