//! NVIDIA's own `nsys stats` over the SQLite exports of the same name.

mod launches;
mod metric;
mod ranges;
mod rows;
mod summary;

use std::collections::BTreeSet;
use std::path::Path;

use crate::check::List;
use crate::number::{Numbers, printed};
use crate::page::Section;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

/// Captures: the folder of NVIDIA's reports, and the export.
pub(crate) const CAPTURES: &[(&str, &str)] = &[
    ("a100_cloverleaf", "a100_cloverleaf.schema3.13.sqlite"),
    ("gh200_jacobi", "gh200_jacobi.schema3.6.sqlite"),
    ("h100x2_train_before", "h100x2_train_before.schema3.25.sqlite"),
    ("h100x2_train_after", "h100x2_train_after.schema3.25.sqlite"),
    ("v100_single_gpu", "v100_p2p_nvlink.schema3.0.sqlite"),
];

pub(crate) fn section() -> Section {
    let mut section = Section::new("nsys stats", "nsys: NVIDIA's `nsys stats`");
    section.paragraph(
        "NVIDIA's reports over the SQLite exports. `v100_single_gpu` was made by nsys 2022.4, the others by a version \
         with the report names of 2023 and later. Every row of every stored report is compared, every field as it is \
         printed: whole numbers exactly, decimals to half of the last digit. Rows are matched by their names, in any \
         order.",
    );
    section.bullets(RULES.iter().map(|rule| (*rule).to_owned()));
    section.paragraph(
        "The stored folder `v100_single_gpu` is not of the file of that name: its process 71914, its devices 0 and 3 and \
         its peer copies are those of `v100_p2p_nvlink.schema3.0.sqlite` (`v100_single_gpu.schema3.0.sqlite` is process \
         2548 on one device), so it is compared with that.",
    );
    section
}

/// What the fields are.
const RULES: &[&str] = &[
    "*Sums* (`kern`, `mem_time`, `mem_size`, `gpu`, `api`, `nvtx`): share of all rows, total, count, mean, median, least, \
     most and sample deviation by name; kernels by demangled name, in 2022.4 by launch shape too; calls of runtime and \
     driver; ranges by style and name, one without an end ends with the last of all. MB are 10^6 bytes. Kernels are those \
     of the metric `kernels` over all devices, calls those of `calls`; of copies and sets count, time and bytes are those \
     of `copies`, the rest is computed in the test; of ranges the test's sums by name are compared, and over all names \
     those of the metric `ranges`.",
    "*gpu_trace*: start, duration, correlation, grid, block, registers, shared memory (static and dynamic are one column \
     in `activities`, compared with their sum), bytes, throughput, memory kinds (of a set, in the first column there and \
     as destination here), device, context, stream and name of each row. The empty column `GreenCtx` is left out.",
    "*kern_exec_sum*: by process, thread, device, call and kernel: A = the call, Q = from its end to the kernel's start \
     where that is not negative, K = the kernel, T = from the call's start to the end of the later of both. Counts, \
     averages and medians of A and Q, and the most of Q, are those of the metric `launch`, K that of `kernels`; the rest \
     is computed in the test.",
    "*nvtx_gpu_proj_sum*: ranges that begin and end on one thread and that hold a whole launching call of it, from the \
     start of the first row so launched to the end of the last; operations there are launches here. From the projections \
     of which the metric `ranges` is made, as `nvtx_kern_sum`.",
    "*nvtx_kern_sum*: kernels by the ranges that hold their call, all levels; without a range those that none holds.",
    "*Names*: a domain that was not given a name is `domain 1` here and nothing there; copies have the names of 2023 and \
     later (`[CUDA memcpy Device-to-Host]` for `[CUDA memcpy DtoH]`).",
];

/// A report: its names in newer and older versions, and what compares it.
struct Report {
    names: [&'static str; 2],
    compare: fn(&mut List, &Sheet, &Trace),
}

const REPORTS: &[Report] = &[
    Report { names: ["cuda_gpu_kern_sum", "gpukernsum"], compare: summary::kernels },
    Report { names: ["cuda_gpu_mem_time_sum", "gpumemtimesum"], compare: summary::memory_times },
    Report { names: ["cuda_gpu_mem_size_sum", "gpumemsizesum"], compare: summary::memory_sizes },
    Report { names: ["cuda_gpu_sum", "gpusum"], compare: summary::gpu },
    Report { names: ["cuda_gpu_trace", "gputrace"], compare: rows::rows },
    Report { names: ["cuda_api_sum", "cudaapisum"], compare: summary::calls },
    Report { names: ["cuda_kern_exec_sum", "kernexecsum"], compare: launches::executions },
    Report { names: ["nvtx_sum", "nvtxsum"], compare: ranges::ranges },
    Report { names: ["nvtx_gpu_proj_sum", "nvtxgpuprojsum"], compare: ranges::projections },
    Report { names: ["nvtx_kern_sum", "nvtxkernsum"], compare: ranges::range_kernels },
];

pub(crate) fn compare(section: &mut Section, golden: &Path, trace: &Trace, (name, file): (&str, &str)) {
    section.heading(&format!("{name} (`{file}`)"));
    let folder = golden.join("nsys-stats").join(name);
    let mut lists = Vec::new();
    let mut files: BTreeSet<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for report in REPORTS {
        let file = report.names.iter().flat_map(|name| [format!("{name}.csv"), format!("{name}.csv.gz")]);
        let Some(file) = file.into_iter().find(|file| files.remove(file)) else { continue };
        let mut list = List::new(file.trim_end_matches(".gz").trim_end_matches(".csv").to_owned());
        let sheet = Sheet::open(&folder.join(&file));
        list.rows = sheet.rows.len();
        (report.compare)(&mut list, &sheet, trace);
        lists.push(list);
    }
    assert!(files.is_empty(), "reports that nothing compares: {files:?}");
    section.lists(&lists, None);
}

/// A printed number beside ours, equal to half a unit of its last digit; an empty field stands for none.
fn number(list: &mut List, place: impl FnOnce() -> String, ours: Option<f64>, text: &str) {
    match (ours, printed(text)) {
        (Some(ours), Some((theirs, half))) => list.number(place, ours, theirs, half),
        (None, None) => list.tally.equal += 1,
        (ours, _) => list.differs(|| format!("{}: {ours:?} here, `{text}` there", place())),
    }
}

/// Average, median, least, most and deviation, under column names that begin with `prefix`.
fn spread(list: &mut List, sheet: &Sheet, row: usize, (key, prefix, scale): (&str, &str, f64), values: &Numbers) {
    let some = |value: f64| Some(value / scale).filter(|_| values.count() > 0);
    let columns = [
        ("Avg", some(values.mean())),
        ("Med", if values.count() > 0 { some(values.quantile(0.5)) } else { None }),
        ("Min", some(values.min() as f64)),
        ("Max", some(values.max() as f64)),
        // Of one value, and of none, it prints 0.
        ("StdDev", Some(values.deviation() / scale)),
    ];
    for (column, ours) in columns {
        let column = format!("{prefix}{column}");
        number(list, || format!("{column} of {key}"), ours, sheet.text(row, &column));
    }
}

fn of_kind<'t>(trace: &'t Trace, kinds: &'static [&'static str]) -> impl Iterator<Item = &'t Gpu> {
    trace.activities.iter().filter(|row| kinds.contains(&row.kind.as_str()))
}
