//! Whole files through the importer: real ones against independent values, and malformed ones.

mod bad;
mod formulas;
mod pages;
mod published;
mod real;

use std::collections::BTreeMap;
use std::path::Path;

use proftool_trace::frame::{self, Tables};
use proftool_trace::tables;

use crate::Error;
use crate::fixture::import_bytes;

/// Launch, metric and formula of a counter.
type Key = (i64, String, Option<String>);

/// What was imported, by name instead of by number.
#[derive(Debug)]
pub(crate) struct Page {
    /// Value and base unit by launch, metric and formula.
    pub(crate) counters: BTreeMap<Key, (f64, Option<String>)>,
    rows: usize,
    tables: Tables,
}

impl Page {
    pub(crate) fn of(tables: Tables) -> Self {
        let text = |table, name| frame::texts(tables.get(table), name).unwrap();
        let int = |table, name| frame::ints(tables.get(table), name).unwrap();
        let (metrics, units) = (text(&tables::COUNTER_DEFS, "metric"), text(&tables::COUNTER_DEFS, "unit"));
        let formulas = text(&tables::COUNTER_DEFS, "formula_id");
        assert_eq!(int(&tables::COUNTER_DEFS, "def"), (0..metrics.len() as i64).map(Some).collect::<Vec<_>>());
        let (launch, def) = (int(&tables::COUNTERS, "launch"), int(&tables::COUNTERS, "def"));
        let values = frame::floats(tables.get(&tables::COUNTERS), "value").unwrap();
        let counters: BTreeMap<_, _> = (0..values.len())
            .map(|row| {
                let def = def[row].unwrap() as usize;
                let key = (launch[row].unwrap(), metrics[def].clone().unwrap(), formulas[def].clone());
                (key, (values[row].unwrap(), units[def].clone()))
            })
            .collect();
        Self { counters, rows: values.len(), tables }
    }

    pub(crate) fn read(path: &Path) -> Self {
        let (imported, tables) = crate::driver::into_memory(path).unwrap();
        assert_eq!(imported.importer, "ncu_csv");
        Self::of(tables)
    }

    fn text(text: &str) -> Self {
        Self::of(import_bytes("page.csv", text.as_bytes()).unwrap().1)
    }

    pub(crate) fn get(&self, launch: i64, metric: &str) -> f64 {
        self.counters[&(launch, metric.to_owned(), None)].0
    }

    fn display(&self, launch: i64, section: &str, metric: &str) -> (f64, Option<&str>) {
        let (value, unit) = &self.counters[&(launch, metric.to_owned(), Some(format!("section:{section}")))];
        (*value, unit.as_deref())
    }

    fn unit(&self, metric: &str) -> Option<&str> {
        let found = self.counters.iter().find(|((_, name, _), _)| name == metric);
        found.unwrap_or_else(|| panic!("{metric}")).1.1.as_deref()
    }

    pub(crate) fn launches(&self, column: &str) -> Vec<Option<String>> {
        frame::texts(self.tables.get(&tables::LAUNCHES), column).unwrap()
    }

    fn numbers(&self, column: &str) -> Vec<i64> {
        let numbers = frame::ints(self.tables.get(&tables::LAUNCHES), column).unwrap();
        numbers.into_iter().map(Option::unwrap).collect()
    }

    pub(crate) fn tool_version(&self) -> Option<String> {
        frame::texts(self.tables.get(&tables::COUNTER_DEFS), "tool_version").unwrap()[0].clone()
    }

    /// Severity and count of each issue by code.
    fn issues(&self) -> BTreeMap<String, (String, i64)> {
        let issues = self.tables.get(&tables::ISSUES);
        let text = |name| frame::texts(issues, name).unwrap().into_iter().map(Option::unwrap);
        let counts = frame::ints(issues, "count").unwrap().into_iter().map(Option::unwrap);
        text("code").zip(text("severity").zip(counts)).collect()
    }

    fn issue(&self, code: &str) -> (String, i64) {
        self.issues().remove(code).unwrap_or_else(|| panic!("{code} is not in {:?}", self.issues()))
    }
}

/// The rows of a page by an independent reader of the format, from its header on.
fn csv_rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let table: String = text
        .lines()
        .skip_while(|line| !line.contains("\"ID\",") && !line.starts_with("ID,"))
        .filter(|line| !line.starts_with("=="))
        .flat_map(|line| [line, "\n"])
        .collect();
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(table.as_bytes());
    reader.into_records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn column(rows: &[Vec<String>], name: &str) -> usize {
    rows[0].iter().position(|other| other == name).unwrap_or_else(|| panic!("no column {name}"))
}

fn message(text: impl AsRef<[u8]>) -> String {
    refused(text).to_string()
}

fn refused(text: impl AsRef<[u8]>) -> Error {
    import_bytes("page.csv", text.as_ref()).unwrap_err()
}
