//! The pipeline bubble in six parts, beside the ideals.

use serde::Serialize;

use super::{Built, Picture};
use crate::charts::bars::{Bar, Bars, Unit};
use crate::charts::columns::{Column, Columns, Panel};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run, file_stem};

/// The six parts: the stem of the column, and what the reader calls it.
const PARTS: [(&str, &str); 6] = [
    ("fill_drain", "fill and drain"),
    ("imbalance", "imbalance"),
    ("transfer", "transfer"),
    ("host", "host"),
    ("dependency", "dependency"),
    ("other", "other"),
];

#[derive(Serialize)]
struct Values {
    missing: Vec<String>,
    picture: Option<String>,
    iterations: Vec<String>,
    labels: Vec<String>,
    parts: Vec<Line>,
    facts: Vec<Line>,
    reasons: Vec<String>,
}

/// One table row: a name and one value a run.
#[derive(Serialize)]
struct Line {
    name: String,
    values: Vec<String>,
}

/// A run with its result row.
type Shown<'a> = (&'a Run, &'a Row);

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let shown: Vec<Shown> = report.runs.iter().filter_map(|run| Some((run, run.metric("bubble").first()?))).collect();
    let drawable = shown.iter().any(|(_, row)| row.float("bubble_ratio").is_some());
    let picture = drawable.then(|| Picture { file: "bubble.svg".to_owned(), svg: chart(&shown).render() });
    let iterations: Vec<Picture> = report.runs.iter().filter_map(|run| by_iteration(report, run)).collect();
    let values = Values {
        missing: missing(report),
        iterations: iterations.iter().map(|picture| picture.file.clone()).collect(),
        picture: picture.as_ref().map(|picture| picture.file.clone()),
        labels: shown.iter().map(|(run, _)| format::plain(run.label())).collect(),
        parts: if shown.is_empty() { Vec::new() } else { parts(&shown) },
        facts: if shown.is_empty() { Vec::new() } else { facts(&shown) },
        reasons: reasons(&shown),
    };
    Built::new("bubble", &values, picture.into_iter().chain(iterations).collect()).map(Some)
}

fn missing(report: &Report) -> Vec<String> {
    let of_run = |run: &Run| Some(format!("{}: {}", format::plain(run.label()), run.missing("bubble")?));
    report.runs.iter().filter_map(of_run).collect()
}

/// The sum of the parts that are known; none where none is.
fn bubble_ns(row: &Row) -> Option<i64> {
    let parts = PARTS.iter().filter_map(|(stem, _)| row.int(&format!("{stem}_ns")));
    parts.fold(None, |sum: Option<i64>, part| Some(sum.unwrap_or(0).saturating_add(part)))
}

/// Milliseconds and share of one part.
fn part(row: &Row, stem: &str) -> String {
    let (ns, ratio) = (row.int(&format!("{stem}_ns")), row.float(&format!("{stem}_ratio")));
    match (ns, ratio) {
        (Some(ns), Some(ratio)) => format!("{} ms ({})", format::milliseconds(ns), format::percent(ratio)),
        (Some(ns), None) => format!("{} ms", format::milliseconds(ns)),
        _ => format::ABSENT.to_owned(),
    }
}

fn parts(shown: &[Shown]) -> Vec<Line> {
    let line = |name: &str, value: &dyn Fn(&Row) -> String| Line {
        name: name.to_owned(),
        values: shown.iter().map(|(_, row)| value(row)).collect(),
    };
    let mut lines: Vec<Line> = PARTS.iter().map(|(stem, name)| line(name, &|row| part(row, stem))).collect();
    lines.push(line("**bubble b (sum of the six)**", &|row| {
        let total = row.float("bubble_ratio");
        let ns = format::or_absent(bubble_ns(row), |ns| format!("{} ms", format::milliseconds(ns)));
        format!("**{ns} ({})**", format::or_absent(total, format::percent))
    }));
    lines
}

fn facts(shown: &[Shown]) -> Vec<Line> {
    let line = |name: &str, value: &dyn Fn(&Row) -> String| Line {
        name: name.to_owned(),
        values: shown.iter().map(|(_, row)| value(row)).collect(),
    };
    let milliseconds = |ns: Option<i64>| format::or_absent(ns, |ns| format!("{} ms", format::milliseconds(ns)));
    let ratio = |row: &Row, column: &str| format::or_absent(row.float(column), format::percent);
    vec![
        line("window", &|row| format::plain(row.text("window").unwrap_or(format::ABSENT))),
        line("stage hosts", &|row| format::plain(row.text("hosts").unwrap_or(format::ABSENT))),
        line("p (stage hosts)", &|row| format::or_absent(row.int("host_count"), format::count)),
        line("how the stages are known", &|row| format::plain(row.text("stages").unwrap_or(format::ABSENT))),
        line("m (micro-batches)", &|row| format::or_absent(row.int("micro_batches"), format::count)),
        line("T (length of the windows)", &|row| milliseconds(row.int("span_ns"))),
        line("r = (p-1)/m, overhead over ideal", &|row| ratio(row, "ideal_overhead_ratio")),
        line("f = (p-1)/(m+p-1), fraction of wall", &|row| ratio(row, "ideal_fraction_ratio")),
        line("T\\_ideal (makespan of the ideal schedule)", &|row| milliseconds(row.int("ideal_makespan_ns"))),
        line("T\\_ideal / T, median over the windows", &|row| ratio(row, "ideal_ratio")),
        line("**T\\_ideal / T, of the sums**", &|row| {
            let pair = row.int("ideal_makespan_ns").zip(row.int("span_ns").filter(|span| *span > 0));
            format!("**{}**", format::or_absent(pair.map(|(ideal, span)| ideal as f64 / span as f64), format::percent))
        }),
        line("iterations, of them steady", &|row| {
            let count = |column: &str| format::or_absent(row.int(column), format::count);
            format!("{}, {}", count("iterations"), count("steady_iterations"))
        }),
        line("bubble of the steady iterations", &|row| ratio(row, "steady_bubble_ratio")),
    ]
}

fn reasons(shown: &[Shown]) -> Vec<String> {
    let reason = |(run, row): &Shown| {
        let steady = row.text("steady_reason").map(|reason| format!("no steady state: {reason}"));
        let all: Vec<String> = [row.text("reason").map(str::to_owned), steady].into_iter().flatten().collect();
        (!all.is_empty()).then(|| format!("{}: {}", format::plain(run.label()), format::plain(&all.join("; "))))
    };
    shown.iter().filter_map(reason).collect()
}

/// The picture of a run's iterations; none of fewer than two, which compare nothing.
fn by_iteration(report: &Report, run: &Run) -> Option<Picture> {
    let rows: Vec<&Row> = run.metric("bubble_iteration").iter().filter(|row| row.int("iteration").is_some()).collect();
    if rows.len() < 2 {
        return None;
    }
    let several = rows.iter().any(|row| row.text("window") != rows[0].text("window"));
    let begins = |index: usize| several && (index == 0 || rows[index].text("window") != rows[index - 1].text("window"));
    let columns = rows.iter().enumerate().map(|(index, row)| iteration(row, begins(index))).collect();
    let suffix = report.suffix(run);
    let mut keys = vec!["compute".to_owned()];
    keys.extend(PARTS.iter().map(|(_, name)| (*name).to_owned()));
    let svg = Columns {
        id: format!("bubble_iterations{}", file_stem(&suffix)),
        title: "Pipeline bubble of each iteration".to_owned(),
        subtitle: "Host time p * T of each iteration: what the stage hosts compute, and the six parts of the bubble"
            .to_owned(),
        keys,
        below: if several { "iterations of each window".to_owned() } else { "iteration".to_owned() },
        panels: vec![Panel { title: run.label().to_owned(), columns }],
        notes: Vec::new(),
    };
    Some(Picture { file: format!("bubble_iterations{suffix}.svg"), svg: svg.render() })
}

fn iteration(row: &Row, begins: bool) -> Column {
    let ns = |column: &str| row.int(column).unwrap_or(0).max(0);
    let window = row.text("window").map_or_else(String::new, |window| format!(" of {window}"));
    let bubble = format::or_absent(row.float("bubble_ratio"), format::percent);
    let parts = PARTS.iter().map(|(stem, _)| ns(&format!("{stem}_ns")));
    Column {
        number: format::or_absent(row.int("iteration"), |number| number.to_string()),
        parts: std::iter::once(ns("compute_ns")).chain(parts).collect(),
        shaded: row.text("state").is_some_and(|state| state != "steady"),
        begins: row.text("window").filter(|_| begins).map(str::to_owned),
        tip: format!("{window}, bubble {bubble}"),
    }
}

fn chart(shown: &[Shown]) -> Bars {
    let ratio = |row: &Row, stem: &str| row.float(&format!("{stem}_ratio")).unwrap_or(0.0);
    let bar = |(run, row): &Shown| Bar {
        label: run.label().to_owned(),
        parts: PARTS.iter().map(|(stem, _)| ratio(row, stem)).collect(),
        end: None,
    };
    Bars {
        id: "bubble".to_owned(),
        title: "Pipeline bubble by cause".to_owned(),
        subtitle:
            "Share of the host time p * T in which the stage hosts do not compute; the sum stands at the end of the bar"
                .to_owned(),
        unit: Unit::Percent,
        keys: PARTS.iter().map(|(_, name)| (*name).to_owned()).collect(),
        only_used: false,
        rows: shown.iter().filter(|(_, row)| row.float("bubble_ratio").is_some()).map(bar).collect(),
        notes: vec![
            "Compute rows only; window: the measured blocks. Definitions beside the table of the report.".to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn compute_and_the_six_parts_of_an_iteration_sum_to_its_host_time() {
        let row = json!({"iteration": 0, "window": "block 0", "state": "warm_up", "capacity_ns": 280, "compute_ns": 140,
            "fill_drain_ns": 0, "imbalance_ns": 20, "transfer_ns": 70, "host_ns": 0, "dependency_ns": 50, "other_ns": 0,
            "bubble_ratio": 0.5});
        let column = iteration(&Row::of(row), false);
        assert_eq!(column.parts.iter().sum::<i64>(), 280);
        assert_eq!((column.shaded, column.tip.as_str()), (true, " of block 0, bubble 50.0 %"));
    }
}
