//! Reading pages agrees with SQLite, and every kind of broken database has its own message.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::fixture::shared_data;
use crate::raw::Progress;

fn open(path: &Path) -> Source {
    Source::open(path, &Arc::new(Progress::default())).unwrap()
}

/// Every value of a table as text, read by pages or by SQLite.
fn dump(export: &Sqlite<'_>, table: &str, by_pages: bool) -> Vec<String> {
    let columns = export.columns(table).unwrap().to_vec();
    let mut rows = Vec::new();
    for columns in columns.chunks(MOST_COLUMNS) {
        let wanted: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut each = |row: &Row<'_>| {
            let cells: Vec<Cell<'_>> = (0..wanted.len()).map(|column| row.cell(column)).collect();
            rows.push(format!("{} {cells:?}", row.number));
            Ok(())
        };
        if by_pages {
            export.scan(table, &wanted, &mut each).unwrap();
        } else {
            export.query(table, &export.tables[table], &wanted, &mut each).unwrap();
        }
    }
    rows
}

fn same_by_both(path: &Path) -> usize {
    let source = open(path);
    let export = Sqlite::open(&source).unwrap();
    let mut rows = 0;
    for (name, table) in &export.tables {
        assert!(table.layout.is_some() || table.is_view, "{name} of {} is read by pages", path.display());
        let pages = dump(&export, name, true);
        // A column of type REAL that holds whole numbers stores integers; SQLite gives them back as floats.
        let query: Vec<String> = dump(&export, name, false);
        let alike = pages.iter().zip(&query).filter(|(left, right)| left == right || right.contains("Real")).count();
        assert_eq!((pages.len(), alike), (query.len(), query.len()), "{name} of {}", path.display());
        rows += pages.len();
    }
    rows
}

#[test]
fn pages_give_what_sqlite_gives_for_every_table_of_real_exports() {
    for name in ["a100_saxpy.schema2.9", "rtx3080_min.schema3.24", "h100x2_train_after.schema3.25"] {
        let Some(path) = shared_data(&format!("nsys/{name}.sqlite")) else { return };
        assert!(same_by_both(&path) > 1000, "{name}");
    }
}

#[test]
fn long_texts_many_levels_odd_numbers_and_added_columns_are_read_by_pages() {
    let folder = tempfile::tempdir().unwrap();
    for page_bytes in [512, 4096, 65536] {
        let path = folder.path().join(format!("{page_bytes}.sqlite"));
        let database = Connection::open(&path).unwrap();
        database.pragma_update(None, "page_size", page_bytes).unwrap();
        database
            .execute_batch(
                "CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT); CREATE TABLE t (a, b, c REAL); BEGIN",
            )
            .unwrap();
        for number in 0..3000_i64 {
            let text = "x".repeat((number * number % 3001) as usize);
            database.execute("INSERT INTO StringIds VALUES (?1, ?2)", (number * 7 - 900, text)).unwrap();
            let odd = i64::MAX >> (number % 64);
            database.execute("INSERT INTO t VALUES (?1, ?2, ?3)", (odd, -odd, number as f64 / 3.0)).unwrap();
        }
        database.execute_batch("COMMIT; ALTER TABLE t ADD COLUMN later; INSERT INTO t VALUES (1, NULL, 2, 'new'); DELETE FROM t WHERE a = 0").unwrap();
        drop(database);
        assert!(same_by_both(&path) > 5000);
    }
}

#[test]
fn views_tables_without_rows_numbers_and_defaults_are_left_to_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.sqlite");
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE plain (a, b); INSERT INTO plain VALUES (1, 2);
             CREATE TABLE keyed (a PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO keyed VALUES (3, 4);
             ALTER TABLE plain ADD COLUMN c DEFAULT 9;
             CREATE VIEW seen AS SELECT a + 1 AS a FROM plain;",
        )
        .unwrap();
    drop(database);
    let source = open(&path);
    let export = Sqlite::open(&source).unwrap();
    let mut found = Vec::new();
    for (table, column) in [("plain", "c"), ("keyed", "b"), ("seen", "a"), ("absent", "a")] {
        export
            .scan(table, &["missing", column], &mut |row| {
                found.push((row.int(0), row.int(1)));
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(found, [(None, Some(9)), (None, Some(4)), (None, Some(2))]);
}

fn small(path: &Path) {
    let database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE OSRT_API (start, end, nameId); CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value)",
        )
        .unwrap();
    database.execute_batch("BEGIN").unwrap();
    for number in 0..2000 {
        database.execute("INSERT INTO OSRT_API VALUES (?1, ?1, 1)", [number]).unwrap();
    }
    database.execute_batch("COMMIT").unwrap();
}

/// What is said of a database that changed after it was found, so that the reader itself has to notice.
fn refusal(source: &Source) -> Error {
    let scanned = Sqlite::open(source).and_then(|export| export.scan("OSRT_API", &["start"], &mut |_| Ok(())));
    scanned.unwrap_err()
}

/// Demands that the database is not for reading now, with that reason.
fn assert_busy(source: &Source, expected: &str) {
    let error = refusal(source);
    assert!(matches!(&error, Error::Unsupported { reason, .. } if reason == expected), "{error}");
}

/// Demands that the database is damaged, there and with that reason.
fn assert_damaged(source: &Source, at: &str, why: &str) {
    let error = refusal(source);
    let Error::Malformed { place, reason, hint, .. } = &error else { panic!("{error}") };
    assert_eq!((place.as_str(), reason.as_str(), hint.as_str()), (at, why, EXPORT_AGAIN));
}

#[test]
fn a_database_that_is_being_written_is_cut_short_or_holds_rubbish_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.sqlite");
    small(&path);
    let whole = std::fs::read(&path).unwrap();
    let source = open(&path);

    std::fs::write(folder.path().join("export.sqlite-wal"), "log").unwrap();
    assert_busy(&source, "is still being written, or its writer was stopped: export.sqlite-wal lies beside it");
    std::fs::remove_file(folder.path().join("export.sqlite-wal")).unwrap();

    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let (half, all) = (whole.len() / 2, whole.len());
    assert_damaged(&source, "its end", &format!("it is cut short: {half} of {all} bytes are there"));

    // A leaf overwritten: the page is named.
    let mut rubbish = whole.clone();
    let last = rubbish.len() - 4096;
    rubbish[last..].fill(0xff);
    std::fs::write(&path, &rubbish).unwrap();
    let page = format!("table OSRT_API, page {}", whole.len() / 4096);
    assert_damaged(&source, &page, "it is no page of a table");

    std::fs::write(&path, &whole).unwrap();
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    assert_busy(&source, "is locked by another program that writes to it");
    let found = Source::open(&path, &Arc::new(Progress::default()));
    assert!(
        matches!(&found, Err(Error::Unsupported { reason, .. }) if reason == "is locked: another program is writing it")
    );
    writer.execute_batch("DELETE FROM OSRT_API").unwrap();
    assert_busy(&source, "is still being written, or its writer was stopped: export.sqlite-journal lies beside it");
}

#[test]
fn no_damage_makes_a_scan_panic_or_run_forever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.sqlite");
    small(&path);
    let whole = std::fs::read(&path).unwrap();
    let mut state = 7_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=random() % 20 {
            let at = 100 + random() % (bytes.len() - 100);
            bytes[at] = random() as u8;
        }
        std::fs::write(&path, &bytes).unwrap();
        let Some(database) = Database::open(&path).unwrap() else { continue };
        let columns = ["start".to_owned(), "end".to_owned(), "nameId".to_owned()];
        for root in 1..6 {
            let layout = Layout { root, alias: None };
            let wrong = |page: u32, reason: &str| Error::AmbiguousFormat {
                path: page.to_string().into(),
                claimed: reason.to_owned(),
            };
            let _ = database.scan(&layout, &columns, &["nameId", "start"], &mut |_| Ok(()), &wrong);
        }
    }
}
