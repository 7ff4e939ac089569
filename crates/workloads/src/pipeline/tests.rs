//! Small pipelines, run for real.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::config::{Config, Faults, Style};
use super::execution::Execution;
use super::session::Pipeline;
use crate::backend::{Fault, Link};
use crate::{Check, Outputs, Session, compare};

fn small(style: Style) -> Config {
    Config {
        style,
        widths: vec![64, 256, 256, 128, 64],
        sequences: 4,
        prompt_tokens: 8,
        decode_steps: 3,
        stages: 1,
        interleaved: false,
        chunks: 1,
        microbatches: 1,
        decode_microbatches: 1,
        link: Link { bytes_per_s: 1e9, latency: Duration::from_micros(2) },
        seed: 5,
        iterations: 3,
        blocks: 2,
        cores: vec![0],
        device_name: "test".to_owned(),
        arch: "test".to_owned(),
        execution: Execution::default(),
        faults: Faults::default(),
    }
}

/// The real widths with the default parameters on two devices.
pub(super) fn full() -> Config {
    Config {
        widths: vec![1024, 4096, 4096, 2048, 1024],
        stages: 2,
        microbatches: 4,
        sequences: 8,
        prompt_tokens: 32,
        decode_steps: 8,
        link: Link { bytes_per_s: 1e10, latency: Duration::from_micros(2) },
        ..small(Style::Optimized)
    }
}

fn optimized(stages: usize, chunks: usize, microbatches: usize, decode_microbatches: usize) -> Config {
    let cores = (0..stages).map(|device| device % 2).collect();
    Config { stages, chunks, microbatches, decode_microbatches, cores, ..small(Style::Optimized) }
}

/// Outputs and checks of two blocks after a warm-up.
fn run(config: Config) -> (Outputs, Vec<Check>) {
    let blocks = config.blocks;
    let mut pipeline = Pipeline::new(config).expect("the queues start");
    pipeline.warm_up(2).expect("the warm-up runs");
    for _ in 0..blocks {
        let block = pipeline.run_block().expect("the block runs");
        assert_eq!(block.iteration_ns.len(), 2);
        assert!(block.fill_ns > 0 && block.cpu_ns > 0 && block.iteration_ns.iter().all(|ns| *ns >= 0), "{block:?}");
    }
    let checks = pipeline.verify().expect("the reference runs");
    let outputs = pipeline.outputs().clone();
    assert_eq!(trace(pipeline).lost, NOTHING_LOST);
    (outputs, checks)
}

fn passes(checks: &[Check]) -> bool {
    checks.len() == 2 && checks.iter().all(|check| check.values == (8 + 3) * 64 && check.passes())
}

#[test]
fn every_partition_and_schedule_agrees_with_the_baseline_and_the_reference() {
    let (baseline, checks) = run(small(Style::Baseline));
    assert!(passes(&checks), "{checks:?}");
    for (stages, chunks, microbatches, decode_microbatches) in
        [(1, 1, 1, 1), (2, 1, 4, 1), (3, 1, 2, 2), (4, 1, 1, 4), (2, 2, 4, 2), (3, 2, 2, 1), (4, 2, 4, 1)]
    {
        let (outputs, checks) = run(optimized(stages, chunks, microbatches, decode_microbatches));
        let name = format!("{stages} stages, {chunks} chunks, {microbatches} and {decode_microbatches} micro-batches");
        assert!(passes(&checks), "{name}: {checks:?}");
        let check = compare(&outputs, &baseline);
        assert!(check.passes() && check.values == 2 * 3 * (4 * 8 + 3 * 4) * 64, "{name}: {check:?}");
    }
}

#[test]
fn without_decode_steps_only_the_prompts_are_computed() {
    let config = Config { decode_steps: 0, ..optimized(2, 1, 2, 1) };
    let (outputs, checks) = run(config);
    assert!(checks.iter().all(Check::passes), "{checks:?}");
    assert_eq!(outputs.values(), 2 * 3 * 4 * 8 * 64);
}

fn with_faults(style: Style, copy: Fault, forget_wait: bool) -> Vec<Check> {
    let base = if style == Style::Baseline { small(style) } else { optimized(2, 1, 2, 1) };
    run(Config { faults: Faults { copy, forget_wait }, ..base }).1
}

#[test]
fn a_removed_or_corrupted_kv_copy_fails_verification() {
    for style in [Style::Baseline, Style::Optimized] {
        for fault in [Fault::Removed, Fault::Corrupted] {
            let checks = with_faults(style, fault, false);
            assert!(checks.iter().all(|check| !check.passes()), "{style:?} {fault:?}: {checks:?}");
        }
    }
}

/// Far longer than the small pipeline computes.
const DELAY_NS: i64 = 30_000_000;

#[test]
fn a_forgotten_wait_for_a_delayed_kv_copy_fails_verification() {
    let checks = with_faults(Style::Optimized, Fault::Delayed(DELAY_NS), true);
    assert!(checks.iter().any(|check| !check.passes()), "{checks:?}");
}

#[test]
fn a_delayed_kv_copy_with_its_wait_passes_and_takes_its_time() {
    for style in [Style::Baseline, Style::Optimized] {
        let checks = with_faults(style, Fault::Delayed(DELAY_NS), false);
        assert!(passes(&checks), "{style:?}: {checks:?}");
    }
    let faults = Faults { copy: Fault::Delayed(DELAY_NS), forget_wait: false };
    let mut pipeline = Pipeline::new(Config { faults, ..optimized(2, 1, 1, 1) }).expect("the queues start");
    let block = pipeline.run_block().expect("the block runs");
    assert!(block.fill_ns >= DELAY_NS, "{block:?}");
}

const NOTHING_LOST: &str = r#"{"lost":{"operations":0,"dependencies":0,"calls":0,"ranges":0}}"#;

/// What a session wrote: the fields of `docs/host-format.md`.
struct Trace {
    operations: Vec<[i64; 22]>,
    /// Names of the ranges.
    ranges: Vec<String>,
    lost: String,
}

/// Ends the session and reads its file.
fn trace(pipeline: Pipeline) -> Trace {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("proftool-pipeline-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    Box::new(pipeline).finish(&path).expect("the trace is written");
    let bytes = std::fs::read(&path).expect("the trace is readable");
    std::fs::remove_file(&path).expect("the trace is removed");
    let (mut texts, mut trace) =
        (Vec::new(), Trace { operations: Vec::new(), ranges: Vec::new(), lost: String::new() });
    let mut rest = &bytes[16..];
    while !rest.is_empty() {
        let length = i64::from_le_bytes(rest[4..12].try_into().expect("eight bytes")) as usize;
        let (tag, payload) = (&rest[..4], &rest[12..12 + length]);
        match tag {
            b"strs" => texts = serde_json::from_slice::<Vec<String>>(payload).expect("a list of strings"),
            b"oper" => trace.operations.extend(records::<22>(payload)),
            b"rang" => trace.ranges.extend(records::<9>(payload).map(|fields| texts[fields[4] as usize].clone())),
            b"tail" => trace.lost = String::from_utf8_lossy(payload).into_owned(),
            _ => {}
        }
        rest = &rest[12 + length..];
    }
    trace
}

fn records<const N: usize>(payload: &[u8]) -> impl Iterator<Item = [i64; N]> {
    let number = |field: &[u8]| i64::from_le_bytes(field.try_into().expect("eight bytes"));
    payload.chunks_exact(N * 8).map(move |record| std::array::from_fn(|index| number(&record[index * 8..][..8])))
}

#[test]
fn a_long_warm_up_leaves_room_for_the_measured_block_and_only_its_range_is_recorded() {
    for config in [small(Style::Baseline), optimized(2, 1, 2, 1)] {
        let config = Config { iterations: 1, blocks: 1, ..config };
        let operations = super::footprint::operations(&config);
        let mut pipeline = Pipeline::new(config).expect("the queues start");
        pipeline.warm_up(20).expect("the warm-up runs");
        pipeline.run_block().expect("the block runs");
        let trace = trace(pipeline);
        assert_eq!((trace.operations.len() as u64, trace.lost.as_str()), (operations, NOTHING_LOST));
        assert_eq!(trace.ranges, ["warm_up", "block"]);
    }
}

/// Nanoseconds of [start, end) in which none of `others`, which do not overlap each other, runs.
fn uncovered(start_ns: i64, end_ns: i64, others: impl Iterator<Item = (i64, i64)>) -> i64 {
    let covered = others.map(|(from_ns, to_ns)| (to_ns.min(end_ns) - from_ns.max(start_ns)).max(0));
    end_ns - start_ns - covered.sum::<i64>()
}

#[test]
fn a_delayed_kv_copy_is_exposed_in_the_recorded_rows_for_its_delay() {
    const DEVICE: usize = 2;
    const QUEUE: usize = 3;
    const KIND: usize = 4;
    const START: usize = 6;
    const END: usize = 7;
    let faults = Faults { copy: Fault::Delayed(DELAY_NS), forget_wait: false };
    let config = Config { faults, iterations: 1, blocks: 1, ..optimized(2, 1, 1, 1) };
    let mut pipeline = Pipeline::new(config).expect("the queues start");
    pipeline.run_block().expect("the block runs");
    let rows = trace(pipeline).operations;
    let kv: Vec<_> = rows.iter().filter(|row| row[QUEUE] == 2).collect();
    assert_eq!((kv.len(), kv[0][KIND]), (1, 1));
    for device in 0..2 {
        let compute = rows.iter().filter(|row| row[DEVICE] == device && row[QUEUE] == 0);
        let exposed_ns = uncovered(kv[0][START], kv[0][END], compute.map(|row| (row[START], row[END])));
        assert!(exposed_ns >= DELAY_NS && kv[0][END] - kv[0][START] >= exposed_ns, "{exposed_ns}");
    }
}
