//! Rows of several tables, taken in any order and handed out table by table.
//!
//! Formats that mix the tables in one stream are read once into a spool. Small ones stay in memory, others lie in a
//! temporary file; a row takes about as many bytes as its digits.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::export::{Cell, Each, MOST_COLUMNS, Row};
use crate::Error;

/// Bytes of a table that are kept in memory before they go to its file.
const MEMORY_BYTES: usize = 1 << 22;
/// Bytes read back at once.
const WINDOW_BYTES: usize = 1 << 20;

/// One table.
#[derive(Debug)]
pub(super) struct Spool {
    columns: Vec<String>,
    pending: Vec<u8>,
    file: Option<File>,
    filed: u64,
    rows: u64,
    window: RefCell<Vec<u8>>,
}

impl Spool {
    /// An empty table of these columns, at most [`MOST_COLUMNS`].
    pub(super) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            pending: Vec::new(),
            file: None,
            filed: 0,
            rows: 0,
            window: RefCell::default(),
        }
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a row, one cell a column.
    pub(super) fn push(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let start = self.pending.len();
        self.pending.extend_from_slice(&[0; 4]);
        for cell in cells {
            match cell {
                Cell::Null => self.pending.push(0),
                Cell::Int(value) => {
                    self.pending.push(1);
                    write_varint(&mut self.pending, ((value << 1) ^ (value >> 63)).cast_unsigned());
                }
                Cell::Real(value) => {
                    self.pending.push(2);
                    self.pending.extend_from_slice(&value.to_le_bytes());
                }
                Cell::Text(text) => {
                    self.pending.push(3);
                    write_varint(&mut self.pending, text.len() as u64);
                    self.pending.extend_from_slice(text);
                }
            }
        }
        let length = u32::try_from(self.pending.len() - start - 4);
        let length = length.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a row of more than 4 GiB"))?;
        self.pending[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.rows += 1;
        if self.pending.len() >= MEMORY_BYTES { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all(&self.pending)?;
        self.filed += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Hands over the wanted columns of every row.
    pub(super) fn scan(&self, wanted: &[&str], each: Each<'_>, io: &dyn Fn(io::Error) -> Error) -> Result<(), Error> {
        let slot = |column: &String| wanted.iter().position(|name| name == column);
        let slots: Vec<Option<usize>> = self.columns.iter().map(slot).collect();
        if slots.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut number = 0;
        let mut at = 0;
        let mut window = self.window.take();
        while at < self.filed {
            let bytes = WINDOW_BYTES.min((self.filed - at) as usize);
            self.read_at(&mut window, bytes, at).map_err(io)?;
            if let Some(whole) = length(&window).filter(|whole| *whole > window.len()) {
                self.read_at(&mut window, whole, at).map_err(io)?;
            }
            let used = Self::rows_in(&window, &slots, wanted.len(), &mut number, &mut *each)?;
            if used == 0 {
                return Err(io(io::ErrorKind::UnexpectedEof.into()));
            }
            at += used as u64;
        }
        self.window.replace(window);
        Self::rows_in(&self.pending, &slots, wanted.len(), &mut number, each).map(drop)
    }

    fn read_at(&self, window: &mut Vec<u8>, bytes: usize, at: u64) -> io::Result<()> {
        window.resize(bytes, 0);
        self.file.as_ref().ok_or(io::ErrorKind::NotFound)?.read_exact_at(window, at)
    }

    /// Hands over the whole rows in `bytes`; returns how many bytes they take.
    fn rows_in(
        bytes: &[u8],
        slots: &[Option<usize>],
        width: usize,
        number: &mut u64,
        each: Each<'_>,
    ) -> Result<usize, Error> {
        let mut used = 0;
        while let Some(row) = length(&bytes[used..]).and_then(|whole| bytes.get(used + 4..used + whole)) {
            let mut cells = [Cell::Null; MOST_COLUMNS];
            let mut rest = row;
            for slot in slots {
                let Some((cell, after)) = read_cell(rest) else { break };
                rest = after;
                if let Some(slot) = slot {
                    cells[*slot] = cell;
                }
            }
            each(&Row::new(*number, &cells[..width]))?;
            *number += 1;
            used += 4 + row.len();
        }
        Ok(used)
    }
}

/// Bytes of the row that comes next, its length included.
fn length(bytes: &[u8]) -> Option<usize> {
    let length: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    Some(4 + u32::from_le_bytes(length) as usize)
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn read_cell(bytes: &[u8]) -> Option<(Cell<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    match kind {
        0 => Some((Cell::Null, rest)),
        1 => {
            let (value, rest) = read_varint(rest)?;
            Some((Cell::Int((value >> 1).cast_signed() ^ -((value & 1).cast_signed())), rest))
        }
        2 => {
            let (value, rest) = rest.split_first_chunk::<8>()?;
            Some((Cell::Real(f64::from_le_bytes(*value)), rest))
        }
        _ => {
            let (length, rest) = read_varint(rest)?;
            let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Cell::Text(text), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in_also_through_a_file() {
        let mut spool = Spool::new(&["a", "b", "c"]);
        let text = "long enough that many rows do not fit into memory".repeat(20);
        for number in 0..20_000_i64 {
            let wide = if number == 700 { "w".repeat(3 << 20) } else { text.clone() };
            let real = if number % 2 == 0 { Cell::Real(0.5) } else { Cell::Null };
            spool.push(&[Cell::Int(number * -1_000_000_007), real, Cell::Text(wide.as_bytes())]).unwrap();
        }
        assert!(spool.file.is_some() && spool.rows() == 20_000);
        for _ in 0..2 {
            let mut number = 0_i64;
            spool
                .scan(
                    &["c", "missing", "a", "b"],
                    &mut |row| {
                        assert_eq!(row.int(2), Some(number * -1_000_000_007));
                        assert_eq!((row.int(1), row.real(3)), (None, (number % 2 == 0).then_some(0.5)));
                        let length = if number == 700 { 3 << 20 } else { text.len() };
                        assert_eq!(row.text(0).unwrap().len(), length);
                        assert_eq!(row.number as i64, number);
                        number += 1;
                        Ok(())
                    },
                    &|_| unreachable!(),
                )
                .unwrap();
            assert_eq!(number, 20_000);
        }
    }

    #[test]
    fn integers_of_both_signs_and_ends_survive() {
        let mut spool = Spool::new(&["a"]);
        let values = [0, 1, -1, i64::MAX, i64::MIN];
        for value in values {
            spool.push(&[Cell::Int(value)]).unwrap();
        }
        let mut found = Vec::new();
        spool
            .scan(
                &["a"],
                &mut |row| {
                    found.extend(row.int(0));
                    Ok(())
                },
                &|_| unreachable!(),
            )
            .unwrap();
        assert_eq!(found, values);
    }
}
