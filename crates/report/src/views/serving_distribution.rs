//! The cumulative distributions of TTFT and TPOT: what share of all requests was served within a time.
//!
//! A request that was not served has no latency. Left out of the line it would make a router that refuses the slow ones
//! look fast; so a line rises to the share of all requests that have the value, and where it crosses the SLO it shows the
//! share that met it.

use super::serving::{self, Group, MOST_GROUPS};
use crate::charts::lines::{Limit, Lines, Panel, Quantity, Series};
use crate::format;
use crate::run::{Report, Row};

/// The quantities: as results name them, as titles do, and for short.
const QUANTITIES: [(&str, &str, &str); 2] =
    [("ttft", "Time to first token", "TTFT"), ("tpot", "Time per output token", "TPOT")];

/// The chart, a line a policy or a run; none where no latency is known.
pub(crate) fn chart(report: &Report) -> Option<Lines> {
    let mut groups = serving::groups(report, "serving_distribution", |row| {
        row.text("group").filter(|_| row.text("group_kind") != Some("all"))
    });
    for group in &mut groups {
        group.rows.retain(|row| row.text("group_kind") != Some("tier"));
    }
    groups.retain(|group| !group.rows.is_empty());
    let left_out = groups.len().saturating_sub(MOST_GROUPS);
    groups.truncate(MOST_GROUPS);
    let mut panels: Vec<Panel> =
        QUANTITIES.iter().map(|(quantity, title, _)| panel(report, &groups, quantity, title)).collect();
    panels.retain(|panel| !panel.series.is_empty());
    let coverage = coverage(report, &groups);
    (!panels.is_empty()).then(|| Lines {
        id: "serving_distribution".to_owned(),
        title: format!("Share of requests served within a time{}", serving::simulated(report)),
        subtitle: "Of all requests: a line ends below 100 % by those that have no such time".to_owned(),
        groups: groups.iter().map(|group| group.name.clone()).collect(),
        strokes: None,
        beside: true,
        panels,
        notes: serving::notes(report, left_out, &[&coverage]),
    })
}

fn panel(report: &Report, groups: &[Group], quantity: &str, title: &str) -> Panel {
    let line = |(number, group): (usize, &Group)| {
        let (values, requests) = counts(report, group, quantity);
        // Of an older file all that is known is the distribution itself.
        let top = requests.filter(|all| *all > 0).map_or(1.0, |all| (values as f64 / all as f64).min(1.0));
        let point = |row: &Row| {
            let share = row.float("percent").map(|percent| percent / 100.0 * top);
            (row.int("value_ns").unwrap_or(0) as f64, share)
        };
        Series { group: number, dashed: false, points: of(group, quantity).map(point).collect() }
    };
    let slos: Vec<Option<i64>> =
        groups.iter().flat_map(|group| of(group, quantity)).map(|row| row.int("slo_ns")).collect();
    // One line where all runs agreed on the same.
    let slo = slos.first().copied().flatten().filter(|slo| slos.iter().all(|other| *other == Some(*slo)));
    let limit = |slo: i64| Limit { upright: true, value: slo as f64, name: format!("SLO {}", format::duration(slo)) };
    Panel {
        title: title.to_owned(),
        below: "at most so long,".to_owned(),
        axes: (Quantity::Latency, Quantity::Share),
        series: groups.iter().enumerate().map(line).filter(|series| series.points.len() > 1).collect(),
        limits: slo.map(limit).into_iter().collect(),
    }
}

/// The rows of a group about one quantity.
fn of<'r>(group: &Group<'r>, quantity: &str) -> impl Iterator<Item = &'r Row> {
    group.rows.iter().copied().filter(move |row| row.text("quantity") == Some(quantity))
}

/// How many requests of a group have the value, and how many there are.
fn counts(report: &Report, group: &Group, quantity: &str) -> (i64, Option<i64>) {
    let row = of(group, quantity).next();
    let key = |row: &Row| [row.text("group_kind").map(str::to_owned), row.text("group").map(str::to_owned)];
    let same = |all: &&Row| row.is_some_and(|row| key(row) == key(all));
    let all = report.runs.get(group.run).and_then(|run| serving::rows(run, "serving").into_iter().find(same));
    (row.and_then(|row| row.int("values")).unwrap_or(0), all.and_then(|row| row.int("requests")))
}

/// What share of the requests each line is about.
fn coverage(report: &Report, groups: &[Group]) -> String {
    let of_group = |group: &Group| {
        let part = |(quantity, _, short): &(&str, &str, &str)| {
            let (values, requests) = counts(report, group, quantity);
            format!("{short} {} of {}", format::count(values), format::or_absent(requests, format::count))
        };
        let parts = QUANTITIES.iter().filter(|(quantity, ..)| of(group, quantity).next().is_some()).map(part);
        parts.collect::<Vec<_>>().join(", ")
    };
    let each: Vec<String> = groups.iter().map(of_group).collect();
    let named = |(group, text): (&Group, &String)| format!("{}: {text}", group.name);
    let all = match each.as_slice() {
        [only] => only.clone(),
        // Once, where it is the same of every line.
        [first, others @ ..] if others.iter().all(|other| other == first) => format!("{first} of each line"),
        _ => groups.iter().zip(&each).map(named).collect::<Vec<_>>().join("; "),
    };
    format!("Requests that have the value: {all}. Those not served have none, a single token has no TPOT.")
}
