//! The whole of `scripts/gpu-check` on the test doubles of CUDA's libraries: that each step comes to a conclusion, and that
//! nothing of it passes for a measurement. Its times mean nothing.

#[path = "../../workloads/tests/cuda_double/mod.rs"]
mod cuda_double;

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Few rows: the double multiplies plainly, and the layers are as wide as ever.
const SMALL: [&str; 4] = ["sequences=2", "prompt_tokens=1", "decode_steps=1", "microbatches=1"];

/// What neither the doubles nor a machine without a GPU have.
const NOT_HERE: [&str; 3] = ["ncu", "pipeline-roofline", "torch"];

#[test]
fn gpu_check_concludes_on_the_double_and_says_that_it_is_one() {
    let Some(libraries) = cuda_double::build() else { return };
    let place = tempfile::tempdir().expect("a folder can be made");
    let out = place.path().join("out");
    // A machine's own PyTorch would meet a driver that is none.
    fs::write(place.path().join("torch.py"), "raise ImportError('left out by the test')").expect("a module is written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/gpu-check");
    let mut command = cuda_double::command("python3", &libraries);
    command.args(["-B", script, "--proftool", env!("CARGO_BIN_EXE_proftool"), "--quick", "--out"]).arg(&out);
    command.args(SMALL.iter().flat_map(|parameter| ["--set", parameter]));
    command.env("PYTHONPATH", place.path()).env("PROFTOOL_NVML_PATH", "/nowhere/libnvidia-ml.so.1");
    let said = command.output().expect("python3 starts");
    let printed = String::from_utf8_lossy(&said.stdout);
    assert_eq!(said.status.code(), Some(0), "{printed}\n{}", String::from_utf8_lossy(&said.stderr));

    let read = |name: &str| fs::read_to_string(out.join(name)).expect("a file of the results");
    let result: Value = serde_json::from_str(&read("checks.json")).expect("JSON");
    assert_eq!(result["facts"]["device"], "proftool test double");
    let of = |part: &str, verdict: &str, name: &str| -> Vec<String> {
        let rows = result[part].as_array().expect("rows").iter().filter(|row| row["verdict"] == verdict);
        let mut names: Vec<_> = rows.filter_map(|row| row[name].as_str().map(str::to_owned)).collect();
        names.sort();
        names
    };
    assert_eq!(of("steps", "not possible here", "step"), NOT_HERE, "{printed}");
    assert_eq!(of("steps", "ok", "step").len(), 6, "{printed}");
    let verified = of("checks", "ok", "check").iter().filter(|check| check.ends_with("outputs verified")).count();
    assert_eq!(verified, 6, "two runs of a pair and two of one target: {result}");
    assert!(read("report.md").contains("A test double, no GPU"));
    check_ceilings(&read("ceilings.json"));
    check_folder(&out);
}

/// Rows of a GPU, each with the name of what it was measured on.
fn check_ceilings(text: &str) {
    let rows: Vec<Value> = serde_json::from_str(text).expect("JSON");
    assert!(rows.len() > 10 && rows.iter().all(|row| row["model"] == "proftool test double"), "{rows:?}");
}

/// The results as `scripts/gpu-check --help` promises them, and nothing beside them.
fn check_folder(out: &Path) {
    let entries = fs::read_dir(out).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["ceilings.json", "checks.json", "details.tar.gz", "doctor.json", "report.md"]);
    assert!(!out.with_extension("work").exists());
}
