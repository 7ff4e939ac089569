//! The whole-trace quantities that an independent script computes straight from the JSON.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use proftool_analyze::Rules;
use proftool_trace::frame::Tables;
use serde_json::Value;

use crate::check::Check;
use crate::hta::window;
use crate::number::Format;
use crate::page::Section;
use crate::quantities::{Quantities, delays};
use crate::results::Results;
use crate::trace::{Gpu, Trace};

/// The calls that HTA counts as launches.
pub(crate) const HTA_LAUNCHES: &[&str] =
    &["cudaLaunchKernel", "cudaLaunchKernelExC", "cudaMemcpyAsync", "cudaMemsetAsync"];

const CLASSES: &str = "HTA's classes";

const ROWS: &str = "rows, not calls";

pub(crate) fn section() -> Section {
    let mut section =
        Section::new("exact_ns (independent script)", "Kineto: exact nanoseconds by an independent script");
    section.paragraph(
        "A short independent program (`tools/exact_ref.py` of the shared folder) computes these straight from the \
         JSON in whole nanoseconds, without any code of this project or of HTA. Window: first start to last end of \
         the kernel, copy and set rows (`cuda_sync` rows are no work). Classes are by name, as HTA has them: *comm* \
         = begins with `nccl`, `hip`, `hccl` or contains `ncclKernel`; *memory* = begins with `Memcpy`, `Memset` or \
         `dma`; *compute* = the rest. |X| is the length of the union of the rows of X. A launch belongs to the first \
         runtime or driver call with its correlation; the launch delay runs from the end of that call to the start \
         of the row. Everything has to be equal to the nanosecond; ratios are compared to 12 digits. \
         The metrics that give these: `idle` (span, busy, idle), `overlap` (classes, hidden and exposed), `kernels` and \
         `copies` (durations), `launch` (rows by call, delays); what no metric gives is computed in the test and marked \
         *(test)*. `per_stream_idle_ns` in the same files follows HTA's previous-row rule and is no target here; it is \
         compared under HTA below.",
    );
    section.bullets([
        format!(
            "*{CLASSES}*: the column *proftool* is by the built-in rules, which know more communication than what HTA's \
             names hold. Where they differ, the same metric with HTA's classes in a file of `--rules` has to give the \
             value. |memory| is by these rules everywhere: copies and sets are two classes in proftool."
        ),
        format!(
            "*{ROWS}*: the metric `launch` counts calls by their first row, because the nodes of a graph launch wait for \
             each other; the script counts every row."
        ),
    ]);
    section
}

pub(crate) fn compare(section: &mut Section, golden: &Path, trace: &Trace, name: &str) {
    section.heading(&format!("{name}, whole trace"));
    let golden = read(&golden.join(format!("exact_ns/{name}.json")));
    section.checks("exact_ns", &checks(trace, &trace.work(), &golden));
}

/// The same inside HTA's window.
pub(crate) fn compare_window(section: &mut Section, golden: &Path, trace: &Trace, name: &str) {
    let (rows, last) = (window(trace), trace.work().len());
    section.heading(&format!("{name}, HTA's window"));
    section.paragraph(&format!(
        "HTA keeps the rows whose launching call begins before the last `ProfilerStep`: {} of {} here.",
        Format::Whole.show(rows.len() as f64),
        Format::Whole.show(last as f64)
    ));
    let golden = read(&golden.join(format!("exact_ns_htawindow/{name}.json")));
    section.checks("exact_ns_htawindow", &checks(trace, &rows, &golden));
}

fn read(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

/// What the metrics say about rows, which are all on one device.
struct Ours {
    idle: Results,
    /// With the built-in rules, and with the classes of HTA.
    overlap: [Results; 2],
    launch: Results,
    work: i64,
}

impl Ours {
    fn of(tables: &Tables) -> Self {
        let compute = |metric| Results::compute(tables, metric);
        Self {
            idle: compute("idle"),
            overlap: [compute("overlap"), Results::compute_with(tables, "overlap", &hta_classes())],
            launch: compute("launch"),
            work: compute("kernels").sum("total_ns") + compute("copies").sum("total_ns"),
        }
    }

    fn idle(&self, column: &str) -> i64 {
        self.idle.int(self.idle.only(|row| self.idle.int(row, "queue").is_none()), column).unwrap()
    }

    /// With the built-in rules, or HTA's classes.
    fn overlap(&self, hta: bool, kind: &str, column: &str) -> i64 {
        let overlap = &self.overlap[usize::from(hta)];
        overlap.int(overlap.only(|row| overlap.text(row, "kind") == Some(kind)), column).unwrap()
    }

    fn launch(&self, name: Option<&str>, column: &str) -> i64 {
        let row = (0..self.launch.rows).find(|row| self.launch.text(*row, "name") == name);
        row.and_then(|row| self.launch.int(row, column)).unwrap_or(0)
    }

    fn unlaunched(&self) -> i64 {
        self.launch(None, "activities") - self.launch(None, "with_call")
    }
}

/// The rules that state HTA's classes, as `--rules` takes them.
fn hta_classes() -> Arc<Rules> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/hta/classes.toml");
    Arc::new(Rules::with_file(&file).unwrap())
}

fn checks(trace: &Trace, rows: &[&Gpu], golden: &Value) -> Vec<Check> {
    let all = Quantities::of(rows);
    let kept: BTreeSet<*const Gpu> = rows.iter().map(|row| std::ptr::from_ref(*row)).collect();
    let ours = Ours::of(&trace.only(|row| kept.contains(&std::ptr::from_ref(row))));
    let whole = |key: &str| golden[key].as_i64().unwrap_or_else(|| panic!("{key} is {}", golden[key]));
    let exact = |quantity: &str, key: &str, ours: i64| Check::exact(quantity, ours, whole(key));
    let class = |quantity: &str, key: &str, kind: &str, column: &str| {
        let [ours, rule] = [false, true].map(|hta| ours.overlap(hta, kind, column));
        exact(quantity, key, ours).or_by(CLASSES, rule as f64)
    };
    let memory = |column: &str| ours.overlap(true, "copy", column);
    let median = sorted(rows)[rows.len() / 2];
    let covered = HTA_LAUNCHES.iter().map(|name| ours.launch(Some(*name), "activities")).sum();
    let mut checks = vec![
        exact("rows of GPU work", "n_gpu", ours.launch(None, "activities")),
        exact("span, ns", "span_ns", ours.idle("span_ns")),
        exact("busy, ns", "busy_ns", ours.idle("busy_ns")),
        exact("idle, ns", "idle_ns", ours.idle("idle_ns")),
        class("|compute|, ns", "comp_ns", "compute", "total_ns"),
        class("|comm|, ns", "comm_ns", "comm", "total_ns"),
        exact("|memory|, ns", "mem_ns", memory("total_ns")),
        class("|compute ∩ comm|, ns", "comp_and_comm_ns", "comm", "hidden_ns"),
        exact("|compute ∩ memory|, ns", "comp_and_mem_ns", memory("hidden_ns")),
        exact("|comm ∩ memory|, ns *(test)*", "comm_and_mem_ns", all.comm_and_memory),
        class("exposed comm, ns", "exposed_comm_ns", "comm", "exposed_ns"),
        exact("sum of durations, ns", "sum_kernel_ns", ours.work),
        exact("median duration (upper), ns *(test)*", "median_kernel_ns", median),
        exact(
            "rows of at most 3 µs *(test)*",
            "kernels_le_3us",
            rows.iter().filter(|row| row.length() <= 3000).count() as i64,
        ),
        exact("rows without a launching call", "gpu_rows_without_runtime_match", ours.unlaunched()),
        exact("rows launched by the calls that HTA knows", "launchstats_covered_gpu_rows", covered),
    ];
    checks.extend(ratio("idle, %", "idle_pct", (ours.idle("idle_ns"), ours.idle("span_ns")), golden));
    let [hidden, rule] =
        [false, true].map(|hta| (ours.overlap(hta, "comm", "hidden_ns"), ours.overlap(hta, "comm", "total_ns")));
    let check = ratio("comm hidden, %", "overlap_pct_of_comm", hidden, golden);
    checks.extend(check.map(|check| check.or_by(CLASSES, percent(rule))));
    checks.extend(launches(trace, rows, &ours, golden));
    checks
}

fn sorted(rows: &[&Gpu]) -> Vec<i64> {
    let mut lengths: Vec<i64> = rows.iter().map(|row| row.length()).collect();
    lengths.sort_unstable();
    lengths
}

fn percent((part, of): (i64, i64)) -> f64 {
    100.0 * part as f64 / of as f64
}

fn ratio(quantity: &str, key: &str, ours: (i64, i64), golden: &Value) -> Option<Check> {
    // Null there where nothing communicates.
    let theirs = golden[key].as_f64()?;
    Some(Check::float(quantity, percent(ours), theirs, Format::Fixed(9), theirs.abs() * 1e-12))
}

fn launches(trace: &Trace, rows: &[&Gpu], ours: &Ours, golden: &Value) -> Vec<Check> {
    let each = delays(trace, rows);
    let stated = |key: &str| golden["launch_delay_ns"][key].as_i64().unwrap();
    let check = |quantity: &str, column: &str, key: &str, rule: i64| {
        Check::exact(quantity, ours.launch(None, column), stated(key)).or_by(ROWS, rule as f64)
    };
    let negative = each.iter().filter(|delay| **delay < 0).count() as i64;
    let mut checks = vec![
        check("launch delays known", "launches", "n", each.len() as i64),
        check("of them negative", "started_during_call", "n_neg", negative),
        check(
            "sum of launch delays, negative ones as 0, ns",
            "queue_delay_total_ns",
            "sum_clipped",
            each.iter().map(|delay| (*delay).max(0)).sum(),
        ),
    ];
    let names = golden["gpu_rows_by_launch_api"].as_object().unwrap();
    let known = (0..ours.launch.rows).filter_map(|row| ours.launch.text(row, "name"));
    let all: BTreeSet<&str> = names.keys().map(String::as_str).chain(known).collect();
    let quantity = |name: &str| match name {
        "<none>" => "rows launched by no recorded call".to_owned(),
        _ => format!("rows launched by `{name}`"),
    };
    let counts = all.into_iter().map(|name| {
        let here = if name == "<none>" { ours.unlaunched() } else { ours.launch(Some(name), "activities") };
        Check::exact(quantity(name), here, names.get(name).and_then(Value::as_i64).unwrap_or(0))
    });
    checks.extend(counts);
    checks
}
