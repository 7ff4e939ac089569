//! A growing window over a file: records are parsed in place and need not be copied.

use std::io::{self, Read};

/// Bytes read at a time; small enough to stay in a core's cache.
const CHUNK: usize = 1 << 18;
/// Longest record. The widest real pages hold 20 kB a row and 130 kB of header.
const LONGEST: usize = 64 << 20;

/// What has been read and not yet used.
pub(super) struct Window<R> {
    reader: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    line: u64,
    finished: bool,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, bytes: vec![0; 2 * CHUNK], start: 0, end: 0, line: 1, finished: false }
    }

    /// The unused bytes, and whether the file ends with them.
    pub(super) fn rest(&self) -> (&[u8], bool) {
        (&self.bytes[self.start..self.end], self.finished)
    }

    /// Number of the line that the unused bytes begin with, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Marks bytes as used.
    pub(super) fn consume(&mut self, count: usize) {
        let used = &self.bytes[self.start..self.start + count];
        self.line += memchr::memchr_iter(b'\n', used).count() as u64;
        self.start += count;
    }

    /// Reads more bytes behind the unused ones; false when a record is longer than any real one.
    pub(super) fn more(&mut self) -> io::Result<bool> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end + CHUNK > self.bytes.len() {
            if self.end > LONGEST {
                return Ok(false);
            }
            self.bytes.resize(self.end * 2 + CHUNK, 0);
        }
        let room = self.end + CHUNK;
        while self.end < room && !self.finished {
            match self.reader.read(&mut self.bytes[self.end..room]) {
                Ok(0) => self.finished = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_over_the_edge_of_a_chunk_stay_whole_and_lines_are_counted() {
        let text: Vec<u8> = (0..200_000).flat_map(|number: u32| format!("{number}\n").into_bytes()).collect();
        let mut window = Window::new(text.as_slice());
        let mut read = 0;
        loop {
            let (rest, last) = window.rest();
            match memchr::memchr(b'\n', rest) {
                Some(end) => {
                    assert_eq!(std::str::from_utf8(&rest[..end]).unwrap(), read.to_string());
                    window.consume(end + 1);
                    read += 1;
                    assert_eq!(window.line(), read + 1);
                }
                None if last => break,
                None => assert!(window.more().unwrap()),
            }
        }
        assert_eq!(read, 200_000);
    }
}
