//! Metrics: pure functions from tables to a result table, one file each.
//!
//! Every result row begins with `run` and `target`. Adding a metric is a new file, its `mod` line and its entry in
//! [`METRICS`].

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use polars::prelude::DataFrame;
use proftool_trace::Manifest;
use proftool_trace::frame::{Tables, bool_column, build, float_column, int_column, text_column};
use proftool_trace::table::{Column, Table, int, text};

use crate::Error;
use crate::classes::Rules;
use crate::findings::Shorts;
use crate::model::{DeviceKey, Model, timeline_passes};
use crate::path::{self, Plan};
use crate::requests::{self, Log};
use crate::roofline::Engine;
use crate::roofline::family::{Family, families};
use crate::windows::{self, Scope, Window, WindowSet};

pub use crate::requests::Slo;
pub use crate::roofline::Against;

pub mod bubble;
pub mod bubble_iteration;
pub mod calibration;
pub mod calls;
pub mod classes;
pub mod collective_sizes;
pub mod collectives;
pub mod copies;
pub mod critical_operations;
pub mod critical_path;
pub mod device_load;
pub mod findings;
pub mod gaps;
pub mod graph_launches;
pub mod idle;
pub mod kernel_durations;
pub mod kernels;
pub mod kv_transfer;
pub mod launch;
pub mod load_balance;
pub mod migrations;
pub mod overlap;
pub mod phases;
pub mod power;
pub mod queue_depth;
pub mod ranges;
pub mod ranks;
pub mod roofline;
pub mod roofline_energy;
pub mod roofline_flop;
pub mod roofline_instruction;
pub mod roofline_level;
pub mod roofline_link;
pub mod roofline_operator;
pub mod roofline_sampled;
pub mod roofline_unplaced;
pub mod roofs;
pub mod samples;
pub mod serving;
pub mod serving_distribution;
pub mod serving_time;
pub mod settling;
pub mod slowest_requests;
pub mod steps;
pub mod throttling;
pub mod triage;
pub mod waterfall;

/// What a metric is computed from.
#[derive(Debug)]
pub struct Input<'a> {
    /// Name of the run: the artifact's directory.
    pub run: &'a str,
    /// Name of the target.
    pub target: &'a str,
    /// The canonical tables.
    pub tables: &'a Tables,
    /// Which windows to report.
    pub window: Window,
    /// Which roofs the bounds use.
    pub against: Against,
    /// What the artifact states about its passes: session starts, clocks; `None` for bare tables.
    pub manifest: Option<&'a Manifest>,
    /// Rules that classify activities; the built-in ones without.
    pub rules: Option<Arc<Rules>>,
    /// Kernels (a name in which `*` stands for any text) whose absence the critical path is asked about.
    pub free: Option<String>,
    /// The pass whose timeline is read; that of the first activity without.
    pub pass: Option<String>,
    /// What is agreed on with every request, in place of what the log states.
    pub slo: Slo,
    model: OnceCell<Model>,
    engine: OnceCell<Engine>,
    families: OnceCell<Vec<Family>>,
    plans: OnceCell<Vec<Plan>>,
    logs: OnceCell<Vec<Log>>,
    /// Kept for the findings.
    pub(crate) shorts: OnceCell<Rc<Shorts>>,
    /// Results that have been computed, by the metric's name.
    frames: RefCell<HashMap<&'static str, DataFrame>>,
}

impl<'a> Input<'a> {
    /// An input; the tables are viewed when the first metric asks.
    pub fn new(run: &'a str, target: &'a str, tables: &'a Tables, window: Window) -> Self {
        let (model, engine, families, plans) = (OnceCell::new(), OnceCell::new(), OnceCell::new(), OnceCell::new());
        let (against, manifest, rules, free, pass) = (Against::default(), None, None, None, None);
        Self {
            run,
            target,
            tables,
            window,
            against,
            manifest,
            rules,
            free,
            pass,
            slo: Slo::default(),
            model,
            engine,
            families,
            plans,
            logs: OnceCell::new(),
            shorts: OnceCell::new(),
            frames: RefCell::default(),
        }
    }

    /// The input with bounds against those roofs.
    #[must_use]
    pub fn with_against(self, against: Against) -> Self {
        Self { against, ..self }
    }

    /// The input with what the artifact states about its passes.
    #[must_use]
    pub fn with_manifest(self, manifest: &'a Manifest) -> Self {
        Self { manifest: Some(manifest), ..self }
    }

    /// The input that asks for the absence of kernels.
    #[must_use]
    pub fn with_free(self, free: Option<String>) -> Self {
        Self { free, ..self }
    }

    /// The input that reads the timeline of that pass.
    #[must_use]
    pub fn with_pass(self, pass: Option<String>) -> Self {
        Self { pass, ..self }
    }

    /// The input with other rules than the built-in ones.
    #[must_use]
    pub fn with_rules(self, rules: Option<Arc<Rules>>) -> Self {
        Self { rules, ..self }
    }

    /// The input that holds every request against these limits.
    #[must_use]
    pub fn with_slo(self, slo: Slo) -> Self {
        Self { slo, ..self }
    }

    /// The requests of each pass that has some, read once.
    pub(crate) fn logs(&self) -> Result<&[Log], Error> {
        if let Some(logs) = self.logs.get() {
            return Ok(logs);
        }
        let logs = requests::read(self)?;
        Ok(self.logs.get_or_init(|| logs))
    }

    /// Every launch with its counts and bounds, placed once.
    pub(crate) fn engine(&self) -> Result<&Engine, Error> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = Engine::read(self)?;
        Ok(self.engine.get_or_init(|| engine))
    }

    /// The graphs of operations of the pass, built once.
    pub(crate) fn plans(&self) -> Result<&[Plan], Error> {
        if let Some(plans) = self.plans.get() {
            return Ok(plans);
        }
        let plans = path::plans(self)?;
        Ok(self.plans.get_or_init(|| plans))
    }

    /// The result of a metric, computed once: findings read what other metrics return.
    ///
    /// # Errors
    /// As the metric.
    pub fn frame(&self, metric: &'static Metric) -> Result<DataFrame, Error> {
        let known = self.frames.borrow().get(metric.name).cloned();
        if let Some(frame) = known {
            return Ok(frame);
        }
        // No borrow is held here: the metric may ask for the result of another one.
        let frame = (metric.compute)(self)?;
        self.frames.borrow_mut().insert(metric.name, frame.clone());
        Ok(frame)
    }

    /// The kernel families of every device and window set, summed once.
    pub(crate) fn families(&self) -> Result<&[Family], Error> {
        if let Some(families) = self.families.get() {
            return Ok(families);
        }
        let families = families(self)?;
        Ok(self.families.get_or_init(|| families))
    }

    /// The typed view of the timeline pass, made once.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn model(&self) -> Result<&Model, Error> {
        if let Some(model) = self.model.get() {
            return Ok(model);
        }
        let model = self.read_model()?;
        Ok(self.model.get_or_init(|| model))
    }

    /// A view of the timeline pass of its own.
    pub(crate) fn read_model(&self) -> Result<Model, Error> {
        let rules = self.rules.as_deref().unwrap_or(Rules::built_in());
        let Some(pass) = &self.pass else { return Model::read_with(self.tables, rules) };
        let known = timeline_passes(self.tables);
        if known.contains(pass) {
            return Model::read_pass(self.tables, rules, pass);
        }
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        Err(Error::UnknownPass { run: self.run.to_owned(), name: pass.clone(), known })
    }

    /// The window sets to report, one result row each.
    ///
    /// # Errors
    /// As [`Model::read`]; [`Error::UnknownWindow`] when no finished range has the window's name.
    pub fn sets(&self, scope: Scope) -> Result<Vec<WindowSet>, Error> {
        let model = self.model()?;
        windows::sets(model, &self.window, scope).ok_or_else(|| Error::UnknownWindow {
            run: self.run.to_owned(),
            name: match &self.window {
                Window::Named(name) => name.clone(),
                Window::Default | Window::Each => String::new(),
            },
            hint: windows::known_names(model),
        })
    }

    /// The result rows of every device, from its window sets.
    pub(crate) fn of_devices<'s, R>(
        &'s self,
        mut rows: impl FnMut(&'s Model, DeviceKey, &[WindowSet]) -> Vec<R>,
    ) -> Result<Vec<R>, Error> {
        let model = self.model()?;
        let mut all = Vec::new();
        for device in model.device_keys() {
            all.extend(rows(model, device, &self.sets(Scope::Device(device))?));
        }
        Ok(all)
    }
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// The name: file stem, CLI value and stem of its Parquet file.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Schema of its result.
    pub table: &'static Table,
    /// Computes it.
    pub compute: fn(&Input) -> Result<DataFrame, Error>,
}

/// Every metric, in the order of the alphabet.
pub const METRICS: &[Metric] = &[
    bubble::METRIC,
    bubble_iteration::METRIC,
    calibration::METRIC,
    calls::METRIC,
    classes::METRIC,
    collective_sizes::METRIC,
    collectives::METRIC,
    copies::METRIC,
    critical_operations::METRIC,
    critical_path::METRIC,
    device_load::METRIC,
    findings::METRIC,
    gaps::METRIC,
    graph_launches::METRIC,
    idle::METRIC,
    kernel_durations::METRIC,
    kernels::METRIC,
    kv_transfer::METRIC,
    launch::METRIC,
    load_balance::METRIC,
    migrations::METRIC,
    overlap::METRIC,
    phases::METRIC,
    power::METRIC,
    queue_depth::METRIC,
    ranges::METRIC,
    ranks::METRIC,
    roofline::METRIC,
    roofline_energy::METRIC,
    roofline_flop::METRIC,
    roofline_instruction::METRIC,
    roofline_level::METRIC,
    roofline_link::METRIC,
    roofline_operator::METRIC,
    roofline_sampled::METRIC,
    roofline_unplaced::METRIC,
    roofs::METRIC,
    samples::METRIC,
    serving::METRIC,
    serving_distribution::METRIC,
    serving_time::METRIC,
    settling::METRIC,
    slowest_requests::METRIC,
    steps::METRIC,
    throttling::METRIC,
    triage::METRIC,
    waterfall::METRIC,
];

/// The metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

pub(crate) const RUN: Column = text("run", "Name of the run: the artifact's directory.");
pub(crate) const TARGET: Column = text("target", "Name of the target.");
pub(crate) const RANK: Column = int("rank", "Rank of the process.");
pub(crate) const DEVICE: Column = int("device", "Number of the device inside its rank.");
pub(crate) const WINDOW: Column =
    text("window", "The window set: `blocks`, `block N`, `trace` (first start to last end), or the name of a range.");

/// Turns result rows into columns, one line a column.
pub(crate) struct Output<'r, R> {
    rows: &'r [R],
    columns: Vec<polars::prelude::Column>,
}

impl<'r, R> Output<'r, R> {
    /// Begins with the columns `run` and `target`.
    pub(crate) fn new(run: &str, target: &str, rows: &'r [R]) -> Self {
        Self { rows, columns: Vec::new() }.text("run", |_| Some(run)).text("target", |_| Some(target))
    }

    pub(crate) fn int(mut self, name: &str, value: impl Fn(&'r R) -> Option<i64>) -> Self {
        self.columns.push(int_column(name, self.rows.iter().map(value)));
        self
    }

    pub(crate) fn float(mut self, name: &str, value: impl Fn(&'r R) -> Option<f64>) -> Self {
        self.columns.push(float_column(name, self.rows.iter().map(value)));
        self
    }

    pub(crate) fn text<S: AsRef<str>>(mut self, name: &str, value: impl Fn(&'r R) -> Option<S>) -> Self {
        self.columns.push(text_column(name, self.rows.iter().map(value)));
        self
    }

    pub(crate) fn bool(mut self, name: &str, value: impl Fn(&'r R) -> Option<bool>) -> Self {
        self.columns.push(bool_column(name, self.rows.iter().map(value)));
        self
    }

    pub(crate) fn build(self, table: &Table) -> Result<DataFrame, Error> {
        Ok(build(table, self.columns)?)
    }
}

/// `part / whole`, null where there is no whole.
pub(crate) fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_trace::frame::{Tables, check};
    use std::collections::BTreeSet;

    #[test]
    fn the_list_equals_the_directory() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics");
        let stems = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: BTreeSet<String> = stems
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|stem| stem != "mod")
            .collect();
        let listed: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
        assert_eq!(files, listed);
        assert_eq!(listed.len(), METRICS.len());
    }

    #[test]
    fn every_metric_returns_its_schema_on_empty_tables() {
        let tables = Tables::default();
        for window in [Window::Default, Window::Each] {
            let input = Input::new("run", "target", &tables, window);
            for metric in METRICS {
                let frame = (metric.compute)(&input).unwrap();
                check(metric.table, &frame).unwrap();
                assert_eq!(metric.table.name, metric.name);
            }
        }
    }

    #[test]
    fn a_chosen_pass_is_read_and_one_that_is_not_there_is_refused_with_those_that_are() {
        use crate::fixture::Fixture;
        use proftool_trace::{frame, tables};
        let mut all = Fixture::new().kernel(0, 0, (10, 20)).tables();
        let other = Fixture::new().kernel(0, 0, (10, 40)).tables();
        for table in [&tables::ACTIVITIES, &tables::DEVICES] {
            let mut rows = other.get(table).clone();
            rows.with_column(frame::text_column("pass", (0..rows.height()).map(|_| Some("nsys")))).unwrap();
            all.append(table, &rows).unwrap();
        }
        let busy = |pass: Option<&str>| {
            let input = Input::new("run", "target", &all, Window::Default).with_pass(pass.map(str::to_owned));
            let idle = METRICS.iter().find(|metric| metric.name == "idle").unwrap();
            input.frame(idle).map(|rows| frame::ints(&rows, "busy_ns").unwrap()[0])
        };
        assert_eq!(
            (busy(None).unwrap(), busy(Some("host")).unwrap(), busy(Some("nsys")).unwrap()),
            (Some(10), Some(10), Some(30))
        );
        assert_eq!(
            busy(Some("cupti")).unwrap_err().to_string(),
            "run has no timeline of a pass \"cupti\" (hint: it has host, nsys)"
        );
    }

    #[test]
    fn every_result_begins_with_run_and_target_and_documents_its_columns() {
        for metric in METRICS {
            let columns = metric.table.columns;
            assert_eq!([columns[0].name, columns[1].name], ["run", "target"], "{}", metric.name);
            assert!(columns.iter().all(|column| column.doc.ends_with('.')), "{}", metric.name);
        }
    }
}
