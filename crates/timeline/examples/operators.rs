//! How long the interval operators take: `operators union|gaps|intersect|depth|generate N [sorted|shuffled]`.
//!
//! Generates N intervals, always the same, applies one operator and prints how many spans came out and a checksum over
//! them. `generate` applies none: the time of the other modes less its time is the operator's own. Nothing is measured
//! here; a benchmark script runs it under a clock of CPU time.

use std::process::ExitCode;

use proftool_timeline::operators::{Span, depth, intersect, into_gaps, into_union};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mode, count, order) = match words[..] {
        [mode, count] => (mode, count.parse(), "shuffled"),
        [mode, count, order] => (mode, count.parse(), order),
        _ => return usage(),
    };
    let (Ok(count), "sorted" | "shuffled") = (count, order) else { return usage() };
    let Some(spans) = apply(mode, count, order == "sorted") else { return usage() };
    println!("{mode} {count} {order}: {} spans, checksum {:016x}", spans.len(), checksum(&spans));
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: operators union|gaps|intersect|depth|generate N [sorted|shuffled]");
    ExitCode::FAILURE
}

/// What the mode leaves of the intervals, in the order in which it returns them.
fn apply(mode: &str, count: usize, sorted: bool) -> Option<Vec<Span>> {
    let spans = intervals(count, sorted);
    Some(match mode {
        "generate" => spans,
        "union" => into_union(spans),
        "gaps" => {
            let set = into_union(spans);
            let extent = (set.first()?.0, set.last()?.1);
            into_gaps(set, extent)
        }
        // Every other interval against the rest, so that as many are handled as in the other modes.
        "intersect" => {
            let half = |from: usize| into_union(spans.iter().skip(from).step_by(2).copied().collect());
            intersect(&half(0), &half(1))
        }
        "depth" => depth(&spans).into_iter().map(|((start, end), count)| (start, end + count as i64)).collect(),
        _ => return None,
    })
}

/// Kernels as a trace holds them: one begins each 4 us on average and takes up to 6 us, so that they overlap and leave
/// gaps; about half of the intervals are spans of their own in the union.
fn intervals(count: usize, sorted: bool) -> Vec<Span> {
    const STEP_NS: u64 = 4_000;
    const LONGEST_NS: u64 = 6_000;
    // Knuth's multiplier and increment for 64 bits; the high bits are the good ones.
    let mut state: u64 = 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let extent = (count as u64).max(1) * STEP_NS;
    let span = |at: usize| {
        let start = if sorted { at as u64 * STEP_NS + next() % STEP_NS } else { (next() << 31 | next()) % extent };
        (start as i64, (start + next() % LONGEST_NS) as i64)
    };
    (0..count).map(span).collect()
}

/// FNV-1a over the words, which any change of a span or of their order changes.
fn checksum(spans: &[Span]) -> u64 {
    let words = spans.iter().flat_map(|span| [span.0 as u64, span.1 as u64]);
    words.fold(0xcbf2_9ce4_8422_2325, |sum, word| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3))
}
