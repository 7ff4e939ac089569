//! One import under way: the rows' checks, the problems found, and the sink.

mod device;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use proftool_trace::Severity;
use proftool_trace::rows::{Activity, Call, Issue, Range, RequestEvent, Row, Sample};
use proftool_trace::sink::Sink;

use super::source::Source;
use crate::Error;
use crate::error::Shown;

/// Largest distance of a time from the session start, 73 years: lengths and their differences stay inside an `i64`.
pub(crate) const FARTHEST_NS: i64 = 1 << 61;
/// Longest time from the first start to the last end, 104 days: sums over hosts and rows stay inside an `i64`, and a
/// length is exact as a float.
pub(crate) const LONGEST_NS: i64 = 1 << 53;
/// One bad row in so many is dropped and counted; more of them mean that the file is not what it seems.
const ROWS_PER_BAD_ROW: u64 = 100;

struct Problem {
    code: &'static str,
    severity: Severity,
    count: u64,
    detail: String,
}

/// One import under way.
pub struct Import<'s> {
    /// Takes the rows.
    pub sink: Sink,
    /// Name of the device as the user gave it: a hardware spec, for devices that the file does not name.
    pub hardware: Option<String>,
    importer: &'static str,
    source: &'s Source,
    problems: Vec<Problem>,
    rows: u64,
    bad_rows: u64,
    first_bad: Option<String>,
    span: Option<(i64, i64)>,
    devices: BTreeSet<i64>,
    described: BTreeSet<i64>,
    last_device: Option<i64>,
}

impl<'s> Import<'s> {
    /// An import of `source` by the importer of that name.
    pub fn new(importer: &'static str, source: &'s Source, sink: Sink) -> Self {
        Self {
            sink,
            hardware: None,
            importer,
            source,
            problems: Vec::new(),
            rows: 0,
            bad_rows: 0,
            first_bad: None,
            span: None,
            devices: BTreeSet::new(),
            described: BTreeSet::new(),
            last_device: None,
        }
    }

    /// Takes a row that has no times.
    ///
    /// # Errors
    /// When it cannot be written.
    #[inline]
    pub fn put<R: Row>(&mut self, row: &R) -> Result<(), Error> {
        self.count();
        self.check_stop()?;
        Ok(self.sink.put(row)?)
    }

    /// Takes an activity. One whose times are impossible is dropped and counted; `place` says where it stands.
    ///
    /// # Errors
    /// When it cannot be written.
    #[inline]
    pub fn activity(&mut self, row: &Activity<'_>, place: impl FnOnce() -> String) -> Result<(), Error> {
        if self.last_device != Some(row.device) {
            self.uses_device(row.device);
        }
        self.timed(row, row.start_ns, row.end_ns, place)
    }

    /// Notes that something ran on a device; activities do so by themselves.
    pub fn uses_device(&mut self, device: i64) {
        self.last_device = Some(device);
        self.devices.insert(device);
    }

    /// Takes a call, as [`Import::activity`].
    ///
    /// # Errors
    /// When it cannot be written.
    #[inline]
    pub fn call(&mut self, row: &Call<'_>, place: impl FnOnce() -> String) -> Result<(), Error> {
        self.timed(row, row.start_ns, row.end_ns, place)
    }

    /// Takes a range, as [`Import::activity`].
    ///
    /// # Errors
    /// When it cannot be written.
    #[inline]
    pub fn range(&mut self, row: &Range<'_>, place: impl FnOnce() -> String) -> Result<(), Error> {
        self.timed(row, row.start_ns, row.end_ns.unwrap_or(row.start_ns), place)
    }

    /// Takes a sample, as [`Import::activity`].
    ///
    /// # Errors
    /// When it cannot be written.
    #[inline]
    pub fn sample(&mut self, row: &Sample, place: impl FnOnce() -> String) -> Result<(), Error> {
        self.timed(row, row.start_ns, row.end_ns, place)
    }

    /// Takes an event of a request, as [`Import::activity`].
    ///
    /// # Errors
    /// When it cannot be written.
    #[inline]
    pub fn request_event(&mut self, row: &RequestEvent<'_>, place: impl FnOnce() -> String) -> Result<(), Error> {
        self.timed(row, row.start_ns, row.end_ns, place)
    }

    #[inline]
    fn timed<R: Row>(&mut self, row: &R, start: i64, end: i64, place: impl FnOnce() -> String) -> Result<(), Error> {
        if self.possible(start, end, place) {
            self.count();
            self.check_stop()?;
            self.sink.put(row)?;
        }
        Ok(())
    }

    /// Whether a row may have these times; one that may not is counted as bad. For importers that keep rows back
    /// before they hand them over.
    #[inline]
    pub fn possible(&mut self, start: i64, end: i64, place: impl FnOnce() -> String) -> bool {
        let inside = |time: i64| (-FARTHEST_NS..=FARTHEST_NS).contains(&time);
        if !inside(start) || !inside(end) {
            self.bad_row("time_out_of_range", || {
                format!("{}: time {start} to {end} ns is more than 2^61 ns (73 years) from the session start", place())
            });
            return false;
        }
        if end < start {
            self.bad_row("end_before_start", || format!("{}: end {end} ns lies before start {start} ns", place()));
            return false;
        }
        let (first, last) = self.span.unwrap_or((start, end));
        let (first, last) = (first.min(start), last.max(end));
        // Within the limits above the difference fits.
        if last - first > LONGEST_NS {
            self.bad_row("time_out_of_range", || {
                format!("{}: time {start} to {end} ns is more than 2^53 ns (104 days) from the rows before it", place())
            });
            return false;
        }
        self.span = Some((first, last));
        true
    }

    #[inline]
    fn count(&mut self) {
        self.rows += 1;
        if self.rows.is_multiple_of(1 << 14) {
            self.source.progress().rows.fetch_add(1 << 14, Ordering::Relaxed);
        }
    }

    /// Whether the user asked to stop; looked at now and then.
    #[inline]
    fn check_stop(&self) -> Result<(), Error> {
        let stop = self.rows.is_multiple_of(1 << 14) && self.source.progress().stop.load(Ordering::Relaxed);
        if stop { Err(Error::Interrupted { path: self.source.path().to_owned() }) } else { Ok(()) }
    }

    /// Counts a row that is left out because it cannot be true. A few become an issue; many fail the import.
    pub fn bad_row(&mut self, code: &'static str, place: impl FnOnce() -> String) {
        self.bad_rows += 1;
        let known = self.problems.iter().any(|problem| problem.code == code);
        let detail = if known { String::new() } else { place() };
        if self.first_bad.is_none() {
            self.first_bad = Some(detail.clone());
        }
        self.note(Severity::DataLoss, code, 1, || format!("rows left out, the first: {detail}"));
    }

    /// Notes a problem. Counts of one code add up, its first detail is kept.
    pub fn issue(&mut self, severity: Severity, code: &'static str, count: u64, detail: impl Into<String>) {
        self.note(severity, code, count, || detail.into());
    }

    fn note(&mut self, severity: Severity, code: &'static str, count: u64, detail: impl FnOnce() -> String) {
        match self.problems.iter_mut().find(|problem| problem.code == code) {
            _ if count == 0 => {}
            Some(problem) => problem.count = problem.count.saturating_add(count),
            None => self.problems.push(Problem { code, severity, count, detail: detail() }),
        }
    }

    /// Forgets everything taken so far, for an importer that has to begin again.
    ///
    /// # Errors
    /// When a file that was begun cannot be removed.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.sink.clear()?;
        let sink = std::mem::replace(&mut self.sink, Sink::memory("", 0));
        let hardware = self.hardware.take();
        *self = Self { hardware, ..Self::new(self.importer, self.source, sink) };
        Ok(())
    }

    /// The checks that need the whole file, then the rows of `issues`. Returns the sink and whether data was lost.
    ///
    /// # Errors
    /// [`Error::Malformed`] when too many rows were bad.
    pub(crate) fn finish(mut self) -> Result<(Sink, Outcome), Error> {
        let (bad, rows) = (self.bad_rows, self.rows);
        if let Some(place) = self.first_bad.as_deref().filter(|_| bad * ROWS_PER_BAD_ROW > rows + bad) {
            let reason = format!("{bad} of its {} rows are impossible", rows + bad);
            return Err(self.source.damaged(place, reason, "capture or export it again; nothing was taken from it"));
        }
        let outcome = Outcome {
            problems: self.problems.iter().filter(|problem| problem.severity != Severity::Info).count(),
            undescribed: self.devices.difference(&self.described).copied().collect(),
            devices: self.devices.into_iter().collect(),
            lost: self.problems.iter().any(|problem| problem.severity == Severity::DataLoss),
        };
        for problem in &self.problems {
            self.sink.put(&Issue {
                source: self.importer,
                severity: problem.severity.name(),
                code: problem.code,
                count: i64::try_from(problem.count).unwrap_or(i64::MAX),
                detail: &Shown(&problem.detail).to_string(),
            })?;
        }
        Ok((self.sink, outcome))
    }
}

/// What an import noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Devices on which something ran.
    pub(crate) devices: Vec<i64>,
    /// Those of them that [`Import::device`] did not take.
    pub(crate) undescribed: Vec<i64>,
    /// Kinds of problem that are more than information.
    pub(crate) problems: usize,
    /// Whether data was lost.
    pub(crate) lost: bool,
}
