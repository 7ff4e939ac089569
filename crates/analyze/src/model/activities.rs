//! The activities of a pass, in the order of device, start and id.

use polars::prelude::DataFrame;
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use super::read::pieces;
use super::rows::Rows;
use super::{Activity, CopyKind, Memory, Model};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::index::Index;

impl Model {
    pub(super) fn read_activities(&mut self, tables: &Tables, calls: &Index, rows: usize) -> Result<(), Error> {
        let frame = tables.get(&tables::ACTIVITIES);
        self.activities.reserve(frame.height());
        for piece in pieces(frame, rows) {
            self.read_activity_rows(&piece, calls)?;
        }
        self.sort_activities();
        self.worked = self.activities.chunk_by(|a, b| a.device == b.device).map(|rows| rows[0].device).collect();
        Ok(())
    }

    /// Sorts keys, which are smaller than the rows, and swaps the rows along the cycles of the order; importers mostly write
    /// them in order.
    fn sort_activities(&mut self) {
        let key = |row: &Activity| (row.device, row.span.0, row.id);
        if self.activities.is_sorted_by_key(key) {
            return;
        }
        let rows = self.activities.iter().enumerate();
        let mut order: Vec<_> = rows.map(|(at, row)| (key(row), at)).collect();
        order.sort_unstable();
        for start in 0..order.len() {
            // Each cycle of the permutation once: a place that is done names itself.
            let mut at = start;
            loop {
                let from = std::mem::replace(&mut order[at].1, at);
                if from == start {
                    break;
                }
                self.activities.swap(at, from);
                at = from;
            }
        }
    }

    fn read_activity_rows(&mut self, frame: &DataFrame, calls: &Index) -> Result<(), Error> {
        let rows = Rows::of_pass(frame, &self.pass)?;
        let (ranks, ids, devices) = (rows.ints("rank")?, rows.ints("id")?, rows.ints("device")?);
        let (queues, processes) = (rows.optional_ints("queue")?, rows.optional_ints("process")?);
        let (starts, ends, launched) = (rows.ints("start_ns")?, rows.ints("end_ns")?, rows.optional_ints("call")?);
        let (bytes, simulated) = (rows.optional_ints("bytes")?, rows.bools("simulated")?);
        let (sources, targets) = (rows.optional_ints("src_device")?, rows.optional_ints("dst_device")?);
        let (graphs, nodes) = (rows.optional_ints("graph_id")?, rows.optional_ints("graph_node")?);
        let copy_kinds = rows.parsed("copy_kind", &CopyKind::ALL)?;
        let src_memories = rows.parsed("src_memory", &Memory::ALL)?;
        let dst_memories = rows.parsed("dst_memory", &Memory::ALL)?;
        let kinds = rows.names("kind", &mut self.names)?;
        let names = rows.names("name", &mut self.names)?;
        for at in 0..ids.len() {
            let kind = kinds[at].map_or(Kind::Kernel, |kind| Kind::parse(self.names.text(kind)));
            self.activities.push(Activity {
                id: ids[at],
                device: (ranks[at], devices[at]),
                queue: queues[at],
                process: processes[at],
                kind,
                class: Class::Compute,
                rule: None,
                name: names[at].unwrap_or_default(),
                // A clock that stepped back would make a negative length, which no union may see.
                span: (starts[at], ends[at].max(starts[at])),
                call: launched[at].and_then(|call| calls.get(ranks[at], call)),
                bytes: bytes[at],
                src: sources[at],
                dst: targets[at],
                copy_kind: copy_kinds[at],
                src_memory: src_memories[at],
                dst_memory: dst_memories[at],
                graph_id: graphs[at],
                graph_node: nodes[at],
                simulated: simulated[at],
                work: None,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    #[test]
    fn activities_are_sorted_by_device_start_and_id_along_cycles_of_any_length() {
        let order = [(1, 5, 3), (0, 9, 1), (0, 2, 4), (1, 5, 2), (0, 2, 0), (1, 1, 5)];
        let mut fixture = Fixture::new();
        for (device, start, _) in order {
            fixture = fixture.kernel(device, 0, (start, start + 1));
        }
        let model = fixture.model();
        let mut sorted: Vec<_> = order.iter().enumerate().map(|(id, row)| (row.0, row.1, id as i64)).collect();
        sorted.sort_unstable();
        let found: Vec<_> = model.activities.iter().map(|row| (row.device.1, row.span.0, row.id)).collect();
        assert_eq!(found, sorted);
    }
}
