//! The raw files that the passes of a command left, turned into tables.
//!
//! A file that cannot be read, or none at all, is a row of `issues`: the command has run, and what it did is kept.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use polars::prelude::{Column, DataFrame};
use proftool_capture::command::Captured;
use proftool_capture::profilers::{Note, Severity, host};
use proftool_capture::session::part;
use proftool_import::Imported;
use proftool_import::raw::Progress;
use proftool_trace::frame::{Tables, int_column, text_column};
use proftool_trace::manifest::{Manifest, Pass, RankStart};
use proftool_trace::{Artifact, Table, frame, tables};

use super::import::{Known, Roofs, devices};
use crate::failure::{Failure, Kind};
use crate::{ceilings, hardware_key};

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
pub(super) fn import_pass(
    pass: Pass,
    folder: &Path,
    all: &mut Tables,
) -> Result<(Vec<Pass>, Vec<(String, Note)>), Failure> {
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

/// One imported file.
struct File {
    imported: Imported,
    tables: Tables,
}

impl File {
    /// Whether it holds samples and nothing else that happened.
    fn is_samples_only(&self) -> bool {
        let about = [&tables::DEVICES, &tables::QUEUES, &tables::LINKS, &tables::ISSUES, &tables::COUNTER_DEFS];
        let has = |table: &&&'static Table| self.tables.get(table).height() > 0;
        let about = |table: &Table| about.iter().any(|other| other.name == table.name);
        let mut events = tables::ALL.iter().filter(has).filter(|table| !about(table));
        events.all(|table| table.name == tables::SAMPLES.name)
    }
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

/// Appends the files of a pass to the tables: the first gives the pass its clock, samples are moved onto it, and every
/// other file is a pass of its own, since the numbers of its rows are.
fn join(pass: Pass, files: Vec<File>, rank: i64, all: &mut Tables) -> Result<Vec<Pass>, Failure> {
    let mut passes: Vec<Pass> = Vec::new();
    let mut sampled = false;
    let known: HashMap<String, i64> = files
        .iter()
        .filter(|file| !file.is_samples_only())
        .flat_map(|file| uuids(file.tables.get(&tables::DEVICES)))
        .collect();
    for mut file in files {
        if file.is_samples_only() && !known.is_empty() {
            renumber(&mut file, &known)?;
        }
        let start = start_of(&file.imported, rank);
        let moved = passes.first().and_then(|first| {
            let fits = file.is_samples_only() && !sampled;
            offset(first, &start).filter(|_| fits)
        });
        sampled |= file.tables.get(&tables::COUNTER_DEFS).height() > 0;
        let name = match (moved, passes.len()) {
            (_, 0) | (Some(_), _) => pass.name.clone(),
            (None, count) => format!("{}-{}", pass.name, count + 1),
        };
        let stated = Stated { pass: &name, rank: start.rank, offset: moved.unwrap_or(0) };
        append(&file.tables, &stated, all)?;
        match passes.first_mut().filter(|_| moved.is_some()) {
            Some(first) => first.ranks.push(start),
            None => passes.push(Pass {
                name,
                clock: file.imported.session.clock.clone(),
                start_unix_ns: start.start_unix_ns,
                start_monotonic_ns: start.start_monotonic_ns,
                ranks: vec![start],
                ..pass.clone()
            }),
        }
    }
    Ok(if passes.is_empty() { vec![pass] } else { passes })
}

fn start_of(imported: &Imported, rank: i64) -> RankStart {
    RankStart {
        // A file that does not tell is of this rank.
        rank: if imported.rank == 0 { rank } else { imported.rank },
        file: imported.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        start_unix_ns: imported.session.start_unix_ns,
        start_monotonic_ns: imported.session.start_monotonic_ns,
    }
}

/// The devices that the rows of a table name by UUID.
fn uuids(devices: &DataFrame) -> Vec<(String, i64)> {
    let columns = frame::texts(devices, "uuid").and_then(|uuids| Ok((uuids, frame::ints(devices, "device")?)));
    let (uuids, numbers) = columns.unwrap_or_default();
    uuids.into_iter().zip(numbers).filter_map(|(uuid, number)| Some((uuid?, number?))).collect()
}

/// Gives the sampled devices the numbers that the pass's other file knows them by: a sampler counts the GPUs of the machine,
/// a program those that it sees (`CUDA_VISIBLE_DEVICES`). The others keep apart, beyond all of these.
fn renumber(file: &mut File, known: &HashMap<String, i64>) -> Result<(), Failure> {
    let own = uuids(file.tables.get(&tables::DEVICES));
    let beyond = known.values().copied().max().unwrap_or(-1) + 1;
    let number = |(at, (uuid, device)): (usize, &(String, i64))| {
        (*device, known.get(uuid).copied().unwrap_or(beyond + at as i64))
    };
    let numbers: HashMap<i64, i64> = own.iter().enumerate().map(number).collect();
    for table in [&tables::DEVICES, &tables::SAMPLES] {
        let mut rows: DataFrame = file.tables.get(table).clone();
        let devices = frame::ints(&rows, "device")?.into_iter();
        let devices = devices.map(|device| device.map(|device| numbers.get(&device).copied().unwrap_or(device)));
        rows.with_column(int_column("device", devices)).map_err(|error| Failure::new(Kind::Bug, error))?;
        file.tables.set(table, rows)?;
    }
    Ok(())
}

/// What to add to a file's times so that they count from the start of the pass; none where the clocks share nothing.
fn offset(pass: &Pass, start: &RankStart) -> Option<i64> {
    let both = |of_pass: i64, of_file: i64| (of_pass != 0 && of_file != 0).then(|| of_file.saturating_sub(of_pass));
    both(pass.start_monotonic_ns, start.start_monotonic_ns).or_else(|| both(pass.start_unix_ns, start.start_unix_ns))
}

/// What the rows of a file get.
struct Stated<'a> {
    pass: &'a str,
    rank: i64,
    offset: i64,
}

fn append(tables: &Tables, stated: &Stated<'_>, all: &mut Tables) -> Result<(), Failure> {
    let bug = |error| Failure::new(Kind::Bug, error);
    for table in tables::ALL {
        let mut rows: DataFrame = tables.get(table).clone();
        if rows.height() == 0 {
            continue;
        }
        let has = |name: &str| table.columns.iter().any(|column| column.name == name);
        if has("pass") {
            rows = frame::with_pass(rows, stated.pass)?;
        }
        if has("rank") {
            let rank = Column::new_scalar("rank".into(), stated.rank.into(), rows.height());
            rows.with_column(rank).map_err(bug)?;
        }
        if table.name == tables::SAMPLES.name && stated.offset != 0 {
            for name in ["start_ns", "end_ns"] {
                let moved = frame::ints(&rows, name)?.into_iter().map(|time| Some(time?.saturating_add(stated.offset)));
                rows.with_column(int_column(name, moved)).map_err(bug)?;
            }
        }
        all.append(table, &rows)?;
    }
    Ok(())
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
    use proftool_import::importers::Session;

    fn file(name: &str, table: &'static Table, columns: Vec<Column>, monotonic: i64) -> File {
        let mut tables = Tables::default();
        tables.append(table, &frame::build(table, columns).expect("a table")).expect("appended");
        let session = Session { start_monotonic_ns: monotonic, ..Session::default() };
        let imported = Imported {
            importer: "test",
            path: name.into(),
            place: name.into(),
            pass: "test".to_owned(),
            rank: 0,
            session,
            devices: Vec::new(),
            problems: 0,
            lost: false,
        };
        File { imported, tables }
    }

    fn about(columns: Vec<Column>) -> Vec<Column> {
        [vec![text_column("pass", [Some("test")]), int_column("rank", [Some(0)])], columns].concat()
    }

    fn samples(monotonic: i64) -> File {
        let columns = ["device", "def", "start_ns", "end_ns"].map(|name| int_column(name, [Some(7)]));
        file("nvml.jsonl", &tables::SAMPLES, about(columns.into()), monotonic)
    }

    fn steps(name: &str, monotonic: i64) -> File {
        file(
            name,
            &tables::STEPS,
            about(["device", "start_ns", "end_ns"].map(|name| int_column(name, [Some(7)])).into()),
            monotonic,
        )
    }

    #[test]
    fn samples_are_moved_onto_the_clock_of_their_pass_and_other_files_are_passes_of_their_own() {
        let pass = Pass {
            name: "nsys".to_owned(),
            profilers: Vec::new(),
            clock: String::new(),
            start_unix_ns: 1,
            start_monotonic_ns: 1,
            ranks: Vec::new(),
        };
        let mut all = Tables::default();
        let files = vec![steps("a", 1000), steps("b", 1100), samples(1500)];
        let passes = join(pass, files, 3, &mut all).expect("joined");
        assert_eq!(passes.iter().map(|pass| pass.name.as_str()).collect::<Vec<_>>(), ["nsys", "nsys-2"]);
        assert_eq!((passes[0].start_monotonic_ns, passes[0].ranks.len()), (1000, 2));
        let rows = all.get(&tables::SAMPLES);
        assert_eq!(frame::ints(rows, "start_ns").expect("ints"), [Some(507)]);
        assert_eq!(frame::ints(rows, "rank").expect("ints"), [Some(3)]);
        assert_eq!(frame::texts(rows, "pass").expect("texts"), [Some("nsys".to_owned())]);
    }

    #[test]
    fn sampled_devices_get_the_numbers_of_the_program_by_uuid_and_the_others_keep_apart() {
        let devices = |uuids: &[Option<&'static str>]| {
            let numbers = (0..uuids.len() as i64).map(Some);
            vec![
                text_column("pass", uuids.iter().map(|_| Some("test"))),
                int_column("rank", uuids.iter().map(|_| Some(0))),
                int_column("device", numbers),
                text_column("kind", uuids.iter().map(|_| Some("cuda"))),
                text_column("name", uuids.iter().map(|_| Some("gpu"))),
                text_column("uuid", uuids.to_vec()),
            ]
        };
        // The program saw the machine's last two GPUs, in the other order; the sampler sees all three.
        let known = uuids(
            file("a", &tables::DEVICES, devices(&[Some("GPU-c"), Some("GPU-b")]), 0).tables.get(&tables::DEVICES),
        )
        .into_iter()
        .collect();
        let sampler = [Some("GPU-a"), Some("GPU-b"), Some("GPU-c")];
        let mut sampled = file("nvml.jsonl", &tables::DEVICES, devices(&sampler), 0);
        let rows = about(["device", "def", "start_ns", "end_ns"].map(|name| int_column(name, [Some(2)])).into());
        sampled
            .tables
            .append(&tables::SAMPLES, &frame::build(&tables::SAMPLES, rows).expect("a table"))
            .expect("appended");
        renumber(&mut sampled, &known).expect("renumbered");
        let numbers = |table| frame::ints(sampled.tables.get(table), "device").expect("ints");
        assert_eq!(numbers(&tables::DEVICES), [Some(2), Some(1), Some(0)]);
        assert_eq!(numbers(&tables::SAMPLES), [Some(0)]);
    }

    #[test]
    fn the_directory_is_named_after_the_devices_once_they_are_known() {
        let named = |name| renamed(name, "cpu-x-2c", "nvidia-h100-x1");
        assert_eq!(named("20260101T000000Z-sh-cpu-x-2c").as_deref(), Some("20260101T000000Z-sh-nvidia-h100-x1"));
        assert_eq!(named("20260101T000000Z-sh-cpu-x-2c-2").as_deref(), Some("20260101T000000Z-sh-nvidia-h100-x1"));
        assert_eq!(renamed("a-key", "key", "key"), None);
    }
}
