//! Short questions to a tool: bounded in time, nothing left behind.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Limits, Spec, Stopped, run_alone};

/// What is read of an answer; the metrics of a chip are 1 MB.
const MOST: usize = 16 << 20;

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The exit code; null when a signal ended it.
    pub code: Option<i32>,
    /// What it printed to stdout.
    pub out: String,
    /// What it printed to stderr.
    pub err: String,
}

impl Answer {
    /// Both outputs.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }

    /// The last line that is not empty, of stderr where there is one.
    pub fn last_line(&self) -> Option<&str> {
        let lines = self.out.lines().chain(self.err.lines());
        lines.map(str::trim).rfind(|line| !line.is_empty())
    }
}

/// Runs a command for its output, without those environment variables. What takes too long is killed with everything that
/// it started.
///
/// # Errors
/// Why there is no answer, as a sentence: it cannot be started, or took longer than `limit`.
pub fn ask(words: &[&OsStr], unset: &[&str], limit: Duration) -> Result<Answer, String> {
    let folder = Scratch::new().map_err(|error| format!("no temporary folder could be made: {error}"))?;
    let (program, args) = words.split_first().ok_or("there is no command")?;
    let spec = Spec {
        program: (*program).to_owned(),
        args: args.iter().map(|&word| word.to_owned()).collect(),
        // Numbers with other decimal points could not be read back.
        env: vec![("LC_ALL".into(), "C".into())],
        unset: unset.iter().map(OsString::from).collect(),
        dir: None,
        stdout: folder.0.join("out"),
        stderr: folder.0.join("err"),
        echo: false,
        input: false,
    };
    let limits = Limits { timeout: Some(limit), grace: Duration::ZERO };
    let ended = run_alone(&spec, &limits).map_err(|error| error.to_string())?;
    if ended.stopped == Some(Stopped::Timeout) {
        return Err(format!("it did not end within {} s", limit.as_secs_f64()));
    }
    Ok(Answer { code: ended.exit_code, out: read(&spec.stdout), err: read(&spec.stderr) })
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MOST)]).into_owned()
}

/// A temporary folder that goes with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let name = format!("proftool-ask-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let folder = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&folder) {
                // Another user may have put it there, with links in it.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Self(folder)),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is small and in the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<Answer, String> {
        ask(&["sh", "-c", script].map(OsStr::new), &["HOME"], limit)
    }

    #[test]
    fn an_answer_has_both_outputs_and_its_code() {
        let answer = sh("echo answer$HOME; echo complaint >&2; exit 3", Duration::from_secs(20)).expect("it answers");
        assert_eq!((answer.code, answer.text().as_str()), (Some(3), "answer\n\ncomplaint\n"));
        assert_eq!(answer.last_line(), Some("complaint"));
    }

    #[test]
    fn what_gives_no_answer_is_ended_with_its_children() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mark = folder.path().join("mark");
        let script = format!("(sleep 2; touch {}) & sleep 600", mark.display());
        let reason = sh(&script, Duration::from_millis(100)).expect_err("it is too slow");
        assert!(reason.contains("did not end within 0.1 s"), "{reason}");
        std::thread::sleep(Duration::from_secs(3));
        assert!(!mark.exists(), "a child lived on");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let reason = ask(&[OsStr::new("/nowhere/tool")], &[], Duration::from_secs(1)).expect_err("it is not there");
        assert!(reason.contains("/nowhere/tool"), "{reason}");
    }
}
