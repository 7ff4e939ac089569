//! `proftool ceilings` and `proftool doctor` on test doubles of CUDA's libraries: the rows, not the values.

#[path = "../../workloads/tests/cuda_double/mod.rs"]
mod cuda_double;

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::Value;

/// Runs proftool with a cache of its own, on so many doubles; none where there is no C++ compiler.
fn proftool(arguments: &[&str], devices: &str) -> Option<Output> {
    let libraries = cuda_double::build()?;
    let cache = tempfile::tempdir().expect("a folder can be made");
    let mut command = cuda_double::command(env!("CARGO_BIN_EXE_proftool"), &libraries);
    command.args(arguments).env("DOUBLE_DEVICES", devices).env("XDG_CACHE_HOME", cache.path());
    command.env("PROFTOOL_NVML_PATH", "/nowhere/libnvidia-ml.so.1");
    Some(command.output().expect("proftool starts"))
}

fn rows(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an array of rows")
}

#[test]
fn every_gpu_has_its_rows_once_and_no_number_is_missing() {
    let arguments = ["ceilings", "--device", "cuda", "--format", "json"];
    let Some(output) = proftool(&arguments, "2") else { return };
    let rows = rows(&output);
    let key = |row: &Value| {
        ["device", "kind", "name", "precision", "level", "isa", "cores"].map(|name| row[name].to_string()).join(" ")
    };
    assert_eq!(rows.iter().map(key).collect::<BTreeSet<_>>().len(), rows.len());
    let places: BTreeSet<_> = rows.iter().filter_map(|row| row["place"].as_str()).collect();
    assert_eq!(places, BTreeSet::from(["cuda:0", "cuda:1"]));
    for row in &rows {
        assert!(row["value"].as_f64().is_some_and(|value| value > 0.0), "{row}");
        assert_eq!(row["precision"].is_null(), row["kind"] == "bandwidth", "{row}");
        assert_eq!(row["level"].is_null(), row["kind"] == "compute", "{row}");
        assert_eq!(row["source"], "measured");
    }
    let has = |name: &str, value: &str| {
        rows.iter().any(|row| row["name"] == name && row["device"] == 1 && row.to_string().contains(value))
    };
    assert!(has("matmul", "matrix_bf16") && has("read", "DRAM") && has("to_0", "peer") && has("d2h", "host"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("cuda:0: no roof of matmul matrix_f8: "), "{err}");
}

#[test]
fn people_see_the_name_of_the_double_and_the_clock() {
    let Some(output) = proftool(&["ceilings", "--device", "cuda:0", "--budget", "1"], "1") else { return };
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("proftool test double") && out.contains("clock") && out.contains("matrix_bf16"), "{out}");
}

#[test]
fn a_gpu_that_is_not_there_is_named() {
    let Some(output) = proftool(&["ceilings", "--device", "cuda:7"], "1") else { return };
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("cuda:7") && err.contains("numbered 0 to 0"), "{err}");
}

#[test]
fn doctor_names_the_gpus_and_the_versions_of_the_libraries() {
    let Some(output) = proftool(&["doctor", "--format", "json"], "2") else { return };
    let rows = rows(&output);
    let found = |what: &str| {
        let of: Vec<&str> =
            rows.iter().filter(|row| row["what"] == what).filter_map(|row| row["found"].as_str()).collect();
        of.join("; ")
    };
    assert!(found("gpu").contains("cuda:0 proftool test double") && found("gpu").contains("cuda:1"), "{rows:?}");
    assert_eq!([found("CUDA driver"), found("NVRTC")], ["CUDA 12.4", "CUDA 12.4"]);
    assert!(found("cuBLASLt").starts_with("CUDA 12."), "{rows:?}");
    for row in rows.iter().filter(|row| row["state"] != "ok") {
        assert!(row["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "no fix in {row}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn a_real_gpu_has_roofs_and_a_clock() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_proftool"))
        .args(["ceilings", "--device", "cuda", "--format", "json"])
        .output()
        .expect("proftool starts");
    let rows = rows(&output);
    let peak = rows.iter().find(|row| row["name"] == "matmul" && row["isa"] == "tensor").expect("a matrix peak");
    assert!(peak["clock_hz"].as_f64().is_some_and(|hz| (5e8..5e9).contains(&hz)), "{peak}");
}
