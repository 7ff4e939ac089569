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
use proftool_workloads::{Backend, Error as Refused, Target};

use super::given::{self, Given};
use super::{Finished, Options, command, import};
use crate::failure::{Failure, Kind, Outcome};
use crate::progress::Bar;
use crate::{artifacts, ceilings, hardware_key, interrupt, machine, names, tty};

/// Targets that are ready to be captured.
pub(crate) struct Prepared {
    /// The runs: one, or those of a sweep.
    requests: Vec<Request<'static>>,
    /// What tells them apart; empty for one.
    labels: Vec<String>,
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
    let targets = given::targets(target)?;
    if let Some(target) = targets.iter().find(|target| target.once().is_some()) {
        runs_once(target.name, options)?;
    }
    let backend = backend(options.backend.as_deref().unwrap_or("auto"), &targets)?;
    let gpu = backend == Backend::Cuda;
    let profile = profiles::find(&options.profile)
        .ok_or_else(|| Failure::usage(format!("no profile is called {}", options.profile)))?;
    let given = Given::read(options, &targets)?;
    let environment = machine::environment(&proftool_hardware::probe());
    let request = |case: given::Case| Request {
        targets: targets.clone(),
        seed: case.seed,
        parameters: case.parameters,
        iterations: options.iterations.unwrap_or(ITERATIONS) as usize,
        warmup: options.warmup.unwrap_or(WARMUP) as usize,
        blocks: options.blocks.unwrap_or(BLOCKS) as usize,
        backend,
        profile,
        artifacts: parent.to_owned(),
        command_line: machine::command_line(),
        environment: environment.clone(),
        trend: given.trace,
        stop: interrupt::listen(),
    };
    let cases = given.cases(&targets, options.seed)?;
    let labels = given::labels(&cases);
    let mut requests: Vec<Request> = cases.into_iter().map(request).collect();
    for (number, request) in requests.iter_mut().enumerate() {
        let resolved = request.resolve().map_err(unknown)?;
        if let Some(key) = gpu_key(&resolved).filter(|_| gpu) {
            request.environment.hardware_key = key;
        }
        // Every second run of a sweep begins with the other target, so that a slow drift falls on both alike.
        if number % 2 == 1 {
            request.targets.reverse();
        }
    }
    let tools = options.tools.options(profile)?;
    if options.timeout.is_some() && !wrapped::runs(profile, gpu) {
        let reason = "--timeout ends passes under a profiler, of which this capture has none";
        return Err(Failure::usage(format!("{reason} (hint: --profile timeline, or leave it out)")));
    }
    Ok(Prepared { requests, labels, tools, limits: Limits { timeout: options.timeout, grace: options.grace } })
}

/// Iterations a block, warm-up iterations and blocks where they are not given.
const ITERATIONS: u32 = 4;
const WARMUP: u32 = 2;
const BLOCKS: u32 = 8;

/// What means nothing for a target that runs once over its requests.
///
/// # Errors
/// When one of them was given.
fn runs_once(target: &str, options: &Options) -> Result<(), Failure> {
    let refuse = |what: &str, why: &str| Err(Failure::usage(format!("{what}: {target} {why}")));
    let blocks = [
        ("--iterations", options.iterations.is_some()),
        ("--warmup", options.warmup.is_some()),
        ("--blocks", options.blocks.is_some()),
    ];
    if let Some((option, _)) = blocks.iter().find(|(_, given)| *given) {
        return refuse(
            option,
            "runs once, over its requests, and not in measured blocks (hint: --set requests=N, or leave it out)",
        );
    }
    if options.backend.is_some() {
        return refuse("--backend", "computes nothing on cores or GPUs (hint: leave it out)");
    }
    if options.profile != profiles::MINIMAL.name {
        let what = format!("--profile {}", options.profile);
        return refuse(&what, "writes its own log, which no profiler adds to (hint: leave it out)");
    }
    Ok(())
}

/// A parameter that nobody has, with the nearest that there is.
fn unknown(error: proftool_capture::Error) -> Failure {
    match &error {
        proftool_capture::Error::Usage(refused) => match &**refused {
            Refused::UnknownParameter { target, name, known } => {
                let near = names::suggest(name, known.iter().copied());
                Failure::usage(format!("{target} has no parameter {name} (hint: {near})"))
            }
            _ => error.into(),
        },
        _ => error.into(),
    }
}

/// Runs the passes, and imports what they left.
///
/// # Errors
/// An unwritable folder before anything runs; afterwards what the capture says.
pub(super) fn capture(prepared: &Prepared) -> Result<Finished, Failure> {
    let first = prepared.first();
    artifacts::check_writable(&first.artifacts)?;
    wrapped::check(first.profile, prepared.is_gpu()).map_err(command::failure)?;
    if prepared.is_gpu() && first.profile.traced && std::env::var_os(NO_ROOFS).is_none() {
        // Now, while nothing else runs on them.
        for reason in ceilings::gpu::ready() {
            tty::say(&format!("note: no measured roofs of {reason}"));
        }
        interrupt::check("nothing was recorded")?;
    }
    let mut finished = Finished {
        artifacts: Vec::new(),
        together: first.targets.len(),
        lines: Vec::new(),
        data_loss: false,
        failed: None,
    };
    let mut roofs = import::Roofs::new();
    for (number, request) in prepared.requests.iter().enumerate() {
        if number > 0 {
            interrupt::check(format!("{number} runs are whole"))?;
        }
        finished
            .lines
            .extend(prepared.labels.get(number).filter(|label| !label.is_empty()).map(|label| format!("{label}:")));
        one(prepared, request, &mut roofs, &mut finished)?;
    }
    Ok(finished)
}

/// One run, and what it left.
fn one(
    prepared: &Prepared,
    request: &Request<'static>,
    roofs: &mut import::Roofs,
    finished: &mut Finished,
) -> Result<(), Failure> {
    let captured = {
        let bar = Bar::new("capture");
        proftool_capture::capture(request, &mut |step| bar.set(step.done, step.total, step.what))?
    };
    let partials: Vec<String> = captured.iter().map(|one| one.draft.path().display().to_string()).collect();
    let kept = partials.join(" and ");
    for mut captured in captured {
        let left = format!("what was recorded stays in {kept} (hint: `proftool import {kept}`, or remove it)");
        interrupt::check(&left)?;
        finished.lines.append(&mut captured.lines);
        finished.lines.append(&mut captured.trend);
        let observed = observe(prepared, request, &mut captured).map_err(|failure| kept_in(&failure, &left))?;
        let (artifact, lost) = import::import(captured, observed.notes, roofs, None)?;
        finished.data_loss |= lost;
        if let Some(how) = observed.failed.filter(|_| finished.failed.is_none()) {
            finished.failed = Some(command::Failed::of_target(how, &artifact.path));
        }
        finished.artifacts.push(artifact);
    }
    Ok(())
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
fn observe(
    prepared: &Prepared,
    request: &Request<'static>,
    captured: &mut Captured,
) -> Result<wrapped::Observed, Failure> {
    if request.targets.iter().any(|target| target.once().is_some())
        || !wrapped::runs(request.profile, prepared.is_gpu())
    {
        return Ok(wrapped::Observed::default());
    }
    // After the handler of the program, which they pass the signals on to.
    process::signals::listen();
    process::adopt_orphans();
    let program = std::env::current_exe().map_err(|error| {
        Failure::io(format!("proftool cannot find its own program: {error} (hint: start it by its path)"))
    })?;
    let line = |target: &str, amount: wrapped::Amount| line(request, &program, target, amount);
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
    /// The first run: what does not depend on parameters is the same in all.
    fn first(&self) -> &Request<'static> {
        &self.requests[0]
    }

    fn is_gpu(&self) -> bool {
        self.first().backend == Backend::Cuda
    }
}

/// The command that runs one target as a pass: what [`run_as_pass`] takes.
fn line(request: &Request<'static>, program: &Path, target: &str, amount: wrapped::Amount) -> Vec<OsString> {
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

/// Runs one target as a pass of another proftool's capture: its trace and its results go into the folder of the pass.
///
/// # Errors
/// Without that folder, and as the target says.
pub(super) fn run_as_pass(target: &str, options: &Options) -> Outcome {
    let folder = std::env::var_os(RAW_DIR).map(PathBuf::from).filter(|folder| folder.is_dir()).ok_or_else(|| {
        Failure::usage(format!("--as-pass is for proftool's own use: {RAW_DIR} names no folder (hint: leave it out)"))
    })?;
    let prepared = prepare(target, options, &folder)?;
    part::run(prepared.first(), &folder, &mut |_| {})?;
    Ok(0)
}
