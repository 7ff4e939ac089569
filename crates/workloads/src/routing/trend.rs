//! TTFT and TPOT over time, in lines for people.

use proftool_serving::{Bin, Outcome};

use super::tell::ms;

/// Bins that a run is cut into, about.
const BINS: i64 = 20;

/// A head and a line a bin. A request counts in the bin in which it arrived.
pub(crate) fn lines(target: &str, outcomes: &[Outcome]) -> Vec<String> {
    let bins = proftool_serving::trend(outcomes, BINS);
    let Some(first) = bins.first() else { return Vec::new() };
    let head = format!(
        "{target} (simulated), by arrival in bins of {} s:\n{:>10} {:>9} {:>12} {:>12} {:>12}",
        (first.end_ns - first.start_ns) as f64 / 1e9,
        "from",
        "arrivals",
        "TTFT p50",
        "TTFT p99",
        "TPOT p50"
    );
    std::iter::once(head).chain(bins.iter().map(row)).collect()
}

fn row(bin: &Bin) -> String {
    let from = format!("{:.1} s", bin.start_ns as f64 / 1e9);
    let cells = [bin.ttft_p50_ns, bin.ttft_p99_ns, bin.tpot_p50_ns];
    let [ttft, most, tpot] = cells.map(|time| time.map_or_else(|| "-".to_owned(), |ns| ms(ns as f64)));
    format!("{from:>10} {:>9} {ttft:>12} {most:>12} {tpot:>12}", bin.requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_without_requests_has_no_times() {
        let bin = Bin {
            start_ns: 500_000_000,
            end_ns: 1_000_000_000,
            requests: 0,
            ok: 0,
            ttft_p50_ns: None,
            ttft_p99_ns: Some(1_500_000),
            tpot_p50_ns: None,
        };
        assert_eq!(row(&bin), "     0.5 s         0            -      1.50 ms            -");
        assert_eq!(lines("t", &[]), [""; 0]);
    }
}
