//! Rows of one table, gathered column by column until they are written as one row group.

use polars::prelude::{
    BooleanChunked, Column, DataFrame, Float64Chunked, Int64Chunked, IntoColumn, PlSmallStr, Scalar, StringChunked,
};
use polars_arrow::array::{BooleanArray, MutableBinaryViewArray};
use polars_arrow::bitmap::{Bitmap, MutableBitmap};
use polars_arrow::datatypes::ArrowDataType;

use crate::artifact::Error;
use crate::frame;
use crate::table::{DataType, Table};

/// Rows of one table, one growing vector a column.
pub struct Batch {
    table: &'static Table,
    rows: usize,
    text_bytes: usize,
    columns: Vec<Cells>,
}

/// The values of one column; no validity is kept until a first value is absent or present.
enum Cells {
    Int(Vec<i64>, Validity),
    Float(Vec<f64>, Validity),
    Bool(MutableBitmap, Validity),
    Text(MutableBinaryViewArray<str>),
}

/// Which values of a column are present.
enum Validity {
    /// All of them so far, or none: columns that a format does not know stay here.
    All(bool),
    /// One bit a value.
    Some(MutableBitmap),
}

impl Validity {
    #[inline]
    fn push(&mut self, before: usize, present: bool) {
        match self {
            Self::All(all) if before == 0 => *all = present,
            Self::All(all) if *all == present => {}
            Self::All(all) => {
                let mut bits = MutableBitmap::new();
                bits.extend_constant(before, *all);
                bits.push(present);
                *self = Self::Some(bits);
            }
            Self::Some(bits) => bits.push(present),
        }
    }

    /// The bits of `rows` values; `None` where all are present.
    fn freeze(self, rows: usize) -> Option<Bitmap> {
        match self {
            Self::All(true) => None,
            Self::All(false) => Some(Bitmap::new_zeroed(rows)),
            Self::Some(bits) => Some(bits.into()),
        }
    }
}

impl Batch {
    /// An empty batch of that table; rows hold the columns after `pass` and `rank`.
    pub(crate) fn new(table: &'static Table) -> Self {
        let cells = |dtype| match dtype {
            DataType::Int => Cells::Int(Vec::new(), Validity::All(true)),
            DataType::Float => Cells::Float(Vec::new(), Validity::All(true)),
            DataType::Bool => Cells::Bool(MutableBitmap::new(), Validity::All(true)),
            DataType::Text => Cells::Text(MutableBinaryViewArray::new()),
        };
        let columns = table.columns[2..].iter().map(|column| cells(column.dtype)).collect();
        Self { table, rows: 0, text_bytes: 0, columns }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of text, as a bound for the memory that the batch holds.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The place for one more row's cells.
    #[inline]
    pub(crate) fn cells(&mut self) -> RowCells<'_> {
        let before = self.rows;
        self.rows += 1;
        RowCells { columns: self.columns.iter_mut(), before, text_bytes: &mut self.text_bytes }
    }

    /// The rows as a checked frame with `pass` and `rank` before them; the batch is empty afterwards.
    ///
    /// # Errors
    /// [`Error::Schema`] when a float is NaN.
    pub(crate) fn take(&mut self, pass: &str, rank: i64) -> Result<DataFrame, Error> {
        let whole = std::mem::replace(self, Self::new(self.table));
        let rows = whole.rows;
        let mut columns = vec![
            Column::new_scalar("pass".into(), Scalar::from(PlSmallStr::from(pass)), rows),
            Column::new_scalar("rank".into(), Scalar::from(rank), rows),
        ];
        let stated = self.table.columns[2..].iter();
        columns.extend(stated.zip(whole.columns).map(|(column, cells)| cells.freeze(column.name, rows)));
        frame::build(self.table, columns)
    }
}

impl Cells {
    fn freeze(self, name: &str, rows: usize) -> Column {
        let name = name.into();
        match self {
            Self::Int(values, validity) => {
                Int64Chunked::from_vec_validity(name, values, validity.freeze(rows)).into_column()
            }
            Self::Float(values, validity) => {
                Float64Chunked::from_vec_validity(name, values, validity.freeze(rows)).into_column()
            }
            Self::Bool(values, validity) => {
                let array = BooleanArray::new(ArrowDataType::Boolean, values.into(), validity.freeze(rows));
                BooleanChunked::with_chunk(name, array).into_column()
            }
            Self::Text(values) => StringChunked::with_chunk(name, values.into()).into_column(),
        }
    }
}

/// Takes the cells of one row, in the order of the columns.
pub(crate) struct RowCells<'a> {
    columns: std::slice::IterMut<'a, Cells>,
    before: usize,
    text_bytes: &'a mut usize,
}

/// A cell of another type than its column: the test of `rows` rules that out.
const MISPLACED: &str = "the fields of a row are the columns of its table";

impl RowCells<'_> {
    #[inline]
    pub(crate) fn int(&mut self, value: i64) {
        self.opt_int(Some(value));
    }

    #[inline]
    pub(crate) fn opt_int(&mut self, value: Option<i64>) {
        let Some(Cells::Int(values, validity)) = self.columns.next() else { unreachable!("{MISPLACED}") };
        values.push(value.unwrap_or(0));
        validity.push(self.before, value.is_some());
    }

    #[inline]
    pub(crate) fn float(&mut self, value: f64) {
        self.opt_float(Some(value));
    }

    /// A value that is not finite becomes null.
    #[inline]
    pub(crate) fn opt_float(&mut self, value: Option<f64>) {
        let Some(Cells::Float(values, validity)) = self.columns.next() else { unreachable!("{MISPLACED}") };
        let value = value.filter(|value| value.is_finite());
        values.push(value.unwrap_or(0.0));
        validity.push(self.before, value.is_some());
    }

    #[inline]
    pub(crate) fn boolean(&mut self, value: bool) {
        let Some(Cells::Bool(values, validity)) = self.columns.next() else { unreachable!("{MISPLACED}") };
        values.push(value);
        validity.push(self.before, true);
    }

    #[inline]
    pub(crate) fn text(&mut self, value: &str) {
        self.opt_text(Some(value));
    }

    #[inline]
    pub(crate) fn opt_text(&mut self, value: Option<&str>) {
        let Some(Cells::Text(values)) = self.columns.next() else { unreachable!("{MISPLACED}") };
        *self.text_bytes += value.map_or(0, str::len);
        values.push(value);
    }
}
