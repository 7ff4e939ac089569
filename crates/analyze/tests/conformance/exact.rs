//! The whole-trace quantities that an independent script computes straight from the JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::check::Check;
use crate::hta::window;
use crate::number::Format;
use crate::page::Section;
use crate::quantities::{Quantities, delays};
use crate::trace::{Gpu, Trace};

/// The calls that HTA counts as launches.
const HTA_LAUNCHES: &[&str] = &["cudaLaunchKernel", "cudaLaunchKernelExC", "cudaMemcpyAsync", "cudaMemsetAsync"];

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
         `per_stream_idle_ns` in the same files follows HTA's previous-row rule and is no target here; it is \
         compared under HTA below.",
    );
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

fn checks(trace: &Trace, rows: &[&Gpu], golden: &Value) -> Vec<Check> {
    let all = Quantities::of(rows);
    let whole = |key: &str| golden[key].as_i64().unwrap_or_else(|| panic!("{key} is {}", golden[key]));
    let exact = |quantity: &str, key: &str, ours: i64| Check::exact(quantity, ours, whole(key));
    let median = sorted(rows)[rows.len() / 2];
    let covered = rows.iter().filter(|row| launch_name(trace, row).is_some_and(|name| HTA_LAUNCHES.contains(&name)));
    let mut checks = vec![
        exact("rows of GPU work", "n_gpu", all.rows as i64),
        exact("span, ns", "span_ns", all.span),
        exact("busy, ns", "busy_ns", all.busy),
        exact("idle, ns", "idle_ns", all.idle),
        exact("|compute|, ns", "comp_ns", all.compute),
        exact("|comm|, ns", "comm_ns", all.comm),
        exact("|memory|, ns", "mem_ns", all.memory),
        exact("|compute ∩ comm|, ns", "comp_and_comm_ns", all.compute_and_comm),
        exact("|compute ∩ memory|, ns", "comp_and_mem_ns", all.compute_and_memory),
        exact("|comm ∩ memory|, ns", "comm_and_mem_ns", all.comm_and_memory),
        exact("exposed comm, ns", "exposed_comm_ns", all.exposed_comm()),
        exact("sum of durations, ns", "sum_kernel_ns", all.lengths.sum()),
        exact("median duration (upper), ns", "median_kernel_ns", median),
        exact("rows of at most 3 µs", "kernels_le_3us", rows.iter().filter(|row| row.length() <= 3000).count() as i64),
        exact("rows without a launching call", "gpu_rows_without_runtime_match", unlaunched(rows)),
        exact("rows launched by the calls that HTA knows", "launchstats_covered_gpu_rows", covered.count() as i64),
    ];
    checks.extend(ratio("idle, %", "idle_pct", all.idle, all.span, golden));
    checks.extend(ratio("comm hidden, %", "overlap_pct_of_comm", all.compute_and_comm, all.comm, golden));
    checks.extend(launches(trace, rows, golden));
    checks
}

fn sorted(rows: &[&Gpu]) -> Vec<i64> {
    let mut lengths: Vec<i64> = rows.iter().map(|row| row.length()).collect();
    lengths.sort_unstable();
    lengths
}

fn unlaunched(rows: &[&Gpu]) -> i64 {
    rows.iter().filter(|row| row.call.is_none()).count() as i64
}

fn launch_name<'t>(trace: &'t Trace, row: &Gpu) -> Option<&'t str> {
    trace.call(row).map(|call| call.name.as_str())
}

fn ratio(quantity: &str, key: &str, part: i64, of: i64, golden: &Value) -> Option<Check> {
    // Null there where nothing communicates.
    let theirs = golden[key].as_f64()?;
    let ours = 100.0 * part as f64 / of as f64;
    Some(Check::float(quantity, ours, theirs, Format::Fixed(9), theirs.abs() * 1e-12))
}

fn launches(trace: &Trace, rows: &[&Gpu], golden: &Value) -> Vec<Check> {
    let delays = delays(trace, rows);
    let stated = &golden["launch_delay_ns"];
    let mut checks = vec![
        Check::exact("launch delays known", delays.len() as i64, stated["n"].as_i64().unwrap()),
        Check::exact(
            "of them negative",
            delays.iter().filter(|delay| **delay < 0).count() as i64,
            stated["n_neg"].as_i64().unwrap(),
        ),
        Check::exact(
            "sum of launch delays, negative ones as 0, ns",
            delays.iter().map(|delay| (*delay).max(0)).sum(),
            stated["sum_clipped"].as_i64().unwrap(),
        ),
    ];
    let mut counts: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
    for row in rows {
        counts.entry(launch_name(trace, row).unwrap_or("<none>")).or_default()[0] += 1;
    }
    for (name, count) in golden["gpu_rows_by_launch_api"].as_object().unwrap() {
        counts.entry(name.as_str()).or_default()[1] = count.as_i64().unwrap();
    }
    let quantity = |name: &str| match name {
        "<none>" => "rows launched by no recorded call".to_owned(),
        _ => format!("rows launched by `{name}`"),
    };
    checks.extend(counts.into_iter().map(|(name, [ours, theirs])| Check::exact(quantity(name), ours, theirs)));
    checks
}
