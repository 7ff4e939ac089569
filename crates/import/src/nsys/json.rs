//! JSON exports: one event a line, as nsys keeps it inside, with texts by number in a line of their own.
//!
//! The lines are put back into the tables that the other formats have. What JSON exports do not hold: the devices, the
//! session's start, versions, and sampled metrics.

mod line;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};

use super::export::{Cell, Each, Export};
use super::spool::Spool;
use crate::Error;
use crate::raw::Source;
use line::{Line, Rows};

/// A longer line than this is no event and no list of texts.
const LONGEST_LINE: u64 = 1 << 29;

/// A JSON export.
pub(crate) struct Json<'s> {
    source: &'s Source,
    tables: HashMap<&'static str, Spool>,
}

impl<'s> Json<'s> {
    /// Reads the whole file into tables.
    ///
    /// # Errors
    /// When it cannot be read or a line is no JSON, naming the line.
    pub(crate) fn open(source: &'s Source) -> Result<Self, Error> {
        let mut export = Self { source, tables: HashMap::new() };
        let mut reader = BufReader::with_capacity(1 << 18, source.reader()?);
        let mut bytes = Vec::new();
        let mut number = 0_u64;
        loop {
            bytes.clear();
            let mut limited = std::io::Read::take(&mut reader, LONGEST_LINE);
            let count = limited.read_until(b'\n', &mut bytes).map_err(|cause| source.io(cause))?;
            if count == 0 {
                return Ok(export);
            }
            number += 1;
            let text = bytes.trim_ascii();
            if number == 1 {
                let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
                export.line(text, number)?;
            } else if !text.is_empty() {
                export.line(text, number)?;
            }
        }
    }

    fn line(&mut self, text: &[u8], number: u64) -> Result<(), Error> {
        // Names of a program's own may hold any bytes.
        let text = String::from_utf8_lossy(text);
        let line: Line<'_> = serde_json::from_str(&text).map_err(|error| {
            let reason = if error.is_eof() { "it ends in the middle".to_owned() } else { error.to_string() };
            let hint = "export it again with `nsys export --type=json`; nothing was taken from it";
            self.source.damaged(format!("line {number}"), reason, hint)
        })?;
        let mut failed = None;
        line.rows(&mut |Rows { table, columns, cells }: Rows<'_, '_>| {
            let spool = self.tables.entry(table).or_insert_with(|| Spool::new(columns));
            if let Err(cause) = spool.push(cells) {
                failed = Some(cause);
            }
        });
        failed.map_or(Ok(()), |cause| Err(self.source.io(cause)))
    }
}

impl Export for Json<'_> {
    fn columns(&self, table: &str) -> Option<&[String]> {
        self.tables.get(table).filter(|spool| spool.rows() > 0).map(Spool::columns)
    }

    fn scan(&self, table: &str, wanted: &[&str], each: Each<'_>) -> Result<(), Error> {
        match self.tables.get(table) {
            Some(spool) => spool.scan(wanted, each, &|cause| self.source.io(cause)),
            None => Ok(()),
        }
    }
}

/// A cell for a number that may be absent.
fn int(value: Option<i64>) -> Cell<'static> {
    value.map_or(Cell::Null, Cell::Int)
}
