//! TTFT and TPOT over time: medians of the requests that arrive in a bin.

use polars::prelude::DataFrame;
use proftool_serving::{Bin, Outcome, trend};
use proftool_trace::frame::{float_column, int_column, text_column};

use super::cases::Row;
use crate::failure::{Failure, Kind};

/// Bins that a run is cut into, about.
const BINS: i64 = 60;

/// The bins of a run.
pub(super) fn bins(outcomes: &[Outcome]) -> Vec<Bin> {
    trend(outcomes, BINS)
}

/// A row a case and bin.
pub(super) fn frame(rows: &[Row]) -> Result<DataFrame, Failure> {
    let all: Vec<(&Row, &Bin)> = rows.iter().flat_map(|row| row.trend.iter().map(move |bin| (row, bin))).collect();
    let int = |name, of: fn(&Row, &Bin) -> Option<i64>| int_column(name, all.iter().map(|(row, bin)| of(row, bin)));
    let columns = vec![
        text_column("policy", all.iter().map(|(row, _)| Some(row.policy))),
        float_column("load", all.iter().map(|(row, _)| Some(row.load))),
        int("seed", |row, _| Some(row.seed as i64)),
        int("start_ns", |_, bin| Some(bin.start_ns)),
        int("end_ns", |_, bin| Some(bin.end_ns)),
        int("requests", |_, bin| Some(bin.requests as i64)),
        int("ok", |_, bin| Some(bin.ok as i64)),
        int("ttft_p50_ns", |_, bin| bin.ttft_p50_ns),
        int("ttft_p99_ns", |_, bin| bin.ttft_p99_ns),
        int("tpot_p50_ns", |_, bin| bin.tpot_p50_ns),
    ];
    DataFrame::new(all.len(), columns).map_err(|error| Failure::new(Kind::Bug, error))
}

/// Two lines a policy and load, of the first seed: medians over time, on one logarithmic scale for all.
pub(super) fn drawn(rows: &[Row]) -> Vec<String> {
    type Of = fn(&Bin) -> Option<i64>;
    let quantities: [(&str, Of); 2] = [("TTFT", |bin| bin.ttft_p50_ns), ("TPOT", |bin| bin.tpot_p50_ns)];
    let first = rows.first().map(|row| row.seed);
    let rows: Vec<&Row> = rows.iter().filter(|row| Some(row.seed) == first).collect();
    let longest = rows.iter().map(|row| row.policy.len()).max().unwrap_or_default();
    let width = rows.iter().filter_map(|row| row.trend.first()).map(|bin| bin.end_ns - bin.start_ns).max();
    let width_s = width.unwrap_or_default() as f64 / 1e9;
    let mut lines = Vec::new();
    for (name, of) in quantities {
        let values = || rows.iter().flat_map(|row| &row.trend).filter_map(of);
        let scale = (values().min().unwrap_or(1).max(1) as f64, values().max().unwrap_or(1).max(1) as f64);
        let (least_ms, most_ms) = (scale.0 / 1e6, scale.1 / 1e6);
        lines.push(format!("{name}, median of every {width_s} s: {least_ms:.1} to {most_ms:.1} ms, logarithmic"));
        lines.extend(rows.iter().map(|row| {
            let line: String = row.trend.iter().map(|bin| bar(of(bin), scale)).collect();
            format!("  {:longest$}  load {}  {line}", row.policy, row.load)
        }));
    }
    lines
}

/// The least is the lowest bar, the largest the highest.
fn bar(value: Option<i64>, (least, most): (f64, f64)) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let place = |value: i64| (value.max(1) as f64 / least).ln() / (most / least).ln().max(f64::MIN_POSITIVE);
    value.map_or(' ', |value| BARS[((place(value) * 8.0) as usize).min(7)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_reach_from_low_to_high() {
        let values = [None, Some(0), Some(1), Some(10), Some(100)];
        assert_eq!(values.map(|value| bar(value, (1.0, 100.0))), [' ', '▁', '▁', '▅', '█']);
        assert_eq!(bar(Some(5), (5.0, 5.0)), '▁');
    }
}
