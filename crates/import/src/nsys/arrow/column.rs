//! A piece of one column of one batch.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use super::super::export::Cell;
use super::message::{Batch, Compression, Field, Kind};

/// A compressed buffer that claims to hold more is refused.
const LONGEST_BUFFER: u64 = 1 << 32;
/// Texts of one piece together.
const LONGEST_TEXTS: u64 = 1 << 31;

/// One column of one batch.
pub(super) struct Column<'f> {
    kind: Kind,
    /// One bit a row; absent where no value is missing.
    valid: Option<Buffer<'f>>,
    /// Numbers, bits, or the offsets of texts.
    values: Buffer<'f>,
    texts: Option<Buffer<'f>>,
}

/// Some rows of a column.
pub(super) struct Piece {
    kind: Kind,
    valid: Option<Vec<u8>>,
    /// Numbers, bits, or texts one after another.
    values: Vec<u8>,
    /// Where each text begins in `values`, and where the last ends.
    offsets: Vec<usize>,
}

/// A buffer of a batch: in the file, or unpacked.
enum Buffer<'f> {
    File(&'f File, u64, u64),
    Memory(Vec<u8>),
}

impl<'f> Buffer<'f> {
    fn open(file: &'f File, batch: &Batch, index: usize) -> Result<Self, String> {
        let (at, length) = *batch.buffers.get(index).ok_or("a batch has too few buffers")?;
        if batch.compression == Compression::None || length == 0 {
            return Ok(Self::File(file, at, length));
        }
        let mut packed = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        file.read_exact_at(&mut packed, at).map_err(|error| error.to_string())?;
        let (stated, packed) = packed.split_first_chunk::<8>().ok_or("a packed buffer has no length")?;
        let stated = i64::from_le_bytes(*stated);
        if stated == -1 {
            return Ok(Self::Memory(packed.to_vec()));
        }
        let stated = u64::try_from(stated).ok().filter(|bytes| *bytes <= LONGEST_BUFFER);
        let stated = stated.ok_or("a packed buffer states an impossible length")?;
        match batch.compression {
            Compression::Zstd => {
                let unpacked = zstd::stream::read::Decoder::new(packed).map_err(|error| error.to_string())?;
                let mut bytes = Vec::new();
                unpacked.take(stated + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
                let whole = bytes.len() as u64 == stated;
                whole
                    .then_some(Self::Memory(bytes))
                    .ok_or_else(|| "a packed buffer is not of the stated length".to_owned())
            }
            _ => Err("it is packed with LZ4, which is not read".to_owned()),
        }
    }

    fn read(&self, at: u64, bytes: u64) -> Result<Vec<u8>, String> {
        const SHORT: &str = "a column is shorter than its batch";
        let end = at.checked_add(bytes).ok_or(SHORT)?;
        match self {
            Self::File(file, start, length) if end <= *length => {
                let mut read = vec![0; bytes as usize];
                file.read_exact_at(&mut read, start + at).map_err(|error| error.to_string())?;
                Ok(read)
            }
            Self::Memory(all) => Ok(all.get(at as usize..end as usize).ok_or(SHORT)?.to_vec()),
            Self::File(..) => Err(SHORT.to_owned()),
        }
    }
}

impl<'f> Column<'f> {
    /// Finds a column's buffers; packed ones are unpacked.
    pub(super) fn open(file: &'f File, field: &Field, batch: &Batch) -> Result<Self, String> {
        let buffer = |index: usize| Buffer::open(file, batch, field.first_buffer + index);
        let has_missing = batch.missing.get(field.node).is_some_and(|missing| *missing != 0);
        Ok(Self {
            kind: field.kind,
            valid: has_missing.then(|| buffer(0)).transpose()?,
            values: buffer(1)?,
            texts: matches!(field.kind, Kind::Text(_)).then(|| buffer(2)).transpose()?,
        })
    }

    /// Reads `rows` rows from `first` on, which is a multiple of 8.
    pub(super) fn read(&self, first: u64, rows: u64) -> Result<Piece, String> {
        let bits = |buffer: &Buffer<'_>| buffer.read(first / 8, rows.div_ceil(8));
        let numbers = |bytes: u8, rows: u64| {
            let bytes = u64::from(bytes);
            self.values.read(first.saturating_mul(bytes), rows.saturating_mul(bytes))
        };
        let valid = self.valid.as_ref().map(bits).transpose()?;
        let mut piece = Piece { kind: self.kind, valid, values: Vec::new(), offsets: Vec::new() };
        match (self.kind, &self.texts) {
            (Kind::Int(bytes, _) | Kind::Float(bytes), _) => piece.values = numbers(bytes, rows)?,
            (Kind::Bool, _) => piece.values = bits(&self.values)?,
            (Kind::Text(bytes), Some(texts)) => piece.texts(&numbers(bytes, rows + 1)?, bytes, texts)?,
            _ => {}
        }
        Ok(piece)
    }
}

impl Piece {
    fn texts(&mut self, offsets: &[u8], bytes: u8, buffer: &Buffer<'_>) -> Result<(), String> {
        let offsets: Vec<i64> = offsets.chunks_exact(usize::from(bytes)).map(signed).collect();
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let in_order = first >= 0 && offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        if !in_order || (last - first) as u64 > LONGEST_TEXTS {
            return Err("a column's texts are out of order".to_owned());
        }
        self.values = buffer.read(first as u64, (last - first) as u64)?;
        self.offsets = offsets.into_iter().map(|offset| (offset - first) as usize).collect();
        Ok(())
    }

    /// The value of a row of this piece.
    #[inline]
    pub(super) fn cell(&self, row: usize) -> Cell<'_> {
        if self.valid.as_ref().is_some_and(|valid| !bit(valid, row)) {
            return Cell::Null;
        }
        match self.kind {
            Kind::Int(bytes, with_sign) => {
                let bytes = &self.values[row * usize::from(bytes)..(row + 1) * usize::from(bytes)];
                Cell::Int(if with_sign { signed(bytes) } else { unsigned(bytes) })
            }
            Kind::Float(4) => {
                let bytes = self.values[row * 4..row * 4 + 4].try_into().unwrap_or_default();
                Cell::Real(f64::from(f32::from_le_bytes(bytes)))
            }
            Kind::Float(_) => {
                let bytes = self.values[row * 8..row * 8 + 8].try_into().unwrap_or_default();
                Cell::Real(f64::from_le_bytes(bytes))
            }
            Kind::Bool => Cell::Int(i64::from(bit(&self.values, row))),
            Kind::Text(_) => Cell::Text(&self.values[self.offsets[row]..self.offsets[row + 1]]),
            Kind::Null | Kind::Other(_) => Cell::Null,
        }
    }
}

fn bit(bits: &[u8], row: usize) -> bool {
    bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
}

/// A little-endian whole number of 1 to 8 bytes; of 8 it keeps the bits.
#[inline]
fn unsigned(bytes: &[u8]) -> i64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(word)
}

#[inline]
fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len() as u32;
    unsigned(bytes) << unused >> unused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_every_width_keep_their_sign() {
        assert_eq!((signed(&[0xff]), unsigned(&[0xff])), (-1, 255));
        assert_eq!((signed(&[0, 0x80]), unsigned(&[0, 0x80])), (-32768, 32768));
        assert_eq!((signed(&[0xff; 8]), unsigned(&[0xff; 8])), (-1, -1));
    }
}
