//! A router log under way: what is kept of the lines so far, and the checks that need more than one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

use proftool_trace::rows;
use proftool_trace::sampled::BOARD_POWER;

use super::lines::{End, Head, Id, Line, Time};
use super::{IMPORTER, MINOR};
use crate::Error;
use crate::raw::{Import, Severity};
use crate::requests::log::Bad;

/// Metrics that a log may have: each is kept while the file is read.
const MOST_METRICS: usize = 1 << 12;

/// A file under way.
pub(super) struct Reading {
    simulated: bool,
    /// Whether the writer may know lines that this reader does not.
    newer: bool,
    devices: BTreeSet<i64>,
    /// Metrics that `counter_defs` has.
    metrics: HashMap<String, i64>,
    hasher: RandomState,
    /// Hashes of requests that have a row, and of those that have events: some 20 bytes a request.
    pub(super) requests: HashSet<u64>,
    pub(super) with_events: HashSet<u64>,
    /// Those whose events are left out, and how many that were.
    pub(super) left_out: HashSet<u64>,
    pub(super) left_out_events: u64,
    /// The identifier of the row under way, as the tables hold it.
    pub(super) id: String,
    lines: u64,
    ended: bool,
    span: Option<(i64, i64)>,
}

/// Why a row is not taken.
pub(super) enum Stop {
    /// It cannot be true.
    Bad(Bad),
    /// It cannot be written.
    Failed(Error),
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Reading {
    /// A file from its first line on.
    pub(super) fn new(head: &Head) -> Self {
        Self {
            simulated: head.time == Time::Simulated,
            newer: head.version.minor > MINOR,
            devices: head.devices.iter().map(|device| device.device).collect(),
            metrics: HashMap::new(),
            hasher: RandomState::new(),
            requests: HashSet::new(),
            with_events: HashSet::new(),
            left_out: HashSet::new(),
            left_out_events: 0,
            id: String::new(),
            lines: 1,
            ended: false,
            span: None,
        }
    }

    /// The same file again, without the events of requests that have no row; nothing where all have one.
    pub(super) fn again(&self, head: &Head) -> Option<Self> {
        let left_out: HashSet<u64> = self.with_events.difference(&self.requests).copied().collect();
        (!left_out.is_empty()).then(|| Self { left_out, hasher: self.hasher.clone(), ..Self::new(head) })
    }

    /// Whether the last line was there.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes a line; one that cannot be true is counted.
    pub(super) fn line(&mut self, import: &mut Import<'_>, at: u64, line: Line<'_>) -> Result<(), Error> {
        let place = || format!("line {at}");
        let taken = match line {
            Line::Request(row) => self.request(import, &row, place),
            Line::Event(row) => self.event(import, &row, place),
            Line::Steps(row) => self.steps(import, &row, place),
            Line::Sample(row) => self.sample(import, &row, place),
            Line::Decision(row) => self.decision(import, &row, place),
            Line::Issue(row) => Self::issue(import, &row),
            Line::End(row) => self.end(import, &row),
            Line::Unknown => self.unknown(import, at),
        };
        self.lines += 1;
        match taken {
            Ok(()) => {}
            Err(Stop::Bad(bad)) => import.bad_row(bad.code, || format!("{}: {}", place(), bad.reason)),
            Err(Stop::Failed(error)) => return Err(error),
        }
        Ok(())
    }

    /// Counts a line that could not be read.
    pub(super) fn unreadable(&mut self, import: &mut Import<'_>, at: u64, error: &str) {
        self.lines += 1;
        import.bad_row("bad_line", || format!("line {at}: {error}"));
    }

    fn end(&mut self, import: &mut Import<'_>, row: &End) -> Result<(), Stop> {
        if std::mem::replace(&mut self.ended, true) {
            return Err(Bad::new("bad_line", "a second last line").into());
        }
        let (there, all) = (self.lines, row.end);
        let detail = format!("lines that are not there: the last line counts {all} before it, the file has {there}");
        import.issue(Severity::DataLoss, "lines_missing", all.saturating_sub(there), detail);
        Ok(())
    }

    fn unknown(&self, import: &mut Import<'_>, at: u64) -> Result<(), Stop> {
        if !self.newer {
            return Err(Bad::new("bad_line", "its first key is that of no line").into());
        }
        let detail = format!("lines that only a newer proftool knows, the first: line {at}");
        import.issue(Severity::Info, "unknown_lines", 1, detail);
        Ok(())
    }

    /// What the head says of a device's memory and power as samples over the whole log, where metrics find them, and what was
    /// left out.
    pub(super) fn finish(mut self, import: &mut Import<'_>, head: &Head) -> Result<(), Error> {
        let requests = self.left_out.len();
        let detail = format!(
            "events of {requests} requests that have no row: they had not ended when the log did, or are damaged"
        );
        import.issue(Severity::DataLoss, "events_without_request", self.left_out_events, detail);
        let Some((start_ns, end_ns)) = self.span else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for device in head.devices.iter().filter(|device| seen.insert(device.device)) {
            let capacity = device.kv_capacity_tokens.map(|tokens| tokens as f64);
            for (metric, unit, value) in
                [("kv_capacity_tokens", "tokens", capacity), (BOARD_POWER.name, BOARD_POWER.unit, device.watts)]
            {
                let Some(value) = value else { continue };
                let Some(def) = self.metric(import, metric, Some(unit))? else { continue };
                import.put(&rows::Sample { device: device.device, def, start_ns, end_ns, value: Some(value) })?;
            }
        }
        Ok(())
    }

    /// The device is one of the head.
    pub(super) fn known(&self, device: i64) -> Result<(), Bad> {
        if self.devices.contains(&device) {
            return Ok(());
        }
        Err(Bad::new("unknown_device", format!("device {device} is not in the head")))
    }

    /// Puts the identifier where rows take it from; its hash.
    pub(super) fn identify(&mut self, id: &Id<'_>) -> u64 {
        self.id.clear();
        match id {
            // A String takes everything.
            Id::Number(number) => drop(write!(self.id, "{number}")),
            Id::Text(text) => self.id.push_str(text),
        }
        self.hasher.hash_one(&self.id)
    }

    /// Notes the time of a row that was taken.
    pub(super) fn covers(&mut self, start_ns: i64, end_ns: i64) {
        let (first, last) = self.span.unwrap_or((start_ns, end_ns));
        self.span = Some((first.min(start_ns), last.max(end_ns)));
    }

    /// Number of the metric, which `counter_defs` gets when it is met first; none when there are too many.
    pub(super) fn metric(
        &mut self,
        import: &mut Import<'_>,
        metric: &str,
        unit: Option<&str>,
    ) -> Result<Option<i64>, Error> {
        if let Some(def) = self.metrics.get(metric) {
            return Ok(Some(*def));
        }
        let def = self.metrics.len() as i64;
        if self.metrics.len() == MOST_METRICS {
            return Ok(None);
        }
        self.metrics.insert(metric.to_owned(), def);
        import.put(&rows::CounterDef {
            def,
            metric,
            unit,
            source: if self.simulated { "simulated" } else { "router" },
            formula_id: None,
            tool: Some(IMPORTER.name),
            tool_version: None,
        })?;
        Ok(Some(def))
    }
}
