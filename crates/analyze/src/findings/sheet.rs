//! The rows of a metric's result, read by name, and how a sentence points to one.

use polars::prelude::{AnyValue, DataFrame};

use super::wording::short;
use crate::Error;
use crate::metrics::{Input, Metric};

/// The result of a metric.
#[derive(Debug)]
pub(crate) struct Sheet {
    metric: &'static str,
    frame: DataFrame,
}

impl Sheet {
    /// What the metric returns for the input, computed once.
    pub(super) fn of(input: &Input, metric: &'static Metric) -> Result<Self, Error> {
        Ok(Self { metric: metric.name, frame: input.frame(metric)? })
    }

    /// Its rows.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        (0..self.frame.height()).map(|at| Line { sheet: self, at })
    }
}

/// One row of a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'s> {
    sheet: &'s Sheet,
    at: usize,
}

/// Rank, device and window of a row, as far as it has them.
pub(crate) type Place = (Option<i64>, Option<i64>, Option<String>);

impl<'s> Line<'s> {
    fn value(&self, name: &str) -> Option<AnyValue<'s>> {
        let column = self.sheet.frame.column(name).ok();
        debug_assert!(column.is_some(), "{} has no column {name}", self.sheet.metric);
        column?.get(self.at).ok()
    }

    /// An integer; of a null none.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        if let AnyValue::Int64(value) = self.value(name)? { Some(value) } else { None }
    }

    /// An integer, 0 for a null.
    pub(super) fn int_or_zero(&self, name: &str) -> i64 {
        self.int(name).unwrap_or(0)
    }

    /// A float.
    pub(super) fn float(&self, name: &str) -> Option<f64> {
        if let AnyValue::Float64(value) = self.value(name)? { Some(value) } else { None }
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.get_str().map(str::to_owned)
    }

    /// Whether a text column has that text.
    pub(super) fn is(&self, name: &str, text: &str) -> bool {
        self.value(name).is_some_and(|value| value.get_str() == Some(text))
    }

    /// Whether a column is null.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.value(name).is_none_or(|value| value.is_null())
    }

    /// A truth value.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        if let AnyValue::Boolean(value) = self.value(name)? { Some(value) } else { None }
    }

    /// Rank, device and window, of the columns that the metric has.
    pub(super) fn place(&self) -> Place {
        let has = |name: &str| self.sheet.frame.column(name).is_ok();
        let int = |name: &str| has(name).then(|| self.int(name)).flatten();
        (int("rank"), int("device"), has("window").then(|| self.text("window")).flatten())
    }

    /// Whether it is about that place.
    pub(super) fn is_place(&self, place: &Place) -> bool {
        self.place() == *place
    }

    /// How a sentence names the row: `metric idle: rank 0, device 0, queue null, window trace`.
    pub(super) fn proof(&self, keys: &[&str]) -> String {
        let key = |name: &&str| {
            let value = match self.value(name) {
                Some(AnyValue::Int64(value)) => value.to_string(),
                Some(AnyValue::Boolean(value)) => value.to_string(),
                Some(value) if !value.is_null() => value.get_str().map_or_else(|| value.to_string(), short),
                _ => "null".to_owned(),
            };
            format!("{name} {value}")
        };
        let keys: Vec<String> = keys.iter().map(key).collect();
        format!("metric {}: {}", self.sheet.metric, keys.join(", "))
    }

    /// How a sentence names the device: `device 0`, of another rank than 0 `device 0 of rank 1`.
    pub(super) fn device(&self) -> String {
        match self.place() {
            (None | Some(0), Some(device), _) => format!("device {device}"),
            (Some(rank), Some(device), _) => format!("device {device} of rank {rank}"),
            (Some(rank), None, _) => format!("rank {rank}"),
            (None, None, _) => "the device".to_owned(),
        }
    }
}
