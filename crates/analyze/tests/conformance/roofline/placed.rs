//! What the roofline metrics say about an imported page.

use std::path::Path;
use std::sync::Arc;

use polars::prelude::DataFrame;
use proftool_analyze::metrics::{Metric, roofline, roofline_flop, roofline_instruction, roofline_level, roofs};
use proftool_analyze::{Input, Window};
use proftool_import::raw::Progress;
use proftool_import::{Options, find, into_folder};
use proftool_trace::frame::{Tables, bools, floats, ints, read, texts};
use proftool_trace::tables;

/// The metrics of one page.
pub(super) struct Placed {
    /// One row a kernel.
    pub(super) kernels: Rows,
    flop: Rows,
    levels: Rows,
    roofs: Rows,
    pub(super) instructions: Rows,
}

/// The rows of a result.
pub(super) struct Rows(DataFrame);

impl Placed {
    /// Imports a page, or a directory of tables, as `proftool import --hardware` does.
    pub(super) fn import(path: &Path, hardware: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let found = find(path, &Arc::new(Progress::default())).unwrap_or_else(|error| panic!("{error}"));
        let options = Options { workers: 1, hardware: Some(hardware) };
        into_folder(&found, folder.path(), options).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut tables = Tables::default();
        for table in tables::ALL {
            tables.set(table, read(table, folder.path()).unwrap()).unwrap();
        }
        let input = Input::new("run", "target", &tables, Window::Default);
        let compute = |metric: &Metric| Rows((metric.compute)(&input).unwrap());
        let kernels = compute(&roofline::METRIC);
        let (flop, levels) = (compute(&roofline_flop::METRIC), compute(&roofline_level::METRIC));
        let (roofs, instructions) = (compute(&roofs::METRIC), compute(&roofline_instruction::METRIC));
        Self { kernels, flop, levels, roofs, instructions }
    }

    /// Operations of a precision, of all kernels; 0 where there are none.
    pub(super) fn ops(&self, precision: &str) -> i64 {
        let of = |row: &usize| self.flop.text(*row, "precision").as_deref() == Some(precision);
        (0..self.flop.count()).filter(of).filter_map(|row| self.flop.int(row, "flop")).sum()
    }

    /// A column of `roofline_flop` for the one kernel of a page and a precision; 0 where it has no such operations.
    pub(super) fn of_precision(&self, precision: &str, column: &str) -> f64 {
        let of = |row: &usize| self.flop.text(*row, "precision").as_deref() == Some(precision);
        (0..self.flop.count()).find(of).map_or(0.0, |row| self.flop.float(row, column).unwrap())
    }

    /// A column of `roofline_level` for the one kernel of a page.
    pub(super) fn of_level(&self, level: &str, column: &str) -> Option<f64> {
        let of = |row: &usize| self.levels.text(*row, "level").as_deref() == Some(level);
        (0..self.levels.count()).find(of).and_then(|row| self.levels.float(row, column))
    }

    /// A dense ceiling of a source, by its precision or level: value and clock.
    pub(super) fn roof(&self, source: &str, name: &str) -> Option<(f64, Option<f64>)> {
        let roofs = &self.roofs;
        let named = |row: usize, column: &str| roofs.text(row, column).as_deref() == Some(name);
        let of = |row: &usize| {
            roofs.text(*row, "source").as_deref() == Some(source)
                && (named(*row, "precision") || named(*row, "level"))
                && !roofs.bool(*row, "sparse")
        };
        let row = (0..roofs.count()).find(of)?;
        Some((roofs.float(row, "value").unwrap(), roofs.float(row, "clock_hz")))
    }

    /// The hardware spec that the device was matched with.
    pub(super) fn spec(&self) -> Option<String> {
        (self.roofs.count() > 0).then(|| self.roofs.text(0, "spec")).flatten()
    }
}

impl Rows {
    pub(super) fn count(&self) -> usize {
        self.0.height()
    }

    pub(super) fn int(&self, row: usize, column: &str) -> Option<i64> {
        ints(&self.0, column).unwrap()[row]
    }

    pub(super) fn float(&self, row: usize, column: &str) -> Option<f64> {
        floats(&self.0, column).unwrap()[row]
    }

    pub(super) fn text(&self, row: usize, column: &str) -> Option<String> {
        texts(&self.0, column).unwrap()[row].clone()
    }

    fn bool(&self, row: usize, column: &str) -> bool {
        bools(&self.0, column).unwrap()[row] == Some(true)
    }

    /// An integer column as a number.
    pub(super) fn whole(&self, row: usize, column: &str) -> Option<f64> {
        self.int(row, column).map(|value| value as f64)
    }
}
