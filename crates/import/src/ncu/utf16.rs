//! UTF-16 text as UTF-8: what Windows PowerShell makes of a program's output that is redirected to a file.

use std::io::{self, Read};

/// The byte-order mark of UTF-8, which Windows programs put before text.
pub(super) const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
/// The mark of little-endian UTF-16.
const MARK: [u8; 2] = [0xff, 0xfe];
/// Bytes decoded at a time.
const CHUNK: usize = 1 << 16;

/// The beginning of a file as UTF-8, where it is UTF-16.
pub(super) fn decode_head(head: &[u8]) -> Option<Vec<u8>> {
    let units = head.strip_prefix(&MARK)?;
    let mut text = Vec::new();
    Decoder::default().decode(units, &mut text);
    Some(text)
}

/// The same text as UTF-8 without a byte-order mark, whichever it has.
pub(super) fn decoded(reader: Box<dyn Read + Send>) -> Text {
    Text { reader, state: State::New, out: Vec::new(), at: 0, decoder: Decoder::default() }
}

/// Reads a file as UTF-8.
pub(super) struct Text {
    reader: Box<dyn Read + Send>,
    state: State,
    out: Vec<u8>,
    at: usize,
    decoder: Decoder,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Plain,
    Utf16,
}

impl Text {
    /// Looks at the mark; bytes that are none are left to be read.
    fn begin(&mut self) -> io::Result<()> {
        self.reader.by_ref().take(3).read_to_end(&mut self.out)?;
        self.state = State::Plain;
        if self.out == UTF8_MARK {
            self.out.clear();
        } else if self.out.starts_with(&MARK) {
            self.state = State::Utf16;
            let rest = self.out.split_off(2);
            self.out.clear();
            self.decoder.decode(&rest, &mut self.out);
        }
        Ok(())
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.state == State::New {
            self.begin()?;
        }
        while self.at == self.out.len() {
            if self.state == State::Plain {
                return self.reader.read(buffer);
            }
            let mut bytes = Vec::new();
            if self.reader.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)? == 0 {
                return Ok(0);
            }
            (self.at, self.out) = (0, Vec::new());
            self.decoder.decode(&bytes, &mut self.out);
        }
        let count = buffer.len().min(self.out.len() - self.at);
        buffer[..count].copy_from_slice(&self.out[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Halves of a character that the bytes before ended with.
#[derive(Default)]
struct Decoder {
    odd: Option<u8>,
    high: Option<u16>,
}

impl Decoder {
    fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let bytes: Vec<u8> = self.odd.take().into_iter().chain(bytes.iter().copied()).collect();
        let pairs = bytes.chunks_exact(2);
        self.odd = pairs.remainder().first().copied();
        let mut units: Vec<u16> = self.high.take().into_iter().collect();
        units.extend(pairs.map(|pair| u16::from_le_bytes([pair[0], pair[1]])));
        self.high = units.pop_if(|last| (0xd800..0xdc00).contains(last));
        for letter in char::decode_utf16(units) {
            let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        decoded(Box::new(io::Cursor::new(bytes.to_vec()))).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn marks_are_dropped_and_utf16_becomes_utf8() {
        assert_eq!(read(b"\xef\xbb\xbf\"ID\""), b"\"ID\"");
        assert_eq!(read(b"ID"), b"ID");
        assert_eq!(read(b""), b"");
        let text = "k\u{e9}rnel \u{1f600} ".repeat(20_000);
        let utf16: Vec<u8> = MARK.into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(read(&utf16), text.as_bytes());
        assert_eq!(decode_head(&utf16[..20]).as_deref(), Some("k\u{e9}rnel \u{1f600}".as_bytes()));
        assert_eq!(decode_head(b"ID"), None);
    }
}
