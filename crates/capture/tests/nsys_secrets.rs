//! What nsys writes about the machine, with the real tool: no secret of proftool's environment is left in the files, and
//! the target has it all the same.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use proftool_capture::process::{self, Limits, Spec};
use proftool_capture::profilers::nsys::{self, after};
use proftool_capture::profilers::{Found, Launch, Note};

/// Of the form of a real key; never valid.
const VARIABLE: &str = "hf_hunter2Qw8Zx1Lk5Vb9Nm3Rt";
const ARGUMENT: &str = "sk-hunter7Hq2Xz9Lm4Pn8Vb3Kt6";

fn tool() -> Option<Found> {
    let skip = |missing| {
        // Not a print macro: the test harness hides those.
        let line = format!("skipped: no nsys ({missing})\n");
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("stderr is open");
    };
    nsys::find::find().map_err(skip).ok()
}

/// Runs this test's own program again, with the secret in its environment: a program cannot safely change its own.
#[test]
fn a_secret_is_nowhere_in_the_files_and_the_target_has_it() {
    if tool().is_none() {
        return;
    }
    let itself = std::env::current_exe().expect("a path");
    let ran = Command::new(itself)
        .args(["--exact", "with_a_secret_in_the_environment", "--ignored", "--nocapture"])
        .env("HF_TOKEN", VARIABLE)
        .output()
        .expect("it starts");
    let text = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
#[ignore = "run by the test above, with a secret in its environment"]
fn with_a_secret_in_the_environment() {
    let (Some(found), Ok(secret)) = (tool(), std::env::var("HF_TOKEN")) else { return };
    assert_eq!(secret, VARIABLE);
    let folder = tempfile::tempdir().expect("a folder");
    // Its children have the secret as well, and nsys looks into each.
    let script = "test \"$HF_TOKEN\" && sh -c 'printf %s \"$HF_TOKEN\" | wc -c; sleep 1'; ls / > /dev/null; sleep 1";
    let target = ["sh", "-c", script, "--api-key", ARGUMENT].map(OsString::from);
    let (notes, printed) = profile(&found, folder.path(), &target);
    assert_eq!(printed.trim(), VARIABLE.len().to_string(), "the target has the secret");
    let codes: Vec<&str> = notes.iter().map(|note| note.code).collect();
    assert_eq!(codes, ["secrets_masked"], "{notes:?}");
    let (report, database) = (nsys::report(folder.path(), 0), nsys::database(folder.path(), 0));
    assert!(report.is_file() && database.is_file());
    for file in files(folder.path()) {
        assert_eq!(held(&file), None, "{}", file.display());
    }
    // The report's compressed parts show in an export only.
    let again = folder.path().join("again.sqlite");
    after::export(found.path.as_ref().expect("a path"), &report, &again).expect("the masked report can be read");
    assert_eq!(held(&again), None, "the report");
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let cleaned = rusqlite::Connection::open(&database).expect("a database");
    let count = |sql: &str| cleaned.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
    assert!(count("SELECT count(*) FROM OSRT_API") > 0);
    assert_eq!(count(&format!("SELECT count(*) FROM TARGET_INFO_SYSTEM_ENV WHERE value = '{}'", name.trim())), 0);
    assert_eq!(count("SELECT count(*) FROM PROCESSES WHERE pid = 1"), 0, "only the run's own processes stay");
    assert!(count("SELECT count(*) FROM PROCESSES") > 0);
}

/// A piece of a secret that a file holds: eight bytes with a digit are like no other text.
fn held(file: &Path) -> Option<&'static str> {
    let bytes = fs::read(file).expect("readable");
    let pieces = [VARIABLE, ARGUMENT].into_iter().flat_map(|secret| (8..secret.len()).map(|end| &secret[end - 8..end]));
    let mut pieces = pieces.filter(|piece| piece.contains(|letter: char| letter.is_ascii_digit()));
    pieces.find(|piece| memchr::memmem::find(&bytes, piece.as_bytes()).is_some())
}

/// What the notes say, and what the target printed.
fn profile(found: &Found, folder: &Path, target: &[OsString]) -> (Vec<Note>, String) {
    let launch = Launch { target, folder, rank: 0 };
    let words = nsys::command(found, &launch).expect("the temporary folder can be written");
    let stdout = folder.join("stdout.txt");
    let spec = Spec {
        program: words[0].clone(),
        args: words[1..].to_vec(),
        env: Vec::new(),
        unset: Vec::new(),
        dir: None,
        stdout: stdout.clone(),
        stderr: folder.join("stderr.txt"),
        echo: false,
        input: false,
    };
    let limits = Limits { timeout: Some(Duration::from_mins(1)), grace: Duration::from_secs(20) };
    process::run(&spec, &limits, &AtomicBool::new(false)).expect("nsys can be started");
    let notes = after::after(found, &launch);
    let printed = fs::read_to_string(stdout).expect("kept");
    (notes, printed.lines().next().unwrap_or_default().to_owned())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("readable").filter_map(|entry| Some(entry.ok()?.path())).collect()
}
