//! A guardian: a process that ends the processes of a run when proftool itself is gone before them (SIGKILL, a second
//! Ctrl-C, a crash). The kernel kills only the command then, while tools put their agents and targets into sessions of
//! their own.
//!
//! It holds the reading end of a pipe whose writing end is proftool's alone. The pipe closes when proftool ends, whatever
//! way; what was written until then says whether the run was over.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::family::{Family, MARK};

/// What proftool writes when a run is over.
const OVER: &str = "over";
/// How often it is looked whether all have ended, and how long: what hangs in a driver cannot be killed.
const TICK: Duration = Duration::from_millis(20);
const GIVE_UP: Duration = Duration::from_secs(10);

static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// From now on each captured command has a guardian: the program and arguments that call [`stand`] with one more
/// argument, the mark of the run.
pub fn start_with(words: Vec<OsString>) {
    // The first caller decides; there is one.
    let _ = WORDS.set(words);
}

/// The guardian's work: waits until `pipe` closes, then ends the run unless it was over. Returns how many processes it
/// had to kill.
pub fn stand(mark: &str, mut pipe: impl Read) -> usize {
    let mut told = Vec::new();
    // What cannot be read is over: the pipe is gone.
    let _ = pipe.read_to_end(&mut told);
    let told = String::from_utf8_lossy(&told);
    if told.lines().any(|line| line == OVER) {
        return 0;
    }
    let root = told.lines().find_map(|line| line.parse().ok()).unwrap_or_default();
    let (family, start, mut killed) = (Family::of_mark(mark, root), Instant::now(), 0);
    loop {
        let count = family.kill();
        killed = killed.max(count);
        if count == 0 || start.elapsed() > GIVE_UP {
            return killed;
        }
        std::thread::sleep(TICK);
    }
}

/// The guardian of one run, dismissed when it is dropped.
pub(super) struct Guard(Option<Child>);

impl Guard {
    /// Starts it before the run, so that nothing is ever without it; no guardian where none was given or it does not
    /// start, which is no reason to refuse a capture.
    pub(super) fn start(mark: &str) -> Self {
        let Some((program, arguments)) = WORDS.get().and_then(|words| words.split_first()) else { return Self(None) };
        let mut command = Command::new(program);
        command.args(arguments).arg(mark).env_remove(MARK);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        // SAFETY: between fork and exec only setsid is called, which is async-signal-safe.
        unsafe { command.pre_exec(own_session) };
        Self(command.spawn().ok())
    }

    /// No guardian.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Its number, where there is one.
    pub(super) fn pid(&self) -> Option<libc::pid_t> {
        self.0.as_ref().map(|child| child.id() as libc::pid_t)
    }

    /// Tells it the number of the command, whose group and session belong to the run, too.
    pub(super) fn root(&mut self, pid: libc::pid_t) {
        self.tell(&pid.to_string());
    }

    fn tell(&mut self, line: &str) {
        if let Some(pipe) = self.0.as_mut().and_then(|child| child.stdin.as_mut()) {
            // A guardian that is gone guards nothing.
            let _ = writeln!(pipe, "{line}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tell(OVER);
        if let Some(mut child) = self.0.take() {
            drop(child.stdin.take());
            // It ends at once, and may have been reaped with the orphans.
            let _ = child.wait();
        }
    }
}

/// A session of its own: no terminal's Ctrl-C or hangup reaches it.
fn own_session() -> std::io::Result<()> {
    // SAFETY: setsid takes nothing and changes the calling process only.
    let session = unsafe { libc::setsid() };
    if session < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sleeper with the mark, in a session of its own, as a tool's agent is.
    fn marked(mark: &str) -> Child {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", "sleep 600; true"]).env(MARK, mark).stdin(Stdio::null());
        command.spawn().expect("it starts")
    }

    #[test]
    fn what_a_vanished_proftool_left_is_killed() {
        let mark = format!("guard-test-{}", std::process::id());
        let mut child = marked(&mark);
        // The mark stands in its environment only once it has become the other program.
        while stand(&mark, "".as_bytes()) == 0 {
            std::thread::sleep(TICK);
        }
        assert!(!child.wait().expect("it ended").success());
    }

    #[test]
    fn a_run_that_was_over_is_left_alone() {
        let mark = format!("guard-test-over-{}", std::process::id());
        let mut child = marked(&mark);
        assert_eq!(stand(&mark, "123456789\nover\n".as_bytes()), 0);
        assert!(child.try_wait().expect("it can be asked").is_none(), "it runs on");
        assert!(stand(&mark, "no number\n".as_bytes()) <= 3);
        let _ = child.kill();
        let _ = child.wait();
    }
}
