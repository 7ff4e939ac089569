//! Nsight Systems: the timeline of any command, under `nsys profile`.
//!
//! What was seen of 2022.4.2 and 2023.4.4, and what follows from it:
//! - `nsys profile` starts an agent (`nsys --start-agent`) and the target in sessions of their own. SIGINT or SIGTERM to
//!   `nsys` alone ends the target and writes the report, within about a second for a small one; its exit code is then
//!   128 + the signal. SIGINT to the agent as well loses the report ("End of file"), so the first signal of a stop must
//!   go to the command's own process group and not to every descendant. A second SIGINT while it writes loses it too.
//! - `nsys stop` writes the report and lets the target run, so it is no way to end a run.
//! - A target that ignores SIGTERM outlives `nsys`, and so does what it left behind under `--wait=primary`.
//! - The target's exit code is that of `nsys`; a target that died of a signal gives 128 + signal, with a report.
//! - A report folder that cannot be written (absent, not permitted, full) is no error (code 0): the report goes to the
//!   temporary folder. An existing report without `--force-overwrite` is treated likewise.
//! - Where nsys itself fails its code is 1, the target has not run and there is no report: an unknown option, no temporary
//!   folder, none with space at the start. A target that cannot be started is code 1, too.
//! - A temporary folder that fills up during the run makes nsys hang, and its library crashed the target.
//! - The report holds the environment of every process that the user may look into (`seal`).
//! - With `--sample` or `--cpuctxsw` other than `none` 2022.4.2 hung in a virtual machine without CPU counters.
//!
//! Intermediate files lie in the temporary folder, where parallel runs cannot be told apart and where another user's
//! folder may be in the way. So each run gets one of its own there ([`private`]), through `TMPDIR`; the target gets the
//! original `TMPDIR` back.

pub mod after;
mod clean;
pub mod command;
pub mod explain;
pub mod find;
pub mod known;
mod mask;
pub mod options;
pub mod private;
mod seal;
pub mod version;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

pub use command::{database, report};
pub use known::Known;
pub use options::Options;
pub use version::Version;

use crate::process::ask::ask;

use super::{Composed, Found, Kind, Launch, Missing, Note, Profiler, Severity, Wrap};

/// Nsight Systems.
pub static PROFILER: Profiler = Profiler {
    name: "nsys",
    doc: "Nsight Systems: kernels, copies, CUDA and system calls, NVTX ranges of any command",
    available: find::find,
    kind: Kind::Wraps(Wrap { command: wrap, grace: GRACE, after: after::after }),
};

/// Time to write the report. A report of some 100 MB takes tens of seconds; a shorter time would lose it.
pub const GRACE: Duration = Duration::from_mins(1);

/// Time that `nsys profile --help` gets.
const PATIENCE: Duration = Duration::from_secs(20);

fn wrap(found: &Found, launch: &Launch<'_>, options: &super::Options) -> Result<Composed, Missing> {
    let (words, left_out) = compose(found, launch, &options.nsys)?;
    let notes = left_out.into_iter().map(|word| Note {
        // Nothing is lost that was not asked for beyond the defaults.
        severity: Severity::Info,
        code: "option_left_out",
        detail: format!(
            "nsys {} has no {word}, which was left out (hint: a newer Nsight Systems has it)",
            found.version
        ),
    });
    Ok((words, notes.collect()))
}

/// The command of a launch, with [`Options::default`].
///
/// # Errors
/// As [`compose`].
pub fn command(found: &Found, launch: &Launch<'_>) -> Result<Vec<OsString>, Missing> {
    compose(found, launch, &Options::default()).map(|(words, _)| words)
}

/// The command of a launch: the program and arguments that run its target under nsys and write [`report`], and what of
/// `options` this nsys lacks.
///
/// # Errors
/// Where the private temporary folder cannot be made.
pub fn compose(found: &Found, launch: &Launch<'_>, options: &Options) -> Result<(Vec<OsString>, Vec<String>), Missing> {
    let nsys = program(found);
    let scratch = private::make(launch)?;
    let known = known(nsys, &found.version);
    let session = private::name(launch);
    let line = command::profile(nsys, &known, options, launch.folder, launch.rank, &session, launch.target);
    let words = private::command(&line, &scratch, std::env::var_os("TMPDIR").as_deref());
    Ok((words, line.left_out))
}

/// The program; a `Found` without a path is looked for in `PATH` when it is run.
fn program(found: &Found) -> &Path {
    found.path.as_deref().unwrap_or_else(|| Path::new("nsys"))
}

/// What this nsys takes: as it says itself, else by its version, else what the oldest takes.
fn known(nsys: &Path, version: &str) -> Known {
    let help = ask(&[nsys.as_os_str(), OsStr::new("profile"), OsStr::new("--help")], &[], PATIENCE);
    let told = help.ok().and_then(|answer| Known::from_help(&answer.out));
    told.unwrap_or_else(|| Known::from_version(version.parse().unwrap_or(version::OLDEST)))
}
