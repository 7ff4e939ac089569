//! Reads the JSON of rocprofv3 (`rocprofiler-sdk-tool`), process by process, in one pass through the file.
//!
//! Launches come before the calls that made them, so that launches, copies and ranges are kept until their process ends,
//! about 200 bytes each; calls and counter values go straight to the sink.

mod counted;
mod finish;
mod stream;
mod strings;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use proftool_trace::rows::Call;

use super::agents::{Agent, Agents, Used};
use super::fields;
use super::ids::{Callers, Ids, take};
use super::markers::{self, Marker};
use super::names::{self, Operations, Symbols};
use super::records::{Copy, Counted, Dispatch, Record};
use crate::Error;
use crate::raw::json::{Kind, Stream};
use crate::raw::{Import, Severity, Source};
use stream::{array, collect, elements, failed, kind, members, pass, skip};
use strings::{counter, groups_by_queue, strings};

/// The member that holds everything.
pub(crate) const ROOT: &str = "rocprofiler-sdk-tool";

/// Reads the file and returns the session start on the profiler's clock.
///
/// # Errors
/// When the file cannot be read or is not such a JSON.
pub(crate) fn read(source: &Source, import: &mut Import<'_>) -> Result<i64, Error> {
    let mut stream = Stream::new(source.reader()?).map_err(|failure| failed(source, failure))?;
    let mut reader = Reader {
        source,
        import,
        start: None,
        ids: Ids::default(),
        used: Used::default(),
        devices: BTreeSet::new(),
        left_out: BTreeMap::new(),
        unlaunched: 0,
    };
    reader.file(&mut stream)?;
    reader.used.put_queues(reader.import)?;
    let left_out = std::mem::take(&mut reader.left_out);
    for (section, count) in left_out {
        let (code, why) = reason(&section);
        reader.import.issue(Severity::Info, code, count, format!("records of {section} {why}"));
    }
    let detail =
        "device rows whose launching call is not in the file: rocprofv3 traces HIP and HSA calls where asked to";
    reader.import.issue(Severity::Info, "launch_not_recorded", reader.unlaunched, detail);
    Ok(reader.start.unwrap_or(0))
}

/// Code and text of the issue for records that no table takes.
fn reason(section: &str) -> (&'static str, &'static str) {
    match section {
        "scratch_memory" => {
            ("scratch_memory", "are left out: the driver gave kernels scratch memory while they waited")
        }
        "memory_allocation" => ("memory_allocation", "are left out; the calls that allocate are in the table calls"),
        _ => ("section_left_out", "are left out: no table takes them"),
    }
}

struct Reader<'r, 's> {
    source: &'r Source,
    import: &'r mut Import<'s>,
    start: Option<i64>,
    ids: Ids,
    unlaunched: u64,
    used: Used,
    devices: BTreeSet<i64>,
    left_out: BTreeMap<String, u64>,
}

/// One process of the file.
#[derive(Default)]
struct Process {
    pid: Option<i64>,
    /// rocprofv3 ran with `--group-by-queue`: streams mean nothing.
    by_queue: bool,
    agents: Agents,
    operations: Operations,
    symbols: Symbols,
    messages: HashMap<i64, Box<str>>,
    counters: HashMap<i64, Box<str>>,
    dispatches: Vec<Dispatch>,
    copies: Vec<Copy>,
    calls: Callers,
    markers: Vec<Marker>,
    launches: Vec<Counting>,
    /// Launches by the number of their dispatch.
    counted: HashMap<i64, usize>,
}

/// One launch with counters.
struct Counting {
    launch: i64,
    dispatch: Dispatch,
    defs: Vec<i64>,
}

impl Reader<'_, '_> {
    fn file<R: Read>(&mut self, stream: &mut Stream<R>) -> Result<(), Error> {
        let (source, mut found) = (self.source, false);
        members(source, stream, |stream, key| {
            if key != ROOT {
                return skip(source, stream);
            }
            found = true;
            self.processes(stream)
        })?;
        stream.finish().map_err(|failure| failed(source, failure))?;
        let absent = || source.damaged("its root", format!("it has no {ROOT}"), "import rocprofv3's own file");
        found.then_some(()).ok_or_else(absent)
    }

    /// An array of processes; versions before the array wrote the process itself.
    fn processes<R: Read>(&mut self, stream: &mut Stream<R>) -> Result<(), Error> {
        let source = self.source;
        if stream.parse(kind).map_err(|failure| failed(source, failure))? != Kind::Array {
            return self.process(stream);
        }
        let mut first = true;
        stream.parse(array).map_err(|failure| failed(source, failure))?;
        while stream.parse(|cursor| cursor.element(&mut first)).map_err(|failure| failed(source, failure))? {
            self.process(stream)?;
        }
        Ok(())
    }

    fn process<R: Read>(&mut self, stream: &mut Stream<R>) -> Result<(), Error> {
        let (source, mut process) = (self.source, Process::default());
        members(source, stream, |stream, key| {
            match key {
                "metadata" => self.metadata(stream, &mut process)?,
                "agents" => process.agents = Agents::new(collect(source, stream, key, Agent::read)?),
                "counters" => {
                    process.counters = collect(source, stream, key, counter)?.into_iter().flatten().collect();
                }
                "kernel_symbols" => process.symbols = Symbols::new(collect(source, stream, key, names::symbol)?),
                "strings" => strings(source, stream, &mut process)?,
                "callback_records" | "buffer_records" => {
                    members(source, stream, |stream, name| self.records(stream, name, &mut process))?;
                }
                _ => skip(source, stream)?,
            }
            Ok(())
        })?;
        self.finish(process)
    }

    fn metadata<R: Read>(&mut self, stream: &mut Stream<R>, process: &mut Process) -> Result<(), Error> {
        let mut init = None;
        let read = stream.parse(|cursor| {
            fields::object(cursor, |key, cursor| {
                match key {
                    b"pid" => process.pid = fields::int(cursor)?,
                    b"init_time" => init = fields::time(cursor)?.filter(|time| *time != 0),
                    b"config" => process.by_queue = groups_by_queue(cursor)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })
        });
        self.start = self.start.or(init);
        read.map_err(|failure| failed(self.source, failure))
    }

    fn records<R: Read>(&mut self, stream: &mut Stream<R>, name: &str, process: &mut Process) -> Result<(), Error> {
        let source = self.source;
        match name {
            "kernel_dispatch" => elements(source, stream, name, Dispatch::read, |dispatch, number| {
                if self.is_whole(&dispatch.record, name, number) {
                    process.dispatches.push(dispatch);
                }
                Ok(())
            }),
            "memory_copy" => elements(source, stream, name, Copy::read, |copy, number| {
                if self.is_whole(&copy.record, name, number) {
                    process.copies.push(copy);
                }
                Ok(())
            }),
            "counter_collection" => {
                elements(source, stream, name, Counted::read, |counted, _| self.counted(counted, process))
            }
            "marker_api" => elements(source, stream, name, Record::read, |record, number| {
                self.marker(record, name, number, process)
            }),
            "hsa_api" => elements(source, stream, name, Record::read, |record, number| {
                self.call(record, "driver", name, number, process)
            }),
            _ if name.ends_with("_api") => elements(source, stream, name, Record::read, |record, number| {
                self.call(record, "runtime", name, number, process)
            }),
            _ => {
                let count = elements(source, stream, name, pass, |(), _| Ok(()))?;
                if count > 0 {
                    *self.left_out.entry(name.to_owned()).or_default() += count;
                }
                Ok(count)
            }
        }
        .map(|_| ())
    }

    /// Whether a record has both of its times; the profiler writes 0 where it could not take one.
    fn is_whole(&mut self, record: &Record, name: &str, number: u64) -> bool {
        let has = |time: Option<i64>| time.is_some_and(|time| time != 0);
        let whole = has(record.start) && has(record.end);
        if !whole {
            self.import.bad_row("without_times", || format!("record {number} of {name}"));
        }
        whole
    }

    /// Start and end from the session start.
    fn times(&mut self, record: &Record) -> (i64, i64) {
        let (start, end) = (record.start.unwrap_or_default(), record.end.unwrap_or_default());
        let session = *self.start.get_or_insert(start);
        (start.saturating_sub(session), end.saturating_sub(session))
    }

    fn call(
        &mut self,
        record: Record,
        api: &str,
        section: &str,
        number: u64,
        process: &mut Process,
    ) -> Result<(), Error> {
        if !self.is_whole(&record, section, number) {
            return Ok(());
        }
        let (start_ns, end_ns) = self.times(&record);
        if !self.import.possible(start_ns, end_ns, || format!("record {number} of {section}")) {
            return Ok(());
        }
        let id = take(&mut self.ids.call);
        process.calls.add(record.correlation, id);
        let (pid, correlation) = (process.pid, record.correlation);
        let name = match process.operations.get(record.kind, record.operation) {
            Some((name, _)) => Cow::Borrowed(name),
            None => Cow::Owned(format!("{section} {}", record.operation.unwrap_or_default())),
        };
        let row = Call {
            id,
            process: pid,
            thread: record.thread,
            api,
            name: &name,
            start_ns,
            end_ns,
            correlation,
            ..Call::default()
        };
        self.import.call(&row, || format!("record {number} of {section}"))
    }

    /// A range or mark, or a call that makes none.
    fn marker(&mut self, record: Record, section: &str, number: u64, process: &mut Process) -> Result<(), Error> {
        let operation = process.operations.get(record.kind, record.operation).map(|(name, _)| name);
        let Some(style) = markers::style(operation.unwrap_or_default()) else {
            return self.call(record, "runtime", section, number, process);
        };
        if self.is_whole(&record, section, number) {
            let (start_ns, end_ns) = self.times(&record);
            let message = record.correlation.and_then(|correlation| process.messages.get(&correlation));
            let name = message.cloned().unwrap_or_else(|| operation.unwrap_or_default().into());
            let (process_id, thread) = (process.pid, record.thread);
            process.markers.push(Marker { process: process_id, thread, domain: None, name, style, start_ns, end_ns });
        }
        Ok(())
    }
}
