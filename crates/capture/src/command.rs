//! The capture of a user's command: the passes of a preset over the same command, what each left in `raw/`, and how each
//! ended.
//!
//! A command that fails is no error here: what it did until then is what the artifact is for. It is told in the manifest
//! and as notes, which become rows of `issues`.

mod crew;
mod pass;
mod program;
pub mod target;
mod told;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use proftool_trace::manifest::Manifest;
use proftool_trace::{Draft, artifact};

use crate::process::{self, Limits};
use crate::profilers::{Missing, Note, Options};
use crate::profiles::Profile;
use crate::ranks::Rank;
use crate::session::Environment;
use pass::{Gathered, Run};
use told::manifest;

/// Environment variable with the folder of the pass: what the command writes there is imported with it.
pub const RAW_DIR: &str = "PROFTOOL_RAW_DIR";

/// What to capture.
pub struct Request<'a> {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Preset of passes.
    pub profile: &'static Profile,
    /// What the user asks of the tools.
    pub options: Options,
    /// Folder of the artifacts.
    pub artifacts: PathBuf,
    /// This process's place in a job, where it has one.
    pub rank: Option<Rank>,
    /// How long each pass may take.
    pub limits: Limits,
    /// Whether the command gets proftool's stdin; only the first pass does.
    pub input: bool,
    /// The command line of proftool for the manifest.
    pub command_line: Vec<String>,
    /// The machine.
    pub environment: Environment,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

/// A captured command, its tables not yet imported.
#[derive(Debug)]
pub struct Captured {
    /// The directory.
    pub draft: Draft,
    /// The manifest without its tables.
    pub manifest: Manifest,
    /// What there is to say about each pass, by its name.
    pub notes: Vec<(String, Note)>,
    /// How the command failed: the first pass in which it did.
    pub failed: Option<Failed>,
}

/// How a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// One sentence.
    pub reason: String,
    /// Its exit code as a shell tells it.
    pub code: i32,
    /// The profiler that failed in its place, where that is what the code tells.
    pub profiler: Option<&'static str>,
}

/// Why a command could not be captured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line names nothing that can be run.
    #[error("cannot run {program}: {reason} (hint: {hint})")]
    Program {
        /// The program as given.
        program: String,
        /// Why.
        reason: &'static str,
        /// What to try.
        hint: &'static str,
    },
    /// The preset names a profiler that cannot work here; nothing was run.
    #[error("--profile {profile} needs {profiler}: {missing}")]
    Profiler {
        /// The preset.
        profile: &'static str,
        /// The profiler.
        profiler: &'static str,
        /// Why, and the fix.
        missing: Missing,
    },
    /// The preset records work of GPUs, and the target runs on none; nothing was run.
    #[error(
        "--profile {profile} counts with {profiler}, and on this backend there is nothing to count (hint: --backend cuda \
         on a machine with a GPU, or --profile minimal, whose FLOP and bytes are those that the target states)"
    )]
    NothingToCount {
        /// The preset.
        profile: &'static str,
        /// The profiler.
        profiler: &'static str,
    },
    /// The command could not be started, or not be watched.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// The artifact could not be written.
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    /// A pass could not be run after others had been.
    #[error("{reason}; what the passes before it recorded stays in {} (hint: read it with `proftool import`, or remove it)", partial.display())]
    Later {
        /// Why.
        reason: Box<Error>,
        /// The folder that keeps the raw files.
        partial: PathBuf,
    },
    /// The user stopped it.
    #[error("interrupted; {}", after_interrupt(partial))]
    Interrupted {
        /// The folder that keeps what was recorded, and what the command printed.
        partial: PathBuf,
    },
}

/// What an interrupted capture leaves: raw files that can be imported, or only what the command printed.
fn after_interrupt(partial: &Path) -> String {
    let printed = ["stdout.txt", "stderr.txt"];
    let files = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_record = |path: &PathBuf| !printed.iter().any(|name| path.ends_with(name));
    let folder = partial.display();
    if files(&partial.join("raw")).flat_map(|pass| files(&pass).collect::<Vec<_>>()).any(|path| is_record(&path)) {
        return format!("what was recorded stays in {folder} (hint: read it with `proftool import`, or remove it)");
    }
    format!("nothing was recorded; {folder} keeps what the command printed (hint: remove it)")
}

/// Checks that the command and the preset's profilers can run here, before anything is written.
///
/// # Errors
/// [`Error::Program`] and [`Error::Profiler`].
pub fn check(request: &Request<'_>) -> Result<(), Error> {
    program::find(request.command.first().map(OsString::as_os_str).unwrap_or_default())?;
    crew::find(request.profile.name, request.profile.passes).map(|_| ())
}

/// Runs every pass of the preset over the command. `say` gets a line before each.
///
/// # Errors
/// As [`check`]; [`Error::Artifact`] for an artifact that cannot be made, [`Error::Process`] for a command that cannot be
/// started, [`Error::Later`] and [`Error::Interrupted`] with the `.partial` directory that keeps the raw files.
pub fn capture(request: &Request<'_>, say: &mut dyn FnMut(&str)) -> Result<Captured, Error> {
    program::find(request.command.first().map(OsString::as_os_str).unwrap_or_default())?;
    let passes = crew::find(request.profile.name, request.profile.passes)?;
    let draft = draft(request)?;
    let mut all = Gathered::default();
    let mut run = Run {
        command: &request.command,
        profile: request.profile.name,
        options: &request.options,
        rank: request.rank.as_ref().map_or(0, |rank| rank.rank),
        limits: request.limits,
        input: request.input,
        env: &[],
        stop: request.stop,
    };
    for (at, (name, crew)) in passes.iter().enumerate() {
        if passes.len() > 1 {
            say(&format!("pass {} of {}: {name}", at + 1, passes.len()));
        }
        run.input = request.input && at == 0;
        match run.under(&draft, name, crew, &mut all) {
            Ok(()) => {}
            Err(error) if all.launches.is_empty() => {
                draft.discard();
                return Err(error);
            }
            Err(error) => {
                return Err(Error::Later { reason: Box::new(error), partial: draft.path().to_owned() });
            }
        }
        if request.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { partial: draft.path().to_owned() });
        }
    }
    let manifest = manifest(request, &mut all);
    Ok(Captured { draft, manifest, notes: all.notes, failed: all.failed })
}

/// The directory of the artifact: of a rank inside the folder of its job.
fn draft(request: &Request<'_>) -> Result<Draft, Error> {
    let environment = &request.environment;
    let stamp = environment.captured_utc.replace(['-', ':'], "");
    let name = format!("{stamp}-{}-{}", target_name(&request.command), environment.hardware_key);
    Ok(match &request.rank {
        Some(rank) => Draft::create(&request.artifacts.join(&rank.job), &format!("{}-{name}", rank.label()))?,
        None => Draft::create(&request.artifacts, &name)?,
    })
}

/// The file name of the command's first word, fit for a folder's name.
pub fn target_name(command: &[OsString]) -> String {
    let word = command.first().map(PathBuf::from).unwrap_or_default();
    let name = word.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = name.chars().filter(|letter| !letter.is_control()).take(64).collect();
    if name.is_empty() { "command".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn after_an_interrupt_an_import_is_advised_only_where_there_is_something_to_import() {
        let folder = tempfile::tempdir().expect("a folder");
        let pass = folder.path().join("raw/nsys");
        std::fs::create_dir_all(&pass).expect("made");
        std::fs::write(pass.join("stdout.txt"), "text").expect("written");
        let told = Error::Interrupted { partial: folder.path().to_owned() }.to_string();
        assert!(told.contains("nothing was recorded") && !told.contains("import"), "{told}");
        std::fs::write(pass.join("nsys.qdstrm"), "data").expect("written");
        let told = Error::Interrupted { partial: folder.path().to_owned() }.to_string();
        assert!(told.contains("proftool import"), "{told}");
    }

    #[test]
    fn a_command_is_called_by_the_file_name_of_its_first_word() {
        assert_eq!(target_name(&words("/usr/bin/python3 serve.py")), "python3");
        assert_eq!(target_name(&words("./run.sh")), "run.sh");
        assert_eq!(target_name(&words("..")), "command");
    }
}
