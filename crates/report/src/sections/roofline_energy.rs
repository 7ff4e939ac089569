//! Energy by phase: joules a token and a FLOP.

use serde::Serialize;

use super::{Built, listing, top};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

#[derive(Serialize)]
struct Line {
    device: String,
    phase: String,
    metric: String,
    covered: String,
    energy: String,
    power: String,
    constant: String,
    token: String,
    flop: String,
    recoverable: String,
    note: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    listing(report, "roofline_energy", top(report, "roofline_energy", |_| true), line)
}

fn line(row: &Row, own: &str) -> Line {
    let float = |column: &str, unit: &str| {
        format::or_absent(row.float(column), |value| format!("{} {unit}", format::significant(value)))
    };
    // GFLOP a joule are GFLOP/s a watt, in which such numbers are published.
    let flop = row.float("flop_per_joule").map(|rate| format!("{}/J", format::flop(rate)));
    Line {
        device: format!("{own}{}", format::or_absent(row.int("device"), |device| device.to_string())),
        phase: format::plain(row.text("phase").unwrap_or("all")),
        metric: format::name(row.text("metric").unwrap_or("unnamed")),
        covered: format::or_absent(row.float("coverage_ratio"), format::percent),
        energy: float("energy_j", "J"),
        power: float("mean_w", "W"),
        constant: float("constant_w", "W"),
        token: float("joule_per_token", "J"),
        flop: flop.unwrap_or_else(|| format::ABSENT.to_owned()),
        recoverable: float("recoverable_j", "J"),
        note: row.text("reason").map_or_else(|| "-".to_owned(), format::plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn energy_is_shown_a_token_and_a_joule_and_what_is_not_known_is_absent() {
        let row = json!({"device": 0, "phase": "decode", "metric": "GPU power", "energy_j": 42.0, "mean_w": 350.0,
            "joule_per_token": 0.5, "flop_per_joule": 2e11, "reason": "no idle sample"});
        let line = line(&Row::of(row), "optimized: ");
        assert_eq!(
            (line.device.as_str(), line.energy.as_str(), line.power.as_str()),
            ("optimized: 0", "42.0 J", "350 W")
        );
        assert_eq!(
            (line.token.as_str(), line.flop.as_str(), line.constant.as_str()),
            ("0.500 J", "200 GFLOP/J", "n/a")
        );
    }
}
