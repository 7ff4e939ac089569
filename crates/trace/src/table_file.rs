//! One Parquet file of a table that grows by row groups.
//!
//! polars' own writer guesses an encoding a column by estimating its cardinality and building a dictionary; for tables
//! whose columns are known that guess costs more than the writing. Here times, identifiers and counts are stored as
//! differences, floats as they are, texts through a dictionary, and `pass` and `rank` as one value.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use polars::prelude::{CompatLevel, DataFrame, DataType, PolarsError, PolarsResult, SchemaExt};
use polars_arrow::array::{Array, DictionaryArray, PrimitiveArray};
use polars_parquet::read::ParquetError;
use polars_parquet::write::{
    CompressedPage, CompressionOptions, Compressor, DynIter, DynStreamingIterator, Encoding, FallibleStreamingIterator,
    FileWriter, ParquetType, StatisticsOptions, Version, WriteOptions, array_to_columns,
};

use crate::artifact::Error;
use crate::frame;
use crate::table::Table;

/// The columns `pass` and `rank`, which hold one value in every row of a group.
const CONSTANT: usize = 2;

type Pages = DynStreamingIterator<'static, CompressedPage, PolarsError>;

/// The file, open for more row groups.
pub(crate) struct TableFile {
    path: PathBuf,
    writer: FileWriter<BufWriter<File>>,
    fields: Vec<ParquetType>,
    options: WriteOptions,
}

impl TableFile {
    /// Creates `<folder>/<table>.parquet`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be created.
    pub(crate) fn create(table: &'static Table, folder: &Path) -> Result<Self, Error> {
        let path = folder.join(format!("{}.parquet", table.name));
        let file = File::create(&path).map_err(|error| Error::io("cannot create", &path, error))?;
        let options = WriteOptions {
            statistics: StatisticsOptions::empty(),
            version: Version::V1,
            // LZ4 costs a tenth of zstd's CPU time; the tables can be made again from `raw/` at any time.
            compression: CompressionOptions::Lz4Raw,
            data_page_size: None,
        };
        let schema = frame::empty(table).schema().to_arrow(CompatLevel::newest());
        let writer = FileWriter::try_new(BufWriter::with_capacity(1 << 20, file), schema, options)
            .map_err(|error| unwritten(&path, &error))?;
        let fields = writer.parquet_schema().fields().to_vec();
        Ok(Self { path, writer, fields, options })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a frame of the table as one row group; its columns `pass` and `rank` hold one value.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub(crate) fn write(&mut self, frame: &DataFrame) -> Result<(), Error> {
        if frame.height() == 0 {
            return Ok(());
        }
        self.row_group(frame).map_err(|error| unwritten(&self.path, &error))
    }

    fn row_group(&mut self, frame: &DataFrame) -> PolarsResult<()> {
        let mut columns = Vec::with_capacity(self.fields.len());
        for (index, (column, field)) in frame.columns().iter().zip(&self.fields).enumerate() {
            let (array, encoding) = if index < CONSTANT {
                (constant(column, frame.height())?, Encoding::RleDictionary)
            } else {
                let whole = column.as_materialized_series().rechunk();
                (whole.to_arrow(0, CompatLevel::newest()), encoding(column.dtype()))
            };
            for pages in array_to_columns(array, field.clone(), self.options, &[encoding])? {
                let pages =
                    pages.map(|page| page.map_err(|error| ParquetError::FeatureNotSupported(error.to_string())));
                let compressor = Compressor::new_from_vec(DynIter::new(pages), self.options.compression, vec![]);
                columns
                    .push(Ok::<Pages, PolarsError>(DynStreamingIterator::new(compressor.map_err(PolarsError::from))));
            }
        }
        self.writer.write(frame.height() as u64, DynIter::new(columns.into_iter()))
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.writer.end(None).map_err(|error| unwritten(&self.path, &error))?;
        self.writer.into_inner().flush().map_err(|error| Error::io("cannot write", &self.path, error))
    }
}

/// A column of one value as a dictionary with one entry.
fn constant(column: &polars::prelude::Column, rows: usize) -> PolarsResult<Box<dyn Array>> {
    let value = column.slice(0, 1).as_materialized_series().rechunk().to_arrow(0, CompatLevel::newest());
    let keys = PrimitiveArray::<u32>::from_vec(vec![0; rows]);
    Ok(Box::new(DictionaryArray::try_from_keys(keys, value, false)?))
}

fn encoding(dtype: &DataType) -> Encoding {
    match dtype {
        DataType::Int64 => Encoding::DeltaBinaryPacked,
        DataType::String => Encoding::RleDictionary,
        _ => Encoding::Plain,
    }
}

fn unwritten(path: &Path, error: &PolarsError) -> Error {
    Error::io("cannot write", path, std::io::Error::other(error.to_string()))
}
