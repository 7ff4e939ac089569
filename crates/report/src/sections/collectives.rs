//! Collectives by message size against their link, and those of the largest skew.

use serde::Serialize;

use super::{Built, Picture, own};
use crate::basis;
use crate::charts::bandwidth::{Bandwidth, Point, Roof, tip};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run, file_stem};

/// Rows of the table of sizes; the rest is in its file.
const MOST_SIZES: usize = 16;
/// Collectives of the largest skew that are listed.
const MOST_SKEWED: usize = 5;

#[derive(Serialize)]
struct Values {
    basis: String,
    pictures: Vec<String>,
    rows: Vec<Line>,
    more: Option<String>,
    skewed: Vec<Skewed>,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    operation: String,
    ranks: String,
    size: String,
    count: String,
    duration: String,
    transfer: String,
    algorithm: String,
    bus: String,
    share: String,
    link: String,
}

#[derive(Serialize)]
struct Skewed {
    operation: String,
    size: String,
    start: String,
    skew: String,
    last: String,
    late: String,
    wait: String,
    transfer: String,
    how: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut shown, mut skewed, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let sizes = basis::rows(run, "collective_sizes");
        let suffix = report.suffix(run);
        let chart = chart(&sizes, run, &suffix);
        pictures.extend(chart.map(|chart| Picture { file: format!("collectives{suffix}.svg"), svg: chart.render() }));
        let own = own(report, run);
        shown.extend(sizes.into_iter().map(|row| (own.clone(), row)));
        let largest = basis::rows(run, "collectives").into_iter().take(MOST_SKEWED);
        skewed.extend(largest.map(|row| line_of_one(row, &own)));
    }
    if shown.is_empty() && skewed.is_empty() {
        return Ok(None);
    }
    let rows: Vec<&Row> = shown.iter().map(|(_, row)| *row).collect();
    let more = rows.len().saturating_sub(MOST_SIZES);
    let values = Values {
        basis: basis::line(&rows, ""),
        pictures: pictures.iter().map(|picture| picture.file.clone()).collect(),
        rows: shown.iter().take(MOST_SIZES).map(|(own, row)| line(row, own)).collect(),
        more: (more > 0).then(|| format!("{more} more sizes in `metrics/collective_sizes.parquet`.")),
        skewed,
        reasons: reasons(&rows),
    };
    Built::new("collectives", &values, pictures).map(Some)
}

fn size(row: &Row) -> String {
    match (row.int("from_bytes"), row.int("to_bytes")) {
        (Some(from), Some(to)) if from != to => format!("{} to {}", bytes(from), bytes(to)),
        (Some(from), _) => bytes(from),
        _ => format::ABSENT.to_owned(),
    }
}

fn bytes(bytes: i64) -> String {
    format::bytes(bytes as f64)
}

fn operation(row: &Row) -> &str {
    row.text("operation").unwrap_or("unknown")
}

fn line(row: &Row, own: &str) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    let rate = |column: &str| format::or_absent(row.float(column), format::bandwidth);
    let count = |column: &str| format::or_absent(row.int(column), format::count);
    let source = row.text("time_source").unwrap_or("transfer");
    Line {
        operation: format!("{own}{}", format::plain(operation(row))),
        ranks: count("group_size"),
        size: size(row),
        count: format!("{} ({} complete)", count("collectives"), count("complete")),
        duration: time("duration_ns"),
        transfer: if source == "transfer" { time("transfer_ns") } else { format!("at most {}", time("shortest_ns")) },
        algorithm: rate("algorithm_bytes_per_s"),
        bus: rate("bus_bytes_per_s"),
        share: format::or_absent(row.float("link_ratio"), format::percent),
        link: row.text("link").map_or_else(|| "-".to_owned(), format::plain),
    }
}

fn line_of_one(row: &Row, own: &str) -> Skewed {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    let last = row.int("last_rank").map(|rank| {
        format!("rank {rank} device {}", format::or_absent(row.int("last_device"), |device| device.to_string()))
    });
    let incomplete = match row.boolean("complete") {
        Some(true) => "",
        Some(false) => ", ranks missing",
        None => ", group size unknown",
    };
    Skewed {
        operation: format!("{own}{}", format::plain(operation(row))),
        size: format::or_absent(row.int("bytes"), bytes),
        start: format::or_absent(row.int("start_ns"), format::count),
        skew: time("start_skew_ns"),
        last: last.unwrap_or_else(|| "-".to_owned()),
        late: time("late_ns"),
        wait: time("wait_ns"),
        transfer: time("transfer_ns"),
        how: format!("{}{incomplete}", format::plain(row.text("match").unwrap_or("-"))),
    }
}

fn reasons(rows: &[&Row]) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for row in rows {
        let reason =
            row.text("reason").map(|text| format!("{}: {}.", format::plain(operation(row)), format::plain(text)));
        said.extend(reason.filter(|reason| !said.contains(reason)));
    }
    said.truncate(6);
    said
}

/// The picture; none where no size has a bandwidth.
fn chart(rows: &[&Row], run: &Run, suffix: &str) -> Option<Bandwidth> {
    let mut series: Vec<String> = Vec::new();
    let (mut points, mut roofs): (Vec<Point>, Vec<Roof>) = (Vec::new(), Vec::new());
    for row in rows {
        let (Some(size), Some(rate)) = (row.int("to_bytes").filter(|size| *size > 0), row.float("bus_bytes_per_s"))
        else {
            continue;
        };
        if !(rate > 0.0 && rate.is_finite()) {
            continue;
        }
        let ranks = row.int("group_size").map_or_else(String::new, |ranks| format!(", {ranks} ranks"));
        let name = format!("{}{ranks}", operation(row).replace('_', " "));
        let place = series.iter().position(|known| *known == name).unwrap_or_else(|| {
            series.push(name.clone());
            series.len() - 1
        });
        let limit = row.text("time_source").is_some_and(|source| source != "transfer");
        points.push(Point {
            series: place,
            bytes: size as f64,
            bytes_per_s: rate,
            limit,
            tip: tip(&name, size as f64, rate),
        });
        let link = row.float("link_bytes_per_s").filter(|link| *link > 0.0 && link.is_finite());
        if let Some(link) = link.filter(|link| roofs.iter().all(|roof| roof.bytes_per_s.total_cmp(link).is_ne())) {
            let name = row.text("link").map_or_else(|| format!("link {}", format::bandwidth(link)), str::to_owned);
            roofs.push(Roof { name, bytes_per_s: link });
        }
    }
    (!points.is_empty()).then(|| Bandwidth {
        id: format!("collectives{}", file_stem(suffix)),
        title: "Bus bandwidth of collectives by message size".to_owned(),
        subtitle: format!("{}; one mark an operation and size", run.artifact.manifest.target.name),
        series,
        points,
        roofs,
        notes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_that_holds_the_wait_is_said_to_be_a_limit() {
        let row = json!({"operation": "all_reduce", "from_bytes": 1000, "to_bytes": 2000, "collectives": 3, "complete": 0,
            "time_source": "shortest of the ranks seen", "shortest_ns": 5000, "bus_bytes_per_s": 2.5e9});
        let limited = line(&Row::of(row), "");
        assert_eq!((limited.transfer.as_str(), limited.size.as_str()), ("at most 5.00 µs", "1.00 kB to 2.00 kB"));
        assert_eq!((limited.bus.as_str(), limited.count.as_str()), ("2.50 GB/s", "3 (0 complete)"));
    }

    #[test]
    fn reasons_are_said_once_an_operation() {
        let row = || Row::of(json!({"operation": "send_recv", "reason": "the size is not recorded"}));
        assert_eq!(reasons(&[&row(), &row()]), [r"send\_recv: the size is not recorded."]);
    }
}
