//! An nsys export seen as named tables of named columns, whatever file format holds them.

use std::borrow::Cow;

use crate::Error;

/// One value of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Absent.
    #[default]
    Null,
    /// An integer. Unsigned 64-bit values keep their bits, as in SQLite.
    Int(i64),
    /// A floating-point number.
    Real(f64),
    /// Text, not yet checked to be UTF-8.
    Text(&'a [u8]),
}

/// One row: a cell for each column that was asked for, in the order asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// Which row of the table it is, from 0.
    pub(crate) number: u64,
    cells: &'a [Cell<'a>],
}

/// Takes the rows of a scan.
pub(crate) type Each<'e> = &'e mut dyn FnMut(&Row<'_>) -> Result<(), Error>;

/// One export.
pub(crate) trait Export {
    /// Names of its columns; `None` where the export has no such table. (nsys leaves out tables without rows.)
    fn columns(&self, table: &str) -> Option<&[String]>;

    /// Hands over every row of a table in its order in the file. A wanted column that the table lacks is null in every
    /// row; a table that is absent, or lacks all of them, has no rows.
    ///
    /// # Errors
    /// When the file cannot be read, or `each` says so.
    fn scan(&self, table: &str, wanted: &[&str], each: Each<'_>) -> Result<(), Error>;

    /// Whether the table is there.
    fn has(&self, table: &str) -> bool {
        self.columns(table).is_some()
    }
}

/// Most columns that a scan may ask for.
pub(crate) const MOST_COLUMNS: usize = 32;

/// The place of `name` in a list of wanted columns; fails to compile where it is missing.
pub(crate) const fn at(wanted: &[&str], name: &str) -> usize {
    let mut index = 0;
    while index < wanted.len() {
        if same(wanted[index].as_bytes(), name.as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("the column is not among those wanted")
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    let mut index = 0;
    while index < left.len() && index < right.len() && left[index] == right[index] {
        index += 1;
    }
    index == left.len() && index == right.len()
}

impl<'a> Row<'a> {
    #[inline]
    pub(crate) fn new(number: u64, cells: &'a [Cell<'a>]) -> Self {
        Self { number, cells }
    }

    #[inline]
    pub(crate) fn cell(&self, column: usize) -> Cell<'a> {
        self.cells[column]
    }

    /// The value as an integer: also a whole float, and digits in quotes, as JSON exports write them.
    #[inline]
    pub(crate) fn int(&self, column: usize) -> Option<i64> {
        match self.cells[column] {
            Cell::Int(value) => Some(value),
            other => other.as_int(),
        }
    }

    /// The value as a float.
    #[inline]
    pub(crate) fn real(&self, column: usize) -> Option<f64> {
        match self.cells[column] {
            Cell::Real(value) => Some(value),
            Cell::Int(value) => Some(value as f64),
            Cell::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
            Cell::Null => None,
        }
    }

    /// The value as text; bytes that are not UTF-8 become replacement characters.
    #[inline]
    pub(crate) fn text(&self, column: usize) -> Option<Cow<'a, str>> {
        match self.cells[column] {
            Cell::Text(text) => Some(String::from_utf8_lossy(text)),
            Cell::Int(value) => Some(Cow::Owned(value.to_string())),
            Cell::Real(value) => Some(Cow::Owned(value.to_string())),
            Cell::Null => None,
        }
    }
}

impl Cell<'_> {
    #[cold]
    fn as_int(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            Self::Real(value) => (value.fract() == 0.0 && value.abs() < 9e18).then_some(value as i64),
            Self::Text(text) => {
                let text = std::str::from_utf8(text).ok()?.trim();
                text.parse().ok().or_else(|| text.parse::<u64>().ok().map(u64::cast_signed))
            }
            Self::Null => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_every_type_that_an_export_uses() {
        let cells = [Cell::Int(7), Cell::Real(8.0), Cell::Real(8.5), Cell::Text(b"9"), Cell::Text(b"x"), Cell::Null];
        let row = Row::new(0, &cells);
        let ints: Vec<Option<i64>> = (0..6).map(|column| row.int(column)).collect();
        assert_eq!(ints, [Some(7), Some(8), None, Some(9), None, None]);
        assert_eq!(Row::new(0, &[Cell::Text(b"18446744073709551615")]).int(0), Some(-1));
        assert_eq!((row.real(0), row.real(2), row.real(5)), (Some(7.0), Some(8.5), None));
        assert_eq!(Row::new(0, &[Cell::Text(b"a\xffb")]).text(0).as_deref(), Some("a\u{fffd}b"));
    }
}
