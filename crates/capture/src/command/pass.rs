//! One pass: one run of a command under one crew of profilers, and what it leaves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use proftool_trace::Draft;
use proftool_trace::manifest::{Launched, Pass};

use super::crew::{Crew, Started};
use super::told::{self, launched, notes_of};
use super::{Error, Failed, RAW_DIR};
use crate::process::{self, Ended, Limits, Spec};
use crate::profilers::{Launch, Note, Options};

/// What the passes gave so far.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) passes: Vec<Pass>,
    pub(super) launches: Vec<Launched>,
    pub(super) notes: Vec<(String, Note)>,
    /// How the first pass that failed did.
    pub(super) failed: Option<Failed>,
    pub(super) versions: BTreeMap<String, String>,
}

/// What is run in a pass.
pub(super) struct Run<'a> {
    /// The program and its arguments.
    pub(super) command: &'a [OsString],
    /// Name of the preset.
    pub(super) profile: &'static str,
    /// What the user asks of the tools.
    pub(super) options: &'a Options,
    /// Rank of this process.
    pub(super) rank: i64,
    /// How long it may take.
    pub(super) limits: Limits,
    /// Whether it gets proftool's stdin.
    pub(super) input: bool,
    /// Environment variables for it.
    pub(super) env: &'a [(OsString, OsString)],
    /// Set when the user asks to stop.
    pub(super) stop: &'a AtomicBool,
}

impl Run<'_> {
    /// Runs it under a crew into the folder of the pass.
    ///
    /// # Errors
    /// Where it cannot be started; how it ended is no error.
    pub(super) fn under(&self, draft: &Draft, name: &str, crew: &Crew, all: &mut Gathered) -> Result<(), Error> {
        let folder = absolute(&draft.raw_dir(name)?);
        let launch = Launch { target: self.command, folder: &folder, rank: self.rank };
        let mut notes = crew.absent.clone();
        let started = crew.start(&launch, self.profile, self.options, &mut notes)?;
        let spec = self.spec(&started, &folder);
        let limits = Limits { grace: self.limits.grace.max(crew.grace()), ..self.limits };
        let ended = process::run(&spec, &limits, self.stop);
        notes.extend(started.stop());
        let after = crew.after(&launch);
        let ended = ended?;
        remove_empty(&spec, &ended);
        let teller = told::Teller { wrapper: crew.wrapper(), after: &after, timeout: self.limits.timeout };
        notes.extend(notes_of(&ended, &teller));
        notes.extend(told::said(&after, &ended));
        if !ended.succeeded() && all.failed.is_none() {
            all.failed = Some(teller.failed(&super::target_name(self.command), &ended));
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

    fn spec(&self, started: &Started, folder: &Path) -> Spec {
        let mut words = started.line.iter().cloned();
        let mut env = started.env.clone();
        env.extend_from_slice(self.env);
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
            input: self.input,
        }
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
