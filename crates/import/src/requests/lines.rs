//! Lines of a log, one in memory at a time.

use std::io::{BufRead, BufReader, Read};

use super::RECORD_BYTES;
use crate::Error;
use crate::raw::Source;

/// The lines of a source that are not blank.
pub(crate) struct Lines<'s> {
    source: &'s Source,
    reader: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    number: u64,
}

impl<'s> Lines<'s> {
    /// Opens the source anew.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened.
    pub(crate) fn open(source: &'s Source) -> Result<Self, Error> {
        let reader = BufReader::with_capacity(1 << 18, source.reader()?);
        Ok(Self { source, reader, line: Vec::new(), number: 0 })
    }

    /// The next line that is not blank, without its ending and without a byte-order mark, and its number from 1.
    ///
    /// # Errors
    /// When the file cannot be read on, or a line is longer than any log's.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>, Error> {
        loop {
            self.line.clear();
            let mut limited = (&mut self.reader).take(RECORD_BYTES);
            let count = limited.read_until(b'\n', &mut self.line).map_err(|cause| self.source.io(cause))?;
            if count == 0 {
                return Ok(None);
            }
            self.number += 1;
            if count as u64 == RECORD_BYTES && self.line.last() != Some(&b'\n') {
                let reason = format!("it is longer than {} MiB", RECORD_BYTES >> 20);
                let hint = "this is not a log of one record a line; export it again";
                return Err(self.source.damaged(format!("line {}", self.number), reason, hint));
            }
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some((self.number, self.line.trim_ascii())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::testing::source;

    #[test]
    fn blank_lines_marks_and_carriage_returns_are_no_content() {
        let (_folder, source) = source(b"\xef\xbb\xbf{}\r\n\r\n  \n{\"a\":1}");
        let mut lines = Lines::open(&source).unwrap();
        assert_eq!(lines.next().unwrap(), Some((1, &b"{}"[..])));
        assert_eq!(lines.next().unwrap(), Some((4, &b"{\"a\":1}"[..])));
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn an_endless_line_stops() {
        let (_folder, source) = source(&vec![b'x'; RECORD_BYTES as usize + 10]);
        let error = Lines::open(&source).unwrap().next().unwrap_err().to_string();
        assert!(error.contains("damaged at line 1: it is longer than 64 MiB"), "{error}");
    }
}
