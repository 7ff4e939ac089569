//! The raw files of a captured target, turned into tables.

use std::path::{Path, PathBuf};

use polars::prelude::DataFrame;
use proftool_capture::Captured;
use proftool_capture::profilers::{Note, host, nvml};
use proftool_hardware::Machine;
use proftool_trace::frame::{Tables, int_column, text_column};
use proftool_trace::manifest::{Device, Pass, RankStart};
use proftool_trace::{Artifact, frame, tables};

use super::raw;
use crate::ceilings;
use crate::failure::Failure;

/// This machine's roofs, looked up or measured when the first run of a CPU device needs them.
pub(super) struct Roofs {
    machine: Machine,
    measured: Option<DataFrame>,
}

impl Roofs {
    /// Those of this machine, not looked up yet.
    pub(super) fn new() -> Self {
        Self { machine: proftool_hardware::probe(), measured: None }
    }

    /// The same roofs for each of `devices`.
    ///
    /// # Errors
    /// When they cannot be measured.
    pub(super) fn of(&mut self, devices: &[i64]) -> Result<DataFrame, Failure> {
        if self.measured.is_none() {
            self.measured = Some(ceilings::cached_or_measured(&self.machine)?);
        }
        self.measured
            .as_ref()
            .map_or_else(|| Ok(frame::empty(&tables::CEILINGS)), |one| ceilings::for_devices(one, devices))
    }
}

/// What an artifact holds beside its raw files: roofs, and issues that its capture stated.
pub(super) struct Known(pub(super) Tables);

impl Known {
    /// Adds them to the tables of the same artifact, imported again.
    ///
    /// # Errors
    /// When they do not fit.
    pub(super) fn add(&self, all: &mut Tables) -> Result<(), Failure> {
        for table in [&tables::CEILINGS, &tables::ISSUES] {
            all.append(table, self.0.get(table))?;
        }
        Ok(())
    }
}

/// Turns a capture's raw files into tables and gives the directory its final name; what its passes `observed` becomes
/// issues. What is `known` of an artifact that is imported again stands in place of what this machine would add. Says also whether
/// data was lost.
///
/// # Errors
/// When the recorder's own trace cannot be read, or the tables not be written. What a profiler left and cannot be read is
/// an issue.
pub(super) fn import(
    captured: Captured,
    observed: Vec<(String, Note)>,
    roofs: &mut Roofs,
    known: Option<&Known>,
) -> Result<(Artifact, bool), Failure> {
    let Captured { draft, mut manifest, mut notes, .. } = captured;
    notes.extend(observed);
    let mut all = Tables::default();
    let (mut own, others): (Vec<Pass>, Vec<Pass>) =
        std::mem::take(&mut manifest.passes).into_iter().partition(|pass| pass.name == host::PASS);
    for pass in &mut own {
        recorded(pass, &draft.path().join("raw").join(&pass.name), &mut all)?;
    }
    manifest.devices = devices(all.get(&tables::DEVICES))?;
    for pass in &own {
        let samples = draft.path().join("raw").join(&pass.name).join(nvml::FILE);
        if samples.is_file() {
            notes.extend(raw::join_samples(pass, &samples, &mut all)?.map(|note| (pass.name.clone(), note)));
        }
    }
    for pass in others {
        let folder = draft.path().join("raw").join(&pass.name);
        let (passes, problems) = raw::import_pass(pass, &folder, &mut all)?;
        own.extend(passes);
        notes.extend(problems);
    }
    if manifest.devices.is_empty() {
        // Those of a router log.
        manifest.devices = devices(all.get(&tables::DEVICES))?;
    }
    manifest.passes = own;
    let cores: Vec<i64> =
        manifest.devices.iter().filter(|device| device.kind == "cpu").map(|device| device.device).collect();
    if let Some(known) = known {
        known.add(&mut all)?;
    } else {
        // Nothing ran on the cores of a target that runs once.
        if !cores.is_empty() && manifest.iterations > 0 {
            all.set(&tables::CEILINGS, roofs.of(&cores)?)?;
        }
        ceilings::gpu::add(&mut all)?;
        all.append(&tables::ISSUES, &issues(&manifest.results)?)?;
    }
    all.append(&tables::ISSUES, &raw::issues(&notes, 0)?)?;
    let lost =
        frame::texts(all.get(&tables::ISSUES), "severity")?.iter().flatten().any(|severity| severity == "data_loss");
    manifest.tables = all.write(&draft.tables_dir())?;
    Ok((draft.finish(manifest)?, lost))
}

/// The recorder's trace of a pass: the rows of each rank's file.
fn recorded(pass: &mut Pass, folder: &Path, all: &mut Tables) -> Result<(), Failure> {
    let files = traces(folder)?;
    for (at, file) in files.iter().enumerate() {
        let (imported, tables) = proftool_import::into_memory(file)?;
        for table in tables::ALL {
            all.append(table, tables.get(table))?;
        }
        let start = RankStart {
            rank: imported.rank,
            file: file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            start_unix_ns: imported.session.start_unix_ns,
            start_monotonic_ns: imported.session.start_monotonic_ns,
        };
        if at == 0 {
            pass.clock = imported.session.clock;
            pass.start_unix_ns = start.start_unix_ns;
            pass.start_monotonic_ns = start.start_monotonic_ns;
        }
        if files.len() > 1 {
            pass.ranks.push(start);
        }
    }
    Ok(())
}

/// The recorder's files in the folder of a pass, one a rank: `host.trace` of the first rank, `host.rank1.trace` and so on.
fn traces(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| Failure::io(format!("cannot read {}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "trace"));
    // The shortest name is that of the first rank; of the others the shorter has the lower number.
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    if files.is_empty() {
        return Err(Failure::io(format!("{} holds no trace (hint: capture again)", folder.display())));
    }
    Ok(files)
}

/// The devices of the manifest, from the imported table.
pub(crate) fn devices(table: &DataFrame) -> Result<Vec<Device>, Failure> {
    let (numbers, kinds) = (frame::ints(table, "device")?, frame::texts(table, "kind")?);
    let (names, archs) = (frame::texts(table, "name")?, frame::texts(table, "arch")?);
    let rows = numbers.into_iter().zip(kinds).zip(names).zip(archs);
    Ok(rows
        .map(|(((device, kind), name), arch)| Device {
            device: device.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
            name: name.unwrap_or_default(),
            arch,
        })
        .collect())
}

/// What the run itself tells about its trustworthiness, as rows of `issues`.
fn issues(results: &proftool_trace::manifest::Results) -> Result<DataFrame, Failure> {
    let mut rows: Vec<(&str, &str, i64, String)> = Vec::new();
    let failed = results.checks.iter().filter(|check| check.max_relative_error > check.tolerance);
    for check in failed {
        let detail = format!("{}: {:.2e}, allowed {:.0e}", check.name, check.max_relative_error, check.tolerance);
        rows.push(("error", "verification_failed", 1, detail));
    }
    let contended = results.contention_ratio.iter().filter(|ratio| **ratio > 1.05).count();
    if contended > 0 {
        let worst = results.contention_ratio.iter().copied().fold(1.0, f64::max);
        let detail = format!(
            "blocks whose queues had less than a core each (wall time over CPU time above 1.05, worst {worst:.2}); capture again on a quiet machine"
        );
        rows.push(("info", "contended", contended as i64, detail));
    }
    Ok(frame::build(
        &tables::ISSUES,
        vec![
            text_column("pass", rows.iter().map(|_| Some("host"))),
            int_column("rank", rows.iter().map(|_| Some(0))),
            text_column("source", rows.iter().map(|_| Some("capture"))),
            text_column("severity", rows.iter().map(|row| Some(row.0))),
            text_column("code", rows.iter().map(|row| Some(row.1))),
            int_column("count", rows.iter().map(|row| Some(row.2))),
            text_column("detail", rows.iter().map(|row| Some(row.3.as_str()))),
        ],
    )?)
}
