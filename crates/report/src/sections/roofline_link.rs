//! The communication roofline: copies, collectives and KV transfers under the links that carry them.

use serde::Serialize;

use super::{Built, own, top};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

#[derive(Serialize)]
struct Values {
    rows: Vec<Line>,
    more: Option<String>,
    sums: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    device: String,
    kind: String,
    launches: String,
    bytes: String,
    wire: String,
    time: String,
    rate: String,
    roof: String,
    share: String,
    reason: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let is_sum = |row: &Row| row.text("kind") == Some("all");
    let all = top(report, "roofline_link", |row| !is_sum(row));
    let sums = top(report, "roofline_link", is_sum);
    if all.rows.is_empty() && sums.rows.is_empty() {
        return Ok(None);
    }
    let rows = all.rows.iter().map(|(run, row)| line(row, &own(report, run))).collect();
    let sums = sums.rows.iter().filter_map(|(run, row)| total(row, &own(report, run))).collect();
    Built::new("roofline_link", &Values { rows, more: all.more, sums }, Vec::new()).map(Some)
}

fn line(row: &Row, own: &str) -> Line {
    let size = |column: &str| format::or_absent(row.int(column), |bytes| format::bytes(bytes as f64));
    let device = |column: &str| row.int(column).map(|number| number.to_string());
    let ends = device("src_device").zip(device("dst_device")).map(|(from, to)| format!(" {from} to {to}"));
    let group = row.int("group_size").map(|ranks| format!(" of {ranks} ranks"));
    let kind = format::plain(row.text("kind").unwrap_or("unknown"));
    Line {
        device: format!("{own}{}", format::or_absent(row.int("device"), |device| device.to_string())),
        kind: [Some(kind), ends, group].into_iter().flatten().collect(),
        launches: format::or_absent(row.int("launches"), format::count),
        bytes: size("bytes"),
        wire: size("wire_bytes"),
        time: format::or_absent(row.int("time_ns"), format::duration),
        rate: format::or_absent(row.float("wire_bytes_per_s"), format::bandwidth),
        roof: roof(row),
        share: format::or_absent(row.float("roof_ratio"), format::percent),
        reason: row.text("reason").map_or_else(|| "-".to_owned(), format::plain),
    }
}

/// Value and name of the ceiling.
fn roof(row: &Row) -> String {
    let value = row.float("roof_bytes_per_s").map(format::bandwidth);
    // What stands after a colon is why it is the one.
    let name = row.text("roof").map(|name| format!("({})", format::plain(name.split(": ").next().unwrap_or(name))));
    let parts: Vec<String> = [value, name].into_iter().flatten().collect();
    if parts.is_empty() { format::ABSENT.to_owned() } else { parts.join(" ") }
}

/// What computing and transferring need at least together; none where the bounds are not known.
fn total(row: &Row, own: &str) -> Option<String> {
    let time = |column: &str| row.int(column).map(format::duration);
    let (least, most) = (time("lower_bound_ns")?, time("upper_bound_ns")?);
    let device = format::or_absent(row.int("device"), |device| device.to_string());
    let limiter =
        row.text("limiter").map_or_else(String::new, |limiter| format!(", set by {}", format::plain(limiter)));
    let busy = time("busy_ns").map_or_else(String::new, |busy| format!("; it was busy for {busy}"));
    let covered = |column: &str, what: &str| {
        let ratio = row.float(column).filter(|ratio| *ratio < 0.9995)?;
        Some(format!("only {} of the {what} time has a bound", format::percent(ratio)))
    };
    let parts = [covered("compute_coverage_ratio", "compute"), covered("link_coverage_ratio", "transfer")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let partial = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    Some(format!(
        "{own}device {device}: compute and transfers need {least}{limiter} where they overlap perfectly, {most} one after \
         the other{busy}{partial}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_transfer_names_its_ends_and_its_ceiling_without_the_reason() {
        let row = json!({"kind": "p2p", "src_device": 0, "dst_device": 1, "device": 0, "wire_bytes": 3_000_000,
            "roof_bytes_per_s": 25e9, "roof": "link v100, datasheet 25.0 GB/s: one direction", "roof_ratio": 0.5});
        let line = line(&Row::of(row), "");
        assert_eq!((line.kind.as_str(), line.wire.as_str()), ("p2p 0 to 1", "3.00 MB"));
        assert_eq!((line.roof.as_str(), line.share.as_str()), ("25.0 GB/s (link v100, datasheet 25.0 GB/s)", "50.0 %"));
    }

    #[test]
    fn the_sum_says_both_bounds_and_what_has_none() {
        let row = json!({"kind": "all", "device": 1, "lower_bound_ns": 5_000_000, "upper_bound_ns": 7_000_000,
            "limiter": "compute", "busy_ns": 20_000_000, "compute_coverage_ratio": 0.5, "link_coverage_ratio": 1.0});
        let wanted = "device 1: compute and transfers need 5.00 ms, set by compute where they overlap perfectly, 7.00 ms \
            one after the other; it was busy for 20.0 ms (only 50.0 % of the compute time has a bound).";
        assert_eq!(total(&Row::of(row), "").as_deref(), Some(wanted));
        assert_eq!(total(&Row::of(json!({"kind": "all"})), ""), None);
    }
}
