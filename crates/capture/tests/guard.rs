//! The guardian with real processes: what a killed proftool left behind is ended. This test's own program stands in for
//! proftool and for its guardian, so that both are processes of their own.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use proftool_capture::process::{self, Limits, Spec, guard};
use proftool_capture::profilers::Launch;
use proftool_capture::profilers::nsys;

/// A variable that every process of a run inherits, so that the rest can be found.
const MARK: &str = "PROFTOOL_TEST_OF_GUARD";
const PLACE: &str = "PROFTOOL_TEST_PLACE";

fn itself(test: &str) -> Vec<OsString> {
    let program = std::env::current_exe().expect("a path").into_os_string();
    vec![program, "--ignored".into(), "--nocapture".into(), "--exact".into(), test.into()]
}

/// The guardian's program gets the mark as its last argument.
#[test]
#[ignore = "run by the tests below as the guardian"]
fn guardian() {
    let mark = std::env::args().next_back().expect("the mark");
    guard::stand(&mark, std::io::stdin());
}

#[test]
#[ignore = "run by the tests below in place of proftool"]
fn proftool_stand_in() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let place = Path::new(&place);
    guard::start_with(itself("guardian"));
    let target = ["sh", "-c", "touch started; sleep 600"].map(OsString::from);
    let words = match nsys::find::find() {
        Ok(found) if std::env::var_os("WITH_NSYS").is_some() => {
            nsys::command(&found, &Launch { target: &target, folder: place, rank: 0 }).expect("composed")
        }
        // As an agent of a tool: in a session of its own, so that the kernel does not end it with the command.
        _ => ["sh", "-c", "setsid sh -c 'touch started; sleep 600' & wait"].map(OsString::from).to_vec(),
    };
    let spec = Spec {
        program: words[0].clone(),
        args: words[1..].to_vec(),
        env: Vec::new(),
        unset: Vec::new(),
        dir: Some(place.to_owned()),
        stdout: place.join("stdout.txt"),
        stderr: place.join("stderr.txt"),
        echo: false,
        input: false,
    };
    let limits = Limits { timeout: std::env::var_os("SHORT").map(|_| Duration::ZERO), grace: Duration::from_secs(1) };
    process::run(&spec, &limits, &AtomicBool::new(false)).expect("it starts");
}

/// Numbers of the processes with the mark; not those that have ended.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}").into_bytes();
    let folders = fs::read_dir("/proc").expect("procfs").filter_map(|entry| Some(entry.ok()?.path()));
    let has = |folder: &Path| fs::read(folder.join("environ")).unwrap_or_default();
    let of_run = folders.filter(|folder| has(folder).split(|byte| *byte == 0).any(|entry| entry == wanted));
    of_run.filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned())).collect()
}

fn stand_in(place: &Path, mark: &str, variables: &[&str]) -> Child {
    let words = itself("proftool_stand_in");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(MARK, mark).env(PLACE, place).stdout(Stdio::null()).stderr(Stdio::null());
    for name in variables {
        command.env(name, "1");
    }
    command.spawn().expect("it starts")
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn kill_and_look(variables: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = format!("{}-{}", std::process::id(), variables.len());
    let mut proftool = stand_in(folder.path(), &mark, variables);
    wait_until("the target does not start", || folder.path().join("started").exists());
    assert!(marked(&mark).len() >= 3, "proftool, its guardian and the run");
    proftool.kill().expect("killed");
    proftool.wait().expect("ended");
    wait_until("something of the run lives on", || marked(&mark).is_empty());
}

#[test]
fn what_leaves_the_session_of_the_command_ends_with_a_killed_proftool() {
    kill_and_look(&[]);
}

#[test]
fn nsys_its_agent_and_its_target_end_with_a_killed_proftool() {
    if let Err(missing) = nsys::find::find() {
        // Not a print macro: the test harness hides those.
        let line = format!("skipped: no nsys ({missing})\n");
        return std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("stderr is open");
    }
    kill_and_look(&["WITH_NSYS"]);
}

#[test]
fn a_guardian_goes_when_the_run_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = format!("{}-over", std::process::id());
    let ended = stand_in(folder.path(), &mark, &["SHORT"]).wait().expect("it ends");
    assert!(ended.success());
    wait_until("the guardian stays", || marked(&mark).is_empty());
}
