//! The passes of a preset over a built-in target: proftool runs itself under each profiler, as it runs anybody's command,
//! and that process runs the same target with the same seed and parameters ([`part`](crate::session::part)).
//!
//! The first pass, which gives the results, has run before in this process under no tool. Also what could observe this
//! process from within (CUPTI by injection) gets a process of its own: the driver reads `CUDA_INJECTION64_PATH` when it is
//! initialised, so that the variable would have to be set before any thread starts and the results would be those of a
//! traced run.

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use proftool_trace::Draft;
use proftool_trace::manifest::{self, Manifest};

use super::crew::{self, Crew};
use super::pass::{Gathered, Run};
use super::{Error, Failed};
use crate::environment;
use crate::process::Limits;
use crate::profilers::{Note, Options, Severity};
use crate::profiles::{Plan, Profile, Records};
use crate::session::part::Part;

/// How much of the target a pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Iterations a block.
    pub iterations: usize,
    /// Warm-up iterations.
    pub warmup: usize,
    /// Blocks.
    pub blocks: usize,
}

impl Amount {
    /// Blocks of a pass under a profiler: enough to see that they are alike.
    const BLOCKS: usize = 2;
    /// Iterations of a pass that counts: each launch is replayed some ten times, and every iteration counts the same.
    const COUNTED: usize = 2;

    /// What of it a pass runs.
    fn under(self, pass: &str) -> Self {
        if matches!(pass, "ncu" | "cupti_counters") {
            return Self { iterations: self.iterations.min(Self::COUNTED), warmup: 1, blocks: 1 };
        }
        Self { blocks: self.blocks.min(Self::BLOCKS), ..self }
    }
}

/// The passes over a target.
pub struct Request<'a> {
    /// Preset of passes.
    pub profile: &'static Profile,
    /// What the user asks of the tools.
    pub options: &'a Options,
    /// Whether the target's backend works on GPUs.
    pub gpu: bool,
    /// How long each pass may take.
    pub limits: Limits,
    /// How much the first pass ran.
    pub amount: Amount,
    /// The command that runs the target of that name as a pass, that much of it.
    pub line: &'a dyn Fn(&str, Amount) -> Vec<OsString>,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
}

/// What the passes over a target gave.
#[derive(Debug, Default)]
pub struct Observed {
    /// What there is to say about each pass, by its name.
    pub notes: Vec<(String, Note)>,
    /// How the first pass that failed did.
    pub failed: Option<Failed>,
}

/// Whether a preset has passes over a target beside the first, wherever their profilers work.
pub fn runs(profile: &Profile, gpu: bool) -> bool {
    profile.target_passes.iter().any(|plan| gpu || plan.records != Records::Gpu)
}

/// Checks that the preset's profilers can work here, before anything runs.
///
/// # Errors
/// [`Error::Profiler`], and [`Error::NothingToCount`] for a preset that needs a GPU's counters where the target uses none.
pub fn check(profile: &'static Profile, gpu: bool) -> Result<(), Error> {
    find(profile, gpu).map(|_| ())
}

/// The passes with their crews; none where all profilers that could take part are absent.
fn find(profile: &'static Profile, gpu: bool) -> Result<Vec<(&'static str, Crew)>, Error> {
    let mut plans: Vec<Plan> = Vec::new();
    for plan in profile.target_passes {
        let other = plan.otherwise.filter(|other| gpu || other.records != Records::Gpu);
        if gpu || plan.records != Records::Gpu {
            plans.push(Plan { otherwise: other, ..*plan });
            continue;
        }
        if let Some(wanted) = plan.profilers.iter().find(|wanted| !wanted.where_present) {
            return Err(Error::NothingToCount { profile: profile.name, profiler: wanted.name });
        }
    }
    let mut passes = crew::find(profile.name, &plans)?;
    passes.retain(|(_, crew)| !crew.is_empty());
    Ok(passes)
}

/// Runs the passes over the target that `manifest` describes, each into a folder of `draft`, and adds them to the manifest.
/// `say` gets a line before each.
///
/// # Errors
/// As [`check`]; [`Error::Process`] where proftool cannot start itself; [`Error::Interrupted`]. How a pass ended is no
/// error.
pub fn capture(
    request: &Request<'_>,
    draft: &Draft,
    manifest: &mut Manifest,
    say: &mut dyn FnMut(&str),
) -> Result<Observed, Error> {
    let passes = find(request.profile, request.gpu)?;
    let mut all = Gathered::default();
    let mut lines = Vec::new();
    for (at, (name, crew)) in passes.iter().enumerate() {
        let target = manifest.target.name.clone();
        say(&format!("{target}: pass {} of {}: {name}", at + 2, passes.len() + 1));
        let line = (request.line)(&target, request.amount.under(name));
        let run = Run {
            command: &line,
            profile: request.profile.name,
            options: request.options,
            rank: 0,
            limits: request.limits,
            input: false,
            env: &[],
            stop: request.stop,
        };
        run.under(draft, name, crew, &mut all)?;
        lines.push(line.clone());
        if request.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { partial: draft.path().to_owned() });
        }
        let told = told(&draft.raw_dir(name)?, manifest, &crew.names());
        all.notes.push(((*name).to_owned(), told));
    }
    Ok(finish(all, manifest, lines.first().map_or(&[], Vec::as_slice)))
}

/// Adds the passes to the manifest; `line` is what the first of them ran.
fn finish(all: Gathered, manifest: &mut Manifest, line: &[OsString]) -> Observed {
    if !all.launches.is_empty() {
        let kept = environment::of_this_process();
        let words: Vec<String> = line.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        manifest.command = Some(manifest::Command {
            line: environment::command_line(&words),
            rank: None,
            environment: kept.variables,
            environment_removed: kept.removed,
            launches: all.launches,
        });
    }
    manifest.versions.extend(all.versions);
    manifest.passes.extend(all.passes);
    // The first word of the command is proftool; what failed is the target, unless the profiler did.
    let failed = all.failed.map(|failed| match failed.profiler {
        Some(_) => failed,
        None => Failed { reason: format!("{} under a profiler: {}", manifest.target.name, failed.reason), ..failed },
    });
    Observed { notes: all.notes, failed }
}

/// What a pass ran, and what observing it cost: its results against those of the first pass.
fn told(folder: &Path, manifest: &Manifest, profilers: &[String]) -> Note {
    let under = profilers.join(" and ");
    let Some(part) = Part::read(folder) else {
        let detail = format!(
            "{} left no results of its run under {under}: its records may not be of the whole run",
            manifest.target.name
        );
        return Note { severity: Severity::DataLoss, code: "pass_incomplete", detail };
    };
    if part.target != manifest.target {
        let detail = format!("the run under {under} had other parameters or another seed than that of the results");
        return Note { severity: Severity::Error, code: "pass_differs", detail };
    }
    let blocks = part.results.fill_ns.len();
    let detail = format!(
        "{under} observed {blocks} blocks of {} iterations after {} warm-up iterations, seed and parameters as in pass host; {}; \
         results are those of pass host alone",
        part.iterations,
        part.warmup,
        cost(&part.results.iteration_ns, &manifest.results.iteration_ns)
    );
    Note { severity: Severity::Info, code: "observed_run", detail }
}

/// The median iteration with and without a profiler.
fn cost(with: &[i64], without: &[i64]) -> String {
    let ms = |ns: i64| ns as f64 / 1e6;
    match (median(with), median(without)) {
        (Some(with), Some(without)) if without > 0 => {
            let change = (with as f64 / without as f64 - 1.0) * 100.0;
            format!("an iteration took {:.3} ms, without it {:.3} ms ({change:+.1} %, medians)", ms(with), ms(without))
        }
        _ => "how long an iteration took is not known".to_owned(),
    }
}

/// The median, of an even number the lower of the two in the middle.
fn median(values: &[i64]) -> Option<i64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles;

    #[test]
    fn what_counts_work_of_gpus_is_refused_where_there_is_none_and_left_out_where_it_is_no_must() {
        for profile in [&profiles::ROOFLINE, &profiles::DEEP] {
            let error = check(profile, false).expect_err("nothing to count").to_string();
            assert!(error.contains("ncu") && error.contains("--backend cuda"), "{error}");
        }
        assert!(find(&profiles::MINIMAL, false).is_ok_and(|passes| passes.is_empty()));
        assert!(find(&profiles::NONE, true).is_ok_and(|passes| passes.is_empty()));
    }

    #[test]
    fn a_pass_under_a_profiler_runs_less_of_the_same() {
        let all = Amount { iterations: 4, warmup: 3, blocks: 8 };
        assert_eq!(all.under("nsys"), Amount { iterations: 4, warmup: 3, blocks: 2 });
        assert_eq!(all.under("ncu"), Amount { iterations: 2, warmup: 1, blocks: 1 });
        assert_eq!(Amount { blocks: 1, ..all }.under("cupti").blocks, 1);
    }

    #[test]
    fn what_observing_costs_is_the_ratio_of_the_medians() {
        assert!(
            cost(&[3_000_000, 1_000_000, 2_000_000], &[1_600_000]).contains("2.000 ms, without it 1.600 ms (+25.0 %")
        );
        assert!(cost(&[], &[1]).contains("not known"));
        assert_eq!((median(&[4, 1, 3, 2]), median(&[])), (Some(2), None));
    }
}
