//! Tables as polars frames and as Parquet files, their schema checked at both boundaries.

mod joined;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use polars::prelude::{
    AnyValue, BooleanChunked, Column, DataFrame, DataType as PolarsType, Field, Float64Chunked, Int64Chunked,
    ParquetReader, ParquetWriter, Schema, SerReader, StringChunked,
};

use crate::artifact::{Artifact, Error};
use crate::table::{DataType, Table};
use crate::tables;
use joined::Joined;

const REIMPORT: &str =
    "the artifact is not whole or not of this version; import its raw output again with `proftool import`";

fn polars_type(dtype: DataType) -> PolarsType {
    match dtype {
        DataType::Int => PolarsType::Int64,
        DataType::Float => PolarsType::Float64,
        DataType::Text => PolarsType::String,
        DataType::Bool => PolarsType::Boolean,
    }
}

fn mismatch(table: &Table, reason: impl Into<String>) -> Error {
    Error::Schema { table: table.name.to_owned(), path: None, reason: reason.into(), hint: REIMPORT }
}

fn at(path: &Path) -> impl Fn(Error) -> Error + '_ {
    move |error| match error {
        Error::Schema { table, reason, hint, .. } => Error::Schema { table, path: Some(path.to_owned()), reason, hint },
        other => other,
    }
}

/// A frame of that table without rows.
pub fn empty(table: &Table) -> DataFrame {
    let schema: Schema =
        table.columns.iter().map(|column| Field::new(column.name.into(), polars_type(column.dtype))).collect();
    DataFrame::empty_with_schema(&schema)
}

/// Checks that `frame` has exactly the table's columns, in order, of their types, with nulls only where allowed and no
/// NaN.
///
/// # Errors
/// [`Error::Schema`] with the first difference.
pub fn check(table: &Table, frame: &DataFrame) -> Result<(), Error> {
    let names: Vec<&str> = frame.columns().iter().map(|column| column.name().as_str()).collect();
    let wanted: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    if names != wanted {
        let missing: Vec<_> = wanted.iter().filter(|name| !names.contains(name)).collect();
        let unknown: Vec<_> = names.iter().filter(|name| !wanted.contains(name)).collect();
        return Err(mismatch(
            table,
            format!("columns differ from the schema (missing {missing:?}, unknown {unknown:?})"),
        ));
    }
    for (stated, column) in table.columns.iter().zip(frame.columns()) {
        if *column.dtype() != polars_type(stated.dtype) {
            return Err(mismatch(table, format!("{} is {}, not {}", stated.name, column.dtype(), stated.dtype.name())));
        }
        if !stated.nullable && column.null_count() > 0 {
            return Err(mismatch(table, format!("{} is null in {} rows", stated.name, column.null_count())));
        }
        if stated.dtype == DataType::Float && floats(frame, stated.name)?.into_iter().flatten().any(f64::is_nan) {
            return Err(mismatch(table, format!("{} holds NaN", stated.name)));
        }
    }
    Ok(())
}

/// Builds a checked frame from `columns` in any order; a nullable column that is not given is all null.
///
/// # Errors
/// [`Error::Schema`] when a column that may not be null is missing, or one is unknown or of the wrong type or length.
pub fn build(table: &Table, columns: Vec<Column>) -> Result<DataFrame, Error> {
    let height = columns.first().map_or(0, Column::len);
    let mut given: BTreeMap<String, Column> =
        columns.into_iter().map(|column| (column.name().to_string(), column)).collect();
    let mut ordered = Vec::with_capacity(table.columns.len());
    for stated in table.columns {
        match given.remove(stated.name) {
            Some(column) => ordered.push(column),
            None if stated.nullable || height == 0 => {
                ordered.push(Column::full_null(stated.name.into(), height, &polars_type(stated.dtype)));
            }
            None => return Err(mismatch(table, format!("column {} is missing", stated.name))),
        }
    }
    if let Some(name) = given.keys().next() {
        return Err(mismatch(table, format!("column {name} is unknown")));
    }
    let frame = DataFrame::new(height, ordered).map_err(|error| mismatch(table, error.to_string()))?;
    check(table, &frame)?;
    Ok(frame)
}

/// A column of integers, nulls allowed.
pub fn int_column(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Column {
    let values: Int64Chunked = values.into_iter().collect();
    Column::from(polars::prelude::IntoSeries::into_series(values.with_name(name.into())))
}

/// A column of floats, nulls allowed. A value that is not finite becomes null: no NaN leaves a metric.
pub fn float_column(name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Column {
    let values: Float64Chunked = values.into_iter().map(|value| value.filter(|value| value.is_finite())).collect();
    Column::from(polars::prelude::IntoSeries::into_series(values.with_name(name.into())))
}

/// A column of text, nulls allowed.
pub fn text_column<S: AsRef<str>>(name: &str, values: impl IntoIterator<Item = Option<S>>) -> Column {
    let values: StringChunked = values.into_iter().collect();
    Column::from(polars::prelude::IntoSeries::into_series(values.with_name(name.into())))
}

/// A column of booleans, nulls allowed.
pub fn bool_column(name: &str, values: impl IntoIterator<Item = Option<bool>>) -> Column {
    let values: BooleanChunked = values.into_iter().collect();
    Column::from(polars::prelude::IntoSeries::into_series(values.with_name(name.into())))
}

fn column<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Column, Error> {
    frame.column(name).map_err(|_| Error::Schema {
        table: "frame".to_owned(),
        path: None,
        reason: format!("column {name} is missing"),
        hint: REIMPORT,
    })
}

fn wrong_type(name: &str) -> Error {
    Error::Schema {
        table: "frame".to_owned(),
        path: None,
        reason: format!("column {name} has another type"),
        hint: REIMPORT,
    }
}

/// The integers of a column.
///
/// # Errors
/// [`Error::Schema`] when it is absent or of another type.
pub fn ints(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>, Error> {
    Ok(column(frame, name)?.i64().map_err(|_| wrong_type(name))?.iter().collect())
}

/// The floats of a column.
///
/// # Errors
/// [`Error::Schema`] when it is absent or of another type.
pub fn floats(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>, Error> {
    Ok(column(frame, name)?.f64().map_err(|_| wrong_type(name))?.iter().collect())
}

/// The texts of a column.
///
/// # Errors
/// [`Error::Schema`] when it is absent or of another type.
pub fn texts(frame: &DataFrame, name: &str) -> Result<Vec<Option<String>>, Error> {
    let values = column(frame, name)?.str().map_err(|_| wrong_type(name))?;
    Ok(values.iter().map(|value| value.map(str::to_owned)).collect())
}

/// The booleans of a column.
///
/// # Errors
/// [`Error::Schema`] when it is absent or of another type.
pub fn bools(frame: &DataFrame, name: &str) -> Result<Vec<Option<bool>>, Error> {
    Ok(column(frame, name)?.bool().map_err(|_| wrong_type(name))?.iter().collect())
}

/// One value of a frame as JSON: absent is null.
pub fn json_value(value: &AnyValue<'_>) -> serde_json::Value {
    match value {
        AnyValue::Boolean(value) => (*value).into(),
        AnyValue::Int64(value) => (*value).into(),
        AnyValue::Float64(value) => serde_json::Number::from_f64(*value).map_or(serde_json::Value::Null, Into::into),
        AnyValue::String(value) => (*value).into(),
        AnyValue::StringOwned(value) => value.as_str().into(),
        _ => serde_json::Value::Null,
    }
}

/// The rows of a frame as JSON objects, one key a column.
pub fn json_rows(frame: &DataFrame) -> Vec<serde_json::Map<String, serde_json::Value>> {
    let value = |column: &Column, row| column.get(row).map_or(serde_json::Value::Null, |value| json_value(&value));
    (0..frame.height())
        .map(|row| frame.columns().iter().map(|column| (column.name().to_string(), value(column, row))).collect())
        .collect()
}

/// Writes a checked frame to `<folder>/<table>.parquet`, whole or not at all, and returns the file.
///
/// # Errors
/// [`Error::Schema`] when the frame is not of the table, [`Error::Io`] when the file cannot be written.
pub fn write(table: &Table, frame: &DataFrame, folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(format!("{}.parquet", table.name));
    check(table, frame).map_err(at(&path))?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .finish(&mut frame.clone())
        .map_err(|error| Error::io("cannot encode", &path, std::io::Error::other(error.to_string())))?;
    crate::artifact::write_whole(&path, &bytes)?;
    Ok(path)
}

/// Reads `<folder>/<table>.parquet`; a file that is absent is a table without rows.
///
/// # Errors
/// [`Error::Schema`] when the file is damaged or not of the table, [`Error::Io`] when it cannot be opened.
pub fn read(table: &Table, folder: &Path) -> Result<DataFrame, Error> {
    let path = folder.join(format!("{}.parquet", table.name));
    if !path.exists() {
        return Ok(empty(table));
    }
    if let Some(frame) = read_joined(table, &path)? {
        return Ok(frame);
    }
    let frame = known_columns(table, read_any(&path)?);
    check(table, &frame).map_err(at(&path))?;
    Ok(frame)
}

/// Reads the table piece by piece, so that what is not kept takes no memory; `None` where the file is damaged or not of
/// the table, for [`check`] to say how.
fn read_joined(table: &Table, path: &Path) -> Result<Option<DataFrame>, Error> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let Ok(pieces) = Pieces::open(table, path) else { return Ok(None) };
    let mut columns: Vec<Joined> = names.iter().map(|_| Joined::default()).collect();
    for first in (0..pieces.rows).step_by(PIECE_ROWS) {
        let Ok(piece) = pieces.read(first, &names) else { return Ok(None) };
        for (name, joined) in names.iter().zip(&mut columns) {
            let pushed = piece.column(name).and_then(|column| std::mem::take(joined).push(column));
            *joined = pushed.map_err(|error| at(path)(mismatch(table, error.to_string())))?;
        }
    }
    let columns: Option<Vec<Column>> =
        columns.into_iter().zip(&names).map(|(column, name)| column.finish(name)).collect();
    let frame = columns.and_then(|columns| DataFrame::new(pieces.rows, columns).ok());
    Ok(frame.filter(|frame| check(table, frame).is_ok()))
}

/// The columns of the table, in its order: a newer minor version may have added others. Where one is missing the frame
/// stays as it is, for [`check`] to say so.
fn known_columns(table: &Table, frame: DataFrame) -> DataFrame {
    frame.select(table.columns.iter().map(|column| column.name)).unwrap_or(frame)
}

/// Reads any Parquet file, its schema unchecked.
///
/// # Errors
/// [`Error::Schema`] when the file is damaged, [`Error::Io`] when it cannot be opened.
pub fn read_any(path: &Path) -> Result<DataFrame, Error> {
    let file = File::open(path).map_err(|error| Error::io("cannot read", path, error))?;
    ParquetReader::new(file).finish().map_err(|error| Error::Schema {
        table: path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        path: Some(path.to_owned()),
        reason: format!("it is no readable Parquet file ({error})"),
        hint: REIMPORT,
    })
}

/// Reads a table's Parquet file in pieces of bounded size and hands each to `take`.
///
/// # Errors
/// [`Error::Schema`] when the file is damaged or not of the table, [`Error::Io`] when it cannot be opened, and what
/// `take` returns.
pub fn read_groups(
    table: &Table,
    path: &Path,
    mut take: impl FnMut(DataFrame) -> Result<(), Error>,
) -> Result<(), Error> {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let pieces = Pieces::open(table, path)?;
    for first in (0..pieces.rows).step_by(PIECE_ROWS) {
        let piece = pieces.read(first, &columns)?;
        check(table, &piece).map_err(at(path))?;
        take(piece)?;
    }
    Ok(())
}

/// A table's file whose metadata was read once, for reading pieces of it.
struct Pieces<'a> {
    table: &'a Table,
    path: &'a Path,
    metadata: polars::prelude::FileMetadataRef,
    rows: usize,
}

impl<'a> Pieces<'a> {
    fn open(table: &'a Table, path: &'a Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| Error::io("cannot read", path, error))?;
        let damaged = |error: polars::prelude::PolarsError| at(path)(mismatch(table, error.to_string()));
        let mut reader = ParquetReader::new(file);
        let metadata = reader.get_metadata().map_err(damaged)?.clone();
        let rows = metadata.num_rows;
        Ok(Self { table, path, metadata, rows })
    }

    /// The rows from `first` on, of those columns, each of the type that the table states.
    fn read(&self, first: usize, columns: &[&str]) -> Result<DataFrame, Error> {
        let damaged = |reason: String| at(self.path)(mismatch(self.table, reason));
        let file = File::open(self.path).map_err(|error| Error::io("cannot read", self.path, error))?;
        let mut reader = ParquetReader::new(file)
            .with_slice(Some((first, PIECE_ROWS)))
            .with_columns(Some(columns.iter().map(|name| (*name).to_owned()).collect()));
        reader.set_metadata(self.metadata.clone());
        let piece = reader.finish().map_err(|error| damaged(error.to_string()))?;
        // A footer that states more rows than there are would otherwise end the table early, unnoticed.
        if piece.height() != PIECE_ROWS.min(self.rows - first) {
            return Err(damaged(format!("it ends at row {}, its footer states {}", first + piece.height(), self.rows)));
        }
        for column in piece.columns() {
            let stated = self.table.columns.iter().find(|stated| stated.name == column.name().as_str());
            if !stated.is_some_and(|stated| *column.dtype() == polars_type(stated.dtype)) {
                return Err(damaged(format!("{} is {}", column.name(), column.dtype())));
            }
            if stated.is_some_and(|stated| !stated.nullable) && column.null_count() > 0 {
                return Err(damaged(format!("{} is null in {} rows", column.name(), column.null_count())));
            }
        }
        Ok(piece)
    }
}

/// The frame with `pass` in every row of its column `pass`.
///
/// # Errors
/// [`Error::Schema`] when the frame has no such column.
pub fn with_pass(mut frame: DataFrame, pass: &str) -> Result<DataFrame, Error> {
    let name = polars::prelude::PlSmallStr::from("pass");
    let column = Column::new_scalar(name, polars::prelude::PlSmallStr::from(pass).into(), frame.height());
    frame.with_column(column).map_err(|error| Error::Schema {
        table: "frame".to_owned(),
        path: None,
        reason: error.to_string(),
        hint: REIMPORT,
    })?;
    Ok(frame)
}

/// Tables that [`Tables::read`] leaves on disk: one counter page can hold more values than fit in memory.
const STREAMED: &[&Table] = &[&tables::COUNTERS];

/// Rows of a table read in pieces that are in memory at a time: a row group as the sink writes it. Larger pieces take memory
/// that the allocator hands back and asks for again each time.
const PIECE_ROWS: usize = 1 << 17;

/// The canonical tables of one artifact, each checked against its schema. A table that was not written is empty.
///
/// The table `counters` of an artifact stays on disk: [`Tables::get`] returns it empty, [`Tables::pieces`] reads it.
#[derive(Clone, Debug)]
pub struct Tables {
    frames: BTreeMap<&'static str, DataFrame>,
    on_disk: BTreeMap<&'static str, PathBuf>,
}

impl Default for Tables {
    fn default() -> Self {
        let frames = tables::ALL.iter().map(|table| (table.name, empty(table))).collect();
        Self { frames, on_disk: BTreeMap::new() }
    }
}

impl Tables {
    /// Reads every table that the artifact's manifest lists; the others are empty.
    ///
    /// # Errors
    /// As [`read`]; also [`Error::Schema`] when a listed table is missing or has another number of rows than stated.
    pub fn read(artifact: &Artifact) -> Result<Self, Error> {
        let folder = artifact.tables_dir();
        let mut all = Self::default();
        for stated in &artifact.manifest.tables {
            // A table that this version does not know was added by a newer minor version.
            let Some(table) = tables::find(&stated.name) else { continue };
            let path = folder.join(format!("{}.parquet", table.name));
            let streamed = STREAMED.iter().any(|other| other.name == table.name) && path.exists();
            let rows = if streamed {
                all.on_disk.insert(table.name, path.clone());
                Pieces::open(table, &path)?.rows
            } else {
                let frame = read(table, &folder)?;
                let rows = frame.height();
                all.frames.insert(table.name, frame);
                rows
            };
            if rows as u64 != stated.rows {
                let reason = format!("it holds {rows} rows, the manifest states {}", stated.rows);
                return Err(at(&path)(mismatch(table, reason)));
            }
        }
        Ok(all)
    }

    /// Hands those columns of a table to `take`, in the order of the rows, in pieces of bounded size.
    ///
    /// # Errors
    /// [`Error::Schema`] when the file is damaged or lacks a column, [`Error::Io`] when it cannot be opened, and what
    /// `take` returns.
    pub fn pieces<E: From<Error>>(
        &self,
        table: &Table,
        columns: &[&str],
        mut take: impl FnMut(&DataFrame) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(path) = self.on_disk.get(table.name) else {
            let chosen = self.get(table).select(columns.iter().copied());
            return take(&chosen.map_err(|error| mismatch(table, error.to_string()))?);
        };
        let pieces = Pieces::open(table, path)?;
        for first in (0..pieces.rows).step_by(PIECE_ROWS) {
            take(&pieces.read(first, columns)?)?;
        }
        Ok(())
    }

    /// Writes every table in memory that has rows; returns name and row count of each. Tables that were left on disk are
    /// not written again.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn write(&self, folder: &Path) -> Result<Vec<crate::manifest::TableRows>, Error> {
        let mut rows = Vec::new();
        for table in tables::ALL {
            let frame = self.get(table);
            if frame.height() > 0 {
                write(table, frame, folder)?;
                rows.push(crate::manifest::TableRows { name: table.name.to_owned(), rows: frame.height() as u64 });
            }
        }
        Ok(rows)
    }

    /// The frame of a table.
    pub fn get(&self, table: &Table) -> &DataFrame {
        &self.frames[table.name]
    }

    /// Replaces the frame of a table.
    ///
    /// # Errors
    /// [`Error::Schema`] when the frame is not of the table.
    pub fn set(&mut self, table: &'static Table, frame: DataFrame) -> Result<(), Error> {
        check(table, &frame)?;
        self.on_disk.remove(table.name);
        self.frames.insert(table.name, frame);
        Ok(())
    }

    /// Appends rows to a table.
    ///
    /// # Errors
    /// [`Error::Schema`] when the frame is not of the table.
    pub fn append(&mut self, table: &'static Table, frame: &DataFrame) -> Result<(), Error> {
        check(table, frame)?;
        let whole = self.frames.entry(table.name).or_insert_with(|| empty(table));
        let stacked = whole.vstack(frame).map_err(|error| mismatch(table, error.to_string()))?;
        *whole = stacked;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues() -> Vec<Column> {
        vec![
            text_column("pass", [Some("host")]),
            int_column("rank", [Some(0)]),
            int_column("device", [Some(1)]),
            int_column("queue", [Some(2)]),
        ]
    }

    #[test]
    fn every_table_round_trips_empty_and_an_absent_file_is_empty() {
        let place = tempfile::tempdir().expect("a temporary folder");
        for table in tables::ALL {
            write(table, &empty(table), place.path()).expect("it can be written");
            assert_eq!(read(table, place.path()).expect("it can be read"), empty(table));
        }
        assert_eq!(read(&tables::QUEUES, &place.path().join("nowhere")).expect("absent is empty").height(), 0);
    }

    #[test]
    fn columns_that_may_be_null_are_filled_in_and_others_are_demanded() {
        let frame = build(&tables::QUEUES, queues()).expect("role and priority may be null");
        assert_eq!(texts(&frame, "role").expect("text"), [None]);
        let error = build(&tables::QUEUES, queues().split_off(1)).expect_err("pass is missing").to_string();
        assert!(error.contains("pass"), "{error}");
    }

    #[test]
    fn a_null_a_wrong_type_an_unknown_column_and_nan_are_refused() {
        let with = |column: Column| {
            let mut columns = queues();
            columns.retain(|known| known.name() != column.name());
            columns.push(column);
            build(&tables::QUEUES, columns)
        };
        assert!(with(int_column("device", [None])).is_err());
        assert!(with(text_column("device", [Some("1")])).is_err());
        assert!(with(int_column("unknown", [Some(1)])).is_err());
        let nan = Column::new("value".into(), [f64::NAN]);
        let counters = vec![
            text_column("pass", [Some("host")]),
            int_column("rank", [Some(0)]),
            int_column("launch", [Some(0)]),
            int_column("def", [Some(0)]),
            nan,
        ];
        assert!(build(&tables::COUNTERS, counters).is_err());
    }

    #[test]
    fn columns_that_a_newer_minor_version_added_are_passed_over() {
        let mut frame = build(&tables::QUEUES, queues()).expect("a frame");
        frame.with_column(int_column("added_later", [Some(1)])).expect("a column can be added");
        assert_eq!(known_columns(&tables::QUEUES, frame), build(&tables::QUEUES, queues()).expect("a frame"));
    }

    #[test]
    fn pieces_of_a_table_in_memory_and_on_disk_are_its_rows() {
        let rows = PIECE_ROWS + 3;
        let numbers = || (0..rows as i64).map(Some);
        let columns = vec![
            text_column("pass", std::iter::repeat_n(Some("ncu"), rows)),
            int_column("rank", std::iter::repeat_n(Some(0), rows)),
            int_column("launch", numbers()),
            int_column("def", std::iter::repeat_n(Some(1), rows)),
            float_column("value", numbers().map(|number| number.map(|number| number as f64))),
        ];
        let mut in_memory = Tables::default();
        in_memory.set(&tables::COUNTERS, build(&tables::COUNTERS, columns).expect("a frame")).expect("of the table");
        let place = tempfile::tempdir().expect("a temporary folder");
        let path = write(&tables::COUNTERS, in_memory.get(&tables::COUNTERS), place.path()).expect("written");
        let on_disk = Tables { on_disk: [(tables::COUNTERS.name, path)].into(), ..Tables::default() };
        for (tables, pieces) in [(&in_memory, 1), (&on_disk, 2)] {
            let (mut seen, mut next) = (0, 0);
            tables
                .pieces(&crate::tables::COUNTERS, &["launch", "value"], |piece| {
                    for launch in ints(piece, "launch")? {
                        assert_eq!(launch, Some(next));
                        next += 1;
                    }
                    seen += 1;
                    Ok::<(), Error>(())
                })
                .expect("it can be read");
            assert_eq!((seen, next), (pieces, rows as i64));
        }
        let unknown = on_disk.pieces(&tables::COUNTERS, &["unknown"], |_| Ok::<(), Error>(()));
        assert!(unknown.expect_err("no such column").to_string().contains("counters.parquet"));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let place = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(place.path().join("queues.parquet"), b"PAR1").expect("written");
        let error = read(&tables::QUEUES, place.path()).expect_err("it is damaged").to_string();
        assert!(error.contains("queues.parquet"), "{error}");
    }
}
