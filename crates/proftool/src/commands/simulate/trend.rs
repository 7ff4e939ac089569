//! TTFT and TPOT over time: medians of the requests that arrive in a bin.

use polars::prelude::DataFrame;
use proftool_serving::{Outcome, Status};
use proftool_trace::frame::{float_column, int_column, text_column};

use super::cases::Row;
use crate::failure::{Failure, Kind};

/// Bins that a run is cut into, about: their width is 1, 2 or 5 times a power of ten.
const BINS: i64 = 60;

/// Requests that arrive in `[start_ns, end_ns)`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bin {
    start_ns: i64,
    end_ns: i64,
    requests: usize,
    ok: usize,
    ttft_p50_ns: Option<i64>,
    ttft_p99_ns: Option<i64>,
    tpot_p50_ns: Option<i64>,
}

/// The bins of a run, from 0 to its last arrival.
pub(super) fn bins(outcomes: &[Outcome]) -> Vec<Bin> {
    let Some(last_ns) = outcomes.iter().map(|outcome| outcome.arrival_ns).max() else { return Vec::new() };
    let width_ns = nice((last_ns / BINS).max(1));
    let mut parts: Vec<Vec<&Outcome>> = vec![Vec::new(); (last_ns / width_ns) as usize + 1];
    for outcome in outcomes {
        parts[(outcome.arrival_ns / width_ns) as usize].push(outcome);
    }
    parts.iter().zip(0..).map(|(part, at)| bin(part, at * width_ns, width_ns)).collect()
}

fn bin(outcomes: &[&Outcome], start_ns: i64, width_ns: i64) -> Bin {
    let served: Vec<&&Outcome> = outcomes.iter().filter(|outcome| outcome.status == Status::Ok).collect();
    let mut ttft: Vec<i64> =
        served.iter().filter_map(|outcome| Some(outcome.first_token_ns? - outcome.arrival_ns)).collect();
    let each = |outcome: &&&Outcome| {
        let more = i64::from(outcome.output_tokens) - 1;
        (more > 0).then_some((outcome.end_ns - outcome.first_token_ns?) / more.max(1))
    };
    let mut tpot: Vec<i64> = served.iter().filter_map(each).collect();
    Bin {
        start_ns,
        end_ns: start_ns.saturating_add(width_ns),
        requests: outcomes.len(),
        ok: served.len(),
        ttft_p50_ns: rank(&mut ttft, 0.5),
        ttft_p99_ns: rank(&mut ttft, 0.99),
        tpot_p50_ns: rank(&mut tpot, 0.5),
    }
}

/// By the nearest rank.
fn rank(values: &mut [i64], share: f64) -> Option<i64> {
    values.sort_unstable();
    let at = ((share * values.len() as f64).ceil() as usize).max(1) - 1;
    values.get(at).copied()
}

/// The least of 1, 2 and 5 times a power of ten that is not below it.
fn nice(width_ns: i64) -> i64 {
    let power = 10_i64.pow(width_ns.ilog10());
    [1, 2, 5].into_iter().map(|step| step * power).find(|&nice| nice >= width_ns).unwrap_or(power.saturating_mul(10))
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
    use proftool_serving::Tier;

    fn outcome(arrival_ns: i64, ttft_ns: i64) -> Outcome {
        Outcome {
            request: 0,
            arrival_ns,
            first_token_ns: Some(arrival_ns + ttft_ns),
            end_ns: arrival_ns + ttft_ns + 40,
            prompt_tokens: 1,
            output_tokens: 5,
            cached_tokens: 0,
            tier: Tier::Standard,
            prefill_device: None,
            decode_device: None,
            predicted_ttft_ns: 0,
            migrations: 0,
            preemptions: 0,
            status: Status::Ok,
        }
    }

    #[test]
    fn bins_hold_what_arrives_in_them_and_empty_ones_have_no_time() {
        let mut outcomes = vec![outcome(0, 7), outcome(99, 9), outcome(6000, 30)];
        outcomes.push(Outcome { status: Status::Rejected("full"), ..outcome(6001, 5) });
        let found = bins(&outcomes);
        // 6001 / 60 = 100 ns.
        assert_eq!(found.len(), 61);
        let first = Bin {
            start_ns: 0,
            end_ns: 100,
            requests: 2,
            ok: 2,
            ttft_p50_ns: Some(7),
            ttft_p99_ns: Some(9),
            tpot_p50_ns: Some(10),
        };
        assert_eq!(found[0], first);
        assert_eq!((found[1].requests, found[1].ttft_p50_ns), (0, None));
        assert_eq!((found[60].requests, found[60].ok, found[60].ttft_p50_ns), (2, 1, Some(30)));
        assert_eq!(bins(&[]), []);
    }

    #[test]
    fn widths_are_round_and_bars_reach_from_low_to_high() {
        assert_eq!([1, 2, 3, 7, 10, 11, 499].map(nice), [1, 2, 5, 10, 10, 20, 500]);
        let values = [None, Some(0), Some(1), Some(10), Some(100)];
        assert_eq!(values.map(|value| bar(value, (1.0, 100.0))), [' ', '▁', '▁', '▅', '█']);
        assert_eq!(bar(Some(5), (5.0, 5.0)), '▁');
    }
}
