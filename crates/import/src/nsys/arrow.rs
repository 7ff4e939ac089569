//! Arrow exports: a directory with one file a table, or one file with a stream a table, one after another.
//!
//! The reader follows the Arrow columnar format (<https://arrow.apache.org/docs/format/Columnar.html>) as far as flat
//! tables need it: it is shorter than what polars' feature `ipc` adds to the build. Of each batch only the wanted
//! columns are read, in pieces of bounded size.

mod column;
mod flatbuffer;
mod message;

use std::collections::HashMap;
use std::fs::File;

use super::export::{Cell, Each, Export, MOST_COLUMNS, Row};
use crate::Error;
use crate::raw::Source;
use column::{Column, Piece};
use message::{Batch, Field, Stream};

/// Rows read at once; a multiple of 8, so that validity bits begin at a byte.
const PIECE_ROWS: u64 = 1 << 15;
const EXPORT_AGAIN: &str = "export it again with `nsys export --type=sqlite`; nothing was taken from it";

/// An Arrow export.
pub(crate) struct Arrow<'s> {
    source: &'s Source,
    tables: HashMap<String, Table>,
}

struct Table {
    file: File,
    columns: Vec<String>,
    fields: Vec<Field>,
    batches: Vec<Batch>,
}

impl<'s> Arrow<'s> {
    /// Finds the tables of a directory of `.arrow` files, or of one file.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub(crate) fn open(source: &'s Source) -> Result<Self, Error> {
        let mut export = Self { source, tables: HashMap::new() };
        if source.is_dir() {
            for name in source.head().files {
                if let Some(stem) = name.strip_suffix(".arrow").or_else(|| name.strip_suffix(".arrows")) {
                    let path = source.place().join(name);
                    export.read(&path, name, Some(stem))?;
                }
            }
        } else {
            export.read(&source.on_disk()?, "the file", None)?;
        }
        Ok(export)
    }

    /// Whether it is one file with one table: a directory's, by itself.
    pub(crate) fn is_lone_table(&self) -> bool {
        !self.source.is_dir() && self.tables.len() == 1
    }

    /// Finds the streams of one file. A table is named by its stream, or else by its file.
    fn read(&mut self, path: &std::path::Path, name: &str, stem: Option<&str>) -> Result<(), Error> {
        let open = || File::open(path).map_err(|cause| self.source.io(cause));
        let streams = message::streams(&open()?)
            .map_err(|fault| self.source.damaged(format!("{name}, byte {}", fault.at), fault.reason, EXPORT_AGAIN))?;
        for Stream { table, fields, batches } in streams {
            let Some(table) = stem.map(str::to_owned).or(table) else { continue };
            let columns = fields.iter().map(|field| field.name.clone()).collect();
            self.tables.insert(table, Table { file: open()?, columns, fields, batches });
        }
        Ok(())
    }
}

impl Export for Arrow<'_> {
    fn columns(&self, table: &str) -> Option<&[String]> {
        self.tables.get(table).map(|table| table.columns.as_slice())
    }

    fn scan(&self, name: &str, wanted: &[&str], each: Each<'_>) -> Result<(), Error> {
        let Some(table) = self.tables.get(name) else { return Ok(()) };
        let field = |column: &&str| table.fields.iter().find(|field| field.name == **column && field.kind.is_read());
        let fields: Vec<Option<&Field>> = wanted.iter().map(field).collect();
        if fields.iter().all(Option::is_none) {
            return Ok(());
        }
        let damaged = |reason: String| self.source.damaged(format!("table {name}"), reason, EXPORT_AGAIN);
        let mut number = 0;
        for batch in &table.batches {
            let open = |field: Option<&Field>| field.map(|field| Column::open(&table.file, field, batch)).transpose();
            let columns: Vec<Option<Column<'_>>> =
                fields.iter().copied().map(open).collect::<Result<_, _>>().map_err(damaged)?;
            for first in (0..batch.rows).step_by(PIECE_ROWS as usize) {
                let rows = PIECE_ROWS.min(batch.rows - first);
                let read = |column: &Option<Column<'_>>| column.as_ref().map(|c| c.read(first, rows)).transpose();
                let pieces: Vec<Option<Piece>> = columns.iter().map(read).collect::<Result<_, _>>().map_err(damaged)?;
                for row in 0..rows as usize {
                    let mut cells = [Cell::Null; MOST_COLUMNS];
                    for (cell, piece) in cells.iter_mut().zip(&pieces) {
                        *cell = piece.as_ref().map_or(Cell::Null, |piece| piece.cell(row));
                    }
                    each(&Row::new(number, &cells[..wanted.len()]))?;
                    number += 1;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
