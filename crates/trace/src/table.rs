//! What a table is: a name, a sentence, and documented columns.

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// 64-bit signed integer: counts, identifiers, nanoseconds, bytes.
    Int,
    /// 64-bit float: rates, ratios and counter values; never NaN.
    Float,
    /// UTF-8 text.
    Text,
    /// True or false.
    Bool,
}

impl DataType {
    /// The name shown in lists and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::Bool => "bool",
        }
    }
}

/// One column of a [`Table`]. Units live in the name (`start_ns`, `bytes_per_s`, `_ratio` in 0..1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name, the same in Parquet, JSON and CSV.
    pub name: &'static str,
    /// The type of its values.
    pub dtype: DataType,
    /// Whether a value may be absent (null).
    pub nullable: bool,
    /// What a value means.
    pub doc: &'static str,
}

impl Column {
    /// The same column with values that may be absent.
    #[must_use]
    pub const fn or_null(self) -> Self {
        Self { nullable: true, ..self }
    }

    const fn new(name: &'static str, dtype: DataType, doc: &'static str) -> Self {
        Self { name, dtype, nullable: false, doc }
    }
}

/// An integer column that is always present.
pub const fn int(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, DataType::Int, doc)
}

/// A float column that is always present.
pub const fn float(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, DataType::Float, doc)
}

/// A text column that is always present.
pub const fn text(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, DataType::Text, doc)
}

/// A boolean column that is always present.
pub const fn boolean(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, DataType::Bool, doc)
}

/// A table's schema as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name: also the stem of its Parquet file.
    pub name: &'static str,
    /// What one row is.
    pub doc: &'static str,
    /// The columns, in the order in which they are written.
    pub columns: &'static [Column],
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
