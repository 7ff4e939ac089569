//! What handing over the KV blocks cost.

use proftool_trace::tables::ACTIVITIES;
use serde::Serialize;

use super::{Built, is_serving_only};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};

/// Requests beyond this are in `metrics/kv_transfer.parquet` only.
const MOST_REQUESTS: usize = 8;

#[derive(Serialize)]
struct Values {
    simulated: &'static str,
    missing: Vec<String>,
    rows: Vec<Line>,
    more: Option<String>,
}

#[derive(Serialize)]
struct Line {
    run: String,
    request: String,
    window: String,
    bytes: String,
    total: String,
    modelled: String,
    hidden: String,
    exposed: String,
    sender_hidden: String,
    ttft: String,
    stall: String,
    rate: String,
    link: String,
    interference: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut rows, mut more) = (Vec::new(), 0);
    for run in &report.runs {
        let (all, each): (Vec<&Row>, Vec<&Row>) =
            run.metric("kv_transfer").iter().partition(|row| row.text("request").is_none());
        // Where no activity was recorded, the transfers that the requests tell of are all that there are.
        let empty = |row: &&Row| row.int("total_ns") == Some(0) && row.int("bytes") == Some(0);
        let untold = !each.is_empty() && run.tables.get(&ACTIVITIES).height() == 0;
        let all: Vec<&Row> = all.into_iter().filter(|row| !(untold && empty(row))).collect();
        more += each.len().saturating_sub(MOST_REQUESTS);
        rows.extend(all.into_iter().chain(each.into_iter().take(MOST_REQUESTS)).map(|row| line(run, row)));
    }
    // Of devices that both compute prompts and decode nothing moves: to say so would be an empty section.
    if rows.is_empty() && is_serving_only(report) && report.runs.iter().all(|run| run.has("kv_transfer")) {
        return Ok(None);
    }
    let missing = |run: &Run| Some(format!("{}: {}", format::plain(run.label()), run.missing("kv_transfer")?));
    let missing = report.runs.iter().filter_map(missing).collect();
    let more = (more > 0).then(|| format!("{more} more requests in `metrics/kv_transfer.parquet`."));
    Built::new("kv_transfer", &Values { simulated: report.simulated(), missing, rows, more }, Vec::new()).map(Some)
}

fn line(run: &Run, row: &Row) -> Line {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    Line {
        run: format::plain(run.label()),
        request: request(row),
        window: format::plain(row.text("window").unwrap_or(format::ABSENT)),
        bytes: format::or_absent(row.int("bytes"), |bytes| format::bytes(bytes as f64)),
        total: time("total_ns"),
        modelled: time("simulated_ns"),
        hidden: time("hidden_ns"),
        exposed: time("exposed_ns"),
        sender_hidden: time("sender_hidden_ns"),
        ttft: time("exposed_ttft_ns"),
        stall: time("decode_stall_ns"),
        rate: format::or_absent(row.float("bytes_per_s"), format::bandwidth),
        link: format::or_absent(row.float("link_ratio"), format::percent),
        interference: format::or_absent(row.float("interference_ratio"), format::factor),
    }
}

/// The request; of all requests there is a row for each source of the intervals.
fn request(row: &Row) -> String {
    let all = || format!("all ({})", row.text("source").map_or_else(|| "source not stated".to_owned(), format::plain));
    row.text("request").map_or_else(all, format::plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_of_all_requests_are_told_apart_by_their_source() {
        assert_eq!(request(&Row::of(json!({"source": "ucx"}))), "all (ucx)");
        assert_eq!(request(&Row::of(json!({"request": "r|1", "source": "ucx"}))), r"r\|1");
        assert_eq!(request(&Row::default()), "all (source not stated)");
    }
}
