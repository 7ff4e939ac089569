//! What was run on what, and whether its output was right.

use std::collections::BTreeSet;

use proftool_trace::manifest::{Manifest, Time};
use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Run};

#[derive(Serialize)]
struct Values {
    labels: Vec<String>,
    facts: Vec<Fact>,
    parameters: Vec<Fact>,
    devices: Vec<Device>,
    checks: Vec<Check>,
    unverified: Option<String>,
    imported: bool,
}

/// One row: a name, and a value for each run (one where all runs agree).
#[derive(Serialize)]
struct Fact {
    name: String,
    values: Vec<String>,
}

#[derive(Serialize)]
struct Device {
    run: String,
    number: String,
    kind: String,
    name: String,
    arch: String,
}

#[derive(Serialize)]
struct Check {
    run: String,
    name: String,
    values: String,
    error: String,
    tolerance: String,
    verdict: &'static str,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let values = Values {
        labels: report.runs.iter().map(|run| format::plain(run.label())).collect(),
        facts: facts(report),
        parameters: parameters(report),
        devices: report.runs.iter().flat_map(devices).collect(),
        checks: report.runs.iter().flat_map(checks).collect(),
        unverified: unverified(report),
        imported: report.runs.iter().all(|run| run.artifact.manifest.is_imported()),
    };
    Built::new("overview", &values, Vec::new()).map(Some)
}

fn facts(report: &Report) -> Vec<Fact> {
    let fact = |name: &str, value: &dyn Fn(&Run) -> String| Fact {
        name: name.to_owned(),
        values: report.runs.iter().map(value).collect(),
    };
    vec![
        fact("target", &|run| format::code(&run.artifact.manifest.target.name)),
        fact("run", &|run| format::code(&run.artifact.run())),
        fact("time", &|run| match run.artifact.manifest.time {
            Time::Measured => "measured".to_owned(),
            Time::Simulated => "**simulated**".to_owned(),
        }),
        fact("captured (UTC)", &|run| captured_at(&run.artifact.manifest)),
        fact("hardware", &|run| format::code(&run.artifact.manifest.hardware_key)),
        fact("machine", &|run| machine(&run.artifact.manifest)),
        fact("source tree", &|run| git(&run.artifact.manifest)),
        fact("passes", &|run| passes(&run.artifact.manifest)),
        fact("versions", &|run| versions(&run.artifact.manifest)),
        fact("blocks", &|run| blocks(&run.artifact.manifest)),
        fact("seed", &|run| captured(run, run.artifact.manifest.target.seed.to_string())),
        fact("exit code", &|run| captured(run, run.artifact.manifest.results.exit_code.to_string())),
    ]
}

/// When the capture began; of an imported file only the time of the import is known here.
fn captured_at(manifest: &Manifest) -> String {
    let time = format::plain(&manifest.captured_utc);
    if manifest.is_imported() { format!("n/a (imported {time})") } else { time }
}

/// What an imported file does not tell.
const IMPORTED: &str = "n/a (imported)";

fn machine(manifest: &Manifest) -> String {
    if manifest.is_imported() {
        return IMPORTED.to_owned();
    }
    let host = &manifest.host;
    let memory = format::bytes(host.memory_bytes as f64);
    format!("{}; {} cores usable; {memory} memory; {}", format::plain(&host.cpu), host.cores, format::plain(&host.os))
}

fn git(manifest: &Manifest) -> String {
    if manifest.is_imported() {
        return IMPORTED.to_owned();
    }
    manifest.git.as_ref().map_or_else(
        || "n/a (not in a checkout)".to_owned(),
        |git| format!("{}{}", format::code(&git.commit), if git.dirty { " with uncommitted changes" } else { "" }),
    )
}

/// A value that only a capture has.
fn captured(run: &Run, value: String) -> String {
    if run.artifact.manifest.is_imported() { IMPORTED.to_owned() } else { value }
}

fn passes(manifest: &Manifest) -> String {
    let pass = |pass: &proftool_trace::manifest::Pass| {
        let clock = format::plain(&pass.clock);
        format!("{} ({}; clock {clock})", format::plain(&pass.name), format::plain(&pass.profilers.join(", ")))
    };
    manifest.passes.iter().map(pass).collect::<Vec<_>>().join("; ")
}

fn versions(manifest: &Manifest) -> String {
    let version = |(tool, version): (&String, &String)| format!("{} {}", format::plain(tool), format::plain(version));
    let all: Vec<String> = manifest.versions.iter().map(version).collect();
    if all.is_empty() { format::ABSENT.to_owned() } else { all.join(", ") }
}

fn blocks(manifest: &Manifest) -> String {
    if manifest.is_imported() {
        return IMPORTED.to_owned();
    }
    let (blocks, iterations) = (manifest.blocks, manifest.iterations);
    if (blocks, iterations) == (0, 0) {
        return "n/a (it does not iterate)".to_owned();
    }
    format!("{blocks} of {iterations} iterations, after {} warm-up iterations", manifest.warmup)
}

fn parameters(report: &Report) -> Vec<Fact> {
    let of_run = |run: &Run| run.artifact.manifest.target.parameters.clone();
    let all: Vec<_> = report.runs.iter().map(of_run).collect();
    let names: BTreeSet<&String> = all.iter().flat_map(|parameters| parameters.keys()).collect();
    let shown = |value: Option<&String>| value.map_or_else(|| "-".to_owned(), |text| format::code(text));
    let values = |name: &String| all.iter().map(|parameters| shown(parameters.get(name))).collect();
    names.into_iter().map(|name| Fact { name: format::code(name), values: values(name) }).collect()
}

fn devices(run: &Run) -> Vec<Device> {
    let device = |device: &proftool_trace::manifest::Device| Device {
        run: format::plain(run.label()),
        number: device.device.to_string(),
        kind: format::plain(&device.kind),
        name: format::plain(&device.name),
        arch: device.arch.as_deref().map_or_else(|| format::ABSENT.to_owned(), format::plain),
    };
    run.artifact.manifest.devices.iter().map(device).collect()
}

fn checks(run: &Run) -> Vec<Check> {
    let check = |check: &proftool_trace::manifest::Check| Check {
        run: format::plain(run.label()),
        name: format::plain(&check.name),
        values: format::count(check.values as i64),
        error: format::small(check.max_relative_error),
        tolerance: format::small(check.tolerance),
        verdict: if check.max_relative_error <= check.tolerance { "pass" } else { "**fail**" },
    };
    run.artifact.manifest.results.checks.iter().map(check).collect()
}

fn unverified(report: &Report) -> Option<String> {
    let labels: Vec<String> = report
        .runs
        .iter()
        .filter(|run| !run.artifact.manifest.results.verified && !run.artifact.manifest.is_imported())
        .map(|run| format::plain(run.label()))
        .collect();
    (!labels.is_empty()).then(|| labels.join(" and "))
}
