//! How the passes of a command are told: in the manifest, and as notes.

use std::time::Duration;

use proftool_trace::manifest::{self, Launched, Manifest, Results};

use super::{Gathered, Request, target_name};
use crate::environment;
use crate::process::{Ended, Spec, Stopped};
use crate::profilers::{Note, Severity};
use crate::ranks::Rank;

/// One launch for the manifest, without secrets.
pub(super) fn launched(pass: &str, spec: &Spec, ended: &Ended) -> Launched {
    let words = std::iter::once(&spec.program).chain(&spec.args);
    let line: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    Launched {
        pass: pass.to_owned(),
        line: environment::command_line(&line),
        exit_code: ended.exit_code,
        signal: ended.signal,
        stopped: ended.stopped.map(|stopped| match stopped {
            Stopped::Timeout => "timeout".to_owned(),
            Stopped::Interrupted => "interrupted".to_owned(),
        }),
        wall_ns: ended.wall_ns,
        user_ns: ended.user_ns,
        system_ns: ended.system_ns,
        max_rss_bytes: ended.max_rss_bytes,
        left_behind: ended.left_behind as u64,
    }
}

/// What a run's end says about its data.
pub(super) fn notes_of(ended: &Ended, timeout: Option<Duration>) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |severity, code, detail: String| notes.push(Note { severity, code, detail });
    if !ended.succeeded() {
        let code = match (ended.stopped, ended.signal) {
            (Some(Stopped::Timeout), _) => "timeout",
            (Some(Stopped::Interrupted), _) => "interrupted",
            (None, Some(_)) => "target_killed",
            (None, None) => "target_failed",
        };
        note(Severity::Error, code, format!("the command {}; what it did until then is recorded", how(ended, timeout)));
    }
    if ended.left_behind > 0 {
        let detail = format!("{} processes outlived the command and were ended", ended.left_behind);
        note(Severity::Info, "left_behind", detail);
    }
    if let Some(why) = &ended.output_lost {
        note(Severity::DataLoss, "output_lost", format!("what the command printed could not be kept: {why}"));
    }
    notes
}

/// How a run that did not succeed ended, a sentence without its subject.
pub(super) fn how(ended: &Ended, timeout: Option<Duration>) -> String {
    let end = match (ended.exit_code, ended.signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by {}", signal_name(signal)),
        (None, None) => "ended".to_owned(),
    };
    match ended.stopped {
        Some(Stopped::Timeout) => {
            format!("did not end within {} s, was stopped, and {end}", timeout.unwrap_or_default().as_secs_f64())
        }
        Some(Stopped::Interrupted) => format!("was interrupted, and {end}"),
        None => end,
    }
}

fn signal_name(signal: i32) -> String {
    let name = signal_hook::low_level::signal_name(signal);
    name.map_or_else(|| format!("signal {signal}"), |name| format!("signal {signal} ({name})"))
}

/// The manifest without its tables.
pub(super) fn manifest(request: &Request<'_>, all: &mut Gathered) -> Manifest {
    let environment = &request.environment;
    let kept = environment::of_this_process();
    let line: Vec<String> = request.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let code = all.failed.as_ref().map_or(0, |failed| failed.code);
    Manifest {
        format: manifest::FORMAT,
        target: manifest::Target {
            name: target_name(&request.command),
            parameters: std::collections::BTreeMap::new(),
            seed: 0,
        },
        pair: None,
        hardware_key: environment.hardware_key.clone(),
        time: manifest::Time::Measured,
        captured_utc: environment.captured_utc.clone(),
        command_line: environment::command_line(&request.command_line),
        git: environment.git.clone(),
        host: environment.host.clone(),
        devices: Vec::new(),
        versions: environment.versions.clone().into_iter().chain(std::mem::take(&mut all.versions)).collect(),
        passes: std::mem::take(&mut all.passes),
        warmup: 0,
        iterations: 0,
        blocks: 0,
        tables: Vec::new(),
        // A command checks its outputs itself and tells by its exit code.
        results: Results { verified: code == 0, exit_code: code, ..Results::default() },
        modelled: Vec::new(),
        command: Some(manifest::Command {
            line: environment::command_line(&line),
            rank: request.rank.as_ref().map(job_rank),
            environment: kept.variables,
            environment_removed: kept.removed,
            launches: std::mem::take(&mut all.launches),
        }),
    }
}

fn job_rank(rank: &Rank) -> manifest::JobRank {
    manifest::JobRank {
        job: rank.job.clone(),
        rank: rank.rank,
        world_size: rank.world_size,
        local_rank: rank.local_rank,
        launcher: rank.launcher.to_owned(),
    }
}
