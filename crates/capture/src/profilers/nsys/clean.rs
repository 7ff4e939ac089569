//! The exported SQLite file without what identifies a machine and the people on it: environments, the host's name, and
//! the processes that had no part in the run.
//!
//! Seen of 2022.4.2: `TARGET_INFO_SYSTEM_ENV` holds the environment of nsys and the host's name, `StringIds` that of every
//! process of the machine that the user may look into, `PROCESSES` and `ThreadNames` every process, `EXPORT_META_DATA` the
//! host and paths. The importer needs none of it.

use std::path::Path;

use aho_corasick::AhoCorasick;
use rusqlite::{Connection, params};

use crate::environment::{MASK, Secret, secrets};

/// Tables of names and values that tell about the machine, and their rows that go; `_` and `%` as in SQL.
static TOLD: &[(&str, &[&str])] = &[
    ("TARGET_INFO_SYSTEM_ENV", &["Hostname", "DeviceEnvironment", "%UserName%", "%IpAddress%"]),
    ("EXPORT_META_DATA", META),
    ("META_DATA_EXPORT", META),
    ("META_DATA_CAPTURE", META),
];
static META: &[&str] = &["%HOST%", "%USER%", "%ENVIRONMENT%", "%PATH%"];

/// Columns of texts that can hold an environment or a secret.
static TEXTS: &[(&str, &str)] = &[
    ("StringIds", "value"),
    ("TARGET_INFO_SYSTEM_ENV", "value"),
    ("EXPORT_META_DATA", "value"),
    ("META_DATA_EXPORT", "value"),
    ("META_DATA_CAPTURE", "value"),
];

/// The bits of a `globalTid` that a `globalPid` has, too (user guide, "Common SQLite Examples").
const PROCESS: i64 = !0xFF_FFFF;

/// The secrets that the file holds: those in the environments of any process, and those of `known` wherever they stand.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn find(database: &Path, known: &[Secret]) -> rusqlite::Result<Vec<Secret>> {
    let database = Connection::open(database)?;
    let suspicious = suspicious(known);
    let mut found = Vec::new();
    for (table, column) in texts(&database)? {
        let mut rows = database.prepare(&format!("SELECT {column} FROM {table}"))?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let text = text(row.get_ref(0)?);
            found.extend(secrets(variables(&text)));
            if suspicious(&text) {
                found.extend(known.iter().filter(|secret| secret.anywhere && secret.is_in(text.as_bytes())).cloned());
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Takes out what identifies, and masks the secrets wherever they stand, then writes the file anew.
///
/// # Errors
/// Where the file cannot be read or written.
pub(super) fn clean(database: &Path, secrets: &[Secret]) -> rusqlite::Result<()> {
    let mut database = Connection::open(database)?;
    // No journal beside it: what is cleaned away must not stay there.
    database.execute_batch("PRAGMA secure_delete = ON; PRAGMA journal_mode = MEMORY;")?;
    let change = database.transaction()?;
    for (table, names) in TOLD {
        if !has(&change, table)? {
            continue;
        }
        for name in *names {
            change.execute(&format!("DELETE FROM {table} WHERE name LIKE ?"), params![name])?;
        }
    }
    for (table, column) in texts(&change)? {
        clean_texts(&change, table, column, secrets)?;
    }
    forget_strangers(&change)?;
    change.commit()?;
    // The file as nsys wrote it has old copies of rows in the free parts of its pages.
    database.execute_batch("VACUUM")
}

/// Empties the environments in a column, and masks secrets in its other texts.
fn clean_texts(database: &Connection, table: &str, column: &str, secrets: &[Secret]) -> rusqlite::Result<()> {
    let suspicious = suspicious(secrets);
    let mut changed = Vec::new();
    let mut rows = database.prepare(&format!("SELECT rowid, {column} FROM {table}"))?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let text = text(row.get_ref(1)?);
        if is_environment(&text) {
            changed.push((row.get::<_, i64>(0)?, String::new()));
        } else if suspicious(&text)
            && let Some(masked) = masked(&text, secrets)
        {
            changed.push((row.get(0)?, masked));
        }
    }
    let mut update = database.prepare(&format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1"))?;
    changed.iter().try_for_each(|(row, text)| update.execute(params![row, text]).map(drop))
}

/// Tells texts that may hold one of the secrets, at one look: there may be a million texts.
fn suspicious(secrets: &[Secret]) -> impl Fn(&str) -> bool {
    let pieces: Vec<&[u8]> = secrets.iter().filter(|secret| secret.anywhere).flat_map(Secret::pieces).collect();
    // Too many pieces for one automaton: then each text is looked at closely.
    let finder = AhoCorasick::new(&pieces).ok();
    move |text| finder.as_ref().is_none_or(|finder| finder.is_match(text))
}

fn masked(text: &str, secrets: &[Secret]) -> Option<String> {
    let mut masked = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.anywhere && secret.is_in(text.as_bytes())) {
        // Pieces are parts of the value, so that the whole comes first.
        for piece in secret.pieces() {
            let mask = char::from(MASK).to_string().repeat(piece.len());
            // A piece that is no text stands in none.
            masked = std::str::from_utf8(piece).map_or(masked.clone(), |piece| masked.replace(piece, &mask));
        }
    }
    (masked != text).then_some(masked)
}

/// Deletes the processes, and their threads' names, of which nothing was recorded.
fn forget_strangers(database: &Connection) -> rusqlite::Result<()> {
    if !has(database, "PROCESSES")? {
        return Ok(());
    }
    database.execute_batch("CREATE TEMP TABLE family (pid INTEGER PRIMARY KEY)")?;
    for (table, column) in columns(database)? {
        let own = !["PROCESSES", "ThreadNames"].contains(&table.as_str());
        if own && ["globalTid", "globalPid"].contains(&column.as_str()) {
            let sql = format!(
                "INSERT OR IGNORE INTO family SELECT DISTINCT {column} & ?1 FROM \"{table}\" WHERE {column} IS NOT NULL"
            );
            database.execute(&sql, params![PROCESS])?;
        }
    }
    let stranger = |column: &str| format!("({column} & {PROCESS}) NOT IN (SELECT pid FROM family)");
    database.execute_batch("CREATE TEMP TABLE names (id INTEGER PRIMARY KEY)")?;
    if has(database, "ThreadNames")? {
        let strangers = stranger("globalTid");
        database.execute_batch(&format!(
            "INSERT OR IGNORE INTO names SELECT nameId FROM ThreadNames WHERE {strangers};
             DELETE FROM ThreadNames WHERE {strangers};"
        ))?;
    }
    database.execute_batch(&format!("DELETE FROM PROCESSES WHERE {};", stranger("globalPid")))?;
    forget_names(database)
}

/// Empties those of `names` that nothing refers to any more. The schema tells what refers to them, in comments.
fn forget_names(database: &Connection) -> rusqlite::Result<()> {
    let referring = references(database)?;
    if referring.is_empty() {
        return Ok(());
    }
    for (table, column) in referring {
        database.execute_batch(&format!("DELETE FROM names WHERE id IN (SELECT {column} FROM \"{table}\")"))?;
    }
    database.execute_batch("UPDATE StringIds SET value = '' WHERE id IN (SELECT id FROM names)")
}

/// Tables and columns that refer to `StringIds`, as the exported schema says behind each column.
fn references(database: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut tables =
        database.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL")?;
    let tables = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut found = Vec::new();
    for table in tables {
        let (table, sql): (String, String) = table?;
        let lines = sql.lines().filter(|line| line.contains("REFERENCES StringIds"));
        found.extend(lines.filter_map(|line| Some((table.clone(), line.split_whitespace().next()?.to_owned()))));
    }
    Ok(found)
}

/// Every table with every of its columns.
fn columns(database: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns \
               WHERE tables.type = 'table'";
    database.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn has(database: &Connection, table: &str) -> rusqlite::Result<bool> {
    database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?")?.exists([table])
}

fn texts(database: &Connection) -> rusqlite::Result<Vec<(&'static str, &'static str)>> {
    let all = columns(database)?;
    let there = |table: &str, column: &str| all.iter().any(|one| one.0 == table && one.1 == column);
    Ok(TEXTS.iter().copied().filter(|(table, column)| there(table, column)).collect())
}

fn text(value: rusqlite::types::ValueRef<'_>) -> String {
    let bytes = value.as_bytes().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a text is a list `NAME=VALUE`, each but the last ended by a zero.
fn is_environment(text: &str) -> bool {
    text.contains('\0') && variables(text).count() > 1
}

fn variables(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let list = if text.contains('\0') { text } else { "" };
    list.split('\0').filter_map(|entry| entry.split_once('=')).filter(|(name, _)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: &str = "PATH=/usr/bin\0HF_TOKEN=hunter2-of-another\0HOME=/root";

    fn database() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nsys.sqlite");
        let database = Connection::open(&path).expect("made");
        database
            .execute_batch(
                "CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT);
                 CREATE TABLE TARGET_INFO_SYSTEM_ENV (name TEXT, value TEXT);
                 CREATE TABLE PROCESSES (globalPid INTEGER, pid INTEGER, name TEXT);
                 CREATE TABLE ThreadNames (
                     nameId INTEGER, -- REFERENCES StringIds(id)
                     globalTid INTEGER
                 );
                 CREATE TABLE OSRT_API (
                     nameId INTEGER, -- REFERENCES StringIds(id)
                     globalTid INTEGER
                 );
                 INSERT INTO TARGET_INFO_SYSTEM_ENV VALUES ('Hostname', 'node-a'), ('CpuCores', '2');
                 INSERT INTO StringIds VALUES (1, 'sleep'), (2, 'alice-trains'), (3, 'own'), (5, 'hunter2-of-mine said');
                 INSERT INTO PROCESSES VALUES (16777216, 1, 'init'), (33554432, 2, 'own');
                 INSERT INTO ThreadNames VALUES (1, 16777217), (2, 16777218), (3, 33554433);
                 INSERT INTO OSRT_API VALUES (1, 33554433);",
            )
            .expect("filled");
        database.execute("INSERT INTO StringIds VALUES (4, ?)", [ENVIRONMENT]).expect("filled");
        (folder, path)
    }

    fn mine() -> Vec<Secret> {
        secrets([("API_KEY", "hunter2-of-mine")])
    }

    #[test]
    fn the_secrets_of_every_process_are_found() {
        let (_folder, path) = database();
        let found = find(&path, &mine()).expect("read");
        let names: Vec<&str> = found.iter().map(|secret| secret.name.as_str()).collect();
        assert_eq!(names, ["API_KEY", "HF_TOKEN"]);
    }

    #[test]
    fn nothing_that_identifies_stays_and_what_was_recorded_does() {
        let (_folder, path) = database();
        clean(&path, &mine()).expect("cleaned");
        let bytes = std::fs::read(&path).expect("read");
        for gone in ["hunter2", "node-a", "alice", "/usr/bin", "init"] {
            assert!(memchr::memmem::find(&bytes, gone.as_bytes()).is_none(), "{gone}");
        }
        let database = Connection::open(&path).expect("opened");
        let value = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0)).expect("a row");
        assert_eq!(value("SELECT value FROM StringIds WHERE id = 1"), "sleep", "a call has this name, too");
        assert_eq!(value("SELECT group_concat(name) FROM PROCESSES"), "own");
        assert_eq!(value("SELECT group_concat(name) FROM TARGET_INFO_SYSTEM_ENV"), "CpuCores");
        assert_eq!(find(&path, &mine()).expect("read"), []);
    }
}
