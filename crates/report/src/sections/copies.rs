//! How fast copies and fills were in each direction, and what is wrong with them.

use std::cmp::Reverse;

use serde::Serialize;

use super::{Built, ranked};
use crate::basis::Names;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

#[derive(Serialize)]
struct Line {
    device: String,
    kind: String,
    ends: String,
    memory: String,
    copies: String,
    bytes: String,
    total: String,
    rate: String,
    share: String,
    finding: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    // A finding is worth more than any length.
    let order = |row: &Row| (row.text("finding").is_none(), Reverse(row.int("total_ns")));
    ranked(report, "copies", "", order, line)
}

fn line(names: &Names, row: &Row) -> Line {
    Line {
        device: names.cell(row),
        kind: row.text("copy_kind").map_or_else(|| "-".to_owned(), format::plain),
        ends: between(row, end(row, "src_device"), end(row, "dst_device")),
        memory: between(row, memory(row, "src_memory"), memory(row, "dst_memory")),
        copies: format::or_absent(row.int("copies"), format::count),
        bytes: bytes(row),
        total: format::or_absent(row.int("total_ns"), format::duration),
        rate: format::or_absent(row.float("bytes_per_s"), format::bandwidth),
        share: share(row),
        finding: finding(row),
    }
}

/// From one end to the other; a fill only writes.
fn between(row: &Row, from: Option<String>, to: Option<String>) -> String {
    let shown = |end: Option<String>| end.unwrap_or_else(|| "?".to_owned());
    match (row.text("copy_kind"), from, to) {
        (_, None, None) => "-".to_owned(),
        (Some("set"), None, to) => shown(to),
        (_, from, to) => format!("{} → {}", shown(from), shown(to)),
    }
}

/// One end of a copy. The host has no number; elsewhere the number of an end may not be recorded.
fn end(row: &Row, column: &str) -> Option<String> {
    let host = matches!(
        (row.text("copy_kind"), column),
        (Some("h2d" | "h2h"), "src_device") | (Some("d2h" | "h2h"), "dst_device")
    );
    let device = row.int(column).map(|device| format!("device {device}"));
    device.or_else(|| host.then(|| "host".to_owned()))
}

fn memory(row: &Row, column: &str) -> Option<String> {
    row.text(column).map(format::plain)
}

/// The bytes, and of how many copies where some have no size.
fn bytes(row: &Row) -> String {
    let bytes = format::or_absent(row.int("bytes"), |bytes| format::bytes(bytes as f64));
    match row.int("sized_copies").filter(|sized| *sized > 0) {
        Some(sized) if row.int("copies") != Some(sized) => format!("{bytes} (of {} copies)", format::count(sized)),
        _ => bytes,
    }
}

/// `88.0 % of link pcie, …`: the link of a copy, the memory of a fill or of a copy inside a device.
fn share(row: &Row) -> String {
    let roof = row.text("roof").map_or_else(String::new, |roof| format!(" of {}", format::plain(roof)));
    row.float("roof_ratio").map_or_else(|| "-".to_owned(), |ratio| format!("{}{roof}", format::percent(ratio)))
}

fn finding(row: &Row) -> String {
    let Some(finding) = row.text("finding") else { return "-".to_owned() };
    let evidence = row.text("evidence").map_or_else(String::new, |said| format!(": {}", format::plain(said)));
    format!("**{}**{evidence}", format::plain(finding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(values: serde_json::Value) -> Line {
        line(&Names::of_one_run(false), &Row::of(values))
    }

    #[test]
    fn a_direction_names_its_ends_its_memory_and_its_finding_and_none_is_markup() {
        let copy = shown(json!({"device": 0, "copy_kind": "h2d", "dst_device": 0, "src_memory": "page|able",
            "dst_memory": "device", "copies": 8, "sized_copies": 4, "bytes": 4_000_000, "total_ns": 200_000,
            "bytes_per_s": 20e9, "roof_ratio": 0.5, "roof": "link <a>", "finding": "pageable copy",
            "evidence": "8 copies|"}));
        assert_eq!((copy.ends.as_str(), copy.memory.as_str()), ("host → device 0", r"page\|able → device"));
        assert_eq!((copy.bytes.as_str(), copy.rate.as_str()), ("4.00 MB (of 4 copies)", "20.0 GB/s"));
        assert_eq!(
            (copy.share.as_str(), copy.finding.as_str()),
            ("50.0 % of link &lt;a&gt;", r"**pageable copy**: 8 copies\|")
        );
    }

    #[test]
    fn an_end_that_is_not_recorded_is_no_host() {
        let ends = |values| shown(values).ends;
        assert_eq!(ends(json!({"copy_kind": "p2p", "src_device": 1})), "device 1 → ?");
        assert_eq!(ends(json!({"copy_kind": "d2h", "src_device": 1})), "device 1 → host");
        assert_eq!(
            (ends(json!({"copy_kind": "set", "dst_device": 2})), ends(json!({}))),
            ("device 2".into(), "-".into())
        );
        let unsized_copy = shown(json!({"copy_kind": "copy", "copies": 3, "sized_copies": 0}));
        assert_eq!((unsized_copy.bytes.as_str(), unsized_copy.share.as_str()), ("n/a", "-"));
    }
}
