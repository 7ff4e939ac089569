//! Imports of real files through the binary: one file, packed files, directories of ranks, archives.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Place, shared_data};

fn manifest(artifact: &Path) -> Value {
    let text = std::fs::read_to_string(artifact.join("manifest.json")).expect("an artifact has a manifest");
    serde_json::from_str(&text).expect("a manifest is JSON")
}

fn rows(manifest: &Value, table: &str) -> u64 {
    let tables = manifest["tables"].as_array().expect("a list of tables");
    let found = tables.iter().find(|stated| stated["name"] == table);
    found.map_or(0, |stated| stated["rows"].as_u64().expect("a row count"))
}

/// The one artifact that importing `path` gives.
fn imported(place: &Place, path: &str, more: &[&str]) -> (PathBuf, Value) {
    let ran = place.ok(&[&["import", path], more].concat());
    let artifact = place.path().join(ran.out.trim());
    let manifest = manifest(&artifact);
    (artifact, manifest)
}

fn json(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let ran = place.ok(&[arguments, &["--format", "json"]].concat());
    serde_json::from_str::<Value>(&ran.out).expect("JSON").as_array().expect("an array").clone()
}

#[test]
fn a_trace_becomes_an_artifact_that_every_other_command_reads() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let trace = data.join("kineto/h100_qwen_0.5b.json.gz");
    let (artifact, manifest) = imported(&place, trace.to_str().expect("a path"), &[]);
    let name = artifact.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(name.ends_with("-h100_qwen_0.5b-nvidia-h100-80gb-hbm3-x1"), "{name}");
    assert_eq!(manifest["hardware_key"], "nvidia-h100-80gb-hbm3-x1");
    assert_eq!(manifest["target"]["name"], "h100_qwen_0.5b");
    assert_eq!(manifest["passes"][0]["profilers"][0], "kineto");
    assert_eq!(rows(&manifest, "activities"), 1707);
    assert!(artifact.join("raw/kineto/h100_qwen_0.5b.json.gz").is_file());
    let idle = json(&place, &["analyze", "--metric", "idle"]);
    let device = idle.iter().find(|row| row["queue"].is_null()).expect("a row of the device");
    assert_eq!(device["idle_ns"].as_i64(), Some(4_005_532), "as exact_ref.py has it");
    let report = place.ok(&["report"]).out;
    let text = std::fs::read_to_string(place.path().join(report.trim())).expect("a report");
    assert!(text.contains("an imported capture: device 0 of rank 0 busy 91.9 %"), "{text}");
    assert!(!text.contains("NOT VERIFIED"), "{text}");
}

#[test]
fn a_directory_of_ranks_becomes_one_artifact_with_a_rank_a_file() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let ranks = place.path().join("ranks");
    std::fs::create_dir(&ranks).expect("a folder");
    for rank in 0..2 {
        let name = format!("sampled_rank-{rank}_of_128.json.gz");
        std::fs::copy(data.join("kineto").join(&name), ranks.join(&name)).expect("copied");
    }
    std::fs::write(ranks.join("notes.txt"), "what was run").expect("written");
    let (artifact, whole) = imported(&place, "ranks", &["--workers", "2"]);
    let passes = whole["passes"].as_array().expect("passes");
    assert_eq!(passes.len(), 1, "{passes:?}");
    let stated: Vec<_> = passes[0]["ranks"].as_array().expect("ranks").iter().map(|one| one["rank"].as_i64()).collect();
    assert_eq!(stated, [Some(0), Some(1)]);
    let alone: u64 = (0..2)
        .map(|rank| {
            let file = format!("ranks/sampled_rank-{rank}_of_128.json.gz");
            rows(&imported(&place, &file, &[]).1, "calls")
        })
        .sum();
    assert_eq!(rows(&whole, "calls"), alone);
    assert!(!artifact.join("tables/.parts").exists());
    let issues = place.ok(&["report", "--artifacts", artifact.to_str().expect("a path")]);
    let text = std::fs::read_to_string(place.path().join(issues.out.trim())).expect("a report");
    assert!(text.contains("notes.txt"), "{text}");
}

#[test]
fn files_of_one_rank_become_passes_of_their_own() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let folder = place.path().join("pages");
    std::fs::create_dir(&folder).expect("a folder");
    for name in ["ncu_saxpy.csv", "ncu_gemm_tiled.csv"] {
        std::fs::copy(data.join("ncu/rtx5070_kernels").join(name), folder.join(name)).expect("copied");
    }
    let (_, manifest) = imported(&place, "pages", &[]);
    let names: Vec<_> = manifest["passes"].as_array().expect("passes").iter().map(|pass| &pass["name"]).collect();
    assert_eq!(names, ["ncu", "ncu-2"]);
}

#[test]
fn packing_changes_nothing() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let plain = std::fs::read(data.join("nsys/rtx3080_min.schema3.24.sqlite")).expect("readable");
    let file = |name: &str| std::fs::File::create(place.path().join(name)).expect("a file");
    file("plain.sqlite").write_all(&plain).expect("written");
    let mut gzip = flate2::write::GzEncoder::new(file("gzip.sqlite.gz"), flate2::Compression::fast());
    gzip.write_all(&plain).and_then(|()| gzip.finish().map(drop)).expect("written");
    zstd::stream::copy_encode(plain.as_slice(), file("zstd.sqlite.zst"), 1).expect("written");
    let mut zip = zip::ZipWriter::new(file("zip.zip"));
    zip.start_file("folder/zip.sqlite", zip::write::SimpleFileOptions::default()).expect("begun");
    zip.write_all(&plain).and_then(|()| zip.finish().map(drop).map_err(std::io::Error::other)).expect("written");
    let tables = |path: &str| imported(&place, path, &[]).1["tables"].clone();
    let wanted = tables("plain.sqlite");
    for packed in ["gzip.sqlite.gz", "zstd.sqlite.zst", "zip.zip"] {
        assert_eq!(tables(packed), wanted, "{packed}");
    }
}

#[test]
fn the_device_can_be_named_where_the_file_names_none() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let page = data.join("ncu/a100_attention_nersc_metrics/bert_flashattn_nsight.csv");
    let (_, manifest) = imported(&place, page.to_str().expect("a path"), &["--hardware", "a100-40gb"]);
    assert_eq!(manifest["hardware_key"], "a100-40gb-x1");
}

#[test]
fn an_export_beside_its_report_is_imported_once_and_a_folder_called_raw_hides_nothing() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let folder = place.path().join("run");
    std::fs::create_dir_all(folder.join("raw")).expect("a folder");
    for (from, to) in [
        ("nsys/gh200_jacobi.nsys-rep", "report1.nsys-rep"),
        ("nsys/a100_saxpy.schema2.9.sqlite", "report1.sqlite"),
        ("kineto/cuda_event_sync_multi_stream.json.gz", "raw/trace.json.gz"),
    ] {
        std::fs::copy(data.join(from), folder.join(to)).expect("copied");
    }
    let (artifact, manifest) = imported(&place, "run", &[]);
    let names: Vec<_> = manifest["passes"].as_array().expect("passes").iter().map(|pass| &pass["name"]).collect();
    assert_eq!(names, ["kineto", "nsys"]);
    assert!(artifact.join("raw/kineto/raw/trace.json.gz").is_file(), "the place below the folder is kept");
}
