//! A file that grows block by block and is readable up to its last whole block, however its writer ended.
//!
//! ```text
//! file  = magic block*
//! magic = "proftool-stream\0" (16 bytes) version:u16 (= 1)
//! block = tag:[u8;4] length:u32 checksum:u32 payload:[u8;length]
//! ```
//!
//! Numbers are little-endian; the checksum is the CRC-32 (IEEE 802.3) of the tag and the payload. The first block is
//! `head`, a JSON object. A `strs` block adds strings (each length:u32, then UTF-8) to the table of those before it; a
//! string's number is its position among all of them. A block of rows holds records of a fixed number of `i64`, absent
//! being `i64::MIN`. A `tail` block, again JSON, ends a file whose writer was not stopped early.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::file::Error;

const MAGIC: &[u8; 16] = b"proftool-stream\0";
const VERSION: u16 = 1;
/// Rows of one block at most, so that its length fits 32 bits whatever the record.
const ROWS: usize = 1 << 20;

/// Appends blocks to one file. What is added is kept in memory until [`Stream::flush`] writes it at once.
#[derive(Debug)]
pub struct Stream {
    path: PathBuf,
    file: File,
    /// Length of the file up to its last whole block.
    whole: u64,
    texts: HashMap<Box<str>, i64>,
    /// Strings that no block holds yet.
    fresh: Vec<u8>,
    blocks: Vec<u8>,
    broken: bool,
}

impl Stream {
    /// Creates the file, which must not exist yet, with its `head`.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(path: &Path, head: &impl Serialize) -> Result<Self, Error> {
        let failed = |source| Error::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
        let mut stream = Self {
            path: path.to_owned(),
            file,
            whole: 0,
            texts: HashMap::new(),
            fresh: Vec::new(),
            blocks: [&MAGIC[..], &VERSION.to_le_bytes()].concat(),
            broken: false,
        };
        let written = stream.json(*b"head", head).and_then(|()| stream.flush());
        if written.is_err() {
            // The write already failed; a leftover empty file is the lesser problem.
            let _ = fs::remove_file(path);
        }
        written.map(|()| stream)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of a string, which is added to the table when it is new.
    pub fn text(&mut self, text: &str) -> i64 {
        if let Some(&number) = self.texts.get(text) {
            return number;
        }
        let number = self.texts.len() as i64;
        self.texts.insert(text.into(), number);
        self.fresh.extend((text.len() as u32).to_le_bytes());
        self.fresh.extend(text.as_bytes());
        number
    }

    /// Adds records of one kind; none adds no block.
    pub fn rows<const N: usize>(&mut self, tag: [u8; 4], rows: &[[i64; N]]) {
        for rows in rows.chunks(ROWS) {
            block(&mut self.blocks, tag, |payload| {
                payload.extend(rows.iter().flatten().flat_map(|field| field.to_le_bytes()));
            });
        }
    }

    /// Adds a JSON object.
    ///
    /// # Errors
    /// When the object cannot be written as JSON.
    pub fn json(&mut self, tag: [u8; 4], value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_vec(value);
        let text = text.map_err(|error| Error::Io { path: self.path.clone(), source: error.into() })?;
        block(&mut self.blocks, tag, |payload| payload.extend(text));
        Ok(())
    }

    /// Writes what was added: new strings first, since the records name them. After a failure, which cuts the file back
    /// to its last whole block, nothing more is written.
    ///
    /// # Errors
    /// When the file cannot be written; only once.
    pub fn flush(&mut self) -> Result<(), Error> {
        let mut bytes = Vec::new();
        if !self.fresh.is_empty() {
            block(&mut bytes, *b"strs", |payload| payload.append(&mut self.fresh));
        }
        bytes.append(&mut self.blocks);
        if self.broken || bytes.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&bytes);
        if written.is_err() {
            self.broken = true;
            // A reader drops a block that is cut short as well; this only spares it the work.
            let _ = self.file.set_len(self.whole);
        }
        self.whole += bytes.len() as u64;
        written.map_err(|source| Error::Io { path: self.path.clone(), source })
    }
}

fn block(bytes: &mut Vec<u8>, tag: [u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend(tag);
    bytes.extend([0; 8]);
    fill(bytes);
    let payload = &bytes[start + 12..];
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&tag);
    checksum.update(payload);
    let (length, checksum) = (payload.len() as u32, checksum.finalize());
    bytes[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    bytes[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(folder: &Path) -> Stream {
        Stream::create(&folder.join("a.trace"), &serde_json::json!({"format": "test"})).expect("the file is created")
    }

    #[test]
    fn blocks_carry_their_length_and_checksum_and_strings_come_before_the_records_that_name_them() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut stream = stream(folder.path());
        assert_eq!((stream.text("gemm"), stream.text("copy"), stream.text("gemm")), (0, 1, 0));
        stream.rows(*b"rows", &[[1, i64::MIN], [2, 0]]);
        stream.rows::<2>(*b"none", &[]);
        stream.flush().expect("the blocks are written");
        let bytes = fs::read(stream.path()).expect("the file is readable");
        assert_eq!(&bytes[..18], b"proftool-stream\0\x01\0");
        let mut rest = &bytes[18..];
        let mut tags = Vec::new();
        while !rest.is_empty() {
            let number = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("four bytes"));
            let end = 12 + number(4) as usize;
            assert_eq!(number(8), crc32fast::hash(&[&rest[..4], &rest[12..end]].concat()));
            tags.push(String::from_utf8_lossy(&rest[..4]).into_owned());
            rest = &rest[end..];
        }
        assert_eq!(tags, ["head", "strs", "rows"]);
    }

    #[test]
    fn nothing_added_writes_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut stream = stream(folder.path());
        let length = fs::metadata(stream.path()).expect("the file is there").len();
        stream.flush().expect("nothing fails");
        assert_eq!(fs::metadata(stream.path()).expect("the file is there").len(), length);
    }

    #[test]
    fn a_file_that_exists_is_left_alone_and_a_full_disk_is_told_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = stream(folder.path());
        assert!(Stream::create(first.path(), &0).is_err());
        let mut full = Stream { file: OpenOptions::new().write(true).open("/dev/full").expect("it opens"), ..first };
        full.rows(*b"rows", &[[1]]);
        assert!(full.flush().is_err());
        full.rows(*b"rows", &[[1]]);
        assert!(full.flush().is_ok());
    }
}
