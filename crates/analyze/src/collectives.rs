//! The parts of collectives: each communication kernel with what its arguments say, and which parts belong together.

use std::collections::HashMap;

use proftool_trace::frame::Tables;
use proftool_trace::tables;

use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, DeviceKey, Model, Names, Rows};
use crate::roofline::wire::{operation_of, payload};

/// One communication kernel: the part that one device has in a collective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Index in [`Model::activities`].
    pub(crate) activity: u32,
    /// Rank and device.
    pub(crate) device: DeviceKey,
    /// Number of the kernel's name in the model.
    pub(crate) name: u32,
    /// Number of its operation in [`Parts::text`].
    pub(crate) operation: u32,
    /// Number of its communicator in [`Parts::text`].
    pub(crate) group: Option<u32>,
    /// Position inside the communicator.
    pub(crate) sequence: Option<i64>,
    /// The larger of input and output.
    pub(crate) bytes: Option<i64>,
    /// Ranks of the communicator.
    pub(crate) group_size: Option<i64>,
    /// The other rank of a point-to-point operation.
    pub(crate) peer: Option<i64>,
    /// Whether the table `collectives` tells about it; otherwise the kernel's name does.
    pub(crate) stated: bool,
}

/// All parts of a pass.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// In the order of the activities: by rank, device, start and id.
    pub(crate) rows: Vec<Part>,
    names: Names,
}

/// A row of the table `collectives`.
struct Stated {
    operation: u32,
    group: Option<u32>,
    sequence: Option<i64>,
    bytes: Option<i64>,
    group_size: Option<i64>,
    peer: Option<i64>,
}

impl Parts {
    /// Reads what the pass says about its collectives; of two rows about one activity the last counts.
    ///
    /// # Errors
    /// When the frame does not have the columns of its table.
    pub(crate) fn read(model: &Model, tables: &Tables) -> Result<Self, Error> {
        let mut parts = Self::default();
        let stated = parts.stated(model, tables)?;
        let mut named: HashMap<u32, u32> = HashMap::new();
        for (at, row) in model.activities.iter().enumerate() {
            let told = if stated.is_empty() { None } else { stated.get(&(row.device.0, row.id)) };
            if told.is_none() && !is_communication(row) {
                continue;
            }
            let operation = told.map_or_else(
                || {
                    let intern = || parts.names.intern(operation_of(model.names.text(row.name)));
                    *named.entry(row.name).or_insert_with(intern)
                },
                |told| told.operation,
            );
            parts.rows.push(Part {
                activity: at as u32,
                device: row.device,
                name: row.name,
                operation,
                group: told.and_then(|told| told.group),
                sequence: told.and_then(|told| told.sequence),
                bytes: told.and_then(|told| told.bytes),
                group_size: told.and_then(|told| told.group_size),
                peer: told.and_then(|told| told.peer),
                stated: told.is_some(),
            });
        }
        Ok(parts)
    }

    /// The text of a part's operation or group.
    pub(crate) fn text(&self, number: u32) -> &str {
        self.names.text(number)
    }

    fn stated(&mut self, model: &Model, tables: &Tables) -> Result<HashMap<(i64, i64), Stated>, Error> {
        let rows = Rows::of_pass(tables.get(&tables::COLLECTIVES), &model.pass)?;
        let (ranks, ids, peers) = (rows.ints("rank")?, rows.ints("activity")?, rows.optional_ints("peer")?);
        let (groups, sequences) = (rows.texts("group")?, rows.optional_ints("sequence")?);
        let (sizes, operations) = (rows.optional_ints("group_size")?, rows.texts("operation")?);
        let (read, written) = (rows.optional_ints("bytes_in")?, rows.optional_ints("bytes_out")?);
        let mut stated = HashMap::with_capacity(ids.len());
        for at in 0..ids.len() {
            let row = Stated {
                operation: self.names.intern(operations[at].as_deref().unwrap_or("collective")),
                group: groups[at].as_deref().map(|group| self.names.intern(group)),
                sequence: sequences[at],
                bytes: payload(read[at], written[at]),
                group_size: sizes[at].filter(|size| *size > 0),
                peer: peers[at],
            };
            stated.insert((ranks[at], ids[at]), row);
        }
        Ok(stated)
    }
}

/// Whether a kernel without arguments takes part in a collective: a communication kernel, also one that moves a KV
/// cache.
fn is_communication(row: &Activity) -> bool {
    row.kind == Kind::Kernel && matches!(row.class, Class::Comm | Class::Kv)
}

/// Operations that no rank can leave before every rank has entered. (The root of a broadcast may be done long before
/// the others begin, and so may a sender.)
const SYNCHRONOUS: &[&str] = &["all_reduce", "all_gather", "reduce_scatter", "all_to_all"];

/// Whether an operation ends on all ranks at nearly the same moment.
pub(crate) fn is_synchronous(operation: &str) -> bool {
    SYNCHRONOUS.contains(&operation_of(operation)) || operation.contains("barrier")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixture::{Args, Ranks};

    #[test]
    fn arguments_tell_first_and_names_where_there_are_none() {
        let args =
            Args { operation: "reduce_scatter", bytes: (Some(8), Some(2)), group: Some("tp"), ..Args::default() };
        let tables = Ranks::default()
            .kernel((0, 0), "ncclDevKernel_AllReduce_Sum", (0, 5))
            .args(Args { sequence: Some(7), group_size: Some(4), ..args })
            .kernel((0, 0), "gemm", (5, 9))
            .kernel((0, 0), "ncclDevKernel_SendRecv", (9, 12))
            .tables();
        let model = Model::read(&tables).unwrap();
        let parts = Parts::read(&model, &tables).unwrap();
        let told: Vec<_> = parts.rows.iter().map(|part| (part.activity, parts.text(part.operation))).collect();
        assert_eq!(told, [(0, "reduce_scatter"), (2, "send_recv")]);
        let first = parts.rows[0];
        assert_eq!((first.sequence, first.bytes, first.group_size, first.stated), (Some(7), Some(8), Some(4), true));
        assert_eq!(first.group.map(|group| parts.text(group)), Some("tp"));
        assert!(!parts.rows[1].stated);
    }

    #[test]
    fn a_broadcast_and_a_message_end_at_different_moments() {
        let synchronous = ["all_reduce", "_allgather_base", "barrier", "broadcast", "send", "send_recv", "reduce"];
        assert_eq!(synchronous.map(is_synchronous), [true, true, true, false, false, false, false]);
    }
}
