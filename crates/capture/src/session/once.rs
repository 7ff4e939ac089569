//! Targets that run once: each writes its raw file, is checked, and described.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use proftool_trace::Draft;
use proftool_trace::manifest::{self, Manifest, Pass};
use proftool_tracer::clock::unix_ns;
use proftool_workloads::{Once, Place, Role, Served, Target, changes};

use super::finish::{checked, pair};
use super::{Captured, Error, Progress, Request};

/// A target that has run.
struct Run {
    target: &'static Target,
    once: Once,
    parameters: BTreeMap<String, String>,
    hardware_key: String,
    draft: Draft,
    start_unix_ns: i64,
    served: Served,
}

/// Runs the targets of `request` one after the other.
///
/// # Errors
/// [`Error::Usage`], [`Error::Input`] and [`Error::Artifact`] before anything runs; [`Error::Prepare`] where a target could
/// not do its work; [`Error::Interrupted`], with what was measured until then. A failed check is none: the manifest says so.
pub(super) fn capture(request: &Request<'_>, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Captured>, Error> {
    let parameters = request.resolve()?;
    let mut runs: Vec<Run> = Vec::new();
    let total = request.targets.len();
    for (done, (target, parameters)) in request.targets.iter().copied().zip(parameters).enumerate() {
        progress(Progress { what: "run", done, total });
        match run(request, target, parameters) {
            Ok(run) => runs.push(run),
            Err(error) => {
                for run in runs {
                    run.draft.discard();
                }
                return Err(error);
            }
        }
        if request.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { partial: left(runs) });
        }
    }
    progress(Progress { what: "write", done: total, total });
    // In which order they ran, A the baseline.
    let role = |run: &Run| usize::from(run.target.pair.is_some_and(|(_, role)| role == Role::Optimized));
    let order: Vec<usize> = if total > 1 { runs.iter().map(role).collect() } else { vec![0] };
    runs.sort_by_key(role);
    let names: Vec<String> = runs.iter().map(|run| run.draft.name()).collect();
    let change = match &runs[..] {
        [before, after] => changes((before.target.name, &before.served), (after.target.name, &after.served)),
        _ => None,
    };
    let pairs: Vec<_> = (0..runs.len()).map(|index| pair(runs[index].target, &names, index, &order)).collect();
    let mut captured: Vec<Captured> =
        runs.into_iter().zip(pairs).map(|(run, pair)| describe(request, run, pair)).collect();
    if let Some(last) = captured.last_mut() {
        last.lines.extend(change);
    }
    Ok(captured)
}

/// The folders of what was measured; what was computed is computed again.
fn left(runs: Vec<Run>) -> Vec<PathBuf> {
    let mut partial = Vec::new();
    for run in runs {
        if run.served.simulated {
            run.draft.discard();
        } else {
            partial.push(run.draft.path().to_owned());
        }
    }
    partial
}

fn run(request: &Request<'_>, target: &'static Target, parameters: BTreeMap<String, String>) -> Result<Run, Error> {
    let refused =
        || Error::Part { reason: format!("{} runs in blocks, and not beside one that runs once", target.name) };
    let once = *target.once().ok_or_else(refused)?;
    let stamp = request.environment.captured_utc.replace(['-', ':'], "");
    let hardware_key = (once.hardware_key)(&parameters).unwrap_or_else(|| request.environment.hardware_key.clone());
    let draft = Draft::create(&request.artifacts, &format!("{stamp}-{}-{hardware_key}", target.name))?;
    let start_unix_ns = unix_ns();
    let served = draft.raw_dir(once.pass).map_err(Error::from).and_then(|folder| {
        let place = Place { folder: &folder, stop: request.stop };
        (once.serve)(target, &request.settings(), &place).map_err(|error| match Error::refused(error) {
            Error::Usage(reason) => Error::Prepare { target: target.name, reason },
            other => other,
        })
    });
    match served {
        Ok(served) => Ok(Run { target, once, parameters, hardware_key, draft, start_unix_ns, served }),
        Err(error) => {
            draft.discard();
            Err(error)
        }
    }
}

fn describe(request: &Request<'_>, run: Run, pair: Option<manifest::Pair>) -> Captured {
    let Run { target, once, parameters, hardware_key, draft, start_unix_ns, served } = run;
    let pass = Pass {
        name: once.pass.to_owned(),
        profilers: vec![once.observer.to_owned()],
        // The importer replaces these with what the raw file states.
        clock: "CLOCK_MONOTONIC".to_owned(),
        start_unix_ns,
        start_monotonic_ns: 0,
        ranks: Vec::new(),
    };
    let environment = &request.environment;
    let manifest = Manifest {
        format: manifest::FORMAT,
        target: manifest::Target { name: target.name.to_owned(), parameters, seed: request.seed },
        pair,
        hardware_key,
        time: if served.simulated { manifest::Time::Simulated } else { manifest::Time::Measured },
        captured_utc: environment.captured_utc.clone(),
        command_line: request.command_line.clone(),
        git: environment.git.clone(),
        host: environment.host.clone(),
        devices: Vec::new(),
        versions: environment.versions.clone(),
        passes: vec![pass],
        warmup: 0,
        iterations: 0,
        blocks: 0,
        tables: Vec::new(),
        results: checked(served.checks),
        modelled: served.modelled,
        command: None,
    };
    let trend = if request.trend { served.trend } else { Vec::new() };
    Captured { draft, manifest, notes: Vec::new(), lines: served.lines, trend }
}
