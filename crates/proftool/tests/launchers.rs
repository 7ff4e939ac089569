//! Ranks: a real mpirun where there is one, and the variables of torchrun; each rank captures for itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// What PyTorch's profiler writes, as little of it as can be.
const TRACE: &str = r#"{"schemaVersion":1,"deviceProperties":[],"traceEvents":[{"ph":"X","cat":"kernel","name":"k","pid":0,
    "tid":7,"ts":1,"dur":1,"args":{"device":0,"stream":7,"correlation":1}}]}"#;

fn skip(why: &str) {
    // Not a print macro: the test harness hides those.
    std::io::Write::write_all(&mut std::io::stderr(), format!("skipped: {why}\n").as_bytes()).expect("stderr is open");
}

fn proftool() -> &'static str {
    env!("CARGO_BIN_EXE_proftool")
}

/// A command that runs in `place`, with no rank from the environment of this test.
fn command(program: &str, place: &Path) -> Command {
    let mut command = Command::new(program);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    command.current_dir(place).env("XDG_CACHE_HOME", cache).stdin(Stdio::null());
    for name in ["RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID", "SLURM_JOB_ID"]
    {
        command.env_remove(name);
    }
    command
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// The folder of the one job, and its parts.
fn job(place: &Path) -> (PathBuf, Vec<PathBuf>) {
    let jobs = folders(&place.join("artifacts"));
    let [job] = &jobs[..] else { panic!("not one job: {jobs:?}") };
    (job.clone(), folders(job))
}

fn manifest(artifact: &Path) -> Value {
    let text = std::fs::read_to_string(artifact.join("manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The artifact that `import` makes of a job.
fn joined(place: &Path, job: &Path) -> PathBuf {
    let ran =
        command(proftool(), place).args(["import", "--artifacts", "joined"]).arg(job).output().expect("it starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    folders(&place.join("joined")).swap_remove(0)
}

#[test]
fn mpirun_gives_each_rank_a_part_and_import_joins_them() {
    let place = tempfile::tempdir().expect("a folder");
    let script =
        r#"printf '%s' "$TRACE" > "$PROFTOOL_RAW_DIR/rank$OMPI_COMM_WORLD_RANK.json"; echo "$OMPI_COMM_WORLD_RANK""#;
    let mut mpirun = command("mpirun", place.path());
    // Its own sessions and its refusal to run as root or on few cores are no matter here.
    mpirun.args(["-n", "3", "--allow-run-as-root", "--oversubscribe", proftool(), "capture", "--profile", "none"]);
    mpirun.args(["--", "sh", "-c", script, "--api-key", "hunter2-of-the-line"]).env("TRACE", TRACE);
    let Ok(ran) = mpirun.output() else { return skip("mpirun not found") };
    let said = String::from_utf8_lossy(&ran.stderr);
    if !said.is_empty() && String::from_utf8_lossy(&ran.stdout).is_empty() && said.contains("Unrecognized") {
        return skip("another mpirun than that of Open MPI");
    }
    assert!(ran.status.success(), "{said}");
    let (job, parts) = job(place.path());
    assert_eq!(parts.len(), 3, "{parts:?}");
    for (rank, part) in parts.iter().enumerate() {
        let command = &manifest(part)["command"];
        assert_eq!((&command["rank"]["rank"], &command["rank"]["world_size"]), (&rank.into(), &3.into()));
        let printed = std::fs::read_to_string(part.join("raw/none/stdout.txt")).expect("kept");
        assert_eq!(printed.trim(), rank.to_string());
        let text = std::fs::read_to_string(part.join("manifest.json")).expect("a manifest");
        assert!(!text.contains("hunter2"), "mpirun hands the command line on in a variable: {text}");
        assert!(!text.contains("tcp://"), "and addresses of this machine: {text}");
    }
    let whole = manifest(&joined(place.path(), &job));
    let ranks = whole["passes"][0]["ranks"].as_array().expect("a list").clone();
    let mut ranks: Vec<i64> = ranks.iter().filter_map(|rank| rank["rank"].as_i64()).collect();
    ranks.sort_unstable();
    assert_eq!(ranks, [0, 1, 2]);
}

/// Compiles the double of NVML; none where there is no C compiler.
fn double(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("libnvml_double.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../capture/tests/nvml_double.c");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-DDEVICES=2", "-o"]).arg(&library).arg(source);
    compile.status().is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn three_ranks_of_a_node_sample_each_gpu_once() {
    let place = tempfile::tempdir().expect("a folder");
    let Some(library) = double(place.path()) else { return skip("cc not found") };
    // All samplers are at work before the first may end.
    let script =
        "touch started.$RANK; until test -e started.0 -a -e started.1 -a -e started.2; do sleep 0.05; done; sleep 0.3";
    let ranks: Vec<Child> = (0..3)
        .map(|rank: i32| {
            let mut one = command(proftool(), place.path());
            one.args(["capture", "--profile", "minimal", "--timeout", "60s", "--", "sh", "-c", script]);
            one.env("PROFTOOL_NVML_PATH", &library).env("RANK", rank.to_string()).env("WORLD_SIZE", "3");
            // A setting for all ranks, as users make it: it does not say whose GPU is whose.
            one.env("LOCAL_RANK", rank.to_string()).env("CUDA_VISIBLE_DEVICES", "0,1");
            one.env("TORCHELASTIC_RUN_ID", format!("test-{}", std::process::id()));
            one.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts")
        })
        .collect();
    for child in ranks {
        let ran = child.wait_with_output().expect("the binary ends");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    let (job, parts) = job(place.path());
    assert_eq!(parts.len(), 3, "{parts:?}");
    let joined = joined(place.path(), &job);
    let samples =
        proftool_trace::frame::read(&proftool_trace::tables::SAMPLES, &joined.join("tables")).expect("a table");
    let column = |name| proftool_trace::frame::ints(&samples, name).expect("a column");
    let mut devices: Vec<_> = column("rank").into_iter().zip(column("device")).collect();
    devices.sort_unstable();
    devices.dedup();
    let mut numbers: Vec<_> = devices.iter().map(|(_, device)| *device).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [Some(0), Some(1)], "each device in one rank: {devices:?}");
}
