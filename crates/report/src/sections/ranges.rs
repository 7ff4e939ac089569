//! What the ranges that the program marks launched, and how long the devices were busy with it.

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
    path: String,
    instances: String,
    host: String,
    projected: String,
    busy: String,
    exclusive: String,
    idle: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    ranked(report, "ranges", "launching calls known of", order, line)
}

/// What launched work comes first, the busiest first and the outer one of two equal ones.
fn order(row: &Row) -> impl Ord + use<> {
    let busy = Reverse(row.int("busy_ns").filter(|_| launched(row)));
    (busy, row.int("level"), Reverse(row.int("total_ns")))
}

fn launched(row: &Row) -> bool {
    row.int("projected").is_some_and(|projected| projected > 0)
}

fn line(names: &Names, row: &Row) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    let of_device = |column: &str| if launched(row) { time(column) } else { "-".to_owned() };
    let share = row.float("idle_ratio").filter(|_| launched(row));
    Line {
        rank: names.cell(row),
        path: path(row),
        instances: instances(row),
        host: time("total_ns"),
        projected: of_device("projected_ns"),
        busy: of_device("busy_ns"),
        exclusive: of_device("exclusive_busy_ns"),
        idle: format!(
            "{}{}",
            of_device("idle_ns"),
            share.map_or_else(String::new, |ratio| format!(" ({})", format::percent(ratio)))
        ),
    }
}

/// The path, and the domain that tells equal paths apart.
fn path(row: &Row) -> String {
    let path = row.text("path").or(row.text("name")).map_or_else(|| "-".to_owned(), format::name);
    let domain = row.text("domain").map_or_else(String::new, |domain| format!(" of {}", format::name(domain)));
    format!("{path}{domain}")
}

/// `12`, or `12 (10 launched)` where some held no work.
fn instances(row: &Row) -> String {
    let all = format::or_absent(row.int("instances"), format::count);
    match row.int("projected") {
        Some(projected) if row.int("instances") != Some(projected) => {
            format!("{all} ({} launched)", format::count(projected))
        }
        _ => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_range_that_launched_nothing_has_no_device_time_and_comes_last() {
        let idle = Row::of(json!({"path": "wait", "instances": 1, "projected": 0, "total_ns": 9_000_000,
            "projected_ns": 0, "busy_ns": 0, "idle_ns": 0}));
        let shown = line(&Names::of_one_run(false), &idle);
        assert_eq!((shown.host.as_str(), shown.projected.as_str(), shown.idle.as_str()), ("9.00 ms", "-", "-"));
        assert_eq!(shown.instances, "1 (0 launched)");
        let busy = |ns: i64, level: i64| Row::of(json!({"projected": 1, "busy_ns": ns, "level": level}));
        assert!(order(&busy(0, 3)) < order(&idle));
        assert!(order(&busy(7, 1)) < order(&busy(5, 0)) && order(&busy(5, 0)) < order(&busy(5, 1)));
    }

    #[test]
    fn a_path_and_its_domain_cannot_become_markup() {
        let row = json!({"rank": 1, "path": "a|b` > <c>", "domain": "d|e", "instances": 2, "projected": 2,
            "projected_ns": 4_000, "idle_ns": 1_000, "idle_ratio": 0.25});
        let shown = line(&Names::of_one_run(true), &Row::of(row));
        assert_eq!((shown.path.as_str(), shown.rank.as_str()), (r"`a\|b' > <c>` of `d\|e`", "rank 1"));
        assert_eq!((shown.idle.as_str(), shown.instances.as_str()), ("1.00 µs (25.0 %)", "2"));
    }
}
