//! What one recorded operation costs, with all fields and both clock reads: prints the best and the median of 200
//! rounds of 10,000 operations. `cargo run -p proftool-tracer --example record_cost`

use std::hint::black_box;
use std::time::Instant;

use proftool_tracer::{Capacity, CopyKind, Head, Operation, OperationKind, Recorder};

const OPERATIONS: usize = 10_000;

fn main() {
    let mut costs: Vec<f64> = (0..200).map(|_| round()).collect();
    costs.sort_by(f64::total_cmp);
    println!("ns per operation: best {:.1}, median {:.1} (limit 100)", costs[0], costs[costs.len() / 2]);
}

/// Nanoseconds an operation of one round.
fn round() -> f64 {
    let recorder = Recorder::new(Head::default());
    let (name, phase, precision) = (recorder.intern("gemm"), recorder.intern("prefill"), recorder.intern("f32"));
    let mut buffer = recorder.thread(0, Capacity { operations: OPERATIONS, dependencies: 0, calls: 0, ranges: 0 });
    let start = Instant::now();
    for step in 0..OPERATIONS as i64 {
        let start_ns = buffer.now_ns();
        let end_ns = buffer.now_ns();
        buffer.operation(&Operation {
            id: recorder.next_id(),
            device: 1,
            queue: 2,
            kind: OperationKind::Copy,
            name,
            start_ns,
            end_ns,
            call: black_box(step),
            bytes: 4096,
            copy_kind: Some(CopyKind::PeerToPeer),
            src_device: 0,
            dst_device: 1,
            simulated: true,
            step,
            phase,
            stage: 1,
            micro_batch: 2,
            rows: 32,
            flop: 1 << 20,
            dram_bytes: 1 << 16,
            precision,
        });
    }
    start.elapsed().as_nanos() as f64 / OPERATIONS as f64
}
