//! Which communication kernels of several devices are one collective.
//!
//! The kernels of one key are taken device by device in the order of time. Where every device has as many, the k-th of
//! each are one collective; else (a capture began later on one rank) those are that have an instant in common.

use proftool_timeline::clock::overlapping;

use crate::collectives::{Part, Parts, is_synchronous};
use crate::model::DeviceKey;
use crate::operators::Span;

/// How the members of a group were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// They have the same group, sequence number and operation.
    Sequence,
    /// The k-th message between the same two ranks of a group.
    Message,
    /// The k-th of the same group, operation and size.
    Order,
    /// The k-th kernel of the same name; the group is not recorded.
    Name,
    /// They have an instant in common; the counts differ, or the order cannot be right.
    Overlap,
}

impl How {
    /// The name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Message => "message",
            Self::Order => "order",
            Self::Name => "name",
            Self::Overlap => "overlap",
        }
    }
}

/// The members of one collective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Indices in [`crate::model::Model::activities`], one a device, in the order of the devices.
    pub(crate) members: Vec<u32>,
    /// Their indices in [`Parts::rows`].
    pub(crate) parts: Vec<u32>,
    /// How they were found.
    pub(crate) how: How,
    /// Whether every rank of its communicator was seen; `None` where its size is not recorded.
    pub(crate) complete: Option<bool>,
    /// Whether clocks are fitted to its ends: nobody can leave it before all have entered, and its members are known to
    /// be of one communicator, or are all that communicate. A rank that was not captured moves the ends of all alike.
    pub(crate) aligns: bool,
}

/// What the parts of one collective have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Sequence { group: u32, operation: u32, sequence: i64 },
    Message { group: Option<u32>, from: i64, to: i64 },
    Order { group: Option<u32>, operation: u32, bytes: Option<i64> },
    Name { name: u32 },
}

impl Key {
    fn how(self) -> How {
        match self {
            Self::Sequence { .. } => How::Sequence,
            Self::Message { .. } => How::Message,
            Self::Order { .. } => How::Order,
            Self::Name { .. } => How::Name,
        }
    }

    /// The key of a part; a message whose other rank is not recorded has none.
    fn of(parts: &Parts, part: &Part) -> Option<Self> {
        let Part { group, operation, device, .. } = *part;
        if !part.stated {
            return Some(Self::Name { name: part.name });
        }
        let text = parts.text(operation);
        match (text, part.peer) {
            ("send", Some(peer)) => return Some(Self::Message { group, from: device.0, to: peer }),
            ("recv", Some(peer)) => return Some(Self::Message { group, from: peer, to: device.0 }),
            ("send" | "recv", None) => return None,
            _ => {}
        }
        if let Some((group, sequence)) = group.zip(part.sequence) {
            return Some(Self::Sequence { group, operation, sequence });
        }
        // Ranks may give different shares to an all-to-all.
        let bytes = part.bytes.filter(|_| text != "all_to_all");
        Some(Self::Order { group, operation, bytes })
    }
}

/// The parts of one key, and the groups that they make.
pub(super) struct Bucket {
    pub(super) how: How,
    pub(super) groups: Vec<Group>,
    /// Numbers of the parts and their activities, device by device.
    lists: Vec<Vec<(u32, u32)>>,
    complete: Option<bool>,
    synchronous: bool,
    aligns: bool,
}

impl Bucket {
    /// Whether the pairs are a guess that the clocks can refute: the group of the kernels is not known, or nobody can
    /// leave before all have entered. (A sender may be done before its receiver begins.)
    pub(super) fn is_refutable(&self) -> bool {
        self.how == How::Name || (self.how == How::Order && self.synchronous)
    }

    /// Whether a clock can be fitted to any of its groups.
    pub(super) fn aligns(&self) -> bool {
        self.groups.iter().any(|group| group.aligns)
    }

    /// Pairs the parts by what they have in common in one time; such groups align nothing.
    pub(super) fn pair_by_overlap(&mut self, span: impl Fn(u32) -> Span) {
        let spans: Vec<Vec<Span>> =
            self.lists.iter().map(|list| list.iter().map(|(_, activity)| span(*activity)).collect()).collect();
        let groups: Vec<Group> =
            overlapping(&spans).iter().map(|places| self.group(places, How::Overlap, false)).collect();
        self.groups = groups;
    }

    fn pair_by_order(&mut self) {
        let count = self.lists.first().map_or(0, Vec::len);
        if self.lists.iter().any(|list| list.len() != count) {
            return;
        }
        let places = |at: usize| vec![at; self.lists.len()];
        self.groups = (0..count).map(|at| self.group(&places(at), self.how, self.aligns)).collect();
        if self.how == How::Sequence {
            // Nothing will take these apart again.
            self.lists = Vec::new();
        }
    }

    fn group(&self, places: &[usize], how: How, aligns: bool) -> Group {
        let (parts, members) = self.lists.iter().zip(places).map(|(list, place)| list[*place]).unzip();
        Group { members, parts, how, complete: self.complete, aligns }
    }
}

/// The buckets of parts that more than one device has, each paired by order where the counts allow it.
pub(super) fn buckets(parts: &Parts) -> Vec<Bucket> {
    let mut communicating: Vec<DeviceKey> = parts.rows.iter().map(|part| part.device).collect();
    communicating.dedup();
    let key = |(at, part): (usize, &Part)| Some((Key::of(parts, part)?, at as u32));
    let mut keyed: Vec<(Key, u32)> = parts.rows.iter().enumerate().filter_map(key).collect();
    // Sorted with their numbers, the parts of a key stay in the order of devices and of time.
    keyed.sort_unstable();
    let buckets = keyed.chunk_by(|a, b| a.0 == b.0);
    buckets.filter_map(|keyed| bucket(parts, keyed, communicating.len())).collect()
}

/// The bucket of the parts of one key; `None` where they cannot be collectives of several devices.
fn bucket(parts: &Parts, keyed: &[(Key, u32)], communicating: usize) -> Option<Bucket> {
    let part = |at: u32| &parts.rows[at as usize];
    let (key, first) = *keyed.first()?;
    let devices = keyed.chunk_by(|a, b| part(a.1).device == part(b.1).device);
    let lists: Vec<Vec<(u32, u32)>> =
        devices.map(|keyed| keyed.iter().map(|(_, at)| (*at, part(*at).activity)).collect()).collect();
    let (seen, size) = (lists.len() as i64, size(parts, first));
    // More devices than the group has ranks: several communicators have one name.
    if seen < 2 || size.is_some_and(|size| size < seen) {
        return None;
    }
    // All that communicate may still be a part of the group: nothing in the files tells of a rank that was not captured.
    let complete = size.map(|size| seen == size);
    let all = seen == size.unwrap_or(communicating as i64);
    let synchronous = is_synchronous(parts.text(part(first).operation));
    let aligns = synchronous && (all || part(first).group.is_some());
    let mut bucket = Bucket { how: key.how(), groups: Vec::new(), lists, complete, synchronous, aligns };
    bucket.pair_by_order();
    Some(bucket)
}

/// Ranks of the group of a part; a message has two ends.
fn size(parts: &Parts, at: u32) -> Option<i64> {
    let part = &parts.rows[at as usize];
    let message = matches!(parts.text(part.operation), "send" | "recv");
    if message { Some(2) } else { part.group_size }
}
