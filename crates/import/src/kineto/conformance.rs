//! Values recomputed from the imported tables, equal to those of an independent program to the nanosecond.
//!
//! `../shared/golden/exact_ns` holds what a short script computes straight from the JSON; the classes below are its own.

use std::collections::BTreeMap;
use std::path::Path;

use proftool_trace::frame::{Tables, ints, texts};
use proftool_trace::tables::{ACTIVITIES, CALLS};
use serde_json::{Value, json};

use crate::driver::into_memory;
use crate::fixture::{shared_data, shared_golden};
use proftool_timeline::operators::{Span, intersect, total, union};

struct Gpu {
    span: Span,
    name: String,
    call: Option<usize>,
}

/// Work of the devices: synchronisation is none.
fn work(tables: &Tables) -> Vec<Gpu> {
    let frame = tables.get(&ACTIVITIES);
    let column = |name| ints(frame, name).unwrap();
    let (starts, ends, calls) = (column("start_ns"), column("end_ns"), column("call"));
    let (kinds, names) = (texts(frame, "kind").unwrap(), texts(frame, "name").unwrap());
    let row = |at: usize| Gpu {
        span: (starts[at].unwrap(), ends[at].unwrap()),
        name: names[at].clone().unwrap(),
        call: calls[at].map(|call| call as usize),
    };
    (0..frame.height()).filter(|at| kinds[*at].as_deref() != Some("sync")).map(row).collect()
}

fn class(name: &str) -> usize {
    let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    if begins(&["nccl", "hip", "hccl"]) || name.contains("ncclKernel") {
        1
    } else if begins(&["Memcpy", "Memset", "dma"]) {
        2
    } else {
        0
    }
}

fn recomputed(tables: &Tables) -> Value {
    let gpu = work(tables);
    let mut spans: [Vec<Span>; 3] = Default::default();
    for row in &gpu {
        spans[class(&row.name)].push(row.span);
    }
    let [compute, comm, memory] = spans.map(|spans| union(&spans));
    let all = union(&gpu.iter().map(|row| row.span).collect::<Vec<_>>());
    let (span, busy) = (all.last().unwrap().1 - all[0].0, total(&all));
    let mut lengths: Vec<i64> = gpu.iter().map(|row| row.span.1 - row.span.0).collect();
    lengths.sort_unstable();
    let both = total(&intersect(&compute, &comm));
    json!({
        "n_gpu": gpu.len(),
        "span_ns": span,
        "busy_ns": busy,
        "idle_ns": span - busy,
        "comp_ns": total(&compute),
        "comm_ns": total(&comm),
        "mem_ns": total(&memory),
        "comp_and_comm_ns": both,
        "comp_and_mem_ns": total(&intersect(&compute, &memory)),
        "comm_and_mem_ns": total(&intersect(&comm, &memory)),
        "exposed_comm_ns": total(&comm) - both,
        "sum_kernel_ns": lengths.iter().sum::<i64>(),
        "kernels_le_3us": lengths.iter().filter(|length| **length <= 3000).count(),
        "median_kernel_ns": lengths[lengths.len() / 2],
        "gpu_rows_without_runtime_match": gpu.iter().filter(|row| row.call.is_none()).count(),
        "launch_delay_ns": delays(tables, &gpu),
        "gpu_rows_by_launch_api": by_api(tables, &gpu),
    })
}

/// From the end of the launching call to the start of the work.
fn delays(tables: &Tables, gpu: &[Gpu]) -> Value {
    let ends = ints(tables.get(&CALLS), "end_ns").unwrap();
    let delays: Vec<i64> = gpu.iter().filter_map(|row| Some(row.span.0 - ends[row.call?]?)).collect();
    json!({
        "n": delays.len(),
        "n_neg": delays.iter().filter(|delay| **delay < 0).count(),
        "sum_clipped": delays.iter().map(|delay| (*delay).max(0)).sum::<i64>(),
    })
}

fn by_api(tables: &Tables, gpu: &[Gpu]) -> Value {
    let names = texts(tables.get(&CALLS), "name").unwrap();
    let mut counts = BTreeMap::new();
    for row in gpu {
        let name = row.call.map_or("<none>", |call| names[call].as_deref().unwrap());
        *counts.entry(name.to_owned()).or_insert(0) += 1;
    }
    json!(counts)
}

fn compare(name: &str) {
    let (Some(data), Some(golden)) =
        (shared_data(&format!("kineto/{name}.json.gz")), shared_golden(&format!("exact_ns/{name}.json")))
    else {
        return;
    };
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let found = recomputed(&tables(&data));
    for (key, value) in found.as_object().unwrap() {
        assert_eq!(*value, golden[key], "{name}: {key}");
    }
}

fn tables(path: &Path) -> Tables {
    into_memory(path).unwrap().1
}

#[test]
fn a100_alexnet_is_equal_to_the_nanosecond() {
    compare("a100_alexnet");
}

#[test]
fn a100_nccl_world2_is_equal_to_the_nanosecond() {
    compare("a100_nccl_world2");
}

#[test]
fn h100_qwen_is_equal_to_the_nanosecond() {
    compare("h100_qwen_0.5b");
}

#[test]
fn mi300x_sglang_is_equal_to_the_nanosecond() {
    compare("mi300x_sglang_prefilldecode");
}

#[test]
fn mi300x_vllm_is_equal_to_the_nanosecond() {
    compare("mi300x_vllm_piecewise_graph");
}

#[test]
fn v100_train_is_equal_to_the_nanosecond() {
    compare("v100_train_216k_events");
}
