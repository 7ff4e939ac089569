//! Interrupted and killed captures: a `.partial` directory that later commands name, never one that looks whole.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{Place, ran};

const LONG: &[&str] = &[
    "capture",
    "--target",
    "pipeline_parallelism",
    "--set",
    "sequences=2",
    "--set",
    "prompt_tokens=8",
    "--set",
    "microbatches=2",
    "--set",
    "decode_steps=1",
    "--iterations",
    "1",
    "--blocks",
    "10000",
];

fn start(place: &Place) -> Child {
    let child = place.command(LONG).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let deadline = Instant::now() + Duration::from_mins(2);
    while place.artifacts().len() < 2 {
        assert!(Instant::now() < deadline, "the capture never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Long enough for some blocks on any machine; that none is measured yet would not change what is asserted.
    std::thread::sleep(Duration::from_millis(1500));
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill starts").success());
}

#[test]
fn ctrl_c_keeps_what_was_recorded_as_a_partial_that_can_be_imported() {
    let place = Place::new();
    let child = start(&place);
    signal(&child, "INT");
    let ran = ran(&child.wait_with_output().expect("the binary ends"));
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.err.contains(".partial"), "{}", ran.err);
    let left = place.artifacts();
    assert!(!left.is_empty() && left.iter().all(|folder| folder.to_string_lossy().ends_with(".partial")), "{left:?}");

    let later = place.run(&["report"]);
    assert_eq!(later.code, Some(4));
    assert!(later.err.contains("interrupted capture"), "{}", later.err);
    assert!(place.ok(&["doctor"]).out.contains("interrupted"));

    let partial = left[0].to_string_lossy().into_owned();
    place.ok(&["import", &partial]);
    place.ok(&["analyze", "--metric", "idle"]);
}

#[test]
fn a_killed_capture_leaves_nothing_that_looks_whole() {
    let place = Place::new();
    let child = start(&place);
    signal(&child, "KILL");
    let ran = ran(&child.wait_with_output().expect("the binary ends"));
    assert_eq!(ran.code, None);
    let left = place.artifacts();
    assert!(!left.is_empty() && left.iter().all(|folder| folder.to_string_lossy().ends_with(".partial")), "{left:?}");
    assert!(place.run(&["analyze"]).err.contains("interrupted capture"));
}
