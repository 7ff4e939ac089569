use super::*;

fn codes(text: &str) -> Vec<&'static str> {
    explain_all(text).into_iter().map(|explained| explained.code).collect()
}

/// Messages as ncu prints them: those of 2022.3 from its program and its runs, the others from published logs.
const MESSAGES: &[(&str, &str)] = &[
    (
        "no_permission",
        "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters on the \
         target device 0. For instructions on enabling permissions and to get more information see \
         https://developer.nvidia.com/ERR_NVGPUCTRPERM",
    ),
    (
        "no_permission",
        "==ERROR== Error: ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters \
         on the target device 0.",
    ),
    (
        "no_permission",
        "==ERROR== The user does not have permission to access NVIDIA GPU Performance Counters on the target vGPU device 0.",
    ),
    (
        "unsupported_gpu",
        "==ERROR== Profiling is not supported on device 0. To find out supported GPUs refer --list-chips option.",
    ),
    ("unsupported_gpu", "==ERROR== Profiling is not supported on this device as it is part of an active SLI group."),
    (
        "unsupported_gpu",
        "==ERROR== Profiling is not supported on device 0 as it uses the Windows Subsystem for Linux (WSL).",
    ),
    ("unsupported_gpu", "==ERROR== Unsupported GPU"),
    (
        "unsupported_gpu",
        "==ERROR== Protected memory mode detected. Nsight Compute does not support protected memory mode.",
    ),
    ("driver_too_old", "==ERROR== Cuda driver is not compatible with Nsight Compute."),
    ("driver_too_old", "==ERROR== Insufficient driver version to profile on device 0."),
    ("no_driver", "==ERROR== Driver could not be loaded."),
    (
        "counters_in_use",
        "==ERROR== An error was reported by the driver:\n==ERROR== Profiling failed because a driver resource was \
         unavailable. Ensure that no other tool (like DCGM) is concurrently collecting profiling data. See \
         https://docs.nvidia.com/nsight-compute/ProfilingGuide/index.html#faq for more details.",
    ),
    (
        "injection",
        "==ERROR== Another tool/injection might be loaded since CUDA_INJECTION64_PATH is set to x.so. To run Nsight \
         Compute unset CUDA_INJECTION64_PATH environment variable.",
    ),
    (
        "lock_file",
        "==ERROR== Failed to open/create lock file /tmp/nsight-compute-lock. Please check that this process has write \
         permissions on this file.",
    ),
    ("unknown_metric", "==ERROR== Failed to find metric regex:^flop_count_sp\\.(sum|min|max|avg|pct|ratio|max_rate)$"),
    ("unknown_metric", "==ERROR== Failed to access the following 8 metrics: nvlrx__bytes.sum, nvltx__bytes.sum"),
    (
        "replay_differs",
        "==ERROR== Unexpected number of profiled kernels. Application replay requires that the execution, combined with \
         selected filters, guarantees a consistent set of kernels in all passes.",
    ),
    (
        "profiling_failed",
        "==ERROR== Failed to prepare kernel for profiling\n==ERROR== Unknown Error on device 0.\n==ERROR== Failed to \
         profile \"const:\" in process 62\n==ERROR== The application returned an error code (9).\n==WARNING== No kernels \
         were profiled.",
    ),
    (
        "not_written",
        "==ERROR== Unable to write to file a.ncu-rep. Please verify this file is not locked, and writable.",
    ),
    ("unreadable_report", "==ERROR== Failed to load report file 'report.2025.3.ncu-rep'."),
    ("unreadable_report", "==ERROR== Could not open report file 'nothere.ncu-rep'."),
    (
        "no_target",
        "==ERROR== 'nothere' does not exist or is not an executable. Please make sure to specify the absolute path to \
         'nothere' if the executable is not in the local directory.",
    ),
    ("command_line", "unrecognised option '--nonsense'\n\nUse --help for further details."),
    ("command_line", "the argument for option '--replay-mode' is invalid\n\nUse --help for further details."),
    (
        "no_kernels",
        "==WARNING== No kernels were profiled.\n==WARNING== Profiling kernels launched by child processes requires the \
         --target-processes all option.",
    ),
    (
        "no_kernels",
        "==WARNING== No ranges were profiled.\n==WARNING== Profiling ranges launched by child processes requires the \
         --target-processes all option.",
    ),
    (
        "range_replay",
        "==ERROR== Metric smsp__sass_thread_inst_executed_op_ffma_pred_on.sum is not supported in range replay.",
    ),
    (
        "clocks_not_locked",
        "==WARNING== Cannot lock GPU clock frequencies on MIG! Try locking the clocks externally (e.g. using 'nvidia-smi \
         --lock-gpu-clocks=tdp,tdp') or profile without fixed frequencies (see '--clock-control').",
    ),
];

#[test]
fn every_real_message_has_one_cause_and_a_fix() {
    for (code, text) in MESSAGES {
        let all = explain_all(text);
        assert_eq!(all.iter().map(|one| one.code).collect::<Vec<_>>(), [*code], "{text}");
        assert!(!all[0].reason.is_empty() && all[0].fix.len() > 10 && !all[0].fix.contains("  "), "{:?}", all[0]);
    }
    for cause in CAUSES.iter().chain(CONSEQUENCES) {
        let shown =
            MESSAGES.iter().any(|(code, text)| *code == cause.code && text.lines().any(|line| cause.is_in(line)));
        // Of these the program names the words only.
        let untested = ["ERR_NVCMPGPU", "Failed to save the report to file"];
        assert!(shown || untested.contains(&cause.says[0]), "no message for {:?}", cause.says);
    }
}

#[test]
fn a_missing_permission_is_told_with_the_commands_that_give_it() {
    let explained = explain(MESSAGES[0].1).unwrap();
    for part in ["NVreg_RestrictProfilingToAdminUsers=0", "/etc/modprobe.d/", "CAP_SYS_ADMIN", "--cap-add=SYS_ADMIN"] {
        assert!(explained.fix.contains(part), "{}", explained.fix);
    }
    assert!(explain(MESSAGES[2].1).unwrap().fix.contains("enable_profiling"), "a virtual GPU needs another");
}

#[test]
fn that_nothing_was_profiled_is_told_only_without_its_cause() {
    let log = "==PROF== Connected to process 26 (/work/app)\n==ERROR== ERR_NVGPUCTRPERM - The user ...\n==PROF== \
               Disconnected from process 26\n==WARNING== No kernels were profiled.\n";
    assert_eq!(codes(log), ["no_permission"]);
    let failed = "==ERROR== The application returned an error code (3).\n==WARNING== No kernels were profiled.\n";
    assert_eq!(codes(failed), ["no_kernels"], "its exit code tells that the target failed");
}

#[test]
fn errors_that_are_not_known_are_quoted_and_words_of_other_programs_are_not() {
    let explained = explain("==ERROR== Something new.\n==ERROR== And more.\n").unwrap();
    assert_eq!(
        (explained.code, explained.reason.as_str()),
        ("profiler_error", "ncu reported: Something new. | And more.")
    );
    assert!(explain_all("hello\n==PROF== Profiling \"a\" - 0: 0%....50%....100% - 9 passes\n").is_empty());
    assert!(explain_all("").is_empty());
}

#[test]
fn last_words_are_short() {
    assert_eq!(last_words(" a \n\nb\nc\nd\n"), "b | c | d");
    assert_eq!((last_words("\n"), last_words(&"x".repeat(900)).len()), ("it said nothing".to_owned(), 300));
}
