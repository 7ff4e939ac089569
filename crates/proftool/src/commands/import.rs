//! `proftool import`: raw profiler files become an artifact.

use std::fs;
use std::path::{Path, PathBuf};

use proftool_trace::frame::{self, Tables};
use proftool_trace::manifest::{FORMAT, Manifest, Pass, Results, Target, Time};
use proftool_trace::{Artifact, Draft, tables};

use crate::commands::capture;
use crate::failure::{Failure, Kind, Outcome};
use crate::{artifacts, machine, tty};

/// Turn raw profiler files, or an interrupted capture, into an artifact.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool import host.trace
  proftool import artifacts/20260131T235959Z-baseline_pipeline_parallelism-cpu-amd-epyc-zen4-2c.partial
  proftool list importers       the formats that can be read")]
pub(crate) struct Args {
    /// Files, or folders whose `raw/` holds files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder that the artifact is made in
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    artifacts: PathBuf,
    /// Fail when a file lost data
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    artifacts::check_writable(&args.artifacts)?;
    for path in &args.paths {
        for file in raw_files(path)? {
            let (artifact, lost) = import(&file, &args.artifacts)?;
            if lost && args.strict {
                let hint = "see its issues with `proftool report`";
                return Err(Failure::new(
                    Kind::DataLoss,
                    anyhow::anyhow!("{} lost data (hint: {hint})", file.display()),
                ));
            }
            tty::print(&format!("{}\n", artifact.path.display()))?;
        }
    }
    Ok(0)
}

/// The raw files that `path` stands for: itself, or every file below its `raw/` folder.
fn raw_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable =
        |error: std::io::Error| Failure::io(format!("cannot read {}: {error} (hint: check the path)", path.display()));
    let root = if path.join("raw").is_dir() { path.join("raw") } else { path.to_owned() };
    let (mut files, mut folders) = (Vec::new(), vec![root]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?.path();
            if entry.is_dir() { folders.push(entry) } else { files.push(entry) }
        }
    }
    files.sort();
    if files.is_empty() {
        let hint = "the capture ended before anything was recorded; remove the folder";
        return Err(Failure::io(format!("{} holds no raw file (hint: {hint})", path.display())));
    }
    Ok(files)
}

fn import(file: &Path, parent: &Path) -> Result<(Artifact, bool), Failure> {
    let mut all = Tables::default();
    let (importer, session) = proftool_analyze::importers::import(file, &mut all)?;
    let environment = machine::environment(&proftool_hardware::probe());
    let target = stem(file);
    let stamp = environment.captured_utc.replace(['-', ':'], "");
    let draft = Draft::create(parent, &format!("{stamp}-{target}"))?;
    let copy = draft.raw_dir(&session.pass)?.join(file.file_name().unwrap_or(file.as_os_str()));
    fs::copy(file, &copy)
        .map_err(|error| Failure::io(format!("cannot copy {} to {}: {error}", file.display(), copy.display())))?;
    let manifest = Manifest {
        format: FORMAT,
        target: Target {
            name: target,
            parameters: [("imported_as".to_owned(), importer.name.to_owned())].into(),
            seed: 0,
        },
        pair: None,
        hardware_key: "imported".to_owned(),
        time: if session.time_simulated { Time::Simulated } else { Time::Measured },
        captured_utc: environment.captured_utc,
        command_line: machine::command_line(),
        git: None,
        host: environment.host,
        devices: capture::devices(&all)?,
        versions: environment.versions,
        passes: vec![Pass {
            name: session.pass,
            profilers: vec![importer.name.to_owned()],
            clock: session.clock,
            start_unix_ns: session.start_unix_ns,
            start_monotonic_ns: session.start_monotonic_ns,
        }],
        warmup: 0,
        iterations: 0,
        blocks: 0,
        tables: all.write(&draft.tables_dir())?,
        results: Results::default(),
        modelled: Vec::new(),
    };
    let severities = frame::texts(all.get(&tables::ISSUES), "severity")?;
    if !severities.is_empty() {
        eprintln!("warning: {} kinds of problem with {} (hint: see its report)", severities.len(), file.display());
    }
    let lost = severities.iter().flatten().any(|severity| severity == "data_loss");
    Ok((draft.finish(manifest)?, lost))
}

/// The name of a file without its last ending.
fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "import".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
