//! The capture of a user's command: the passes of a preset over the same command, what each left in `raw/`, and how each
//! ended.
//!
//! A command that fails is no error here: what it did until then is what the artifact is for. It is told in the manifest
//! and as notes, which become rows of `issues`.

mod crew;
mod told;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use proftool_trace::manifest::{Launched, Manifest, Pass};
use proftool_trace::{Draft, artifact};

use crate::process::{self, Ended, Limits, Spec};
use crate::profilers::{Launch, Missing, Note};
use crate::profiles::Profile;
use crate::ranks::Rank;
use crate::session::Environment;
use crew::Crew;
use told::{how, launched, manifest, notes_of};

/// Environment variable with the folder of the pass: what the command writes there is imported with it.
pub const RAW_DIR: &str = "PROFTOOL_RAW_DIR";

/// What to capture.
pub struct Request<'a> {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Preset of passes.
    pub profile: &'static Profile,
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
    /// The command could not be started, or not be watched.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// The artifact could not be written.
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    /// The user stopped it.
    #[error(
        "interrupted; what was recorded stays in {} (hint: read it with `proftool import`, or remove it)",
        partial.display()
    )]
    Interrupted {
        /// The folder that keeps what was recorded.
        partial: PathBuf,
    },
}

/// Checks that the command and the preset's profilers can run here, before anything is written.
///
/// # Errors
/// [`Error::Program`] and [`Error::Profiler`].
pub fn check(request: &Request<'_>) -> Result<(), Error> {
    find_program(request.command.first().map(OsString::as_os_str).unwrap_or_default())?;
    crew::find(request.profile).map(|_| ())
}

/// Runs every pass of the preset over the command. `say` gets a line before each.
///
/// # Errors
/// As [`check`]; [`Error::Artifact`] for an artifact that cannot be made, [`Error::Process`] for a command that cannot be
/// started, [`Error::Interrupted`] with the `.partial` directory that keeps the raw files.
pub fn capture(request: &Request<'_>, say: &mut dyn FnMut(&str)) -> Result<Captured, Error> {
    find_program(request.command.first().map(OsString::as_os_str).unwrap_or_default())?;
    let passes = crew::find(request.profile)?;
    let draft = draft(request)?;
    let mut all = Gathered::default();
    for (at, (name, crew)) in passes.iter().enumerate() {
        if passes.len() > 1 {
            say(&format!("pass {} of {}: {name}", at + 1, passes.len()));
        }
        match one_pass(request, &draft, name, crew, at == 0, &mut all) {
            Ok(()) => {}
            Err(error) if all.launches.is_empty() => {
                draft.discard();
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        if request.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { partial: draft.path().to_owned() });
        }
    }
    let manifest = manifest(request, &mut all);
    Ok(Captured { draft, manifest, notes: all.notes, failed: all.failed })
}

/// What the passes gave so far.
#[derive(Default)]
struct Gathered {
    passes: Vec<Pass>,
    launches: Vec<Launched>,
    notes: Vec<(String, Note)>,
    failed: Option<Failed>,
    versions: std::collections::BTreeMap<String, String>,
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

fn one_pass(
    request: &Request<'_>,
    draft: &Draft,
    name: &str,
    crew: &Crew,
    first: bool,
    all: &mut Gathered,
) -> Result<(), Error> {
    let folder = absolute(&draft.raw_dir(name)?);
    let rank = request.rank.as_ref().map_or(0, |rank| rank.rank);
    let launch = Launch { target: &request.command, folder: &folder, rank };
    let mut notes = crew.absent.clone();
    let started = crew.start(&launch, request.profile.name, &mut notes)?;
    let spec = spec(&started, &folder, request.input && first);
    let limits = Limits { grace: request.limits.grace.max(crew.grace()), ..request.limits };
    let ended = process::run(&spec, &limits, request.stop);
    notes.extend(started.stop());
    notes.extend(crew.after(&launch));
    let ended = ended?;
    remove_empty(&spec, &ended);
    notes.extend(notes_of(&ended, request.limits.timeout));
    if !ended.succeeded() && all.failed.is_none() {
        let reason = format!("{} {}", target_name(&request.command), how(&ended, request.limits.timeout));
        let code = if ended.exit_code == Some(0) { 124 } else { ended.shell_code() };
        all.failed = Some(Failed { reason, code });
    }
    all.launches.push(launched(name, &spec, &ended));
    all.versions.extend(crew.versions());
    all.passes.push(Pass {
        name: name.to_owned(),
        profilers: crew.names(),
        // The importer replaces these with what the raw files state.
        clock: "CLOCK_MONOTONIC".to_owned(),
        start_unix_ns: ended.start_unix_ns,
        start_monotonic_ns: ended.start_monotonic_ns,
        ranks: Vec::new(),
    });
    all.notes.extend(notes.into_iter().map(|note| (name.to_owned(), note)));
    Ok(())
}

fn spec(started: &crew::Started, folder: &Path, input: bool) -> Spec {
    let mut words = started.line.iter().cloned();
    let mut env = started.env.clone();
    env.push((RAW_DIR.into(), folder.as_os_str().to_owned()));
    Spec {
        program: words.next().unwrap_or_default(),
        args: words.collect(),
        env,
        unset: Vec::new(),
        dir: None,
        stdout: folder.join("stdout.txt"),
        stderr: folder.join("stderr.txt"),
        echo: true,
        input,
    }
}

/// A file without a byte says no more than none, and an import would report it as lost.
fn remove_empty(spec: &Spec, ended: &Ended) {
    for (file, bytes) in [&spec.stdout, &spec.stderr].into_iter().zip(ended.output_bytes) {
        if bytes == 0 {
            // An empty file that stays does no harm.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Looks for the program as the system will: a path, or a name in `PATH`.
fn find_program(program: &std::ffi::OsStr) -> Result<PathBuf, Error> {
    let refuse = |reason, hint| Error::Program { program: program.to_string_lossy().into_owned(), reason, hint };
    let path = Path::new(program);
    let named = path.components().count() > 1 || program.is_empty();
    let places: Vec<PathBuf> = if named {
        vec![path.to_owned()]
    } else {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|folder| folder.join(path)).collect()
    };
    let files: Vec<&PathBuf> = places.iter().filter(|place| place.is_file()).collect();
    if files.is_empty() {
        let hint = if named { "check the path" } else { "check its name, or give its path" };
        return Err(refuse(if named { "there is no such file" } else { "it is not in PATH" }, hint));
    }
    let found = files.into_iter().find(|file| is_executable(file));
    found.cloned().ok_or_else(|| refuse("it is not executable", "`chmod +x` it, or name its interpreter first"))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_command_is_called_by_the_file_name_of_its_first_word() {
        assert_eq!(target_name(&words("/usr/bin/python3 serve.py")), "python3");
        assert_eq!(target_name(&words("./run.sh")), "run.sh");
        assert_eq!(target_name(&words("..")), "command");
    }

    #[test]
    fn a_program_that_cannot_run_is_refused_with_what_to_try() {
        assert!(find_program("sh".as_ref()).is_ok());
        let error = |program: &str| find_program(program.as_ref()).expect_err("refused").to_string();
        assert!(error("proftool-no-such-program").contains("not in PATH"));
        assert!(error("/no/such/file").contains("no such file"));
        assert!(error("").contains("hint"));
        assert!(error("/etc/passwd").contains("chmod"));
    }
}
