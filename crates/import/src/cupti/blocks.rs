//! The file's blocks, read up to the first that is not whole.

use std::collections::BTreeMap;

use serde::Deserialize;

pub(crate) const MAGIC: &[u8] = b"proftool-stream\0";
/// The newest version of the blocks, and of what they hold.
pub(crate) const VERSION: u16 = 1;
const START: usize = MAGIC.len() + 2;

/// The first block.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Head {
    pub(crate) format: String,
    pub(crate) version: u16,
    pub(crate) pass: String,
    pub(crate) rank: i64,
    pub(crate) process: i64,
    pub(crate) session_start_unix_ns: i64,
    pub(crate) session_start_monotonic_ns: i64,
    pub(crate) clock: String,
    pub(crate) cupti_version: u32,
    pub(crate) newest_known_version: u32,
}

/// Everything in the file.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) strings: Vec<String>,
    tables: BTreeMap<[u8; 4], Vec<i64>>,
    /// The program ended by itself.
    pub(crate) complete: bool,
    /// The file ends in a block that is not whole.
    pub(crate) cut: bool,
}

/// The version of the blocks.
pub(crate) fn version(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(MAGIC.len()..START)?.try_into().ok()?))
}

impl Content {
    /// Reads the head and all whole blocks; or says what is wrong.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Head, Self), String> {
        let mut rest = bytes.get(START..).unwrap_or_default();
        let (tag, payload) = block(rest).ok_or("it ends before its description of the session")?;
        if tag != *b"head" {
            return Err(format!("it begins with a block {:?}, not with its head", String::from_utf8_lossy(&tag)));
        }
        let head = serde_json::from_slice(payload).map_err(|error| format!("its head is no valid JSON ({error})"))?;
        let mut content = Self::default();
        rest = &rest[12 + payload.len()..];
        while let Some((tag, payload)) = block(rest) {
            content.add(tag, payload)?;
            rest = &rest[12 + payload.len()..];
        }
        content.cut = !rest.is_empty();
        Ok((head, content))
    }

    fn add(&mut self, tag: [u8; 4], payload: &[u8]) -> Result<(), String> {
        match &tag {
            b"strs" => self.add_strings(payload),
            b"tail" => {
                self.complete = true;
                Ok(())
            }
            _ if payload.len().is_multiple_of(8) => {
                let field = |bytes: &[u8]| i64::from_le_bytes(std::array::from_fn(|byte| bytes[byte]));
                self.tables.entry(tag).or_default().extend(payload.chunks_exact(8).map(field));
                Ok(())
            }
            _ => Err(format!("a block {:?} is no whole number of fields", String::from_utf8_lossy(&tag))),
        }
    }

    fn add_strings(&mut self, mut payload: &[u8]) -> Result<(), String> {
        while !payload.is_empty() {
            let text = word(payload, 0).and_then(|length| payload.get(4..4 + length as usize));
            let text = text.ok_or("a block of strings ends inside a string")?;
            self.strings.push(String::from_utf8_lossy(text).into_owned());
            payload = &payload[4 + text.len()..];
        }
        Ok(())
    }

    /// The rows of a table, none where the file has none.
    pub(crate) fn rows<const N: usize>(&self, tag: [u8; 4]) -> impl DoubleEndedIterator<Item = [i64; N]> + '_ {
        let fields = self.tables.get(&tag).map_or(&[][..], Vec::as_slice);
        fields.chunks_exact(N).map(|row| std::array::from_fn(|index| row[index]))
    }

    /// The tables whose fields make no whole number of rows of that width.
    pub(crate) fn uneven(&self, widths: &[([u8; 4], usize)]) -> Option<String> {
        let uneven = widths
            .iter()
            .find(|(tag, width)| self.tables.get(tag).is_some_and(|fields| !fields.len().is_multiple_of(*width)));
        uneven.map(|(tag, width)| format!("the rows of {:?} do not have {width} fields", String::from_utf8_lossy(tag)))
    }

    /// A string by its number; `None` where it is absent or not in the file.
    pub(crate) fn text(&self, number: i64) -> Option<&str> {
        usize::try_from(number).ok().and_then(|number| self.strings.get(number)).map(String::as_str)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The first block, `None` when the bytes end inside it or it is not what was written.
fn block(bytes: &[u8]) -> Option<([u8; 4], &[u8])> {
    let tag = bytes.get(..4)?.try_into().ok()?;
    let payload = bytes.get(12..)?.get(..word(bytes, 4)? as usize)?;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&bytes[..4]);
    checksum.update(payload);
    (checksum.finalize() == word(bytes, 8)?).then_some((tag, payload))
}
