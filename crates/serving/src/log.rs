//! The router log: what a simulation or a run on real engines writes, one JSON object a line (`docs/importers/router_log.md`).
//!
//! The first key of a line tells what it is, so that a reader knows its type before it parses it. A run that is killed loses
//! the lines since the last [`Log::flush`] and nothing before them.

mod head;
mod rows;
mod simulated;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use serde::Serialize;

pub use head::{FORMAT, Head, Time, VERSION, Version};
pub use rows::{DecisionRow, EventRow, Id, IssueRow, RequestRow, SampleRow, StepRow};
pub use simulated::Simulated;

/// Bytes of lines that are kept until they are written: large enough that a write costs nothing beside them.
const BUFFER_BYTES: usize = 1 << 16;
/// Steps of a line: a reader holds one line, and a line that is lost should not be half of the run.
const LINE_STEPS: usize = 1024;

/// Writes a router log. Rows are of the tables that they are named after, in any order; times are ns from the run's start.
///
/// The first error of the writer is kept and returned by [`Log::finish`]; what comes after it is dropped.
#[derive(Debug)]
pub struct Log<W: Write> {
    out: W,
    lines: Lines,
    failed: Option<io::Error>,
    /// The head's, for the sink of a simulation.
    devices: Vec<Known>,
}

/// What rows need of a device.
#[derive(Clone, Debug)]
struct Known {
    name: String,
    kv_capacity_tokens: u64,
}

impl<W: Write> Log<W> {
    /// Begins a log with its head.
    pub fn new(out: W, head: &Head<'_>) -> Self {
        let known =
            |device: &crate::Device| Known { name: device.name.clone(), kv_capacity_tokens: device.kv_capacity_tokens };
        let devices = head.cluster.devices.iter().map(known).collect();
        Self { out, lines: Lines::new(head), failed: None, devices }
    }

    /// A request, when it has ended. Each has one row.
    pub fn request(&mut self, row: &RequestRow<'_>) {
        self.lines.request(row);
        self.write_much();
    }

    /// A part of a request's life; its request has a row somewhere in the log.
    pub fn event(&mut self, row: &EventRow<'_>) {
        self.lines.event(row);
        self.write_much();
    }

    /// One batch step.
    pub fn step(&mut self, row: &StepRow) {
        self.steps(row, [row.end_ns]);
    }

    /// Consecutive batch steps of a device: the first, and the ends of all of them, the first's included. The others have the
    /// same batch, and each reads as many tokens more than the one before as requests decode.
    pub fn steps(&mut self, first: &StepRow, ends_ns: impl IntoIterator<Item = i64>) {
        let mut line = *first;
        for end_ns in ends_ns {
            if self.lines.step(&mut line, end_ns) == LINE_STEPS {
                self.lines.end_steps(&mut line);
                self.write_much();
            }
        }
        self.lines.end_steps(&mut line);
        self.write_much();
    }

    /// A value of a device over a time.
    pub fn sample(&mut self, row: &SampleRow<'_>) {
        self.lines.sample(row);
        self.write_much();
    }

    /// A decision of the policy.
    pub fn decision(&mut self, row: &DecisionRow<'_>) {
        self.lines.decision(row);
        self.write_much();
    }

    /// A problem with the data.
    pub fn issue(&mut self, row: &IssueRow<'_>) {
        self.lines.issue(row);
        self.write_much();
    }

    /// Hands the lines so far to the writer and flushes it; for runs that take long, in which a line should not wait for others.
    pub fn flush(&mut self) {
        self.write();
        if self.failed.is_none() {
            self.failed = self.out.flush().err();
        }
    }

    /// Writes the last line, without which a reader takes the run for one that was killed, and gives the writer back.
    ///
    /// # Errors
    /// The first that the writer gave.
    pub fn finish(mut self) -> io::Result<W> {
        self.lines.end();
        self.flush();
        self.failed.map_or(Ok(self.out), Err)
    }

    fn write_much(&mut self) {
        if self.lines.buffer.len() >= BUFFER_BYTES {
            self.write();
        }
    }

    fn write(&mut self) {
        if self.failed.is_none() {
            self.failed = self.lines.failed.take().or_else(|| self.out.write_all(&self.lines.buffer).err());
        }
        self.lines.buffer.clear();
    }
}

/// Lines that are not written yet. It knows no writer, so that it is compiled, and optimised, with this crate.
#[derive(Debug)]
struct Lines {
    buffer: Vec<u8>,
    /// Of the steps of the line under way.
    durations: Vec<i64>,
    count: u64,
    failed: Option<io::Error>,
}

impl Lines {
    fn new(head: &Head<'_>) -> Self {
        let buffer = Vec::with_capacity(2 * BUFFER_BYTES);
        let mut lines = Self { buffer, durations: Vec::new(), count: 0, failed: None };
        lines.add(&head.line());
        lines
    }

    fn request(&mut self, row: &RequestRow<'_>) {
        self.add(row);
    }

    fn event(&mut self, row: &EventRow<'_>) {
        self.add(row);
    }

    fn sample(&mut self, row: &SampleRow<'_>) {
        self.add(row);
    }

    fn decision(&mut self, row: &DecisionRow<'_>) {
        self.add(&row.line());
    }

    fn issue(&mut self, row: &IssueRow<'_>) {
        self.add(row);
    }

    /// Adds a step to the line under way, whose end moves on; how many that has.
    fn step(&mut self, line: &mut StepRow, end_ns: i64) -> usize {
        let begun_ns = if self.durations.is_empty() { line.start_ns } else { line.end_ns };
        self.durations.push(end_ns.saturating_sub(begun_ns));
        line.end_ns = end_ns;
        self.durations.len()
    }

    /// Ends the line under way and begins the next behind it.
    fn end_steps(&mut self, line: &mut StepRow) {
        let durations = std::mem::take(&mut self.durations);
        if !durations.is_empty() {
            self.add(&line.line(&durations));
            *line = line.after(line.end_ns, durations.len());
        }
        self.durations = durations;
        self.durations.clear();
    }

    fn end(&mut self) {
        self.add(&rows::End { end: self.count });
    }

    /// Adds a line, whole or not at all.
    fn add(&mut self, line: &impl Serialize) {
        let before = self.buffer.len();
        self.count += 1;
        match serde_json::to_writer(&mut self.buffer, line) {
            Ok(()) => self.buffer.push(b'\n'),
            Err(error) => {
                self.buffer.truncate(before);
                self.failed = Some(error.into());
            }
        }
    }
}
