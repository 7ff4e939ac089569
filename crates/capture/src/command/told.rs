//! How the passes of a command are told: in the manifest, and as notes.

use std::time::Duration;

use proftool_trace::manifest::{self, Launched, Manifest, Results};

use super::{Failed, Gathered, Request, target_name};
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

/// Who tells how a run ended, and what else is known about it.
pub(super) struct Teller<'a> {
    /// The profiler whose command started the target: the exit code is its own, and often that of the target.
    pub(super) wrapper: Option<&'static str>,
    /// What the profilers said once the run had ended.
    pub(super) after: &'a [Note],
    /// The limit of the run.
    pub(super) timeout: Option<Duration>,
}

impl Teller<'_> {
    /// The wrapping profiler, where its own failure is what the exit code tells: it left no report, or says what broke it.
    fn broken(&self, ended: &Ended) -> Option<&'static str> {
        let breaks = |note: &Note| note.severity == Severity::Error || note.code == "no_report";
        let by_itself = ended.stopped.is_none() && !ended.succeeded();
        self.wrapper.filter(|_| by_itself && self.after.iter().any(breaks))
    }

    /// The signal that ended the target: a profiler tells it as a shell does, by 128 + its number.
    fn signal(&self, ended: &Ended) -> Option<i32> {
        let told = |code: i32| self.wrapper.and(Some(code - 128)).filter(|number| (1..=64).contains(number));
        ended.signal.or_else(|| ended.exit_code.and_then(told)).filter(|_| ended.stopped.is_none())
    }

    /// How a run of `name` failed.
    pub(super) fn failed(&self, name: &str, ended: &Ended) -> Failed {
        let by_tool = self.broken(ended);
        let reason = format!("{} {}", by_tool.unwrap_or(name), self.how(ended));
        // 124 as `timeout` has it, for a command that ended well when it was told to.
        let code = if ended.exit_code == Some(0) { 124 } else { ended.shell_code() };
        Failed { reason, code, profiler: by_tool }
    }

    /// How a run that did not succeed ended, a sentence without its subject.
    fn how(&self, ended: &Ended) -> String {
        let end = match (ended.exit_code, self.signal(ended).filter(|_| self.broken(ended).is_none())) {
            (_, Some(signal)) => format!("was ended by {}", signal_name(signal)),
            (Some(code), None) => match self.wrapper.filter(|_| ended.stopped.is_some()) {
                Some(profiler) => format!("{profiler} ended with exit code {code}"),
                None => format!("ended with exit code {code}"),
            },
            (None, None) => "ended".to_owned(),
        };
        match ended.stopped {
            Some(Stopped::Timeout) => {
                let limit = self.timeout.unwrap_or_default().as_secs_f64();
                format!("did not end within {limit} s, was stopped, and {end}")
            }
            Some(Stopped::Interrupted) => format!("was interrupted, and {end}"),
            None => end,
        }
    }
}

/// What the profilers said. Where the wrapping one left no report and yet ended well, its code is the command's, which ran.
pub(super) fn said(after: &[Note], ended: &Ended) -> Vec<Note> {
    let of_one = |note: &Note| {
        if note.code != "no_report" || !ended.succeeded() {
            return note.clone();
        }
        let detail =
            format!("the command ran and ended with exit code 0, but no record of it is left: {}", note.detail);
        Note { detail, ..note.clone() }
    };
    after.iter().map(of_one).collect()
}

/// What a run's end says about its data.
pub(super) fn notes_of(ended: &Ended, teller: &Teller<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |severity, code, detail: String| notes.push(Note { severity, code, detail });
    if !ended.succeeded() {
        let how = teller.how(ended);
        if let Some(profiler) = teller.broken(ended) {
            let detail = format!("{profiler} {how}: whether the command itself failed is not known");
            note(Severity::Error, "profiler_failed", detail);
        } else {
            let code = match (ended.stopped, teller.signal(ended)) {
                (Some(Stopped::Timeout), _) => "timeout",
                (Some(Stopped::Interrupted), _) => "interrupted",
                (None, Some(_)) => "target_killed",
                (None, None) => "target_failed",
            };
            note(Severity::Error, code, format!("the command {how}; what it did until then is recorded"));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit_code: Option<i32>, signal: Option<i32>, stopped: Option<Stopped>) -> Ended {
        Ended {
            exit_code,
            signal,
            stopped,
            wall_ns: 1,
            user_ns: 0,
            system_ns: 0,
            max_rss_bytes: None,
            start_unix_ns: 0,
            start_monotonic_ns: 0,
            left_behind: 0,
            output_bytes: [0, 0],
            output_lost: None,
        }
    }

    fn told(wrapper: Option<&'static str>, after: &[Note], ended: &Ended) -> (String, &'static str, i32) {
        let teller = Teller { wrapper, after, timeout: Some(Duration::from_secs(3)) };
        let failed = teller.failed("serve", ended);
        (failed.reason, notes_of(ended, &teller)[0].code, failed.code)
    }

    #[test]
    fn a_failure_of_the_profiler_is_not_told_as_one_of_the_command() {
        let report = Note { severity: Severity::DataLoss, code: "no_report", detail: String::new() };
        let (reason, code, _) = told(Some("nsys"), &[report], &ended(Some(1), None, None));
        assert_eq!((reason.as_str(), code), ("nsys ended with exit code 1", "profiler_failed"));
        let (reason, code, exit) = told(Some("nsys"), &[], &ended(Some(7), None, None));
        assert_eq!((reason.as_str(), code, exit), ("serve ended with exit code 7", "target_failed", 7));
    }

    #[test]
    fn a_report_that_is_lost_after_a_run_that_ended_well_is_told_as_that() {
        let report = Note { severity: Severity::DataLoss, code: "no_report", detail: "nsys left none".to_owned() };
        let of = |code| said(std::slice::from_ref(&report), &ended(Some(code), None, None)).remove(0).detail;
        assert_eq!(of(1), "nsys left none");
        assert!(of(0).starts_with("the command ran and ended with exit code 0"), "{}", of(0));
        let teller = Teller { wrapper: Some("nsys"), after: &[report], timeout: None };
        assert_eq!(notes_of(&ended(Some(0), None, None), &teller), []);
    }

    #[test]
    fn a_signal_that_a_profiler_tells_by_its_exit_code_is_told_as_a_signal() {
        let (reason, code, exit) = told(Some("nsys"), &[], &ended(Some(139), None, None));
        assert!(reason.contains("serve was ended by signal 11") && reason.contains("SIGSEGV"), "{reason}");
        assert_eq!((code, exit), ("target_killed", 139));
        let (reason, code, _) = told(None, &[], &ended(Some(139), None, None));
        assert_eq!((reason.as_str(), code), ("serve ended with exit code 139", "target_failed"));
    }

    #[test]
    fn a_run_that_was_stopped_is_told_by_that() {
        let (reason, code, exit) = told(Some("nsys"), &[], &ended(Some(130), None, Some(Stopped::Timeout)));
        assert_eq!(reason, "serve did not end within 3 s, was stopped, and nsys ended with exit code 130");
        assert_eq!((code, exit), ("timeout", 130));
        assert_eq!(told(None, &[], &ended(Some(0), None, Some(Stopped::Timeout))).2, 124);
    }
}
