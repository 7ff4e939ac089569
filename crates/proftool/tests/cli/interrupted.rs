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

/// Starts a long capture and waits until its folders exist and for `more` beyond that.
fn start(place: &Place, more: Duration) -> Child {
    let child = place.command(LONG).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let deadline = Instant::now() + Duration::from_mins(2);
    while place.artifacts().len() < 2 {
        assert!(Instant::now() < deadline, "the capture never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(more);
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill starts").success());
}

/// Interrupts a capture and imports what it left; false when it was interrupted before its first block.
fn interrupted_capture_can_be_imported(more: Duration) -> bool {
    let place = Place::new();
    let child = start(&place, more);
    signal(&child, "INT");
    let ran = ran(&child.wait_with_output().expect("the binary ends"));
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    let left = place.artifacts();
    assert_eq!(left.len(), 2);
    for folder in &left {
        let folder = folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
        assert!(folder.ends_with(".partial"), "{folder}");
        assert!(ran.err.contains(&folder), "{} does not name {folder}", ran.err);
    }

    let later = place.run(&["report"]);
    assert_eq!(later.code, Some(4));
    assert!(later.err.contains("interrupted capture"), "{}", later.err);
    assert!(place.ok(&["doctor"]).out.contains("interrupted"));

    let imported = place.run(&["import", &left[0].to_string_lossy()]);
    if imported.code == Some(0) {
        place.ok(&["analyze", "--metric", "idle"]);
    }
    imported.code == Some(0)
}

#[test]
fn ctrl_c_keeps_what_was_recorded_as_a_partial_that_can_be_imported() {
    // How long the first block takes depends on the machine, so patience grows until one is there.
    let patience = [1, 4, 16, 60].map(Duration::from_secs);
    assert!(patience.into_iter().any(interrupted_capture_can_be_imported), "no interrupted capture could be imported");
}

#[test]
fn a_killed_capture_leaves_nothing_that_looks_whole() {
    let place = Place::new();
    let child = start(&place, Duration::from_secs(1));
    signal(&child, "KILL");
    let ran = ran(&child.wait_with_output().expect("the binary ends"));
    assert_eq!(ran.code, None);
    let left = place.artifacts();
    assert!(!left.is_empty() && left.iter().all(|folder| folder.to_string_lossy().ends_with(".partial")), "{left:?}");
    assert!(place.run(&["analyze"]).err.contains("interrupted capture"));
}
