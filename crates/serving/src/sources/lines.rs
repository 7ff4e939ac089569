//! Files as bytes: unpacked where they are gzip, and cut into lines of bounded length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// Bytes that a format is told by.
const HEAD_BYTES: u64 = 64 * 1024;
/// Bytes of a line, at most: the blocks of a prompt of a million tokens take less than one.
const MOST_BYTES: u64 = 64 << 20;
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A file that is read from its beginning, with its first bytes.
pub(super) struct Input<'a> {
    /// What the format is told by.
    pub(super) head: Vec<u8>,
    /// Everything, the head included.
    pub(super) all: Box<dyn BufRead + 'a>,
}

/// A file, unpacked if it is gzip.
pub(super) fn open(path: &Path) -> io::Result<Input<'static>> {
    let mut packed = BufReader::new(File::open(path)?);
    if packed.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        return input(BufReader::new(MultiGzDecoder::new(packed)));
    }
    input(packed)
}

/// What `bytes` gives, its byte order mark left out.
pub(super) fn input<'a>(mut bytes: impl BufRead + 'a) -> io::Result<Input<'a>> {
    let mut head = Vec::new();
    match bytes.by_ref().take(HEAD_BYTES).read_to_end(&mut head) {
        Err(error) if !cut_short(&error) => return Err(error),
        _ => {}
    }
    if head.starts_with(MARK) {
        head.drain(..MARK.len());
    }
    let all = Box::new(Cursor::new(head.clone()).chain(bytes));
    Ok(Input { head, all })
}

/// Whether a packed file ends before its end.
pub(super) fn cut_short(error: &io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof
}

/// The lines of an input, from 1.
pub(super) struct Lines<'a> {
    bytes: Box<dyn BufRead + 'a>,
    line: Vec<u8>,
    number: u64,
}

/// One of them.
pub(super) struct Line<'l> {
    /// Its number.
    pub(super) number: u64,
    /// Its bytes without the end.
    pub(super) bytes: &'l [u8],
    /// Whether an end follows.
    pub(super) ended: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { bytes: input.all, line: Vec::new(), number: 0 }
    }

    /// The next line that is not blank.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds a line that is longer than any request.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.line.clear();
            match self.bytes.by_ref().take(MOST_BYTES).read_until(b'\n', &mut self.line) {
                Err(error) if !cut_short(&error) => return Err(error),
                _ => {}
            }
            if self.line.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if self.line.len() as u64 == MOST_BYTES {
                let what = format!("line {} is longer than {MOST_BYTES} bytes", self.number);
                return Err(io::Error::new(ErrorKind::InvalidData, what));
            }
            if !self.line.trim_ascii().is_empty() {
                let ended = self.line.ends_with(b"\n");
                return Ok(Some(Line { number: self.number, bytes: self.line.trim_ascii(), ended }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_blank_ones_left_out() {
        let mut lines = Lines::new(input(&b"\xef\xbb\xbfa\r\n\n \nb"[..]).expect("read"));
        let mut next = || lines.next().expect("read").map(|line| (line.number, line.bytes.to_vec(), line.ended));
        assert_eq!(next(), Some((1, b"a".to_vec(), true)));
        assert_eq!(next(), Some((4, b"b".to_vec(), false)));
        assert_eq!(next(), None);
    }
}
