//! Running a profiler's own tool, for report files that only it can read.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::Error;

/// Most bytes of a tool's messages that are kept, each of standard output and error: the end, where the reason stands.
const KEPT_BYTES: usize = 1 << 20;
/// How often a running tool is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An outside tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    /// Name of the program.
    pub(crate) program: &'static str,
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// How to get it.
    pub(crate) install: &'static str,
}

/// NVIDIA's reader of `.nsys-rep` and `.qdrep`.
pub(crate) const NSYS: Tool = Tool {
    program: "nsys",
    name: "Nsight Systems",
    install: "install Nsight Systems and put nsys on PATH: Debian's package nsight-systems of the non-free component \
              (scripts/install_profilers.sh), or a newer one from https://developer.nvidia.com/nsight-systems; or \
              import an export made where it is installed (`nsys export --type=sqlite`)",
};

/// NVIDIA's reader of `.ncu-rep`.
pub(crate) const NCU: Tool = Tool {
    program: "ncu",
    name: "Nsight Compute",
    install: "install Nsight Compute and put ncu on PATH: Debian's package nsight-compute of the non-free component \
              (scripts/install_profilers.sh), or a newer one from https://developer.nvidia.com/nsight-compute; or \
              import a page made where it is installed (`ncu --import FILE --csv --page raw`)",
};

/// What a tool did.
#[derive(Debug)]
pub(crate) struct Output {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// The end of its standard output.
    pub(crate) stdout: String,
    /// The end of its standard error.
    pub(crate) stderr: String,
}

impl Output {
    /// The last lines that it said, progress bars left out, in one line; for a message.
    pub(crate) fn last_words(&self) -> String {
        let said = [self.stdout.as_str(), self.stderr.as_str()];
        let lines = said.iter().flat_map(|text| text.split(['\n', '\r'])).map(str::trim);
        let words: Vec<&str> = lines.filter(|line| !line.is_empty() && !is_progress(line)).collect();
        let short: String = words[words.len().saturating_sub(4)..].join(" | ").chars().take(500).collect();
        if short.is_empty() { "it said nothing".to_owned() } else { short }
    }
}

fn is_progress(line: &str) -> bool {
    line.ends_with(']') && line.contains('%')
}

impl Tool {
    /// Where the program lies.
    ///
    /// # Errors
    /// [`Error::Tool`] with the way to get it, when no folder of `PATH` holds it. `input` is the file it was to read.
    pub(crate) fn find(&self, input: &Path) -> Result<PathBuf, Error> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        on_path(self.program, &path).ok_or_else(|| {
            let reason = format!("only {} reads it, and {} is not on PATH", self.name, self.program);
            self.error(input, reason, self.install)
        })
    }

    /// Runs it and waits until it ends; what takes longer than `limit` is ended with everything that it started.
    ///
    /// # Errors
    /// [`Error::Tool`] when it is not on `PATH`, cannot be started, or takes too long. A tool that ends by itself is no
    /// error here, whatever its status.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &Path,
        limit: Duration,
    ) -> Result<Output, Error> {
        let mut command = Command::new(self.find(input)?);
        command.args(arguments);
        let started = run(&mut command, limit);
        let output = started.map_err(|cause| self.error(input, format!("{}: {cause}", self.program), self.install))?;
        output.ok_or_else(|| {
            let reason = format!("{} took longer than {} s and was ended", self.program, limit.as_secs());
            self.error(input, reason, "run it by hand and import what it writes")
        })
    }

    /// An error about a file that this tool should read.
    #[expect(clippy::unused_self, reason = "`NSYS.error(...)` says whose error it is")]
    pub(crate) fn error(&self, input: &Path, reason: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Tool { path: input.to_owned(), reason: reason.into(), hint: hint.into() }
    }
}

fn on_path(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Runs a command in a process group of its own; `None` when it took too long.
fn run(command: &mut Command, limit: Duration) -> std::io::Result<Option<Output>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let stdout = end_of(child.stdout.take());
    let stderr = end_of(child.stderr.take());
    let Some(status) = wait(&mut child, limit)? else {
        end(&mut child);
        return Ok(None);
    };
    // What it started may live on and hold the pipes open: its words until now are enough.
    let words = |pipe: &mpsc::Receiver<String>| pipe.recv_timeout(Duration::from_secs(5)).unwrap_or_default();
    Ok(Some(Output { status, stdout: words(&stdout), stderr: words(&stderr) }))
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

/// Reads a pipe to its end on a thread of its own, so that the tool never waits for us.
fn end_of(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        if let Some(mut pipe) = pipe {
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                kept.extend_from_slice(&buffer[..count]);
                if kept.len() > 2 * KEPT_BYTES {
                    kept.drain(..kept.len() - KEPT_BYTES);
                }
            }
        }
        // Nobody listens any more where the tool took too long.
        let _ = sender.send(String::from_utf8_lossy(&kept).into_owned());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Option<Output> {
        run(Command::new("sh").args(["-c", script]), limit).unwrap()
    }

    #[test]
    fn output_and_status_are_kept_and_progress_is_not_quoted() {
        let long = Duration::from_secs(20);
        let output =
            sh("printf 'Exporting [=1%% ]\\rExporting [==2%% ]\\rdone\\n'; echo why >&2; exit 3", long).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.last_words(), "done | why");
        let output = sh("head -c 5000000 /dev/zero | tr '\\0' x; echo end", long).unwrap();
        assert!(output.stdout.len() <= 2 * KEPT_BYTES && output.stdout.ends_with("xend\n"));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 2; touch {}) & sleep 30", mark.display());
        let start = Instant::now();
        assert!(sh(&script, Duration::from_millis(100)).is_none());
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(2500));
        assert!(!mark.exists(), "a child lived on");
    }

    #[test]
    fn a_tool_that_is_not_there_is_named_with_the_way_to_get_it() {
        let tool = Tool { program: "proftool-no-such-tool", ..NSYS };
        let error = tool.find(Path::new("report.nsys-rep")).unwrap_err().to_string();
        assert!(error.contains("report.nsys-rep") && error.contains("not on PATH"), "{error}");
        assert!(error.contains("nsight-systems"), "{error}");
        assert_eq!(on_path("sh", OsStr::new("/nowhere:/bin")), Some(PathBuf::from("/bin/sh")));
        assert_eq!(on_path("etc", OsStr::new("/")), None, "a folder is no program");
    }
}
