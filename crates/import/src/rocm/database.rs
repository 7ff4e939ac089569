//! A SQLite database whose tables are read by the names of their columns.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::Error;
use crate::raw::Source;

const HINT: &str = "copy the database again once the profiler has ended; nothing was taken from it";

/// An open database with the columns of its tables and views.
pub(crate) struct Database<'s> {
    source: &'s Source,
    connection: Connection,
    tables: HashMap<String, Vec<String>>,
}

/// One row of a query.
pub(crate) struct Row<'r>(&'r rusqlite::Row<'r>);

impl<'s> Database<'s> {
    /// Opens the database for reading, without writing beside it.
    ///
    /// # Errors
    /// When it is still being written, is locked, or is no database.
    pub(crate) fn open(source: &'s Source) -> Result<Self, Error> {
        refuse_half_written(source)?;
        let connection = connect(&source.on_disk()?).map_err(|error| failed(source, "its header", &error))?;
        let tables = columns(&connection).map_err(|error| failed(source, "its table list", &error))?;
        Ok(Self { source, connection, tables })
    }

    /// The file.
    pub(crate) fn source(&self) -> &'s Source {
        self.source
    }

    /// Names of tables and views.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Whether there is such a table or view.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Whether a table has a column.
    pub(crate) fn has_column(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|columns| columns.iter().any(|other| other == column))
    }

    /// Runs a query; `each` gets its rows.
    ///
    /// # Errors
    /// When the database cannot be read, or what `each` says. `table` names the place.
    pub(crate) fn each(
        &self,
        table: &str,
        sql: &str,
        mut each: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let failed = |error: rusqlite::Error| failed(self.source, &format!("table {table}"), &error);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(&Row(row))?;
        }
        Ok(())
    }
}

impl<'r> Row<'r> {
    /// An integer; `None` where the value is null or something else.
    #[inline]
    pub(crate) fn int(&self, at: usize) -> Option<i64> {
        match self.0.get_ref(at) {
            Ok(ValueRef::Integer(value)) => Some(value),
            _ => None,
        }
    }

    /// A finite number.
    pub(crate) fn float(&self, at: usize) -> Option<f64> {
        match self.0.get_ref(at) {
            Ok(ValueRef::Real(value)) if value.is_finite() => Some(value),
            Ok(ValueRef::Integer(value)) => Some(value as f64),
            _ => None,
        }
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, at: usize) -> Option<&'r str> {
        match self.0.get_ref(at) {
            Ok(ValueRef::Text(text)) => std::str::from_utf8(text).ok().filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// Whether the value is binary.
    pub(crate) fn is_blob(&self, at: usize) -> bool {
        matches!(self.0.get_ref(at), Ok(ValueRef::Blob(_)))
    }
}

/// A name as SQL takes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn refuse_half_written(source: &Source) -> Result<(), Error> {
    for ending in ["-journal", "-wal"] {
        let mut name = source.place().as_os_str().to_owned();
        name.push(ending);
        let beside = PathBuf::from(name);
        if std::fs::metadata(&beside).is_ok_and(|data| data.len() > 0) {
            let name = beside.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(Error::Unsupported {
                path: source.path().to_owned(),
                reason: format!("is still being written, or its writer was stopped: {name} lies beside it"),
                hint: "wait until the profiler has ended".to_owned(),
            });
        }
    }
    Ok(())
}

/// Opens without writing anything, also where the folder may not be written: `rocpd merge` leaves databases of the
/// write-ahead kind, which want files beside them.
fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::ZERO)?;
    match connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())) {
        Ok(()) => Ok(connection),
        Err(error) if matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly)) => {
            let place = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            Connection::open_with_flags(format!("file:{place}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)
        }
        Err(error) => Err(error),
    }
}

/// The columns of every table, and of every view that can be read: a view may call functions of its writer.
fn columns(connection: &Connection) -> Result<HashMap<String, Vec<String>>, rusqlite::Error> {
    let mut query =
        connection.prepare("SELECT name, type = 'view' FROM sqlite_master WHERE type IN ('table', 'view')")?;
    let names: Vec<(String, bool)> =
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut tables = HashMap::new();
    for (name, is_view) in names {
        let info = connection.prepare(&format!("PRAGMA table_info({})", quoted(&name)));
        let columns = info.and_then(|mut info| info.query_map([], |row| row.get(1))?.collect());
        match columns {
            Err(_) if is_view => {}
            columns => drop(tables.insert(name, columns?)),
        }
    }
    Ok(tables)
}

fn failed(source: &Source, place: &str, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => Error::Unsupported {
            path: source.path().to_owned(),
            reason: "is locked by another program that writes to it".to_owned(),
            hint: "wait until that is done, or import a copy".to_owned(),
        },
        _ => source.damaged(place, error, HINT),
    }
}
