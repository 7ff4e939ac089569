//! Typed views of one timeline pass, taken from the frames once, so that metrics are plain Rust on slices.

mod activities;
mod classify;
mod hosts;
mod kinds;
mod names;
mod passes;
mod read;
mod rows;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::classes::{Class, Kind};
use crate::metrics::ranges::Instances;
use crate::operators::Span;
use crate::phases::Phases;
use crate::roofline::operators::Attribution;
use crate::steps::Steps;

pub use kinds::{Api, CopyKind, Memory, RangeStyle};
pub use names::Names;
pub(crate) use passes::timeline_passes;
pub(crate) use rows::Rows;

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

/// A host thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thread {
    /// Rank.
    pub rank: i64,
    /// Operating-system process, where it is known.
    pub process: Option<i64>,
    /// Operating-system thread, where it is known.
    pub thread: Option<i64>,
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
    /// Its host thread, as a place in [`Model::threads`].
    pub thread: u32,
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
    /// The host thread that began it, as a place in [`Model::threads`].
    pub thread: u32,
    /// Whether another thread is known to have ended it.
    pub ends_elsewhere: bool,
    /// Where the profiler drew a range that is not on a host thread, as a place in [`Model::places`].
    pub place: Option<u32>,
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
    /// The host threads of calls and ranges (also of those that never ended), sorted.
    pub threads: Vec<Thread>,
    /// Where a profiler drew ranges on devices, each once.
    pub places: Vec<Place>,
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

    /// The host thread of a call.
    pub fn thread_of(&self, call: &Call) -> Thread {
        self.threads[call.thread as usize]
    }

    /// Where the profiler drew a range that is not on a host thread.
    pub fn place_of(&self, range: &Range) -> Option<Place> {
        Some(self.places[range.place? as usize])
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
}
