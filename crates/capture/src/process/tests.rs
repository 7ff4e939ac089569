use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spec(&self, script: &str) -> Spec {
        Spec {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            env: Vec::new(),
            unset: Vec::new(),
            dir: Some(self.folder.path().to_owned()),
            stdout: self.file("stdout.txt"),
            stderr: self.file("stderr.txt"),
            echo: false,
            input: false,
        }
    }

    fn run(&self, script: &str, timeout: Option<Duration>) -> Ended {
        let limits = Limits { timeout, grace: Duration::from_millis(300) };
        run(&self.spec(script), &limits, &AtomicBool::new(false)).expect("it starts")
    }

    /// The numbers that a script wrote, one a line.
    fn pids(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.file("pids")).expect("the script wrote its numbers");
        text.split_whitespace().map(|word| word.parse().expect("a number")).collect()
    }

    /// Checks that `count` processes told their numbers and that none of them runs any more.
    fn assert_all_gone(&self, count: usize, ended: &Ended) {
        let pids = self.pids();
        assert_eq!(pids.len(), count, "the script did not get as far as to write its numbers: {ended:?}");
        let left: Vec<i32> = pids.into_iter().filter(|&pid| alive(pid)).collect();
        assert!(left.is_empty(), "still running: {left:?}, {ended:?}");
    }
}

/// Whether a process runs: one that has ended may still wait to be reaped by a parent that never does.
fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the file can be read")
}

#[test]
fn a_process_that_runs_is_seen_as_running_and_one_that_waits_to_be_reaped_is_not() {
    let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("sleep starts");
    let pid = i32::try_from(child.id()).expect("a number of a process");
    assert!(alive(pid));
    child.kill().expect("killed");
    // Not reaped yet: it becomes a zombie, which `wait` then removes.
    while alive(pid) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.wait().expect("reaped");
    assert!(!alive(pid));
}

#[test]
fn a_command_ends_with_its_code_its_output_and_what_it_used() {
    let place = Place::new();
    let ended = place.run("echo out; echo err >&2; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 7", None);
    assert_eq!((ended.exit_code, ended.signal, ended.stopped, ended.shell_code()), (Some(7), None, None, 7));
    assert_eq!((read(&place.file("stdout.txt")), read(&place.file("stderr.txt"))), ("out\n".into(), "err\n".into()));
    assert!(ended.wall_ns > 0 && ended.user_ns + ended.system_ns > 0, "{ended:?}");
    assert_eq!((ended.output_bytes, ended.left_behind), ([4, 4], 0));
}

#[test]
fn a_crash_is_told_by_its_signal() {
    let ended = Place::new().run("kill -SEGV $$", None);
    assert_eq!((ended.exit_code, ended.signal, ended.shell_code()), (None, Some(libc::SIGSEGV), 139));
}

#[test]
fn a_program_that_is_not_there_is_an_error_that_names_it() {
    let place = Place::new();
    let spec = Spec { program: "proftool-no-such-program".into(), ..place.spec("") };
    let limits = Limits { timeout: None, grace: Duration::ZERO };
    let error = run(&spec, &limits, &AtomicBool::new(false)).expect_err("it is not there").to_string();
    assert!(error.contains("proftool-no-such-program") && error.contains("hint: check its name"), "{error}");
}

#[test]
fn megabytes_of_output_are_kept_whole_and_block_nobody() {
    let place = Place::new();
    let ended = place.run("head -c 20000000 /dev/zero; head -c 1000000 /dev/zero >&2", Some(Duration::from_mins(1)));
    assert_eq!((ended.exit_code, ended.output_bytes), (Some(0), [20_000_000, 1_000_000]));
    assert_eq!(std::fs::metadata(place.file("stdout.txt")).expect("kept").len(), 20_000_000);
}

#[test]
fn a_command_that_opens_its_stderr_anew_loses_nothing_that_it_wrote_before() {
    let place = Place::new();
    place.run("echo one >&2; echo two > /dev/stderr", None);
    assert_eq!(read(&place.file("stderr.txt")), "one\ntwo\n");
}

#[test]
fn resident_memory_is_told_where_the_command_used_more_than_this_process() {
    let place = Place::new();
    assert_eq!(place.run("true", None).max_rss_bytes, None, "the kernel counts this process before the exec");
    let ended = place.run("x=$(head -c 300000000 /dev/zero | tr '\\0' a); exit 0", None);
    // The shell holds the text once or a few times over.
    assert!(ended.max_rss_bytes.is_some_and(|bytes| (300_000_000..2_000_000_000).contains(&bytes)), "{ended:?}");
}

#[test]
fn a_command_that_hangs_is_ended_with_its_children() {
    let place = Place::new();
    let script = "sleep 600 & echo $! $$ > pids; wait";
    let ended = place.run(script, Some(Duration::from_secs(3)));
    assert_eq!(ended.stopped, Some(Stopped::Timeout));
    place.assert_all_gone(2, &ended);
}

#[test]
fn a_command_that_ignores_every_polite_signal_is_killed() {
    let place = Place::new();
    let script = "trap '' INT TERM HUP; echo $$ > pids; while true; do sleep 0.05; done";
    let ended = place.run(script, Some(Duration::from_secs(3)));
    assert_eq!((ended.signal, ended.stopped), (Some(libc::SIGKILL), Some(Stopped::Timeout)));
    place.assert_all_gone(1, &ended);
}

#[test]
fn a_child_that_is_left_behind_in_a_session_of_its_own_is_ended_and_counted() {
    let place = Place::new();
    let ended =
        place.run("setsid sh -c 'echo $$ > pids; exec sleep 600' & while [ ! -s pids ]; do sleep 0.01; done", None);
    assert_eq!((ended.exit_code, ended.left_behind), (Some(0), 1), "{ended:?}");
    place.assert_all_gone(1, &ended);
}

#[test]
fn a_request_to_stop_reaches_the_command() {
    let place = Place::new();
    let spec = place.spec("trap 'echo stopping; exit 5' INT; echo ready; while true; do sleep 0.02; done");
    let stop = AtomicBool::new(false);
    let limits = Limits { timeout: None, grace: Duration::from_secs(20) };
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&spec, &limits, &stop));
        while !std::fs::read_to_string(&spec.stdout).is_ok_and(|text| text.contains("ready")) {
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::Relaxed);
        running.join().expect("no panic").expect("it starts")
    });
    assert_eq!((ended.exit_code, ended.stopped), (Some(5), Some(Stopped::Interrupted)));
    assert_eq!(read(&spec.stdout), "ready\nstopping\n");
}

#[test]
fn a_command_can_be_asked_to_stop_where_proftool_was_started_with_that_ignored() {
    let place = Place::new();
    // As a script's `proftool ... &` starts it; nothing else in these tests depends on it.
    // SAFETY: both dispositions are valid, and no handler is replaced for good.
    let before = unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    place.run("grep SigIgn /proc/self/status", None);
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGINT, before) };
    let told = read(&place.file("stdout.txt"));
    let mask = told.split_whitespace().last().and_then(|word| u64::from_str_radix(word, 16).ok()).expect("a mask");
    assert_eq!(mask & (1 << (libc::SIGINT - 1)), 0, "{told}");
}

/// `/dev/full`, which Linux has unless a container was given other devices; then a line that CI looks for.
fn full_disk() -> Option<&'static Path> {
    let device = Path::new("/dev/full");
    if device.exists() {
        return Some(device);
    }
    // Not a print macro: the test harness hides those.
    std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no /dev/full\n").expect("stderr can be written");
    None
}

#[test]
fn output_that_does_not_fit_on_the_disk_does_not_stop_the_command() {
    let Some(full) = full_disk() else { return };
    let place = Place::new();
    std::os::unix::fs::symlink(full, place.file("stdout.txt")).expect("linked");
    let ended = place.run("head -c 1000000 /dev/zero && exit 4", None);
    assert_eq!((ended.exit_code, ended.output_bytes[0]), (Some(4), 1_000_000));
    assert!(ended.output_lost.as_deref().is_some_and(|why| why.contains("space")), "{ended:?}");
}
