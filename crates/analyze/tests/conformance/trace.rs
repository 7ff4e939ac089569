//! The imported tables as plain rows.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use polars::prelude::BooleanChunked;
use proftool_analyze::operators::Span;
use proftool_import::into_memory;
use proftool_trace::frame::{Tables, int_column, ints, text_column, texts};
use proftool_trace::tables;

/// A row of `activities`.
#[derive(Clone, Debug)]
pub(crate) struct Gpu {
    pub(crate) device: i64,
    pub(crate) context: Option<i64>,
    pub(crate) queue: Option<i64>,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) correlation: Option<i64>,
    /// Place of its launching call in [`Trace::calls`].
    pub(crate) call: Option<usize>,
    pub(crate) bytes: Option<i64>,
    pub(crate) copy_kind: Option<String>,
    pub(crate) memories: [Option<String>; 2],
    pub(crate) grid: [Option<i64>; 3],
    pub(crate) block: [Option<i64>; 3],
    pub(crate) registers: Option<i64>,
    pub(crate) shared: Option<i64>,
}

impl Gpu {
    pub(crate) fn length(&self) -> i64 {
        self.span.1 - self.span.0
    }
}

/// A row of `calls`.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) process: Option<i64>,
    pub(crate) thread: Option<i64>,
    pub(crate) api: String,
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// A row of `ranges`.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) domain: Option<String>,
    pub(crate) name: String,
    pub(crate) style: String,
    pub(crate) start: i64,
    pub(crate) end: Option<i64>,
    pub(crate) payload: Option<String>,
}

/// One imported file.
pub(crate) struct Trace {
    pub(crate) activities: Vec<Gpu>,
    pub(crate) calls: Vec<Call>,
    pub(crate) ranges: Vec<Range>,
    /// Names of devices.
    pub(crate) devices: HashMap<i64, String>,
    pub(crate) tables: Tables,
}

impl Trace {
    pub(crate) fn import(path: &Path) -> Self {
        let (_, tables) = into_memory(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::of(tables)
    }

    pub(crate) fn of(tables: Tables) -> Self {
        let ids = whole(&tables, &tables::CALLS, "id");
        let by_id: HashMap<i64, usize> = ids.iter().enumerate().map(|(place, id)| (id.unwrap(), place)).collect();
        let devices = whole(&tables, &tables::DEVICES, "device").into_iter().flatten();
        let names = text(&tables, &tables::DEVICES, "name").into_iter().flatten();
        Self {
            activities: activities(&tables, &by_id),
            calls: calls(&tables),
            ranges: ranges(&tables),
            devices: devices.zip(names).collect(),
            tables,
        }
    }

    /// What devices worked on: kernels, copies and sets, not synchronisation.
    pub(crate) fn work(&self) -> Vec<&Gpu> {
        self.activities.iter().filter(|row| row.kind != "sync").collect()
    }

    /// The tables with the activities for which that holds, all on one device, as sources have them that sum over devices.
    pub(crate) fn only(&self, keep: impl Fn(&Gpu) -> bool) -> Tables {
        self.named(|row| keep(row).then(|| row.name.clone()))
    }

    /// As [`Trace::only`] of the activities that get a name, under that name: the metrics group by what a source groups by.
    pub(crate) fn named(&self, name: impl Fn(&Gpu) -> Option<String>) -> Tables {
        let names: Vec<Option<String>> = self.activities.iter().map(name).collect();
        let mut frame = self.tables.get(&tables::ACTIVITIES).clone();
        let keep: BooleanChunked = names.iter().map(|name| Some(name.is_some())).collect();
        frame.with_column(text_column("name", names.iter().map(|name| name.as_deref().or(Some(""))))).unwrap();
        frame.with_column(int_column("device", names.iter().map(|_| Some(0)))).unwrap();
        let mut tables = self.tables.clone();
        tables.set(&tables::ACTIVITIES, frame.filter(&keep).unwrap()).unwrap();
        tables.set(&tables::DEVICES, self.tables.get(&tables::DEVICES).head(Some(0))).unwrap();
        tables.set(&tables::QUEUES, self.tables.get(&tables::QUEUES).head(Some(0))).unwrap();
        tables
    }

    /// Tables of [`Trace::named`] with the calls that launched these activities under their names too.
    pub(crate) fn calling(&self, mut tables: Tables, name: impl Fn(&Gpu) -> Option<String>) -> Tables {
        let mut names: Vec<String> = self.calls.iter().map(|call| call.name.clone()).collect();
        for row in self.activities.iter().filter(|row| row.kind == "kernel") {
            if let (Some(call), Some(name)) = (row.call, name(row)) {
                names[call] = name;
            }
        }
        let mut frame = tables.get(&tables::CALLS).clone();
        frame.with_column(text_column("name", names.iter().map(|name| Some(name.as_str())))).unwrap();
        tables.set(&tables::CALLS, frame).unwrap();
        tables
    }

    /// When the launching call of each activity began, by the activity's id.
    pub(crate) fn calls_by_id(&self) -> HashMap<i64, i64> {
        let ids = whole(&self.tables, &tables::ACTIVITIES, "id").into_iter().flatten();
        ids.zip(&self.activities).filter_map(|(id, row)| Some((id, self.call(row)?.span.0))).collect()
    }

    /// The launching call of a row.
    pub(crate) fn call(&self, row: &Gpu) -> Option<&Call> {
        row.call.map(|place| &self.calls[place])
    }
}

pub(crate) fn whole(tables: &Tables, table: &proftool_trace::Table, column: &str) -> Vec<Option<i64>> {
    ints(tables.get(table), column).unwrap()
}

pub(crate) fn text(tables: &Tables, table: &proftool_trace::Table, column: &str) -> Vec<Option<String>> {
    texts(tables.get(table), column).unwrap()
}

fn activities(tables: &Tables, by_id: &HashMap<i64, usize>) -> Vec<Gpu> {
    let table = &tables::ACTIVITIES;
    let number = |name| whole(tables, table, name);
    let [device, context, queue] = ["device", "context", "queue"].map(number);
    let [start, end, correlation, call] = ["start_ns", "end_ns", "correlation", "call"].map(number);
    let grid = ["grid_x", "grid_y", "grid_z"].map(number);
    let block = ["block_x", "block_y", "block_z"].map(number);
    let [bytes, registers, shared] = ["bytes", "registers_per_thread", "shared_bytes"].map(number);
    let [kind, name, copy_kind, src, dst] =
        ["kind", "name", "copy_kind", "src_memory", "dst_memory"].map(|name| text(tables, table, name));
    (0..start.len())
        .map(|at| Gpu {
            device: device[at].unwrap(),
            context: context[at],
            queue: queue[at],
            kind: kind[at].clone().unwrap(),
            name: name[at].clone().unwrap(),
            span: (start[at].unwrap(), end[at].unwrap()),
            correlation: correlation[at],
            call: call[at].map(|id| by_id[&id]),
            bytes: bytes[at],
            copy_kind: copy_kind[at].clone(),
            memories: [src[at].clone(), dst[at].clone()],
            grid: [grid[0][at], grid[1][at], grid[2][at]],
            block: [block[0][at], block[1][at], block[2][at]],
            registers: registers[at],
            shared: shared[at],
        })
        .collect()
}

fn calls(tables: &Tables) -> Vec<Call> {
    let table = &tables::CALLS;
    let [process, thread, start, end] =
        ["process", "thread", "start_ns", "end_ns"].map(|name| whole(tables, table, name));
    let [api, name] = ["api", "name"].map(|name| text(tables, table, name));
    let texts = api.into_iter().zip(name);
    texts
        .enumerate()
        .map(|(at, (api, name))| Call {
            process: process[at],
            thread: thread[at],
            api: api.unwrap(),
            name: name.unwrap(),
            span: (start[at].unwrap(), end[at].unwrap()),
        })
        .collect()
}

fn ranges(tables: &Tables) -> Vec<Range> {
    let table = &tables::RANGES;
    let [start, end] = ["start_ns", "end_ns"].map(|name| whole(tables, table, name));
    let [domain, name, style, payload] = ["domain", "name", "style", "payload"].map(|name| text(tables, table, name));
    let texts = domain.into_iter().zip(name).zip(style).zip(payload);
    texts
        .enumerate()
        .map(|(at, (((domain, name), style), payload))| Range {
            domain,
            name: name.unwrap(),
            style: style.unwrap(),
            start: start[at].unwrap(),
            end: end[at],
            payload,
        })
        .collect()
}

/// The tables of several files, each a rank of one run.
pub(crate) fn ranks(files: &[PathBuf]) -> Tables {
    let mut all = Tables::default();
    for (rank, file) in files.iter().enumerate() {
        let (_, tables) = into_memory(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for table in tables::ALL.iter().filter(|table| table.column("rank").is_some()) {
            let mut frame = tables.get(table).clone();
            frame.with_column(int_column("rank", (0..frame.height()).map(|_| Some(rank as i64)))).unwrap();
            all.append(table, &frame).unwrap();
        }
    }
    all
}

/// `../shared`, where it is there.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    folder.join("data").is_dir().then_some(folder)
}
