//! Numbers as text.

use std::fmt::Write as _;

use proftool_serving::evaluation::{Cell, Difference, Score};

use crate::{Found, LOADS};

/// Mean of a number over seeds.
pub(crate) fn mean(scores: &[Score], of: impl Fn(&Score) -> f64) -> f64 {
    scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64
}

/// Geometric mean over the seeds of the p99 TTFT, in ms; none where a run served nobody.
pub(crate) fn p99_ms(scores: &[Score]) -> Option<f64> {
    let logs: Option<Vec<f64>> =
        scores.iter().map(|score| Some((score.summary.ttft_ns?[2].max(1) as f64).ln())).collect();
    logs.map(|logs| (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp() / 1e6)
}

/// A number with three digits or all before the point.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A difference as a percentage with its interval and what it says of ours; logarithms are turned into ratios.
pub(crate) fn verdict(difference: Option<Difference>, logarithm: bool, ours: bool) -> String {
    let Some(found) = difference else { return "no claim".to_owned() };
    if ours {
        return "ours".to_owned();
    }
    let percent = |value: f64| 100.0 * if logarithm { value.exp_m1() } else { -value };
    let (mean, mut ends) = (percent(found.mean), [percent(found.low), percent(found.high)]);
    ends.sort_by(f64::total_cmp);
    format!("{mean:+.1} [{:+.1}, {:+.1}] {}", ends[0], ends[1], found.verdict().name())
}

/// A row of a table.
pub(crate) fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// The head of a table: the first column is text.
pub(crate) fn head(text: &mut String, names: &[String]) {
    row(text, names.iter().cloned());
    row(text, names.iter().enumerate().map(|(at, _)| if at == 0 { "---".to_owned() } else { "---:".to_owned() }));
}

/// Cells of a load, in the order of the policies.
pub(crate) fn at_load(found: &Found, load: usize) -> &[Cell] {
    let count = found.entries.len();
    &found.comparison.cells[load * count..(load + 1) * count]
}

/// A row for every policy at every load of every case.
pub(crate) fn csv(all: &[Found]) -> String {
    let mut text = "case,load_ratio,load_factor,requests_per_s,policy,seeds,ttft_p50_ms,ttft_p99_ms,ttft_stddev_ms,tpot_p50_ms,tpot_p99_ms,slo_attainment_ratio,goodput_per_dollar,output_tokens_per_s,kv_hit_ratio,migrations,preemptions,log_p99_difference,log_p99_low,log_p99_high,goodput_difference_ratio,goodput_low,goodput_high\n".to_owned();
    for found in all {
        for (load, share) in LOADS.iter().enumerate() {
            for cell in at_load(found, load) {
                let _ = writeln!(text, "{}", line(found, *share, cell));
            }
        }
    }
    text
}

fn line(found: &Found, share: f64, cell: &Cell) -> String {
    let ms = |of: &dyn Fn(&Score) -> f64| format!("{:.4}", mean(&cell.scores, of) / 1e6);
    let plain = |of: &dyn Fn(&Score) -> f64| format!("{:.5}", mean(&cell.scores, of));
    let ttft = |at: usize| move |score: &Score| score.summary.ttft_ns.map_or(f64::NAN, |ttft| ttft[at] as f64);
    let tpot = |at: usize| move |score: &Score| score.summary.tpot_ns.map_or(f64::NAN, |tpot| tpot[at] as f64);
    let ends = |difference: Option<Difference>| match difference {
        Some(found) => [found.mean, found.low, found.high].map(|value| format!("{value:.5}")).join(","),
        None => ",,".to_owned(),
    };
    let fields = [
        format!("\"{}\"", found.case.name),
        format!("{share}"),
        format!("{:.5}", cell.load),
        format!("{:.4}", cell.load * found.rates.own_per_s),
        cell.policy.to_owned(),
        cell.scores.len().to_string(),
        ms(&ttft(0)),
        p99_ms(&cell.scores).map_or(String::new(), |ms| format!("{ms:.4}")),
        ms(&|score| score.summary.ttft_stddev_ns.unwrap_or(f64::NAN)),
        ms(&tpot(0)),
        ms(&tpot(2)),
        plain(&|score| score.summary.slo_attainment_ratio),
        plain(&|score| score.goodput_per_dollar),
        plain(&|score| score.summary.output_tokens_per_s),
        plain(&|score| score.summary.kv_hit_ratio),
        plain(&|score| score.summary.migrations as f64),
        plain(&|score| score.summary.preemptions as f64),
        ends(cell.log_p99_ttft),
        ends(cell.goodput),
    ];
    fields.join(",").replace("NaN", "")
}
