//! What recording costs: the best and the median of 200 rounds of 10,000 records of each kind, in ns a record, and of the
//! clock reads that an operation needs anyway. `cargo run -p proftool-tracer --example record_cost`

use std::hint::black_box;
use std::time::Instant;

use proftool_tracer::{
    ABSENT, Api, Call, Capacity, CopyKind, Dependency, DependencyKind, Head, Operation, OperationKind, Recorder, Text,
    ThreadBuffer,
};

const RECORDS: usize = 10_000;
const ROUNDS: usize = 200;

fn main() {
    // The rounds alternate, so that what else the machine does falls on all alike.
    let (mut clock, mut operations, mut calls, mut dependencies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        clock.push(round(none(), |_, buffer, _| {
            black_box(buffer.now_ns());
            black_box(buffer.now_ns());
        }));
        operations.push(round(Capacity { operations: RECORDS, ..none() }, operation));
        calls.push(round(Capacity { calls: RECORDS, ..none() }, call));
        dependencies.push(round(Capacity { dependencies: RECORDS, ..none() }, depend));
    }
    print("two clock reads", "", clock);
    print("operation", " (limit 100)", operations);
    print("call", "", calls);
    print("dependency", "", dependencies);
}

/// What records are made of.
struct Session {
    recorder: Recorder,
    texts: [Text; 3],
}

fn none() -> Capacity {
    Capacity { operations: 0, dependencies: 0, calls: 0, ranges: 0 }
}

/// An operation as a queue's thread records it: every field, a clock read at each end, one identifier.
#[inline]
fn operation(session: &Session, buffer: &mut ThreadBuffer, step: i64) {
    let Session { recorder, texts: [name, phase, precision] } = session;
    let start_ns = buffer.now_ns();
    let end_ns = buffer.now_ns();
    buffer.operation(&Operation {
        id: recorder.next_id(),
        device: 1,
        queue: 2,
        kind: OperationKind::Copy,
        name: *name,
        start_ns,
        end_ns,
        call: black_box(step),
        bytes: 4096,
        copy_kind: Some(CopyKind::PeerToPeer),
        src_device: 0,
        dst_device: 1,
        simulated: true,
        step,
        phase: *phase,
        stage: 1,
        micro_batch: 2,
        rows: 32,
        flop: 1 << 20,
        dram_bytes: 1 << 16,
        precision: *precision,
    });
}

/// A call as the host's thread records it, the same reads and identifier included.
#[inline]
fn call(session: &Session, buffer: &mut ThreadBuffer, step: i64) {
    let (id, start_ns) = (session.recorder.next_id(), buffer.now_ns());
    let end_ns = buffer.now_ns();
    let (api, name, target_event) = (Api::Runtime, session.texts[0], ABSENT);
    buffer.call(&Call { id, api, name, start_ns, end_ns, device: 0, queue: black_box(step), target_event });
}

/// A dependency has no time and no identifier.
#[inline]
fn depend(_: &Session, buffer: &mut ThreadBuffer, step: i64) {
    let depends_on = black_box(step);
    buffer.dependency(&Dependency { activity: step + 1, depends_on, kind: DependencyKind::Data, inferred: false });
}

/// Nanoseconds a record of one round, in a session of its own: a recorder keeps what it was given.
fn round(room: Capacity, mut record: impl FnMut(&Session, &mut ThreadBuffer, i64)) -> f64 {
    let recorder = Recorder::new(Head::default());
    let texts = ["gemm", "prefill", "f32"].map(|text| recorder.intern(text));
    let mut buffer = recorder.thread(0, room);
    let session = Session { recorder, texts };
    let start = Instant::now();
    for step in 0..RECORDS as i64 {
        record(&session, &mut buffer, step);
    }
    let elapsed = start.elapsed();
    assert_eq!(buffer.lost(), 0, "a record that is dropped costs less");
    elapsed.as_nanos() as f64 / RECORDS as f64
}

fn print(what: &str, limit: &str, mut costs: Vec<f64>) {
    costs.sort_by(f64::total_cmp);
    println!("ns per {what}: best {:.1}, median {:.1}{limit}", costs[0], costs[costs.len() / 2]);
}
