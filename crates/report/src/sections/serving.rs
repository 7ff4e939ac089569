//! What users felt: latencies and their parts, goodput, how evenly devices worked, what the router predicted.

mod tables;

use serde::Serialize;

use super::{Built, Picture};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};
use crate::views::{serving as views, serving_distribution as distribution};
use tables::{Balance, Felt, Move, Predicted, Settled, Slow};

#[derive(Serialize)]
struct Values {
    simulated: &'static str,
    said: Vec<String>,
    felt: Vec<Felt>,
    energy: bool,
    at_board_power: bool,
    more: Option<String>,
    split: Option<String>,
    time: Option<String>,
    distribution: Option<String>,
    devices: Vec<String>,
    balance: Vec<Balance>,
    settled: Vec<Settled>,
    predicted: Vec<Predicted>,
    moves: Vec<Move>,
    slow: Vec<Slow>,
    slow_of: String,
}

/// Rows of the first table: all requests of each run, and the largest groups.
const MOST_GROUPS: usize = 16;

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    if report.runs.iter().all(|run| run.metric("serving").is_empty()) {
        return Ok(None);
    }
    let mut pictures = Vec::new();
    let mut add = |file: String, svg: Option<String>| {
        svg.map(|svg| {
            pictures.push(Picture { file: file.clone(), svg });
            file
        })
    };
    let split = add("ttft_split.svg".to_owned(), views::split(report).map(|chart| chart.render()));
    let time = add("serving_time.svg".to_owned(), views::over_time(report).map(|chart| chart.render()));
    let distribution =
        add("serving_distribution.svg".to_owned(), distribution::chart(report).map(|chart| chart.render()));
    let device = |run: &Run| views::devices(report, run).map(|chart| chart.render());
    let devices = report
        .runs
        .iter()
        .filter_map(|run| add(format!("device_load{}.svg", report.suffix(run)), device(run)))
        .collect();
    let mut felt: Vec<Felt> = of_runs(report, "serving", |report, run, row| Some(tables::felt(report, run, row)));
    let more = felt.len().saturating_sub(MOST_GROUPS);
    felt.truncate(MOST_GROUPS);
    let whole = || report.runs.iter().flat_map(|run| views::rows(run, "serving"));
    let values = Values {
        simulated: views::simulated(report),
        said: report.runs.iter().filter_map(|run| said(report, run)).collect(),
        felt,
        energy: whole().any(|row| row.float("goodput_requests_per_j").is_some()),
        at_board_power: whole()
            .any(|row| row.float("goodput_requests_per_j").is_some() && tables::is_at_board_power(row)),
        more: (more > 0).then(|| format!("{more} more groups in `metrics/serving.parquet`.")),
        split,
        time,
        distribution,
        devices,
        balance: of_runs(report, "load_balance", tables::balance),
        settled: of_runs(report, "settling", tables::settled),
        predicted: of_runs(report, "calibration", tables::predicted),
        moves: of_runs(report, "migrations", |report, run, row| Some(tables::moved(report, run, row))),
        slow: tables::slowest(report),
        slow_of: report
            .subject()
            .filter(|_| report.is_pair())
            .map_or_else(String::new, |run| format!(" of {}", format::plain(run.label()))),
    };
    Built::new("serving", &values, pictures).map(Some)
}

/// The lines of a table from the rows of a metric, run after run.
fn of_runs<L>(report: &Report, metric: &str, line: impl Fn(&Report, &Run, &Row) -> Option<L>) -> Vec<L> {
    let of_run = |run| views::rows(run, metric).into_iter().map(move |row| (run, row));
    report.runs.iter().flat_map(of_run).filter_map(|(run, row)| line(report, run, row)).collect()
}

/// What the numbers of a run rest on.
fn said(report: &Report, run: &Run) -> Option<String> {
    let rows = views::rows(run, "serving");
    let row = rows.first()?;
    let own = if report.is_pair() { format!("{}: ", format::plain(run.label())) } else { String::new() };
    let itl = match row.text("itl_source") {
        Some("tokens") => "; ITL: gaps between streamed chunks",
        Some("steps") => "; ITL: batch steps weighted by their decoding requests",
        _ => "",
    };
    let split = row.int("split_requests").filter(|count| *count > 0).map_or_else(
        || "; no stages of requests are logged, so TTFT is not split".to_owned(),
        |count| format!("; TTFT is split for {}", format::count(count)),
    );
    let split = if row.int("ttft_requests") == Some(0) { String::new() } else { split };
    let passes: std::collections::BTreeSet<_> =
        run.metric("serving").iter().filter_map(|row| row.text("pass")).collect();
    let others = passes.len().saturating_sub(1);
    let others =
        if others > 0 { format!("; {others} more passes in `metrics/serving.parquet`") } else { String::new() };
    Some(format!(
        "{own}pass {}, {} requests{}{split}{itl}{others}.",
        format::code(row.text("pass").unwrap_or_default()),
        format::or_absent(row.int("requests"), format::count),
        row.int("span_ns").map_or_else(String::new, |span| format!(
            " in {} from the first arrival to the last end",
            format::duration(span)
        )),
    ))
}
