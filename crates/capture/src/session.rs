//! One capture: prepare the targets, measure their blocks alternately, verify their outputs, write `raw/`.

mod error;
mod finish;
mod once;
pub mod part;
mod sampling;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use proftool_trace::Draft;
use proftool_trace::manifest::{self, Manifest};
use proftool_tracer::clock::unix_ns;
use proftool_workloads::{self as workloads, Backend, Block, Session, Settings, Target};

use crate::profilers::{Note, host};
use crate::profiles::Profile;
pub use error::Error;
pub use finish::checked;
use finish::{finish, manifest_check, pair};
use sampling::Sampling;

/// What is known about the machine before a capture starts.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Slug of the devices.
    pub hardware_key: String,
    /// The machine.
    pub host: manifest::Host,
    /// Processor name for the device rows.
    pub device_name: String,
    /// Microarchitecture for the device rows.
    pub arch: String,
    /// Cores that may be used, by number.
    pub cores: Vec<usize>,
    /// Versions of tools and drivers.
    pub versions: BTreeMap<String, String>,
    /// State of the source tree.
    pub git: Option<manifest::Git>,
    /// Now, as `2026-01-31T23:59:59Z`.
    pub captured_utc: String,
}

/// What to capture.
pub struct Request<'a> {
    /// One target, or a baseline and its optimized counterpart.
    pub targets: Vec<&'static Target>,
    /// Seed of the workload.
    pub seed: u64,
    /// Parameters as given.
    pub parameters: BTreeMap<String, String>,
    /// Iterations a block.
    pub iterations: usize,
    /// Warm-up iterations a target.
    pub warmup: usize,
    /// Measured blocks a target.
    pub blocks: usize,
    /// What executes them, not `auto`.
    pub backend: Backend,
    /// Preset of passes.
    pub profile: &'static Profile,
    /// Folder of the artifacts.
    pub artifacts: PathBuf,
    /// The command line for the manifest.
    pub command_line: Vec<String>,
    /// The machine.
    pub environment: Environment,
    /// Whether TTFT and TPOT over time are wanted.
    pub trend: bool,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

/// Where a capture is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done, for example `warm up`.
    pub what: &'static str,
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

/// One captured run, its tables not yet imported.
#[derive(Debug)]
pub struct Captured {
    /// The directory.
    pub draft: Draft,
    /// The manifest without its tables.
    pub manifest: Manifest,
    /// What there is to say about its passes, by their names.
    pub notes: Vec<(String, Note)>,
    /// Its result in lines for people, beside its times.
    pub lines: Vec<String>,
    /// TTFT and TPOT over time, where they were asked for and it is about serving.
    pub trend: Vec<String>,
}

struct Run {
    target: &'static Target,
    session: Box<dyn Session>,
    parameters: BTreeMap<String, String>,
    draft: Draft,
    blocks: Vec<Block>,
    start_unix_ns: i64,
}

/// Captures the targets of `request`; a pair is measured alternately, block by block, in the order A B B A. Targets that run
/// once do so one after the other.
///
/// # Errors
/// [`Error::Usage`] and [`Error::Artifact`] before anything runs; [`Error::Target`] and [`Error::Interrupted`] later,
/// with a `.partial` directory that keeps the raw files. A failed verification is no error here: the manifest says so.
pub fn capture(request: &Request<'_>, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Captured>, Error> {
    if request.targets.iter().any(|target| target.once().is_some()) {
        return once::capture(request, progress);
    }
    let mut runs = prepare(request)?;
    let order = order(runs.len(), request.blocks);
    let total = runs.len() * 2 + order.len();
    let mut done = 0;
    let mut step = |what| {
        progress(Progress { what, done, total });
        done += 1;
    };
    let sampling = Sampling::start(request, &runs);
    let measured = measure(request, &mut runs, &order, &mut step);
    let sampled = sampling.stop();
    if let Err(error) = measured {
        return Err(abandon(request, runs, error));
    }
    let mut checks = Vec::new();
    for index in 0..runs.len() {
        step("verify");
        let verified = verify(&mut runs, index).map_err(|error| Stopped::Failed(index, error));
        match verified.and_then(|found| check_stop(request).map(|()| found)) {
            Ok(found) => checks.push(found),
            Err(error) => return Err(abandon(request, runs, error)),
        }
    }
    progress(Progress { what: "write", done: total, total });
    let names: Vec<String> = runs.iter().map(|run| run.draft.name()).collect();
    let pairs: Vec<_> = (0..runs.len()).map(|index| pair(runs[index].target, &names, index, &order)).collect();
    runs.into_iter()
        .zip(checks)
        .zip(pairs)
        .map(|((run, checks), pair)| finish(request, run, checks, pair, &sampled))
        .collect()
}

enum Stopped {
    Interrupted,
    Failed(usize, workloads::Error),
}

impl Request<'_> {
    /// Every target's parameters with their values, defaults included: what can be refused before anything runs.
    ///
    /// # Errors
    /// [`Error::Usage`] for the first parameter that is unknown or has a bad value.
    pub fn resolve(&self) -> Result<Vec<BTreeMap<String, String>>, Error> {
        let settings = self.settings();
        self.targets.iter().map(|target| target.resolve(&settings).map_err(Error::refused)).collect()
    }

    fn settings(&self) -> Settings {
        Settings {
            seed: self.seed,
            parameters: self.parameters.clone(),
            cores: self.environment.cores.clone(),
            iterations: self.iterations,
            blocks: self.blocks,
            warmup: self.warmup,
            device_name: self.environment.device_name.clone(),
            arch: self.environment.arch.clone(),
            backend: self.backend,
            record: self.profile.traced,
        }
    }
}

fn prepare(request: &Request<'_>) -> Result<Vec<Run>, Error> {
    let settings = request.settings();
    // Parameters of every target first: a usage error must not leave a folder behind.
    let parameters = request.resolve()?;
    let mut runs: Vec<Run> = Vec::new();
    for (target, parameters) in request.targets.iter().copied().zip(parameters) {
        match prepare_one(request, &settings, target, parameters) {
            Ok(run) => runs.push(run),
            Err(error) => {
                for run in runs {
                    run.draft.discard();
                }
                return Err(error);
            }
        }
    }
    Ok(runs)
}

fn prepare_one(
    request: &Request<'_>,
    settings: &Settings,
    target: &'static Target,
    parameters: BTreeMap<String, String>,
) -> Result<Run, Error> {
    let stamp = request.environment.captured_utc.replace(['-', ':'], "");
    let name = format!("{stamp}-{}-{}", target.name, request.environment.hardware_key);
    let draft = Draft::create(&request.artifacts, &name)?;
    let start_unix_ns = unix_ns();
    match target.prepare(settings) {
        Ok(session) => Ok(Run { target, session, parameters, draft, blocks: Vec::new(), start_unix_ns }),
        Err(reason) => {
            draft.discard();
            Err(Error::Prepare { target: target.name, reason: Box::new(reason) })
        }
    }
}

fn measure(
    request: &Request<'_>,
    runs: &mut [Run],
    order: &[usize],
    step: &mut dyn FnMut(&'static str),
) -> Result<(), Stopped> {
    for (index, run) in runs.iter_mut().enumerate() {
        step("warm up");
        run.session.warm_up(request.warmup).map_err(|error| Stopped::Failed(index, error))?;
        check_stop(request)?;
    }
    for &index in order {
        step("measure");
        let block = runs[index].session.run_block().map_err(|error| Stopped::Failed(index, error))?;
        runs[index].blocks.push(block);
        check_stop(request)?;
    }
    Ok(())
}

fn check_stop(request: &Request<'_>) -> Result<(), Stopped> {
    if request.stop.load(Ordering::Relaxed) { Err(Stopped::Interrupted) } else { Ok(()) }
}

/// Keeps what was recorded in the `.partial` directories, where something was, and says why the capture ended.
fn abandon(request: &Request<'_>, runs: Vec<Run>, why: Stopped) -> Error {
    let mut partial = Vec::new();
    for run in runs {
        if !request.profile.traced {
            run.draft.discard();
            continue;
        }
        partial.push(run.draft.path().to_owned());
        if let Ok(folder) = run.draft.raw_dir(host::PASS) {
            // The capture has failed already; an error here would hide why.
            let _ = run.session.finish(&folder.join(host::FILE));
        }
    }
    match why {
        Stopped::Interrupted => Error::Interrupted { partial },
        Stopped::Failed(index, reason) => {
            Error::Target { target: request.targets[index].name, reason: Box::new(reason), partial }
        }
    }
}

/// Order of the measured blocks as indices of the targets: A B B A A B B A … for a pair, so that a slow drift of the
/// machine falls on both alike.
fn order(targets: usize, blocks: usize) -> Vec<usize> {
    if targets == 1 {
        return vec![0; blocks];
    }
    (0..blocks).flat_map(|round| if round % 2 == 0 { [0, 1] } else { [1, 0] }).collect()
}

fn verify(runs: &mut [Run], index: usize) -> Result<Vec<manifest::Check>, workloads::Error> {
    let mut checks = runs[index].session.verify()?;
    if let [first, second] = &*runs {
        checks.push(workloads::compare(first.session.outputs(), second.session.outputs()));
    }
    Ok(checks.into_iter().map(manifest_check).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_measured_a_b_b_a() {
        assert_eq!(order(2, 4), [0, 1, 1, 0, 0, 1, 1, 0]);
        assert_eq!(order(1, 3), [0, 0, 0]);
    }
}
