//! Importing a captured artifact again: new tables from its raw files, under what its capture stated.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use polars::prelude::{BooleanChunked, DataFrame};
use proftool_capture::{Captured, command};
use proftool_trace::frame::Tables;
use proftool_trace::manifest::{Manifest, Pass};
use proftool_trace::{Artifact, Draft, frame, tables};

use super::import::{self, Known, Roofs};
use super::raw;
use crate::failure::{Failure, Kind};
use crate::interrupt;

/// Whether the raw files of an artifact can be imported as they were captured: it was captured, and they are there.
pub(crate) fn can_be(known: &Artifact) -> bool {
    !known.manifest.is_imported() && !passes(known).is_empty()
}

/// Imports the raw files of a captured artifact into a new one below `parent`, whose name begins with `stamp`: target,
/// results, machine and command are those of the capture. Says also whether data was lost.
///
/// # Errors
/// When a file cannot be copied or read, or the artifact not be written.
pub(crate) fn import_again(known: &Artifact, parent: &Path, stamp: &str) -> Result<(Artifact, bool), Failure> {
    let manifest = &known.manifest;
    let name = format!("{stamp}-{}-{}", manifest.target.name, manifest.hardware_key);
    let draft = Draft::create(parent, &name)?;
    match fill(known, &draft).and_then(|()| tables_again(known)) {
        Ok(before) => {
            let (devices, tables) = (Vec::new(), Vec::new());
            let manifest = Manifest { passes: passes(known), devices, tables, ..manifest.clone() };
            import_into(draft, manifest, &before)
        }
        Err(failure) => {
            draft.discard();
            Err(failure)
        }
    }
}

fn import_into(draft: Draft, manifest: Manifest, before: &Known) -> Result<(Artifact, bool), Failure> {
    // A target has the pass of its recorder or was not recorded; a command has no iterations, and was launched.
    let of_target = manifest.iterations > 0 || manifest.command.is_none();
    if of_target {
        return import::import(
            Captured { draft, manifest, notes: Vec::new(), lines: Vec::new(), trend: Vec::new() },
            Vec::new(),
            &mut Roofs::new(),
            Some(before),
        );
    }
    let captured = command::Captured { draft, manifest, notes: Vec::new(), failed: None };
    raw::import(captured, Some(before))
}

/// The passes that have a folder of raw files: files of one folder can be passes of their own, which come anew.
fn passes(known: &Artifact) -> Vec<Pass> {
    let has_folder = |pass: &&Pass| known.raw_dir().join(&pass.name).is_dir();
    let mut found: Vec<Pass> = known.manifest.passes.iter().filter(has_folder).cloned().collect();
    let mut names = BTreeSet::new();
    found.retain(|pass| names.insert(pass.name.clone()));
    for pass in &mut found {
        pass.ranks.clear();
    }
    found
}

/// Copies the raw files.
fn fill(known: &Artifact, draft: &Draft) -> Result<(), Failure> {
    for pass in passes(known) {
        interrupt::check("nothing of the import is left")?;
        let (from, to) = (known.raw_dir().join(&pass.name), draft.raw_dir(&pass.name)?);
        copy(&from, &to).map_err(|error| {
            let (from, to) = (from.display(), to.display());
            Failure::io(format!("cannot copy {from} to {to}: {error} (hint: check the space on the disk)"))
        })?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        // A link or a pipe is no profile, and may lead anywhere.
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What no raw file holds: the roofs of the machine, and what the capture had to say.
fn tables_again(known: &Artifact) -> Result<Known, Failure> {
    let read = |table| frame::read(table, &known.tables_dir()).ok();
    let mut kept = Tables::default();
    if let Some(roofs) = read(&tables::CEILINGS) {
        kept.append(&tables::CEILINGS, &roofs)?;
    }
    if let Some(issues) = read(&tables::ISSUES) {
        kept.append(&tables::ISSUES, &of_capture(&issues)?)?;
    }
    Ok(Known(kept))
}

/// The rows that reading the raw files does not give again.
fn of_capture(issues: &DataFrame) -> Result<DataFrame, Failure> {
    let rows = frame::texts(issues, "source")?.into_iter().zip(frame::texts(issues, "code")?);
    let keep: BooleanChunked = rows
        .map(|(source, code)| {
            source.as_deref() == Some("capture") && !code.is_some_and(|code| raw::FROM_FILES.contains(&code.as_str()))
        })
        .collect();
    issues.filter(&keep).map_err(|error| Failure::new(Kind::Bug, error))
}
