//! Parquet exports: a directory with one file a table.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use polars::prelude::{
    BinaryChunked, Column, DataFrame, DataType, ParquetReader, PolarsError, SerReader, StringChunked,
};

use super::export::{Cell, Each, Export, MOST_COLUMNS, Row};
use super::quiet::caught;
use crate::Error;
use crate::raw::Source;

/// Rows read at once.
const PIECE_ROWS: usize = 1 << 16;
const EXPORT_AGAIN: &str = "export it again with `nsys export --type=parquetdir`; nothing was taken from it";

/// A Parquet export.
pub(crate) struct Parquet<'s> {
    source: &'s Source,
    tables: HashMap<String, Table>,
}

struct Table {
    path: PathBuf,
    columns: Vec<String>,
    rows: usize,
}

impl<'s> Parquet<'s> {
    /// Finds the tables of a directory of `.parquet` files.
    ///
    /// # Errors
    /// When a file cannot be read or is no Parquet file.
    pub(crate) fn open(source: &'s Source) -> Result<Self, Error> {
        let mut tables = HashMap::new();
        for name in source.head().files {
            let Some(table) = name.strip_suffix(".parquet") else { continue };
            let path = source.place().join(name);
            let (columns, rows) = careful(|| {
                let mut reader = ParquetReader::new(open(&path)?);
                let columns = reader.schema()?.iter_names().map(ToString::to_string).collect();
                Ok((columns, reader.num_rows()?))
            })
            .map_err(|reason| source.damaged(name, reason, EXPORT_AGAIN))?;
            tables.insert(table.to_owned(), Table { path, columns, rows });
        }
        Ok(Self { source, tables })
    }
}

fn open(path: &Path) -> Result<File, PolarsError> {
    Ok(File::open(path)?)
}

/// Runs a reader that panics on some damaged files.
fn careful<T>(read: impl FnOnce() -> Result<T, PolarsError>) -> Result<T, String> {
    match caught(read) {
        Some(result) => result.map_err(|error| error.to_string()),
        None => Err("its content contradicts itself".to_owned()),
    }
}

impl Export for Parquet<'_> {
    fn columns(&self, table: &str) -> Option<&[String]> {
        self.tables.get(table).map(|table| table.columns.as_slice())
    }

    fn scan(&self, name: &str, wanted: &[&str], each: Each<'_>) -> Result<(), Error> {
        let Some(table) = self.tables.get(name) else { return Ok(()) };
        let present: Vec<String> = wanted
            .iter()
            .filter(|column| table.columns.iter().any(|known| known == *column))
            .map(ToString::to_string)
            .collect();
        if present.is_empty() {
            return Ok(());
        }
        let mut number = 0;
        for first in (0..table.rows).step_by(PIECE_ROWS) {
            let values = careful(|| {
                let reader = ParquetReader::new(open(&table.path)?).with_columns(Some(present.clone()));
                let frame = reader.with_slice(Some((first, PIECE_ROWS))).finish()?;
                let height = frame.height();
                Ok((wanted.iter().map(|column| values(&frame, column)).collect::<Result<Vec<_>, _>>()?, height))
            });
            let (values, rows) =
                values.map_err(|reason| self.source.damaged(format!("{name}.parquet"), reason, EXPORT_AGAIN))?;
            // Its own count decides how often the file is read, and a damaged one may be anything.
            if rows == 0 {
                let reason = format!("it has {number} rows and states {}", table.rows);
                return Err(self.source.damaged(format!("{name}.parquet"), reason, EXPORT_AGAIN));
            }
            for row in 0..rows {
                let mut cells = [Cell::Null; MOST_COLUMNS];
                for (cell, values) in cells.iter_mut().zip(&values) {
                    *cell = values.cell(row);
                }
                each(&Row::new(number, &cells[..wanted.len()]))?;
                number += 1;
            }
        }
        Ok(())
    }
}

/// The values of one column of a piece.
enum Values {
    Ints(Vec<Option<i64>>),
    Reals(Vec<Option<f64>>),
    Texts(StringChunked),
    Bytes(BinaryChunked),
    Absent,
}

fn values(frame: &DataFrame, column: &str) -> Result<Values, PolarsError> {
    let Ok(column) = frame.column(column) else { return Ok(Values::Absent) };
    Ok(match column.dtype() {
        DataType::Int64 => Values::Ints(column.i64()?.iter().collect()),
        DataType::Int32 => Values::Ints(column.i32()?.iter().map(|value| value.map(i64::from)).collect()),
        DataType::UInt32 => Values::Ints(column.u32()?.iter().map(|value| value.map(i64::from)).collect()),
        DataType::UInt64 => Values::Ints(column.u64()?.iter().map(|value| value.map(u64::cast_signed)).collect()),
        DataType::Boolean => Values::Ints(column.bool()?.iter().map(|value| value.map(i64::from)).collect()),
        DataType::Float64 => Values::Reals(column.f64()?.iter().collect()),
        DataType::Float32 => Values::Reals(column.f32()?.iter().map(|value| value.map(f64::from)).collect()),
        DataType::String => Values::Texts(column.str()?.rechunk().into_owned()),
        DataType::Binary => Values::Bytes(column.binary()?.rechunk().into_owned()),
        _ => other(column)?,
    })
}

/// Numbers of other widths.
fn other(column: &Column) -> Result<Values, PolarsError> {
    Ok(Values::Ints(column.cast(&DataType::Int64)?.i64()?.iter().collect()))
}

impl Values {
    #[inline]
    fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Ints(values) => values[row].map_or(Cell::Null, Cell::Int),
            Self::Reals(values) => values[row].map_or(Cell::Null, Cell::Real),
            Self::Texts(values) => values.get(row).map_or(Cell::Null, |text| Cell::Text(text.as_bytes())),
            Self::Bytes(values) => values.get(row).map_or(Cell::Null, Cell::Text),
            Self::Absent => Cell::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::shared_data;
    use crate::raw::Progress;
    use std::sync::Arc;

    #[test]
    fn a_damaged_file_of_the_folder_is_named() {
        let Some(real) = shared_data("nsys/gh200_jacobi.parquetdir/CUPTI_ACTIVITY_KIND_KERNEL.parquet") else { return };
        let whole = std::fs::read(real).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("CUPTI_ACTIVITY_KIND_KERNEL.parquet");
        let mut refused = 0;
        for damage in 0..40 {
            let mut bytes = whole.clone();
            if damage == 0 {
                bytes.truncate(bytes.len() / 2);
            } else {
                let at = bytes.len() - damage * 97 % 4000 - 9;
                bytes[at] ^= 0x55;
            }
            std::fs::write(&path, &bytes).unwrap();
            let source = Source::open(folder.path(), &Arc::new(Progress::default())).unwrap();
            let scanned = Parquet::open(&source)
                .and_then(|export| export.scan("CUPTI_ACTIVITY_KIND_KERNEL", &["start", "gridX"], &mut |_| Ok(())));
            assert!(damage > 0 || scanned.is_err());
            // Damage to a value, or to a column that is not read, leaves a file that reads.
            let Err(error) = scanned else { continue };
            assert!(
                matches!(&error, Error::Malformed { place, .. } if place.ends_with("CUPTI_ACTIVITY_KIND_KERNEL.parquet")),
                "{error}"
            );
            refused += 1;
        }
        assert!(refused > 10, "{refused}");
    }

    #[test]
    fn a_file_that_states_more_rows_than_it_has_ends() {
        let Some(real) = shared_data("nsys/gh200_jacobi.parquetdir/CUPTI_ACTIVITY_KIND_MEMSET.parquet") else { return };
        let whole = std::fs::read(real).unwrap();
        let (body, tail) = whole.split_at(whole.len() - 8);
        let (body, footer) = body.split_at(body.len() - u32::from_le_bytes(tail[..4].try_into().unwrap()) as usize);
        // The count of rows in the footer: a field of 64 bits, 1002 in zigzag, before the list of row groups.
        let at = footer.windows(5).position(|window| window == [0x16, 0xd4, 0x0f, 0x19, 0x1c]).unwrap();
        let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
        let footer = [&footer[..=at], &many, &footer[at + 3..]].concat();
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        let folder = tempfile::tempdir().unwrap();
        let name = "CUPTI_ACTIVITY_KIND_MEMSET";
        let damaged = [body, &footer, &length, b"PAR1"].concat();
        std::fs::write(folder.path().join(format!("{name}.parquet")), damaged).unwrap();
        let source = Source::open(folder.path(), &Arc::new(Progress::default())).unwrap();
        let export = Parquet::open(&source).unwrap();
        let error = export.scan(name, &["start"], &mut |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("it has 1002 rows and states 1152921504606846976"), "{error}");
    }
}
