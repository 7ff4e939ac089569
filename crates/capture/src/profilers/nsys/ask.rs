//! Short questions to nsys: bounded in time, nothing left behind.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::process::{self, Limits, Spec, Stopped};

/// Time between the signals to a question that takes too long.
const GRACE: Duration = Duration::from_secs(2);
/// What is read of an answer.
const MOST: usize = 1 << 20;

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
    /// The last line that is not empty, of stderr where there is one.
    pub fn last_line(&self) -> Option<&str> {
        let lines = self.out.lines().chain(self.err.lines());
        lines.map(str::trim).rfind(|line| !line.is_empty())
    }
}

/// Runs a command for its output.
///
/// # Errors
/// Why there is no answer, as a sentence: it cannot be started, or took longer than `limit`.
pub fn ask(words: &[&OsStr], limit: Duration) -> Result<Answer, String> {
    let folder = Scratch::new().map_err(|error| format!("no temporary folder could be made: {error}"))?;
    let (program, args) = words.split_first().ok_or("there is no command")?;
    let spec = Spec {
        program: (*program).to_owned(),
        args: args.iter().map(|&word| word.to_owned()).collect(),
        env: Vec::new(),
        dir: None,
        stdout: folder.0.join("out"),
        stderr: folder.0.join("err"),
        echo: false,
        input: false,
    };
    let limits = Limits { timeout: Some(limit), grace: GRACE };
    let ended = process::run(&spec, &limits, &AtomicBool::new(false)).map_err(|error| error.to_string())?;
    if ended.stopped == Some(Stopped::Timeout) {
        return Err(format!("it did not end within {} s", limit.as_secs()));
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
        let name = format!("proftool-ask-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is small and in the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
