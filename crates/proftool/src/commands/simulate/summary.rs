//! One row a case: what users felt.

use polars::prelude::DataFrame;
use proftool_serving::Summary;
use proftool_trace::frame::{float_column, int_column, text_column};

use super::cases::Row;
use crate::failure::{Failure, Kind};

/// What a table for people shows.
pub(super) const COLUMNS: &[&str] = &[
    "policy",
    "load",
    "ttft_p50_ns",
    "ttft_p99_ns",
    "ttft_stddev_ns",
    "tpot_p50_ns",
    "tpot_p99_ns",
    "output_tokens_per_s",
    "slo_attainment_ratio",
    "kv_hit_ratio",
    "rejected",
    "failed",
    "migrations",
];

/// The rows as a frame.
pub(super) fn frame(rows: &[Row]) -> Result<DataFrame, Failure> {
    let int = |name, of: fn(&Row) -> i64| int_column(name, rows.iter().map(|row| Some(of(row))));
    let float = |name, of: fn(&Row) -> f64| float_column(name, rows.iter().map(|row| Some(of(row))));
    let maybe = |name, of: fn(&Row) -> Option<f64>| float_column(name, rows.iter().map(of));
    let percentile = |name, times: fn(&Summary) -> Option<[i64; 3]>, at: usize| {
        int_column(name, rows.iter().map(|row| times(&row.summary).map(|times| times[at])))
    };
    let ttft: fn(&Summary) -> Option<[i64; 3]> = |summary| summary.ttft_ns;
    let tpot: fn(&Summary) -> Option<[i64; 3]> = |summary| summary.tpot_ns;
    let e2e: fn(&Summary) -> Option<[i64; 3]> = |summary| summary.e2e_ns;
    let deviation = rows.iter().map(|row| row.summary.ttft_stddev_ns.map(|ns| ns as i64));
    let columns = vec![
        text_column("policy", rows.iter().map(|row| Some(row.policy))),
        float("load", |row| row.load),
        int("seed", |row| row.seed as i64),
        int("requests", |row| row.requests as i64),
        int("ok", |row| row.summary.ok as i64),
        int("rejected", |row| row.summary.rejected as i64),
        int("failed", |row| row.summary.failed as i64),
        percentile("ttft_p50_ns", ttft, 0),
        percentile("ttft_p95_ns", ttft, 1),
        percentile("ttft_p99_ns", ttft, 2),
        int_column("ttft_stddev_ns", deviation),
        percentile("tpot_p50_ns", tpot, 0),
        percentile("tpot_p95_ns", tpot, 1),
        percentile("tpot_p99_ns", tpot, 2),
        percentile("e2e_p50_ns", e2e, 0),
        percentile("e2e_p95_ns", e2e, 1),
        percentile("e2e_p99_ns", e2e, 2),
        float("output_tokens_per_s", |row| row.summary.output_tokens_per_s),
        float("goodput_requests_per_s", |row| row.summary.goodput_requests_per_s),
        float("slo_attainment_ratio", |row| row.summary.slo_attainment_ratio),
        maybe("goodput_requests_per_dollar", |row| over(row, row.dollars)),
        maybe("goodput_requests_per_joule", |row| over(row, row.joules?)),
        maybe("predicted_ttft_ratio", |row| row.summary.predicted_ttft_ratio),
        maybe("imbalance_ratio", |row| row.imbalance_ratio),
        float("kv_hit_ratio", |row| row.summary.kv_hit_ratio),
        int("migrations", |row| row.summary.migrations as i64),
        int("preemptions", |row| row.summary.preemptions as i64),
    ];
    DataFrame::new(rows.len(), columns).map_err(|error| Failure::new(Kind::Bug, error))
}

/// Requests that met every SLO over what was spent; none where nothing is known to be.
fn over(row: &Row, spent: f64) -> Option<f64> {
    (spent > 0.0).then(|| row.summary.good as f64 / spent)
}
