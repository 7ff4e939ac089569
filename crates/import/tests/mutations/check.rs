//! What every import promises, whatever bytes it is given: tables that are whole in themselves, or one clear error.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use proftool_import::importers::Importer;
use proftool_import::raw::Source;
use proftool_import::{Error, driver as import};
use proftool_trace::frame::{self, Tables};
use proftool_trace::table::{DataType, Table};
use proftool_trace::tables;

/// Times farther from the session start than this are refused, as are captures that last longer than [`LONGEST_NS`].
const FARTHEST_NS: i64 = 1 << 61;
const LONGEST_NS: i64 = 1 << 53;

/// Importers that hand the file to its profiler's own program: what they read themselves is its first bytes.
pub(crate) const OUTSIDE: &[&str] = &["ncu_report", "nsys_report"];

/// Imports `path` by that importer. `Ok` says whether it gave tables (of an importer that runs an outside program:
/// whether it claims the file), `Err` which promise was broken.
pub(crate) fn import(importer: &'static Importer, path: &Path) -> Result<bool, String> {
    if OUTSIDE.contains(&importer.name) {
        let source = Source::open(path, &Arc::default());
        return Ok(source.is_ok_and(|source| (importer.sniff)(&source.head())));
    }
    match import::with(importer, path) {
        Ok((_, tables)) => whole(&tables).map(|()| true),
        Err(error) => clear(&error.to_string(), path).map(|()| false),
    }
}

/// Finds what `path` holds by its content, as `proftool import` does: at most one importer claims it.
pub(crate) fn claim(path: &Path) -> Result<(), String> {
    match import::find(path, &Arc::default()) {
        Ok(_) => Ok(()),
        Err(error @ Error::AmbiguousFormat { .. }) => Err(error.to_string()),
        Err(error) => clear(&error.to_string(), path),
    }
}

/// One line that names the file and says what to try.
fn clear(message: &str, path: &Path) -> Result<(), String> {
    let line = message.chars().all(|letter| !letter.is_control()) && message.len() < 4000;
    let names = message.contains(&path.display().to_string());
    if line && names && message.contains("hint: ") {
        return Ok(());
    }
    Err(format!("the error is not one line that names the file and gives a hint: {message:?}"))
}

/// Checks each table for itself, then the references between them.
fn whole(tables: &Tables) -> Result<(), String> {
    for table in tables::ALL {
        let frame = tables.get(table);
        frame::check(table, frame).map_err(|error| error.to_string())?;
        for column in table.columns.iter().filter(|column| column.dtype == DataType::Float) {
            let values = frame::floats(frame, column.name).map_err(|error| error.to_string())?;
            if let Some(value) = values.into_iter().flatten().find(|value| !value.is_finite()) {
                return Err(format!("{}.{} holds {value}", table.name, column.name));
            }
        }
    }
    unique(tables)?;
    times(tables)?;
    references(tables)?;
    words(tables)
}

fn ints(tables: &Tables, table: &'static Table, column: &str) -> Result<Vec<Option<i64>>, String> {
    frame::ints(tables.get(table), column).map_err(|error| error.to_string())
}

fn texts(tables: &Tables, table: &'static Table, column: &str) -> Result<Vec<Option<String>>, String> {
    frame::texts(tables.get(table), column).map_err(|error| error.to_string())
}

fn unique(tables: &Tables) -> Result<(), String> {
    let keys = [
        (&tables::ACTIVITIES, "id"),
        (&tables::CALLS, "id"),
        (&tables::RANGES, "id"),
        (&tables::LAUNCHES, "launch"),
        (&tables::COUNTER_DEFS, "def"),
        (&tables::DEVICES, "device"),
    ];
    for (table, column) in keys {
        let mut seen = HashSet::new();
        for id in ints(tables, table, column)?.into_iter().flatten() {
            if !seen.insert(id) {
                return Err(format!("{}.{column} holds {id} twice", table.name));
            }
        }
    }
    let mut seen = HashSet::new();
    let queues = ints(tables, &tables::QUEUES, "device")?.into_iter().zip(ints(tables, &tables::QUEUES, "queue")?);
    match queues.into_iter().find(|queue| !seen.insert(*queue)) {
        Some(queue) => Err(format!("queues holds {queue:?} twice")),
        None => Ok(()),
    }
}

fn times(tables: &Tables) -> Result<(), String> {
    let timed = [
        &tables::ACTIVITIES,
        &tables::CALLS,
        &tables::RANGES,
        &tables::SAMPLES,
        &tables::REQUEST_EVENTS,
        &tables::STEPS,
    ];
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for table in timed {
        let spans = ints(tables, table, "start_ns")?.into_iter().zip(ints(tables, table, "end_ns")?);
        for (start, end) in spans.filter_map(|(start, end)| Some((start?, end.or(start)?))) {
            if end < start {
                return Err(format!("{}: end {end} lies before start {start}", table.name));
            }
            (first, last) = (first.min(start), last.max(end));
        }
    }
    for column in ["arrival_ns", "first_token_ns", "end_ns"] {
        let arrivals = ints(tables, &tables::REQUESTS, "arrival_ns")?;
        for (arrival, time) in arrivals.into_iter().zip(ints(tables, &tables::REQUESTS, column)?) {
            let (Some(arrival), Some(time)) = (arrival, time) else { continue };
            if time < arrival {
                return Err(format!("requests: {column} {time} lies before arrival {arrival}"));
            }
            (first, last) = (first.min(arrival), last.max(time));
        }
    }
    if first <= last && (first < -FARTHEST_NS || last > FARTHEST_NS || last - first > LONGEST_NS) {
        return Err(format!("times from {first} to {last}"));
    }
    Ok(())
}

fn references(tables: &Tables) -> Result<(), String> {
    let references = [
        (&tables::ACTIVITIES, "call", &tables::CALLS, "id"),
        (&tables::WORK, "activity", &tables::ACTIVITIES, "id"),
        (&tables::DEPENDENCIES, "activity", &tables::ACTIVITIES, "id"),
        (&tables::DEPENDENCIES, "depends_on", &tables::ACTIVITIES, "id"),
        (&tables::OPERATORS, "call", &tables::CALLS, "id"),
        (&tables::COLLECTIVES, "activity", &tables::ACTIVITIES, "id"),
        (&tables::RANGES, "parent", &tables::RANGES, "id"),
        (&tables::LAUNCHES, "activity", &tables::ACTIVITIES, "id"),
        (&tables::COUNTERS, "launch", &tables::LAUNCHES, "launch"),
        (&tables::COUNTERS, "def", &tables::COUNTER_DEFS, "def"),
        (&tables::SAMPLES, "def", &tables::COUNTER_DEFS, "def"),
    ];
    for (table, column, other, key) in references {
        let known: HashSet<i64> = ints(tables, other, key)?.into_iter().flatten().collect();
        if let Some(id) = ints(tables, table, column)?.into_iter().flatten().find(|id| !known.contains(id)) {
            return Err(format!("{}.{column} is {id}, which {} does not hold", table.name, other.name));
        }
    }
    let known: HashSet<String> = texts(tables, &tables::REQUESTS, "request")?.into_iter().flatten().collect();
    let events = texts(tables, &tables::REQUEST_EVENTS, "request")?;
    match events.into_iter().flatten().find(|request| !known.contains(request)) {
        Some(request) => Err(format!("request_events.request is {request:?}, which requests does not hold")),
        None => Ok(()),
    }
}

/// Columns that hold one of a few words.
fn words(tables: &Tables) -> Result<(), String> {
    let memories = "pageable pinned device managed";
    let vocabularies = [
        (&tables::ACTIVITIES, "kind", "kernel copy set sync graph"),
        (&tables::ACTIVITIES, "copy_kind", "h2d d2h d2d p2p h2h"),
        (&tables::ACTIVITIES, "src_memory", memories),
        (&tables::ACTIVITIES, "dst_memory", memories),
        (&tables::CALLS, "api", "runtime driver osrt mpi ucx op python"),
        (&tables::RANGES, "style", "push_pop start_end mark"),
        (&tables::REQUESTS, "status", "ok rejected failed aborted"),
        (&tables::ISSUES, "severity", "info data_loss error"),
    ];
    for (table, column, allowed) in vocabularies {
        let mut values = texts(tables, table, column)?.into_iter().flatten();
        if let Some(word) = values.find(|word| !allowed.split(' ').any(|known| known == word)) {
            return Err(format!("{}.{column} is {word:?}, not one of {allowed}", table.name));
        }
    }
    match ints(tables, &tables::ISSUES, "count")?.into_iter().flatten().find(|count| *count < 1) {
        Some(count) => Err(format!("issues.count is {count}")),
        None => Ok(()),
    }
}
