//! What can observe a run: one file a profiler, and the list of them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use proftool_trace::Severity;

pub mod cupti;
pub mod cupti_counters;
pub mod host;
pub mod ncu;
pub mod nsys;
pub mod nvml;

/// One profiler.
pub struct Profiler {
    /// Name: the value of `--profile` presets, the manifest and `list profilers`.
    pub name: &'static str,
    /// What it records.
    pub doc: &'static str,
    /// Whether it can work on this machine, or else the fix. It takes at most seconds and leaves no process.
    pub available: fn() -> Result<Found, Missing>,
    /// How it observes a run.
    pub kind: Kind,
}

/// A profiler that works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its version as it prints it, for example `2022.4.2.1`.
    pub version: String,
    /// Its program or library, where it is one.
    pub path: Option<PathBuf>,
}

/// Why a profiler cannot work here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (hint: {fix})")]
pub struct Missing {
    /// What was looked for and not found, or does not work.
    pub reason: String,
    /// What mends it: a command where there is one.
    pub fix: String,
}

/// How a profiler observes a run, with what the capture of a command calls.
pub enum Kind {
    /// From inside the built-in targets; it has no part in the capture of a command.
    Inside,
    /// Its own command starts the target.
    Wraps(Wrap),
    /// A library that the target loads because its environment says so.
    Injected(Inject),
    /// A thread of proftool, beside the target.
    Beside(Beside),
}

/// One launch of a command in one pass.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The target's program and its arguments.
    pub target: &'a [OsString],
    /// The folder of the pass, where the profiler's files go: `raw/<pass>/`, absolute.
    pub folder: &'a Path,
    /// The rank of this process, 0 where there is one process.
    pub rank: i64,
}

/// What the user asks of the tools, in place of their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Of Nsight Systems.
    pub nsys: nsys::Options,
    /// Of Nsight Compute.
    pub ncu: ncu::Options,
}

/// A command line, and what there is to say about it.
pub type Composed = (Vec<OsString>, Vec<Note>);

/// A profiler whose command starts the target.
pub struct Wrap {
    /// The program and arguments that run the launch's target under the profiler and write into its folder; notes about
    /// options that this version lacks.
    pub command: fn(&Found, &Launch<'_>, &Options) -> Result<Composed, Missing>,
    /// Time that it needs to write its report once it is told to stop (SIGINT, then SIGTERM, then SIGKILL).
    pub grace: Duration,
    /// Called once the run has ended, whatever way: exports beside the report; says what is wrong as notes.
    pub after: fn(&Found, &Launch<'_>) -> Vec<Note>,
}

/// Names and values of environment variables.
pub type Variables = Vec<(OsString, OsString)>;

/// Starts a profiler beside the target.
pub type Start = fn(&Found, &Launch<'_>) -> Result<Box<dyn Running>, Missing>;

/// A profiler that is injected into the target.
pub struct Inject {
    /// Environment variables for the target.
    pub environment: fn(&Found, &Launch<'_>) -> Result<Variables, Missing>,
    /// As [`Wrap::after`].
    pub after: fn(&Found, &Launch<'_>) -> Vec<Note>,
}

/// A profiler that runs beside the target.
pub struct Beside {
    /// Starts it, before the target; it writes into the launch's folder.
    pub start: Start,
}

/// A profiler that is running beside the target.
pub trait Running: Send {
    /// Ends it, once the target has ended; says what is wrong as notes.
    fn stop(self: Box<Self>) -> Vec<Note>;
}

/// What a profiler tells about its data: a row of `issues`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How bad it is.
    pub severity: Severity,
    /// A word for it, for example `no_permission`.
    pub code: &'static str,
    /// What happened and what mends it, one sentence.
    pub detail: String,
}

/// Every profiler that this version can drive.
pub static PROFILERS: &[&Profiler] =
    &[&cupti::PROFILER, &cupti_counters::PROFILER, &host::PROFILER, &ncu::PROFILER, &nsys::PROFILER, &nvml::PROFILER];

/// The profiler of that name.
pub fn find(name: &str) -> Option<&'static Profiler> {
    PROFILERS.iter().copied().find(|profiler| profiler.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_file_in_this_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/profilers");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("the source folder is readable")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .filter(|stem| stem != "mod")
            .collect();
        files.sort();
        let mut names: Vec<_> = PROFILERS.iter().map(|profiler| profiler.name.to_owned()).collect();
        names.sort();
        assert_eq!(files, names);
    }

    #[test]
    fn what_is_missing_is_told_with_its_fix() {
        let missing = Missing { reason: "nsys was not found".to_owned(), fix: "install it".to_owned() };
        assert_eq!(missing.to_string(), "nsys was not found (hint: install it)");
    }
}
