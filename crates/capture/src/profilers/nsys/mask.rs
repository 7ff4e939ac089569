//! Secrets overwritten in a report, each byte by an `x`.
//!
//! The format of `.nsys-rep` is not documented, so nothing of it is relied on but that a text keeps its length: the
//! caller exports the report afterwards and looks whether it still can be read and what it still holds. Seen of 2022.4.2:
//! parts are plain, parts are compressed (LZ4) without a checksum; there a new text stands as it is, but for pieces of four
//! letters and more that stood before, and its repetitions refer to it, so that masking the text masks them too.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use aho_corasick::AhoCorasick;

use crate::environment::{MASK, Secret};

/// What is read at once.
const CHUNK: usize = 4 << 20;

/// What a mask overwrote, so that it can be undone.
pub(super) struct Masked {
    old: Vec<(u64, Vec<u8>)>,
}

impl Masked {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.old.is_empty()
    }

    /// Puts back what stood there.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(super) fn undo(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        self.old.iter().try_for_each(|(at, bytes)| file.write_all_at(bytes, *at))
    }
}

/// A text to find and the part of it to overwrite.
struct Pattern {
    text: Vec<u8>,
    part: Range<usize>,
}

/// Overwrites the secrets in a file.
///
/// # Errors
/// Where it cannot be read or written.
pub(super) fn mask(path: &Path, secrets: &[Secret]) -> io::Result<Masked> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let patterns: Vec<Pattern> = secrets.iter().flat_map(patterns).collect();
    let mut old: Vec<(u64, Vec<u8>)> = Vec::new();
    let result = find(&file, &patterns)?.into_iter().try_for_each(|place| {
        let mut bytes = vec![0; (place.end - place.start) as usize];
        file.read_exact_at(&mut bytes, place.start)?;
        file.write_all_at(&vec![MASK; bytes.len()], place.start)?;
        old.push((place.start, bytes));
        Ok(())
    });
    result.map(|()| Masked { old })
}

/// How a secret may stand in a report: by itself, where it is unlike anything else; else behind its name, as in an
/// environment (`NAME=VALUE`) and as in the messages that list one (protobuf: field 1 the name, field 2 the value).
fn patterns(secret: &Secret) -> Vec<Pattern> {
    let value = secret.value.as_bytes();
    if secret.anywhere {
        return secret.pieces().into_iter().map(|piece| Pattern::new(&[], piece, &[])).collect();
    }
    let named = [secret.name.as_bytes(), b"="].concat();
    let mut listed = [b"\x0a", varint(secret.name.len()).as_slice(), secret.name.as_bytes(), b"\x12"].concat();
    listed.extend(varint(value.len()));
    // The end of an entry: a compressed part need not hold the name beside the value.
    vec![Pattern::new(&named, value, &[]), Pattern::new(&listed, value, &[]), Pattern::new(&[], value, b"\0")]
}

impl Pattern {
    fn new(before: &[u8], value: &[u8], behind: &[u8]) -> Self {
        Self { text: [before, value, behind].concat(), part: before.len()..before.len() + value.len() }
    }
}

/// Base 128, the lowest first (protobuf, "Base 128 Varints").
fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Where there is something to overwrite: places apart from each other, in order.
fn find(file: &File, patterns: &[Pattern]) -> io::Result<Vec<Range<u64>>> {
    let Some(longest) = patterns.iter().map(|pattern| pattern.text.len()).max() else { return Ok(Vec::new()) };
    let finder = AhoCorasick::new(patterns.iter().map(|pattern| &pattern.text)).map_err(io::Error::other)?;
    let size = file.metadata()?.len();
    let mut buffer = vec![0; CHUNK.max(longest * 2)];
    let (mut found, mut at) = (Vec::new(), 0);
    while at < size {
        let length = buffer.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        file.read_exact_at(&mut buffer[..length], at)?;
        for hit in finder.find_overlapping_iter(&buffer[..length]) {
            let part = &patterns[hit.pattern().as_usize()].part;
            found.push(at + (hit.start() + part.start) as u64..at + (hit.start() + part.end) as u64);
        }
        if at + length as u64 == size {
            break;
        }
        // The end is read again: a text may reach over it.
        at += (length - (longest - 1)) as u64;
    }
    Ok(joined(found))
}

/// The union of places, in order.
fn joined(mut places: Vec<Range<u64>>) -> Vec<Range<u64>> {
    places.sort_unstable_by_key(|place| (place.start, place.end));
    let mut union: Vec<Range<u64>> = Vec::new();
    for place in places {
        match union.last_mut().filter(|last| place.start <= last.end) {
            Some(last) => last.end = last.end.max(place.end),
            None => union.push(place),
        }
    }
    union
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, value: &str, anywhere: bool) -> Secret {
        Secret { name: name.to_owned(), value: value.to_owned(), anywhere }
    }

    fn file(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.nsys-rep");
        std::fs::write(&path, bytes).expect("written");
        (folder, path)
    }

    #[test]
    fn a_long_secret_goes_wherever_it_stands_and_can_be_put_back() {
        let bytes = b"head TOKEN=hunter2-abc\0 printed hunter2-abc tail";
        let (_folder, path) = file(bytes);
        let masked = mask(&path, &[secret("TOKEN", "hunter2-abc", true)]).expect("masked");
        let text = std::fs::read(&path).expect("read");
        assert_eq!(text, b"head TOKEN=xxxxxxxxxxx\0 printed xxxxxxxxxxx tail");
        masked.undo(&path).expect("undone");
        assert_eq!(std::fs::read(&path).expect("read"), bytes);
    }

    #[test]
    fn a_piece_that_compression_left_of_a_secret_goes() {
        let (_folder, path) = file(b"HF_TOKEN=hf_huK\x01\xf0\x062Qw8Zx1Lk5Vb9\0");
        mask(&path, &[secret("HF_TOKEN", "hf_hunter2Qw8Zx1Lk5Vb9", true)]).expect("masked");
        assert_eq!(std::fs::read(&path).expect("read"), b"HF_TOKEN=hf_huK\x01\xf0\x06xxxxxxxxxxxxx\0");
    }

    #[test]
    fn a_short_one_goes_behind_its_name_only() {
        let (_folder, path) = file(b"PW=basic\0 a basic kernel \x0a\x02PW\x12\x05basic.");
        assert!(!mask(&path, &[secret("PW", "basic", false)]).expect("masked").is_empty());
        assert_eq!(std::fs::read(&path).expect("read"), b"PW=xxxxx\0 a basic kernel \x0a\x02PW\x12\x05xxxxx.");
    }

    #[test]
    fn a_secret_across_two_reads_is_found() {
        let mut bytes = vec![b'.'; CHUNK * 2];
        bytes[CHUNK - 4..CHUNK + 7].copy_from_slice(b"hunter2-abc");
        let (_folder, path) = file(&bytes);
        mask(&path, &[secret("TOKEN", "hunter2-abc", true)]).expect("masked");
        let text = std::fs::read(&path).expect("read");
        assert_eq!(&text[CHUNK - 5..CHUNK + 8], b".xxxxxxxxxxx.");
        assert!(mask(&path, &[]).expect("nothing to do").is_empty());
    }
}
