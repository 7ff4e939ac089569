//! The command lines of nsys. Pure: what is composed depends on the arguments alone.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::known::Known;
use super::options::{GpuMetrics, Kill, Options, Range, RangeEnd, Sampling, Trace, Wait};

/// A composed command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Program and arguments.
    pub words: Vec<OsString>,
    /// Environment variables, as `NAME=VALUE`, for nsys and the target.
    pub environment: Vec<OsString>,
    /// What was asked for and the version lacks, each as it would stand on the command line.
    pub left_out: Vec<String>,
}

/// The report of a rank in the folder of a pass: `nsys.nsys-rep`, of further ranks `nsys-rank3.nsys-rep`.
///
/// The name is composed here and not by nsys (`%q{OMPI_COMM_WORLD_RANK}`): the variable is another one under each
/// launcher, and absent variables are an error of the tool.
pub fn report(folder: &Path, rank: i64) -> PathBuf {
    folder.join(format!("{}.nsys-rep", stem(rank)))
}

/// The SQLite file beside the report.
pub fn database(folder: &Path, rank: i64) -> PathBuf {
    folder.join(format!("{}.sqlite", stem(rank)))
}

fn stem(rank: i64) -> String {
    if rank == 0 { "nsys".to_owned() } else { format!("nsys-rank{rank}") }
}

/// The line that profiles `target` into [`report`], and what of `options` the version lacks.
///
/// `session` names the session, so that it can be stopped; at most 127 characters, the first a letter. Given one, the
/// tool derives none from the target's name, which fails for names of more than 111 characters (release notes of 2022.4).
pub fn profile(
    nsys: &Path,
    known: &Known,
    options: &Options,
    folder: &Path,
    rank: i64,
    session: &str,
    target: &[OsString],
) -> Line {
    let words = vec![nsys.into(), "profile".into()];
    let mut line = Composer { known, words, environment: Vec::new(), left_out: Vec::new() };
    line.words.push(assign("--output", &escaped(&folder.join(stem(rank)))));
    line.set("--force-overwrite", "true");
    line.set("--session-new", session);
    line.trace(&options.trace);
    line.sampling(options.sampling);
    line.graphs(options);
    line.set("--trace-fork-before-exec", if options.trace_fork_before_exec { "true" } else { "false" });
    line.set("--wait", if options.wait == Wait::All { "all" } else { "primary" });
    line.set("--kill", if options.kill == Kill::None { "none" } else { "sigterm" });
    line.set("--stats", "false");
    line.set("--export", "none");
    line.gpu_metrics(options);
    if options.nic_metrics {
        line.set("--nic-metrics", "true");
    }
    if !options.delay.is_zero() {
        line.set("--delay", &seconds(options.delay));
    }
    if let Some(duration) = options.duration {
        line.set("--duration", &seconds(duration));
    }
    line.range(options);
    line.words.extend_from_slice(&options.extra);
    line.words.extend_from_slice(target);
    Line { words: line.words, environment: line.environment, left_out: line.left_out }
}

/// The line that turns the report into [`database`]. The option names are those of 2022.1 and later.
pub fn export(nsys: &Path, report: &Path, database: &Path) -> Vec<OsString> {
    let words = ["export", "--type=sqlite", "--force-overwrite=true", "--quiet=true"];
    let mut line: Vec<OsString> = vec![nsys.into()];
    line.extend(words.map(OsString::from));
    line.push(assign("--output", database.as_os_str()));
    line.push(report.into());
    line
}

/// The line that ends a session's recording; its report is written as after any run.
pub fn stop(nsys: &Path, session: &str) -> Vec<OsString> {
    vec![nsys.into(), "stop".into(), format!("--session={session}").into()]
}

/// The line that turns an intermediate file of an interrupted run into a report; tool and file must be of one version.
pub fn import(importer: &Path, stream: &Path, report: &Path) -> Vec<OsString> {
    let words: [&OsStr; 5] =
        [importer.as_os_str(), "-i".as_ref(), stream.as_os_str(), "-o".as_ref(), report.as_os_str()];
    words.map(OsStr::to_owned).to_vec()
}

struct Composer<'a> {
    known: &'a Known,
    words: Vec<OsString>,
    environment: Vec<OsString>,
    left_out: Vec<String>,
}

impl Composer<'_> {
    /// Adds `option=value`, or notes that the version lacks the option.
    fn set(&mut self, option: &str, value: &str) {
        let word = format!("{option}={value}");
        if self.known.has(option) { self.words.push(word.into()) } else { self.left_out.push(word) }
    }

    fn trace(&mut self, asked: &[Trace]) {
        let asked = Trace::ALL.into_iter().filter(|trace| asked.contains(trace));
        let (taken, lacking): (Vec<_>, Vec<_>) = asked.partition(|trace| self.known.has(trace.word()));
        self.left_out.extend(lacking.iter().map(|trace| format!("--trace={}", trace.word())));
        let words: Vec<&str> = taken.iter().map(|trace| trace.word()).collect();
        self.set("--trace", if words.is_empty() { "none".to_owned() } else { words.join(",") }.as_str());
    }

    fn sampling(&mut self, sampling: Sampling) {
        let value = match sampling {
            Sampling::None => "none",
            Sampling::ProcessTree => "process-tree",
        };
        self.set("--sample", value);
        self.set("--cpuctxsw", value);
    }

    fn graphs(&mut self, options: &Options) {
        if !options.trace.contains(&Trace::Cuda) {
            return;
        }
        if !options.graph_nodes {
            self.set("--cuda-graph-trace", "graph");
        } else if self.known.has("--cuda-graph-trace") {
            self.set("--cuda-graph-trace", "node");
        }
        // Older versions record nodes and nothing else: nothing is left out.
    }

    fn gpu_metrics(&mut self, options: &Options) {
        let plural = self.known.has("--gpu-metrics-devices");
        let devices = match &options.gpu_metrics {
            GpuMetrics::Off => return,
            GpuMetrics::Visible if self.known.has("cuda-visible") => "cuda-visible".to_owned(),
            GpuMetrics::All | GpuMetrics::Visible => "all".to_owned(),
            GpuMetrics::Devices(numbers) => numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        let option = if plural { "--gpu-metrics-devices" } else { "--gpu-metrics-device" };
        self.words.push(format!("{option}={devices}").into());
        if let Some(hertz) = options.gpu_metrics_hz {
            self.set("--gpu-metrics-frequency", &hertz.clamp(10, 200_000).to_string());
        }
    }

    fn range(&mut self, options: &Options) {
        match &options.range {
            Range::Whole => return,
            Range::Nvtx(range) => {
                self.set("--capture-range", "nvtx");
                self.set("--nvtx-capture", range);
                // Without it only ranges named by registered strings count (user guide of 2022.4.1), and Python's are not.
                self.environment.push("NSYS_NVTX_PROFILER_REGISTER_ONLY=0".into());
            }
            Range::CudaProfiler => self.set("--capture-range", "cudaProfilerApi"),
        }
        let end = match options.range_end {
            RangeEnd::Stop => "stop",
            RangeEnd::StopShutdown => "stop-shutdown",
            RangeEnd::Repeat => "repeat",
        };
        self.set("--capture-range-end", end);
    }
}

/// `option=value` for a value that need not be UTF-8.
fn assign(option: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(option);
    word.push("=");
    word.push(value);
    word
}

/// A path as `--output` wants it: `%` begins a pattern there.
fn escaped(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let bytes = path.as_os_str().as_bytes();
    OsString::from_vec(bytes.iter().flat_map(|byte| vec![*byte; if *byte == b'%' { 2 } else { 1 }]).collect())
}

/// Whole seconds, rounded up: every version takes those, and zero would mean something else.
fn seconds(duration: Duration) -> String {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1).to_string()
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
