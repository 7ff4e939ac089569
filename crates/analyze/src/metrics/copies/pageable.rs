//! Asynchronous copies of memory that the system may move. The driver stages them through a buffer of its own, so that
//! the call blocks and nothing overlaps (CUDA Runtime API, "API synchronization behavior": pageable memory).

use std::collections::BTreeMap;

use crate::classes::Kind;
use crate::model::{Activity, CopyKind, DeviceKey, Memory, Model};
use crate::operators::{Span, into_union, total};

/// What a name of a call must contain, in lower case.
const ASYNC: &str = "async";

/// Asynchronous copies of pageable memory in one direction on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pageable {
    /// Rank and device.
    pub device: DeviceKey,
    /// Direction, where it is known.
    pub copy_kind: Option<CopyKind>,
    /// How many.
    pub copies: i64,
    /// Bytes of those whose size is known.
    pub bytes: i64,
    /// Length of their union.
    pub ns: i64,
    /// Identifier of the first activity.
    pub first: i64,
}

/// Whether a copy reads or writes pageable memory and its launching call is recorded and asynchronous by its name.
pub(crate) fn is_async_pageable(model: &Model, row: &Activity) -> bool {
    row.kind == Kind::Copy
        && [row.src_memory, row.dst_memory].contains(&Some(Memory::Pageable))
        && row.call.is_some_and(|call| {
            let name = model.names.text(model.calls[call as usize].name);
            name.to_ascii_lowercase().contains(ASYNC)
        })
}

/// All of them, by device and direction.
pub fn pageable(model: &Model) -> Vec<Pageable> {
    let mut groups: BTreeMap<(DeviceKey, Option<CopyKind>), (Pageable, Vec<Span>)> = BTreeMap::new();
    for row in model.activities.iter().filter(|row| is_async_pageable(model, row)) {
        let fresh = || {
            let (device, copy_kind) = (row.device, row.copy_kind);
            (Pageable { device, copy_kind, copies: 0, bytes: 0, ns: 0, first: row.id }, Vec::new())
        };
        let (group, spans) = groups.entry((row.device, row.copy_kind)).or_insert_with(fresh);
        group.copies += 1;
        group.bytes = group.bytes.saturating_add(row.bytes.unwrap_or(0).max(0));
        spans.push(row.span);
    }
    let summed = groups.into_values().map(|(group, spans)| Pageable { ns: total(&into_union(spans)), ..group });
    summed.collect()
}
