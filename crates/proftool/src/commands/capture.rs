//! `proftool capture`: run a target or a command, record it, import what was recorded.

mod command;
mod duration;
mod raw;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use polars::prelude::DataFrame;
use proftool_capture::profiles::{self, Profile};
use proftool_capture::{Captured, Request};
use proftool_hardware::Machine;
use proftool_trace::frame::{Tables, int_column, text_column};
use proftool_trace::manifest::{Device, RankStart};
use proftool_trace::{Artifact, frame, tables};
use proftool_workloads::{Role, TARGETS, Target};

use crate::failure::{Failure, Kind, Outcome};
use crate::progress::Bar;
use crate::{artifacts, ceilings, interrupt, machine, names, tty};

/// Run a target or any command, and record it.
///
/// The name of a pair without its prefix (`pipeline_parallelism`) captures its baseline and its optimized target
/// alternately, block by block. A command after `--` is run once for each pass of the preset; what it prints goes to
/// stderr and into the artifact, and what it writes into the folder $PROFTOOL_RAW_DIR is imported with the pass. Under
/// torchrun, mpirun and srun each rank captures for itself, into one folder a job, which `proftool import` joins.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool capture --target pipeline_parallelism
  proftool capture --target optimized_pipeline_parallelism --set stages=2 --set microbatches=8
  proftool capture --target pipeline_parallelism --set decode_steps=0 --iterations 8
  proftool capture -- python serve.py --model m
  proftool capture --profile timeline --timeout 5m -- python train.py
  proftool capture --profile roofline --forward-exit-code -- ./bench
  torchrun --nproc-per-node 4 --no-python proftool capture -- python train.py
  proftool list targets       the targets and their parameters")]
pub(crate) struct Args {
    #[command(flatten)]
    pub options: Options,
    /// Folder that the artifact is made in
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    pub artifacts: PathBuf,
}

/// What to run and how often: shared with `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The target, or a pair of targets
    #[arg(long, value_name = "NAME", required_unless_present = "command", conflicts_with = "command")]
    pub target: Option<String>,
    /// What executes it: `auto` and `cpu` are the host's cores
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = ["auto", "cpu", "cuda"], conflicts_with = "command")]
    pub backend: String,
    /// Preset of profilers: `minimal` is the built-in tracer (of a command: CUPTI and NVML where present), `none` records
    /// results only, `timeline` is Nsight Systems, `roofline` Nsight Compute and then Systems, `deep` all of them
    #[arg(long, value_name = "NAME", default_value = "minimal", value_parser = ["none", "minimal", "timeline", "roofline", "deep"])]
    pub profile: String,
    /// Iterations a measured block
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "command")]
    pub iterations: u32,
    /// Iterations before the first measured block
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "command")]
    pub warmup: u32,
    /// Measured blocks a target; a claim about a pair needs at least 8
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "command")]
    pub blocks: u32,
    /// Seed of the workload's weights and inputs
    #[arg(long, value_name = "N", default_value_t = 17, conflicts_with = "command")]
    pub seed: u64,
    /// A parameter of the target (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "command")]
    pub set: Vec<String>,
    /// The same in the spelling of the course material: NAME="--key value"
    #[arg(long, value_name = "NAME=ARGS", hide = true, conflicts_with = "command")]
    pub target_extra_arg: Vec<String>,
    /// Accepted for the course material: a capture always traces
    #[arg(long, hide = true)]
    pub trace: bool,
    /// Fail when the recorder lost data
    #[arg(long)]
    pub strict: bool,
    /// Time after which a pass over the command is ended: 90s, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "target")]
    pub timeout: Option<Duration>,
    /// Time that the command has to end once it is told to, before it is killed
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s", conflicts_with = "target")]
    pub grace: Duration,
    /// End with the command's own exit code instead of 3 when it fails
    #[arg(long, conflicts_with = "target")]
    pub forward_exit_code: bool,
    /// A program with its arguments, to run instead of a target
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// What is to be captured, checked as far as it can be before anything is written or run.
pub(crate) enum Prepared {
    /// Built-in targets.
    Targets(Box<Request<'static>>),
    /// A command.
    Command(Box<command::Prepared>),
}

pub(crate) fn run(args: &Args) -> Outcome {
    let finished = capture(&prepare(&args.options, &args.artifacts)?)?;
    for artifact in &finished.artifacts {
        tty::print(&format!("{}\n", artifact.path.display()))?;
    }
    finished.outcome(args.options.strict)
}

/// Captured artifacts and how the capture ended.
pub(crate) struct Finished {
    /// The artifacts: one, or baseline and optimized.
    pub artifacts: Vec<Artifact>,
    data_loss: bool,
    /// How the command failed, where it did.
    failed: Option<command::Failed>,
}

impl Finished {
    /// The exit code: 3 (or the command's own, if so asked) after a failed command or verification, 5 after data loss
    /// under `--strict`.
    ///
    /// # Errors
    /// The same, as a message.
    pub(crate) fn outcome(&self, strict: bool) -> Outcome {
        if let Some(failed) = &self.failed {
            return failed.outcome();
        }
        for artifact in &self.artifacts {
            let failed =
                artifact.manifest.results.checks.iter().find(|check| check.max_relative_error > check.tolerance);
            if let Some(check) = failed {
                return Err(Failure::new(
                    Kind::Target,
                    anyhow::anyhow!(
                        "{} computed wrong outputs: {} deviates by {:.2e}, allowed {:.0e} (hint: its times mean nothing until this is mended)",
                        artifact.manifest.target.name,
                        check.name,
                        check.max_relative_error,
                        check.tolerance
                    ),
                ));
            }
        }
        if strict && self.data_loss {
            let hint = "see the issues in the report; record fewer iterations";
            return Err(Failure::new(Kind::DataLoss, anyhow::anyhow!("data was lost (hint: {hint})")));
        }
        Ok(0)
    }
}

/// What to capture, checked as far as it can be before anything is written or run.
///
/// # Errors
/// When a name or a value is not known or not possible.
pub(crate) fn prepare(options: &Options, parent: &Path) -> Result<Prepared, Failure> {
    let Some(target) = &options.target else {
        return Ok(Prepared::Command(Box::new(command::prepare(options, parent)?)));
    };
    check_backend(&options.backend)?;
    let request = Request {
        targets: targets(target)?,
        seed: options.seed,
        parameters: parameters(options)?,
        iterations: options.iterations as usize,
        warmup: options.warmup as usize,
        blocks: options.blocks as usize,
        profile: profile(&options.profile)?,
        artifacts: parent.to_owned(),
        command_line: machine::command_line(),
        environment: machine::environment(&proftool_hardware::probe()),
        stop: interrupt::listen(),
    };
    request.resolve()?;
    Ok(Prepared::Targets(Box::new(request)))
}

/// Captures, imports what was recorded, and adds the measured roofs.
///
/// # Errors
/// An unwritable folder before anything runs; afterwards what the capture says.
pub(crate) fn capture(prepared: &Prepared) -> Result<Finished, Failure> {
    let request = match prepared {
        Prepared::Targets(request) => request,
        Prepared::Command(prepared) => return command::capture(prepared),
    };
    artifacts::check_writable(&request.artifacts)?;
    let captured = {
        let bar = Bar::new("capture");
        proftool_capture::capture(request, &mut |step| bar.set(step.done, step.total, step.what))?
    };
    let mut finished = Finished { artifacts: Vec::new(), data_loss: false, failed: None };
    let mut roofs = Roofs { machine: proftool_hardware::probe(), measured: None };
    for captured in captured {
        let partial = captured.draft.path().display().to_string();
        interrupt::check(format!(
            "what was recorded stays in {partial} (hint: `proftool import {partial}`, or remove it)"
        ))?;
        let (artifact, lost) = import(captured, &mut roofs)?;
        finished.data_loss |= lost;
        finished.artifacts.push(artifact);
    }
    Ok(finished)
}

/// The targets that a name stands for: one, or the baseline and the optimized target of a pair.
fn targets(name: &str) -> Result<Vec<&'static Target>, Failure> {
    let name = names::plain(name);
    if let Some(target) = proftool_workloads::find(name) {
        return Ok(vec![target]);
    }
    let of_role = |role: Role| {
        TARGETS.iter().copied().find(|target| target.pair.is_some_and(|(pair, found)| pair == name && found == role))
    };
    if let (Some(baseline), Some(optimized)) = (of_role(Role::Baseline), of_role(Role::Optimized)) {
        return Ok(vec![baseline, optimized]);
    }
    let pairs = TARGETS.iter().filter_map(|target| target.pair.map(|(pair, _)| pair));
    let mut known: Vec<&str> = TARGETS.iter().map(|target| target.name).chain(pairs).collect();
    known.sort_unstable();
    known.dedup();
    Err(Failure::usage(format!("no target is called {name} ({})", names::suggest(name, known))))
}

fn profile(name: &str) -> Result<&'static Profile, Failure> {
    profiles::find(name).filter(|profile| profile.built_in.is_some()).ok_or_else(|| {
        let able = profiles::PROFILES.iter().filter(|profile| profile.built_in.is_some());
        let known: Vec<&str> = able.map(|profile| profile.name).collect();
        Failure::usage(format!(
            "--profile {name} captures commands, not built-in targets (hint: use {}, or name a command after --)",
            known.join(" or ")
        ))
    })
}

fn check_backend(name: &str) -> Result<(), Failure> {
    if name == "cuda" {
        let hint = "use --backend cpu";
        return Err(Failure::usage(format!("--backend cuda: this version has no CUDA backend (hint: {hint})")));
    }
    Ok(())
}

/// The parameters of `--set KEY=VALUE` and `--target-extra-arg NAME="--key value"`.
fn parameters(options: &Options) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    for given in &options.set {
        let Some((key, value)) = given.split_once('=') else {
            return Err(Failure::usage(format!("--set {given}: no value (hint: write --set {given}=VALUE)")));
        };
        all.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    for given in &options.target_extra_arg {
        let arguments = given.split_once('=').map_or(given.as_str(), |(_, arguments)| arguments).trim_matches('"');
        let mut words = arguments.split_whitespace();
        while let Some(word) = words.next() {
            let Some(key) = word.strip_prefix("--") else {
                return Err(Failure::usage(format!("--target-extra-arg {given}: {word} is no flag")));
            };
            let Some(value) = words.next() else {
                return Err(Failure::usage(format!("--target-extra-arg {given}: {word} has no value")));
            };
            all.insert(key.replace('-', "_"), value.to_owned());
        }
    }
    Ok(all)
}

/// This machine's roofs, looked up or measured when the first run of a CPU device needs them.
struct Roofs {
    machine: Machine,
    measured: Option<DataFrame>,
}

impl Roofs {
    fn of(&mut self, devices: &[i64]) -> Result<DataFrame, Failure> {
        if self.measured.is_none() {
            self.measured = Some(ceilings::cached_or_measured(&self.machine)?);
        }
        self.measured
            .as_ref()
            .map_or_else(|| Ok(frame::empty(&tables::CEILINGS)), |one| ceilings::for_devices(one, devices))
    }
}

/// Turns a capture's raw files into tables and gives the directory its final name. Says also whether data was lost.
fn import(captured: Captured, roofs: &mut Roofs) -> Result<(Artifact, bool), Failure> {
    let Captured { draft, mut manifest } = captured;
    let mut all = Tables::default();
    for pass in &mut manifest.passes {
        let files = traces(&draft.path().join("raw").join(&pass.name))?;
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
    }
    manifest.devices = devices(all.get(&tables::DEVICES))?;
    let cores: Vec<i64> =
        manifest.devices.iter().filter(|device| device.kind == "cpu").map(|device| device.device).collect();
    if !cores.is_empty() {
        all.set(&tables::CEILINGS, roofs.of(&cores)?)?;
    }
    all.append(&tables::ISSUES, &issues(&manifest.results)?)?;
    let lost =
        frame::texts(all.get(&tables::ISSUES), "severity")?.iter().flatten().any(|severity| severity == "data_loss");
    manifest.tables = all.write(&draft.tables_dir())?;
    Ok((draft.finish(manifest)?, lost))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_stands_for_both_of_its_targets_and_a_typo_names_the_nearest() {
        let pair = targets("ch17:pipeline_parallelism").expect("the pair exists");
        assert_eq!(
            pair.iter().map(|target| target.name).collect::<Vec<_>>(),
            ["baseline_pipeline_parallelism", "optimized_pipeline_parallelism"]
        );
        let error = targets("pipeline_paralelism").expect_err("a typo");
        assert_eq!(error.code(), 2);
        assert!(error.to_string().contains("pipeline_parallelism"));
    }
}
