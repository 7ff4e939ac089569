//! One run of two ranks with every timeline metric, in small numbers that can be added up by hand.

use std::path::Path;

use polars::prelude::Column;
use proftool_trace::artifact::Artifact;
use proftool_trace::frame::{bool_column, float_column, int_column, text_column};

use super::{MS, run_without_metrics, store};

/// A run whose rank 1 comes late into its collectives.
pub(crate) fn timeline(parent: &Path) -> Artifact {
    let artifact = run_without_metrics(parent, "baseline");
    findings(&artifact);
    idle(&artifact);
    steps(&artifact);
    ranges(&artifact);
    critical_path(&artifact);
    bubble_iteration(&artifact);
    copies(&artifact);
    ranks(&artifact);
    collectives(&artifact);
    launch(&artifact);
    calls(&artifact);
    power(&artifact);
    artifact
}

/// A run in which no rule found anything.
pub(crate) fn without_findings(parent: &Path) -> Artifact {
    let artifact = run_without_metrics(parent, "baseline");
    store(&artifact, "findings", vec![ints("place", []), texts("kind", [])]);
    artifact
}

fn texts<const N: usize>(name: &str, values: [&str; N]) -> Column {
    text_column(name, values.map(|value| (!value.is_empty()).then_some(value)))
}

fn ints<const N: usize>(name: &str, values: [i64; N]) -> Column {
    int_column(name, values.map(Some))
}

fn floats<const N: usize>(name: &str, values: [f64; N]) -> Column {
    float_column(name, values.map(Some))
}

fn findings(artifact: &Artifact) {
    let columns = vec![
        ints("place", [1, 2]),
        texts("code", ["host_bound", "low_coverage"]),
        texts("kind", ["time", "data"]),
        texts("severity", ["high", "medium"]),
        texts("title", ["Device 0 waits 30.0 ms for the host.", "One launch in two has no call row."]),
        int_column("size_ns", [Some(30 * MS), None]),
        float_column("size_ratio", [Some(0.3), None]),
        texts("window", ["trace", "trace"]),
        ints("devices", [2, 1]),
        texts("evidence", ["host_wait is 30.0 of 40.0 ms idle.", "coverage is 50.0 %."]),
        texts("row", ["metric idle: device 0, queue null", "metric launch: device 0"]),
        texts("try", ["launch graphs", "trace the runtime API"]),
        texts("limits", ["", "causes of idle time are unsafe"]),
    ];
    store(artifact, "findings", columns);
}

/// Of 100 ms device 0 of rank 0 is idle for 40, of rank 1 for 25.
fn idle(artifact: &Artifact) {
    let columns = vec![
        ints("rank", [0, 1]),
        ints("device", [0, 0]),
        texts("window", ["trace", "trace"]),
        ints("span_ns", [100 * MS; 2]),
        ints("busy_ns", [60 * MS, 75 * MS]),
        ints("idle_ns", [40 * MS, 25 * MS]),
        floats("idle_ratio", [0.4, 0.25]),
        int_column("comm_wait_ns", [Some(5 * MS), None]),
        ints("sync_ns", [2 * MS, 5 * MS]),
        ints("host_wait_ns", [30 * MS, 15 * MS]),
        ints("launch_ns", [3 * MS, 5 * MS]),
        ints("other_ns", [0, 0]),
        floats("coverage_ratio", [1.0, 0.5]),
        texts("classes", ["kernel, copy, set, graph"; 2]),
        bool_column("reliable", [Some(true); 2]),
    ];
    store(artifact, "idle", columns);
    let columns = vec![
        ints("rank", [0, 0]),
        ints("device", [0, 0]),
        texts("window", ["trace", "trace"]),
        ints("place", [1, 2]),
        ints("start_ns", [1_000_000, 60_000_000]),
        ints("length_ns", [20 * MS, 5 * MS]),
        ints("gap_count", [9, 9]),
        texts("cause", ["host_wait", "comm_wait"]),
        ints("host_wait_ns", [19 * MS, 0]),
        ints("comm_wait_ns", [0, 4 * MS]),
        texts("previous", ["gemm<float>|a", "gemm"]),
        texts("next", ["softmax", ""]),
        texts("call", ["cudaMalloc", ""]),
        int_column("call_ns", [Some(18 * MS), None]),
        texts("call_role", ["runs before the launch", "none: the device waited for another queue"]),
        texts("waited_for", ["", "ncclDevKernel_AllReduce"]),
        texts("range", ["forward", ""]),
    ];
    store(artifact, "gaps", columns);
}

/// Eight steps of 12 ms; the first, a warm-up, takes 36.
fn steps(artifact: &Artifact) {
    let span = |step: i64| if step == 0 { 36 * MS } else { 12 * MS };
    let all = |name: &str, value: &dyn Fn(i64) -> i64| int_column(name, (0..8).map(|step| Some(value(step))));
    let same = |name: &str, value: &str| text_column(name, vec![Some(value.to_owned()); 8]);
    let columns = vec![
        all("rank", &|_| 0),
        all("device", &|_| 0),
        same("window", "trace"),
        all("step", &|step| step),
        same("source", "annotation"),
        text_column("state", (0..8).map(|step| Some(if step == 0 { "warm_up" } else { "steady" }))),
        all("span_ns", &span),
        all("busy_ns", &|step| span(step) - 3 * MS),
        all("idle_ns", &|_| 3 * MS),
        float_column("idle_ratio", (0..8).map(|step| Some((3 * MS) as f64 / span(step) as f64))),
        all("compute_ns", &|step| span(step) - 4 * MS),
        all("exposed_comm_ns", &|_| MS),
        all("kernels", &|_| 40),
        same("classes", "kernel, copy, set, graph"),
    ];
    store(artifact, "steps", columns);
}

/// Eight steps around as many forward passes: of the 100 ms that the work of the steps takes 60 are busy, 40 of them with
/// the work of the inner range.
fn ranges(artifact: &Artifact) {
    let columns = vec![
        ints("rank", [0, 0, 1, 0]),
        texts("window", ["trace"; 4]),
        texts("domain", ["", "vendor|lib", "", ""]),
        texts("path", ["step *", "step * > for`ward|<b>", "step *", "load"]),
        int_column("level", [Some(0), Some(1), Some(0), None]),
        ints("instances", [8, 8, 8, 2]),
        ints("total_ns", [90 * MS, 30 * MS, 90 * MS, 70 * MS]),
        ints("projected", [8, 8, 6, 0]),
        ints("projected_ns", [100 * MS, 50 * MS, 80 * MS, 0]),
        ints("busy_ns", [60 * MS, 40 * MS, 75 * MS, 0]),
        ints("idle_ns", [40 * MS, 10 * MS, 5 * MS, 0]),
        float_column("idle_ratio", [Some(0.4), Some(0.2), Some(0.0625), None]),
        ints("exclusive_busy_ns", [20 * MS, 40 * MS, 75 * MS, 0]),
        floats("coverage_ratio", [1.0, 1.0, 0.5, 1.0]),
        texts("classes", ["kernel, copy, set, graph"; 4]),
    ];
    store(artifact, "ranges", columns);
}

/// 20 GB/s of a link of 25 are 80 %; a device copies 2 * 1 TB/s of its 4.
fn copies(artifact: &Artifact) {
    let columns = vec![
        ints("rank", [0, 0, 0]),
        ints("device", [0, 0, 0]),
        texts("window", ["trace"; 3]),
        texts("copy_kind", ["d2d", "h2d", "set"]),
        int_column("src_device", [Some(0), None, None]),
        ints("dst_device", [0, 0, 0]),
        texts("src_memory", ["device", "pageable", ""]),
        texts("dst_memory", ["device"; 3]),
        ints("copies", [10, 8, 3]),
        ints("sized_copies", [10, 8, 0]),
        int_column("bytes", [Some(4_000_000_000), Some(40_000_000), None]),
        ints("total_ns", [4 * MS, 2 * MS, 6_000]),
        float_column("bytes_per_s", [Some(1e12), Some(20e9), None]),
        float_column("roof_ratio", [Some(0.5), Some(0.8), None]),
        texts("roof", ["DRAM, datasheet 4.00 TB/s", "link pcie|x, datasheet 25.0 GB/s one way", ""]),
        texts("finding", ["", "pageable copy", ""]),
        texts("evidence", ["", "8 copies of asynchronous calls on pageable memory (first: activity 3)", ""]),
    ];
    store(artifact, "copies", columns);
}

/// The shares are of the interface: 30 + 10 of 40 ms in the runtime, all of 90 ms in the operating system.
fn calls(artifact: &Artifact) {
    let columns = vec![
        ints("rank", [0, 0, 0]),
        texts("window", ["trace"; 3]),
        texts("api", ["runtime", "runtime", "osrt"]),
        texts("name", ["cudaLaunchKernel", "cudaMemcpyAsync|`x`", "poll"]),
        ints("calls", [320, 8, 3]),
        ints("total_ns", [30 * MS, 10 * MS, 90 * MS]),
        ints("median_ns", [5_000, MS, 30 * MS]),
        floats("time_ratio", [0.75, 0.25, 1.0]),
        int_column("device_idle_ns", [Some(3 * MS), Some(0), None]),
    ];
    store(artifact, "calls", columns);
}

/// Segments that sum to the window: 50 + 20 + 25 + 5 of 100 ms.
fn critical_path(artifact: &Artifact) {
    let columns = vec![
        texts("scope", ["2 ranks"; 4]),
        ints("rank", [0, 1, 0, 0]),
        ints("device", [0; 4]),
        texts("window", ["trace"; 4]),
        ints("span_ns", [100 * MS; 4]),
        texts("segment", ["operation", "operation", "host", "launch"]),
        texts("name", ["gemm", "ncclDevKernel_AllReduce", "forward", "gemm"]),
        texts("class", ["compute", "comm", "", ""]),
        ints("on_path_ns", [50 * MS, 20 * MS, 25 * MS, 5 * MS]),
        floats("on_path_ratio", [0.5, 0.2, 0.25, 0.05]),
        int_column("launches", [Some(40), Some(8), None, None]),
        int_column("total_ns", [Some(55 * MS), Some(30 * MS), None, None]),
        int_column("free_saved_ns", [Some(45 * MS), Some(12 * MS), None, None]),
        int_column("slack_ns", [Some(0), Some(0), None, None]),
        floats("coverage_ratio", [1.0; 4]),
        ints("inferred_edges", [3; 4]),
        ints("dropped_edges", [0; 4]),
    ];
    store(artifact, "critical_path", columns);
}

/// Three iterations of two hosts: compute and the parts sum to 20, 12 and 12 ms.
fn bubble_iteration(artifact: &Artifact) {
    let columns = vec![
        texts("window", ["block 0", "block 0", "block 1"]),
        ints("iteration", [0, 1, 0]),
        texts("state", ["warm_up", "steady", "steady"]),
        ints("capacity_ns", [20 * MS, 12 * MS, 12 * MS]),
        ints("compute_ns", [10 * MS, 9 * MS, 9 * MS]),
        ints("fill_drain_ns", [6 * MS, 0, 0]),
        ints("imbalance_ns", [2 * MS, MS, MS]),
        ints("transfer_ns", [MS, MS, 0]),
        ints("dependency_ns", [MS, MS, 2 * MS]),
        floats("bubble_ratio", [0.5, 0.25, 0.25]),
    ];
    store(artifact, "bubble_iteration", columns);
}

fn ranks(artifact: &Artifact) {
    let columns = vec![
        ints("rank", [0, 1]),
        ints("device", [0, 0]),
        texts("window", ["trace", "trace"]),
        texts("clock", ["wall", "wall"]),
        ints("offset_ns", [0, 137_000]),
        int_column("refined_ns", [None, Some(-400)]),
        int_column("reference_rank", [None, Some(0)]),
        ints("aligned_by", [8, 8]),
        ints("residual_ns", [120, 120]),
        ints("residual_max_ns", [900, 900]),
        ints("span_ns", [100 * MS; 2]),
        ints("compute_ns", [50 * MS, 60 * MS]),
        ints("comm_ns", [30 * MS, 20 * MS]),
        ints("wait_ns", [12 * MS, 2 * MS]),
        ints("collectives", [8, 8]),
        ints("matched", [8, 8]),
        floats("coverage_ratio", [1.0, 1.0]),
        ints("last_count", [1, 7]),
        floats("last_ratio", [0.125, 0.875]),
        ints("late_ns", [2 * MS, 12 * MS]),
        ints("caused_wait_ns", [2 * MS, 12 * MS]),
        ints("step_ns", [12 * MS, 12 * MS]),
    ];
    store(artifact, "ranks", columns);
}

/// An all-reduce of two ranks moves 2(n-1)/n = 1 times its message: 100 MB in 1 ms are 100 GB/s.
fn collectives(artifact: &Artifact) {
    let columns = vec![
        texts("window", ["trace"; 3]),
        texts("operation", ["all_reduce", "all_reduce", "broadcast"]),
        ints("group_size", [2; 3]),
        ints("from_bytes", [1_000_000, 100_000_000, 4_000]),
        ints("to_bytes", [1_000_000, 100_000_000, 4_000]),
        ints("collectives", [4, 4, 1]),
        ints("complete", [4, 4, 0]),
        ints("duration_ns", [60_000, 2 * MS, 20_000]),
        ints("shortest_ns", [50_000, MS, 20_000]),
        int_column("transfer_ns", [Some(50_000), Some(MS), None]),
        texts("time_source", ["transfer", "transfer", "shortest of the ranks seen"]),
        floats("algorithm_bytes_per_s", [20e9, 100e9, 0.2e9]),
        floats("bus_bytes_per_s", [20e9, 100e9, 0.2e9]),
        floats("link_bytes_per_s", [450e9; 3]),
        floats("link_ratio", [20.0 / 450.0, 100.0 / 450.0, 0.2 / 450.0]),
        texts("link", ["link nvlink, datasheet 450.0 GB/s one way"; 3]),
        texts("reason", ["", "", "one rank was not seen"]),
    ];
    store(artifact, "collective_sizes", columns);
    let columns = vec![
        texts("window", ["trace"]),
        texts("operation", ["all_reduce"]),
        ints("bytes", [100_000_000]),
        bool_column("complete", [Some(true)]),
        texts("match", ["sequence"]),
        ints("start_ns", [5_000_000]),
        ints("start_skew_ns", [4 * MS]),
        ints("last_rank", [1]),
        ints("last_device", [0]),
        ints("late_ns", [4 * MS]),
        ints("wait_ns", [4 * MS]),
        ints("transfer_ns", [MS]),
    ];
    store(artifact, "collectives", columns);
}

fn launch(artifact: &Artifact) {
    let columns = vec![
        ints("rank", [0]),
        ints("device", [0]),
        texts("window", ["trace"]),
        texts("name", [""]),
        floats("coverage_ratio", [1.0]),
        ints("launches", [320]),
        ints("api_median_ns", [5_000]),
        ints("api_p99_ns", [19_000]),
        ints("queue_delay_median_ns", [2_000]),
        ints("queue_delay_p99_ns", [40_000]),
        ints("span_ns", [100 * MS]),
        ints("host_wait_ns", [30 * MS]),
        ints("call_ns", [2 * MS]),
        ints("queue_ns", [MS]),
        ints("launch_bound_ns", [32 * MS]),
        floats("launch_bound_ratio", [0.32]),
    ];
    store(artifact, "launch", columns);
    let bins = |name: &str, values: [i64; 3]| ints(name, values);
    let columns = vec![
        bins("rank", [0; 3]),
        bins("device", [0; 3]),
        bins("queue", [7; 3]),
        texts("window", ["trace"; 3]),
        int_column("bin", [None, Some(0), Some(1)]),
        bins("span_ns", [100 * MS, 50 * MS, 50 * MS]),
        bins("launches", [320, 200, 120]),
        bins("max_depth", [12, 12, 4]),
        floats("mean_depth", [4.0, 6.0, 2.0]),
    ];
    store(artifact, "queue_depth", columns);
    let columns = vec![
        bins("rank", [0; 3]),
        bins("device", [0; 3]),
        texts("window", ["trace"; 3]),
        texts("kind", ["bin", "bin", "below"]),
        bins("from_ns", [2048, 262_144, 0]),
        bins("to_ns", [4096, 524_288, 5000]),
        bins("kernels", [80, 240, 80]),
        bins("total_ns", [240_000, 72 * MS, 240_000]),
        floats("kernels_ratio", [0.25, 0.75, 0.25]),
        floats("time_ratio", [0.003, 0.997, 0.003]),
    ];
    store(artifact, "kernel_durations", columns);
    let columns = vec![
        ints("rank", [0, 0]),
        ints("device", [0, 0]),
        texts("window", ["trace", "trace"]),
        texts("class", ["compute", "compute"]),
        texts("rule", ["matrix product", ""]),
        ints("activities", [240, 80]),
        ints("total_ns", [72 * MS, 240_000]),
        floats("time_ratio", [0.997, 0.003]),
        ints("names", [2, 1]),
        texts("largest_name", ["gemm", "my_kernel<T>"]),
    ];
    store(artifact, "classes", columns);
}

/// 600 W for 100 ms are 60 J; for the 50 ms of decode 25 J.
fn power(artifact: &Artifact) {
    let columns = vec![
        ints("rank", [0, 0]),
        ints("device", [0, 0]),
        texts("window", ["trace", "trace"]),
        texts("scope_kind", ["window", "phase"]),
        texts("scope", ["", "decode"]),
        texts("source", ["power_samples"; 2]),
        ints("span_ns", [100 * MS, 50 * MS]),
        floats("coverage_ratio", [1.0, 1.0]),
        floats("energy_j", [60.0, 25.0]),
        floats("energy_ratio", [1.0, 25.0 / 60.0]),
        floats("mean_w", [600.0, 500.0]),
        floats("p95_w", [690.0, 520.0]),
        floats("max_w", [700.0, 530.0]),
        int_column("tokens", [None, Some(2_500)]),
        float_column("joule_per_token", [None, Some(0.01)]),
    ];
    store(artifact, "power", columns);
    let columns = vec![
        ints("rank", [0, 0]),
        ints("device", [0, 0]),
        texts("window", ["trace", "trace"]),
        texts("kind", ["reason", "clock"]),
        texts("name", ["power cap", "compute"]),
        bool_column("slows", [Some(true), None]),
        ints("span_ns", [100 * MS; 2]),
        ints("covered_ns", [100 * MS; 2]),
        floats("coverage_ratio", [1.0; 2]),
        int_column("active_ns", [Some(20 * MS), Some(20 * MS)]),
        floats("active_ratio", [0.2, 0.2]),
        ints("kernels", [60, 60]),
        ints("kernel_ns", [18 * MS; 2]),
        float_column("kernel_mean_hz", [None, Some(1.584e9)]),
        float_column("seen_hz", [None, Some(1.98e9)]),
        float_column("drop_ratio", [None, Some(0.2)]),
        int_column("lost_ns", [None, Some(12 * MS)]),
    ];
    store(artifact, "throttling", columns);
    let columns = vec![
        ints("rank", [0]),
        ints("device", [0]),
        texts("window", ["trace"]),
        texts("metric", ["SMs Active"]),
        texts("unit", ["%"]),
        texts("scope_kind", ["window"]),
        texts("scope", [""]),
        ints("span_ns", [100 * MS]),
        floats("coverage_ratio", [0.99]),
        floats("mean", [41.26]),
        floats("min", [-3.0]),
        floats("p50", [40.0]),
        floats("p95", [88.0]),
        floats("max", [100.0]),
        floats("above_90_ratio", [0.04]),
        texts("issue", ["negative_samples"]),
    ];
    store(artifact, "samples", columns);
}
