//! TTFT and TPOT over time, in lines for people.

use proftool_serving::{Outcome, Status};

use super::tell::ms;

/// Bins that a run is cut into, about.
const BINS: i64 = 20;

/// A head and a line a bin. A request counts in the bin in which it arrived.
pub(crate) fn lines(target: &str, outcomes: &[Outcome]) -> Vec<String> {
    let arrivals = || outcomes.iter().map(|outcome| outcome.arrival_ns);
    let (Some(first), Some(last)) = (arrivals().min(), arrivals().max()) else { return Vec::new() };
    let width = width(last - first);
    let mut bins: Vec<Vec<&Outcome>> = vec![Vec::new(); ((last - first) / width) as usize + 1];
    for outcome in outcomes {
        bins[((outcome.arrival_ns - first) / width) as usize].push(outcome);
    }
    let head = format!(
        "{target} (simulated), by arrival in bins of {} s:\n{:>10} {:>9} {:>12} {:>12} {:>12}",
        width as f64 / 1e9,
        "from",
        "arrivals",
        "TTFT p50",
        "TTFT p99",
        "TPOT p50"
    );
    let rows = bins.iter().enumerate().map(|(at, bin)| row(at as i64 * width, bin));
    std::iter::once(head).chain(rows).collect()
}

fn row(from_ns: i64, bin: &[&Outcome]) -> String {
    let served = || bin.iter().filter(|outcome| outcome.status == Status::Ok);
    let first = |outcome: &&&Outcome| outcome.first_token_ns.map(|first| first - outcome.arrival_ns);
    let mut ttft: Vec<i64> = served().filter_map(|outcome| first(&outcome)).collect();
    let mut tpot: Vec<i64> = served().filter_map(|outcome| each(outcome)).collect();
    ttft.sort_unstable();
    tpot.sort_unstable();
    let from = format!("{:.1} s", from_ns as f64 / 1e9);
    let cells = [at(&ttft, 0.5), at(&ttft, 0.99), at(&tpot, 0.5)];
    format!("{from:>10} {:>9} {:>12} {:>12} {:>12}", bin.len(), cells[0], cells[1], cells[2])
}

/// Time per output token after the first.
fn each(outcome: &Outcome) -> Option<i64> {
    let more = i64::from(outcome.output_tokens) - 1;
    let first = outcome.first_token_ns.filter(|_| more > 0)?;
    Some((outcome.end_ns - first) / more)
}

/// A percentile by the nearest rank of sorted times.
fn at(times: &[i64], share: f64) -> String {
    let rank = ((share * times.len() as f64).ceil() as usize).max(1) - 1;
    times.get(rank).map_or_else(|| "-".to_owned(), |&ns| ms(ns as f64))
}

/// 1, 2 or 5 times a power of ten in ns, so that there are at most about [`BINS`].
fn width(span_ns: i64) -> i64 {
    let wanted = (span_ns / BINS).max(1);
    let mut power = 1;
    loop {
        if let Some(step) = [1, 2, 5].into_iter().find(|step| step * power >= wanted) {
            return step * power;
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_have_a_round_width_and_are_at_most_about_twenty() {
        assert_eq!([0, 19, 41, 60_000_000_000].map(width), [1, 1, 2, 5_000_000_000]);
        for span in (1..1_000_000).step_by(997) {
            assert!(span / width(span) <= BINS + 1, "{span}");
        }
    }
}
