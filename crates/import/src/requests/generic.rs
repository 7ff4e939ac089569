//! What the two generic request logs, CSV and JSON lines, have in common: the session and the notes.

use super::columns::Cells;
use super::log::{Log, session_start};
use crate::importers::Session;
use crate::raw::Severity;

/// What a first reading of the file found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    earliest: Option<i64>,
    zoneless: u64,
    unknown: Vec<String>,
}

impl Found {
    /// Takes note of a record.
    pub(crate) fn see(&mut self, cells: &Cells<'_>) {
        if let Ok(arrival) = cells.arrival() {
            self.earliest = Some(self.earliest.map_or(arrival, |other| other.min(arrival)));
            self.zoneless += u64::from(cells.zoneless());
        }
    }

    /// Takes note of a column that no field has.
    pub(crate) fn unknown(&mut self, name: &str) {
        self.unknown.push(name.to_owned());
    }

    /// The session start in the log's own times.
    pub(crate) fn start_ns(&self) -> i64 {
        session_start(self.earliest.unwrap_or(0))
    }

    /// Notes what was left out or assumed.
    pub(crate) fn note(&self, log: &mut Log<'_, '_>) {
        let detail = format!("columns that no table has, left out: {}", self.unknown.join(", "));
        log.note(Severity::Info, "unknown_columns", self.unknown.len() as u64, &detail);
        log.note(Severity::Info, "utc_assumed", self.zoneless, "timestamps without a zone, read as UTC");
    }
}

/// The session of a generic log.
pub(crate) fn session(found: &Found) -> Session {
    let start_ns = found.start_ns();
    let clock = if start_ns == 0 { "relative" } else { "unix" };
    Session { start_unix_ns: start_ns, clock: clock.to_owned(), ..Session::default() }
}
