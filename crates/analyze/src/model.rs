//! Typed views of one timeline pass, taken from the frames once, so that metrics are plain Rust on slices.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use polars::prelude::{DataFrame, StringChunked};
use proftool_trace::frame::{self, Tables};
use proftool_trace::tables;
use serde::Deserialize;

use crate::Error;
use crate::classes::{Class, Facts, Kind, Rules, SYNC_CALLS, contains_any};
use crate::index::Index;
use crate::metrics::ranges::Instances;
use crate::operators::{Span, contains, union};
use crate::phases::Phases;
use crate::roofline::operators::Attribution;
use crate::steps::Steps;

/// Each distinct text once; a text is a small number elsewhere.
#[derive(Debug, Default)]
pub struct Names {
    texts: Vec<String>,
    index: HashMap<String, u32>,
}

impl Names {
    /// The number of a text, given when it is first seen.
    pub fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.index.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.index.insert(text.to_owned(), number);
        number
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }

    /// The number of a text that has been seen.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.index.get(text).copied()
    }
}

/// A device inside its pass: rank and device number.
pub type DeviceKey = (i64, i64);

/// A row of `activities` with what other tables say about it.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Identifier inside the pass.
    pub id: i64,
    /// Rank and device.
    pub device: DeviceKey,
    /// The queue, where it is known.
    pub queue: Option<i64>,
    /// Operating-system process.
    pub process: Option<i64>,
    /// Kind of row.
    pub kind: Kind,
    /// What its time is spent on.
    pub class: Class,
    /// The rule that gave the class, by its place (its name: [`Model::rule`]); without one it is a kernel taken for compute.
    pub rule: Option<u32>,
    /// Number of its name.
    pub name: u32,
    /// Start and end.
    pub span: Span,
    /// Index of the launching call.
    pub call: Option<u32>,
    /// Bytes that a copy moved.
    pub bytes: Option<i64>,
    /// Device that a copy reads from.
    pub src: Option<i64>,
    /// Device that a copy writes to.
    pub dst: Option<i64>,
    /// Direction of a copy.
    pub copy_kind: Option<CopyKind>,
    /// Memory that a copy reads.
    pub src_memory: Option<Memory>,
    /// Memory that a copy writes.
    pub dst_memory: Option<Memory>,
    /// Executable graph that it belongs to.
    pub graph_id: Option<i64>,
    /// Node of that graph.
    pub graph_node: Option<i64>,
    /// Whether its duration is modelled.
    pub simulated: bool,
    /// What the target states about it, apart: most rows are of imported files, which state nothing.
    work: Option<Box<Work>>,
}

impl Activity {
    /// What the target states about it.
    pub fn work(&self) -> Option<Work> {
        self.work.as_deref().copied()
    }
}

/// A row of `work`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Iteration.
    pub step: Option<i64>,
    /// Number of the phase's name.
    pub phase: Option<u32>,
    /// Pipeline stage.
    pub stage: Option<i64>,
    /// Micro-batch inside the phase.
    pub micro_batch: Option<i64>,
    /// Rows (tokens) handled.
    pub rows: Option<i64>,
    /// Floating-point operations.
    pub flop: Option<i64>,
    /// Compulsory bytes.
    pub dram_bytes: Option<i64>,
    /// Number of the precision's name.
    pub precision: Option<u32>,
}

/// Direction of a copy.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum CopyKind {
    /// Host to device.
    H2d,
    /// Device to host.
    D2h,
    /// Inside one device.
    D2d,
    /// From device to device.
    P2p,
    /// Host to host.
    H2h,
}

impl CopyKind {
    /// Every direction and its name in the table `activities`.
    pub const ALL: [(Self, &'static str); 5] =
        [(Self::H2d, "h2d"), (Self::D2h, "d2h"), (Self::D2d, "d2d"), (Self::P2p, "p2p"), (Self::H2h, "h2h")];

    /// The name in the table `activities`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Memory at one end of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Memory {
    /// Host memory that the system may move: the driver stages it.
    Pageable,
    /// Host memory that a device can read by itself.
    Pinned,
    /// Memory of a device.
    Device,
    /// Memory that migrates on access.
    Managed,
}

impl Memory {
    /// Every kind and its name in the table `activities`.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Pageable, "pageable"), (Self::Pinned, "pinned"), (Self::Device, "device"), (Self::Managed, "managed")];

    /// The name in the table `activities`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which interface a host call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// The runtime (`cudaLaunchKernel`, `hipLaunchKernel`, the recorder's own launches).
    Runtime,
    /// The driver (`cuLaunchKernel`).
    Driver,
    /// The operating system.
    Osrt,
    /// MPI.
    Mpi,
    /// UCX.
    Ucx,
    /// A framework operator.
    Op,
    /// A Python frame.
    Python,
    /// Any other.
    Other,
}

impl Api {
    /// Every interface and its name in the table `calls`.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Runtime, "runtime"),
        (Self::Driver, "driver"),
        (Self::Osrt, "osrt"),
        (Self::Mpi, "mpi"),
        (Self::Ucx, "ucx"),
        (Self::Op, "op"),
        (Self::Python, "python"),
        (Self::Other, "other"),
    ];

    /// The name in the table `calls`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Whether its calls launch work on a device.
    pub fn launches(self) -> bool {
        matches!(self, Self::Runtime | Self::Driver)
    }
}

/// What a host call concerns, where the tool says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The device.
    pub device: Option<i64>,
    /// The queue.
    pub queue: Option<i64>,
    /// The event that is recorded or waited for.
    pub event: Option<i64>,
}

/// How a range was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RangeStyle {
    /// Pushed and popped: it nests on its thread.
    PushPop,
    /// Started and ended: it may cross others and end on another thread.
    StartEnd,
    /// An instant.
    Mark,
}

impl RangeStyle {
    /// Every style and its name in the table `ranges`.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::PushPop, "push_pop"), (Self::StartEnd, "start_end"), (Self::Mark, "mark")];

    /// The name in the table `ranges`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// The value of that name in a list of all.
fn parse<T: Copy>(all: &[(T, &str)], name: &str) -> Option<T> {
    all.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}

/// A row of `calls`.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Identifier inside the pass and rank.
    pub id: i64,
    /// Interface that it belongs to.
    pub api: Api,
    /// Number of its name.
    pub name: u32,
    /// Rank.
    pub rank: i64,
    /// Operating-system process.
    pub process: Option<i64>,
    /// Operating-system thread.
    pub thread: Option<i64>,
    /// Start and end.
    pub span: Span,
    /// Whether it blocks until a device is done.
    pub sync: bool,
}

/// A device and a queue of it; without a queue all of it.
pub type Place = (i64, Option<i64>);

/// A finished row of `ranges`.
#[derive(Clone, Debug)]
pub struct Range {
    /// Identifier inside the pass and rank.
    pub id: i64,
    /// How it was drawn.
    pub style: RangeStyle,
    /// Rank.
    pub rank: i64,
    /// Operating-system process.
    pub process: Option<i64>,
    /// Thread that began it.
    pub thread: Option<i64>,
    /// Thread that ended it, where it is known.
    pub end_thread: Option<i64>,
    /// Where the profiler drew a range that is not on a host thread.
    pub place: Option<Place>,
    /// Number of the domain's name.
    pub domain: Option<u32>,
    /// Number of its name.
    pub name: u32,
    /// Start and end.
    pub span: Span,
}

/// A row of `devices`.
#[derive(Clone, Debug)]
pub struct Device {
    /// Rank and device.
    pub key: DeviceKey,
    /// `cpu`, `cuda`, `hip` or `simulated`.
    pub kind: String,
    /// Architecture, where it is known.
    pub arch: Option<String>,
}

/// A row of `queues`.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Rank and device.
    pub device: DeviceKey,
    /// Number inside the device.
    pub queue: i64,
    /// Role, where it is known.
    pub role: Option<String>,
}

/// Kind of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// A result that is read.
    Data,
    /// An event that is waited for.
    Event,
    /// The order of a queue.
    Queue,
    /// Members of one collective.
    Collective,
    /// A launch.
    Launch,
}

/// One timeline pass.
#[derive(Debug, Default)]
pub struct Model {
    /// Name of the pass.
    pub pass: String,
    /// All activities, sorted by rank, device, start and id.
    pub activities: Vec<Activity>,
    /// Host calls.
    pub calls: Vec<Call>,
    /// Finished ranges.
    pub ranges: Vec<Range>,
    /// Ranges that began and never ended.
    pub open_ranges: u64,
    /// Devices.
    pub devices: Vec<Device>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// The texts.
    pub names: Names,
    /// Whether the pass has rows in `dependencies`.
    pub has_dependencies: bool,
    /// The names of the rules that [`Activity::rule`] numbers.
    pub rules: Vec<String>,
    /// The devices of the activities, sorted.
    worked: Vec<DeviceKey>,
    edges: Vec<(u32, u32, Edge)>,
    edge_kinds: Vec<Edge>,
    /// By the index of the call, in its order.
    targets: Vec<(u32, Target)>,
    /// What several metrics find in the ranges, found when first asked for.
    pub(crate) steps: OnceCell<Rc<Steps>>,
    pub(crate) phases: OnceCell<Rc<Phases>>,
    /// What several metrics find in the operators and in the nesting of ranges, likewise.
    pub(crate) attribution: OnceCell<Rc<Attribution>>,
    pub(crate) instances: OnceCell<Rc<Instances>>,
    extents: OnceCell<BTreeMap<DeviceKey, Span>>,
    syncs: HashMap<(i64, Option<i64>), Vec<Span>>,
}

impl Model {
    /// Reads the first pass that has activities (or else devices), classified by the built-in rules.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table.
    pub fn read(tables: &Tables) -> Result<Self, Error> {
        Self::read_with(tables, Rules::built_in())
    }

    /// As [`Model::read`], classified by those rules.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn read_with(tables: &Tables, rules: &Rules) -> Result<Self, Error> {
        let mut model = Self { pass: timeline_pass(tables)?, ..Self::default() };
        model.read_devices(tables)?;
        model.read_queues(tables)?;
        let call_ids = model.read_calls(tables)?;
        model.read_ranges(tables)?;
        model.read_activities(tables, &call_ids)?;
        model.classify(rules);
        if [&tables::WORK, &tables::DEPENDENCIES].iter().any(|table| tables.get(table).height() > 0) {
            let ids = Index::of(model.activities.iter().map(|row| (row.device.0, row.id)));
            model.read_work(tables, &ids)?;
            model.read_dependencies(tables, &ids)?;
        }
        model.syncs = model.sync_sets();
        Ok(model)
    }

    /// Every device that is declared or worked, sorted.
    pub fn device_keys(&self) -> Vec<DeviceKey> {
        let declared = self.devices.iter().map(|device| device.key);
        declared.chain(self.worked.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// From the first start to the last end of the kernel, copy, set and graph rows of each device that has any.
    pub(crate) fn extents(&self) -> &BTreeMap<DeviceKey, Span> {
        self.extents.get_or_init(|| {
            let mut extents: BTreeMap<DeviceKey, Span> = BTreeMap::new();
            for rows in self.activities.chunk_by(|a, b| a.device == b.device) {
                let spans = rows.iter().filter(|row| row.class != Class::Sync).map(|row| row.span);
                if let Some(extent) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) {
                    extents.insert(rows[0].device, extent);
                }
            }
            extents
        })
    }

    /// The activities of one device, sorted by start and id.
    pub fn of_device(&self, key: DeviceKey) -> &[Activity] {
        let first = self.activities.partition_point(|row| row.device < key);
        let count = self.activities[first..].partition_point(|row| row.device == key);
        &self.activities[first..first + count]
    }

    /// The activities of one device that begin inside the windows (sorted and disjoint), in order: found by bisection,
    /// so that the windows one by one cost no more than all together.
    pub fn begun_on<'m>(&'m self, key: DeviceKey, windows: &'m [Span]) -> impl Iterator<Item = &'m Activity> {
        let rows = self.of_device(key);
        windows.iter().flat_map(move |window| {
            let first = rows.partition_point(|row| row.span.0 < window.0);
            let count = rows[first..].partition_point(|row| row.span.0 < window.1);
            &rows[first..first + count]
        })
    }

    /// As [`Model::begun_on`] of every device, device by device.
    pub fn begun_in<'m>(&'m self, windows: &'m [Span]) -> impl Iterator<Item = &'m Activity> {
        self.worked.iter().flat_map(|device| self.begun_on(*device, windows))
    }

    /// The queues of one device that are declared or worked, sorted.
    pub fn queues_of(&self, key: DeviceKey) -> Vec<i64> {
        let declared = self.queues.iter().filter(|queue| queue.device == key).map(|queue| queue.queue);
        declared
            .chain(self.of_device(key).iter().filter_map(|row| row.queue))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// What an activity had to wait for: index and kind, in the order of the indices.
    pub fn inputs(&self, activity: usize) -> impl Iterator<Item = (usize, Edge)> + '_ {
        let first = self.edges.partition_point(|edge| (edge.0 as usize) < activity);
        self.edges[first..]
            .iter()
            .take_while(move |edge| edge.0 as usize == activity)
            .map(|edge| (edge.1 as usize, edge.2))
    }

    /// The index of an activity of [`Model::of_device`] in [`Model::activities`].
    pub fn index_of(&self, row: &Activity) -> usize {
        self.activities
            .partition_point(|other| (other.device, other.span.0, other.id) < (row.device, row.span.0, row.id))
    }

    /// What a host call (by its index) concerns.
    pub fn target(&self, call: usize) -> Target {
        let found = self.targets.binary_search_by_key(&(call as u32), |(call, _)| *call);
        found.map_or_else(|_| Target::default(), |at| self.targets[at].1)
    }

    /// Whether a dependency of that kind exists.
    pub fn has_edge(&self, kind: Edge) -> bool {
        self.edge_kinds.contains(&kind)
    }

    /// When host synchronisation calls of a process were open.
    pub fn open_syncs(&self, rank: i64, process: Option<i64>) -> &[Span] {
        self.syncs.get(&(rank, process)).map_or(&[], Vec::as_slice)
    }

    /// The name of the rule that gave an activity its class; `None` for a kernel taken for compute.
    pub fn rule(&self, row: &Activity) -> Option<&str> {
        self.rules.get(row.rule? as usize).map(String::as_str)
    }

    /// The phase of an activity.
    pub fn phase(&self, row: &Activity) -> Option<&str> {
        row.work()?.phase.map(|phase| self.names.text(phase))
    }

    fn read_devices(&mut self, tables: &Tables) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::DEVICES), &self.pass)?;
        let (ranks, devices) = (rows.ints("rank")?, rows.ints("device")?);
        let (kinds, archs) = (rows.texts("kind")?, rows.texts("arch")?);
        for (at, arch) in archs.into_iter().enumerate() {
            self.devices.push(Device {
                key: (ranks[at], devices[at]),
                kind: kinds[at].clone().unwrap_or_default(),
                arch,
            });
        }
        Ok(())
    }

    fn read_queues(&mut self, tables: &Tables) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::QUEUES), &self.pass)?;
        let (ranks, devices, queues) = (rows.ints("rank")?, rows.ints("device")?, rows.ints("queue")?);
        for (at, role) in rows.texts("role")?.into_iter().enumerate() {
            self.queues.push(Queue { device: (ranks[at], devices[at]), queue: queues[at], role });
        }
        Ok(())
    }

    fn read_calls(&mut self, tables: &Tables) -> Result<Index, Error> {
        let rows = Rows::of_pass(tables.get(&tables::CALLS), &self.pass)?;
        let (ranks, ids) = (rows.ints("rank")?, rows.ints("id")?);
        let (processes, threads) = (rows.optional_ints("process")?, rows.optional_ints("thread")?);
        let (starts, ends) = (rows.ints("start_ns")?, rows.ints("end_ns")?);
        let (devices, queues) = (rows.optional_ints("device")?, rows.optional_ints("queue")?);
        let events = rows.optional_ints("target_event")?;
        let names = rows.names("name", &mut self.names)?;
        let apis = rows.parsed("api", &Api::ALL)?;
        let syncs: Vec<bool> = self.names.texts.iter().map(|text| contains_any(text, SYNC_CALLS)).collect();
        self.calls.reserve(ids.len());
        for at in 0..ids.len() {
            // An operator or a Python function of such a name need not wait for a device.
            let sync = apis[at].is_some_and(Api::launches) && names[at].is_some_and(|name| syncs[name as usize]);
            // A clock that stepped back would make a negative length.
            let span = (starts[at], ends[at].max(starts[at]));
            let target = Target { device: devices[at], queue: queues[at], event: events[at] };
            if target != Target::default() {
                self.targets.push((at as u32, target));
            }
            self.calls.push(Call {
                id: ids[at],
                api: apis[at].unwrap_or(Api::Other),
                name: names[at].unwrap_or_default(),
                rank: ranks[at],
                process: processes[at],
                thread: threads[at],
                span,
                sync,
            });
        }
        Ok(Index::of(ranks.into_iter().zip(ids)))
    }

    /// Piece by piece: the columns of millions of ranges at once would take more memory than the ranges themselves.
    fn read_ranges(&mut self, tables: &Tables) -> Result<(), Error> {
        let frame = tables.get(&tables::RANGES);
        self.ranges.reserve(frame.height());
        for first in (0..frame.height()).step_by(PIECE_ROWS) {
            self.read_range_rows(&frame.slice(first as i64, PIECE_ROWS))?;
        }
        Ok(())
    }

    fn read_range_rows(&mut self, frame: &DataFrame) -> Result<(), Error> {
        let rows = Rows::of_pass(frame, &self.pass)?;
        let (ranks, starts, ends) = (rows.ints("rank")?, rows.ints("start_ns")?, rows.optional_ints("end_ns")?);
        let (processes, threads) = (rows.optional_ints("process")?, rows.optional_ints("thread")?);
        let domains = rows.names("domain", &mut self.names)?;
        let (ids, end_threads) = (rows.ints("id")?, rows.optional_ints("end_thread")?);
        let styles = rows.parsed("style", &RangeStyle::ALL)?;
        let places = rows.places(self.names.find(DEVICE_DOMAIN), &domains)?;
        for (at, name) in rows.names("name", &mut self.names)?.into_iter().enumerate() {
            let Some(end) = ends[at] else {
                self.open_ranges += 1;
                continue;
            };
            let Some(name) = name else { continue };
            self.ranges.push(Range {
                id: ids[at],
                style: styles[at].unwrap_or(RangeStyle::PushPop),
                rank: ranks[at],
                process: processes[at],
                thread: threads[at],
                end_thread: end_threads[at],
                place: places[at],
                domain: domains[at],
                name,
                span: (starts[at], end),
            });
        }
        Ok(())
    }

    fn read_activities(&mut self, tables: &Tables, calls: &Index) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::ACTIVITIES), &self.pass)?;
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
        self.activities.reserve(ids.len());
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
        self.activities.sort_by_key(|row| (row.device, row.span.0, row.id));
        self.worked = self.activities.chunk_by(|a, b| a.device == b.device).map(|rows| rows[0].device).collect();
        Ok(())
    }

    /// Gives each activity its class. The answer is kept for each set of [`Facts`], of which there are few.
    fn classify(&mut self, rules: &Rules) {
        let lists = self.range_lists(rules);
        let roles: HashMap<(DeviceKey, i64), &str> = self
            .queues
            .iter()
            .filter_map(|queue| Some(((queue.device, queue.queue), queue.role.as_deref()?)))
            .collect();
        let mut known = HashMap::new();
        for row in &mut self.activities {
            let role =
                row.queue.filter(|_| !roles.is_empty()).and_then(|queue| roles.get(&(row.device, queue)).copied());
            let call = row.call.filter(|_| !lists.is_empty()).map(|call| &self.calls[call as usize]);
            let launched_in = call.map_or(0, |call| lists_at(&lists, call));
            let (kind, copy_kind) = (row.kind, row.copy_kind);
            row.rule = *known.entry((kind, row.name, role, copy_kind, launched_in)).or_insert_with(|| {
                rules.find(&Facts { kind, name: self.names.text(row.name), role, copy_kind, launched_in })
            });
            row.class = row.rule.map_or(Class::Compute, |rule| rules.class(rule));
        }
        self.rules = rules.names();
    }

    /// When ranges of each list of [`Rules::lists_of`] were open on each host thread.
    fn range_lists(&self, rules: &Rules) -> RangeLists {
        let mut bits: HashMap<u32, u64> = HashMap::new();
        let mut spans: HashMap<Thread, HashMap<u64, Vec<Span>>> = HashMap::new();
        // What a profiler drew on a device says nothing of a host thread.
        for range in self.ranges.iter().filter(|range| range.place.is_none()) {
            let bits = *bits.entry(range.name).or_insert_with(|| rules.lists_of(self.names.text(range.name)));
            if bits != 0 {
                let thread = spans.entry((range.rank, range.process, range.thread)).or_default();
                thread.entry(bits).or_default().push(range.span);
            }
        }
        let unions =
            |spans: HashMap<u64, Vec<Span>>| spans.into_iter().map(|(bits, spans)| (bits, union(&spans))).collect();
        spans.into_iter().map(|(thread, spans)| (thread, unions(spans))).collect()
    }

    fn read_work(&mut self, tables: &Tables, activities: &Index) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::WORK), &self.pass)?;
        let (ranks, ids) = (rows.ints("rank")?, rows.ints("activity")?);
        let (steps, stages) = (rows.optional_ints("step")?, rows.optional_ints("stage")?);
        let (micro_batches, counts) = (rows.optional_ints("micro_batch")?, rows.optional_ints("rows")?);
        let (flop, dram_bytes) = (rows.optional_ints("flop")?, rows.optional_ints("dram_bytes")?);
        let phases = rows.names("phase", &mut self.names)?;
        let precisions = rows.names("precision", &mut self.names)?;
        for at in 0..ids.len() {
            let Some(index) = activities.get(ranks[at], ids[at]) else { continue };
            self.activities[index as usize].work = Some(Box::new(Work {
                step: steps[at],
                phase: phases[at],
                stage: stages[at],
                micro_batch: micro_batches[at],
                rows: counts[at],
                flop: flop[at],
                dram_bytes: dram_bytes[at],
                precision: precisions[at],
            }));
        }
        Ok(())
    }

    fn read_dependencies(&mut self, tables: &Tables, activities: &Index) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::DEPENDENCIES), &self.pass)?;
        let (ranks, waits, ends) = (rows.ints("rank")?, rows.ints("activity")?, rows.ints("depends_on")?);
        self.has_dependencies = !ranks.is_empty();
        for (at, kind) in rows.names("kind", &mut self.names)?.into_iter().enumerate() {
            let row = |id| activities.get(ranks[at], id);
            // An edge to a row that was lost says nothing; the loss itself is a row of `issues`.
            let (Some(waits), Some(ends), Some(kind)) = (row(waits[at]), row(ends[at]), kind) else { continue };
            self.edges.push((waits, ends, edge_kind(self.names.text(kind))));
        }
        self.edges.sort_by_key(|edge| (edge.0, edge.1));
        let all = [Edge::Data, Edge::Event, Edge::Queue, Edge::Collective, Edge::Launch];
        self.edge_kinds = all.into_iter().filter(|kind| self.edges.iter().any(|edge| edge.2 == *kind)).collect();
        Ok(())
    }

    fn sync_sets(&self) -> HashMap<(i64, Option<i64>), Vec<Span>> {
        let mut spans: HashMap<_, Vec<Span>> = HashMap::new();
        for call in self.calls.iter().filter(|call| call.sync) {
            spans.entry((call.rank, call.process)).or_default().push(call.span);
        }
        spans.into_iter().map(|(process, spans)| (process, union(&spans))).collect()
    }
}

/// A host thread: rank, process and thread.
type Thread = (i64, Option<i64>, Option<i64>);

/// By thread, what [`Rules::lists_of`] says of the ranges and when they were open.
type RangeLists = HashMap<Thread, Vec<(u64, Vec<Span>)>>;

/// The lists of which a range was open when a call began.
fn lists_at(lists: &RangeLists, call: &Call) -> u64 {
    let sets = lists.get(&(call.rank, call.process, call.thread)).map_or(&[][..], Vec::as_slice);
    let open = sets.iter().filter(|(_, set)| contains(set, call.span.0));
    open.fold(0, |bits, (more, _)| bits | more)
}

/// Rows of a table that are looked at together.
const PIECE_ROWS: usize = 1 << 17;

/// Domain of the ranges that a profiler draws on a device; their payload is a [`Payload`].
const DEVICE_DOMAIN: &str = "gpu";

/// Payload of a range on a device.
#[derive(Deserialize)]
struct Payload {
    device: Option<i64>,
    queue: Option<i64>,
}

fn edge_kind(name: &str) -> Edge {
    match name {
        "data" => Edge::Data,
        "queue" => Edge::Queue,
        "collective" => Edge::Collective,
        "launch" => Edge::Launch,
        _ => Edge::Event,
    }
}

/// The pass whose timeline is read: that of the first activity, or else of the first device.
fn timeline_pass(tables: &Tables) -> Result<String, Error> {
    for table in [&tables::ACTIVITIES, &tables::DEVICES] {
        let frame = tables.get(table);
        if frame.height() > 0 {
            return Ok(frame::texts(&frame.head(Some(1)), "pass")?.into_iter().flatten().next().unwrap_or_default());
        }
    }
    Ok(String::new())
}

/// The rows of a frame that belong to one pass, or all of them.
pub(crate) struct Rows<'a> {
    frame: &'a DataFrame,
    keep: Option<Vec<bool>>,
}

impl<'a> Rows<'a> {
    pub(crate) fn all(frame: &'a DataFrame) -> Self {
        Self { frame, keep: None }
    }

    pub(crate) fn of_pass(frame: &'a DataFrame, pass: &str) -> Result<Self, Error> {
        let keep = each(text_values(frame, "pass")?, |name| name == Some(pass));
        let all = keep.iter().all(|keep| *keep);
        Ok(Self { frame, keep: (!all).then_some(keep) })
    }

    fn kept<T>(&self, values: impl Iterator<Item = T>) -> Vec<T> {
        match &self.keep {
            None => values.collect(),
            Some(keep) => values.zip(keep).filter(|(_, keep)| **keep).map(|(value, _)| value).collect(),
        }
    }

    pub(crate) fn optional_ints(&self, name: &str) -> Result<Vec<Option<i64>>, Error> {
        let column = self.frame.column(name).map_err(|error| unreadable(&error))?;
        // A column of nulls is one value until somebody asks for its rows.
        if column.null_count() == column.len() {
            return Ok(self.kept(std::iter::repeat_n(None, column.len())));
        }
        Ok(self.kept(column.i64().map_err(|error| unreadable(&error))?.iter()))
    }

    /// A column that the schema keeps free of nulls.
    pub(crate) fn ints(&self, name: &str) -> Result<Vec<i64>, Error> {
        let column = self.frame.column(name).and_then(|column| column.i64()).map_err(|error| unreadable(&error))?;
        // Slices instead of the column's iterator, which is unoptimised in the dev build.
        Ok(self.kept(column.downcast_iter().flat_map(|chunk| chunk.values().iter().copied())))
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Vec<Option<f64>>, Error> {
        let column = self.frame.column(name).and_then(|column| column.f64()).map_err(|error| unreadable(&error))?;
        Ok(self.kept(column.iter()))
    }

    /// A column of few names, as the values that they stand for.
    fn parsed<T: Copy>(&self, name: &str, all: &[(T, &str)]) -> Result<Vec<Option<T>>, Error> {
        let column = text_values(self.frame, name)?;
        if column.null_count() == column.len() {
            return Ok(self.kept(std::iter::repeat_n(None, column.len())));
        }
        Ok(self.kept(each(column, |text| parse(all, text?)).into_iter()))
    }

    fn bools(&self, name: &str) -> Result<Vec<bool>, Error> {
        let column = self.frame.column(name).and_then(|column| column.bool()).map_err(|error| unreadable(&error))?;
        Ok(self.kept(column.iter().map(Option::unwrap_or_default)))
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<Option<String>>, Error> {
        let column = text_values(self.frame, name)?;
        Ok(self.kept(column.iter().map(|text| text.map(str::to_owned))))
    }

    /// Device and queue of the ranges of the device domain.
    fn places(&self, gpu: Option<u32>, domains: &[Option<u32>]) -> Result<Vec<Option<Place>>, Error> {
        if gpu.is_none() {
            return Ok(vec![None; domains.len()]);
        }
        let payloads = self.kept(text_values(self.frame, "payload")?.iter());
        let place = |(payload, domain): (Option<&str>, &Option<u32>)| {
            let text = payload.filter(|_| *domain == gpu)?;
            let payload: Payload = serde_json::from_str(text).ok()?;
            Some((payload.device?, payload.queue))
        };
        Ok(payloads.into_iter().zip(domains).map(place).collect())
    }

    fn names(&self, name: &str, names: &mut Names) -> Result<Vec<Option<u32>>, Error> {
        let column = text_values(self.frame, name)?;
        Ok(self.kept(each(column, |text| text.map(|text| names.intern(text))).into_iter()))
    }
}

/// Places of [`each`]; a power of two.
const PLACES: usize = 256;

/// What each text of a column stands for. Equal texts mostly stand in one place of the column's memory, to which its rows
/// point; the answer for a pointer is kept, so that most rows need neither the text nor a hash of it.
fn each<T: Copy>(column: &StringChunked, mut value: impl FnMut(Option<&str>) -> T) -> Vec<T> {
    let mut values = Vec::with_capacity(column.len());
    let (none, has_nulls) = (value(None), column.null_count() > 0);
    for chunk in column.downcast_iter() {
        let mut known: Vec<Option<(u128, T)>> = vec![None; PLACES];
        for (at, view) in chunk.views().iter().enumerate() {
            if has_nulls && chunk.get(at).is_none() {
                values.push(none);
                continue;
            }
            let bits = view.as_u128();
            let mixed = ((bits >> 64) as u64 ^ bits as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let place = &mut known[(mixed >> 56) as usize % PLACES];
            let answer = place.filter(|(other, _)| *other == bits).map(|(_, answer)| answer);
            let answer = answer.unwrap_or_else(|| value(Some(chunk.value(at))));
            *place = Some((bits, answer));
            values.push(answer);
        }
    }
    values
}

fn text_values<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a StringChunked, Error> {
    frame.column(name).and_then(|column| column.str()).map_err(|error| unreadable(&error))
}

/// The tables were checked when they were read, so this is a frame that some code built by hand.
fn unreadable(error: &polars::prelude::PolarsError) -> Error {
    proftool_trace::Error::Schema {
        table: "frame".to_owned(),
        path: None,
        reason: error.to_string(),
        hint: "build the frame with the table's own columns",
    }
    .into()
}
