//! The floor under an import: what it costs to read a file, and to tokenise it, and do nothing else.
//!
//! `floor read|json|csv|sqlite FILE` prints a count, so that no work can be left out. Tokenising uses well-known crates
//! (serde_json, csv, SQLite itself), not the importers' own scanners. `scripts/benchmark/importers.py` runs it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

type Outcome = Result<u64, Box<dyn std::error::Error>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "usage: floor read|json|csv|sqlite FILE";
    let (mode, path) = (std::env::args().nth(1).ok_or(usage)?, std::env::args().nth(2).ok_or(usage)?);
    let path = Path::new(&path);
    let count = match mode.as_str() {
        "read" => read(path)?,
        "json" => json(path)?,
        "csv" => csv(path)?,
        "sqlite" => sqlite(path)?,
        _ => return Err(usage.into()),
    };
    println!("{count}");
    Ok(())
}

/// Reads every byte through a window of 1 MiB.
fn read(path: &Path) -> Outcome {
    let (mut file, mut window, mut total) = (File::open(path)?, vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut window)? {
            0 => return Ok(total),
            count => total += count as u64,
        }
    }
}

/// Tokenises the whole file as one JSON value that is thrown away.
fn json(path: &Path) -> Outcome {
    let bytes = std::fs::read(path)?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)?;
    Ok(bytes.len() as u64)
}

/// Splits the whole file into records and fields.
fn csv(path: &Path) -> Outcome {
    let file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let (mut record, mut fields) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record)? {
        fields += record.len() as u64;
    }
    Ok(fields)
}

/// Steps through every row of every table and touches each cell.
fn sqlite(path: &Path) -> Outcome {
    let database = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut names = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut cells = 0;
    for name in names {
        let mut query = database.prepare(&format!("SELECT * FROM \"{name}\""))?;
        let columns = query.column_count();
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                cells += u64::from(!matches!(row.get_ref(column)?, rusqlite::types::ValueRef::Null));
            }
        }
    }
    Ok(cells)
}
