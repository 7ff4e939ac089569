//! Damaging a database by its own means, so that what is wrong is what it holds and not its pages.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::input;
use crate::random::Random;

pub(crate) const MAGIC: &[u8] = b"SQLite format 3\0";

/// A copy of the database with other values, columns or tables than its program wrote; `None` when SQLite refuses.
pub(crate) fn mutated(seed: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    edited(seed, |database| {
        for _ in 0..=random.length(6) {
            // A statement that the schema does not allow changes nothing.
            let _ = once(database, random);
        }
        Ok(())
    })
}

/// Names that stay in a database: they are few, and each may be one that a row needs.
const NAMES: usize = 400;

/// A copy of the database of at most `rows` rows a table (more of names), in small pages.
pub(crate) fn shrunk(seed: &[u8], rows: usize) -> Option<Vec<u8>> {
    edited(seed, |database| {
        for table in &tables(database)? {
            let rows = if table == "StringIds" { NAMES } else { rows };
            let table = quoted(table);
            let kept = format!("SELECT rowid FROM {table} ORDER BY rowid LIMIT {rows}");
            let _ = database.execute(&format!("DELETE FROM {table} WHERE rowid NOT IN ({kept})"), []);
        }
        database.execute_batch("PRAGMA journal_mode=DELETE; PRAGMA page_size=1024; VACUUM;")
    })
}

/// The database that these statements make.
pub(crate) fn made(sql: &str) -> Vec<u8> {
    edited(b"", |database| {
        database.execute_batch("PRAGMA page_size=1024;")?;
        database.execute_batch(sql)
    })
    .unwrap_or_default()
}

fn edited(seed: &[u8], edit: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Option<Vec<u8>> {
    let folder = input::folder().ok()?;
    let path = folder.path().join("edited.sqlite");
    std::fs::write(&path, seed).ok()?;
    let done = open(&path).and_then(|database| {
        edit(&database)?;
        database.close().map_err(|(_, error)| error)
    });
    done.ok()?;
    std::fs::read(&path).ok()
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    // Nothing has to survive a crash here.
    database.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")?;
    Ok(database)
}

fn tables(database: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    database.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn columns(database: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut query = database.prepare(&format!("SELECT name FROM pragma_table_info({})", quoted(table)))?;
    query.query_map([], |row| row.get(0))?.collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn once(database: &Connection, random: &mut Random) -> rusqlite::Result<()> {
    let filled: Vec<String> = tables(database)?.into_iter().filter(|table| holds_rows(database, table)).collect();
    let Some(table) = random.pick(&filled) else { return Ok(()) };
    let columns = columns(database, table)?;
    let (Some(column), Some(other)) = (random.pick(&columns), random.pick(&columns)) else { return Ok(()) };
    let (table, column, other) = (quoted(table), quoted(column), quoted(other));
    let odd = random.below(1000) * 2 + 1;
    let row = format!("rowid = (SELECT rowid FROM {table} ORDER BY rowid * {odd} % 1009 LIMIT 1)");
    let row = if random.once_in(3) { "1".to_owned() } else { row };
    let sql = match random.below(16) {
        0 => format!("DROP TABLE {table}"),
        1 => format!("ALTER TABLE {table} DROP COLUMN {column}"),
        2 => format!("ALTER TABLE {table} RENAME COLUMN {column} TO renamed"),
        3 => format!("DELETE FROM {table} WHERE {row}"),
        4 => format!("INSERT INTO {table} SELECT * FROM {table} WHERE {row}"),
        5 => format!("UPDATE {table} SET {column} = {other} WHERE {row}"),
        6 => format!("ALTER TABLE {table} RENAME TO renamed; CREATE VIEW {table} AS SELECT * FROM renamed"),
        _ => {
            let value = value(random);
            database.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE {row}"), [value])?;
            return Ok(());
        }
    };
    database.execute_batch(&sql)
}

fn holds_rows(database: &Connection, table: &str) -> bool {
    let sql = format!("SELECT 1 FROM {} LIMIT 1", quoted(table));
    database.query_row(&sql, [], |_| Ok(())).is_ok()
}

fn value(random: &mut Random) -> Value {
    let whole = [0, -1, 1, 7, 255, i64::MAX, i64::MIN, i64::MAX - 1, 1 << 62, 1 << 53, i64::from(u32::MAX), 1 << 31];
    let broken = [f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY, 0.5, -0.0, 1e-320, 9.3e18];
    let texts = ["", "\0", "-1", "NaN", "1e400", "9223372036854775808", "{\"a\":[", "\u{1f4a5}\n", "12.5"];
    match random.below(8) {
        0 => Value::Null,
        1 => Value::Real(random.pick(&broken).copied().unwrap_or_default()),
        2 => Value::Text(random.pick(&texts).copied().unwrap_or_default().to_owned()),
        3 => Value::Text("x".repeat(random.length(1 << 16))),
        4 => Value::Blob(vec![0xff; random.length(4096)]),
        _ => Value::Integer(random.pick(&whole).copied().unwrap_or_default()),
    }
}
