//! Records of a CSV log, one in memory at a time.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use csv::ByteRecord;

use super::RECORD_BYTES;
use crate::Error;
use crate::raw::Source;

/// The records of a CSV source after its header.
pub(crate) struct Records<'s> {
    source: &'s Source,
    reader: csv::Reader<Metered>,
    since: Rc<Cell<u64>>,
    header: Vec<String>,
    record: ByteRecord,
}

impl<'s> Records<'s> {
    /// Opens the source anew and reads its header.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open(source: &'s Source) -> Result<Self, Error> {
        let since = Rc::new(Cell::new(0));
        let metered = Metered { inner: source.reader()?, since: Rc::clone(&since) };
        let mut builder = csv::ReaderBuilder::new();
        let mut reader = builder.flexible(true).buffer_capacity(1 << 18).from_reader(metered);
        let names = reader.byte_headers().map_err(|error| broken(source, error))?.clone();
        let header = names.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        Ok(Self { source, reader, since, header, record: ByteRecord::new() })
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    /// The next record and the byte where it, or a blank line before it, begins; see [`place`].
    ///
    /// # Errors
    /// When the file cannot be read on, or a record is longer than any log's.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &ByteRecord)>, Error> {
        self.since.set(0);
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| broken(self.source, error))?;
        let start = self.record.position().map_or(0, csv::Position::byte);
        Ok(more.then_some((start, &self.record)))
    }
}

/// The line, from 1, of the record that [`Records::next`] found at that byte. The file is read again for it: the csv
/// crate's own count is one too low behind a carriage return, and a place is needed once in a million rows.
pub(crate) fn place(source: &Source, start: u64) -> String {
    let read = || -> Option<u64> {
        let mut reader = BufReader::with_capacity(1 << 18, source.reader().ok()?);
        let (mut at, mut line) = (0, 1);
        loop {
            let bytes = reader.fill_buf().ok()?;
            let before = usize::try_from(start.saturating_sub(at)).ok()?.min(bytes.len());
            line += memchr::memchr_iter(b'\n', &bytes[..before]).count() as u64;
            let rest = &bytes[before..];
            let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            line += memchr::memchr_iter(b'\n', &rest[..blank]).count() as u64;
            if bytes.is_empty() || blank < rest.len() {
                return Some(line);
            }
            let count = bytes.len();
            reader.consume(count);
            at += count as u64;
        }
    };
    read().map_or_else(|| format!("byte {start}"), |line| format!("line {line}"))
}

fn broken(source: &Source, error: csv::Error) -> Error {
    let place = error.position().map_or("its table".to_owned(), |position| format!("line {}", position.line()));
    match error.into_kind() {
        csv::ErrorKind::Io(cause) if cause.get_ref().and_then(|inner| inner.downcast_ref::<TooLong>()).is_some() => {
            source.damaged(place, cause, "look for a quotation mark that is never closed")
        }
        csv::ErrorKind::Io(cause) => source.io(cause),
        other => source.damaged(place, format!("{other:?}"), "export it again"),
    }
}

/// Stops a record that never ends, as an open quotation mark makes it.
struct Metered {
    inner: Box<dyn Read + Send>,
    since: Rc<Cell<u64>>,
}

#[derive(Debug, thiserror::Error)]
#[error("a record is longer than {} MiB", RECORD_BYTES >> 20)]
struct TooLong;

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.since.set(self.since.get() + count as u64);
        if self.since.get() > RECORD_BYTES { Err(io::Error::other(TooLong)) } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::testing::source;

    #[test]
    fn an_open_quotation_mark_stops_within_bounds() {
        let mut bytes = b"a,b\n1,\"".to_vec();
        bytes.resize(RECORD_BYTES as usize + (1 << 20), b'x');
        let (_folder, source) = source(&bytes);
        let error = Records::open(&source).unwrap().next().unwrap_err().to_string();
        assert!(error.contains("longer than 64 MiB") && error.contains("quotation mark"), "{error}");
    }

    #[test]
    fn marks_and_carriage_returns_are_no_content() {
        let (_folder, source) = source(b"\xef\xbb\xbfa, b\r\n\r\n1,\"x,\ny\"\r\n");
        let mut records = Records::open(&source).unwrap();
        assert_eq!(records.header(), ["a", "b"]);
        let (start, record) = records.next().unwrap().unwrap();
        assert_eq!((&record[0], &record[1]), (&b"1"[..], &b"x,\ny"[..]));
        assert_eq!(place(&source, start), "line 3");
        assert!(records.next().unwrap().is_none());
    }
}
