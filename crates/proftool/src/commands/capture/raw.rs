//! The raw files that the passes of a command left, turned into tables.
//!
//! A file that cannot be read, or none at all, is a row of `issues`: the command has run, and what it did is kept.

mod join;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use polars::prelude::DataFrame;
use proftool_capture::command::Captured;
use proftool_capture::profilers::{Note, Severity, host};
use proftool_capture::session::part;
use proftool_import::raw::Progress;
use proftool_trace::frame::{Tables, int_column, text_column};
use proftool_trace::manifest::{Manifest, Pass};
use proftool_trace::{Artifact, frame, tables};

use join::{File, Stated, append, join, offset, renumber, start_of, uuids};

use super::import::{Known, Roofs, devices};
use crate::failure::Failure;
use crate::{ceilings, hardware_key};

/// What there is to say about passes, by their names.
type Notes = Vec<(String, Note)>;

/// Files of a pass that proftool writes itself: what the command prints is no profile, whatever it looks like.
const OWN: [&str; 3] = ["stdout.txt", "stderr.txt", part::FILE];

/// Codes of the notes that reading the files of a pass gives.
pub(super) const FROM_FILES: [&str; 3] = ["unreadable", "left_out", "nothing_recorded"];

/// Imports every pass, and gives the directory its final name. What is `known` of an artifact that is imported again stands
/// in place of what this machine would add. Says also whether data was lost.
pub(super) fn import(captured: Captured, known: Option<&Known>) -> Result<(Artifact, bool), Failure> {
    let Captured { mut draft, mut manifest, mut notes, .. } = captured;
    let rank = manifest.command.as_ref().and_then(|command| Some(command.rank.as_ref()?.rank)).unwrap_or(0);
    let before = manifest.hardware_key.clone();
    let mut all = Tables::default();
    let mut passes = Vec::new();
    let (mut lost, mut used) = (false, 0);
    for pass in std::mem::take(&mut manifest.passes) {
        let (files, problems) = read(&draft.path().join("raw").join(&pass.name), &pass);
        notes.extend(problems.into_iter().map(|note| (pass.name.clone(), note)));
        lost |= files.iter().any(|file| file.imported.lost);
        // A sampler names every GPU of the machine, whoever used it.
        let worked = files.iter().filter(|file| !file.is_samples_only());
        used = worked.map(|file| file.imported.devices.len()).fold(used, usize::max);
        passes.extend(join(pass, files, rank, &mut all)?);
    }
    manifest.passes = passes;
    describe(&mut manifest, &all, used)?;
    match known {
        Some(known) => known.add(&mut all)?,
        None => add_roofs(&manifest, &mut all)?,
    }
    lost |= notes.iter().any(|(_, note)| note.severity == Severity::DataLoss);
    all.append(&tables::ISSUES, &issues(&notes, rank)?)?;
    manifest.tables = all.write(&draft.tables_dir())?;
    if let Some(name) = renamed(&draft.name(), &before, &manifest.hardware_key) {
        draft.rename(&name)?;
    }
    Ok((draft.finish(manifest)?, lost))
}

/// Imports a pass over a built-in target under a profiler. The target's own trace is a pass beside it, `<name>-host`. Gives
/// the passes, and what there is to say about them.
///
/// # Errors
/// When the rows fit no table. A file that cannot be read is a note.
pub(super) fn import_pass(pass: Pass, folder: &Path, all: &mut Tables) -> Result<(Vec<Pass>, Notes), Failure> {
    let (mut files, mut notes) = read(folder, &pass);
    // The profiler's file gives the pass its clock.
    let (own, mut others): (Vec<File>, Vec<File>) =
        files.drain(..).partition(|file| file.imported.importer == host::PROFILER.name);
    if others.is_empty() && !own.is_empty() {
        notes.push(nothing_recorded(&pass));
    }
    others.sort_by_key(File::is_samples_only);
    let notes = notes.into_iter().map(|note| (pass.name.clone(), note)).collect();
    let beside =
        Pass { name: format!("{}-host", pass.name), profilers: vec![host::PROFILER.name.to_owned()], ..pass.clone() };
    let mut passes = join(pass, others, 0, all)?;
    if !own.is_empty() {
        passes.extend(join(beside, own, 0, all)?);
    }
    Ok((passes, notes))
}

/// Adds a sampler's file to a pass whose tables are there, on the clock of the pass and under its numbers of devices.
///
/// # Errors
/// When the rows fit no table. A file that cannot be read is a note.
pub(super) fn join_samples(pass: &Pass, path: &Path, all: &mut Tables) -> Result<Option<Note>, Failure> {
    let mut file = match proftool_import::into_memory(path) {
        Ok((imported, tables)) => File { imported, tables },
        Err(error) => {
            return Ok(Some(Note { severity: Severity::DataLoss, code: "unreadable", detail: error.to_string() }));
        }
    };
    let known: HashMap<String, i64> = uuids(all.get(&tables::DEVICES)).into_iter().collect();
    if !known.is_empty() {
        renumber(&mut file, &known)?;
    }
    let start = start_of(&file.imported, 0);
    let Some(offset) = offset(pass, &start) else {
        let detail = format!("{} shares no clock with pass {}", path.display(), pass.name);
        return Ok(Some(Note { severity: Severity::DataLoss, code: "unreadable", detail }));
    };
    append(&file.tables, &Stated { pass: &pass.name, rank: start.rank, offset }, all)?;
    Ok(None)
}

/// The name of the directory once the raw files have told which devices it is about.
pub(super) fn renamed(name: &str, before: &str, key: &str) -> Option<String> {
    let at = name.rfind(before).filter(|_| before != key)?;
    Some(format!("{}{key}", &name[..at]))
}

/// Every file of a pass that can be read, those that only sample last, and what is to be said about the others.
fn read(folder: &Path, pass: &Pass) -> (Vec<File>, Vec<Note>) {
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    let mut note = |severity, code, detail| notes.push(Note { severity, code, detail });
    match proftool_import::find(folder, &Arc::new(Progress::default())) {
        Ok(found) => {
            let own = |path: &Path| OWN.iter().any(|name| path == folder.join(name));
            for claimed in found.claimed.iter().filter(|claimed| !own(claimed.source.path())) {
                match proftool_import::into_memory(claimed.source.path()) {
                    Ok((imported, tables)) => files.push(File { imported, tables }),
                    Err(error) => note(Severity::DataLoss, "unreadable", error.to_string()),
                }
            }
            for left_out in found.passed_over.iter().filter(|one| one.lost && !own(&one.path)) {
                let file = left_out.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                note(Severity::DataLoss, "left_out", format!("{file}: {}", left_out.reason));
            }
        }
        Err(proftool_import::Error::NothingInside { .. }) => {}
        Err(error) => note(Severity::DataLoss, "unreadable", error.to_string()),
    }
    if files.is_empty() {
        notes.push(nothing_recorded(pass));
    }
    files.sort_by_key(File::is_samples_only);
    (files, notes)
}

fn nothing_recorded(pass: &Pass) -> Note {
    if pass.profilers.is_empty() {
        let detail = "no profiler took part, and the command wrote no profile into $PROFTOOL_RAW_DIR: there are results, and \
                      no trace";
        return Note { severity: Severity::Info, code: "nothing_recorded", detail: detail.to_owned() };
    }
    let detail = format!("{} left no file that can be read: see stderr.txt of the pass", pass.profilers.join(" and "));
    Note { severity: Severity::DataLoss, code: "nothing_recorded", detail }
}

/// The devices of the manifest, each once, and the hardware key where they are not this machine's cores.
fn describe(manifest: &mut Manifest, all: &Tables, used: usize) -> Result<(), Failure> {
    for device in devices(all.get(&tables::DEVICES))? {
        if !manifest.devices.iter().any(|known| known.device == device.device && known.kind == device.kind) {
            manifest.devices.push(device);
        }
    }
    let gpus: Vec<_> = manifest.devices.iter().filter(|device| device.kind != "cpu").cloned().collect();
    if let Some(key) = hardware_key::of_devices(&gpus, used) {
        manifest.hardware_key = key;
    }
    Ok(())
}

fn add_roofs(manifest: &Manifest, all: &mut Tables) -> Result<(), Failure> {
    let cores = manifest.devices.iter().filter(|device| device.kind == "cpu").map(|device| device.device);
    let cores: Vec<i64> = cores.collect();
    if !cores.is_empty() && all.get(&tables::CEILINGS).height() == 0 {
        all.set(&tables::CEILINGS, Roofs::new().of(&cores)?)?;
    }
    // Those that were measured before: the GPU may still be busy with what the command left running.
    ceilings::gpu::add(all)?;
    Ok(())
}

pub(super) fn issues(notes: &[(String, Note)], rank: i64) -> Result<DataFrame, Failure> {
    Ok(frame::build(
        &tables::ISSUES,
        vec![
            text_column("pass", notes.iter().map(|(pass, _)| Some(pass.as_str()))),
            int_column("rank", notes.iter().map(|_| Some(rank))),
            text_column("source", notes.iter().map(|_| Some("capture"))),
            text_column("severity", notes.iter().map(|(_, note)| Some(note.severity.name()))),
            text_column("code", notes.iter().map(|(_, note)| Some(note.code))),
            int_column("count", notes.iter().map(|_| Some(1))),
            text_column("detail", notes.iter().map(|(_, note)| Some(note.detail.as_str()))),
        ],
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_named_after_the_devices_once_they_are_known() {
        let named = |name| renamed(name, "cpu-x-2c", "nvidia-h100-x1");
        assert_eq!(named("20260101T000000Z-sh-cpu-x-2c").as_deref(), Some("20260101T000000Z-sh-nvidia-h100-x1"));
        assert_eq!(named("20260101T000000Z-sh-cpu-x-2c-2").as_deref(), Some("20260101T000000Z-sh-nvidia-h100-x1"));
        assert_eq!(renamed("a-key", "key", "key"), None);
    }
}
