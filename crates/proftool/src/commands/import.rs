//! `proftool import`: raw profiler files become an artifact.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polars::prelude::DataFrame;
use proftool_import::raw::Progress;
use proftool_import::{self as import, Found, Imported, Options, Report};
use proftool_trace::manifest::{Device, FORMAT, Host, IMPORTED_AS, Manifest, Pass, RankStart, Results, Target, Time};
use proftool_trace::{Artifact, Draft, frame, tables};

use crate::commands::capture;
use crate::failure::{Failure, Kind, Outcome};
use crate::progress::Bar;
use crate::{artifacts, hardware_key, interrupt, machine, tty};

/// Bytes of a file's name that the name of its artifact holds.
const LONGEST_STEM: usize = 120;

/// Turn raw profiler files, a directory of ranks, or an interrupted capture into an artifact.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each PATH becomes one artifact. A directory is imported whole: the files of several ranks become
one set of tables, and a zip archive is treated as the directory that it holds. Files may be packed
with gzip or zstd. What a file is, its content tells.

Examples:
  proftool import trace.json.gz                       a PyTorch profiler (Kineto) trace
  proftool import report.sqlite                       nsys export --type sqlite
  proftool import report.nsys-rep                     needs nsys on the PATH
  proftool import traces/                             one file a rank
  proftool import ncu.csv --hardware a100-40gb        a page that does not name its device
  proftool import artifacts/20260131T235959Z-baseline_pipeline_parallelism.partial
  proftool list importers                             the formats that can be read"
)]
pub(crate) struct Args {
    /// Files, archives or directories
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder that the artifact is made in
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    artifacts: PathBuf,
    /// Device that the file is of, where it names none: a name of `proftool list hardware`
    #[arg(long, value_name = "SPEC", value_parser = hardware)]
    hardware: Option<String>,
    /// Files of a directory that are read at the same time (default: one a core)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    workers: Option<u32>,
    /// Fail when a file lost data
    #[arg(long)]
    strict: bool,
}

/// The name of a hardware spec, as the spec itself spells it.
fn hardware(text: &str) -> Result<String, String> {
    use proftool_hardware::gpu;
    if let Some(spec) = gpu::find(text) {
        return Ok(spec.slug.clone());
    }
    let close = gpu::suggest(text).join(", ");
    let hint =
        if close.is_empty() { "see `proftool list hardware`".to_owned() } else { format!("did you mean {close}?") };
    Err(format!("no hardware spec is called {text:?} (hint: {hint}; leave --hardware out where there is none)"))
}

pub(crate) fn run(args: &Args) -> Outcome {
    artifacts::check_writable(&args.artifacts)?;
    interrupt::listen();
    for path in &args.paths {
        let (artifact, lost) = import(path, args)?;
        tty::print(&format!("{}\n", artifact.path.display()))?;
        if lost && args.strict {
            let hint = "see its issues with `proftool report`";
            return Err(Failure::new(Kind::DataLoss, anyhow::anyhow!("{} lost data (hint: {hint})", path.display())));
        }
    }
    Ok(0)
}

fn import(path: &Path, args: &Args) -> Result<(Artifact, bool), Failure> {
    if let Ok(known) = Artifact::open(path)
        && args.hardware.is_none()
        && capture::can_be_imported_again(&known)
    {
        let stamp = machine::utc_now().replace(['-', ':'], "");
        return capture::import_again(&known, &args.artifacts, &stamp);
    }
    let progress = Arc::new(Progress::default());
    let found = import::find(path, &progress)?;
    let environment = machine::environment(&proftool_hardware::probe());
    let stamp = environment.captured_utc.replace(['-', ':'], "");
    let target = stem(path);
    let mut draft = Draft::create(&args.artifacts, &format!("{stamp}-{target}"))?;
    let filled = fill(path, args, &found, &progress, &draft);
    match filled.and_then(|report| describe(&mut draft, report, &target, &stamp, args)) {
        Ok((manifest, lost)) => Ok((draft.finish(manifest)?, lost)),
        Err(failure) => {
            draft.discard();
            Err(failure)
        }
    }
}

/// Writes the tables, shows how far it is, and copies the raw files.
fn fill(path: &Path, args: &Args, found: &Found, progress: &Progress, draft: &Draft) -> Result<Report, Failure> {
    let workers =
        args.workers.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |n| n as usize);
    let options = Options { workers, hardware: args.hardware.as_deref() };
    let report = watched(found, progress, || import::into_folder(found, &draft.tables_dir(), options))?;
    for one in &report.imported {
        copy_raw(path, one, draft)?;
    }
    warn(&report);
    Ok(report)
}

/// Runs `work` under a progress bar of the bytes read.
fn watched<R: Send>(found: &Found, progress: &Progress, work: impl FnOnce() -> R + Send) -> R {
    let total: u64 = found.claimed.iter().map(|one| one.source.disk_bytes()).sum();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let shown = scope.spawn(|| {
            let bar = Bar::new("import");
            while !done.load(Ordering::Relaxed) {
                let read = progress.read.load(Ordering::Relaxed).min(total);
                let rows = progress.rows.load(Ordering::Relaxed);
                bar.set((read >> 20) as usize, (total >> 20) as usize, &format!("MiB, {rows} rows"));
                progress.stop.store(interrupt::asked(), Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        // Also when the work panics: the scope waits for the bar.
        let _ended = Ended { done: &done, shown: shown.thread() };
        work()
    })
}

/// Ends the progress bar when it is dropped.
struct Ended<'a> {
    done: &'a AtomicBool,
    shown: &'a std::thread::Thread,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.shown.unpark();
    }
}

/// Copies an imported file or directory below `raw/<pass>/`, where `import` finds it again.
fn copy_raw(root: &Path, one: &Imported, draft: &Draft) -> Result<(), Failure> {
    let target = draft.raw_dir(&one.pass)?.join(raw_name(root, one));
    copy(&one.place, &target).map_err(|error| {
        Failure::io(format!(
            "cannot copy {} to {}: {error} (hint: check the space on the disk)",
            one.path.display(),
            target.display()
        ))
    })
}

/// The file's path below the path that was named; its own name when it was named itself.
fn raw_name(root: &Path, one: &Imported) -> PathBuf {
    let below = one.path.strip_prefix(root).unwrap_or(&one.path);
    let below = below.strip_prefix("raw").ok().and_then(|rest| rest.strip_prefix(&one.pass).ok()).unwrap_or(below);
    let name = if below.as_os_str().is_empty() { one.path.file_name().map(Path::new) } else { Some(below) };
    name.unwrap_or(Path::new("raw")).to_owned()
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // A pipe would wait for its writer, a link to a directory may lead in a circle, and one to nothing holds nothing.
        if fs::metadata(entry.path()).is_ok_and(|data| data.is_file()) || entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn warn(report: &Report) {
    for one in report.imported.iter().filter(|one| one.problems > 0) {
        crate::tty::say(&format!(
            "warning: {} kinds of problem with {} (hint: see its report)",
            one.problems,
            one.path.display()
        ));
    }
    if let [first, ..] = report.passed_over.as_slice() {
        let count = report.passed_over.len();
        crate::tty::say(&format!(
            "note: {count} files were left out, the first {}: {}",
            first.path.display(),
            first.reason
        ));
    }
}

/// Gives the draft its final name and returns its manifest, and whether data was lost.
fn describe(
    draft: &mut Draft,
    report: Report,
    target: &str,
    stamp: &str,
    args: &Args,
) -> Result<(Manifest, bool), Failure> {
    let environment = machine::environment(&proftool_hardware::probe());
    let devices = devices(&frame::read(&tables::DEVICES, &draft.tables_dir())?)?;
    let used = used(&report.imported);
    let key = hardware_key::of_devices(&devices, used).unwrap_or_else(|| "imported".to_owned());
    draft.rename(&format!("{stamp}-{target}-{key}"))?;
    let importers = report.imported.iter().map(|one| one.importer);
    let mut parameters = std::collections::BTreeMap::new();
    parameters.insert(IMPORTED_AS.to_owned(), unique(importers).join(", "));
    if let Some(hardware) = &args.hardware {
        parameters.insert("hardware".to_owned(), hardware.clone());
    }
    let simulated = report.imported.iter().any(|one| one.session.time_simulated);
    let lost = report.imported.iter().any(|one| one.lost);
    let manifest = Manifest {
        format: FORMAT,
        target: Target { name: target.to_owned(), parameters, seed: 0 },
        pair: None,
        hardware_key: key,
        time: if simulated { Time::Simulated } else { Time::Measured },
        captured_utc: environment.captured_utc,
        command_line: machine::command_line(),
        git: None,
        // The machine of the capture, which the files do not describe; not the one that imports.
        host: Host { os: String::new(), cpu: String::new(), cores: 0, memory_bytes: 0 },
        devices,
        versions: [("proftool".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        passes: passes(&report.imported),
        warmup: 0,
        iterations: 0,
        blocks: 0,
        tables: report.tables,
        results: Results::default(),
        modelled: Vec::new(),
        command: None,
    };
    Ok((manifest, lost))
}

/// The devices of the pass that names most of them: a counter pass lists the devices of the timeline a second time.
fn devices(table: &DataFrame) -> Result<Vec<Device>, Failure> {
    let of_rows = frame::texts(table, "pass")?.into_iter().zip(capture::devices(table)?);
    let mut passes: Vec<(Option<String>, Vec<Device>)> = Vec::new();
    for (pass, device) in of_rows {
        match passes.iter_mut().find(|(known, _)| *known == pass) {
            Some((_, devices)) => devices.push(device),
            None => passes.push((pass, vec![device])),
        }
    }
    let named = |devices: &[Device]| devices.iter().filter(|device| !device.name.starts_with("unnamed")).count();
    // The first of equals, so that the order of the files decides.
    let most = passes.into_iter().rev().max_by_key(|(_, devices)| named(devices));
    Ok(most.map(|(_, devices)| devices).unwrap_or_default())
}

/// Devices on which something ran: over the ranks of the pass with most of them.
fn used(imported: &[Imported]) -> usize {
    let of_pass = |pass: &str| imported.iter().filter(|one| one.pass == pass).map(|one| one.devices.len()).sum();
    imported.iter().map(|one| of_pass(&one.pass)).max().unwrap_or(0)
}

/// One entry a pass, in the order of the files; its start is that of its first file.
fn passes(imported: &[Imported]) -> Vec<Pass> {
    let mut passes: Vec<Pass> = Vec::new();
    for one in imported {
        let rank = RankStart {
            rank: one.rank,
            file: one.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            start_unix_ns: one.session.start_unix_ns,
            start_monotonic_ns: one.session.start_monotonic_ns,
        };
        if let Some(pass) = passes.iter_mut().find(|pass| pass.name == one.pass) {
            pass.ranks.push(rank);
            continue;
        }
        passes.push(Pass {
            name: one.pass.clone(),
            profilers: vec![one.importer.to_owned()],
            clock: one.session.clock.clone(),
            start_unix_ns: one.session.start_unix_ns,
            start_monotonic_ns: one.session.start_monotonic_ns,
            ranks: vec![rank],
        });
    }
    passes
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique: Vec<&str> = Vec::new();
    names.for_each(|name| {
        if !unique.contains(&name) {
            unique.push(name);
        }
    });
    unique
}

/// The name of a file or directory without its endings (`trace` of `trace.json.gz`).
fn stem(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().or_else(|| whole.file_name());
    let name = name.map_or_else(|| "import".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut stem = name.as_str();
    if !path.is_dir() {
        for ending in [".gz", ".zst", ".zip"] {
            stem = stem.strip_suffix(ending).unwrap_or(stem);
        }
        stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    }
    // It becomes a part of a folder's name, which a file's name may fill alone.
    let end = (0..=stem.len().min(LONGEST_STEM)).rev().find(|end| stem.is_char_boundary(*end));
    stem[..end.unwrap_or_default()].replace(|letter: char| letter.is_control(), "_")
}
