//! Queries that give one order of columns whatever the version of the schema.
//!
//! Versions 3.0.0 to 3.0.5 hold place and time of an event in its row. The development schema 4 moves process, thread,
//! agent, queue and stream to `rocpd_track`; an earlier state of it also moved the times to `rocpd_timestamp`.

use std::fmt::Write;

use crate::Error;
use crate::rocm::database::{Database, quoted};

/// Columns that every query of events gives first.
pub(super) mod column {
    pub(crate) const ID: usize = 0;
    pub(crate) const START: usize = 1;
    pub(crate) const END: usize = 2;
    pub(crate) const PROCESS: usize = 3;
    pub(crate) const THREAD: usize = 4;
    pub(crate) const AGENT: usize = 5;
    pub(crate) const QUEUE: usize = 6;
    pub(crate) const STREAM: usize = 7;
    pub(crate) const EVENT: usize = 8;
    pub(crate) const STACK: usize = 9;
    /// The first column of those that a query asks for itself.
    pub(crate) const OWN: usize = 10;
}

/// The tables of one process: `rocpd_<name><suffix>`.
pub(super) struct Part<'d> {
    pub(super) database: &'d Database<'d>,
    suffix: String,
}

/// A query and the table that it is about.
pub(super) struct Query {
    pub(super) table: String,
    pub(super) sql: String,
}

impl<'d> Part<'d> {
    /// The parts of a database. Tables end in the identifier of their process; where none do, the tables of one process
    /// have the plain names that are otherwise those of views over all parts.
    pub(super) fn all(database: &'d Database<'d>) -> Vec<Self> {
        let suffixes = |stem: &str| {
            let found = database.names().filter_map(|name| name.strip_prefix(stem));
            found.filter(|suffix| suffix.is_empty() || suffix.starts_with('_')).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut suffixes = ["rocpd_string", "rocpd_kernel_dispatch"].map(suffixes).concat();
        suffixes.sort();
        suffixes.dedup();
        if suffixes.len() > 1 {
            suffixes.retain(|suffix| !suffix.is_empty());
        }
        suffixes.into_iter().map(|suffix| Self { database, suffix }).collect()
    }

    /// The full name of a table, where there is one.
    pub(super) fn table(&self, name: &str) -> Option<String> {
        Some(format!("rocpd_{name}{}", self.suffix)).filter(|table| self.database.has(table))
    }

    /// A column of a table by the letter that stands for it in a query, or null.
    fn column(&self, table: Option<&str>, letter: char, column: &str) -> String {
        match table.filter(|table| self.database.has_column(table, column)) {
            Some(_) => format!("{letter}.{}", quoted(column)),
            None => "NULL".to_owned(),
        }
    }

    /// The columns of a table of names and numbers.
    pub(super) fn plain(&self, name: &str, columns: &[&str]) -> Option<Query> {
        let table = self.table(name)?;
        let columns: Vec<String> = columns.iter().map(|column| self.column(Some(&table), 'M', column)).collect();
        let sql = format!("SELECT {} FROM {} M", columns.join(", "), quoted(&table));
        Some(Query { table, sql })
    }

    /// The rows of a table of events: the columns of [`column`], then `own` ones of the table, then those of its event.
    ///
    /// # Errors
    /// When the table has no times.
    pub(super) fn events(&self, name: &str, own: &[&str], event: &[&str]) -> Result<Option<Query>, Error> {
        let Some(table) = self.table(name) else { return Ok(None) };
        let (tracks, events, times) = (self.table("track"), self.table("event"), self.table("timestamp"));
        let has = |column: &str| self.database.has_column(&table, column);
        let mut joins = String::new();
        let mut join = |other: &Option<String>, letter: char, key: &str| {
            let other = other.as_deref().filter(|_| has(key));
            if let Some(other) = other {
                let _ = write!(joins, " LEFT JOIN {} {letter} ON {letter}.id = M.{}", quoted(other), quoted(key));
            }
            other.is_some()
        };
        let on_track = join(&tracks, 'T', "track_id");
        let with_event = join(&events, 'E', "event_id");
        let mut time = |inline: &str, key: &str, letter: char| {
            if has(inline) {
                return Some(format!("M.{}", quoted(inline)));
            }
            join(&times, letter, key).then(|| format!("{letter}.value"))
        };
        let (start, end) = if name == "sample" {
            let time = time("timestamp", "timestamp_id", 'A');
            (time.clone(), time)
        } else {
            (time("start", "start_id", 'A'), time("end", "end_id", 'B'))
        };
        let (Some(start), Some(end)) = (start, end) else {
            let hint = "this version of the rocpd schema is not known; report it with the output of `.schema`";
            return Err(self.database.source().damaged(
                format!("table {table}"),
                "it has no columns start and end",
                hint,
            ));
        };
        let tracks = tracks.as_deref().filter(|_| on_track);
        let placed = |column: &str| {
            if has(column) { format!("M.{}", quoted(column)) } else { self.column(tracks, 'T', column) }
        };
        let events = events.as_deref().filter(|_| with_event);
        let mut columns = vec!["M.id".to_owned(), start, end];
        columns.extend(["pid", "tid", "agent_id", "queue_id", "stream_id"].map(placed));
        columns.push(self.column(Some(&table), 'M', "event_id"));
        columns.push(self.column(events, 'E', "stack_id"));
        columns.extend(own.iter().map(|column| self.column(Some(&table), 'M', column)));
        columns.extend(event.iter().map(|column| self.column(events, 'E', column)));
        let sql = format!("SELECT {} FROM {} M{joins}", columns.join(", "), quoted(&table));
        Ok(Some(Query { table, sql }))
    }
}

/// The rows of one of the views `kernels`, `memory_copies` or `regions` that stands alone, as the columns of [`column`]
/// and then `own` ones. Names differ between versions: the first of a list that is there counts.
pub(super) fn view(database: &Database<'_>, name: &str, own: &[&[&str]]) -> Option<Query> {
    let pick = |names: &[&str]| {
        let found = names.iter().find(|column| database.has_column(name, column));
        found.map_or_else(|| "NULL".to_owned(), |column| quoted(column))
    };
    let leading: [&[&str]; column::OWN] = [
        &["id"],
        &["start"],
        &["end"],
        &["pid"],
        &["tid"],
        &["agent_type_index", "agent_log_index", "agent_logical_index", "agent_id"],
        &["queue_id"],
        &["stream_id"],
        &["event_id"],
        &["stack_id", "corr_id", "correlation_id"],
    ];
    if !(database.has_column(name, "start") && database.has_column(name, "end")) {
        return None;
    }
    let columns: Vec<String> = leading.iter().chain(own).map(|names| pick(names)).collect();
    Some(Query { table: name.to_owned(), sql: format!("SELECT {} FROM {}", columns.join(", "), quoted(name)) })
}
