//! Every file of `../shared/data` is claimed by exactly one importer, or is no profiler output and claimed by none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proftool_import::Error;
use proftool_import::driver as import;
use proftool_import::raw::Progress;

/// Importer, and beginning and end of the paths that it claims.
const CLAIMS: &[(&str, &str, &str)] = &[
    ("nsys_sqlite", "nsys/", ".sqlite"),
    ("nsys_sqlite", "nsys/", ".sqlite.gz"),
    ("nsys_sqlite", "negatives/nsys_no_kernels_rtx5060ti", ".sqlite"),
    ("nsys_report", "nsys/", ".nsys-rep"),
    ("nsys_report", "nsys/", ".qdrep"),
    ("nsys_jsonl", "nsys/", ".jsonl.gz"),
    ("nsys_parquet", "nsys/gh200_jacobi.parquetdir/", ".parquet"),
    ("ncu_csv", "ncu/gb200_cuda_graph_full/", ".csv"),
    ("ncu_csv", "ncu/a100_sgemm/", ".csv"),
    ("ncu_csv", "ncu/a100_attention_nersc_metrics/", "_nsight.csv"),
    ("ncu_csv", "ncu/a100_attention_nersc_metrics/", "_nsight_processed.csv"),
    ("ncu_csv", "ncu/a100_attention_nersc_metrics/", "_roofline_result.csv"),
    ("ncu_csv", "ncu/a100_attention_nersc_metrics/", "_nsight_result.csv"),
    ("ncu_csv", "ncu/rtx5070_kernels/ncu_", ".csv"),
    ("ncu_csv", "ncu/rtx5090_ocr_inference/kernel_", ".csv"),
    ("ncu_csv", "negatives/ncu_", ".csv"),
    ("ncu_report", "ncu/", ".ncu-rep"),
    ("kineto", "kineto/", ".json.gz"),
    ("rocprofv3_json", "amd/rocprofv3", ".json.gz"),
    ("rocprofiler_compute", "amd/vcopy", ".csv"),
    ("mooncake", "serving/mooncake", ".jsonl.gz"),
    ("azure_llm", "serving/azure", ".csv"),
    ("genai_perf", "serving/genai_perf", ""),
];

/// Files that no profiler wrote, with what they are.
const NOT_PROFILER_OUTPUT: &[(&str, &str)] = &[
    ("README.md", "text about the folder"),
    ("ncu/rtx5070_kernels/environment.txt", "notes of the authors"),
    ("ncu/rtx5070_kernels/manifest.json", "notes of the authors"),
    ("ncu/rtx5070_kernels/ncu_metrics_used.txt", "a list of metric names"),
    ("ncu/rtx5070_kernels/ncu_ncu_version.txt", "the output of ncu --version"),
    ("ncu/rtx5070_kernels/nvml.csv", "samples in a layout of the authors"),
    ("ncu/rtx5070_kernels/peaks.csv", "results of the authors"),
    ("ncu/rtx5070_kernels/timing.csv", "results of the authors"),
    ("ncu/rtx5070_kernels/table_", "tables of a paper"),
    ("ncu/rtx5090_ocr_inference/analysis__", "results of the authors"),
    ("ncu/rtx5090_ocr_inference/command.yaml", "notes of the authors"),
    (
        "ncu/a100_attention_nersc_metrics/bert_flashattn_nsight_processed_res",
        "made from the page beside it by the authors",
    ),
    ("negatives/git-lfs-pointer.sqlite", "a Git LFS pointer"),
];

fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    // Not a print macro: the test harness hides those.
    std::io::Write::write_all(&mut std::io::stderr(), b"skipped: data not found\n").unwrap();
    None
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The importer that claims a path alone; `None` where none does.
fn claimed(path: &Path) -> Option<&'static str> {
    match import::find(path, &Arc::new(Progress::default())) {
        Ok(found) => {
            assert_eq!(found.claimed.len(), 1, "{}", path.display());
            Some(found.claimed[0].importer.name)
        }
        Err(Error::UnknownFormat { .. } | Error::LfsPointer { .. }) => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn expected(name: &str) -> Option<&'static str> {
    if NOT_PROFILER_OUTPUT.iter().any(|(start, _)| name.starts_with(start)) {
        return None;
    }
    let found = CLAIMS.iter().find(|(_, start, end)| name.starts_with(start) && name.ends_with(end));
    Some(found.unwrap_or_else(|| panic!("the test does not know {name}: who should claim it?")).0)
}

#[test]
fn each_file_is_claimed_by_exactly_one_importer_or_is_no_profiler_output() {
    let Some(data) = data() else { return };
    let mut all = Vec::new();
    files(&data, &mut all);
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for path in &all {
        let name = path.strip_prefix(&data).unwrap().to_string_lossy().into_owned();
        assert_eq!(claimed(path), expected(&name), "{name}");
        *counts.entry(expected(&name)).or_default() += 1;
    }
    assert!(counts.len() > 10 && all.len() > 140, "{counts:?}");
}

#[test]
fn a_folder_that_is_one_capture_is_claimed_whole() {
    let Some(data) = data() else { return };
    let folders = [
        ("nsys/gh200_jacobi.parquetdir", "nsys_parquet"),
        ("amd/vcopy_MI200", "rocprofiler_compute"),
        ("amd/vcopy_MI300X", "rocprofiler_compute"),
    ];
    for (folder, importer) in folders {
        assert_eq!(claimed(&data.join(folder)), Some(importer), "{folder}");
    }
}
