//! The instruction roofline: warp instructions under the issue roof and the transaction roofs.

use serde::Serialize;

use super::{Built, listing, top};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

#[derive(Serialize)]
struct Line {
    name: String,
    phase: String,
    device: String,
    launches: String,
    time: String,
    rate: String,
    issue: String,
    intensity: String,
    limiter: String,
    share: String,
    note: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    listing(report, "roofline_instruction", top(report, "roofline_instruction", |_| true), line)
}

fn line(row: &Row, own: &str) -> Line {
    let giga = |value: f64| format!("{} GIPS", format::significant(value / 1e9));
    let intensity = ["dram_intensity", "l2_intensity", "l1_intensity"];
    let intensity = intensity.map(|column| row.float(column).map_or_else(|| "-".to_owned(), format::significant));
    Line {
        name: format::name(row.text("name").unwrap_or("unnamed")),
        phase: format::plain(row.text("phase").unwrap_or("-")),
        device: format!("{own}{}", format::or_absent(row.int("device"), |device| device.to_string())),
        launches: launches(row),
        time: format::or_absent(row.int("time_ns"), format::duration),
        rate: format::or_absent(row.float("instructions_per_s"), giga),
        issue: match (row.float("issue_ratio"), row.float("roof_instructions_per_s")) {
            (Some(ratio), Some(roof)) => format!("{} of {}", format::percent(ratio), giga(roof)),
            _ => format::ABSENT.to_owned(),
        },
        intensity: intensity.join(" / "),
        limiter: limiter(row.text("limiter")),
        share: format::or_absent(row.float("efficiency_ratio"), format::percent),
        note: row.text("reason").map_or_else(|| "-".to_owned(), format::plain),
    }
}

/// `8 of 10` where not all launches have counts.
fn launches(row: &Row) -> String {
    match (row.int("counted_launches"), row.int("launches")) {
        (Some(counted), Some(all)) if counted < all => format!("{} of {}", format::count(counted), format::count(all)),
        (_, all) => format::or_absent(all, format::count),
    }
}

/// `issue`, or `memory (L2)`.
fn limiter(name: Option<&str>) -> String {
    match name {
        Some("issue") => "issue".to_owned(),
        Some(level) => format!("memory ({})", format::plain(level)),
        None => format::ABSENT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kernel_shows_its_share_of_the_issue_roof_and_the_level_that_limits_it() {
        // 244.8 of 489.6 GIPS are a half.
        let row = json!({"name": "gemm", "launches": 10, "counted_launches": 8, "instructions_per_s": 244.8e9,
            "issue_ratio": 0.5, "roof_instructions_per_s": 489.6e9, "dram_intensity": 4.0, "limiter": "L2"});
        let line = line(&Row::of(row), "");
        assert_eq!((line.launches.as_str(), line.issue.as_str()), ("8 of 10", "50.0 % of 490 GIPS"));
        assert_eq!((line.intensity.as_str(), line.limiter.as_str()), ("4.00 / - / -", "memory (L2)"));
    }
}
