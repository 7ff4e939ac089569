//! The view is made of the tables here, and nowhere else.

use std::collections::HashMap;
use std::hash::Hash;

use polars::prelude::{Column, DataFrame};
use proftool_trace::frame::{self, Tables};
use proftool_trace::tables;

use super::rows::Rows;
use super::{
    Activity, Api, Call, CopyKind, Device, DeviceKey, Edge, Memory, Model, Place, Queue, Range, RangeStyle, Target,
    Thread, Work,
};
use crate::Error;
use crate::classes::{Class, Facts, Kind, Rules, SYNC_CALLS, contains_any};
use crate::index::Index;
use crate::operators::{Span, contains, union};

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
        Self::read_in_pieces(tables, rules, None, PIECE_ROWS)
    }

    /// As [`Model::read_with`], of that pass.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub(crate) fn read_pass(tables: &Tables, rules: &Rules, pass: &str) -> Result<Self, Error> {
        Self::read_in_pieces(tables, rules, Some(pass), PIECE_ROWS)
    }

    fn read_in_pieces(tables: &Tables, rules: &Rules, pass: Option<&str>, rows: usize) -> Result<Self, Error> {
        let pass = pass.map_or_else(|| timeline_pass(tables), |pass| Ok(pass.to_owned()))?;
        let mut model = Self { pass, ..Self::default() };
        model.read_devices(tables)?;
        model.read_queues(tables)?;
        let mut host = Hosts::default();
        let call_ids = model.read_calls(tables, &mut host, rows)?;
        model.read_ranges(tables, &mut host, rows)?;
        model.places = host.places.all;
        model.number_threads(&host.threads.all);
        model.read_activities(tables, &call_ids, rows)?;
        model.classify(rules);
        if [&tables::WORK, &tables::DEPENDENCIES].iter().any(|table| tables.get(table).height() > 0) {
            let ids = Index::of(model.activities.iter().map(|row| (row.device.0, row.id)));
            model.read_work(tables, &ids)?;
            model.read_dependencies(tables, &ids)?;
        }
        model.syncs = model.sync_sets();
        Ok(model)
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

    fn read_calls(&mut self, tables: &Tables, host: &mut Hosts, rows: usize) -> Result<Index, Error> {
        let frame = tables.get(&tables::CALLS);
        self.calls.reserve(frame.height());
        let mut syncs = Vec::new();
        for piece in pieces(frame, rows) {
            self.read_call_rows(&piece, host, &mut syncs)?;
        }
        Ok(Index::of(self.calls.iter().map(|call| (call.rank, call.id))))
    }

    /// `syncs` says by the number of a name whether it is that of a synchronisation.
    fn read_call_rows(&mut self, frame: &DataFrame, host: &mut Hosts, syncs: &mut Vec<bool>) -> Result<(), Error> {
        let rows = Rows::of_pass(frame, &self.pass)?;
        let (ranks, ids) = (rows.ints("rank")?, rows.ints("id")?);
        let (processes, threads) = (rows.optional_ints("process")?, rows.optional_ints("thread")?);
        let (starts, ends) = (rows.ints("start_ns")?, rows.ints("end_ns")?);
        let (devices, queues) = (rows.optional_ints("device")?, rows.optional_ints("queue")?);
        let events = rows.optional_ints("target_event")?;
        let names = rows.names("name", &mut self.names)?;
        let apis = rows.parsed("api", &Api::ALL)?;
        syncs.extend(self.names.from(syncs.len()).map(|text| contains_any(text, SYNC_CALLS)));
        for at in 0..ids.len() {
            // An operator or a Python function of such a name need not wait for a device.
            let sync = apis[at].is_some_and(Api::launches) && names[at].is_some_and(|name| syncs[name as usize]);
            // A clock that stepped back would make a negative length.
            let span = (starts[at], ends[at].max(starts[at]));
            let target = Target { device: devices[at], queue: queues[at], event: events[at] };
            if target != Target::default() {
                self.targets.push((self.calls.len() as u32, target));
            }
            self.calls.push(Call {
                id: ids[at],
                api: apis[at].unwrap_or(Api::Other),
                name: names[at].unwrap_or_default(),
                rank: ranks[at],
                thread: host.threads.number(Thread { rank: ranks[at], process: processes[at], thread: threads[at] }),
                span,
                sync,
            });
        }
        Ok(())
    }

    fn read_ranges(&mut self, tables: &Tables, host: &mut Hosts, rows: usize) -> Result<(), Error> {
        let frame = tables.get(&tables::RANGES);
        self.ranges.reserve(frame.height());
        for piece in pieces(frame, rows) {
            self.read_range_rows(&piece, host)?;
        }
        Ok(())
    }

    fn read_range_rows(&mut self, frame: &DataFrame, host: &mut Hosts) -> Result<(), Error> {
        let rows = Rows::of_pass(frame, &self.pass)?;
        let (ranks, starts, ends) = (rows.ints("rank")?, rows.ints("start_ns")?, rows.optional_ints("end_ns")?);
        let (processes, threads) = (rows.optional_ints("process")?, rows.optional_ints("thread")?);
        let domains = rows.names("domain", &mut self.names)?;
        let (ids, end_threads) = (rows.ints("id")?, rows.optional_ints("end_thread")?);
        let styles = rows.parsed("style", &RangeStyle::ALL)?;
        let places = rows.places(self.names.find(DEVICE_DOMAIN), &domains)?;
        for (at, name) in rows.names("name", &mut self.names)?.into_iter().enumerate() {
            // Those of ranges that never end are numbered too: the metric ranges counts them.
            let thread = host.threads.number(Thread { rank: ranks[at], process: processes[at], thread: threads[at] });
            let Some(end) = ends[at] else {
                self.open_ranges += 1;
                continue;
            };
            let Some(name) = name else { continue };
            let place = places[at].map(|place| host.places.number(place));
            self.ranges.push(Range {
                id: ids[at],
                style: styles[at].unwrap_or(RangeStyle::PushPop),
                rank: ranks[at],
                thread,
                ends_elsewhere: end_threads[at].is_some() && end_threads[at] != threads[at],
                place,
                domain: domains[at],
                name,
                span: (starts[at], end),
            });
        }
        Ok(())
    }

    /// Numbers the threads in their order instead of that of the rows.
    fn number_threads(&mut self, threads: &[Thread]) {
        let mut order: Vec<u32> = (0..threads.len() as u32).collect();
        order.sort_unstable_by_key(|at| threads[*at as usize]);
        self.threads = order.iter().map(|at| threads[*at as usize]).collect();
        if order.is_sorted() {
            return;
        }
        let mut sorted = vec![0; order.len()];
        for (place, at) in order.iter().enumerate() {
            sorted[*at as usize] = place as u32;
        }
        for thread in self.calls.iter_mut().map(|call| &mut call.thread) {
            *thread = sorted[*thread as usize];
        }
        for thread in self.ranges.iter_mut().map(|range| &mut range.thread) {
            *thread = sorted[*thread as usize];
        }
    }

    fn read_activities(&mut self, tables: &Tables, calls: &Index, rows: usize) -> Result<(), Error> {
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
        let mut spans: HashMap<u32, HashMap<u64, Vec<Span>>> = HashMap::new();
        // What a profiler drew on a device says nothing of a host thread.
        for range in self.ranges.iter().filter(|range| range.place.is_none()) {
            let bits = *bits.entry(range.name).or_insert_with(|| rules.lists_of(self.names.text(range.name)));
            if bits != 0 {
                let thread = spans.entry(range.thread).or_default();
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
            spans.entry((call.rank, self.thread_of(call).process)).or_default().push(call.span);
        }
        spans.into_iter().map(|(process, spans)| (process, union(&spans))).collect()
    }
}

/// Where calls were made and ranges drawn.
#[derive(Default)]
struct Hosts {
    threads: Numbers<Thread>,
    places: Numbers<Place>,
}

/// Numbers of values in the order in which rows name them.
struct Numbers<T> {
    known: HashMap<T, u32>,
    all: Vec<T>,
    /// The one asked for last: rows mostly come thread by thread.
    recent: Option<(T, u32)>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), all: Vec::new(), recent: None }
    }
}

impl<T: Copy + Eq + Hash> Numbers<T> {
    fn number(&mut self, value: T) -> u32 {
        if let Some((_, number)) = self.recent.filter(|(recent, _)| *recent == value) {
            return number;
        }
        let number = *self.known.entry(value).or_insert_with(|| {
            self.all.push(value);
            self.all.len() as u32 - 1
        });
        self.recent = Some((value, number));
        number
    }
}

/// By thread, what [`Rules::lists_of`] says of the ranges and when they were open.
type RangeLists = HashMap<u32, Vec<(u64, Vec<Span>)>>;

/// The lists of which a range was open when a call began.
fn lists_at(lists: &RangeLists, call: &Call) -> u64 {
    let sets = lists.get(&call.thread).map_or(&[][..], Vec::as_slice);
    let open = sets.iter().filter(|(_, set)| contains(set, call.span.0));
    open.fold(0, |bits, (more, _)| bits | more)
}

/// Rows of a table that are looked at together: the columns of millions of rows at once would take more memory than the
/// rows themselves.
const PIECE_ROWS: usize = 1 << 16;

fn pieces(frame: &DataFrame, rows: usize) -> impl Iterator<Item = DataFrame> {
    (0..frame.height()).step_by(rows).map(move |first| frame.slice(first as i64, rows))
}

/// Domain of the ranges that a profiler draws on a device; their payload is a [`Payload`].
const DEVICE_DOMAIN: &str = "gpu";

fn edge_kind(name: &str) -> Edge {
    match name {
        "data" => Edge::Data,
        "queue" => Edge::Queue,
        "collective" => Edge::Collective,
        "launch" => Edge::Launch,
        _ => Edge::Event,
    }
}

/// The passes that have a timeline: activities, or calls or ranges of the host, in the order of the tables.
pub(crate) fn timeline_passes(tables: &Tables) -> Vec<String> {
    let mut passes: Vec<String> = Vec::new();
    for table in [&tables::ACTIVITIES, &tables::CALLS, &tables::RANGES] {
        let column = tables.get(table).column("pass").and_then(Column::unique_stable);
        let Some(column) = column.ok().filter(|_| tables.get(table).height() > 0) else { continue };
        let names = column.str().map(|names| names.iter().flatten().map(str::to_owned).collect::<Vec<_>>());
        for name in names.unwrap_or_default() {
            if !passes.contains(&name) {
                passes.push(name);
            }
        }
    }
    passes
}

/// The pass whose timeline is read where none is chosen: that of the first activity, or else of the first device.
fn timeline_pass(tables: &Tables) -> Result<String, Error> {
    for table in [&tables::ACTIVITIES, &tables::DEVICES] {
        let frame = tables.get(table);
        if frame.height() > 0 {
            return Ok(frame::texts(&frame.head(Some(1)), "pass")?.into_iter().flatten().next().unwrap_or_default());
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn the_size_of_the_pieces_changes_nothing() {
        let fixture = || {
            Fixture::new()
                .kernel(1, 0, (40, 50))
                .launched_on(9, "cudaLaunchKernel", (30, 31))
                .kernel(0, 0, (10, 20))
                .launched_on(7, "cudaLaunchKernel", (5, 6))
                .kernel(1, 0, (10, 20))
                .sync_call((50, 60))
                .kernel(0, 1, (10, 20))
                .launched_on(9, "cudaLaunchKernel", (7, 8))
                .op_on(7, "aten::mm", (4, 9))
                .sync_call((61, 62))
                .range("step 1", (0, 30))
                .range("step 2", (30, 70))
                .block((0, 100))
        };
        for fixture in [fixture(), fixture().shuffled()] {
            let tables = fixture.tables();
            let text = |rows: usize| {
                let model =
                    Model::read_in_pieces(&tables, Rules::built_in(), None, rows).expect("the tables are whole");
                let rows = (&model.activities, &model.calls, &model.ranges, &model.threads, &model.targets);
                (format!("{rows:?} {:?}", model.worked), model.names.from(0).map(str::to_owned).collect::<Vec<_>>())
            };
            // Names are numbered table by table and column by column, so their numbers may differ; the texts may not.
            let named = |rows: usize| {
                let (text, mut names) = text(rows);
                names.sort_unstable();
                (text.len(), names)
            };
            assert_eq!(text(usize::MAX), text(100));
            assert!([1, 2, 3].into_iter().all(|rows| named(rows) == named(100)));
        }
    }

    #[test]
    fn threads_are_numbered_in_their_order() {
        let thread = |thread| Thread { rank: 0, process: None, thread: Some(thread) };
        let mut numbers = Numbers::default();
        assert_eq!([4, 2, 4, 9, 2].map(|number| numbers.number(thread(number))), [0, 1, 0, 2, 1]);
        let mut model = Model::default();
        model.number_threads(&numbers.all);
        assert_eq!(model.threads, [thread(2), thread(4), thread(9)]);
    }

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
