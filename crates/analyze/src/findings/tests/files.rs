//! What is found in recordings of others; each statement was judged by eye against the tables.

use super::*;
use crate::fixture::shared_data;

/// Each file with the codes, in the order of the findings.
const FILES: &[(&str, &[&str])] = &[
    ("kineto/a100_alexnet.json.gz", &["long_gaps", "pageable_copy"]),
    ("kineto/a100_nccl_world2.json.gz", &["host_bound", "long_gaps", "exposed_comm", "kernel_gaps"]),
    ("kineto/cuda_event_sync_multi_stream.json.gz", &["long_gaps"]),
    ("kineto/h100_qwen_0.5b.json.gz", &["kernel_gaps", "host_bound"]),
    ("kineto/mi250_minitoy_train.json.gz", &["long_gaps", "host_bound"]),
    ("kineto/mi300x_sglang_prefilldecode.json.gz", &["long_gaps", "critical_path_kernel"]),
    ("kineto/mi300x_vllm_piecewise_graph.json.gz", &["one_kernel_dominates"]),
    ("kineto/sampled_rank-0_of_128.json.gz", &["long_gaps", "exposed_comm", "kernel_gaps", "host_bound"]),
    (
        "kineto/v100_train_216k_events.json.gz",
        &["host_bound", "exposed_comm", "small_kernels", "long_gaps", "kernel_gaps", "exposed_copy"],
    ),
    (
        "nsys/a100_cloverleaf.schema3.13.sqlite",
        &["host_bound", "small_kernels", "sync_memcpy", "long_gaps", "sync_bound"],
    ),
    ("nsys/a100_saxpy.schema2.9.sqlite", &["long_gaps", "sync_memcpy"]),
    ("nsys/gh200_jacobi.schema3.6.sqlite", &["host_bound", "one_kernel_dominates"]),
    ("nsys/gh200_gpu_metrics.schema3.7.sqlite.gz", &["host_bound", "one_kernel_dominates"]),
    (
        "nsys/h100x2_train_after.schema3.25.sqlite",
        &["host_bound", "exposed_comm", "long_gaps", "kernel_gaps", "exposed_copy", "one_kernel_dominates"],
    ),
    (
        "nsys/h100x2_train_before.schema3.25.sqlite",
        &[
            "host_bound",
            "exposed_comm",
            "straggler_rank",
            "long_gaps",
            "kernel_gaps",
            "exposed_copy",
            "one_kernel_dominates",
        ],
    ),
    ("nsys/rtx3080_min.schema3.24.sqlite", &["long_gaps"]),
    (
        "nsys/v100_p2p_nvlink.schema3.0.sqlite",
        &["long_gaps", "sync_memcpy", "sync_bound", "host_bound", "one_kernel_dominates"],
    ),
    ("nsys/v100_single_gpu.schema3.0.sqlite", &["sync_memcpy", "one_kernel_dominates"]),
    (
        "nsys/v100_staged_host.schema3.0.sqlite",
        &["long_gaps", "sync_memcpy", "sync_bound", "p2p_not_used", "host_bound", "one_kernel_dominates"],
    ),
];

#[test]
fn real_files_have_the_findings_that_were_judged_true() {
    let (mut wrong, mut text) = (false, Vec::new());
    for (file, expected) in FILES {
        let Some(path) = shared_data(file) else { return };
        let (_, tables) = proftool_import::into_memory(&path).unwrap();
        let all = found(&Given { tables, manifest: None });
        wrong |= all.iter().map(|one| one.code).ne(expected.iter().copied());
        let lines = all.iter().map(|one| {
            format!("{} {} {:?}\n   {}\n   {}\n", one.code, one.severity.name(), one.size_ns, one.title, one.evidence)
        });
        text.push(format!("{file}, expected {expected:?}\n{}", lines.collect::<String>()));
    }
    assert!(!wrong, "{}", text.concat());
}
