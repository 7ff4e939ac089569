//! Kernels and copies.

use std::borrow::Cow;

use proftool_trace::rows::Activity;

use super::State;
use super::calls::Calls;
use super::counters::Counted;
use super::place::Place;
use super::shape::column;
use crate::Error;
use crate::raw::Severity;
use crate::rocm::database::Row;
use crate::rocm::ids::take;
use crate::rocm::{agents, groups};

const OWN: usize = column::OWN;

/// A launch with its names looked up.
pub(super) struct Dispatch<'r> {
    pub(super) name: Cow<'r, str>,
    pub(super) registers: Option<i64>,
    pub(super) device: Option<i64>,
    pub(super) process: Option<i64>,
}

impl Dispatch<'_> {
    /// Puts the activity; its id and device, where it is one.
    pub(super) fn put(
        &self,
        place: &Place<'_>,
        calls: &Calls,
        state: &mut State<'_, '_>,
    ) -> Result<Option<(i64, i64)>, Error> {
        let Some(device) = self.device else {
            state.import.bad_row("unknown_device", || format!("{}: its agent is no GPU", place.text()));
            return Ok(None);
        };
        let Some((start_ns, end_ns)) = place.times(state) else { return Ok(None) };
        let id = take(&mut state.ids.activity);
        let queue = place.queue();
        state.used.note(device, queue);
        let row = place.row;
        let Counted { grid: [grid_x, grid_y, grid_z], block: [block_x, block_y, block_z], .. } = counted(row);
        let (graph_id, graph_node) = graph(row, OWN + 9);
        let correlation = place.correlation();
        let call = calls.caller(correlation, state);
        let activity = Activity {
            id,
            process: self.process,
            device,
            queue,
            kind: "kernel",
            name: &self.name,
            start_ns,
            end_ns,
            correlation,
            call,
            graph_id,
            graph_node,
            grid_x,
            grid_y,
            grid_z,
            block_x,
            block_y,
            block_z,
            registers_per_thread: self.registers,
            shared_bytes: row.int(OWN + 2).filter(|bytes| *bytes >= 0),
            ..Activity::default()
        };
        state.import.activity(&activity, || place.text())?;
        Ok(Some((id, device)))
    }
}

/// Size of a launch, in blocks and in threads of a block.
pub(super) fn counted(row: &Row<'_>) -> Counted {
    let block = [3, 4, 5].map(|at| row.int(OWN + at));
    let grid = [0, 1, 2].map(|axis| groups(row.int(OWN + 6 + axis), block[axis]));
    Counted { grid, block, ..Counted::default() }
}

/// The executable graph and the node; 0 stands for none.
fn graph(row: &Row<'_>, at: usize) -> (Option<i64>, Option<i64>) {
    let graph = row.int(at).filter(|graph| *graph != 0);
    (graph, graph.and(row.int(at + 1)))
}

/// A copy with its ends looked up.
pub(super) struct Copied<'r> {
    pub(super) name: &'r str,
    /// The devices that are read and written; none for a host.
    pub(super) ends: [Option<i64>; 2],
    pub(super) process: Option<i64>,
    pub(super) is_known: bool,
}

impl Copied<'_> {
    pub(super) fn put(&self, place: &Place<'_>, calls: &Calls, state: &mut State<'_, '_>) -> Result<(), Error> {
        if !self.is_known {
            state.import.bad_row("unknown_device", || format!("{}: it names no agent of the database", place.text()));
            return Ok(());
        }
        let [src_device, dst_device] = self.ends;
        let Some((copy_kind, device)) = agents::copy(src_device, dst_device) else {
            let detail = format!("left out, no device took part: {}", place.text());
            state.import.issue(Severity::Info, "copy_between_hosts", 1, detail);
            return Ok(());
        };
        let Some((start_ns, end_ns)) = place.times(state) else { return Ok(()) };
        let (id, queue) = (take(&mut state.ids.activity), place.queue());
        state.used.note(device, queue);
        let (graph_id, graph_node) = graph(place.row, OWN + 4);
        let correlation = place.correlation();
        let call = calls.caller(correlation, state);
        let activity = Activity {
            id,
            process: self.process,
            device,
            queue,
            kind: "copy",
            name: self.name,
            start_ns,
            end_ns,
            correlation,
            call,
            graph_id,
            graph_node,
            bytes: place.row.int(OWN + 3).filter(|bytes| *bytes >= 0),
            copy_kind: Some(copy_kind),
            src_device,
            dst_device,
            src_memory: src_device.map(|_| "device"),
            dst_memory: dst_device.map(|_| "device"),
            ..Activity::default()
        };
        state.import.activity(&activity, || place.text())
    }
}
