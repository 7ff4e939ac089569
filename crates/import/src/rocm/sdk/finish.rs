//! What has to wait until a process is read: launches, copies and ranges, whose calls come after them in the file.

use proftool_trace::rows::{Activity, Launch};

use super::{Counting, Process, Reader};
use crate::Error;
use crate::raw::Severity;
use crate::rocm::ids::take;
use crate::rocm::names::Counts;
use crate::rocm::records::Dispatch;
use crate::rocm::{agents, markers, size_text};

/// A launch that the timeline has.
#[derive(Clone, Copy)]
struct Timed {
    dispatch: i64,
    activity: Option<i64>,
    index: i64,
}

impl Reader<'_, '_> {
    /// Puts what had to wait for the end of the process.
    pub(super) fn finish(&mut self, mut process: Process) -> Result<(), Error> {
        process.calls.close();
        let timed = self.activities(&mut process)?;
        self.copied(&mut process)?;
        self.launched(&mut process, &timed)?;
        markers::put(std::mem::take(&mut process.markers), &mut self.ids.range, self.import)?;
        process.agents.put(&self.used, &mut self.devices, self.import)
    }

    /// Puts the launches as activities; returns them by the number of their dispatch where counters ask for them.
    fn activities(&mut self, process: &mut Process) -> Result<Vec<Timed>, Error> {
        let mut dispatches = std::mem::take(&mut process.dispatches);
        let wanted = !process.launches.is_empty();
        let (mut counts, mut timed) = (Counts::default(), Vec::new());
        if wanted {
            dispatches.sort_by_key(|dispatch| dispatch.dispatch);
        }
        for dispatch in &dispatches {
            let activity = self.activity(dispatch, process)?;
            if let Some(number) = dispatch.dispatch.filter(|_| wanted) {
                let index = counts.next(&process.symbols.name(dispatch.kernel.unwrap_or_default()));
                timed.push(Timed { dispatch: number, activity, index });
            }
        }
        Ok(timed)
    }

    /// Puts one launch as an activity and returns its id; `None` where it cannot be one.
    fn activity(&mut self, dispatch: &Dispatch, process: &mut Process) -> Result<Option<i64>, Error> {
        let place = || format!("kernel_dispatch with dispatch_id {}", dispatch.dispatch.unwrap_or_default());
        let (Some(device), Some(kernel)) = (process.agents.device(dispatch.agent), dispatch.kernel) else {
            self.import.bad_row("unknown_device", || format!("{}: its agent is no GPU or it names no kernel", place()));
            return Ok(None);
        };
        let (start_ns, end_ns) = self.times(&dispatch.record);
        if !self.import.possible(start_ns, end_ns, place) {
            return Ok(None);
        }
        let id = take(&mut self.ids.activity);
        let queue = dispatch.stream.filter(|_| !process.by_queue).or(dispatch.queue);
        self.used.note(device, queue);
        let call = process.calls.get(dispatch.record.correlation);
        self.unlaunched += u64::from(call.is_none());
        let [grid_x, grid_y, grid_z] = dispatch.blocks();
        let [block_x, block_y, block_z] = dispatch.block;
        let row = Activity {
            id,
            process: process.pid,
            device,
            queue,
            kind: "kernel",
            name: &process.symbols.name(kernel),
            start_ns,
            end_ns,
            correlation: dispatch.record.correlation,
            call,
            graph_id: dispatch.graph,
            graph_node: dispatch.graph_node,
            grid_x,
            grid_y,
            grid_z,
            block_x,
            block_y,
            block_z,
            registers_per_thread: process.symbols.get(kernel).and_then(|symbol| symbol.registers),
            shared_bytes: dispatch.shared_bytes.filter(|bytes| *bytes >= 0),
            ..Activity::default()
        };
        self.import.activity(&row, place)?;
        Ok(Some(id))
    }

    fn copied(&mut self, process: &mut Process) -> Result<(), Error> {
        for copy in std::mem::take(&mut process.copies) {
            let place = || format!("memory_copy from {} ns", copy.record.start.unwrap_or_default());
            if [copy.source, copy.target]
                .iter()
                .any(|agent| agent.and_then(|agent| process.agents.get(agent)).is_none())
            {
                self.import.bad_row("unknown_device", || format!("{}: it names no agent of the file", place()));
                continue;
            }
            let ends = (process.agents.device(copy.source), process.agents.device(copy.target));
            let Some((copy_kind, device)) = agents::copy(ends.0, ends.1) else {
                self.import.issue(
                    Severity::Info,
                    "copy_between_hosts",
                    1,
                    format!("left out, no device took part: {}", place()),
                );
                continue;
            };
            let (start_ns, end_ns) = self.times(&copy.record);
            let id = take(&mut self.ids.activity);
            let queue = copy.stream.filter(|_| !process.by_queue);
            self.used.note(device, queue);
            let call = process.calls.get(copy.record.correlation);
            self.unlaunched += u64::from(call.is_none());
            let operation = process.operations.get(copy.record.kind, copy.record.operation);
            let row = Activity {
                id,
                process: process.pid,
                device,
                queue,
                kind: "copy",
                name: operation.map_or("MEMORY_COPY", |(name, _)| name),
                start_ns,
                end_ns,
                correlation: copy.record.correlation,
                call,
                graph_id: copy.graph,
                graph_node: copy.graph_node,
                bytes: copy.bytes,
                copy_kind: Some(copy_kind),
                src_device: ends.0,
                dst_device: ends.1,
                src_memory: ends.0.map(|_| "device"),
                dst_memory: ends.1.map(|_| "device"),
                ..Activity::default()
            };
            self.import.activity(&row, place)?;
        }
        Ok(())
    }

    /// Puts the launches that have counters, on the timeline's launch where there is one, else with their own times.
    fn launched(&mut self, process: &mut Process, timed: &[Timed]) -> Result<(), Error> {
        let mut counts = Counts::default();
        let mut launches = std::mem::take(&mut process.launches);
        launches.sort_by_key(|launch| launch.dispatch.dispatch);
        for Counting { launch, dispatch, .. } in &launches {
            let number = dispatch.dispatch.unwrap_or_default();
            let kernel = dispatch.kernel.unwrap_or_default();
            let known = timed.binary_search_by_key(&number, |timed| timed.dispatch).ok().map(|at| timed[at]);
            let (activity, launch_index) = if let Some(timed) = known {
                (timed.activity, timed.index)
            } else {
                let has_times = dispatch.record.start.is_some_and(|start| start != 0);
                let activity = if has_times { self.activity(dispatch, process)? } else { None };
                (activity, counts.next(&process.symbols.name(kernel)))
            };
            let Some(device) = process.agents.device(dispatch.agent) else { continue };
            let (grid, block) = (size_text(dispatch.blocks()), size_text(dispatch.block));
            self.import.put(&Launch {
                launch: *launch,
                activity,
                device,
                name: &process.symbols.name(kernel),
                launch_index,
                grid: grid.as_deref(),
                block: block.as_deref(),
                phase: None,
            })?;
        }
        Ok(())
    }
}
