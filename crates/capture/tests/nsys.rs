//! The real nsys, on targets that need no GPU. Where it is absent each test says `skipped: no nsys`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proftool_capture::process::{self, Ended, Limits, Spec, Stopped};
use proftool_capture::profilers::nsys::{self, Known, Version, after, known};
use proftool_capture::profilers::{Found, Launch, Note};
use rusqlite::{Connection, OpenFlags};

fn skip(why: &str) {
    // Not a print macro: the test harness hides those.
    std::io::Write::write_all(&mut std::io::stderr(), format!("skipped: {why}\n").as_bytes()).expect("stderr is open");
}

fn tool() -> Option<Found> {
    nsys::find::find().map_err(|missing| skip(&format!("no nsys ({missing})"))).ok()
}

/// A variable that every process of a run inherits, so that the rest can be found.
const MARK: &str = "PROFTOOL_TEST_OF_NSYS";

struct Run {
    folder: tempfile::TempDir,
    ended: Ended,
    took: Duration,
    notes: Vec<Note>,
    left: Vec<(String, String)>,
}

impl Run {
    fn report(&self) -> PathBuf {
        nsys::report(self.folder.path(), 0)
    }

    fn count(&self, query: &str) -> i64 {
        assert!(self.report().is_file(), "{:?} {:?} {}", self.ended, self.notes, self.printed());
        let database = nsys::database(self.folder.path(), 0);
        open(&database).query_row(query, [], |row| row.get(0)).expect("the query fits the schema")
    }

    /// What nsys and the target printed, for the message of a failed test.
    fn printed(&self) -> String {
        let read = |name| fs::read(self.folder.path().join(name)).unwrap_or_default();
        let text = [read("stdout.txt"), read("stderr.txt")].concat();
        String::from_utf8_lossy(&text[..text.len().min(4000)]).into_owned()
    }

    fn codes(&self) -> Vec<&'static str> {
        self.notes.iter().map(|note| note.code).collect()
    }
}

fn open(database: &Path) -> Connection {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database")
}

fn new_mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Profiles a target as a capture does, then looks for processes that it left.
fn profile(found: &Found, target: &[&str], timeout: u64) -> Run {
    profile_marked(found, target, timeout, &new_mark())
}

fn profile_marked(found: &Found, target: &[&str], timeout: u64, mark: &str) -> Run {
    // One at a time: a machine with few cores starts nsys too slowly for the limits of these tests.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut run = profile_once(found, target, timeout, mark);
    // A fault of nsys on a busy machine, before there is a target.
    for _ in 0..2 {
        if !run.codes().contains(&"no_agent") {
            break;
        }
        run = profile_once(found, target, timeout, mark);
    }
    run
}

fn profile_once(found: &Found, target: &[&str], timeout: u64, mark: &str) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let target: Vec<OsString> = target.iter().map(OsString::from).collect();
    let launch = Launch { target: &target, folder: folder.path(), rank: 0 };
    let words = nsys::command(found, &launch).expect("the temporary folder can be written");
    let spec = Spec {
        program: words[0].clone(),
        args: words[1..].to_vec(),
        env: vec![(MARK.into(), mark.into())],
        unset: Vec::new(),
        dir: None,
        stdout: folder.path().join("stdout.txt"),
        stderr: folder.path().join("stderr.txt"),
        echo: false,
        input: false,
    };
    let limits = Limits { timeout: Some(Duration::from_secs(timeout)), grace: Duration::from_secs(20) };
    let start = Instant::now();
    let ended = process::run(&spec, &limits, &AtomicBool::new(false)).expect("nsys can be started");
    let took = start.elapsed();
    let left = marked(mark);
    let notes = after::after(found, &launch);
    assert!(!nsys::private::folder(&launch).exists(), "the temporary folder is gone");
    Run { folder, ended, took, notes, left }
}

/// Number and command line of the processes with the mark in their environment.
fn marked(mark: &str) -> Vec<(String, String)> {
    let wanted = format!("{MARK}={mark}").into_bytes();
    let folders = fs::read_dir("/proc").expect("procfs").filter_map(|entry| Some(entry.ok()?.path()));
    let of_run = folders.filter(|folder| {
        fs::read(folder.join("environ")).is_ok_and(|text| text.split(|byte| *byte == 0).any(|entry| entry == wanted))
    });
    let line = |folder: &Path| fs::read_to_string(folder.join("cmdline")).unwrap_or_default().replace('\0', " ");
    of_run
        .map(|folder| (folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), line(&folder)))
        .collect()
}

#[test]
fn the_table_of_words_agrees_with_what_the_tool_says_of_itself() {
    let Some(found) = tool() else { return };
    let path = found.path.as_ref().expect("it was found in a place");
    let output = Command::new(path).args(["profile", "--help"]).output().expect("it starts");
    let told = Known::from_help(&String::from_utf8_lossy(&output.stdout)).expect("it lists its options");
    let version: Version = found.version.parse().expect("a version");
    for (word, since) in known::SINCE {
        assert_eq!(told.has(word), version >= *since, "{word} in {version}");
    }
}

#[test]
fn a_short_command_leaves_a_report_and_its_database_and_its_exit_code() {
    let Some(found) = tool() else { return };
    let run = profile(&found, &["sh", "-c", "echo \"tmp=$TMPDIR\"; sleep 0.1; exit 7"], 60);
    assert_eq!(run.ended.exit_code, Some(7));
    assert!(run.report().is_file());
    assert!(run.count("SELECT count(*) FROM OSRT_API") > 0);
    let printed = fs::read_to_string(run.folder.path().join("stdout.txt")).expect("kept");
    let original = std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".to_owned());
    assert!(printed.contains(&format!("tmp={original}\n")), "{printed}");
    assert!(run.notes.is_empty() && run.left.is_empty(), "{:?} {:?}", run.notes, run.left);
}

#[test]
fn the_ranges_of_a_program_are_recorded() {
    let Some(found) = tool() else { return };
    let real = fs::canonicalize(found.path.as_ref().expect("a path")).expect("it exists");
    let headers = real.with_file_name("nvtx").join("include");
    if !headers.is_dir() {
        return skip("no NVTX headers beside nsys");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (source, program) = (folder.path().join("ranges.c"), folder.path().join("ranges"));
    let text = "#include <nvtx3/nvToolsExt.h>\n#include <unistd.h>\n\
                int main(void) {\n    for (int i = 0; i < 5; i++) {\n        nvtxRangePushA(\"step\");\n\
                usleep(2000);\n        nvtxRangePop();\n    }\n    return 0;\n}\n";
    fs::write(&source, text).expect("written");
    let compiled = Command::new("cc").arg("-I").arg(&headers).arg(&source).arg("-o").arg(&program).arg("-ldl").status();
    if !compiled.is_ok_and(|status| status.success()) {
        return skip("no C compiler");
    }
    let run = profile(&found, &[program.to_str().expect("a plain path")], 60);
    let steps = "SELECT count(*) FROM NVTX_EVENTS WHERE text = 'step' AND end - start >= 2000000";
    assert_eq!((run.ended.exit_code, run.count(steps)), (Some(0), 5));
}

/// Sends SIGINT to the group of `nsys profile` alone, once its target runs.
fn interrupt(mark: &str) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(200));
        let all = marked(mark);
        let tool = all.iter().find(|(_, line)| line.contains("nsys profile ")).map(|(pid, _)| pid);
        if let (Some(tool), true) = (tool, all.iter().any(|(_, line)| line.starts_with("sleep 600"))) {
            let group = format!("-{tool}");
            let sent = Command::new("kill").args(["-INT", "--", &group]).status();
            assert!(sent.is_ok_and(|status| status.success()));
            return;
        }
    }
    panic!("the target did not start");
}

#[test]
fn one_interrupt_to_nsys_alone_ends_the_target_and_keeps_the_report() {
    let Some(found) = tool() else { return };
    let mark = new_mark();
    let run = std::thread::scope(|scope| {
        let interrupting = scope.spawn(|| interrupt(&mark));
        let run = profile_marked(&found, &["sh", "-c", "ls / > /dev/null; sleep 600"], 60, &mark);
        interrupting.join().expect("the interrupt was sent");
        run
    });
    assert_eq!((run.ended.exit_code, run.ended.stopped), (Some(128 + 2), None), "{}", run.printed());
    assert!(run.report().is_file(), "{:?} {}", run.notes, run.printed());
    assert!(run.count("SELECT count(*) FROM OSRT_API") > 0);
    assert!(run.left.is_empty(), "{:?}", run.left);
}

#[test]
fn a_target_that_hangs_is_ended_in_time_and_what_it_did_is_kept() {
    let Some(found) = tool() else { return };
    let run = profile(&found, &["sh", "-c", "ls / > /dev/null; sleep 600"], 3);
    assert_eq!(run.ended.stopped, Some(Stopped::Timeout), "{:?} {}", run.ended, run.printed());
    assert!(run.took < Duration::from_mins(1), "{:?}", run.took);
    assert!(run.left.is_empty(), "{:?}", run.left);
    assert!(run.report().is_file(), "{:?}", run.notes);
    assert!(run.count("SELECT count(*) FROM OSRT_API") > 0);
}

#[test]
fn a_target_that_will_not_end_is_killed_and_its_report_is_kept() {
    let Some(found) = tool() else { return };
    let run = profile(&found, &["sh", "-c", "trap '' INT TERM; ls / > /dev/null; while true; do sleep 1; done"], 3);
    assert_eq!(run.ended.stopped, Some(Stopped::Timeout), "{:?} {}", run.ended, run.printed());
    assert!(run.left.is_empty(), "{:?}", run.left);
    assert!(run.report().is_file(), "{:?}", run.notes);
}

#[test]
fn a_target_that_crashes_is_told_by_its_code_and_its_report_is_kept() {
    let Some(found) = tool() else { return };
    let run = profile(&found, &["sh", "-c", "ls / > /dev/null; kill -SEGV $$"], 60);
    assert_eq!(run.ended.shell_code(), 128 + 11);
    assert!(run.report().is_file() && nsys::database(run.folder.path(), 0).is_file());
    assert!(run.left.is_empty(), "{:?}", run.left);
}

#[test]
fn a_child_that_is_left_behind_does_not_hold_the_capture_and_is_ended() {
    let Some(found) = tool() else { return };
    let run = profile(&found, &["sh", "-c", "sleep 600 & exit 0"], 60);
    assert_eq!((run.ended.exit_code, run.ended.stopped), (Some(0), None));
    assert!(run.took < Duration::from_mins(1), "{:?}", run.took);
    assert!(run.left.is_empty(), "{:?}", run.left);
    assert!(run.report().is_file());
}

#[test]
fn a_target_that_prints_20_mb_is_not_held_up() {
    let Some(found) = tool() else { return };
    let run = profile(&found, &["sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x"], 60);
    assert_eq!(run.ended.exit_code, Some(0));
    assert!(fs::metadata(run.folder.path().join("stdout.txt")).expect("kept").len() >= 20_000_000);
    assert!(run.report().is_file() && run.codes().is_empty(), "{:?}", run.notes);
}

#[test]
fn a_target_that_does_not_exist_is_told() {
    let Some(found) = tool() else { return };
    let run = profile(&found, &["./there-is-no-such-program"], 60);
    assert_ne!(run.ended.exit_code, Some(0));
    assert_eq!(run.codes(), ["no_report"]);
}

fn data(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/nsys").join(name);
    if !file.is_file() {
        skip("data not found");
        return None;
    }
    Some(file)
}

/// All rows of a table as text, sorted: an export may write them in any order.
fn rows(database: &Connection, table: &str) -> Vec<String> {
    let mut statement = database.prepare(&format!("SELECT * FROM \"{table}\"")).expect("the table is there");
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect::<Result<Vec<_>, _>>()
    };
    let found = statement.query_map([], row).expect("it can be read").map(|row| row.expect("a row").join("|"));
    let mut rows: Vec<String> = found.collect();
    rows.sort_unstable();
    rows
}

/// The tables that the importer reads.
const READ: &[&str] = &[
    "CUPTI_ACTIVITY_KIND_KERNEL",
    "CUPTI_ACTIVITY_KIND_MEMCPY",
    "CUPTI_ACTIVITY_KIND_MEMSET",
    "CUPTI_ACTIVITY_KIND_RUNTIME",
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION",
    "NVTX_EVENTS",
    "StringIds",
    "TARGET_INFO_CUDA_STREAM",
    "TARGET_INFO_GPU",
    "TARGET_INFO_SESSION_START_TIME",
];

fn same_as_stored(database: &Path, stored: &Path) {
    let (new, old) = (open(database), open(stored));
    for table in READ {
        let (new, old) = (rows(&new, table), rows(&old, table));
        assert!(!old.is_empty(), "{table}");
        assert!(new == old, "{table}: {} rows exported, {} stored, not the same", new.len(), old.len());
    }
}

#[test]
fn the_export_of_an_older_report_equals_the_stored_database() {
    let (Some(found), Some(report), Some(stored)) =
        (tool(), data("v100_p2p_nvlink.qdrep"), data("v100_p2p_nvlink.schema3.0.sqlite"))
    else {
        return;
    };
    // The database was exported by 2022.4, whose schema is 3.0.
    if !found.version.starts_with("2022.4.") {
        return skip("another version of nsys than 2022.4 exports another schema");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("p2p.sqlite");
    after::export(found.path.as_ref().expect("a path"), &report, &database).expect("exported");
    same_as_stored(&database, &stored);
}

/// The report of the GH200 (2023.4.1) is the capture of `gh200_gpu_metrics`, not that of `gh200_jacobi.schema3.6`, which
/// was taken a minute earlier: their session starts differ.
#[test]
fn the_report_of_the_gh200_is_exported_as_stored_or_told_to_be_too_new() {
    let (Some(found), Some(report), Some(stored)) =
        (tool(), data("gh200_jacobi.nsys-rep"), data("gh200_gpu_metrics.schema3.7.sqlite.gz"))
    else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("jacobi.sqlite");
    let exported = after::export(found.path.as_ref().expect("a path"), &report, &database);
    let version: Version = found.version.parse().expect("a version");
    if version < Version::of(2023, 4) {
        let notes = exported.expect_err("it is newer");
        assert_eq!(notes[0].code, "report_too_new");
        assert!(notes[0].detail.contains("2023.4.1.97"), "{}", notes[0].detail);
        return;
    }
    exported.expect("exported");
    let unpacked = folder.path().join("stored.sqlite");
    let file = fs::File::create(&unpacked).expect("a file");
    let unpacking = Command::new("gzip").arg("-dc").arg(&stored).stdout(file).status().expect("gzip starts");
    assert!(unpacking.success());
    same_as_stored(&database, &unpacked);
}

#[test]
fn what_is_no_report_is_told() {
    let Some(found) = tool() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("bad.nsys-rep");
    fs::write(&bad, "hello\n").expect("written");
    let notes = after::export(found.path.as_ref().expect("a path"), &bad, &folder.path().join("bad.sqlite"))
        .expect_err("it is no report");
    assert_eq!(notes[0].code, "damaged_report", "{notes:?}");
}
