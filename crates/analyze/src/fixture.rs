//! Hand-written schedules for tests: rows are added one by one, most methods speak about the activity added last.

use proftool_trace::frame::{Tables, bool_column, build, float_column, int_column, text_column};
use proftool_trace::{Table, tables};

use crate::model::Model;
use crate::operators::Span;

#[derive(Clone, Default)]
struct Row {
    device: i64,
    queue: i64,
    kind: &'static str,
    name: String,
    span: Span,
    call: Option<i64>,
    bytes: Option<i64>,
    ends: (Option<i64>, Option<i64>),
    simulated: bool,
    work: Option<FixtureWork>,
    copy_kind: Option<&'static str>,
    graph: (Option<i64>, Option<i64>),
    shape: Option<[[i64; 3]; 2]>,
    memories: Option<[&'static str; 2]>,
}

/// A profiled launch and its counters.
#[derive(Clone, Default)]
struct FixtureLaunch {
    name: String,
    shape: Option<[[i64; 3]; 2]>,
    activity: Option<i64>,
    counters: Vec<(&'static str, f64)>,
}

#[derive(Clone, Copy, Default)]
struct FixtureWork {
    step: i64,
    phase: &'static str,
    stage: i64,
    micro_batch: i64,
    rows: i64,
    flop: Option<i64>,
    dram_bytes: Option<i64>,
    precision: Option<&'static str>,
}

#[derive(Default)]
pub(crate) struct Fixture {
    rows: Vec<Row>,
    calls: Vec<(&'static str, Span)>,
    /// The interfaces of calls that are not of the runtime.
    apis: std::collections::BTreeMap<usize, &'static str>,
    /// The threads of calls that state one.
    threads: std::collections::BTreeMap<usize, i64>,
    edges: Vec<(i64, i64, &'static str)>,
    ranges: Vec<(Option<&'static str>, &'static str, Span)>,
    queues: Vec<(i64, i64, &'static str)>,
    ceilings: Vec<FixtureCeiling>,
    links: Vec<(i64, i64, f64)>,
    arch: Option<&'static str>,
    gpu: Option<&'static str>,
    launches: Vec<FixtureLaunch>,
    shuffled: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct FixtureCeiling {
    pub(crate) name: &'static str,
    pub(crate) precision: Option<&'static str>,
    pub(crate) level: Option<&'static str>,
    pub(crate) isa: Option<&'static str>,
    pub(crate) cores: i64,
    pub(crate) value: f64,
    pub(crate) per_cycle: Option<f64>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn activity(mut self, kind: &'static str, name: &str, device: i64, queue: i64, span: Span) -> Self {
        self.rows.push(Row { kind, name: name.to_owned(), device, queue, span, ..Row::default() });
        self
    }

    pub(crate) fn kernel(self, device: i64, queue: i64, span: Span) -> Self {
        self.activity("kernel", "gemm", device, queue, span)
    }

    pub(crate) fn named_kernel(self, name: &str, device: i64, queue: i64, span: Span) -> Self {
        self.activity("kernel", name, device, queue, span)
    }

    pub(crate) fn other(self, kind: &'static str, device: i64, queue: i64, span: Span) -> Self {
        self.activity(kind, kind, device, queue, span)
    }

    pub(crate) fn copy(self, device: i64, queue: i64, span: Span, to: i64, bytes: i64) -> Self {
        let mut fixture = self.activity("copy", "copy", device, queue, span);
        fixture.edit(|row| (row.bytes, row.ends) = (Some(bytes), (Some(device), Some(to))));
        fixture
    }

    fn edit(&mut self, change: impl FnOnce(&mut Row)) {
        change(self.rows.last_mut().expect("an activity was added"));
    }

    fn last(&self) -> i64 {
        self.rows.len() as i64 - 1
    }

    /// step, phase, stage, micro-batch, rows.
    pub(crate) fn work(mut self, step: i64, phase: &'static str, stage: i64, micro_batch: i64, rows: i64) -> Self {
        let work = FixtureWork { step, phase, stage, micro_batch, rows, ..FixtureWork::default() };
        self.edit(|row| row.work = Some(work));
        self
    }

    pub(crate) fn counts(mut self, flop: i64, dram_bytes: i64) -> Self {
        self.edit(|row| {
            let work = row.work.get_or_insert_default();
            (work.flop, work.dram_bytes) = (Some(flop), Some(dram_bytes));
            work.precision = Some("f32");
        });
        self
    }

    /// The precision of the counts stated last, in place of f32.
    pub(crate) fn precision(mut self, precision: &'static str) -> Self {
        self.edit(|row| row.work.get_or_insert_default().precision = Some(precision));
        self
    }

    pub(crate) fn simulated(mut self) -> Self {
        self.edit(|row| row.simulated = true);
        self
    }

    /// Data dependencies of the last activity on those ids (counted from 0).
    pub(crate) fn after(mut self, ids: &[i64]) -> Self {
        let last = self.last();
        self.edges.extend(ids.iter().map(|id| (last, *id, "data")));
        self
    }

    /// The call that launched the last activity.
    pub(crate) fn launched(mut self, span: Span) -> Self {
        let call = self.calls.len() as i64;
        self.calls.push(("launch", span));
        self.edit(|row| row.call = Some(call));
        self
    }

    /// As [`Self::launched`] by a call of that name.
    pub(crate) fn launched_by(mut self, name: &'static str, span: Span) -> Self {
        let call = self.calls.len() as i64;
        self.calls.push((name, span));
        self.edit(|row| row.call = Some(call));
        self
    }

    /// The last activity was launched by an earlier call, by its number.
    pub(crate) fn launched_with(mut self, call: i64) -> Self {
        self.edit(|row| row.call = Some(call));
        self
    }

    /// The last activity is a node of a graph.
    pub(crate) fn graph_node(mut self, graph: i64, node: i64) -> Self {
        self.edit(|row| row.graph = (Some(graph), Some(node)));
        self
    }

    /// A host call that launches nothing.
    pub(crate) fn host_call(mut self, api: &'static str, name: &'static str, span: Span) -> Self {
        self.apis.insert(self.calls.len(), api);
        self.calls.push((name, span));
        self
    }

    /// As [`Self::launched_by`] on a thread.
    pub(crate) fn launched_on(mut self, thread: i64, name: &'static str, span: Span) -> Self {
        self.threads.insert(self.calls.len(), thread);
        self.launched_by(name, span)
    }

    /// A framework operator on a thread.
    pub(crate) fn op_on(mut self, thread: i64, name: &'static str, span: Span) -> Self {
        self.threads.insert(self.calls.len(), thread);
        self.host_call("op", name, span)
    }

    pub(crate) fn sync_call(mut self, span: Span) -> Self {
        self.calls.push(("cudaStreamSynchronize", span));
        self
    }

    pub(crate) fn queue(mut self, device: i64, queue: i64, role: &'static str) -> Self {
        self.queues.push((device, queue, role));
        self
    }

    pub(crate) fn block(mut self, span: Span) -> Self {
        self.ranges.push((Some("proftool"), "block", span));
        self
    }

    pub(crate) fn range(mut self, name: &'static str, span: Span) -> Self {
        self.ranges.push((None, name, span));
        self
    }

    pub(crate) fn ceiling(mut self, ceiling: FixtureCeiling) -> Self {
        self.ceilings.push(ceiling);
        self
    }

    pub(crate) fn link(mut self, src: i64, dst: i64, bytes_per_s: f64) -> Self {
        self.links.push((src, dst, bytes_per_s));
        self
    }

    pub(crate) fn arch(mut self, arch: &'static str) -> Self {
        self.arch = Some(arch);
        self
    }

    /// The devices are GPUs of that name.
    pub(crate) fn gpu(mut self, name: &'static str, arch: &'static str) -> Self {
        (self.gpu, self.arch) = (Some(name), Some(arch));
        self
    }

    /// Grid and block of the last activity.
    pub(crate) fn shape(mut self, grid: [i64; 3], block: [i64; 3]) -> Self {
        self.edit(|row| row.shape = Some([grid, block]));
        self
    }

    /// The direction of the last copy, in place of its devices.
    pub(crate) fn copy_kind(mut self, kind: &'static str) -> Self {
        self.edit(|row| (row.copy_kind, row.ends) = (Some(kind), (None, None)));
        self
    }

    /// The memories that the last copy or fill reads and writes.
    pub(crate) fn memories(mut self, src: &'static str, dst: &'static str) -> Self {
        self.edit(|row| row.memories = Some([src, dst]));
        self
    }

    /// A launch that ncu profiled on device 0, and its counters by name.
    pub(crate) fn profiled(
        mut self,
        name: &str,
        shape: Option<[[i64; 3]; 2]>,
        counters: &[(&'static str, f64)],
    ) -> Self {
        let (name, counters) = (name.to_owned(), counters.to_vec());
        self.launches.push(FixtureLaunch { name, shape, activity: None, counters });
        self
    }

    /// The profiled launches belong to the timeline's own pass, each to the activity of its number.
    pub(crate) fn profiled_in_place(mut self) -> Self {
        for (at, launch) in self.launches.iter_mut().enumerate() {
            launch.activity = Some(at as i64);
        }
        self
    }

    /// The counters come metric by metric instead of launch by launch.
    pub(crate) fn shuffled(mut self) -> Self {
        self.shuffled = true;
        self
    }

    pub(crate) fn model(&self) -> Model {
        Model::read(&self.tables()).unwrap()
    }

    pub(crate) fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        self.activities(&mut tables);
        self.work_rows(&mut tables);
        self.host_rows(&mut tables);
        self.device_rows(&mut tables);
        self.roof_rows(&mut tables);
        self.profiled_rows(&mut tables);
        tables
    }

    fn activities(&self, tables: &mut Tables) {
        let ints = |name, value: &dyn Fn(&Row) -> Option<i64>| int_column(name, self.rows.iter().map(value));
        let columns = vec![
            int_column("id", (0..self.rows.len()).map(|id| Some(id as i64))),
            ints("process", &|_| Some(1)),
            ints("device", &|row| Some(row.device)),
            ints("queue", &|row| Some(row.queue)),
            text_column("kind", self.rows.iter().map(|row| Some(row.kind))),
            text_column("name", self.rows.iter().map(|row| Some(row.name.as_str()))),
            ints("start_ns", &|row| Some(row.span.0)),
            ints("end_ns", &|row| Some(row.span.1)),
            ints("call", &|row| row.call),
            ints("bytes", &|row| row.bytes),
            ints("graph_id", &|row| row.graph.0),
            ints("graph_node", &|row| row.graph.1),
            ints("src_device", &|row| row.ends.0),
            ints("dst_device", &|row| row.ends.1),
            bool_column("simulated", self.rows.iter().map(|row| Some(row.simulated))),
            text_column("copy_kind", self.rows.iter().map(|row| row.copy_kind)),
            text_column("src_memory", self.rows.iter().map(|row| row.memories.map(|ends| ends[0]))),
            text_column("dst_memory", self.rows.iter().map(|row| row.memories.map(|ends| ends[1]))),
        ];
        let axes = (0..6).map(|axis| {
            let name = format!("{}_{}", ["grid", "block"][axis / 3], ["x", "y", "z"][axis % 3]);
            int_column(&name, self.rows.iter().map(|row| row.shape.map(|shape| shape[axis / 3][axis % 3])))
        });
        put(tables, &tables::ACTIVITIES, self.rows.len(), columns.into_iter().chain(axes).collect());
    }

    /// The pass of the profiled launches: a page beside the timeline, or the timeline itself.
    fn profiled_rows(&self, tables: &mut Tables) {
        let launches = &self.launches;
        let pass = if launches.iter().any(|launch| launch.activity.is_some()) { "host" } else { "ncu" };
        let dimensions = |of: usize| {
            text_column(
                ["grid", "block"][of],
                launches.iter().map(|launch| launch.shape.map(|s| format!("({},{},{})", s[of][0], s[of][1], s[of][2]))),
            )
        };
        let columns = vec![
            int_column("launch", (0..launches.len()).map(|launch| Some(launch as i64))),
            int_column("activity", launches.iter().map(|launch| launch.activity)),
            int_column("device", launches.iter().map(|_| Some(0))),
            text_column("name", launches.iter().map(|launch| Some(launch.name.as_str()))),
            int_column("launch_index", launches.iter().map(|_| Some(0))),
            dimensions(0),
            dimensions(1),
        ];
        put_pass(tables, &tables::LAUNCHES, pass, launches.len(), columns);
        let metrics: std::collections::BTreeSet<&str> =
            launches.iter().flat_map(|launch| launch.counters.iter().map(|counter| counter.0)).collect();
        let metrics: Vec<&str> = metrics.into_iter().collect();
        let columns = vec![
            int_column("def", (0..metrics.len()).map(|def| Some(def as i64))),
            text_column("metric", metrics.iter().map(|metric| Some(*metric))),
            text_column("source", metrics.iter().map(|_| Some("counter"))),
            text_column("tool", metrics.iter().map(|_| Some("ncu"))),
            text_column("tool_version", metrics.iter().map(|_| Some("2025.1.0.0"))),
        ];
        put_pass(tables, &tables::COUNTER_DEFS, pass, metrics.len(), columns);
        let def = |metric: &str| metrics.iter().position(|known| *known == metric).unwrap() as i64;
        let mut values: Vec<(i64, i64, f64)> = Vec::new();
        for (at, launch) in launches.iter().enumerate() {
            values.extend(launch.counters.iter().map(|(metric, value)| (at as i64, def(metric), *value)));
        }
        if self.shuffled {
            values.sort_by_key(|value| value.1);
        }
        let columns = vec![
            int_column("launch", values.iter().map(|value| Some(value.0))),
            int_column("def", values.iter().map(|value| Some(value.1))),
            float_column("value", values.iter().map(|value| Some(value.2))),
        ];
        put_pass(tables, &tables::COUNTERS, pass, values.len(), columns);
        if pass == "ncu" && !launches.is_empty() {
            let columns = vec![
                int_column("device", [Some(0)]),
                text_column("kind", [Some("cuda")]),
                text_column("name", [Some(self.gpu.unwrap_or("test"))]),
                text_column("arch", [self.arch]),
                text_column("pass", [Some(pass)]),
                int_column("rank", [Some(0)]),
            ];
            tables.append(&tables::DEVICES, &build(&tables::DEVICES, columns).unwrap()).unwrap();
        }
    }

    fn work_rows(&self, tables: &mut Tables) {
        let works: Vec<_> = self.rows.iter().enumerate().filter_map(|(id, row)| Some((id, row.work?))).collect();
        let ints = |name, value: &dyn Fn(&FixtureWork) -> Option<i64>| {
            int_column(name, works.iter().map(|(_, work)| value(work)))
        };
        let columns = vec![
            int_column("activity", works.iter().map(|(id, _)| Some(*id as i64))),
            ints("step", &|work| Some(work.step)),
            text_column("phase", works.iter().map(|(_, work)| Some(work.phase))),
            ints("stage", &|work| Some(work.stage)),
            ints("micro_batch", &|work| Some(work.micro_batch)),
            ints("rows", &|work| Some(work.rows)),
            ints("flop", &|work| work.flop),
            ints("dram_bytes", &|work| work.dram_bytes),
            text_column("precision", works.iter().map(|(_, work)| work.precision)),
        ];
        put(tables, &tables::WORK, works.len(), columns);
    }

    fn host_rows(&self, tables: &mut Tables) {
        let calls = &self.calls;
        let columns = vec![
            int_column("id", (0..calls.len()).map(|id| Some(id as i64))),
            int_column("process", calls.iter().map(|_| Some(1))),
            int_column("thread", (0..calls.len()).map(|at| self.threads.get(&at).copied())),
            text_column("api", (0..calls.len()).map(|at| Some(self.apis.get(&at).copied().unwrap_or("runtime")))),
            text_column("name", calls.iter().map(|call| Some(call.0))),
            int_column("start_ns", calls.iter().map(|call| Some(call.1.0))),
            int_column("end_ns", calls.iter().map(|call| Some(call.1.1))),
        ];
        put(tables, &tables::CALLS, calls.len(), columns);
        let ranges = &self.ranges;
        let columns = vec![
            int_column("id", (0..ranges.len()).map(|id| Some(id as i64))),
            text_column("domain", ranges.iter().map(|range| range.0)),
            text_column("name", ranges.iter().map(|range| Some(range.1))),
            text_column("style", ranges.iter().map(|_| Some("push_pop"))),
            int_column("process", ranges.iter().map(|_| Some(1))),
            int_column("start_ns", ranges.iter().map(|range| Some(range.2.0))),
            int_column("end_ns", ranges.iter().map(|range| Some(range.2.1))),
        ];
        put(tables, &tables::RANGES, ranges.len(), columns);
        let edges = &self.edges;
        let columns = vec![
            int_column("activity", edges.iter().map(|edge| Some(edge.0))),
            int_column("depends_on", edges.iter().map(|edge| Some(edge.1))),
            text_column("kind", edges.iter().map(|edge| Some(edge.2))),
            text_column("source", edges.iter().map(|_| Some("declared"))),
        ];
        put(tables, &tables::DEPENDENCIES, edges.len(), columns);
    }

    fn device_rows(&self, tables: &mut Tables) {
        let devices: std::collections::BTreeSet<i64> = self.rows.iter().map(|row| row.device).collect();
        let columns = vec![
            int_column("device", devices.iter().map(|device| Some(*device))),
            text_column("kind", devices.iter().map(|_| Some(if self.gpu.is_some() { "cuda" } else { "cpu" }))),
            text_column("name", devices.iter().map(|_| Some(self.gpu.unwrap_or("test")))),
            text_column("arch", devices.iter().map(|_| self.arch)),
        ];
        put(tables, &tables::DEVICES, devices.len(), columns);
        let queues = &self.queues;
        let columns = vec![
            int_column("device", queues.iter().map(|queue| Some(queue.0))),
            int_column("queue", queues.iter().map(|queue| Some(queue.1))),
            text_column("role", queues.iter().map(|queue| Some(queue.2))),
        ];
        put(tables, &tables::QUEUES, queues.len(), columns);
    }

    fn roof_rows(&self, tables: &mut Tables) {
        let roofs = &self.ceilings;
        let columns = vec![
            int_column("device", roofs.iter().map(|_| Some(0))),
            text_column("kind", roofs.iter().map(|roof| Some(roof.precision.map_or("bandwidth", |_| "compute")))),
            text_column("name", roofs.iter().map(|roof| Some(roof.name))),
            text_column("precision", roofs.iter().map(|roof| roof.precision)),
            text_column("level", roofs.iter().map(|roof| roof.level)),
            text_column("isa", roofs.iter().map(|roof| roof.isa)),
            int_column("cores", roofs.iter().map(|roof| Some(roof.cores))),
            float_column("value", roofs.iter().map(|roof| Some(roof.value))),
            float_column("per_cycle", roofs.iter().map(|roof| roof.per_cycle)),
            text_column("unit", roofs.iter().map(|_| Some("1/s"))),
            text_column("source", roofs.iter().map(|_| Some("measured"))),
            bool_column("contended", roofs.iter().map(|_| Some(false))),
        ];
        put(tables, &tables::CEILINGS, roofs.len(), columns);
        let links = &self.links;
        let columns = vec![
            int_column("src", links.iter().map(|link| Some(link.0))),
            int_column("dst", links.iter().map(|link| Some(link.1))),
            float_column("bytes_per_s", links.iter().map(|link| Some(link.2))),
            bool_column("contended", links.iter().map(|_| Some(false))),
        ];
        put(tables, &tables::LINKS, links.len(), columns);
    }
}

fn put(tables: &mut Tables, table: &'static Table, height: usize, columns: Vec<polars::prelude::Column>) {
    put_pass(tables, table, "host", height, columns);
}

fn put_pass(
    tables: &mut Tables,
    table: &'static Table,
    pass: &str,
    height: usize,
    mut columns: Vec<polars::prelude::Column>,
) {
    columns.push(text_column("pass", (0..height).map(|_| Some(pass))));
    columns.push(int_column("rank", (0..height).map(|_| Some(0))));
    tables.set(table, build(table, columns).unwrap()).unwrap();
}

/// A manifest of blocks with that many iterations, each taking 10, 11 or 12 ns.
pub(crate) fn manifest(iterations: u64) -> proftool_trace::Manifest {
    serde_json::from_value(serde_json::json!({
        "format": {"major": 1, "minor": 0},
        "target": {"name": "target", "parameters": {}, "seed": 0},
        "hardware_key": "test",
        "time": "measured",
        "captured_utc": "2026-01-01T00:00:00Z",
        "command_line": [],
        "host": {"os": "test", "cpu": "test", "cores": 1, "memory_bytes": 1},
        "devices": [],
        "versions": {},
        "passes": [],
        "warmup": 0,
        "iterations": iterations,
        "blocks": 1,
        "results": {
            "iteration_ns": [10, 11, 12], "fill_ns": [], "cpu_ns": [], "verified": true,
            "max_relative_error": null, "exit_code": 0
        }
    }))
    .unwrap()
}

/// A file of `../shared/data`; `None`, and a line that CI looks for, where that folder is absent.
pub(crate) fn shared_data(relative: &str) -> Option<std::path::PathBuf> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if root.is_dir() {
        return Some(root.join(relative));
    }
    // Not a print macro: the test harness hides those.
    std::io::Write::write_all(&mut std::io::stderr(), b"skipped: data not found\n").unwrap();
    None
}

/// The tables of a file of that name and content.
pub(crate) fn import_bytes(name: &str, bytes: &[u8]) -> Tables {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    proftool_import::into_memory(&path).unwrap().1
}
