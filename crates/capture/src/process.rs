//! Running a user's command: in a process group of its own, its output kept in files, bounded in time, and nothing of it
//! left behind.
//!
//! The command's stdout and stderr are pipes that are copied to files as fast as they fill, so that the command never
//! waits for whoever reads proftool's stderr; what is shown there is read back from the files.

pub mod ask;
mod family;
pub mod guard;
mod output;
pub mod signals;

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use family::Family;
pub use family::adopt_orphans;
use guard::Guard;
use proftool_tracer::clock::{monotonic_ns, unix_ns};

/// How often a run is looked at: signals to forward, limits.
const TICK: Duration = Duration::from_millis(20);
/// Time that processes which outlive the command have to end by themselves before they are told to.
const LINGER: Duration = Duration::from_millis(500);

/// The longest that the rest has between being told to end and being killed: the reports have been written by then.
const REST: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables beside proftool's own.
    pub env: Vec<(OsString, OsString)>,
    /// Those of proftool's own that it does not get.
    pub unset: Vec<OsString>,
    /// Its working directory; null is proftool's.
    pub dir: Option<PathBuf>,
    /// The file that keeps its stdout.
    pub stdout: PathBuf,
    /// The file that keeps its stderr.
    pub stderr: PathBuf,
    /// Whether both are also passed on to proftool's stderr (never its stdout, which holds data).
    pub echo: bool,
    /// Whether it gets proftool's stdin; else it reads nothing.
    pub input: bool,
}

/// How long a run may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time until the command is told to end; none is no limit.
    pub timeout: Option<Duration>,
    /// Time between being told to end (SIGINT), being told again (SIGTERM) and being killed (SIGKILL).
    pub grace: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; null when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why proftool ended it, where it did.
    pub stopped: Option<Stopped>,
    /// From before it was started until it ended.
    pub wall_ns: i64,
    /// CPU time in user mode, with that of the children that it waited for.
    pub user_ns: i64,
    /// CPU time in the kernel, likewise.
    pub system_ns: i64,
    /// Largest resident memory of any one of these processes; null where it is no larger than proftool's own, which the
    /// kernel counts for a process that it started, too.
    pub max_rss_bytes: Option<i64>,
    /// When it was started, on the wall clock.
    pub start_unix_ns: i64,
    /// The same on the monotonic clock.
    pub start_monotonic_ns: i64,
    /// Processes that outlived it and were ended.
    pub left_behind: usize,
    /// Bytes that it wrote to stdout and to stderr.
    pub output_bytes: [u64; 2],
    /// Why its output could not be kept, where it could not: the run itself went on.
    pub output_lost: Option<String>,
}

impl Ended {
    /// Whether it ended by itself with code 0.
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0) && self.stopped.is_none()
    }

    /// The exit code as a shell tells it: 128 + signal for a process that a signal ended.
    pub fn shell_code(&self) -> i32 {
        self.exit_code.unwrap_or_else(|| 128 + self.signal.unwrap_or_default())
    }
}

/// Why proftool ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It took longer than allowed.
    Timeout,
    /// The user asked to stop.
    Interrupted,
}

/// Why a command could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("cannot start {program}: {cause} (hint: {hint})")]
    Start {
        /// The program as given.
        program: String,
        /// What the system said.
        cause: std::io::Error,
        /// What to try.
        hint: &'static str,
    },
    /// A file for its output could not be made.
    #[error("cannot write {}: {cause} (hint: free some space or name a folder on another disk with --artifacts)", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The system did not let proftool watch it.
    #[error("cannot watch the command: {cause} (hint: raise the limit of processes, `ulimit -u`)")]
    Watch {
        /// What the system said.
        cause: std::io::Error,
    },
}

impl Error {
    fn start(program: &OsString, cause: std::io::Error) -> Self {
        let hint = match cause.kind() {
            std::io::ErrorKind::NotFound => "check its name, and that it is in PATH; the working directory must exist",
            std::io::ErrorKind::PermissionDenied => "make it executable (`chmod +x`), or name its interpreter first",
            std::io::ErrorKind::ExecutableFileBusy => "it is still being written",
            _ => "run it without proftool to see why",
        };
        Self::Start { program: program.to_string_lossy().into_owned(), cause, hint }
    }
}

/// Runs a command until it has ended, with every process that it started.
///
/// Once `stop` is set the signal that proftool got is forwarded, and when that does not end the command within the
/// grace it is ended as after a timeout.
///
/// # Errors
/// When it cannot be started or watched, or its output files cannot be made. How it ended is no error.
pub fn run(spec: &Spec, limits: &Limits, stop: &AtomicBool) -> Result<Ended, Error> {
    let family = Family::new();
    let guard = Guard::start(family.mark());
    run_guarded(spec, limits, stop, family, guard)
}

/// As [`run`] for a tool's short answer: the kernel kills it with proftool.
///
/// # Errors
/// As [`run`].
fn run_alone(spec: &Spec, limits: &Limits) -> Result<Ended, Error> {
    run_guarded(spec, limits, &AtomicBool::new(false), Family::new(), Guard::none())
}

fn run_guarded(
    spec: &Spec,
    limits: &Limits,
    stop: &AtomicBool,
    family: Family,
    mut guard: Guard,
) -> Result<Ended, Error> {
    let (out, err) = (output::Kept::create(&spec.stdout)?, output::Kept::create(&spec.stderr)?);
    let clocks = (unix_ns(), monotonic_ns());
    let started = Instant::now();
    let mut child = command(spec, &family).spawn().map_err(|cause| Error::start(&spec.program, cause))?;
    let pid = child.id() as libc::pid_t;
    let forwarding = signals::forward_to_group(pid);
    guard.root(pid);
    let family = family.of(pid).without(guard.pid());
    let pipes =
        [out.copy_from(child.stdout.take().map(Into::into)), err.copy_from(child.stderr.take().map(Into::into))];
    let echo = spec.echo.then(|| output::Echo::start([&spec.stdout, &spec.stderr]));
    let waiting = wait_in_thread(pid);
    if waiting.is_err() {
        family.kill();
    }
    let watched = waiting.map(|ends| watch(&ends, &family, limits, stop, started));
    let by_itself = watched.as_ref().is_ok_and(|(_, stopped)| stopped.is_none());
    let linger = if by_itself { LINGER } else { Duration::ZERO };
    let left_behind = family.end_rest(linger, limits.grace.min(REST));
    // Neither may send a signal to that number once the kernel can give it to another process.
    drop((forwarding, guard));
    let (status, usage) = reap(pid);
    let [(out_bytes, out_lost), (err_bytes, err_lost)] = pipes.map(output::Pipe::finish);
    if let Some(echo) = echo {
        echo.finish();
    }
    let (wall, stopped) = watched.map_err(|cause| Error::Watch { cause })?;
    Ok(Ended {
        exit_code: status.code(),
        signal: status.signal(),
        stopped,
        wall_ns: nanoseconds(wall),
        user_ns: time_ns(usage.ru_utime),
        system_ns: time_ns(usage.ru_stime),
        max_rss_bytes: (usage.ru_maxrss > own_max_rss()).then(|| usage.ru_maxrss.saturating_mul(1024)),
        start_unix_ns: clocks.0,
        start_monotonic_ns: clocks.1,
        left_behind,
        output_bytes: [out_bytes, err_bytes],
        output_lost: out_lost.or(err_lost),
    })
}

fn command(spec: &Spec, family: &Family) -> Command {
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).envs(spec.env.iter().map(|(name, value)| (name, value)));
    spec.unset.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.env(family::MARK, family.mark());
    if let Some(dir) = &spec.dir {
        command.current_dir(dir);
    }
    let input = if spec.input { Stdio::inherit() } else { Stdio::null() };
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // SAFETY: between fork and exec only prctl and signal are called, which are async-signal-safe.
    unsafe { command.pre_exec(before_exec) };
    command
}

/// Lets the kernel kill the command when proftool itself is killed, so that it does not run on unwatched; and gives the
/// signals that ask it to end their usual effect. A shell without job control starts `proftool ... &` with SIGINT ignored,
/// which the command would inherit: it could then be ended without its report only.
fn before_exec() -> std::io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the default disposition of a valid signal, in the calling process only. It cannot fail for these.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: prctl with these arguments changes a flag of the calling process only.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if set == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Waits in a thread until the process has ended, without reaping it: its number, and that of its group, stay its own
/// until every signal has been sent.
fn wait_in_thread(pid: libc::pid_t) -> std::io::Result<Receiver<Instant>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new().name("proftool-wait".to_owned()).spawn(move || {
        loop {
            // SAFETY: `info` is a plain structure that waitid fills; a zeroed one is valid.
            let waited = unsafe {
                let mut info: libc::siginfo_t = std::mem::zeroed();
                libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, libc::WEXITED | libc::WNOWAIT)
            };
            if waited == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                break;
            }
        }
        // Nobody listens any more only when the run was given up.
        let _ = sender.send(Instant::now());
    })?;
    Ok(receiver)
}

/// Waits for the end; ends the command when its time is over or the user asks. Returns the wall time and why it was ended.
fn watch(
    ends: &Receiver<Instant>,
    family: &Family,
    limits: &Limits,
    stop: &AtomicBool,
    started: Instant,
) -> (Duration, Option<Stopped>) {
    let (mut stopped, mut asked) = (None, false);
    // What is still to be sent, and when.
    let mut plan: Vec<(Instant, libc::c_int)> = Vec::new();
    loop {
        match ends.recv_timeout(TICK) {
            Ok(ended) => return (ended.duration_since(started), stopped),
            Err(RecvTimeoutError::Disconnected) => return (started.elapsed(), stopped),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        if stopped.is_none() {
            stopped = why_stop(limits, stop, started);
            if let Some(why) = stopped {
                plan = stop_plan(why, now, limits.grace);
            }
        }
        while plan.last().is_some_and(|(when, _)| *when <= now) {
            let Some((_, signal)) = plan.pop() else { break };
            // nsys loses its report when its agent, which is in a session of its own, is told as well; and when it is told
            // twice.
            if asked {
                family.signal(signal);
            } else {
                family.ask(signal);
            }
            asked = true;
        }
    }
}

fn why_stop(limits: &Limits, stop: &AtomicBool, started: Instant) -> Option<Stopped> {
    if stop.load(Ordering::Relaxed) {
        return Some(Stopped::Interrupted);
    }
    limits.timeout.is_some_and(|timeout| started.elapsed() >= timeout).then_some(Stopped::Timeout)
}

/// The signals and their times, the last first.
fn stop_plan(why: Stopped, now: Instant, grace: Duration) -> Vec<(Instant, libc::c_int)> {
    let first = match why {
        Stopped::Interrupted => signals::last().unwrap_or(libc::SIGINT),
        Stopped::Timeout => libc::SIGINT,
    };
    let mut kill = vec![(now + grace * 2, libc::SIGKILL), (now + grace, libc::SIGTERM), (now, first)];
    // A shell that waits for its foreground child leaves no other chance: again and again until nothing is left.
    kill.splice(0..0, (1..=50).rev().map(|n| (now + grace * 2 + Duration::from_millis(100) * n, libc::SIGKILL)));
    kill
}

/// Takes the end of the process from the kernel: its status, and what it used.
fn reap(pid: libc::pid_t) -> (ExitStatus, libc::rusage) {
    let mut status = 0;
    // SAFETY: zeroed is a valid rusage; wait4 fills both structures, which outlive the call.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        while libc::wait4(pid, &raw mut status, 0, &raw mut usage) < 0
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
        {}
        (ExitStatus::from_raw(status), usage)
    }
}

/// The largest resident memory of this process until now, in KiB as Linux gives it.
fn own_max_rss() -> i64 {
    // SAFETY: zeroed is a valid rusage, which the call fills.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage.ru_maxrss
    }
}

fn time_ns(time: libc::timeval) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_usec.saturating_mul(1000))
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "process/tests.rs"]
mod tests;
