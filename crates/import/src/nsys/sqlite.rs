//! SQLite exports.
//!
//! SQLite itself tells what tables and columns there are. Tables as nsys writes them are then read page by page
//! ([`btree`]), several times faster than by its interpreter, which remains for views and tables of other kinds.

mod btree;
mod record;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::export::{Cell, Each, Export, MOST_COLUMNS, Row};
use crate::Error;
use crate::raw::Source;
use btree::{Database, Layout};

const EXPORT_AGAIN: &str = "export it again with `nsys export --type=sqlite`; nothing was taken from it";

/// A SQLite export.
pub(crate) struct Sqlite<'s> {
    source: &'s Source,
    connection: Connection,
    /// The file's pages, where they may be read without SQLite.
    pages: Option<Database>,
    tables: HashMap<String, Table>,
}

struct Table {
    columns: Vec<String>,
    /// Where its rows lie, for a plain table.
    layout: Option<Layout>,
    is_view: bool,
}

impl<'s> Sqlite<'s> {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// One message each for a database that is being written, is locked, is cut short, or is no database.
    pub(crate) fn open(source: &'s Source) -> Result<Self, Error> {
        Self::open_at(source, &source.on_disk()?)
    }

    /// Opens a database that stands for `source`: what a report was exported to.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_at(source: &'s Source, path: &Path) -> Result<Self, Error> {
        refuse_half_written(source)?;
        btree::check_length(path).map_err(|reason| source.damaged("its end", reason, EXPORT_AGAIN))?;
        // Before the connection: closing another handle of the file would give up the lock that it holds.
        let pages = Database::open(path).map_err(|cause| source.io(cause))?;
        let connection = connect(path).map_err(|error| failure(source, "its header", &error))?;
        let tables = tables(&connection).map_err(|error| failure(source, "its table list", &error))?;
        Ok(Self { source, connection, pages, tables })
    }

    fn query(&self, name: &str, table: &Table, wanted: &[&str], each: Each<'_>) -> Result<(), Error> {
        let present = |column: &str| table.columns.iter().any(|known| known == column);
        let columns: Vec<String> =
            wanted.iter().filter(|column| present(column)).map(|column| quoted(column)).collect();
        if columns.is_empty() {
            return Ok(());
        }
        // An index that holds all columns would be read in its own order.
        let plain = if table.is_view { "" } else { " NOT INDEXED" };
        let sql = format!("SELECT {} FROM {}{plain}", columns.join(", "), quoted(name));
        let failed =
            |number: u64, error: &rusqlite::Error| failure(self.source, &format!("{name} row {}", number + 1), error);
        let mut statement = self.connection.prepare(&sql).map_err(|error| failed(0, &error))?;
        let mut rows = statement.query([]).map_err(|error| failed(0, &error))?;
        let mut number = 0;
        loop {
            let Some(row) = rows.next().map_err(|error| failed(number, &error))? else { return Ok(()) };
            let mut cells = [Cell::Null; MOST_COLUMNS];
            let wanted_cells = cells.iter_mut().zip(wanted).filter(|(_, column)| present(column));
            for (place, (cell, _)) in wanted_cells.enumerate() {
                *cell = cell_of(row.get_ref(place).map_err(|error| failed(number, &error))?);
            }
            each(&Row::new(number, &cells[..wanted.len()]))?;
            number += 1;
        }
    }
}

impl Export for Sqlite<'_> {
    fn columns(&self, table: &str) -> Option<&[String]> {
        self.tables.get(table).map(|table| table.columns.as_slice())
    }

    fn scan(&self, name: &str, wanted: &[&str], each: Each<'_>) -> Result<(), Error> {
        let Some(table) = self.tables.get(name) else { return Ok(()) };
        match (&self.pages, &table.layout) {
            (Some(pages), Some(layout)) => pages.scan(layout, &table.columns, wanted, each, &|page, reason| {
                self.source.damaged(format!("table {name}, page {page}"), reason, EXPORT_AGAIN)
            }),
            _ => self.query(name, table, wanted, each),
        }
    }
}

fn cell_of(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Real(value) => Cell::Real(value),
        ValueRef::Text(text) | ValueRef::Blob(text) => Cell::Text(text),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A journal beside a database belongs to a writer that is at work, or that was stopped before it was done.
fn refuse_half_written(source: &Source) -> Result<(), Error> {
    for ending in ["-journal", "-wal"] {
        let mut name = source.place().as_os_str().to_owned();
        name.push(ending);
        let sidecar = PathBuf::from(name);
        if std::fs::metadata(&sidecar).is_ok_and(|data| data.len() > 0) {
            let name = sidecar.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(Error::Unsupported {
                path: source.path().to_owned(),
                reason: format!("is still being written, or its writer was stopped: {name} lies beside it"),
                hint: "wait until `nsys export` is done, or export again".to_owned(),
            });
        }
    }
    Ok(())
}

/// Opens without writing anything, also where the folder may not be written. The connection keeps other programs from
/// writing as long as it lives.
fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::ZERO)?;
    let shared = |connection: &Connection| {
        connection.execute_batch("BEGIN")?;
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
    };
    match shared(&connection) {
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly)
            ) =>
        {
            // A database of the write-ahead kind wants files beside it; it has none, so nothing is missing.
            let place = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let uri = format!("file:{place}?immutable=1");
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(connection),
    }
}

fn tables(connection: &Connection) -> Result<HashMap<String, Table>, rusqlite::Error> {
    let mut query = connection.prepare(
        "SELECT list.name, list.type, list.wr, master.rootpage FROM pragma_table_list AS list
         JOIN sqlite_master AS master ON master.name = list.name WHERE list.schema = 'main'",
    )?;
    let listed = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let listed: Vec<(String, String, bool, Option<u32>)> = listed.collect::<Result<_, _>>()?;
    let mut tables = HashMap::new();
    for (name, kind, without_numbers, root) in listed {
        let columns = columns(connection, &name)?;
        // Stored as they are declared, one after another: no computed columns, no defaults that old rows take from the
        // schema, and rows in a tree by their number.
        let plain = kind == "table" && !without_numbers && columns.iter().all(|column| column.is_plain);
        let keys = columns.iter().filter(|column| column.is_key).count();
        let alias = columns.iter().position(|column| keys == 1 && column.is_key && column.is_integer);
        let layout = root.filter(|root| plain && *root > 0).map(|root| Layout { root, alias });
        let columns = columns.into_iter().map(|column| column.name).collect();
        tables.insert(name, Table { columns, layout, is_view: kind == "view" });
    }
    Ok(tables)
}

struct Column {
    name: String,
    is_integer: bool,
    is_key: bool,
    /// Neither computed nor with a default.
    is_plain: bool,
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<Column>, rusqlite::Error> {
    let mut info =
        connection.prepare("SELECT name, type, pk, hidden, dflt_value IS NULL FROM pragma_table_xinfo(?1)")?;
    let columns = info.query_map([table], |row| {
        let kind: String = row.get(1)?;
        Ok(Column {
            name: row.get(0)?,
            is_integer: kind.eq_ignore_ascii_case("integer"),
            is_key: row.get::<_, i64>(2)? > 0,
            is_plain: row.get::<_, i64>(3)? == 0 && row.get(4)?,
        })
    })?;
    columns.collect()
}

/// What SQLite says, with what to do about it.
fn failure(source: &Source, place: &str, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => Error::Unsupported {
            path: source.path().to_owned(),
            reason: "is locked by another program that writes to it".to_owned(),
            hint: "wait until that is done, or import a copy".to_owned(),
        },
        Some(NotADatabase) => {
            source.damaged(place, "it is no SQLite database, though it begins like one", EXPORT_AGAIN)
        }
        _ => source.damaged(place, error, EXPORT_AGAIN),
    }
}

#[cfg(test)]
mod tests;
