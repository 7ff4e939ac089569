//! Capturing built-in targets: the pass that gives the results in this process, then each further pass of the preset as a
//! process of its own under its profiler.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use proftool_capture::command::{RAW_DIR, target as wrapped};
use proftool_capture::process::{self, Limits};
use proftool_capture::profilers::Options as Tools;
use proftool_capture::session::part;
use proftool_capture::{Captured, Request, profiles};
use proftool_trace::manifest::Device;
use proftool_workloads::{Backend, Role, TARGETS, Target};

use super::{Finished, Options, command, import};
use crate::failure::{Failure, Kind, Outcome};
use crate::progress::Bar;
use crate::{artifacts, ceilings, hardware_key, interrupt, machine, names, tty};

/// Targets that are ready to be captured.
pub(crate) struct Prepared {
    request: Request<'static>,
    tools: Tools,
    limits: Limits,
}

/// Variable that leaves out measuring the roofs of GPUs before a capture: known ones are used, and none are measured.
const NO_ROOFS: &str = "PROFTOOL_NO_CEILINGS";

/// What executes the targets: cores for those that GPUs cannot execute.
///
/// # Errors
/// Where GPUs are asked for and cannot be used.
fn backend(name: &str, targets: &[&'static Target]) -> Result<Backend, Failure> {
    let asked: Backend = name.parse().map_err(Failure::usage)?;
    // Such a target has a parameter that chooses the GPUs.
    let fixed =
        targets.iter().find(|target| target.parameters.iter().all(|parameter| parameter.name != "cuda_devices"));
    match (asked, fixed) {
        (Backend::Cuda, Some(target)) => {
            Err(Failure::usage(format!("--backend cuda: no GPU executes {} (hint: leave it out)", target.name)))
        }
        (_, Some(_)) => Ok(Backend::Cpu),
        (_, None) => asked.resolve().map_err(|error| Failure::new(Kind::Target, error)),
    }
}

/// The hardware key of a run on GPUs: the chosen ones, at most as many as a target has stages. Baseline and optimized target
/// have the same, so that they are compared.
fn gpu_key(parameters: &[BTreeMap<String, String>]) -> Option<String> {
    let gpus = proftool_workloads::cuda::gpus().ok()?;
    let number = |key: &str| parameters.iter().filter_map(|one| one.get(key)?.parse::<usize>().ok()).max();
    let chosen: Option<Vec<usize>> = parameters
        .iter()
        .find_map(|one| one.get("cuda_devices")?.split(',').map(|word| word.trim().parse().ok()).collect());
    let is_chosen = |number: usize| chosen.as_ref().is_none_or(|chosen| chosen.contains(&number));
    let devices: Vec<Device> = gpus
        .iter()
        .filter(|gpu| is_chosen(gpu.number))
        .map(|gpu| Device {
            device: gpu.number as i64,
            kind: "cuda".to_owned(),
            name: gpu.name.clone(),
            arch: Some(gpu.arch()),
        })
        .collect();
    hardware_key::of_devices(&devices, number("stages").unwrap_or(1).clamp(1, devices.len().max(1)))
}

/// Checks names and values before anything is written or run.
///
/// # Errors
/// When one of them is not known or not possible here.
pub(super) fn prepare(target: &str, options: &Options, parent: &Path) -> Result<Prepared, Failure> {
    let targets = targets(target)?;
    let backend = backend(&options.backend, &targets)?;
    let gpu = backend == Backend::Cuda;
    let profile = profiles::find(&options.profile)
        .ok_or_else(|| Failure::usage(format!("no profile is called {}", options.profile)))?;
    let mut request = Request {
        targets,
        seed: options.seed,
        parameters: parameters(options)?,
        iterations: options.iterations as usize,
        warmup: options.warmup as usize,
        blocks: options.blocks as usize,
        backend,
        profile,
        artifacts: parent.to_owned(),
        command_line: machine::command_line(),
        environment: machine::environment(&proftool_hardware::probe()),
        stop: interrupt::listen(),
    };
    let resolved = request.resolve()?;
    if let Some(key) = gpu_key(&resolved).filter(|_| gpu) {
        request.environment.hardware_key = key;
    }
    let tools = options.tools.options(profile)?;
    if options.timeout.is_some() && !wrapped::runs(profile, gpu) {
        let reason = "--timeout ends passes under a profiler, of which this capture has none";
        return Err(Failure::usage(format!("{reason} (hint: --profile timeline, or leave it out)")));
    }
    Ok(Prepared { request, tools, limits: Limits { timeout: options.timeout, grace: options.grace } })
}

/// Runs the passes, and imports what they left.
///
/// # Errors
/// An unwritable folder before anything runs; afterwards what the capture says.
pub(super) fn capture(prepared: &Prepared) -> Result<Finished, Failure> {
    let request = &prepared.request;
    artifacts::check_writable(&request.artifacts)?;
    wrapped::check(request.profile, prepared.is_gpu()).map_err(command::failure)?;
    if prepared.is_gpu() && request.profile.traced && std::env::var_os(NO_ROOFS).is_none() {
        // Now, while nothing else runs on them.
        for reason in ceilings::gpu::ready() {
            tty::say(&format!("note: no measured roofs of {reason}"));
        }
        interrupt::check("nothing was recorded")?;
    }
    let captured = {
        let bar = Bar::new("capture");
        proftool_capture::capture(request, &mut |step| bar.set(step.done, step.total, step.what))?
    };
    let mut finished = Finished { artifacts: Vec::new(), data_loss: false, failed: None };
    let mut roofs = import::Roofs::new();
    let partials: Vec<String> = captured.iter().map(|one| one.draft.path().display().to_string()).collect();
    let kept = partials.join(" and ");
    for mut captured in captured {
        let left = format!("what was recorded stays in {kept} (hint: `proftool import {kept}`, or remove it)");
        interrupt::check(&left)?;
        let observed = observe(prepared, &mut captured).map_err(|failure| kept_in(&failure, &left))?;
        let (artifact, lost) = import::import(captured, observed.notes, &mut roofs, None)?;
        finished.data_loss |= lost;
        if let Some(how) = observed.failed.filter(|_| finished.failed.is_none()) {
            finished.failed = Some(command::Failed::of_target(how, &artifact.path));
        }
        finished.artifacts.push(artifact);
    }
    Ok(finished)
}

/// A failure after the pass that gave the results, which stay.
fn kept_in(failure: &Failure, left: &str) -> Failure {
    let interrupted = failure.code() == Kind::Interrupted as u8;
    let (kind, reason) = if interrupted {
        (Kind::Interrupted, format!("interrupted; {left}"))
    } else {
        (Kind::Target, format!("{failure}; {left}"))
    };
    Failure::new(kind, anyhow::anyhow!(reason))
}

/// The passes over one target under profilers.
fn observe(prepared: &Prepared, captured: &mut Captured) -> Result<wrapped::Observed, Failure> {
    let request = &prepared.request;
    if !wrapped::runs(request.profile, prepared.is_gpu()) {
        return Ok(wrapped::Observed::default());
    }
    // After the handler of the program, which they pass the signals on to.
    process::signals::listen();
    process::adopt_orphans();
    let program = std::env::current_exe().map_err(|error| {
        Failure::io(format!("proftool cannot find its own program: {error} (hint: start it by its path)"))
    })?;
    let line = |target: &str, amount: wrapped::Amount| prepared.line(&program, target, amount);
    let passes = wrapped::Request {
        profile: request.profile,
        options: &prepared.tools,
        gpu: prepared.is_gpu(),
        limits: prepared.limits,
        amount: wrapped::Amount { iterations: request.iterations, warmup: request.warmup, blocks: request.blocks },
        line: &line,
        stop: request.stop,
    };
    let Captured { draft, manifest, .. } = captured;
    wrapped::capture(&passes, draft, manifest, &mut tty::say).map_err(command::failure)
}

impl Prepared {
    fn is_gpu(&self) -> bool {
        self.request.backend == Backend::Cuda
    }

    /// The command that runs one target as a pass: what [`run_as_pass`] takes.
    fn line(&self, program: &Path, target: &str, amount: wrapped::Amount) -> Vec<OsString> {
        let request = &self.request;
        let mut line: Vec<OsString> = vec![program.into(), "capture".into(), "--as-pass".into()];
        let mut pair = |option: &str, value: String| line.extend([option.into(), value.into()]);
        pair("--target", target.to_owned());
        pair("--backend", request.backend.to_string());
        pair("--seed", request.seed.to_string());
        pair("--iterations", amount.iterations.to_string());
        pair("--warmup", amount.warmup.to_string());
        pair("--blocks", amount.blocks.to_string());
        for (key, value) in &request.parameters {
            pair("--set", format!("{key}={value}"));
        }
        line
    }
}

/// Runs one target as a pass of another proftool's capture: its trace and its results go into the folder of the pass.
///
/// # Errors
/// Without that folder, and as the target says.
pub(super) fn run_as_pass(target: &str, options: &Options) -> Outcome {
    let folder = std::env::var_os(RAW_DIR).map(PathBuf::from).filter(|folder| folder.is_dir()).ok_or_else(|| {
        Failure::usage(format!("--as-pass is for proftool's own use: {RAW_DIR} names no folder (hint: leave it out)"))
    })?;
    let prepared = prepare(target, options, &folder)?;
    part::run(&prepared.request, &folder, &mut |_| {})?;
    Ok(0)
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
