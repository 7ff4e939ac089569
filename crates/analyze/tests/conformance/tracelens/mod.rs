//! TraceLens 0.1.0: the reports stored with its test traces.

mod kernels;
mod models;
mod operators;

use std::collections::BTreeMap;
use std::path::Path;

use proftool_analyze::operators::{intersect, subtract, total, union};

use crate::check::{Check, List};
use crate::number::Format;
use crate::page::Section;
use crate::quantities::covered;
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
    let linked: Vec<&Gpu> = work.iter().filter(|row| row.call.is_some()).copied().collect();
    let lost: Vec<&Gpu> = work.iter().filter(|row| row.call.is_none()).copied().collect();
    section.heading(name);
    section.paragraph(&format!(
        "{} rows of work, {} of them without a launching call in the file, which take {} µs together.",
        Format::Whole.show(work.len() as f64),
        lost.len(),
        Format::Fixed(3).show(lost.iter().map(|row| row.length()).sum::<i64>() as f64 / 1e3)
    ));
    section.checks("TraceLens", &timeline(&Sheet::open(&folder.join("gpu_timeline.csv")), &work, &linked));
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

/// Computation, exposed communication and copies, busy, idle, all.
fn parts(rows: &[&Gpu]) -> BTreeMap<&'static str, i64> {
    let of = |kinds: &[&str], comm: bool| {
        let wanted = |row: &&&Gpu| kinds.contains(&row.kind.as_str()) && row.name.contains("nccl") == comm;
        covered(&rows.iter().filter(wanted).copied().collect::<Vec<_>>())
    };
    let (compute, comm, copies) = (of(&["kernel", "set"], false), of(&["kernel"], true), of(&["copy"], false));
    let all = covered(rows);
    let (span, busy) = (all.last().unwrap().1 - all[0].0, total(&all));
    let exposed_comm = subtract(&comm, &compute);
    let hiding = union(&[compute.clone(), comm.clone()].concat());
    BTreeMap::from([
        ("computation_time", total(&compute)),
        ("exposed_comm_time", total(&exposed_comm)),
        ("exposed_memcpy_time", total(&copies) - total(&intersect(&copies, &hiding))),
        ("busy_time", busy),
        ("idle_time", span - busy),
        ("total_time", span),
        ("total_comm_time", total(&comm)),
        ("total_memcpy_time", total(&copies)),
    ])
}

fn timeline(sheet: &Sheet, work: &[&Gpu], linked: &[&Gpu]) -> Vec<Check> {
    let (ours, rule) = (parts(work), parts(linked));
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
