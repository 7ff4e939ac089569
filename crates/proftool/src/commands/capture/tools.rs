//! What the user asks of Nsight Systems and Nsight Compute.

use std::ffi::OsString;
use std::time::Duration;

use clap::ValueEnum;
use proftool_capture::profilers::ncu::options::{Caches, Clocks, Replay};
use proftool_capture::profilers::ncu::resolve::Wanted;
use proftool_capture::profilers::nsys::options::{GpuMetrics, Range, RangeEnd, Sampling, Trace};
use proftool_capture::profilers::{Options, ncu, nsys};
use proftool_capture::profiles::Profile;

use super::duration;
use crate::failure::Failure;

const SYSTEMS: &str = "Nsight Systems (--profile timeline, roofline, deep)";
const COMPUTE: &str = "Nsight Compute (--profile roofline, deep)";

/// Options of the tools; each is refused with a preset that does not use its tool.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ToolOptions {
    /// APIs to trace: cuda, nvtx, osrt, cublas, cudnn, mpi, ucx (default: cuda,nvtx,osrt)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = trace, help_heading = SYSTEMS)]
    nsys_trace: Vec<Trace>,
    /// Time before recording starts, in whole seconds
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = SYSTEMS)]
    nsys_delay: Option<Duration>,
    /// Time after which recording stops and the command is asked to end, in whole seconds
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = SYSTEMS)]
    nsys_duration: Option<Duration>,
    /// Record from cudaProfilerStart to cudaProfilerStop (`cudaProfilerApi`), or an NVTX range (`step@*`: in any domain)
    #[arg(long, value_name = "RANGE", help_heading = SYSTEMS)]
    capture_range: Option<String>,
    /// What happens at the end of that range
    #[arg(long, value_name = "WHAT", value_enum, requires = "capture_range", help_heading = SYSTEMS)]
    capture_range_end: Option<RangeEnds>,
    /// Sample GPU counters: all, visible (those that the command sees), or numbers (0,1)
    #[arg(long, value_name = "GPUS", value_parser = gpu_metrics, help_heading = SYSTEMS)]
    gpu_metrics: Option<GpuMetrics>,
    /// Sample the counters of network cards
    #[arg(long, help_heading = SYSTEMS)]
    nic_metrics: bool,
    /// Sample the CPU and record context switches; may hang in a virtual machine without CPU counters
    #[arg(long, help_heading = SYSTEMS)]
    nsys_sample: bool,
    /// A further word of `nsys profile`, passed on as it is (repeatable): --nsys-arg=--cuda-memory-usage=true
    #[arg(long, value_name = "WORD", allow_hyphen_values = true, help_heading = SYSTEMS)]
    nsys_arg: Vec<OsString>,
    /// Kernels to count, a regular expression for their names: --kernel 'gemm|attention'
    #[arg(long, value_name = "REGEX", help_heading = COMPUTE)]
    kernel: Option<String>,
    /// Launches of these kernels to leave out first
    #[arg(long, value_name = "N", help_heading = COMPUTE)]
    launch_skip: Option<u64>,
    /// Launches to count
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = COMPUTE)]
    launch_count: Option<u64>,
    /// Count ranges (cudaProfilerStart to Stop, or --nvtx-range) in place of kernels: kernels that wait for each other
    #[arg(long, conflicts_with = "application_replay", help_heading = COMPUTE)]
    range_replay: bool,
    /// Run the whole command again for each set of counters, in place of each kernel
    #[arg(long, help_heading = COMPUTE)]
    application_replay: bool,
    /// NVTX range whose kernels are counted, as ncu writes it (repeatable): --nvtx-range 'step/'
    #[arg(long, value_name = "RANGE", help_heading = COMPUTE)]
    nvtx_range: Vec<String>,
    /// Clocks while kernels are replayed: held at their base, or as they are (default: base)
    #[arg(long, value_name = "HOW", value_enum, help_heading = COMPUTE)]
    clock_control: Option<ClockControl>,
    /// Caches before each replay: emptied (all), or left as they are (default: all)
    #[arg(long, value_name = "HOW", value_enum, help_heading = COMPUTE)]
    cache_control: Option<CacheControl>,
    /// What is counted: FLOP and bytes; details too; the parts of tensor operations too (default: details)
    #[arg(long, value_name = "SET", value_enum, help_heading = COMPUTE)]
    metrics_set: Option<MetricsSet>,
    /// A further word of ncu, passed on as it is (repeatable): --ncu-arg=--import-source --ncu-arg=yes
    #[arg(long, value_name = "WORD", allow_hyphen_values = true, help_heading = COMPUTE)]
    ncu_arg: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RangeEnds {
    /// Recording stops, the command goes on
    Stop,
    /// Recording stops and the command is asked to end
    StopShutdown,
    /// Each range is recorded
    Repeat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClockControl {
    Base,
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CacheControl {
    All,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MetricsSet {
    Roofline,
    Details,
    All,
}

fn trace(text: &str) -> Result<Trace, String> {
    let known = Trace::ALL.into_iter().find(|trace| trace.word() == text.trim());
    let words = || Trace::ALL.map(Trace::word).join(", ");
    known.ok_or_else(|| format!("nsys traces no API {text:?} (hint: one or more of {}, between commas)", words()))
}

fn gpu_metrics(text: &str) -> Result<GpuMetrics, String> {
    match text {
        "all" => Ok(GpuMetrics::All),
        "visible" => Ok(GpuMetrics::Visible),
        numbers => {
            let numbers: Result<Vec<u32>, _> = numbers.split(',').map(|number| number.trim().parse()).collect();
            numbers.map(GpuMetrics::Devices).map_err(|_| format!("{text:?} names no GPUs (hint: all, visible, or 0,1)"))
        }
    }
}

impl ToolOptions {
    /// What is asked of the tools.
    ///
    /// # Errors
    /// For an option of a tool that the preset does not use.
    pub(super) fn options(&self, profile: &Profile) -> Result<Options, Failure> {
        for (tool, name, given) in
            [("nsys", "Nsight Systems", self.of_nsys()), ("ncu", "Nsight Compute", self.of_ncu())]
        {
            if let Some(option) = given.filter(|_| !profile.uses(tool)) {
                let preset = if tool == "nsys" { "timeline" } else { "roofline" };
                return Err(Failure::usage(format!(
                    "{option} is for {name}, which --profile {} does not use (hint: --profile {preset})",
                    profile.name
                )));
            }
        }
        Ok(Options { nsys: self.nsys(), ncu: self.ncu() })
    }

    fn of_nsys(&self) -> Option<&'static str> {
        first(&[
            ("--nsys-trace", !self.nsys_trace.is_empty()),
            ("--nsys-delay", self.nsys_delay.is_some()),
            ("--nsys-duration", self.nsys_duration.is_some()),
            ("--capture-range", self.capture_range.is_some()),
            ("--gpu-metrics", self.gpu_metrics.is_some()),
            ("--nic-metrics", self.nic_metrics),
            ("--nsys-sample", self.nsys_sample),
            ("--nsys-arg", !self.nsys_arg.is_empty()),
        ])
    }

    fn of_ncu(&self) -> Option<&'static str> {
        first(&[
            ("--kernel", self.kernel.is_some()),
            ("--launch-skip", self.launch_skip.is_some()),
            ("--launch-count", self.launch_count.is_some()),
            ("--range-replay", self.range_replay),
            ("--application-replay", self.application_replay),
            ("--nvtx-range", !self.nvtx_range.is_empty()),
            ("--clock-control", self.clock_control.is_some()),
            ("--cache-control", self.cache_control.is_some()),
            ("--metrics-set", self.metrics_set.is_some()),
            ("--ncu-arg", !self.ncu_arg.is_empty()),
        ])
    }

    fn nsys(&self) -> nsys::Options {
        let default = nsys::Options::default();
        nsys::Options {
            trace: if self.nsys_trace.is_empty() { default.trace.clone() } else { self.nsys_trace.clone() },
            delay: self.nsys_delay.unwrap_or_default(),
            duration: self.nsys_duration,
            range: match self.capture_range.as_deref() {
                None => Range::Whole,
                Some(word) if word.eq_ignore_ascii_case("cudaProfilerApi") => Range::CudaProfiler,
                Some(range) => Range::Nvtx(range.to_owned()),
            },
            range_end: match self.capture_range_end {
                None | Some(RangeEnds::Stop) => RangeEnd::Stop,
                Some(RangeEnds::StopShutdown) => RangeEnd::StopShutdown,
                Some(RangeEnds::Repeat) => RangeEnd::Repeat,
            },
            gpu_metrics: self.gpu_metrics.clone().unwrap_or_default(),
            nic_metrics: self.nic_metrics,
            sampling: if self.nsys_sample { Sampling::ProcessTree } else { Sampling::None },
            extra: self.nsys_arg.clone(),
            ..default
        }
    }

    fn ncu(&self) -> ncu::Options {
        let default = ncu::Options::default();
        let set = self.metrics_set.unwrap_or(MetricsSet::Details);
        ncu::Options {
            replay: match (self.range_replay, self.application_replay) {
                (true, _) => Replay::Range,
                (_, true) => Replay::Application,
                _ => Replay::Kernel,
            },
            clocks: match self.clock_control {
                Some(ClockControl::None) => Clocks::Free,
                _ => Clocks::Base,
            },
            caches: match self.cache_control {
                Some(CacheControl::None) => Caches::Kept,
                _ => Caches::Emptied,
            },
            kernels: self.kernel.clone(),
            launch_skip: self.launch_skip.unwrap_or_default(),
            launch_count: self.launch_count,
            ranges: self.nvtx_range.clone(),
            wanted: Wanted {
                details: set != MetricsSet::Roofline,
                tensor_parts: set == MetricsSet::All,
                ..default.wanted
            },
            extra: self.ncu_arg.clone(),
            ..default
        }
    }
}

fn first(options: &[(&'static str, bool)]) -> Option<&'static str> {
    options.iter().find(|(_, given)| *given).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use proftool_capture::profiles;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        tools: ToolOptions,
    }

    fn asked(words: &[&str], profile: &Profile) -> Result<Options, String> {
        let line = Line::try_parse_from([&["capture"], words].concat()).map_err(|error| error.to_string())?;
        line.tools.options(profile).map_err(|failure| failure.to_string())
    }

    #[test]
    fn without_options_the_tools_get_their_defaults() {
        assert_eq!(asked(&[], &profiles::MINIMAL), Ok(Options::default()));
    }

    #[test]
    fn each_option_reaches_its_tool() {
        let words = ["--nsys-trace", "nvtx,osrt", "--capture-range", "step@*", "--capture-range-end", "repeat"];
        let nsys = asked(&words, &profiles::TIMELINE_PROFILE).expect("taken").nsys;
        assert_eq!((nsys.trace, nsys.range_end), (vec![Trace::Nvtx, Trace::Osrt], RangeEnd::Repeat));
        assert_eq!(nsys.range, Range::Nvtx("step@*".to_owned()));
        let words = ["--kernel", "gemm", "--launch-count", "3", "--clock-control", "none", "--ncu-arg=--verbose"];
        let ncu = asked(&words, &profiles::ROOFLINE).expect("taken").ncu;
        assert_eq!((ncu.kernels.as_deref(), ncu.launch_count, ncu.clocks), (Some("gemm"), Some(3), Clocks::Free));
        assert_eq!(ncu.extra, ["--verbose"]);
    }

    #[test]
    fn an_option_of_a_tool_that_the_preset_does_not_use_is_refused() {
        let error = asked(&["--kernel", "gemm"], &profiles::TIMELINE_PROFILE).expect_err("refused");
        assert!(error.contains("--kernel") && error.contains("--profile roofline"), "{error}");
        let error = asked(&["--nsys-delay", "3s"], &profiles::MINIMAL).expect_err("refused");
        assert!(error.contains("--nsys-delay") && error.contains("--profile timeline"), "{error}");
        assert!(asked(&["--nsys-trace", "dns"], &profiles::TIMELINE_PROFILE).expect_err("unknown").contains("hint"));
        assert!(asked(&["--capture-range-end", "stop"], &profiles::TIMELINE_PROFILE).is_err());
    }
}
