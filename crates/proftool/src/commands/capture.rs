//! `proftool capture`: run a target or a command, record it, import what was recorded.

mod again;
mod command;
mod duration;
mod given;
mod import;
mod raw;
mod target;
mod tools;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proftool_trace::Artifact;

pub(crate) use again::{can_be as can_be_imported_again, import_again};
pub(crate) use import::devices;

use crate::failure::{Failure, Kind, Outcome};
use crate::{names, tty};

/// Run a target or any command, and record it.
///
/// The name of a pair without its prefix (`pipeline_parallelism`) captures its baseline and its optimized target
/// alternately, block by block; then each runs again under each profiler of the preset. Router targets run once, over their
/// requests, and tell what users felt (docs/routing.md). A command after `--` is run once
/// for each pass of the preset; what it prints goes to stderr and into the artifact, and what it writes into the folder
/// $PROFTOOL_RAW_DIR is imported with the pass. Under torchrun, mpirun and srun each rank captures for itself, into one
/// folder a job, which `proftool import` joins.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool capture --target pipeline_parallelism
  proftool capture --target optimized_pipeline_parallelism --set stages=2 --set microbatches=8
  proftool capture --target pipeline_parallelism --set decode_steps=0 --iterations 8
  proftool capture --target optimized_pipeline_parallelism --profile timeline --nsys-trace nvtx,osrt
  proftool capture --target router --trace                                  the router lab, simulated
  proftool capture --target optimized_router --set scenario=mig_slices --set arrival_rate=8,16,24
  proftool capture --target dynamic_routing                                 ns a decision, scalar and SIMD
  proftool capture -- python serve.py --model m
  proftool capture --profile timeline --timeout 5m -- python train.py
  proftool capture --profile timeline --capture-range 'step@*' -- python train.py
  proftool capture --profile roofline --forward-exit-code -- ./bench
  proftool capture --profile roofline --kernel 'gemm|attention' --launch-count 100 -- ./bench
  torchrun --nproc-per-node 4 --no-python proftool capture -- python train.py
  proftool list targets       the targets and their parameters")]
pub(crate) struct Args {
    #[command(flatten)]
    pub options: Options,
    /// Folder that the artifact is made in
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    pub artifacts: PathBuf,
    /// Run the target for another proftool, which observes it: its trace goes into $PROFTOOL_RAW_DIR
    #[arg(long, hide = true, requires = "target")]
    as_pass: bool,
}

/// What to run and how often: shared with `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The target, or a pair of targets
    #[arg(long, value_name = "NAME", required_unless_present = "command", conflicts_with = "command", value_parser = names::TargetName, hide_possible_values = true)]
    pub target: Option<String>,
    /// What executes it: `cpu` the host's cores, `cuda` NVIDIA's GPUs, `auto` GPUs where they can be used (default: auto)
    #[arg(long, value_name = "NAME", value_parser = ["auto", "cpu", "cuda"], conflicts_with = "command")]
    pub backend: Option<String>,
    /// Preset of profilers: `minimal` is the built-in tracer, with CUPTI and NVML where present, `none` records results
    /// only, `timeline` adds Nsight Systems, `roofline` Nsight Compute and then Systems, `deep` all of them
    #[arg(long, value_name = "NAME", default_value = "minimal", value_parser = ["none", "minimal", "timeline", "roofline", "deep"])]
    pub profile: String,
    /// Iterations a measured block (default: 4)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "command")]
    pub iterations: Option<u32>,
    /// Iterations before the first measured block (default: 2)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "command")]
    pub warmup: Option<u32>,
    /// Measured blocks a target; a claim about a pair needs at least 8 (default: 8)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "command")]
    pub blocks: Option<u32>,
    /// Seed of the workload's weights, inputs and requests (default: 17)
    #[arg(long, value_name = "N", conflicts_with = "command")]
    pub seed: Option<u64>,
    /// A parameter of the target (repeatable); of a router, values between commas are a run each: --set arrival_rate=8,16
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "command")]
    pub set: Vec<String>,
    /// The same in the spelling of the course material: NAME="--key value"
    #[arg(long, value_name = "NAME=ARGS", hide = true, conflicts_with = "command")]
    pub target_extra_arg: Vec<String>,
    /// Of router targets: print TTFT and TPOT over time
    #[arg(long, conflicts_with = "command")]
    pub trace: bool,
    /// Fail when the recorder lost data
    #[arg(long)]
    pub strict: bool,
    /// Time after which a pass over the command, or over the target under a profiler, is ended: 90s, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// Time that it has to end once it is told to, before it is killed
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s")]
    pub grace: Duration,
    #[command(flatten)]
    pub tools: tools::ToolOptions,
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
    Targets(Box<target::Prepared>),
    /// A command.
    Command(Box<command::Prepared>),
}

pub(crate) fn run(args: &Args) -> Outcome {
    if let Some(target) = args.options.target.as_ref().filter(|_| args.as_pass) {
        return target::run_as_pass(target, &args.options);
    }
    let finished = capture(&prepare(&args.options, &args.artifacts)?)?;
    // Standard output has one path a line, for scripts.
    for line in &finished.lines {
        tty::say(line);
    }
    for artifact in &finished.artifacts {
        tty::print(&format!("{}\n", artifact.path.display()))?;
    }
    finished.outcome(args.options.strict)
}

/// Captured artifacts and how the capture ended.
pub(crate) struct Finished {
    /// The artifacts: one, or baseline and optimized; those of a sweep one run after the other.
    pub artifacts: Vec<Artifact>,
    /// Artifacts of a run: two of a pair.
    pub together: usize,
    /// The results in lines for people, where there is more to say than times of iterations.
    pub lines: Vec<String>,
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
            verified(artifact)?;
        }
        if strict && self.data_loss {
            let hint = "see the issues in the report; record fewer iterations";
            return Err(Failure::new(Kind::DataLoss, anyhow::anyhow!("data was lost (hint: {hint})")));
        }
        Ok(0)
    }
}

/// Goes on unless a check of the artifact's outputs failed.
///
/// # Errors
/// For the first that failed.
pub(crate) fn verified(artifact: &Artifact) -> Result<(), Failure> {
    let failed = artifact.manifest.results.checks.iter().find(|check| check.max_relative_error > check.tolerance);
    let Some(check) = failed else { return Ok(()) };
    Err(Failure::new(
        Kind::Target,
        anyhow::anyhow!(
            "{} computed wrong outputs: {} deviates by {:.2e}, allowed {:.0e} (hint: its times mean nothing until this is mended)",
            artifact.manifest.target.name,
            check.name,
            check.max_relative_error,
            check.tolerance
        ),
    ))
}

/// What to capture, checked as far as it can be before anything is written or run.
///
/// # Errors
/// When a name or a value is not known or not possible.
pub(crate) fn prepare(options: &Options, parent: &Path) -> Result<Prepared, Failure> {
    Ok(match &options.target {
        Some(target) => Prepared::Targets(Box::new(target::prepare(target, options, parent)?)),
        None => Prepared::Command(Box::new(command::prepare(options, parent)?)),
    })
}

/// Captures, imports what was recorded, and adds the measured roofs.
///
/// # Errors
/// An unwritable folder before anything runs; afterwards what the capture says.
pub(crate) fn capture(prepared: &Prepared) -> Result<Finished, Failure> {
    match prepared {
        Prepared::Targets(prepared) => target::capture(prepared),
        Prepared::Command(prepared) => command::capture(prepared),
    }
}
