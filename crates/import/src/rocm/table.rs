//! CSV tables read by the names of their columns.

use std::io::Read;

use csv::ByteRecord;

use crate::Error;
use crate::raw::Source;

/// A CSV file read row by row. A row with another number of cells than the header ends the import: these files are
/// written by a program, so such a row means that the file was cut or edited.
pub(crate) struct Table<'s> {
    source: &'s Source,
    reader: csv::Reader<Box<dyn Read + Send>>,
    header: Vec<String>,
    record: ByteRecord,
}

impl<'s> Table<'s> {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    /// When it cannot be read or begins with no header.
    pub(crate) fn open(source: &'s Source) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(source.reader()?);
        let mut record = ByteRecord::new();
        if !reader.read_byte_record(&mut record).map_err(|error| broken(source, error))? {
            return Err(source.damaged("line 1", "it has no header", "write the file again with the profiler"));
        }
        let header = record.iter().map(|cell| column_name(&String::from_utf8_lossy(cell))).collect();
        Ok(Self { source, reader, header, record })
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    /// The first column with one of these names, written in whatever case.
    pub(crate) fn column(&self, names: &[&str]) -> Option<usize> {
        position(&self.header, names)
    }

    /// As [`Table::column`], an error where there is none.
    ///
    /// # Errors
    /// When the table has no such column.
    pub(crate) fn required(&self, names: &[&str]) -> Result<usize, Error> {
        self.column(names).ok_or_else(|| {
            let reason = format!("it has no column {}", names.first().copied().unwrap_or_default());
            self.source.damaged("line 1 (the header)", reason, "import the file as the profiler wrote it")
        })
    }

    /// Moves to the next row; false at the end.
    ///
    /// # Errors
    /// When the file cannot be read or the row has another number of cells than the header.
    pub(crate) fn next(&mut self) -> Result<bool, Error> {
        if !self.reader.read_byte_record(&mut self.record).map_err(|error| broken(self.source, error))? {
            return Ok(false);
        }
        let (found, wanted) = (self.record.len(), self.header.len());
        if found == wanted {
            return Ok(true);
        }
        let reason = format!("it has {found} cells where the header has {wanted}");
        Err(self.source.damaged(self.place(), reason, "the file may have been cut; copy it again"))
    }

    /// A cell of the current row; nothing where the column is absent or the cell is no UTF-8.
    pub(crate) fn cell(&self, column: Option<usize>) -> &str {
        column.and_then(|at| self.record.get(at)).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or_default()
    }

    /// A cell of the current row, bytes that are no UTF-8 replaced.
    pub(crate) fn lossy(&self, column: usize) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.record.get(column).unwrap_or_default())
    }

    /// Where the current row stands.
    pub(crate) fn place(&self) -> String {
        self.record.position().map_or_else(String::new, |position| format!("line {}", position.line()))
    }
}

fn broken(source: &Source, error: csv::Error) -> Error {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(cause) => source.io(cause),
        _ => source.damaged("its CSV", text, "import the file as the profiler wrote it"),
    }
}

fn column_name(cell: &str) -> String {
    cell.trim_start_matches('\u{feff}').trim().to_owned()
}

/// The names in the first line of a CSV text; for recognising a file.
pub(crate) fn header_of(text: &str) -> Vec<String> {
    let line = text.lines().next().unwrap_or_default();
    line.split(',').map(|cell| column_name(cell.trim().trim_matches('"'))).collect()
}

/// Position of the first of these columns, written in whatever case.
pub(crate) fn position(header: &[String], names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| header.iter().position(|column| column.eq_ignore_ascii_case(name)))
}
