//! CSV files of the sources.

use std::io::Read;
use std::path::Path;

/// A CSV file.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Sheet {
    /// Reads a file, packed with gzip or not.
    pub(crate) fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut text = String::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let head = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        Self { head, rows }
    }

    /// Place of a column; the part of its name before a unit in parentheses is enough.
    pub(crate) fn column(&self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| panic!("no column {name} in {:?}", self.head))
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let exact = self.head.iter().position(|head| head == name);
        exact.or_else(|| self.head.iter().position(|head| head.split(" (").next() == Some(name)))
    }

    /// A field as text.
    pub(crate) fn text(&self, row: usize, column: &str) -> &str {
        &self.rows[row][self.column(column)]
    }

    /// A field as a number.
    pub(crate) fn number(&self, row: usize, column: &str) -> f64 {
        let text = self.text(row, column);
        text.trim().parse().unwrap_or_else(|_| panic!("{column} of row {row} is {text:?}"))
    }
}
