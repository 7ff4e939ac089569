//! The command lines of ncu: profiling a target, and printing a report.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::knows::Knows;
use super::options::{Caches, Clocks, Graphs, Options, Replay};
use crate::profilers::Missing;

/// The files of one launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The report, `ncu-rank0.ncu-rep`.
    pub report: PathBuf,
    /// Its raw page, `ncu-rank0.csv`. The importer reads it instead of the report, being of the same stem.
    pub page: PathBuf,
    /// What ncu said, `ncu-rank0.log`; the target's own output stays apart from it.
    pub log: PathBuf,
}

impl Files {
    /// The files of a rank in the folder of its pass.
    pub fn new(folder: &Path, rank: i64) -> Self {
        let file = |ending: &str| folder.join(format!("ncu-rank{rank}.{ending}"));
        Self { report: file("ncu-rep"), page: file("csv"), log: file("log") }
    }
}

/// The program and the arguments that profile a target with these metrics.
///
/// # Errors
/// When an option is asked for that this ncu does not have.
pub fn profile(
    program: &Path,
    knows: &Knows,
    options: &Options,
    metrics: &[&str],
    files: &Files,
    target: &[OsString],
) -> Result<Vec<OsString>, Missing> {
    let mut line = Line { knows, words: vec![program.as_os_str().to_owned()] };
    // A file in the user's home must not change what is measured.
    line.if_known("--config-file", "off");
    line.pair("--target-processes", "all");
    line.replay(options)?;
    line.control(options);
    line.select(options);
    line.pair("--metrics", metrics.join(","));
    // Later versions add minimum, maximum and average to each sum: a page four times as wide.
    if knows.has("--disable-extra-suffixes") {
        line.word("--disable-extra-suffixes");
    }
    line.pair("--log-file", &files.log);
    // The name's ending is ncu's own.
    line.pair("--export", literal(files.report.with_extension("").as_os_str()));
    line.word("--force-overwrite");
    line.words.extend_from_slice(&options.extra);
    line.words.extend_from_slice(target);
    Ok(line.words)
}

/// The arguments that print the raw page of a report in base units.
pub fn print(report: &Path) -> Vec<OsString> {
    let fixed = ["--csv", "--page", "raw", "--print-units", "base"].map(OsString::from);
    [OsString::from("--import"), report.as_os_str().to_owned()].into_iter().chain(fixed).collect()
}

struct Line<'a> {
    knows: &'a Knows,
    words: Vec<OsString>,
}

impl Line<'_> {
    fn word(&mut self, word: impl AsRef<OsStr>) {
        self.words.push(word.as_ref().to_owned());
    }

    fn pair(&mut self, option: &str, value: impl AsRef<OsStr>) {
        self.word(option);
        self.word(value);
    }

    fn if_known(&mut self, option: &str, value: &str) {
        if self.knows.takes(option, value) || (self.knows.has(option) && value == "off") {
            self.pair(option, value);
        }
    }

    fn replay(&mut self, options: &Options) -> Result<(), Missing> {
        let mode = options.replay.name();
        if options.kernels.is_some() && options.replay.is_of_ranges() {
            return Err(Missing {
                reason: format!("kernels cannot be chosen by name with --replay-mode {mode}"),
                fix: "choose NVTX ranges, or replay kernels".to_owned(),
            });
        }
        if options.replay != Replay::Kernel && !self.knows.takes("--replay-mode", mode) {
            return Err(too_old(&format!("--replay-mode {mode}")));
        }
        self.pair("--replay-mode", mode);
        if options.graphs == Graphs::Whole && !self.knows.has("--graph-profiling") {
            return Err(too_old("--graph-profiling graph"));
        }
        self.if_known("--graph-profiling", if options.graphs == Graphs::Whole { "graph" } else { "node" });
        Ok(())
    }

    fn control(&mut self, options: &Options) {
        let (clocks, boost) = match options.clocks {
            Clocks::Base => ("base", "stable"),
            Clocks::Free => ("none", "dynamic"),
        };
        self.pair("--clock-control", clocks);
        self.if_known("--pipeline-boost-state", boost);
        self.pair("--cache-control", if options.caches == Caches::Kept { "none" } else { "all" });
        // ncu refuses it with ranges.
        if !options.from_start && !options.replay.is_of_ranges() {
            self.pair("--profile-from-start", "off");
        }
    }

    fn select(&mut self, options: &Options) {
        if let Some(kernels) = &options.kernels {
            self.pair("--kernel-name", format!("regex:{kernels}"));
        }
        // Kernels under names that ncu shortens would not be found again in a timeline.
        self.if_known("--rename-kernels", "off");
        if options.launch_skip > 0 {
            self.pair("--launch-skip", options.launch_skip.to_string());
        }
        if let Some(count) = options.launch_count {
            self.pair("--launch-count", count.to_string());
        }
        // Ranges tell the phase of a launch, also where they select nothing.
        self.word("--nvtx");
        for range in &options.ranges {
            self.pair("--nvtx-include", range);
        }
    }
}

fn too_old(option: &str) -> Missing {
    Missing {
        reason: format!("this ncu does not know {option}"),
        fix: "install a newer Nsight Compute from https://developer.nvidia.com/nsight-compute, or profile without it"
            .to_owned(),
    }
}

/// A path of a report in which `%` means itself: ncu puts process and host in place of `%p` and `%h`.
fn literal(path: &OsStr) -> OsString {
    let bytes = path.as_bytes().iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b'%' { 2 } else { 1 }));
    OsString::from_vec(bytes.collect())
}

#[cfg(test)]
mod tests;
