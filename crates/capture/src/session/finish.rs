//! What a run was and gave, as its manifest states it.

use proftool_trace::manifest::{self, Manifest, Pass, Results};
use proftool_workloads::{self as workloads, Block, Role, Target};

use super::sampling::Sampled;
use super::{Captured, Error, Request, Run};
use crate::profilers::{host, nvml};

/// A check of outputs as the manifest has it.
pub(super) fn manifest_check(check: workloads::Check) -> manifest::Check {
    manifest::Check {
        name: check.name,
        values: check.values,
        // An infinite deviation (a NaN in an output) has no JSON number.
        max_relative_error: check.max_relative_error.min(f64::MAX),
        tolerance: check.tolerance,
    }
}

/// The other half of a pair, and the order in which both were measured.
pub(super) fn pair(target: &Target, names: &[String], index: usize, order: &[usize]) -> Option<manifest::Pair> {
    let (name, role) = target.pair?;
    let other = names.get(1 - index).filter(|_| names.len() == 2)?;
    Some(manifest::Pair {
        name: name.to_owned(),
        role: match role {
            Role::Baseline => "baseline".to_owned(),
            Role::Optimized => "optimized".to_owned(),
        },
        other: other.clone(),
        order: order.iter().map(|&index| if index == 0 { 'A' } else { 'B' }).collect(),
    })
}

/// Writes the trace of a run and describes the run.
///
/// # Errors
/// [`Error::Trace`] and [`Error::Artifact`]: then the draft stays.
pub(super) fn finish(
    request: &Request<'_>,
    run: Run,
    checks: Vec<manifest::Check>,
    pair: Option<manifest::Pair>,
    sampled: &Sampled,
) -> Result<Captured, Error> {
    let verified = !checks.is_empty() && checks.iter().all(|check| check.max_relative_error <= check.tolerance);
    let modelled = run.session.modelled();
    let simulated = run.session.simulated();
    let iterations = run.session.iterations();
    let lines = run.session.lines(&run.blocks);
    let trend = if request.trend { run.session.trend() } else { Vec::new() };
    let mut passes = Vec::new();
    if request.profile.traced {
        let file = run.draft.raw_dir(host::PASS)?.join(host::FILE);
        run.session.finish(&file).map_err(|reason| Error::Trace { reason: Box::new(reason) })?;
        passes.push(Pass {
            name: host::PASS.to_owned(),
            profilers: std::iter::once(host::PROFILER.name)
                .chain(sampled.version.as_ref().map(|_| nvml::PROFILER.name))
                .map(str::to_owned)
                .collect(),
            // The importer replaces these with what the raw file states.
            clock: "CLOCK_MONOTONIC".to_owned(),
            start_unix_ns: run.start_unix_ns,
            start_monotonic_ns: 0,
            ranks: Vec::new(),
        });
    }
    let environment = &request.environment;
    let version_of_nvml = sampled.version.clone().map(|version| (nvml::PROFILER.name.to_owned(), version));
    let manifest = Manifest {
        format: manifest::FORMAT,
        target: manifest::Target { name: run.target.name.to_owned(), parameters: run.parameters, seed: request.seed },
        pair,
        hardware_key: environment.hardware_key.clone(),
        time: if simulated { manifest::Time::Simulated } else { manifest::Time::Measured },
        captured_utc: environment.captured_utc.clone(),
        command_line: request.command_line.clone(),
        git: environment.git.clone(),
        host: environment.host.clone(),
        devices: Vec::new(),
        versions: environment.versions.clone().into_iter().chain(version_of_nvml).collect(),
        passes,
        warmup: request.warmup as u64,
        iterations: iterations as u64,
        blocks: run.blocks.len() as u64,
        tables: Vec::new(),
        results: results(&run.blocks, checks, verified),
        modelled,
        command: None,
    };
    let notes = sampled.notes.iter().map(|note| (host::PASS.to_owned(), note.clone())).collect();
    Ok(Captured { draft: run.draft, manifest, notes, lines, trend })
}

/// The results of measured blocks.
/// The results of a run that was checked and not timed. Without any check nothing is verified.
pub fn checked(checks: Vec<workloads::Check>) -> Results {
    let checks: Vec<manifest::Check> = checks.into_iter().map(manifest_check).collect();
    let verified = !checks.is_empty() && checks.iter().all(|check| check.max_relative_error <= check.tolerance);
    results(&[], checks, verified)
}

pub(super) fn results(blocks: &[Block], checks: Vec<manifest::Check>, verified: bool) -> Results {
    Results {
        iteration_ns: blocks.iter().flat_map(|block| block.iteration_ns.iter().copied()).collect(),
        fill_ns: blocks.iter().map(|block| block.fill_ns).collect(),
        cpu_ns: blocks.iter().map(|block| block.cpu_ns).collect(),
        contention_ratio: blocks.iter().map(|block| block.contention_ratio).filter(|ratio| ratio.is_finite()).collect(),
        verified,
        max_relative_error: checks.iter().map(|check| check.max_relative_error).reduce(f64::max),
        checks,
        exit_code: if verified { 0 } else { 3 },
    }
}
