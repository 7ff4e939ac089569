//! GPU metrics that a tool sampled while the program ran, by phase: rates without any replay.

use serde::Serialize;

use super::{Built, listing, top_by};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

#[derive(Serialize)]
struct Line {
    device: String,
    phase: String,
    metric: String,
    covered: String,
    mean: String,
    range: String,
    rate: String,
    roof: String,
    note: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    listing(report, "roofline_sampled", top_by(report, "roofline_sampled", |_| true, rank), line)
}

/// What has a rate comes first, then what the analysis knows, then the rest.
fn rank(row: &Row) -> u8 {
    let has_rate = row.float("bytes_per_s").or(row.float("flop_per_s")).is_some();
    match (has_rate, row.text("role")) {
        (true, _) => 0,
        (false, Some(_)) => 1,
        _ => 2,
    }
}

fn line(row: &Row, own: &str) -> Line {
    let (unit, scale) = match row.text("unit").unwrap_or_default() {
        "Hz" => ("GHz", 1e9),
        unit => (unit, 1.0),
    };
    let value = |column: &str| row.float(column).map(|value| format::significant(value / scale));
    let with_unit = |value: String| format::plain(format!("{value} {unit}").trim_end());
    let rate = row.float("bytes_per_s").map(format::bandwidth);
    let rate = rate.or_else(|| row.float("flop_per_s").map(|rate| format!("at most {}", format::flop_rate(rate))));
    let flags = row.text("flags").map(|flags| flags.replace('_', " ").replace(';', ", "));
    let notes: Vec<String> = [flags.as_deref(), row.text("reason")].into_iter().flatten().map(format::plain).collect();
    Line {
        device: format!("{own}{}", format::or_absent(row.int("device"), |device| device.to_string())),
        phase: format::plain(row.text("phase").unwrap_or("all")),
        metric: format::name(row.text("metric").unwrap_or("unnamed")),
        covered: format::or_absent(row.float("coverage_ratio"), format::percent),
        mean: format::or_absent(value("mean"), with_unit),
        range: format::or_absent(value("min").zip(value("max")), |(min, max)| with_unit(format!("{min} to {max}"))),
        rate: rate.unwrap_or_else(|| "-".to_owned()),
        roof: row.text("roof").map_or_else(|| "-".to_owned(), format::plain),
        note: if notes.is_empty() { "-".to_owned() } else { notes.join("; ") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_percentage_shows_its_rate_and_flags_and_an_upper_estimate_says_so() {
        let row = json!({"device": 0, "metric": "DRAM Read", "unit": "%", "mean": 25.0, "min": 0.0, "max": 130.0,
            "bytes_per_s": 1e12, "roof": "datasheet 4.00 TB/s", "flags": "over_100_samples"});
        let shown = line(&Row::of(row), "");
        assert_eq!((shown.mean.as_str(), shown.range.as_str()), ("25.0 %", "0 to 130 %"));
        assert_eq!((shown.rate.as_str(), shown.note.as_str()), ("1.00 TB/s", "over 100 samples"));
        let clock = line(&Row::of(json!({"unit": "Hz", "mean": 1.98e9})), "");
        assert_eq!((clock.mean.as_str(), clock.range.as_str()), ("1.98 GHz", "n/a"));
        let row = Row::of(json!({"role": "matrix_active", "flop_per_s": 5e14}));
        assert_eq!((line(&row, "").rate.as_str(), rank(&row)), ("at most 500 TFLOP/s", 0));
    }
}
