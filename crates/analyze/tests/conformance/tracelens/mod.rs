//! TraceLens 0.1.0: the reports stored with its test traces.

mod kernels;
mod models;
mod operators;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proftool_analyze::Rules;

use crate::check::{Check, List};
use crate::number::Format;
use crate::page::Section;
use crate::results::Results;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

/// What TraceLens computes in doubles of epoch microseconds is compared to a tenth of a microsecond.
const TENTH_US: f64 = 0.1;

/// Kernels shorter than this are short to TraceLens.
const SHORT_NS: i64 = 10_000;

/// Traces, and the folders of their reports.
pub(crate) const REPORTS: &[(&str, &str)] =
    &[("h100_qwen_0.5b", "h100_qwen"), ("mi300x_sglang_prefilldecode", "sglang_prefilldecode")];

const LINKED: &str = "linked rows";

const OUTSIDE: &str = "outside of operators";

pub(crate) fn section() -> Section {
    let mut section = Section::new("TraceLens 0.1.0", "Kineto: TraceLens 0.1.0");
    section.paragraph(
        "The reports that AMD-AGI/TraceLens stores with its test traces. Times that it added up in doubles of epoch \
         microseconds are compared to 0.1 µs, those of single kernels and their sums to 0.001 µs, percentages to 0.0001 \
         (in lists 0.001). *Computation* there is kernels and sets, *memcpy* is copies; *exposed* \
         is what no computation hides. An operator owns the rows whose launching call begins inside it and inside no \
         operator deeper on the same thread.",
    );
    section.bullets([
        format!(
            "*{LINKED}*: the timeline, the operator reports and the list of short kernels drop device rows without a \
             launching call. The column *by the rule of TraceLens* is proftool's tables without them."
        ),
        format!(
            "*{OUTSIDE}*: rows that no operator launched stand under the name of the call there, and a number at the \
             end of a profiler's own range name is cut."
        ),
    ]);
    section.paragraph(
        "The timeline is that of the metrics `idle` and `overlap` with TraceLens's classes in a file of `--rules` \
         (exposed copies are the exclusive time of copies), kernels by operator those of `kernels`, the number of short \
         kernels that of `kernel_durations`. Operators and the histogram's bins, which no metric gives, are computed in the \
         test.",
    );
    section.paragraph(
        "The reports with modelled FLOP and bytes (`GEMM`, `SDPA_fwd`, ...) stand beside the metric `roofline_operator`: \
         FLOP and bytes of a call to 9 digits (MB there are 2^20 bytes), calls, kernel time, and the mean over the calls of \
         FLOP / time within what the rounding of their durations allows. By its label differs what TraceLens counts by \
         another rule; that rule then has to give its value.",
    );
    section.bullets(models::LABELS.map(str::to_owned));
    section.paragraph(
        "Not compared, because no imported table holds what they need: operator categories, `parent_module` and call \
         stacks, and strides. `unified_perf_summary` repeats the other reports. Precisions are named differently: \
         TraceLens gives elementwise operators of bfloat16 that type (`vector_bf16`), where PyTorch computes in `float`.",
    );
    section
}

pub(crate) fn compare(section: &mut Section, golden: &Path, trace: &Trace, (name, folder): (&str, &str)) {
    let folder = golden.join("tracelens").join(folder);
    let work = trace.work();
    let lost: Vec<&Gpu> = work.iter().filter(|row| row.call.is_none()).copied().collect();
    section.heading(name);
    section.paragraph(&format!(
        "{} rows of work, {} of them without a launching call in the file, which take {} µs together.",
        Format::Whole.show(work.len() as f64),
        lost.len(),
        Format::Fixed(3).show(lost.iter().map(|row| row.length()).sum::<i64>() as f64 / 1e3)
    ));
    section.checks("TraceLens", &timeline(&Sheet::open(&folder.join("gpu_timeline.csv")), trace));
    let owners = operators::owners(trace);
    let mut lists = Vec::new();
    let mut list = |file: &str, what: &str, compare: &dyn Fn(&mut List, &Sheet)| {
        let path = folder.join(format!("{file}.csv"));
        if path.exists() {
            let (mut list, sheet) = (List::new(format!("{file}: {what}")), Sheet::open(&path));
            list.rows = sheet.rows.len();
            compare(&mut list, &sheet);
            lists.push(list);
        }
    };
    list("kernel_summary", "sum, count, mean, least, most, shares by operator and kernel", &|list, sheet| {
        kernels::kernels(list, sheet, trace, &owners);
    });
    list("short_kernel_histogram", "edges and counts", &|list, sheet| kernels::histogram(list, sheet, trace));
    list("short_kernels_summary", "sum, count, mean, share by operator, shapes and kernel", &|list, sheet| {
        kernels::short_kernels(list, sheet, trace, &owners);
    });
    list("ops_summary", "operations and time of their rows", &|list, sheet| {
        operators::operators(list, sheet, trace, &owners);
    });
    list("ops_unique_args", "the same by shapes, types and scalar inputs", &|list, sheet| {
        operators::arguments(list, sheet, trace, &owners);
    });
    let models = models::Operators::compute(trace);
    for file in models::FILES {
        let path = folder.join(format!("{file}.csv"));
        if path.exists() {
            let (mut list, sheet) =
                (List::new(format!("{file}: calls, time, FLOP, bytes, FLOP/s")), Sheet::open(&path));
            list.rows = sheet.rows.len();
            models::compare(&mut list, &sheet, &models);
            lists.push(list);
        }
    }
    section.lists(&lists, Some("µs or %"));
}

/// Computation, exposed communication and copies, busy, idle, all: the metrics `idle` and `overlap` of the rows that hold,
/// with TraceLens's classes.
fn parts(trace: &Trace, wanted: impl Fn(&Gpu) -> bool) -> BTreeMap<&'static str, i64> {
    let tables = trace.only(|row| row.kind != "sync" && wanted(row));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/tracelens/classes.toml");
    let rules = Arc::new(Rules::with_file(&file).unwrap());
    let (idle, overlap) = (Results::compute(&tables, "idle"), Results::compute_with(&tables, "overlap", &rules));
    let whole = idle.only(|row| idle.int(row, "queue").is_none());
    let of_idle = |column| idle.int(whole, column).unwrap();
    let of_class =
        |kind: &str, column| overlap.int(overlap.only(|row| overlap.text(row, "kind") == Some(kind)), column).unwrap();
    BTreeMap::from([
        ("computation_time", of_class("compute", "total_ns")),
        ("exposed_comm_time", of_class("comm", "exposed_ns")),
        ("exposed_memcpy_time", of_class("copy", "exclusive_ns")),
        ("busy_time", of_idle("busy_ns")),
        ("idle_time", of_idle("idle_ns")),
        ("total_time", of_idle("span_ns")),
        ("total_comm_time", of_class("comm", "total_ns")),
        ("total_memcpy_time", of_class("copy", "total_ns")),
    ])
}

fn timeline(sheet: &Sheet, trace: &Trace) -> Vec<Check> {
    let (ours, rule) = (parts(trace, |_| true), parts(trace, |row| row.call.is_some()));
    let mut checks = Vec::new();
    for row in 0..sheet.rows.len() {
        let part = sheet.text(row, "type");
        let ms = |parts: &BTreeMap<&str, i64>| parts[part] as f64 / 1e6;
        let share = |parts: &BTreeMap<&str, i64>| 100.0 * parts[part] as f64 / parts["total_time"] as f64;
        let name = part.replace('_', " ");
        let (theirs, percent) = (sheet.number(row, "time ms"), sheet.number(row, "percent"));
        let check = Check::float(format!("{name}, ms"), ms(&ours), theirs, Format::Fixed(6), TENTH_US / 1e3);
        checks.push(check.or_by(LINKED, ms(&rule)));
        let check = Check::float(format!("{name}, %"), share(&ours), percent, Format::Fixed(4), 1e-4);
        checks.push(check.or_by(LINKED, share(&rule)));
    }
    checks
}
