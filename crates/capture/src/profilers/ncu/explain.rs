//! What ncu says when something is wrong, and what mends it.
//!
//! The messages are those of ncu 2022.3 itself and of logs that users of versions up to 2026 published.

use crate::profilers::Severity;

/// What a message means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// A word for it, the same for the same cause.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What happened.
    pub reason: String,
    /// What mends it.
    pub fix: String,
}

/// A message by words that all its wordings have.
struct Cause {
    says: &'static [&'static str],
    code: &'static str,
    severity: Severity,
    reason: &'static str,
    fix: &'static str,
}

const fn cause(says: &'static [&'static str], code: &'static str, reason: &'static str, fix: &'static str) -> Cause {
    Cause { says, code, severity: Severity::Error, reason, fix }
}

/// The special cases of a message come before it.
static CAUSES: &[Cause] = &[
    cause(
        &["permission to access NVIDIA GPU Performance Counters", "vGPU"],
        "no_permission",
        "the host does not let this virtual GPU read performance counters",
        "ask the host's administrator to set enable_profiling=1 for the vGPU's plugin and to give the machine the GPU alone",
    ),
    cause(
        &["ERR_NVGPUCTRPERM"],
        "no_permission",
        "the driver lets only administrators read the GPU's performance counters (ERR_NVGPUCTRPERM)",
        "run it as root (sudo) or with CAP_SYS_ADMIN; or for all users: `echo 'options nvidia \
         NVreg_RestrictProfilingToAdminUsers=0' | sudo tee /etc/modprobe.d/nvidia-profiling.conf`, then `sudo \
         update-initramfs -u` (`sudo dracut --regenerate-all -f` on Red Hat) and restart; in a container: `docker run \
         --cap-add=SYS_ADMIN`, in a pod securityContext.capabilities.add: [SYS_ADMIN]; where the host forbids it nothing \
         inside helps: use --profile timeline. `grep RmProfilingAdminOnly /proc/driver/nvidia/params` prints 0 when it \
         is allowed",
    ),
    cause(
        &["ERR_NVCMPGPU"],
        "unsupported_gpu",
        "crypto mining processors cannot be profiled (ERR_NVCMPGPU)",
        "profile on another GPU",
    ),
    cause(
        &["Profiling is not supported on", "Windows Subsystem for Linux"],
        "unsupported_gpu",
        "this driver does not let ncu profile under the Windows Subsystem for Linux",
        "update Windows 11 and its NVIDIA driver, or profile on a Linux that runs by itself",
    ),
    cause(
        &["Profiling is not supported on", "SLI group"],
        "unsupported_gpu",
        "a GPU of an active SLI group cannot be profiled",
        "take the GPU out of its SLI group in the driver's settings",
    ),
    cause(
        &["Profiling is not supported on"],
        "unsupported_gpu",
        "this version of ncu does not know this GPU",
        "compare it with `ncu --list-chips`; install a newer Nsight Compute from \
         https://developer.nvidia.com/nsight-compute (GPUs before Volta need version 2019.5 or older)",
    ),
    cause(
        &["Unsupported GPU"],
        "unsupported_gpu",
        "this version of ncu does not know this GPU, or not as it is set up",
        "compare it with `ncu --list-chips`; install a newer Nsight Compute from \
         https://developer.nvidia.com/nsight-compute; end SLI",
    ),
    cause(
        &["rotected memory mode"],
        "unsupported_gpu",
        "the GPU is in protected memory mode, in which nothing can be profiled",
        "switch confidential computing off for this GPU",
    ),
    cause(
        &["driver is not compatible with Nsight Compute"],
        "driver_too_old",
        "the driver is too old for this version of ncu",
        "update the driver, or install the Nsight Compute of the driver's CUDA version (`nvidia-smi` prints it) and put it \
         first on PATH",
    ),
    cause(
        &["Insufficient driver version to profile"],
        "driver_too_old",
        "the driver is too old for this version of ncu on this GPU",
        "update the driver, or install the Nsight Compute of the driver's CUDA version (`nvidia-smi` prints it) and put it \
         first on PATH",
    ),
    cause(
        &["Driver could not be loaded"],
        "no_driver",
        "ncu found no NVIDIA driver",
        "install it and see that `nvidia-smi` works; in a container start it with `--gpus all`",
    ),
    cause(
        &["driver resource was unavailable"],
        "counters_in_use",
        "another tool holds the GPU's performance counters: DCGM, another profiler, or a program that uses CUPTI's",
        "`dcgmi profile --pause` before and `dcgmi profile --resume` after, or end the other tool",
    ),
    cause(
        &["Another tool/injection might be loaded"],
        "injection",
        "another tool is injected into the target, so that ncu is not",
        "unset CUDA_INJECTION64_PATH, and profile with one tool a pass",
    ),
    cause(
        &["open/create lock file"],
        "lock_file",
        "the file with which ncu processes wait for each other belongs to another user",
        "set TMPDIR to a folder of your own: `TMPDIR=$HOME/.ncu proftool capture ...`, or ask its owner to remove \
         /tmp/nsight-compute-lock",
    ),
    cause(
        &["Failed to find metric"],
        "unknown_metric",
        "this ncu does not know a metric that was asked for",
        "see `ncu --query-metrics` for those of this GPU; report it, since names are meant to be checked before",
    ),
    cause(
        &["Failed to access the following", "metrics"],
        "unknown_metric",
        "the GPU does not give some metrics that were asked for",
        "profile on one kind of GPU at a time (CUDA_VISIBLE_DEVICES)",
    ),
    cause(
        &["is not supported in range replay"],
        "range_replay",
        "a metric that was asked for cannot be counted over a range",
        "replay kernels, or report it: such metrics are meant to be left out",
    ),
    cause(
        &["Unexpected number of profiled kernels"],
        "replay_differs",
        "the program did not launch the same kernels every time that it was run",
        "fix its seed and its input, or profile with --replay-mode kernel",
    ),
    cause(
        &["Failed to prepare kernel for profiling"],
        "profiling_failed",
        "ncu could not set a kernel up for profiling",
        "use the Nsight Compute of the CUDA version that the program is built with; see that no other profiler runs; and \
         with kernels that wait for each other replay the application or a range",
    ),
    cause(
        &["Unable to write to file"],
        "not_written",
        "ncu could not write its report",
        "free some space, and see that the folder of --artifacts can be written",
    ),
    cause(
        &["Failed to save the report to file"],
        "not_written",
        "ncu could not write its report",
        "free some space, and see that the folder of --artifacts can be written",
    ),
    cause(
        &["Failed to load report file"],
        "unreadable_report",
        "this ncu cannot read the report: it was written by a newer version, or is cut off",
        "print it with the version that wrote it, `ncu --import REPORT --csv --page raw --print-units base > PAGE.csv`, \
         and import the page",
    ),
    cause(
        &["Could not open report file"],
        "unreadable_report",
        "there is no report",
        "see in ncu's log why none was written",
    ),
    cause(
        &["is not an executable"],
        "no_target",
        "ncu cannot start the target",
        "check its name; a script needs its interpreter in front (`-- python serve.py`)",
    ),
    cause(
        &["nrecognised option"],
        "command_line",
        "this ncu does not know an option that it was given",
        "report it with the version of ncu: options are meant to be taken from its own help",
    ),
    cause(
        &["the argument for option", "is invalid"],
        "command_line",
        "this ncu does not know the value of an option that it was given",
        "report it with the version of ncu: options are meant to be taken from its own help",
    ),
];

/// What follows from anything above, or from the target.
static CONSEQUENCES: &[Cause] = &[
    Cause {
        says: &["No kernels were profiled"],
        code: "no_kernels",
        severity: Severity::DataLoss,
        reason: "ncu profiled no kernel: the target launched none, or none that the filters let through",
        fix: "check that the target uses the GPU (a failure before its first kernel looks the same), the kernel filter, \
              the NVTX ranges, and that cuProfilerStart is called where profiling does not begin at the start",
    },
    Cause {
        says: &["No ranges were profiled"],
        code: "no_kernels",
        severity: Severity::DataLoss,
        reason: "ncu profiled no range: the target made none, or none with the names that were asked for",
        fix: "check that the target uses the GPU, that it calls cuProfilerStart and cuProfilerStop, or makes the NVTX \
              ranges under exactly these names",
    },
    Cause {
        says: &["Cannot lock GPU clock frequencies on MIG"],
        code: "clocks_not_locked",
        severity: Severity::Info,
        reason: "ncu could not hold the clocks of a GPU partition: rates of a launch are of different clocks",
        fix: "lock them from outside (`nvidia-smi --lock-gpu-clocks=tdp,tdp`), or let them be free",
    },
];

/// What a text of ncu means, the causes first; nothing where it says nothing of note. A message of ncu that is not known
/// is quoted.
pub fn explain_all(text: &str) -> Vec<Explained> {
    let mut found: Vec<Explained> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("==PROF==")) {
        let Some(cause) = CAUSES.iter().find(|cause| cause.is_in(line)) else { continue };
        if !found.iter().any(|known| known.reason == cause.reason) {
            found.push(cause.explained());
        }
    }
    found.extend(found.is_empty().then(|| unknown(text)).flatten());
    // That nothing was profiled is no news once its cause is known.
    let follows = |one: &&Cause| found.is_empty() || one.severity == Severity::Info;
    let more: Vec<_> =
        CONSEQUENCES.iter().filter(|one| text.lines().any(|line| one.is_in(line))).filter(follows).collect();
    found.extend(more.into_iter().map(Cause::explained));
    found
}

/// The first of [`explain_all`].
pub fn explain(text: &str) -> Option<Explained> {
    explain_all(text).into_iter().next()
}

/// An error that is not in the list. That the application failed is told by its exit code.
fn unknown(text: &str) -> Option<Explained> {
    let errors = text.lines().filter_map(|line| line.trim().strip_prefix("==ERROR=="));
    let of_target = |line: &&str| line.contains("The application returned an error code");
    let quoted: Vec<&str> = errors.map(str::trim).filter(|line| !of_target(line)).take(3).collect();
    (!quoted.is_empty()).then(|| Explained {
        code: "profiler_error",
        severity: Severity::Error,
        reason: format!("ncu reported: {}", shortened(&quoted.join(" | "))),
        fix: "see ncu's log beside its report, and https://docs.nvidia.com/nsight-compute for its messages".to_owned(),
    })
}

/// The last lines of a text as one, for a message.
pub fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" | ");
    if last.is_empty() { "it said nothing".to_owned() } else { shortened(&last) }
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

impl Cause {
    fn is_in(&self, line: &str) -> bool {
        self.says.iter().all(|words| line.contains(words))
    }

    fn explained(&self) -> Explained {
        let Self { code, severity, reason, fix, .. } = self;
        Explained { code, severity: *severity, reason: (*reason).to_owned(), fix: (*fix).to_owned() }
    }
}

#[cfg(test)]
mod tests;
