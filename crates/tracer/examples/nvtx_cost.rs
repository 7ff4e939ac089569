//! What a range costs when the recorder gives it to the NVTX tool too, beside the same range recorded at its end: prints
//! the best and the median of 200 rounds of 1,000 ranges, in ns a range.
//!
//! `cargo run -p proftool-tracer --example nvtx_cost`, and the same executable under
//! `nsys profile -t nvtx --sample=none --cpuctxsw=none`.

use std::hint::black_box;
use std::time::Instant;

use proftool_tracer::nvtx::{self, Payload, RangeName};
use proftool_tracer::{ABSENT, Capacity, Head, Range, Recorder, ThreadBuffer};

const RANGES: usize = 1000;
const ROUNDS: usize = 200;

fn main() {
    let recorder = Recorder::new(Head::default());
    let plain = recorder.range_name("proftool", Some("cost"), "range");
    let recorder = recorder.with_nvtx();
    let tool = recorder.range_name("proftool", Some("cost"), "range");
    // The rounds alternate, so that what else the machine does falls on all alike.
    let (mut ended, mut begun, mut given) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ended.push(round(&recorder, |buffer| at_end(&recorder, buffer)));
        begun.push(round(&recorder, |buffer| begin_end(buffer, &plain)));
        given.push(round(&recorder, |buffer| begin_end(buffer, &tool)));
    }
    let limit = if nvtx::attached() { "attached, limit 1000" } else { "unattached, limit 20" };
    print("recorded at its end", &mut ended);
    print("begin and end, NVTX off", &mut begun);
    print("begin and end, NVTX on", &mut given);
    println!(
        "NVTX on beyond recorded at its end: best {:.1}, median {:.1} ({limit})",
        given[0] - ended[0],
        median(&given) - median(&ended)
    );
}

/// A range as it was recorded before ranges could begin.
#[inline]
fn at_end(recorder: &Recorder, buffer: &mut ThreadBuffer) {
    let (domain, name) = (proftool_tracer::Text::NONE, proftool_tracer::Text::NONE);
    let start_ns = buffer.now_ns();
    let (id, end_ns) = (recorder.next_id(), buffer.now_ns());
    buffer.range(&Range { id, parent: ABSENT, domain, name, start_ns, end_ns, depth: 0 });
}

#[inline]
fn begin_end(buffer: &mut ThreadBuffer, name: &RangeName) {
    let open = buffer.begin_with(black_box(name), Payload::Signed(1));
    buffer.end(open);
}

/// Nanoseconds a range of one round.
fn round(recorder: &Recorder, mut range: impl FnMut(&mut ThreadBuffer)) -> f64 {
    let mut buffer = recorder.thread(0, Capacity { operations: 0, dependencies: 0, calls: 0, ranges: RANGES });
    let start = Instant::now();
    for _ in 0..RANGES {
        range(&mut buffer);
    }
    start.elapsed().as_nanos() as f64 / RANGES as f64
}

/// The median of sorted values.
fn median(costs: &[f64]) -> f64 {
    costs[costs.len() / 2]
}

fn print(what: &str, costs: &mut [f64]) {
    costs.sort_by(f64::total_cmp);
    println!("ns per range, {what}: best {:.1}, median {:.1}", costs[0], median(costs));
}
