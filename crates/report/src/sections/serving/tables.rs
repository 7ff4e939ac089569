//! The tables of the section, line by line.

use proftool_trace::sampled::BOARD_POWER;
use serde::Serialize;

use crate::format;
use crate::run::{Report, Row, Run};
use crate::views::serving as views;

/// Slowest requests of a run.
const MOST_SLOW: usize = 5;

#[derive(Serialize)]
pub(super) struct Felt {
    group: String,
    requests: String,
    lost: String,
    ttft: String,
    deviation: String,
    tpot: String,
    itl: String,
    e2e: String,
    tokens: String,
    attained: String,
    goodput: String,
    per_dollar: String,
    per_kilojoule: String,
    cached: String,
}

#[derive(Serialize)]
pub(super) struct Balance {
    run: String,
    role: String,
    devices: String,
    idle: String,
    busy: String,
    imbalance: String,
    variation: String,
    requests: String,
    tokens: String,
}

#[derive(Serialize)]
pub(super) struct Settled {
    run: String,
    quantity: String,
    from: String,
    value: String,
    settling: String,
    overshoot: String,
    bin: String,
}

#[derive(Serialize)]
pub(super) struct Predicted {
    run: String,
    group: String,
    requests: String,
    medians: String,
    bias: String,
    error: String,
    within: String,
    wrong: String,
}

#[derive(Serialize)]
pub(super) struct Move {
    run: String,
    devices: String,
    moves: String,
    bytes: String,
    stall: String,
    steps: String,
    gain: String,
}

#[derive(Serialize)]
pub(super) struct Slow {
    request: String,
    ttft: String,
    parts: [String; 5],
    prompt: String,
    device: String,
    predicted: String,
}

fn time(row: &Row, column: &str) -> String {
    format::or_absent(row.int(column), format::duration)
}

/// A column of floats that are nanoseconds.
fn mean(row: &Row, column: &str) -> String {
    format::or_absent(row.float(column), |ns| format::duration(ns.round() as i64))
}

fn count(row: &Row, column: &str) -> String {
    format::or_absent(row.int(column), format::count)
}

fn percent(row: &Row, column: &str) -> String {
    format::or_absent(row.float(column), format::percent)
}

/// A share of requests: all of them are 100 %, all but a few are not.
fn share(row: &Row, column: &str) -> String {
    let nearly = |ratio: f64| ratio < 1.0 && format::percent(ratio) == format::percent(1.0);
    format::or_absent(
        row.float(column),
        |ratio| {
            if nearly(ratio) { "> 99.9 %".to_owned() } else { format::percent(ratio) }
        },
    )
}

fn number(row: &Row, column: &str) -> String {
    format::or_absent(row.float(column), format::significant)
}

fn three(row: &Row, stem: &str) -> String {
    ["p50", "p95", "p99"].map(|percent| time(row, &format!("{stem}_{percent}_ns"))).join(" / ")
}

/// `optimized: ` of a pair.
fn own(report: &Report, run: &Run) -> String {
    if report.is_pair() { format::plain(run.label()) } else { "-".to_owned() }
}

pub(super) fn felt(report: &Report, run: &Run, row: &Row) -> Felt {
    let lost: Vec<String> = ["rejected", "failed", "aborted"]
        .into_iter()
        .filter_map(|status| Some((status, row.int(status).filter(|count| *count > 0)?)))
        .map(|(status, count)| format!("{} {status}", format::count(count)))
        .collect();
    Felt {
        group: format::plain(&views::label(report, run, row)),
        requests: count(row, "requests"),
        lost: if lost.is_empty() { "-".to_owned() } else { lost.join(", ") },
        ttft: three(row, "ttft"),
        deviation: mean(row, "ttft_stddev_ns"),
        tpot: three(row, "tpot"),
        itl: time(row, "itl_p99_ns"),
        e2e: time(row, "e2e_p50_ns"),
        tokens: number(row, "output_tokens_per_s"),
        attained: share(row, "slo_attainment_ratio"),
        goodput: number(row, "goodput_requests_per_s"),
        per_dollar: number(row, "goodput_requests_per_dollar"),
        per_kilojoule: per_kilojoule(row),
        cached: percent(row, "cached_ratio"),
    }
}

/// Whether the energy of a row is that of the most that its devices may draw, and no reading.
pub(super) fn is_at_board_power(row: &Row) -> bool {
    row.text("energy_source").is_some_and(|source| source.split(", ").any(|metric| metric == BOARD_POWER.name))
}

/// Good requests per 1000 J, of board power with the words.
fn per_kilojoule(row: &Row) -> String {
    let words = if is_at_board_power(row) { " at board power" } else { "" };
    let each = |per_joule: f64| format!("{}{words}", format::significant(per_joule * 1000.0));
    format::or_absent(row.float("goodput_requests_per_j"), each)
}

pub(super) fn balance(report: &Report, run: &Run, row: &Row) -> Option<Balance> {
    row.float("busy_mean_ratio")?;
    Some(Balance {
        run: own(report, run),
        role: format::plain(row.text("role")?),
        devices: count(row, "devices"),
        idle: count(row, "idle_devices"),
        busy: format!("{} / {}", percent(row, "busy_mean_ratio"), percent(row, "busy_max_ratio")),
        imbalance: number(row, "imbalance_ratio"),
        variation: number(row, "busy_cv_ratio"),
        requests: number(row, "requests_imbalance_ratio"),
        tokens: number(row, "tokens_imbalance_ratio"),
    })
}

pub(super) fn settled(report: &Report, run: &Run, row: &Row) -> Option<Settled> {
    let from = match row.text("from")? {
        "load_step" => format!(
            "load step at {}: {} to {} requests/s",
            time(row, "from_ns"),
            number(row, "rate_before_per_s"),
            number(row, "rate_after_per_s")
        ),
        _ => "start".to_owned(),
    };
    let policy = row.text("policy").map_or_else(String::new, |policy| format!(", {}", format::plain(policy)));
    Some(Settled {
        run: format!("{}{policy}", own(report, run)),
        quantity: row.text("quantity")?.to_ascii_uppercase(),
        from,
        value: time(row, "final_ns"),
        settling: row.text("reason").map_or_else(
            || time(row, "settling_ns"),
            |reason| format!("n/a ({})", format::plain(reason.split(':').next().unwrap_or(reason))),
        ),
        overshoot: percent(row, "overshoot_ratio"),
        bin: time(row, "bin_ns"),
    })
}

pub(super) fn predicted(report: &Report, run: &Run, row: &Row) -> Option<Predicted> {
    // The tenths of the run that the report is about; the file has all.
    let is_subject = report.subject().is_some_and(|subject| std::ptr::eq(subject, run));
    if row.text("group_kind") == Some("policy") || (row.int("decile").is_some() && !is_subject) {
        return None;
    }
    let group = match (row.int("decile"), row.text("group_kind")) {
        (Some(decile), _) => format!("decile {decile}"),
        (None, Some("all")) => "all".to_owned(),
        _ => row.text("group")?.to_owned(),
    };
    Some(Predicted {
        run: own(report, run),
        group: format::plain(&group),
        requests: count(row, "requests"),
        medians: format!("{} / {}", time(row, "predicted_p50_ns"), time(row, "actual_p50_ns")),
        bias: percent(row, "bias_ratio"),
        error: time(row, "absolute_error_p50_ns"),
        within: ["within_10_ratio", "within_25_ratio", "within_50_ratio"].map(|column| share(row, column)).join(" / "),
        wrong: format!("{} / {}", count(row, "promised_missed"), count(row, "warned_met")),
    })
}

pub(super) fn moved(report: &Report, run: &Run, row: &Row) -> Move {
    let device = |column: &str| format::or_absent(row.int(column), |device| device.to_string());
    let is_all = row.int("from_device").is_none() && row.int("to_device").is_none();
    let gain = row.int("gain_ns").map(|gain| {
        format!("{} ({} of {} moves gained)", format::duration(gain), count(row, "gained"), count(row, "estimated"))
    });
    Move {
        run: own(report, run),
        devices: if is_all {
            "all".to_owned()
        } else {
            format!("{} to {}", device("from_device"), device("to_device"))
        },
        moves: count(row, "moves"),
        bytes: format::or_absent(row.int("bytes"), |bytes| format::bytes(bytes as f64)),
        stall: format!("{} / {}", time(row, "stall_p50_ns"), time(row, "stall_max_ns")),
        steps: format!("{} / {}", mean(row, "step_before_ns"), mean(row, "step_after_ns")),
        gain: gain.unwrap_or_else(|| format::ABSENT.to_owned()),
    }
}

/// The slowest requests of the run that the report is about.
pub(super) fn slowest(report: &Report) -> Vec<Slow> {
    let Some(run) = report.subject() else { return Vec::new() };
    let parts = ["queue", "prefill", "kv", "decode", "host"];
    let line = |row: &Row| Slow {
        request: format::code(row.text("request").unwrap_or_default()),
        ttft: time(row, "ttft_ns"),
        parts: parts.map(|part| time(row, &format!("ttft_{part}_ns"))),
        prompt: format!("{} ({} cached)", count(row, "prompt_tokens"), count(row, "cached_tokens")),
        device: format::or_absent(row.int("prefill_device"), |device| device.to_string()),
        predicted: time(row, "predicted_ttft_ns"),
    };
    views::rows(run, "slowest_requests").into_iter().take(MOST_SLOW).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_read_with_their_units_and_what_was_lost_is_named() {
        let report = Report { runs: Vec::new(), rules: None };
        let row = Row::of(json!({"from": "load_step", "from_ns": 5_000_000_000_i64, "quantity": "ttft",
            "rate_before_per_s": 10.0, "rate_after_per_s": 20.0, "final_ns": 80_000_000, "settling_ns": 3_000_000_000_i64,
            "overshoot_ratio": 0.42, "bin_ns": 1_000_000_000}));
        // A run is only asked for its name in a pair.
        assert_eq!(time(&row, "settling_ns"), "3.00 s");
        assert_eq!(
            (percent(&row, "overshoot_ratio"), number(&row, "rate_after_per_s")),
            ("42.0 %".into(), "20.0".into())
        );
        assert_eq!(three(&Row::of(json!({"ttft_p50_ns": 5, "ttft_p95_ns": 7})), "ttft"), "5.00 ns / 7.00 ns / n/a");
        assert!(slowest(&report).is_empty());
        let energy =
            |source: &str| per_kilojoule(&Row::of(json!({"goodput_requests_per_j": 0.0125, "energy_source": source})));
        assert_eq!((energy("nvml.energy_j"), energy("board_power_w")), ("12.5".into(), "12.5 at board power".into()));
        assert_eq!(per_kilojoule(&Row::default()), "n/a");
        let shares = json!({"all": 1.0, "few": 0.9997, "some": 0.9994, "none": 0.0});
        let shares = ["all", "few", "some", "none", "?"].map(|column| share(&Row::of(shares.clone()), column));
        assert_eq!(shares, ["100.0 %", "> 99.9 %", "99.9 %", "0.0 %", "n/a"]);
    }
}
