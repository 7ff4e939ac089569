//! The results of metrics, as plain columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use polars::prelude::DataFrame;
use proftool_analyze::metrics::find;
use proftool_analyze::{Input, METRICS, Metric, Rules, Window};
use proftool_trace::frame::{Tables, bools, check, floats, ints, texts};
use proftool_trace::table::{DataType, Table};

/// What one metric returned.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    pub(crate) table: &'static Table,
    pub(crate) rows: usize,
    ints: BTreeMap<&'static str, Vec<Option<i64>>>,
    floats: BTreeMap<&'static str, Vec<Option<f64>>>,
    texts: BTreeMap<&'static str, Vec<Option<String>>>,
    bools: BTreeMap<&'static str, Vec<Option<bool>>>,
}

impl Results {
    pub(crate) fn of(table: &'static Table, frame: &DataFrame) -> Self {
        check(table, frame).unwrap();
        let mut all = Self {
            table,
            rows: frame.height(),
            ints: BTreeMap::new(),
            floats: BTreeMap::new(),
            texts: BTreeMap::new(),
            bools: BTreeMap::new(),
        };
        for column in table.columns {
            let name = column.name;
            match column.dtype {
                DataType::Int => drop(all.ints.insert(name, ints(frame, name).unwrap())),
                DataType::Float => drop(all.floats.insert(name, floats(frame, name).unwrap())),
                DataType::Text => drop(all.texts.insert(name, texts(frame, name).unwrap())),
                DataType::Bool => drop(all.bools.insert(name, bools(frame, name).unwrap())),
            }
        }
        all
    }

    /// The result of a metric over the default windows.
    pub(crate) fn compute(tables: &Tables, metric: &str) -> Self {
        let input = Input::new("run", "target", tables, Window::Default);
        Self::from_input(&input, metric)
    }

    /// The same with other rules of classes.
    pub(crate) fn compute_with(tables: &Tables, metric: &str, rules: &Arc<Rules>) -> Self {
        let input = Input::new("run", "target", tables, Window::Default).with_rules(Some(Arc::clone(rules)));
        Self::from_input(&input, metric)
    }

    pub(crate) fn from_input(input: &Input, metric: &str) -> Self {
        let metric = find(metric).unwrap_or_else(|| panic!("no metric {metric}"));
        Self::of(metric.table, &(metric.compute)(input).unwrap())
    }

    pub(crate) fn int(&self, row: usize, column: &str) -> Option<i64> {
        self.ints.get(column).unwrap_or_else(|| panic!("no {column} in {}", self.table.name))[row]
    }

    pub(crate) fn float(&self, row: usize, column: &str) -> Option<f64> {
        self.floats.get(column).unwrap_or_else(|| panic!("no {column} in {}", self.table.name))[row]
    }

    pub(crate) fn text(&self, row: usize, column: &str) -> Option<&str> {
        self.texts.get(column).unwrap_or_else(|| panic!("no {column} in {}", self.table.name))[row].as_deref()
    }

    /// A value as text, for groups and messages.
    pub(crate) fn shown(&self, row: usize, column: &str) -> String {
        match self.table.column(column).unwrap().dtype {
            DataType::Int => format!("{:?}", self.int(row, column)),
            DataType::Float => format!("{:?}", self.float(row, column)),
            DataType::Text => format!("{:?}", self.text(row, column)),
            DataType::Bool => format!("{:?}", self.bools[column][row]),
        }
    }

    /// The only row for which that holds.
    pub(crate) fn only(&self, wanted: impl Fn(usize) -> bool) -> usize {
        let rows: Vec<usize> = (0..self.rows).filter(|row| wanted(*row)).collect();
        assert_eq!(rows.len(), 1, "rows of {} that are wanted: {rows:?}", self.table.name);
        rows[0]
    }

    /// The sum of a column, nulls as 0.
    pub(crate) fn sum(&self, column: &str) -> i64 {
        (0..self.rows).filter_map(|row| self.int(row, column)).sum()
    }
}

/// Every metric on one input: what it returned, or how it failed; a panic is caught, so that all that panic are seen.
pub(crate) fn all(input: &Input) -> impl Iterator<Item = (&'static Metric, Result<DataFrame, String>)> {
    METRICS.iter().map(move |metric| {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (metric.compute)(input)));
        let result = result.map_err(|_| "it panics".to_owned());
        (metric, result.and_then(|frame| frame.map_err(|error| error.to_string())))
    })
}
