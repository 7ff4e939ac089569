//! Transfers between two devices that went through the host instead of peer to peer.
//!
//! Such a transfer is a copy from device A to the host and a copy of as many bytes from the host to device B that begins
//! when the first has ended. It is *certain* where one copy call launched both: the driver took the way through the host
//! for a copy between devices. Else it is likely: same process, same size, same kind of host memory, at least
//! [`LEAST_BYTES`], and at most [`SOON_NS`] between them; that both carry the same data is not recorded.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::classes::Kind;
use crate::model::{Activity, CopyKind, Memory, Model};
use crate::operators::{Span, into_union, total};

/// Smaller copies of equal size are flags and scalars, which follow each other without being one transfer.
pub const LEAST_BYTES: i64 = 1 << 16;

/// Longest time between the halves of a likely transfer: a host that waits for the first copy and launches the second
/// through a framework needs tens of microseconds; what comes an iteration later is something else.
pub const SOON_NS: i64 = 1_000_000;

/// One half of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    /// Index of the other half.
    pub(crate) other: u32,
    /// Whether one call launched both.
    pub(crate) one_call: bool,
}

/// All staged transfers from one device to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Rank.
    pub rank: i64,
    /// Device that is read.
    pub src: i64,
    /// Device that is written.
    pub dst: i64,
    /// Transfers.
    pub pairs: i64,
    /// Those that are certain.
    pub one_call: i64,
    /// Bytes that were to move, each counted once.
    pub bytes: i64,
    /// Length of the union of the copies.
    pub ns: i64,
    /// Identifiers of the first two activities.
    pub first: (i64, i64),
}

/// The staged transfers by rank, source and destination.
pub fn staged_through_host(model: &Model) -> Vec<Staged> {
    let mut groups: BTreeMap<(i64, i64, i64), (Staged, Vec<Span>)> = BTreeMap::new();
    let mut pairs: Vec<Pair> = pairs(model);
    pairs.sort_by_key(|pair| model.activities[pair.read as usize].span.0);
    for pair in pairs {
        let [read, written] = [pair.read, pair.written].map(|index| &model.activities[index as usize]);
        let (rank, src, dst) = (read.device.0, read.device.1, written.device.1);
        let first = (read.id, written.id);
        let fresh = || (Staged { rank, src, dst, pairs: 0, one_call: 0, bytes: 0, ns: 0, first }, Vec::new());
        let (group, spans) = groups.entry((rank, src, dst)).or_insert_with(fresh);
        group.pairs += 1;
        group.one_call += i64::from(pair.one_call);
        group.bytes = group.bytes.saturating_add(read.bytes.unwrap_or(0));
        spans.extend([read.span, written.span]);
    }
    let summed = groups.into_values().map(|(group, spans)| Staged { ns: total(&into_union(spans)), ..group });
    summed.collect()
}

/// The role of every activity (by index) that is half of a staged transfer.
pub(crate) fn roles(model: &Model) -> BTreeMap<u32, Role> {
    let halves = pairs(model).into_iter().flat_map(|pair| {
        let role = |other| Role { other, one_call: pair.one_call };
        [(pair.read, role(pair.written)), (pair.written, role(pair.read))]
    });
    halves.collect()
}

struct Pair {
    read: u32,
    written: u32,
    one_call: bool,
}

/// Every activity is in at most one pair.
fn pairs(model: &Model) -> Vec<Pair> {
    let halves: Vec<u32> = (0..model.activities.len() as u32).filter(|index| is_half(model, *index)).collect();
    let row = |index: &u32| &model.activities[*index as usize];
    let of_call = |index: &u32| copy_call(model, row(index)).map(|call| (call, row(index).bytes));
    let mut pairs = match_up(model, &halves, of_call, |read, written| read.0 <= written.0);
    let taken: std::collections::HashSet<u32> = pairs.iter().flat_map(|pair| [pair.0, pair.1]).collect();
    let rest: Vec<u32> = halves.into_iter().filter(|index| !taken.contains(index)).collect();
    let of_size = |index: &u32| {
        let row = row(index);
        let host = if row.copy_kind == Some(CopyKind::D2h) { row.dst_memory } else { row.src_memory };
        let large = row.bytes.filter(|bytes| *bytes >= LEAST_BYTES)?;
        Some((row.device.0, row.process, large, host.map(Memory::name)))
    };
    let soon = |read: Span, written: Span| read.1 <= written.0 && written.0.saturating_sub(read.1) <= SOON_NS;
    let certain = pairs.len();
    pairs.extend(match_up(model, &rest, of_size, soon));
    let pair = |(at, (read, written)): (usize, (u32, u32))| Pair { read, written, one_call: at < certain };
    pairs.into_iter().enumerate().map(pair).collect()
}

/// Whether an activity is a copy between a device and the host, of known size.
fn is_half(model: &Model, index: u32) -> bool {
    let row = &model.activities[index as usize];
    row.kind == Kind::Copy
        && matches!(row.copy_kind, Some(CopyKind::D2h | CopyKind::H2d))
        && row.bytes.is_some_and(|bytes| bytes > 0)
}

/// The copy call that launched a row. A graph launches many copies that have nothing to do with each other.
fn copy_call(model: &Model, row: &Activity) -> Option<u32> {
    let call = row.call.filter(|_| row.graph_node.is_none() && row.graph_id.is_none())?;
    let name = model.names.text(model.calls[call as usize].name);
    name.to_ascii_lowercase().contains("memcpy").then_some(call)
}

/// Pairs each copy to a device with the earliest unpaired copy from another device that has the same key and `fits`.
/// `fits` must hold for no write before its read, and once it fails because the read is too old, for all later writes.
/// One sort, then a queue a device of each key.
fn match_up<K: std::hash::Hash + Eq>(
    model: &Model,
    halves: &[u32],
    key: impl Fn(&u32) -> Option<K>,
    fits: impl Fn(Span, Span) -> bool,
) -> Vec<(u32, u32)> {
    let row = |index: u32| &model.activities[index as usize];
    let mut order: Vec<u32> = halves.to_vec();
    // At one instant reads come first: a write may begin in the nanosecond in which its read ends.
    order.sort_by_key(|index| {
        let row = row(*index);
        let reads = row.copy_kind == Some(CopyKind::D2h);
        (row.span.0, !reads, row.device, row.id)
    });
    let mut waiting: HashMap<K, BTreeMap<i64, VecDeque<u32>>> = HashMap::new();
    let mut pairs = Vec::new();
    for index in order {
        let Some(key) = key(&index) else { continue };
        let devices = waiting.entry(key).or_default();
        let own = row(index).device.1;
        if row(index).copy_kind == Some(CopyKind::D2h) {
            devices.entry(own).or_default().push_back(index);
            continue;
        }
        let written = row(index).span;
        drop_old(devices, |read| {
            let read = row(read).span;
            read.1 <= written.0 && !fits(read, written)
        });
        let fronts = devices.iter().filter(|(device, _)| **device != own).filter_map(|(device, queue)| {
            let front = *queue.front()?;
            fits(row(front).span, written).then_some((row(front).span, *device))
        });
        let Some((_, device)) = fronts.min() else { continue };
        if let Entry::Occupied(mut queue) = devices.entry(device) {
            pairs.extend(queue.get_mut().pop_front().map(|read| (read, index)));
        }
    }
    pairs
}

/// Removes what has waited too long from the front of each queue.
fn drop_old(devices: &mut BTreeMap<i64, VecDeque<u32>>, is_old: impl Fn(u32) -> bool) {
    for queue in devices.values_mut() {
        while queue.front().is_some_and(|front| is_old(*front)) {
            queue.pop_front();
        }
    }
}
