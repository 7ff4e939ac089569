//! The loop over a file: which line is a message, a header, a row, or the profiled program's output.

use std::io::Read;

use super::cells::{self, Record};
use super::header::{self, Page};
use super::long::LongPage;
use super::messages::{Messages, is_message};
use super::metrics::Metrics;
use super::number::{Numbers, Style};
use super::state::{State, Stop};
use super::wide::{Taken, WidePage};
use super::window::Window;
use crate::Error;
use crate::raw::{Import, Severity, Source};

/// How a header row of ncu begins, when the program's last line of output was not ended before it.
const HEADER_START: &[u8] = b"\"ID\",\"Process ID\"";

/// The page that a line begins, and where in the line its header row begins.
pub(super) fn header(line: &[u8]) -> Option<(Page, usize)> {
    if let Some(page) = header::page(line) {
        return Some((page, 0));
    }
    let start = memchr::memmem::find(line, HEADER_START).filter(|start| *start > 0)?;
    Some((header::page(&line[start..])?, start))
}

/// Reads one file.
pub(super) struct Reader<'s> {
    source: &'s Source,
    state: State,
    messages: Messages,
    table: Option<Table>,
}

/// The table that is being read.
struct Table {
    page: Rows,
    /// Whether ncu wrote it: all cells are quoted. Lines that begin otherwise are then no rows.
    quoted: bool,
    /// Number of columns.
    width: usize,
    /// The first cell of the header with the comma behind it: a row that begins so is another header.
    start: Vec<u8>,
}

enum Rows {
    Long(LongPage),
    Wide(WidePage),
}

/// What was done with the beginning of the window.
enum Step {
    Used(usize),
    More,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s Source, numbers: Numbers, tool_version: Option<&str>) -> Self {
        let state = State { numbers, metrics: Metrics::new(tool_version), ..State::default() };
        Self { source, state, messages: Messages::default(), table: None }
    }

    /// Reads the file to its end.
    pub(super) fn run(mut self, reader: impl Read, import: &mut Import<'_>) -> Result<(), Stop> {
        let mut window = Window::new(reader);
        loop {
            let (bytes, last) = window.rest();
            let step = match bytes {
                [] if last => break,
                [] | [_] if !last => Step::More,
                _ => self.step(bytes, last, window.line(), import)?,
            };
            match step {
                Step::Used(count) => window.consume(count),
                Step::More => {
                    if !window.more().map_err(|cause| self.source.io(cause))? {
                        return Err(self.damaged(window.line(), "a row that is longer than 64 MiB begins here"));
                    }
                }
            }
        }
        self.finish(import)
    }

    fn damaged(&self, line: u64, reason: &str) -> Stop {
        let hint = "write the page again with ncu --import REPORT --csv --page raw; nothing was taken from it";
        Stop::Error(self.source.damaged(format!("line {line}"), reason, hint))
    }

    fn step(&mut self, bytes: &[u8], last: bool, line: u64, import: &mut Import<'_>) -> Result<Step, Stop> {
        let in_table = self.table.as_ref().is_some_and(|table| table.begins_row(bytes));
        if in_table && !is_message(bytes) { self.row(bytes, last, line, import) } else { self.line(bytes, last, line) }
    }

    /// Takes a line that is no row: a header, a message, output of the program, or nothing.
    fn line(&mut self, bytes: &[u8], last: bool, line: u64) -> Result<Step, Stop> {
        let length = match memchr::memchr(b'\n', bytes) {
            Some(end) => end + 1,
            None if last => bytes.len(),
            None => return Ok(Step::More),
        };
        match header(&bytes[..length]) {
            Some((page, start)) => self.begin(page, &bytes[start..length], line)?,
            None => self.messages.take(&bytes[..length], line),
        }
        Ok(Step::Used(length))
    }

    fn begin(&mut self, page: Page, line: &[u8], number: u64) -> Result<(), Stop> {
        let mut names = Vec::new();
        cells::record(line, true, &mut names);
        let rows = match page {
            Page::Long(columns) => Rows::Long(LongPage::new(columns)),
            Page::Wide(columns) => Rows::Wide(WidePage::new(columns)),
            Page::Summary => {
                return Err(Stop::Error(Error::Unsupported {
                    path: self.source.path().to_owned(),
                    reason: format!(
                        "holds minima, maxima and averages over launches (line {number}), not the launches"
                    ),
                    hint: "write it without --print-summary: ncu --import REPORT --csv --page raw".to_owned(),
                }));
            }
        };
        let comma = memchr::memchr(b',', line).unwrap_or(line.len());
        self.table = Some(Table {
            page: rows,
            quoted: line.starts_with(b"\""),
            width: names.len(),
            start: line[..comma].to_vec(),
        });
        self.state.launches.begin_table();
        Ok(())
    }

    fn row(&mut self, bytes: &[u8], last: bool, line: u64, import: &mut Import<'_>) -> Result<Step, Stop> {
        let Some(table) = &mut self.table else { return Ok(Step::More) };
        let taken = match &mut table.page {
            Rows::Wide(page) if !page.wants_units() => page.take(bytes, last, line, &mut self.state, import)?,
            _ => table.take(bytes, last, line, &mut self.state, import)?,
        };
        match taken {
            Taken::Record(length) => Ok(Step::Used(length)),
            Taken::More => Ok(Step::More),
            Taken::Cut => Err(self.damaged(line, "the file ends inside this row")),
            Taken::Misquoted => {
                self.state.tally.records += 1;
                self.state.bad_record(import, line, "a quoted cell is followed by something other than a comma");
                let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
                Ok(Step::Used(end))
            }
        }
    }

    /// What can be said only at the end.
    fn finish(self, import: &mut Import<'_>) -> Result<(), Stop> {
        let tally = &self.state.tally;
        if let Some(first) = tally.first_bad.as_ref().filter(|_| tally.bad_records * 100 > tally.records) {
            let reason = format!("{} of its {} rows are not what the header says", tally.bad_records, tally.records);
            let hint = "write the page again with ncu --import REPORT --csv --page raw; nothing was taken from it";
            return Err(Stop::Error(self.source.damaged(first, reason, hint)));
        }
        if self.state.launches.is_empty() {
            return self
                .messages
                .refusal(tally.rules.count(), self.source)
                .map_or(Ok(()), |error| Err(Stop::Error(error)));
        }
        self.state.devices.put(import)?;
        tally.report(import);
        self.messages.report(import);
        report_style(&self.state.numbers, import);
        Ok(())
    }
}

fn report_style(numbers: &Numbers, import: &mut Import<'_>) {
    if numbers.style() == Style::Comma {
        let detail = "numbers are printed with decimal commas and read so";
        import.issue(Severity::Info, "decimal_comma", 1, detail);
    } else if !numbers.proven {
        let detail = "values such as 9.495 were read as decimals; no other value of the page shows whether the point \
                      separates thousands (hint: write the page again with LC_ALL=C)";
        import.issue(Severity::Error, "ambiguous_separator", numbers.ambiguous, detail);
    }
}

impl Table {
    /// Whether a line that begins so can be a row.
    fn begins_row(&self, bytes: &[u8]) -> bool {
        let quoted = bytes[0] == b'"';
        let another = bytes.starts_with(&self.start) && bytes.get(self.start.len()) == Some(&b',');
        !another && if self.quoted { quoted } else { !matches!(bytes[0], b'\r' | b'\n') }
    }

    /// Takes a row whose cells are looked at together: one of a long page, or the one that may be units.
    fn take(
        &mut self,
        bytes: &[u8],
        last: bool,
        line: u64,
        state: &mut State,
        import: &mut Import<'_>,
    ) -> Result<Taken, Stop> {
        let mut cells = Vec::with_capacity(self.width + 1);
        let (length, ends_file) = match cells::record(bytes, last, &mut cells) {
            Record::Whole(length, ends_file) => (length, ends_file),
            Record::More => return Ok(Taken::More),
            Record::OpenQuote => return Ok(Taken::Cut),
            Record::Misquoted => return Ok(Taken::Misquoted),
        };
        match &mut self.page {
            Rows::Wide(page) => {
                if !page.take_units(&cells, line, state) {
                    return page.take(bytes, last, line, state, import);
                }
                if cells.len() != self.width {
                    state.tally.records += 1;
                    let reason = format!("{} units, where the header has {}", cells.len(), self.width);
                    state.bad_record(import, line, &reason);
                }
            }
            Rows::Long(page) => {
                let fewest = if self.quoted { page.fewest() } else { self.width };
                if ends_file && cells.len() < fewest {
                    return Ok(Taken::Cut);
                }
                state.tally.records += 1;
                page.take(bytes, &cells, line, state, import)?;
            }
        }
        Ok(Taken::Record(length))
    }
}
