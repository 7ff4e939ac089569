//! The capture of a command with real processes: passes, failures, and what stays on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use proftool_capture::Environment;
use proftool_capture::command::{self, Captured, Error, Request};
use proftool_capture::process::Limits;
use proftool_capture::profilers::{Options, Severity};
use proftool_capture::profiles::{Plan, Profile, Records, Wanted};
use proftool_trace::manifest::Host;

static TWO: Profile = Profile {
    name: "two",
    doc: "one pass of the two has a profiler that is not there",
    traced: false,
    target_passes: &[],
    passes: &[plan("first", &[]), plan("second", &[ABSENT])],
};

static IMPOSSIBLE: Profile = Profile {
    name: "impossible",
    doc: "needs what no version has",
    traced: false,
    target_passes: &[],
    passes: &[plan("only", &[Wanted { name: "no-such-profiler", where_present: false }])],
};

const fn plan(name: &'static str, profilers: &'static [Wanted]) -> Plan {
    Plan { name, profilers, records: Records::Anything, otherwise: None }
}

const ABSENT: Wanted = Wanted { name: "no-such-profiler", where_present: true };

fn request<'a>(place: &Path, profile: &'static Profile, script: &str, stop: &'a AtomicBool) -> Request<'a> {
    Request {
        command: ["sh", "-c", script].map(Into::into).to_vec(),
        profile,
        options: Options::default(),
        artifacts: place.to_owned(),
        rank: None,
        limits: Limits { timeout: Some(Duration::from_secs(30)), grace: Duration::from_millis(200) },
        input: false,
        command_line: Vec::new(),
        environment: Environment {
            hardware_key: "cpu-test-1c".to_owned(),
            host: Host { os: String::new(), cpu: String::new(), cores: 1, memory_bytes: 0 },
            device_name: String::new(),
            arch: String::new(),
            cores: vec![0],
            versions: BTreeMap::new(),
            git: None,
            captured_utc: "2026-01-31T23:59:59Z".to_owned(),
        },
        stop,
    }
}

fn capture(place: &Path, profile: &'static Profile, script: &str) -> Result<Captured, Error> {
    command::capture(&request(place, profile, script, &AtomicBool::new(false)), &mut |_| {})
}

fn left(place: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(place).expect("the folder can be read").flatten().map(|entry| entry.path()).collect()
}

#[test]
fn passes_without_a_profiler_that_works_here_are_one_run() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let captured = capture(place.path(), &TWO, "echo run; exit 4").expect("captured");
    assert_eq!(captured.manifest.passes.iter().map(|pass| pass.name.as_str()).collect::<Vec<_>>(), ["first"]);
    assert_eq!(captured.failed.as_ref().map(|failed| failed.code), Some(4));
    let codes: Vec<_> = captured.notes.iter().map(|(pass, note)| (pass.as_str(), note.code, note.severity)).collect();
    assert_eq!(codes, [("first", "target_failed", Severity::Error)]);
    let raw = captured.draft.path().join("raw/first");
    assert_eq!(std::fs::read_to_string(raw.join("stdout.txt")).expect("kept"), "run\n");
    assert!(!raw.join("stderr.txt").exists(), "nothing was printed there");
    let artifact = captured.draft.finish(captured.manifest).expect("finished");
    assert!(artifact.path.ends_with("20260131T235959Z-sh-cpu-test-1c"), "{:?}", artifact.path);
}

#[test]
fn a_profiler_that_is_needed_and_absent_is_an_error_before_anything_is_written() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let error = capture(place.path(), &IMPOSSIBLE, "touch ran").expect_err("refused").to_string();
    assert!(error.contains("no-such-profiler") && error.contains("hint"), "{error}");
    assert!(left(place.path()).is_empty());
}

#[test]
fn an_interrupted_capture_leaves_a_partial_with_what_was_printed() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let stop = AtomicBool::new(true);
    let request = request(place.path(), &TWO, "echo begun; sleep 600", &stop);
    let error = command::capture(&request, &mut |_| {}).expect_err("interrupted");
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    let left = left(place.path());
    assert!(left.len() == 1 && left[0].to_string_lossy().ends_with(".partial"), "{left:?}");
}
