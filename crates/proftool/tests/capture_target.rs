//! Presets of several passes over a built-in target, with the real nsys, and importing captures again. Where nsys is absent
//! a test that needs it says `skipped: nsys not found`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proftool_trace::{frame, tables};
use serde_json::Value;

/// A folder of its own to run the binary in.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proftool"));
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        command.args(arguments).current_dir(self.folder.path()).env("XDG_CACHE_HOME", cache).stdin(Stdio::null());
        command.output().expect("the binary starts")
    }

    fn artifacts(&self, folder: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join(folder)).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        found.sort();
        found
    }
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn manifest(artifact: &Path) -> Value {
    let text = std::fs::read_to_string(artifact.join("manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("it is JSON")
}

fn pass_names(artifact: &Path) -> Vec<String> {
    let manifest = manifest(artifact);
    let passes = manifest["passes"].as_array().expect("a list").iter();
    passes.filter_map(|pass| pass["name"].as_str().map(str::to_owned)).collect()
}

/// Code and detail of the issues of a pass.
fn issues(artifact: &Path, pass: &str) -> Vec<(String, String)> {
    let rows = frame::read(&tables::ISSUES, &artifact.join("tables")).expect("the table can be read");
    let text = |name| frame::texts(&rows, name).expect("a column").into_iter().map(Option::unwrap_or_default);
    let rows = text("pass").zip(text("code")).zip(text("detail"));
    rows.filter(|((of, _), _)| of == pass).map(|((_, code), detail)| (code, detail)).collect()
}

fn has_nsys() -> bool {
    let here = Command::new("nsys").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !here {
        // Not a print macro: the test harness hides those.
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: nsys not found\n").expect("stderr is open");
    }
    here
}

/// Name, start and end of the ranges of the recorder in a pass, each counted from the first start.
fn ranges(artifact: &Path, pass: &str) -> Vec<(String, i64, i64)> {
    let rows = frame::read(&tables::RANGES, &artifact.join("tables")).expect("the table can be read");
    let (passes, names) = (frame::texts(&rows, "pass").expect("texts"), frame::texts(&rows, "name").expect("texts"));
    let (starts, ends) = (frame::ints(&rows, "start_ns").expect("ints"), frame::ints(&rows, "end_ns").expect("ints"));
    let mut found: Vec<(String, i64, i64)> = (0..passes.len())
        .filter(|at| passes[*at].as_deref() == Some(pass))
        .map(|at| (names[at].clone().unwrap_or_default(), starts[at].expect("a start"), ends[at].expect("an end")))
        .collect();
    found.sort_by_key(|(_, start, _)| *start);
    let first = found.first().map_or(0, |(_, start, _)| *start);
    found.into_iter().map(|(name, start, end)| (name, start - first, end - first)).collect()
}

const SMALL: [&str; 10] =
    ["--blocks", "3", "--iterations", "2", "--warmup", "1", "--set", "decode_steps=1", "--set", "sequences=2"];

#[test]
fn a_timeline_of_a_target_is_a_pass_of_its_own_whose_ranges_are_those_of_the_recorder() {
    const CLOSE_NS: i64 = 50_000;
    if !has_nsys() {
        return;
    }
    // A thread that another process interrupts between the two clocks shows them apart: that is tried again.
    let mut apart = i64::MAX;
    for _ in 0..5 {
        let place = Place::new();
        let target =
            ["capture", "--target", "baseline_pipeline_parallelism", "--profile", "timeline", "--timeout", "2m"];
        let ran = place.run(&[&target[..], &SMALL].concat());
        assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
        let [artifact] = &place.artifacts("artifacts")[..] else { panic!("not one artifact") };
        assert_eq!(pass_names(artifact), ["host", "nsys", "nsys-host"]);
        let told = issues(artifact, "nsys");
        let (_, cost) = told.iter().find(|(code, _)| code == "observed_run").expect("what observing cost");
        assert!(cost.contains("2 blocks of 2 iterations") && cost.contains("medians"), "{cost}");
        let manifest = manifest(artifact);
        assert_eq!(manifest["results"]["fill_ns"].as_array().map(Vec::len), Some(3), "results are of the pass host");
        assert!(artifact.join("raw/nsys/nsys.sqlite").is_file());
        let (own, seen) = (ranges(artifact, "nsys-host"), ranges(artifact, "nsys"));
        let names = |ranges: &[(String, i64, i64)]| ranges.iter().map(|range| range.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&own), names(&seen));
        assert!(own.len() >= 3, "warm-up and two blocks: {own:?}");
        let differences = own.iter().zip(&seen).flat_map(|(a, b)| [(a.1 - b.1).abs(), (a.2 - b.2).abs()]);
        apart = apart.min(differences.max().unwrap_or(0));
        if apart < CLOSE_NS {
            return;
        }
    }
    panic!("starts and ends are {apart} ns apart");
}

#[test]
fn a_tool_that_fails_leaves_the_results_and_is_told() {
    if !has_nsys() {
        return;
    }
    let place = Place::new();
    let target = ["capture", "--target", "synthetic", "--profile", "timeline", "--nsys-arg=--no-such-option"];
    let ran = place.run(&target);
    assert_eq!(ran.status.code(), Some(3), "{}", err(&ran));
    assert!(err(&ran).contains("nsys ended with exit code"), "{}", err(&ran));
    let [artifact] = &place.artifacts("artifacts")[..] else { panic!("not one artifact") };
    assert_eq!(manifest(artifact)["results"]["exit_code"], 0, "the target itself did not fail");
    let codes: Vec<String> = issues(artifact, "nsys").into_iter().map(|(code, _)| code).collect();
    for code in ["profiler_failed", "unknown_option", "nothing_recorded"] {
        assert!(codes.iter().any(|found| found == code), "{code}: {codes:?}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_fix_before_anything_runs() {
    let place = Place::new();
    for (arguments, part) in [
        (&["--profile", "roofline"][..], "--backend cuda"),
        (&["--profile", "deep"], "nothing to count"),
        (&["--kernel", "gemm"], "--profile roofline"),
        (&["--profile", "timeline", "--launch-count", "3"], "--profile roofline"),
        (&["--nsys-trace", "nvtx"], "--profile timeline"),
        (&["--timeout", "5s"], "--profile timeline"),
        (&["--backend", "cuda"], "leave it out"),
        (&["--as-pass"], "PROFTOOL_RAW_DIR"),
    ] {
        let ran = place.run(&[&["capture", "--target", "synthetic"], arguments].concat());
        assert_eq!(ran.status.code(), Some(2), "{arguments:?} {}", err(&ran));
        assert!(err(&ran).contains(part) && err(&ran).contains("hint"), "{arguments:?} {}", err(&ran));
    }
    assert!(place.artifacts("artifacts").is_empty());
}

#[test]
fn a_capture_that_is_imported_again_keeps_what_ran_and_how_it_ended() {
    let place = Place::new();
    let ran = place.run(&["capture", "--profile", "none", "--", "sh", "-c", "echo data; exit 7"]);
    assert_eq!(ran.status.code(), Some(3), "{}", err(&ran));
    let ran = place.run(&["capture", "--target", "synthetic"]);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    for before in place.artifacts("artifacts") {
        let ran = place.run(&["import", &before.to_string_lossy(), "--artifacts", "again"]);
        assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
        let printed = String::from_utf8_lossy(&ran.stdout);
        let after = place.folder.path().join(printed.trim());
        assert_eq!(manifest(&after), manifest(&before));
        let pass = pass_names(&before).remove(0);
        assert_eq!(issues(&after, &pass), issues(&before, &pass));
    }
}
