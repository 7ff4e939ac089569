//! Rows of what devices did.

use std::collections::{BTreeMap, BTreeSet};

use proftool_trace::rows::{Activity, Device, Queue};

use super::copies::Copy;
use super::event::{Args, Event, integer, triple};
use super::launches::{Launch, Launches, correlation};
use super::metadata::Metadata;
use super::names::Names;
use crate::Error;
use crate::raw::{Import, Severity};

/// What devices did, handed over as soon as the launching call is known.
#[derive(Default)]
pub(crate) struct Devices {
    /// Rows whose call has not come yet. CUDA traces have each call right behind what it launched, so that these are few.
    waiting: Vec<(Work, u32)>,
    names: Names,
    seen: BTreeSet<i64>,
    queues: BTreeMap<(i64, i64), Option<i64>>,
    /// Device and queue seen last.
    recent: (i64, Option<i64>),
    /// Rows that are work and have no call in the file.
    unlaunched: u64,
}

impl Devices {
    /// Takes a row. It is handed over at once when its call stands earlier in the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn add(
        &mut self,
        import: &mut Import<'_>,
        launches: &Launches,
        work: Work,
        name: &str,
        args: &Args<'_>,
    ) -> Result<(), Error> {
        self.see(work.device, work.queue.get(), args);
        if let Some(launch) = work.caller(launches) {
            return import.activity(&launched(&work, name, launches, launch), String::new);
        }
        self.waiting.push((work, self.names.number(name)));
        Ok(())
    }

    /// Hands over the rows that stand last among those that wait, if this call launched them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn release(
        &mut self,
        import: &mut Import<'_>,
        launches: &Launches,
        correlation: i64,
    ) -> Result<(), Error> {
        let others = self.waiting.iter().rposition(|(work, _)| work.correlation.get() != Some(correlation));
        for (work, name) in self.waiting.drain(others.map_or(0, |last| last + 1)..) {
            let Some(launch) = work.caller(launches) else { continue };
            import.activity(&launched(&work, self.names.name(name), launches, launch), String::new)?;
        }
        Ok(())
    }

    fn see(&mut self, device: i64, queue: Option<i64>, args: &Args<'_>) {
        if self.recent == (device, queue) && !self.seen.is_empty() {
            return;
        }
        self.recent = (device, queue);
        self.seen.insert(device);
        if let Some(queue) = queue {
            self.queues.entry((device, queue)).or_insert_with(|| integer(args.priority));
        }
    }

    /// Counts a device on which something else than an activity was seen.
    pub(crate) fn also(&mut self, device: i64) {
        self.seen.insert(device);
    }

    /// Hands over the rows that waited, and the devices and queues.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn finish(
        mut self,
        import: &mut Import<'_>,
        launches: &Launches,
        metadata: &Metadata,
    ) -> Result<(), Error> {
        for (work, name) in std::mem::take(&mut self.waiting) {
            let name = self.names.name(name);
            let launch = work.caller(launches);
            let row = match launch {
                Some(launch) => launched(&work, name, launches, launch),
                None => Activity { process: launches.only_process(), ..work.row(name) },
            };
            self.unlaunched += u64::from(launch.is_none() && row.kind != "sync");
            import.activity(&row, String::new)?;
        }
        import.issue(
            Severity::Info,
            "launch_not_recorded",
            self.unlaunched,
            "device rows whose launching call is not in the file (usually launched before the profiler began)",
        );
        self.describe(import, metadata)
    }

    fn describe(&self, import: &mut Import<'_>, metadata: &Metadata) -> Result<(), Error> {
        let (listed, any, mut unlisted) = (metadata.listed(), metadata.any(), 0);
        for device in &self.seen {
            let found = listed.get(device).copied();
            unlisted += u64::from(found.is_none());
            let Some(properties) = found.or(any) else { continue };
            let arch = properties.arch(metadata.hip);
            let name = if properties.name.is_empty() { arch.as_deref().unwrap_or("unknown") } else { &properties.name };
            import.device(&Device {
                device: *device,
                kind: if metadata.hip { "hip" } else { "cuda" },
                name,
                arch: arch.as_deref(),
                sm_count: properties.sm_count,
                memory_bytes: properties.memory_bytes,
                ..Device::default()
            })?;
        }
        let detail = "devices whose number is not among deviceProperties; they are described as the listed ones where \
            those are all alike, else not at all (`--hardware` names them)";
        import.issue(Severity::Info, "device_not_listed", unlisted, detail);
        for ((device, queue), priority) in &self.queues {
            import.put(&Queue { device: *device, queue: *queue, role: None, priority: *priority })?;
        }
        Ok(())
    }
}

/// The row with what its call tells.
fn launched<'a>(work: &Work, name: &'a str, launches: &Launches, launch: Launch) -> Activity<'a> {
    let row = Activity { call: Some(launch.call), process: launches.process_of(launch), ..work.row(name) };
    if row.kind != "kernel" || row.grid_x.is_some() {
        return row;
    }
    let Some(([grid_x, grid_y, grid_z], [block_x, block_y, block_z], shared_bytes)) = launches.shape_of(launch) else {
        return row;
    };
    Activity { grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, ..row }
}

/// An integer or nothing in eight bytes.
#[derive(Clone, Copy, Debug)]
struct Maybe(i64);

impl Default for Maybe {
    fn default() -> Self {
        Self(i64::MIN)
    }
}

impl From<Option<i64>> for Maybe {
    fn from(value: Option<i64>) -> Self {
        Self(value.unwrap_or(i64::MIN))
    }
}

impl Maybe {
    fn get(self) -> Option<i64> {
        Some(self.0).filter(|value| *value != i64::MIN)
    }
}

/// A row of `activities` without its name and its call, small enough to wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) id: i64,
    pub(crate) kind: &'static str,
    device: i64,
    start_ns: i64,
    end_ns: i64,
    context: Maybe,
    queue: Maybe,
    correlation: Maybe,
    /// `pid` where that is not the device's number: the process in files that other programs merged.
    process: Maybe,
    graph_id: Maybe,
    graph_node: Maybe,
    bytes: Maybe,
    copy: Copy,
    src_device: Maybe,
    dst_device: Maybe,
    grid: [Maybe; 3],
    block: [Maybe; 3],
    registers: Maybe,
    shared: Maybe,
}

impl Work {
    /// What an event tells about work of that kind.
    pub(crate) fn of(
        event: &Event<'_>,
        kind: &'static str,
        id: i64,
        name: &str,
        (start_ns, end_ns): (i64, i64),
    ) -> Self {
        let args = &event.args;
        let device =
            [args.device, args.in_device, args.from_device, event.pid].into_iter().find_map(integer).unwrap_or(0);
        let nonzero = |value| integer(value).filter(|value| *value != 0).into();
        let mut work = Self {
            id,
            kind,
            device,
            start_ns,
            end_ns,
            context: integer(args.context).into(),
            queue: integer(args.stream).and_then(queue).into(),
            correlation: correlation(args).into(),
            process: integer(event.pid).filter(|pid| *pid != device).into(),
            graph_id: nonzero(args.graph),
            graph_node: nonzero(args.graph_node),
            ..Self::default()
        };
        match kind {
            "kernel" => work.launch(args),
            "copy" => work.copy(args, name),
            "set" => {
                work.bytes = integer(args.bytes).into();
                work.copy = Copy::filling(name);
                work.dst_device = Maybe(work.device);
            }
            _ => {}
        }
        work
    }

    /// The call that launched it, as far as calls are known.
    fn caller(&self, launches: &Launches) -> Option<Launch> {
        launches.find(self.correlation.get()?, self.start_ns, self.process.get())
    }

    fn launch(&mut self, args: &Args<'_>) {
        self.grid = triple(args.grid).map(Maybe::from);
        self.block = triple(args.block).map(Maybe::from);
        self.registers = integer(args.registers).into();
        self.shared = integer(args.shared).into();
    }

    fn copy(&mut self, args: &Args<'_>, name: &str) {
        let stated = str::from_utf8(args.kind).unwrap_or_default().trim_matches('"');
        self.bytes = integer(args.bytes).into();
        self.copy = Copy::named(name, stated);
        let here = Some(self.device);
        let (src, dst) = match self.copy.kind {
            Some("h2d") => (None, here),
            Some("d2h") => (here, None),
            Some("d2d") => (here, here),
            _ => (None, None),
        };
        self.src_device = integer(args.from_device).or(src).into();
        self.dst_device = integer(args.to_device).or(dst).into();
    }

    fn row<'a>(&self, name: &'a str) -> Activity<'a> {
        let ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]) =
            (self.grid.map(Maybe::get), self.block.map(Maybe::get));
        Activity {
            id: self.id,
            process: None,
            device: self.device,
            context: self.context.get(),
            queue: self.queue.get(),
            kind: self.kind,
            name,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            correlation: self.correlation.get(),
            call: None,
            graph_id: self.graph_id.get(),
            graph_node: self.graph_node.get(),
            bytes: self.bytes.get(),
            copy_kind: self.copy.kind,
            src_device: self.src_device.get(),
            dst_device: self.dst_device.get(),
            src_memory: self.copy.src_memory,
            dst_memory: self.copy.dst_memory,
            grid_x,
            grid_y,
            grid_z,
            block_x,
            block_y,
            block_z,
            registers_per_thread: self.registers.get(),
            shared_bytes: self.shared.get(),
            simulated: false,
        }
    }
}

/// A device-wide synchronisation has no queue: -1, or the same in 32 bits without a sign.
fn queue(stream: i64) -> Option<i64> {
    Some(stream).filter(|stream| !matches!(stream, -1 | 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_copy_names_both_devices() {
        let args = Args {
            in_device: b"1",
            from_device: b"1",
            to_device: b"2",
            stream: b"7",
            bytes: b"64",
            correlation: b"5",
            ..Args::default()
        };
        let event = Event { args, ..Event::default() };
        let name = "Memcpy PtoP (Device -> Device)";
        let row = Work::of(&event, "copy", 3, name, (1, 2)).row(name);
        assert_eq!((row.device, row.queue, row.bytes, row.copy_kind), (1, Some(7), Some(64), Some("p2p")));
        assert_eq!((row.src_device, row.dst_device), (Some(1), Some(2)));
        assert_eq!((row.id, row.correlation, row.call), (3, Some(5), None));
    }

    #[test]
    fn a_graph_and_its_node_have_numbers_but_zero() {
        for (number, wanted) in [(&b"3"[..], Some(3)), (b"0", None), (b"", None)] {
            let args = Args { graph: number, graph_node: b"12884901889", ..Args::default() };
            let row = Work::of(&Event { args, ..Event::default() }, "kernel", 0, "k", (0, 0)).row("k");
            assert_eq!((row.graph_id, row.graph_node), (wanted, Some(12_884_901_889)));
        }
    }

    #[test]
    fn a_row_without_a_stream_has_no_queue() {
        for stream in [&b"-1"[..], b"4294967295", b""] {
            let event = Event { pid: b"3", args: Args { stream, ..Args::default() }, ..Event::default() };
            let row = Work::of(&event, "sync", 0, "Event Sync", (0, 0)).row("Event Sync");
            assert_eq!((row.device, row.queue), (3, None));
        }
    }
}
