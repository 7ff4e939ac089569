//! CPU seconds of a critical path over graphs of 10^4 to 10^6 operations: `cargo run --example graph -p
//! proftool-timeline --release`. Each kernel has a call; 8 queues wait for each other now and then.

use std::io::Write;
use std::time::Instant;

use proftool_timeline::graph::{Anchor, Edge, Graph, Kind, Operation};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "operations   edges  build_s  path_s  slack_s  20_free_s")?;
    for count in [10_000, 100_000, 1_000_000, 4_000_000] {
        let (operations, edges) = schedule(count);
        let begin = Instant::now();
        let graph = Graph::new(&operations, &edges);
        let build = begin.elapsed();
        let view = graph.view((i64::MIN, i64::MAX));
        let begin = Instant::now();
        let pieces = view.path().len();
        let path = begin.elapsed();
        let begin = Instant::now();
        let critical = view.slack().iter().filter(|slack| **slack == Some(0)).count();
        let slack = begin.elapsed();
        let begin = Instant::now();
        let saved: i64 =
            (0..20).filter_map(|family| Some(view.end()? - view.end_without(|number| number % 20 == family)?)).sum();
        let free = begin.elapsed();
        let [build, path, slack, free] = [build, path, slack, free].map(|time| time.as_secs_f64());
        writeln!(out, "{count:10} {:7} {build:8.3} {path:7.3} {slack:8.3} {free:10.3}", graph.edges())?;
        assert!(pieces > 0 && critical > 0 && saved > 0, "the schedule has a path");
    }
    Ok(())
}

/// Calls (even numbers) one after the other, each launching a kernel (odd numbers) on one of 8 queues.
fn schedule(count: u32) -> (Vec<Operation>, Vec<Edge>) {
    const QUEUES: u32 = 8;
    let (mut operations, mut edges) = (Vec::new(), Vec::new());
    let edge = |from, to, kind| Edge { from, to, kind, anchor: Anchor::End };
    let (mut host, mut ends) = (0_i64, [0_i64; QUEUES as usize]);
    for at in 0..count / 2 {
        let (call, kernel, queue) = (2 * at, 2 * at + 1, (at % QUEUES) as usize);
        let length = i64::from(at % 13) + 2;
        let waits = at % 7 == 6;
        let other = if waits { ends[(queue + 7) % 8] } else { 0 };
        let start = (host + length + 3).max(ends[queue] + 1).max(other);
        operations.push(Operation { span: (host, host + length), work: false });
        operations.push(Operation { span: (start, start + 20 + i64::from(at % 31)), work: true });
        host += length;
        ends[queue] = operations[kernel as usize].span.1;
        edges.push(edge(call, kernel, Kind::Launch));
        edges.extend(call.checked_sub(2).map(|before| edge(before, call, Kind::Host)));
        edges.extend(kernel.checked_sub(2 * QUEUES).map(|before| edge(before, kernel, Kind::Queue)));
        edges.extend(kernel.checked_sub(2).filter(|_| waits).map(|before| edge(before, kernel, Kind::Event)));
    }
    (operations, edges)
}
