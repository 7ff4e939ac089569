//! The driver of imports: finds what a path holds, imports several files side by side, and joins their tables.

mod claim;
mod join;
mod ranks;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use proftool_hardware::gpu;
use proftool_trace::frame::Tables;
use proftool_trace::manifest::TableRows;
use proftool_trace::rows::{Device, Issue};
use proftool_trace::sink::{Filled, Sink};
use proftool_trace::tables;

pub use claim::{Claimed, Found, PassedOver, find};

use crate::Error;
use crate::importers::{IMPORTERS, Importer, Session};
use crate::raw::{Import, Progress, Severity, Source};

/// One file or directory that was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The importer that read it.
    pub importer: &'static str,
    /// Its path.
    pub path: PathBuf,
    /// Where the raw file lies; another place than `path` for what was inside a zip archive.
    pub place: PathBuf,
    /// The pass that its rows belong to.
    pub pass: String,
    /// Its rank.
    pub rank: i64,
    /// What it says about its session.
    pub session: Session,
    /// Devices on which something ran.
    pub devices: Vec<i64>,
    /// Kinds of problem found in it that are more than information.
    pub problems: usize,
    /// Whether data was lost.
    pub lost: bool,
}

/// How to import.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Files that are read at the same time.
    pub workers: usize,
    /// Name of the device, for files that name none.
    pub hardware: Option<&'a str>,
}

/// What an import gave.
#[derive(Debug)]
pub struct Report {
    /// One entry a file, in the order of the files.
    pub imported: Vec<Imported>,
    /// Files of a directory that are left out.
    pub passed_over: Vec<PassedOver>,
    /// The tables that were written.
    pub tables: Vec<TableRows>,
}

/// Imports one file into tables in memory.
///
/// # Errors
/// What finding, reading or checking the file says.
pub fn into_memory(path: &Path) -> Result<(Imported, Tables), Error> {
    let source = Source::open(path, &Arc::new(Progress::default()))?;
    in_memory(&claim::claimed(source)?)
}

/// As [`into_memory`], by that importer whatever the content looks like: for tests that hand importers damaged files.
///
/// # Errors
/// As [`into_memory`].
pub fn with(importer: &'static Importer, path: &Path) -> Result<(Imported, Tables), Error> {
    let source = Source::open(path, &Arc::new(Progress::default()))?;
    let rank = source.rank_hint().unwrap_or(0);
    in_memory(&Claimed { importer, source, rank })
}

fn in_memory(claimed: &Claimed) -> Result<(Imported, Tables), Error> {
    let (imported, sink) = one(claimed, None, &Sink::memory)?;
    match sink.finish()? {
        Filled::Tables(tables) => Ok((imported, *tables)),
        Filled::Files(_) => unreachable!("the sink was one in memory"),
    }
}

/// Imports every file that was found into Parquet files in `folder`, several at a time. Memory is bounded by the
/// number of workers. Two files of the same pass and rank become passes of their own.
///
/// # Errors
/// The first error of any file; what was written until then is for the caller to remove.
pub fn into_folder(found: &Found, folder: &Path, options: Options<'_>) -> Result<Report, Error> {
    let (claimed, mut passed_over) = (found.claimed.as_slice(), found.passed_over.clone());
    if let [claimed] = claimed {
        let (mut imported, mut sink) = one(claimed, options.hardware, &|pass, rank| Sink::folder(pass, rank, folder))?;
        imported.lost |= note_passed_over(&mut sink, &passed_over)?;
        let Filled::Files(tables) = sink.finish()? else { unreachable!("the sink wrote files") };
        return Ok(Report { imported: vec![imported], passed_over, tables });
    }
    let parts = join::Parts::create(folder, claimed.len())?;
    let results = side_by_side(claimed, options.workers, &|index, claimed| {
        let place = parts.folder(index);
        let result = one(claimed, options.hardware, &|pass, rank| Sink::folder(pass, rank, &place));
        match result.and_then(|(imported, sink)| sink.finish().map(|_| imported).map_err(Error::from)) {
            Ok(imported) => Ok(Ok((place, imported))),
            Err(error) => PassedOver::from_error(claimed.source.path(), error).map(Err),
        }
    })?;
    let mut imported = Vec::new();
    for result in results {
        match result {
            Ok(one) => imported.push(one),
            Err(left_out) => passed_over.push(left_out),
        }
    }
    if imported.is_empty() {
        return Err(claim::nothing_inside(folder_of(claimed), &passed_over));
    }
    let renamed = ranks::make_passes_unique(imported.iter_mut().map(|(_, one)| one));
    let mut sink = parts.join(&imported)?;
    let mut imported: Vec<Imported> = imported.into_iter().map(|(_, one)| one).collect();
    if let Some(first) = imported.first_mut() {
        sink.set_pass(&first.pass);
        sink.set_rank(first.rank);
        first.lost |= note_passed_over(&mut sink, &passed_over)?;
        note_same_rank(&mut sink, renamed)?;
    }
    let Filled::Files(tables) = sink.finish()? else { unreachable!("the sink wrote files") };
    Ok(Report { imported, passed_over, tables })
}

fn folder_of(claimed: &[Claimed]) -> &Path {
    claimed.first().map_or(Path::new("."), |one| one.source.path().parent().unwrap_or(Path::new(".")))
}

/// A row of `issues` about files whose rank another file has already.
fn note_same_rank(sink: &mut Sink, count: u64) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    let detail = "files of a rank that another file has already: each is a pass of its own, and metrics read one pass; \
        where they are ranks of one job, name them so (rank0.json, rank1.json) and import again";
    let (severity, count) = (Severity::Info.name(), count as i64);
    Ok(sink.put(&Issue { source: "import", severity, code: "same_rank", count, detail })?)
}

/// Rows of `issues` about files that were left out; whether data is missing for it.
fn note_passed_over(sink: &mut Sink, passed_over: &[PassedOver]) -> Result<bool, Error> {
    for lost in [true, false] {
        let mut files = passed_over.iter().filter(|one| one.lost == lost);
        let Some(first) = files.next() else { continue };
        let name = first.path.file_name().unwrap_or(first.path.as_os_str()).to_string_lossy();
        let detail = format!("files of the folder that are left out, the first {name}: {}", first.reason);
        let (severity, code) =
            if lost { (Severity::DataLoss, "files_lost") } else { (Severity::Info, "files_passed_over") };
        let count = files.count() as i64 + 1;
        sink.put(&Issue { source: "import", severity: severity.name(), code, count, detail: &detail })?;
    }
    Ok(passed_over.iter().any(|one| one.lost))
}

/// Runs `work` on each of `items`, `workers` at a time; the results in the order of the items, or the first error.
fn side_by_side<'i, T, R: Send>(
    items: &'i [T],
    workers: usize,
    work: &(dyn Fn(usize, &'i T) -> Result<R, Error> + Sync),
) -> Result<Vec<R>, Error>
where
    T: Sync,
{
    let next = Mutex::new(items.iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let failed = Mutex::new(None::<(usize, Error)>);
    let take = || {
        let stop = failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if stop { None } else { next.lock().unwrap_or_else(PoisonError::into_inner).next() }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some((index, item)) = take() {
                    match work(index, item) {
                        Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result)),
                        Err(error) => {
                            let mut first = failed.lock().unwrap_or_else(PoisonError::into_inner);
                            if first.as_ref().is_none_or(|(other, _)| index < *other) {
                                *first = Some((index, error));
                            }
                        }
                    }
                }
            });
        }
    });
    if let Some((_, error)) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// Imports one claimed file into the sink that `sink` makes for its pass and rank.
fn one(claimed: &Claimed, hardware: Option<&str>, sink: &dyn Fn(&str, i64) -> Sink) -> Result<(Imported, Sink), Error> {
    let Claimed { importer, source, rank } = claimed;
    let mut import = Import::new(importer.name, source, sink(importer.name, *rank));
    import.hardware = hardware.map(str::to_owned);
    let session = (importer.import)(source, &mut import)?;
    let (mut sink, outcome) = import.finish()?;
    // Devices that came another way (a host's cores) are described.
    let described = sink.rows(&tables::DEVICES) > 0 && outcome.undescribed.len() == outcome.devices.len();
    if let Some(name) = hardware.filter(|_| !described) {
        let kind = gpu::find(name).map_or("cuda", |spec| spec.kind.as_str());
        for device in &outcome.undescribed {
            sink.put(&Device { device: *device, kind, name, ..Device::default() })?;
        }
    }
    if event_rows(&sink) == 0 {
        let (path, format, tried) = (source.path().to_owned(), importer.name, names(IMPORTERS));
        return Err(Error::NoRows { path, format, tried, looks: source.head().looks() });
    }
    let imported = Imported {
        importer: importer.name,
        path: source.path().to_owned(),
        place: source.place().to_owned(),
        pass: sink.pass().to_owned(),
        rank: sink.rank(),
        session,
        devices: outcome.devices,
        problems: outcome.problems,
        lost: outcome.lost,
    };
    Ok((imported, sink))
}

fn names<'a>(importers: impl IntoIterator<Item = &'a Importer>) -> String {
    importers.into_iter().map(|importer| importer.name).collect::<Vec<_>>().join(", ")
}

/// Rows that are about something that happened, rather than about the machine or the data.
fn event_rows(sink: &Sink) -> u64 {
    let about = [&tables::DEVICES, &tables::QUEUES, &tables::LINKS, &tables::ISSUES, &tables::COUNTER_DEFS];
    let events = tables::ALL.iter().filter(|table| !about.iter().any(|other| other.name == table.name));
    events.map(|table| sink.rows(table)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_file_is_refused_with_the_formats_tried_and_what_it_looks_like() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "hello").unwrap();
        let error = into_memory(&path).unwrap_err().to_string();
        assert!(error.contains("notes.txt") && error.contains("host"), "{error}");
        assert!(error.contains("text beginning with \"hello\""), "{error}");
        let missing = into_memory(&folder.path().join("absent")).unwrap_err();
        assert!(matches!(missing, Error::Io { .. }), "{missing}");
    }
    fn with_hardware(path: &Path, hardware: &str) -> Vec<String> {
        let claimed = claim::claimed(Source::open(path, &Arc::new(Progress::default())).unwrap()).unwrap();
        let (_, sink) = one(&claimed, Some(hardware), &Sink::memory).unwrap();
        let Filled::Tables(tables) = sink.finish().unwrap() else { unreachable!() };
        let texts = |column| proftool_trace::frame::texts(tables.get(&tables::DEVICES), column).unwrap();
        let rows = texts("kind").into_iter().flatten().zip(texts("name").into_iter().flatten());
        rows.map(|(kind, name)| format!("{kind} {name}")).collect()
    }

    #[test]
    fn devices_that_a_file_does_not_describe_are_those_that_the_user_names() {
        let trace = |properties: &str, name: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("trace.json");
            let kernel = |device: u32| {
                format!(
                    r#"{{"ph":"X","cat":"kernel","name":"k","pid":{device},"tid":7,"ts":{device},"dur":1,
                    "args":{{"device":{device},"stream":7,"correlation":{device}}}}}"#
                )
            };
            let (first, second) = (kernel(0), kernel(1));
            let text =
                format!(r#"{{"schemaVersion":1,"deviceProperties":[{properties}],"traceEvents":[{first},{second}]}}"#);
            std::fs::write(&path, text).unwrap();
            with_hardware(&path, name)
        };
        assert_eq!(trace("", "h100-sxm"), ["cuda h100-sxm", "cuda h100-sxm"]);
        assert_eq!(trace("", "mi300x"), ["hip mi300x", "hip mi300x"]);
    }

    #[test]
    fn an_export_of_nsys_without_the_name_of_its_gpu_takes_that_of_the_user() {
        let Some(folder) = crate::fixture::shared_data("nsys") else { return };
        let devices = with_hardware(&folder.join("h100x2_train_after.schema3.25.sqlite"), "h100-sxm");
        assert!(!devices.is_empty() && devices.iter().all(|device| device == "cuda h100-sxm"), "{devices:?}");
    }
}
