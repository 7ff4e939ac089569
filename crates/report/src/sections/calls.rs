//! Which host calls took the time, and how long the devices did nothing meanwhile.

use std::cmp::Reverse;

use serde::Serialize;

use super::{Built, ranked};
use crate::basis::Names;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row};

#[derive(Serialize)]
struct Line {
    rank: String,
    api: String,
    name: String,
    calls: String,
    total: String,
    median: String,
    share: String,
    idle: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    ranked(report, "calls", "", |row| Reverse(row.int("total_ns")), line)
}

fn line(names: &Names, row: &Row) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    Line {
        rank: names.cell(row),
        api: row.text("api").map_or_else(|| "-".to_owned(), format::plain),
        name: row.text("name").map_or_else(|| "-".to_owned(), format::name),
        calls: format::or_absent(row.int("calls"), format::count),
        total: time("total_ns"),
        median: time("median_ns"),
        share: format::or_absent(row.float("time_ratio"), format::percent),
        idle: time("device_idle_ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_of_a_process_without_devices_has_no_idle_time_and_no_name_is_markup() {
        let row = json!({"rank": 0, "api": "os|rt", "name": "po`ll|", "calls": 1_200, "total_ns": 5_000_000,
            "median_ns": 4_000, "time_ratio": 0.5, "device_idle_ns": null});
        let shown = line(&Names::of_one_run(false), &Row::of(row));
        assert_eq!((shown.api.as_str(), shown.name.as_str(), shown.calls.as_str()), (r"os\|rt", r"`po'll\|`", "1 200"));
        assert_eq!((shown.total.as_str(), shown.median.as_str()), ("5.00 ms", "4.00 µs"));
        assert_eq!((shown.share.as_str(), shown.idle.as_str(), shown.rank.as_str()), ("50.0 %", "n/a", "rank 0"));
    }
}
