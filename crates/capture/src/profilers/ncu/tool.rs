//! Running ncu itself for short questions: its version, its options, its metrics, printing a report.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::profilers::Missing;

/// How often a running ncu is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long its output may stay open after it has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// What ncu answered.
#[derive(Clone, Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output; its messages stand here too.
    pub stdout: String,
    /// Its standard error: complaints about its command line.
    pub stderr: String,
}

impl Said {
    /// Both outputs, for [`explain`](super::explain::explain).
    pub fn text(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

/// Asks the ncu at `program` and waits for the answer. What takes longer than `limit` is ended with everything that it
/// started: ncu is a script, and the program behind it would live on.
///
/// # Errors
/// When it cannot be started or takes too long. A failure that it tells about itself is no error here.
pub fn ask<S: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = S>,
    limit: Duration,
) -> Result<Said, Missing> {
    let failed = |cause: std::io::Error| Missing {
        reason: format!("{} could not be run: {cause}", program.display()),
        fix: "run it by hand with --version to see what is wrong with the installation".to_owned(),
    };
    let mut command = Command::new(program);
    // Numbers with other decimal points could not be read back. Another tool's injection stops ncu.
    command.args(arguments).env("LC_ALL", "C").env_remove("CUDA_INJECTION64_PATH");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(failed)?;
    let pipes = [end_of(child.stdout.take()), end_of(child.stderr.take())];
    let Some(status) = wait(&mut child, limit).map_err(failed)? else {
        end(&mut child);
        return Err(Missing {
            reason: format!("{} gave no answer within {} s", program.display(), limit.as_secs()),
            fix: "run it by hand; a driver that hangs (see dmesg) needs a restart of the machine".to_owned(),
        });
    };
    let [stdout, stderr] = pipes.map(|pipe| pipe.recv_timeout(DRAIN).unwrap_or_default());
    Ok(Said { status, stdout, stderr })
}

fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Ends a child and everything in its process group.
fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // SAFETY: kill takes no pointers. The group is the child's own: it was started with `process_group(0)` and has
        // not been waited for, so its number is not another process's.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    // A child that is gone already has nothing to be waited for.
    let _ = child.kill().and_then(|()| child.wait().map(drop));
}

/// Reads a pipe to its end in a thread of its own, so that ncu never waits for us.
fn end_of(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks off has told what it had.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        // Nobody listens any more where ncu took too long.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<Said, Missing> {
        ask(Path::new("sh"), ["-c", script], limit)
    }

    #[test]
    fn an_answer_has_both_outputs_and_its_code() {
        let said = sh("echo answer; echo complaint >&2; exit 3", Duration::from_secs(20)).unwrap();
        assert_eq!((said.status.code(), said.text().as_str()), (Some(3), "answer\n\ncomplaint\n"));
    }

    #[test]
    fn what_gives_no_answer_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let started = Instant::now();
        let script = format!("(sleep 1; touch {}) & sleep 30", mark.display());
        let missing = sh(&script, Duration::from_millis(100)).unwrap_err();
        assert!(missing.reason.contains("no answer") && started.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(1300));
        assert!(!mark.exists(), "a child lived on");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let missing = ask(Path::new("/nowhere/ncu"), ["--version"], Duration::from_secs(1)).unwrap_err();
        assert!(missing.reason.contains("/nowhere/ncu"), "{missing}");
    }
}
