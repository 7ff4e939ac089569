//! Nsight Compute: what each kernel did, by performance counters.
//!
//! A capture asks for the metrics of a roofline (`quantities`), under the names that this ncu has for this GPU (`catalog`,
//! `resolve`), with options that it knows (`knows`, `command`). Afterwards the report's raw page is printed beside it
//! (`export`); both stay. Kernels are replayed and serialised, so that the pass has counts and no timeline.

pub mod catalog;
pub mod command;
pub mod explain;
pub mod export;
mod find;
pub mod knows;
pub mod options;
pub mod quantities;
pub mod resolve;
mod tensor;
pub mod tool;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Found, Kind, Launch, Missing, Note, Profiler, Severity, Wrap};
use command::Files;
pub use find::find;
use knows::Knows;
pub use options::Options;
use resolve::{MetricSet, Wanted, resolve};

/// Nsight Compute.
pub static PROFILER: Profiler = Profiler {
    name: "ncu",
    doc: "Nsight Compute: FLOP, bytes and stalls of each kernel, by performance counters; replays kernels",
    available,
    kind: Kind::Wraps(Wrap {
        command: |found, launch, options| Ok((command(found, launch, &options.ncu)?, Vec::new())),
        // It writes its report when the target has ended: large ones take a minute.
        grace: Duration::from_mins(2),
        after,
    }),
};

/// The ncu of this machine, if it finds a GPU that it knows.
fn available() -> Result<Found, Missing> {
    let found = find()?;
    match catalog::query(&program(&found), None) {
        Ok(_) => Ok(found),
        Err(Missing { reason, fix }) => Err(Missing { reason: format!("ncu {}: {reason}", found.version), fix }),
    }
}

/// The program and arguments that profile a launch.
///
/// # Errors
/// When ncu lists no metrics here (no driver, a GPU that it does not know), when it lacks one that a roofline cannot do
/// without, or lacks an option that is asked for.
pub fn command(found: &Found, launch: &Launch<'_>, options: &Options) -> Result<Vec<OsString>, Missing> {
    let program = program(found);
    let wanted = Wanted { in_ranges: options.replay.is_of_ranges(), ..options.wanted };
    let set = metrics(&program, None, wanted)?;
    let knows = Knows::ask(&program)?;
    let files = Files::new(launch.folder, launch.rank);
    command::profile(&program, &knows, options, &set.metrics(), &files, launch.target)
}

/// The metrics of a roofline on the GPUs of this machine, or on the named chip (`gh100`).
///
/// # Errors
/// As [`command()`].
pub fn metrics(program: &Path, chip: Option<&str>, wanted: Wanted) -> Result<MetricSet, Missing> {
    let set = resolve(&catalog::query(program, chip)?, wanted)?;
    set.clone().confirm(&catalog::query_suffixes(program, chip, &set.bases())?)
}

/// Prints the report of a launch and tells what ncu said.
fn after(found: &Found, launch: &Launch<'_>) -> Vec<Note> {
    let program = program(found);
    let files = Files::new(launch.folder, launch.rank);
    let mut notes = export::finish(&program, &files, &launch.folder.join("stderr.txt"));
    if files.report.exists() {
        notes.extend(unresolved(&program));
    }
    notes
}

/// What this ncu does not count on this machine's GPUs, as a note.
fn unresolved(program: &Path) -> Option<Note> {
    let set = metrics(program, None, Options::default().wanted).ok()?;
    (!set.unresolved.is_empty()).then(|| Note {
        severity: Severity::Info,
        code: "not_counted",
        detail: format!(
            "this ncu does not count on this GPU, or not in full: {} (hint: a newer Nsight Compute may)",
            set.unresolved.join(", ")
        ),
    })
}

fn program(found: &Found) -> PathBuf {
    found.path.clone().unwrap_or_else(|| PathBuf::from("ncu"))
}
