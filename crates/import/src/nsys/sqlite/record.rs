//! SQLite's record format: a row's values behind a list of their types.
//!
//! <https://www.sqlite.org/fileformat2.html#record_format>

use super::super::export::Cell;

/// A variable-length integer and how many bytes it takes.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    long_varint(bytes)
}

fn long_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if *byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Bytes that a value of that type takes.
#[inline]
fn length(kind: u64) -> usize {
    const SMALL: [usize; 12] = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0];
    match usize::try_from(kind) {
        Ok(kind) if kind < 12 => SMALL[kind],
        Ok(kind) => (kind - 12) / 2,
        Err(_) => usize::MAX,
    }
}

/// The value of that type in `bytes`, which are exactly its own.
#[inline]
fn value(kind: u64, bytes: &[u8]) -> Cell<'_> {
    match kind {
        1..=6 => Cell::Int(integer(bytes)),
        7 => bytes.try_into().map_or(Cell::Null, |bytes| Cell::Real(f64::from_be_bytes(bytes))),
        8 => Cell::Int(0),
        9 => Cell::Int(1),
        12.. => Cell::Text(bytes),
        _ => Cell::Null,
    }
}

/// A big-endian integer with sign of 1 to 8 bytes.
#[inline]
fn integer(bytes: &[u8]) -> i64 {
    let mut value = bytes.first().map_or(0, |first| i64::from(first.cast_signed()));
    for byte in bytes.iter().skip(1) {
        value = value << 8 | i64::from(*byte);
    }
    value
}

/// Fills `cells` with the wanted values of a record. `slots` holds the cell of each stored column; columns that the
/// record ends before, as rows older than a column do, leave their cells null. `None` for a record that cannot be.
#[inline]
pub(super) fn read<'a>(record: &'a [u8], slots: &[Option<u8>], cells: &mut [Cell<'a>]) -> Option<()> {
    let (header_length, mut at) = varint(record)?;
    let header_length = usize::try_from(header_length).ok()?;
    let header = record.get(..header_length)?;
    let mut from = header_length;
    for slot in slots {
        if at >= header_length {
            break;
        }
        let (kind, bytes) = varint(&header[at..])?;
        at += bytes;
        let to = from.checked_add(length(kind))?;
        if let Some(slot) = slot {
            cells[*slot as usize] = value(kind, record.get(from..to)?);
        }
        from = to;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_length_integers_have_one_to_nine_bytes() {
        assert_eq!(varint(&[0x7f, 9]), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, 9)));
        assert_eq!((varint(&[0x81]), varint(&[])), (None, None));
    }

    #[test]
    fn integers_of_every_length_keep_their_sign() {
        let read: Vec<i64> = (1..=8).map(|length| integer(&[0xff; 8][..length])).collect();
        assert_eq!(read, [-1; 8]);
        assert_eq!((integer(&[1, 0, 0]), integer(&[0x80, 0])), (65536, -32768));
    }

    #[test]
    fn a_record_gives_the_wanted_values_and_a_short_one_nulls() {
        // Types: 1-byte integer, null, text of 2, the constant 1.
        let record = [5, 1, 0, 17, 9, 42, b'h', b'i'];
        let mut cells = [Cell::Null; 3];
        read(&record, &[Some(0), None, Some(1), Some(2)], &mut cells).unwrap();
        assert_eq!(cells, [Cell::Int(42), Cell::Text(b"hi"), Cell::Int(1)]);
        let mut cells = [Cell::Null; 1];
        read(&record, &[None, None, None, None, Some(0)], &mut cells).unwrap();
        assert_eq!(cells, [Cell::Null]);
        assert!(read(&record[..6], &[None, None, Some(0)], &mut [Cell::Null]).is_none(), "cut short");
        assert!(read(&[9, 1], &[Some(0)], &mut [Cell::Null]).is_none(), "a header longer than the record");
    }
}
