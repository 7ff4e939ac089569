//! Tables written by hand, row by row; what a row does not state has the least value that its column allows.

use std::collections::BTreeMap;

use proftool_trace::frame::{Tables, bool_column, build, float_column, int_column, text_column};
use proftool_trace::table::{DataType, Table};
use proftool_trace::tables;

/// A value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Float(f64),
    Text(String),
    Bool(bool),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

type Row = BTreeMap<&'static str, Value>;

/// The tables of one pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    rows: BTreeMap<&'static str, Vec<Row>>,
    last: &'static str,
}

impl Scene {
    /// Adds a row.
    pub(crate) fn row<const N: usize>(mut self, table: &'static Table, values: [(&'static str, Value); N]) -> Self {
        self.last = table.name;
        self.rows.entry(table.name).or_default().push(values.into_iter().collect());
        self
    }

    /// Changes the row that was added last.
    pub(crate) fn with(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        let rows = self.rows.get_mut(self.last).expect("a row was added");
        rows.last_mut().expect("a row was added").insert(column, value.into());
        self
    }

    /// Number of rows of a table.
    pub(crate) fn count(&self, table: &Table) -> i64 {
        self.rows.get(table.name).map_or(0, Vec::len) as i64
    }

    /// An activity on a rank, device and queue; its id is its place.
    pub(crate) fn activity(self, kind: &str, name: &str, at: [i64; 3], span: (i64, i64)) -> Self {
        let id = self.count(&tables::ACTIVITIES);
        self.row(
            &tables::ACTIVITIES,
            [
                ("rank", at[0].into()),
                ("id", id.into()),
                ("process", (100 + at[0]).into()),
                ("device", at[1].into()),
                ("queue", at[2].into()),
                ("kind", kind.into()),
                ("name", name.into()),
                ("start_ns", span.0.into()),
                ("end_ns", span.1.into()),
            ],
        )
    }

    /// A kernel of rank 0, device 0.
    pub(crate) fn kernel(self, queue: i64, span: (i64, i64)) -> Self {
        self.activity("kernel", "gemm", [0, 0, queue], span)
    }

    /// A call of a rank on a thread; its id is its place.
    pub(crate) fn call(self, name: &str, [rank, thread]: [i64; 2], span: (i64, i64)) -> Self {
        let id = self.count(&tables::CALLS);
        let api = if name.starts_with("aten") { "op" } else { "runtime" };
        self.row(
            &tables::CALLS,
            [
                ("rank", rank.into()),
                ("id", id.into()),
                ("process", (100 + rank).into()),
                ("thread", thread.into()),
                ("api", api.into()),
                ("name", name.into()),
                ("start_ns", span.0.into()),
                ("end_ns", span.1.into()),
            ],
        )
    }

    /// The activity that was added last, launched by a new call of its rank.
    pub(crate) fn launched(self, name: &str, at: [i64; 2], span: (i64, i64)) -> Self {
        let id = self.count(&tables::CALLS);
        self.with("call", id).call(name, at, span)
    }

    /// A range of a rank on a thread, without an end where `span.1` is none.
    pub(crate) fn range(self, name: &str, [rank, thread]: [i64; 2], span: (i64, Option<i64>)) -> Self {
        let id = self.count(&tables::RANGES);
        let scene = self.row(
            &tables::RANGES,
            [
                ("rank", rank.into()),
                ("id", id.into()),
                ("process", (100 + rank).into()),
                ("thread", thread.into()),
                ("name", name.into()),
                ("style", "push_pop".into()),
                ("start_ns", span.0.into()),
            ],
        );
        match span.1 {
            Some(end) => scene.with("end_ns", end),
            None => scene,
        }
    }

    /// A recorded dependency of one activity on another, by their places.
    pub(crate) fn depends(self, rank: i64, activity: i64, on: i64, kind: &str) -> Self {
        let values = [
            ("rank", rank.into()),
            ("activity", activity.into()),
            ("depends_on", on.into()),
            ("kind", kind.into()),
            ("source", "declared".into()),
        ];
        self.row(&tables::DEPENDENCIES, values)
    }

    /// The tables. Devices that work are declared where the scene declares none.
    pub(crate) fn tables(&self) -> Tables {
        let mut scene = self.clone();
        if !scene.rows.contains_key(tables::DEVICES.name) {
            let rows = self.rows.get(tables::ACTIVITIES.name).into_iter().flatten();
            let place = |row: &Row| [whole(row, "rank"), whole(row, "device")];
            let devices: std::collections::BTreeSet<[i64; 2]> = rows.map(place).collect();
            for [rank, device] in devices {
                let values = [("rank", rank.into()), ("device", device.into()), ("kind", "cuda".into())];
                scene = scene.row(&tables::DEVICES, values);
            }
        }
        let mut all = Tables::default();
        for table in tables::ALL {
            let rows = scene.rows.get(table.name).map_or(&[][..], Vec::as_slice);
            all.set(table, frame(table, rows)).unwrap();
        }
        all
    }
}

fn whole(row: &Row, column: &str) -> i64 {
    if let Some(Value::Int(value)) = row.get(column) { *value } else { 0 }
}

fn frame(table: &Table, rows: &[Row]) -> polars::prelude::DataFrame {
    for row in rows {
        assert!(row.keys().all(|name| table.column(name).is_some()), "{row:?} is no row of {}", table.name);
    }
    let columns = table.columns.iter().map(|column| {
        let value = |row: &Row| row.get(column.name).cloned();
        let least = !column.nullable;
        match column.dtype {
            DataType::Int => int_column(
                column.name,
                rows.iter().map(|row| match value(row) {
                    Some(Value::Int(value)) => Some(value),
                    _ => least.then_some(0),
                }),
            ),
            DataType::Float => float_column(
                column.name,
                rows.iter().map(|row| match value(row) {
                    Some(Value::Float(value)) => Some(value),
                    _ => least.then_some(0.0),
                }),
            ),
            DataType::Text => text_column(
                column.name,
                rows.iter().map(|row| match value(row) {
                    Some(Value::Text(value)) => Some(value),
                    _ if column.name == "pass" => Some("host".to_owned()),
                    _ => least.then(|| "test".to_owned()),
                }),
            ),
            DataType::Bool => bool_column(
                column.name,
                rows.iter().map(|row| match value(row) {
                    Some(Value::Bool(value)) => Some(value),
                    _ => least.then_some(false),
                }),
            ),
        }
    });
    build(table, columns.collect()).unwrap()
}
