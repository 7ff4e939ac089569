//! The copies of one row.

use std::collections::BTreeMap;

use proftool_roofline::{Level, Roof};

use super::pageable::is_async_pageable;
use super::staged::Role;
use crate::classes::Kind;
use crate::model::{Activity, CopyKind, Memory, Model};
use crate::operators::{Span, into_union, length, total};
use crate::roofline::Engine;
use crate::statistics::median;

/// Copies below this move few bytes for the time that any copy costs: at 25 GB/s, the rate of a PCIe 4.0 x16 link, this
/// many bytes take 2.6 us, about as long as the least copy of the same kind.
pub(super) const SMALL_BYTES: i64 = 1 << 16;

/// What copies of one row share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: &'static str,
    pub(super) src: Option<i64>,
    pub(super) dst: Option<i64>,
    pub(super) src_memory: Option<Memory>,
    pub(super) dst_memory: Option<Memory>,
}

impl Key {
    /// The row of a copy or fill; `None` for any other activity. A copy between two devices is one between peers also
    /// where the tool calls it one inside a device.
    pub(super) fn of(row: &Activity) -> Option<Self> {
        let between = row.src.zip(row.dst).is_some_and(|(src, dst)| src != dst);
        let kind = match (row.kind, row.copy_kind) {
            (Kind::Set, _) => "set",
            (Kind::Copy, Some(CopyKind::D2d) | None) if between => CopyKind::P2p.name(),
            (Kind::Copy, None) if row.src.is_some() && row.src == row.dst => CopyKind::D2d.name(),
            (Kind::Copy, Some(kind)) => kind.name(),
            (Kind::Copy, None) => "copy",
            _ => return None,
        };
        let (src_memory, dst_memory) = (row.src_memory, row.dst_memory);
        Some(Self { kind, src: row.src, dst: row.dst, src_memory, dst_memory })
    }

    /// Whether it stays inside the memory of one device.
    fn is_local(self) -> bool {
        matches!(self.kind, "d2d" | "set")
    }

    /// Whether a copy of pageable memory would show: the memory of the host's end is recorded.
    pub(super) fn knows_host_memory(self) -> bool {
        match self.kind {
            "set" => false,
            "h2d" => self.src_memory.is_some(),
            "d2h" => self.dst_memory.is_some(),
            "h2h" | "copy" => self.src_memory.is_some() && self.dst_memory.is_some(),
            _ => self.src_memory.is_some() || self.dst_memory.is_some(),
        }
    }
}

/// What a row says about its copies.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) copies: i64,
    pub(super) sized: i64,
    all_bytes: i64,
    pub(super) total: i64,
    pub(super) union: i64,
    sized_union: i64,
    pub(super) median: Option<f64>,
    pub(super) least: Option<f64>,
    pub(super) largest: Option<f64>,
    pub(super) roof: Option<Roof>,
    pub(super) small: i64,
    pub(super) small_ns: i64,
    pub(super) staged: i64,
    one_call: i64,
    pub(super) staged_bytes: i64,
    pub(super) staged_ns: i64,
    first_staged: Option<(i64, i64)>,
    pub(super) pageable: i64,
    pub(super) pageable_ns: i64,
    first_pageable: Option<i64>,
}

impl Group {
    /// The group of those activities (by index) and the union of their times.
    pub(super) fn of(
        model: &Model,
        engine: Option<&Engine>,
        staged: &BTreeMap<u32, Role>,
        key: Key,
        members: &[u32],
    ) -> (Self, Vec<Span>) {
        let mut group = Self { roof: roof(model, engine, key, members), ..Self::default() };
        let [mut all, mut sized, mut of_staged, mut of_pageable] = [const { Vec::new() }; 4];
        let mut rates = Vec::new();
        for index in members {
            let row = &model.activities[*index as usize];
            all.push(row.span);
            group.count(row, &mut sized, &mut rates);
            if let Some(role) = staged.get(index) {
                of_staged.push(row.span);
                group.count_staged(model, row, *role);
            }
            if is_async_pageable(model, row) {
                of_pageable.push(row.span);
                group.pageable += 1;
                group.first_pageable = group.first_pageable.or(Some(row.id));
            }
        }
        group.median = median(&rates);
        group.least = rates.iter().copied().reduce(f64::min);
        group.largest = rates.iter().copied().reduce(f64::max);
        [group.sized_union, group.staged_ns, group.pageable_ns] =
            [sized, of_staged, of_pageable].map(|spans| total(&into_union(spans)));
        let union = into_union(all);
        group.union = total(&union);
        (group, union)
    }

    fn count(&mut self, row: &Activity, sized: &mut Vec<Span>, rates: &mut Vec<f64>) {
        self.copies += 1;
        self.total = self.total.saturating_add(length(row.span));
        let Some(bytes) = row.bytes.filter(|bytes| *bytes >= 0) else { return };
        self.sized += 1;
        self.all_bytes = self.all_bytes.saturating_add(bytes);
        sized.push(row.span);
        rates.extend(rate(bytes, length(row.span)));
        if bytes < SMALL_BYTES {
            self.small += 1;
            self.small_ns = self.small_ns.saturating_add(length(row.span));
        }
    }

    fn count_staged(&mut self, model: &Model, row: &Activity, role: Role) {
        self.staged += 1;
        self.one_call += i64::from(role.one_call);
        self.staged_bytes = self.staged_bytes.saturating_add(row.bytes.unwrap_or(0).max(0));
        let other = model.activities[role.other as usize].id;
        self.first_staged = self.first_staged.or(Some((row.id, other)));
    }

    pub(super) fn bytes(&self) -> Option<i64> {
        (self.sized > 0).then_some(self.all_bytes)
    }

    /// A count that needs the sizes.
    pub(super) fn known(&self, count: i64) -> Option<i64> {
        (self.sized > 0).then_some(count)
    }

    pub(super) fn rate(&self) -> Option<f64> {
        rate(self.bytes()?, self.sized_union)
    }

    pub(super) fn roof_ratio(&self, key: Key) -> Option<f64> {
        let touches = if key.kind == "d2d" { 2.0 } else { 1.0 };
        let roof = self.roof.as_ref().filter(|roof| roof.value > 0.0)?;
        Some(self.rate()? * touches / roof.value)
    }

    pub(super) fn finding(&self) -> Option<&'static str> {
        match (self.staged > 0, self.pageable > 0) {
            (true, true) => Some("P2P not used; pageable copy"),
            (true, false) => Some("P2P not used"),
            (false, true) => Some("pageable copy"),
            (false, false) => None,
        }
    }

    pub(super) fn evidence(&self) -> Option<String> {
        let staged = self.first_staged.map(|(id, other)| {
            format!(
                "{} copies are paired with one of another device through the host, {} of them by one call (first: \
                 activities {id} and {other})",
                self.staged, self.one_call
            )
        });
        let pageable = self.first_pageable.map(|id| {
            format!("{} copies of asynchronous calls on pageable memory (first: activity {id})", self.pageable)
        });
        let parts: Vec<String> = staged.into_iter().chain(pageable).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn rate(bytes: i64, ns: i64) -> Option<f64> {
    (ns > 0).then(|| bytes as f64 * 1e9 / ns as f64)
}

/// The ceiling of the copies, which all have the same ends: the engine's link of the first, or the device's memory.
fn roof(model: &Model, engine: Option<&Engine>, key: Key, members: &[u32]) -> Option<Roof> {
    let (engine, first) = (engine?, *members.first()? as usize);
    if key.is_local() {
        return engine.roofs(model.activities[first].device)?.used.bandwidth.get(&Level::Dram).cloned();
    }
    engine.link(engine.of_activity(first)?.link).cloned()
}
