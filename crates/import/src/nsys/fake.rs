//! An export in memory, for tests of the mapping.

use std::collections::BTreeMap;
use std::sync::Arc;

use proftool_trace::frame::Tables;
use proftool_trace::sink::{Filled, Sink};

use super::export::{Cell, Each, Export, Row};
use crate::Error;
use crate::raw::{Import, Progress, Source};

/// One value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Real(f64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

#[derive(Debug, Default)]
struct Table {
    columns: Vec<String>,
    rows: Vec<BTreeMap<String, Value>>,
}

/// Tables in memory.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    tables: BTreeMap<String, Table>,
}

impl Fake {
    /// Appends a row; columns come into being with their first value.
    pub(crate) fn row(&mut self, table: &str, values: &[(&str, Value)]) {
        let table = self.tables.entry(table.to_owned()).or_default();
        let mut row = BTreeMap::new();
        for (column, value) in values {
            if !table.columns.iter().any(|known| known == column) {
                table.columns.push((*column).to_owned());
            }
            row.insert((*column).to_owned(), value.clone());
        }
        table.rows.push(row);
    }

    /// Adds a column without a value.
    pub(crate) fn column(&mut self, table: &str, column: &str) {
        self.tables.entry(table.to_owned()).or_default().columns.push(column.to_owned());
    }

    /// Imports it.
    pub(crate) fn import(&self) -> Result<Tables, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fake");
        std::fs::write(&path, "fake").unwrap();
        let source = Source::open(&path, &Arc::new(Progress::default())).unwrap();
        let mut import = Import::new("fake", &source, Sink::memory("nsys", 0));
        super::import(self, &source, &mut import)?;
        let (sink, _) = import.finish()?;
        match sink.finish()? {
            Filled::Tables(tables) => Ok(*tables),
            Filled::Files(_) => unreachable!("the sink is one in memory"),
        }
    }
}

impl Export for Fake {
    fn columns(&self, table: &str) -> Option<&[String]> {
        self.tables.get(table).map(|table| table.columns.as_slice())
    }

    fn scan(&self, table: &str, wanted: &[&str], each: Each<'_>) -> Result<(), Error> {
        let Some(table) = self.tables.get(table) else { return Ok(()) };
        if !wanted.iter().any(|column| table.columns.iter().any(|known| known == column)) {
            return Ok(());
        }
        for (number, row) in table.rows.iter().enumerate() {
            let cells: Vec<Cell<'_>> = wanted
                .iter()
                .map(|column| match row.get(*column) {
                    None => Cell::Null,
                    Some(Value::Int(value)) => Cell::Int(*value),
                    Some(Value::Real(value)) => Cell::Real(*value),
                    Some(Value::Text(text)) => Cell::Text(text.as_bytes()),
                })
                .collect();
            each(&Row::new(number as u64, &cells))?;
        }
        Ok(())
    }
}
