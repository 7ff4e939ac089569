//! What to do first: the findings, the most expensive first, each with its proof.

use proftool_trace::frame::texts;
use proftool_trace::tables::ACTIVITIES;
use serde::Serialize;

use super::{Built, own};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};

/// Costs and data problems beyond this are in `metrics/findings.parquet` only.
const MOST: usize = 8;

#[derive(Serialize)]
struct Values {
    costs: Vec<Line>,
    problems: Vec<Line>,
    more: Option<String>,
    nothing: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    title: String,
    severity: String,
    size: Option<String>,
    scope: Option<String>,
    evidence: String,
    proof: String,
    advice: String,
    limits: Option<String>,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    if !report.runs.iter().any(|run| run.has("findings")) {
        return Ok(None);
    }
    let (mut costs, mut problems, mut more) = (Vec::new(), Vec::new(), 0);
    // The run that the report is about comes first.
    for run in report.runs.iter().rev() {
        let is_problem = |row: &&Row| row.text("kind") == Some("data");
        let (own_problems, own_costs): (Vec<&Row>, Vec<&Row>) = run.metric("findings").iter().partition(is_problem);
        for (rows, lines) in [(own_costs, &mut costs), (own_problems, &mut problems)] {
            more += rows.len().saturating_sub(MOST);
            lines.extend(rows.into_iter().take(MOST).map(|row| line(report, run, row)));
        }
    }
    let silent = |run: &&Run| run.has("findings") && run.metric("findings").is_empty();
    let nothing = report.runs.iter().filter(silent).map(nothing).collect::<Result<_, _>>()?;
    let more = (more > 0).then(|| format!("{more} more in `metrics/findings.parquet`."));
    Built::new("findings", &Values { costs, problems, more, nothing }, Vec::new()).map(Some)
}

/// Why a run has no finding.
fn nothing(run: &Run) -> Result<String, Error> {
    let kinds = texts(run.tables.get(&ACTIVITIES), "kind")?;
    let has_work = kinds.iter().any(|kind| kind.as_deref() != Some("sync"));
    let reason = if has_work {
        "no rule found a cost that reaches its threshold"
    } else {
        "nothing ran on a device, so no rule could look for costs"
    };
    Ok(format!("No finding for {}: {reason}.", format::plain(run.label())))
}

fn line(report: &Report, run: &Run, row: &Row) -> Line {
    let text = |column: &str| format::plain(row.text(column).unwrap_or("-"));
    let devices = row.int("devices").filter(|devices| *devices > 1);
    let others = devices.map(|devices| format!("holds on {devices} devices or rows, the costliest is shown"));
    let window = row.text("window").map(|window| format!("window {}", format::plain(window)));
    let scope: Vec<String> = [window, others].into_iter().flatten().collect();
    Line {
        title: format!("{}{}", own(report, run), text("title")),
        severity: text("severity"),
        size: size(row),
        scope: (!scope.is_empty()).then(|| scope.join("; ")),
        evidence: text("evidence"),
        proof: row.text("row").map_or_else(|| "-".to_owned(), format::code),
        advice: text("try"),
        limits: row.text("limits").map(format::plain),
    }
}

/// `at most 12.3 ms (4.1 % of the window)`; none where nobody knows.
fn size(row: &Row) -> Option<String> {
    let size = row.int("size_ns").map(format::duration)?;
    let share = row.float("size_ratio").map(|ratio| format!(" ({} of the window)", format::percent(ratio)));
    Some(format!("at most {size}{}", share.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_size_is_a_limit_and_stays_away_where_it_is_unknown() {
        let said = |values| size(&Row::of(values));
        let row = json!({"size_ns": 12_300_000, "size_ratio": 0.041});
        assert_eq!(said(row).as_deref(), Some("at most 12.3 ms (4.1 % of the window)"));
        assert_eq!(said(json!({"size_ns": 5})).as_deref(), Some("at most 5.00 ns"));
        assert_eq!(said(json!({"size_ratio": 0.5})), None);
    }
}
