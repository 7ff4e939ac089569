//! What the end of the work waited for, and which kernels would move it.

use std::cmp::Reverse;

use serde::Serialize;

use super::{Built, Picture, TOP};
use crate::basis::{self, Names};
use crate::charts::bars::{Bar, Bars, Unit};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run, sum};

/// Paths in one picture: one a scope, the longest windows first.
const MOST_PATHS: usize = 8;

/// What the path is made of, as the reader calls it.
const KINDS: [&str; 8] = [
    "compute",
    "communication",
    "KV transfer",
    "copy, set",
    "host",
    "launch and queue",
    "waiting for inputs",
    "not explained",
];

#[derive(Serialize)]
struct Values {
    basis: String,
    picture: Option<String>,
    kinds: Vec<&'static str>,
    paths: Vec<Line>,
    more: Option<String>,
    families: Vec<Family>,
    free: Vec<String>,
    doubts: Vec<String>,
}

/// One path: nanoseconds of each kind.
#[derive(Serialize)]
struct Line {
    scope: String,
    parts: Vec<String>,
    span: String,
}

#[derive(Serialize)]
struct Family {
    scope: String,
    name: String,
    class: String,
    on_path: String,
    ratio: String,
    launches: String,
    total: String,
    saved: String,
    slack: String,
}

/// The rows of one scope of a run.
struct Path<'a> {
    label: String,
    names: Names,
    rows: Vec<&'a Row>,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let mut paths: Vec<Path> = Vec::new();
    for run in report.runs.iter().rev() {
        paths.extend(of_run(report, run));
    }
    if paths.is_empty() {
        return Ok(None);
    }
    let more = paths.len().saturating_sub(MOST_PATHS);
    paths.truncate(MOST_PATHS);
    let rows: Vec<&Row> = paths.iter().flat_map(|path| path.rows.iter().copied()).collect();
    let picture = Picture { file: "critical_path.svg".to_owned(), svg: chart(&paths).render() };
    let values = Values {
        basis: basis::line(&rows, "launching calls known of"),
        picture: Some(picture.file.clone()),
        kinds: KINDS.into(),
        paths: paths.iter().map(line).collect(),
        more: (more > 0).then(|| format!("{more} more paths in `metrics/critical_path.parquet`.")),
        families: families(&paths),
        free: paths.iter().flat_map(free).collect(),
        doubts: paths.iter().filter_map(doubts).collect(),
    };
    Built::new("critical_path", &values, vec![picture]).map(Some)
}

fn of_run<'a>(report: &Report, run: &'a Run) -> Vec<Path<'a>> {
    let rows = basis::rows(run, "critical_path");
    let mut scopes: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in &rows {
        let scope = row.text("scope").unwrap_or("");
        match scopes.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, own)) => own.push(row),
            None => scopes.push((scope, vec![row])),
        }
    }
    let own = if report.is_pair() { format!("{}: ", run.label()) } else { String::new() };
    let path = |(scope, own_rows): (&str, Vec<&'a Row>)| Path {
        label: format!("{own}{scope}"),
        names: Names::new(report, run, &rows),
        rows: own_rows,
    };
    scopes.into_iter().map(path).collect()
}

/// The place in [`KINDS`] of a segment; none for an answer that is no segment.
fn kind(row: &Row) -> Option<usize> {
    match (row.text("segment")?, row.text("class")) {
        ("free", _) => None,
        ("operation", Some("comm")) => Some(1),
        ("operation", Some("kv")) => Some(2),
        ("operation", Some("copy" | "set")) => Some(3),
        ("operation", _) => Some(0),
        ("call" | "return" | "host", _) => Some(4),
        ("launch" | "queue", _) => Some(5),
        ("dependency" | "collective", _) => Some(6),
        _ => Some(7),
    }
}

impl Path<'_> {
    fn span_ns(&self) -> i64 {
        self.rows.first().and_then(|row| row.int("span_ns")).unwrap_or(0)
    }

    fn parts(&self) -> [i64; KINDS.len()] {
        let mut parts = [0_i64; KINDS.len()];
        for row in &self.rows {
            if let Some(place) = kind(row) {
                parts[place] = parts[place].saturating_add(row.int("on_path_ns").unwrap_or(0));
            }
        }
        parts
    }
}

fn chart(paths: &[Path]) -> Bars {
    let bar = |path: &Path| {
        let parts = path.parts();
        let whole = sum(parts.iter().copied()).max(1) as f64;
        Bar {
            label: path.label.clone(),
            parts: parts.iter().map(|ns| (*ns).max(0) as f64 / whole).collect(),
            end: Some(format::duration(path.span_ns())),
        }
    };
    Bars {
        id: "critical_path".to_owned(),
        title: "What the critical path is made of".to_owned(),
        subtitle: "Share of the window, which the path covers from its begin to its end".to_owned(),
        unit: Unit::Percent,
        keys: KINDS.map(str::to_owned).into(),
        only_used: true,
        rows: paths.iter().map(bar).collect(),
        notes: Vec::new(),
    }
}

fn line(path: &Path) -> Line {
    Line {
        scope: format::plain(&path.label),
        parts: path.parts().into_iter().map(format::duration).collect(),
        span: format::duration(path.span_ns()),
    }
}

/// The kernel families with the most time on any path.
fn families(paths: &[Path]) -> Vec<Family> {
    let of_path = |path: &'_ Path| -> Vec<(i64, Family)> {
        let operations = path.rows.iter().filter(|row| row.text("segment") == Some("operation"));
        operations.map(|row| (row.int("on_path_ns").unwrap_or(0), family(path, row))).collect()
    };
    let mut all: Vec<(i64, Family)> = paths.iter().flat_map(of_path).filter(|(ns, _)| *ns > 0).collect();
    all.sort_by_key(|(ns, _)| Reverse(*ns));
    all.into_iter().take(TOP).map(|(_, family)| family).collect()
}

fn family(path: &Path, row: &Row) -> Family {
    let time = |column: &str| format::or_absent(row.int(column), format::duration);
    Family {
        scope: path.names.cell(row),
        name: row.text("name").map_or_else(|| "-".to_owned(), format::name),
        class: format::plain(row.text("class").unwrap_or("-")),
        on_path: time("on_path_ns"),
        ratio: format::or_absent(row.float("on_path_ratio"), format::percent),
        launches: format::or_absent(row.int("launches"), format::count),
        total: time("total_ns"),
        saved: time("free_saved_ns"),
        slack: time("slack_ns"),
    }
}

/// The answer about the kernels that the user named.
fn free(path: &Path) -> Vec<String> {
    let asked = path.rows.iter().filter(|row| row.text("segment") == Some("free"));
    let said = |row: &&Row| {
        let name = row.text("name").map_or_else(|| "-".to_owned(), format::name);
        let saved = format::or_absent(row.int("free_saved_ns"), format::duration);
        format!("{}: without {name} the last work would end {saved} earlier.", format::plain(&path.label))
    };
    asked.map(said).collect()
}

/// How much of the graph rests on guesses.
fn doubts(path: &Path) -> Option<String> {
    let most = |column: &str| path.rows.iter().filter_map(|row| row.int(column)).max().unwrap_or(0);
    let (inferred, dropped) = (most("inferred_edges"), most("dropped_edges"));
    (inferred > 0 || dropped > 0).then(|| {
        format!(
            "{}: {} edges of the graph are inferred, {} were dropped because the times contradict them.",
            format::plain(&path.label),
            format::count(inferred),
            format::count(dropped)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(rows: &[Row]) -> Path<'_> {
        Path { label: "rank 0".to_owned(), names: Names::of_one_run(false), rows: rows.iter().collect() }
    }

    #[test]
    fn the_kinds_of_a_path_sum_to_its_window() {
        let row = |segment: &str, class: Option<&str>, ns: i64| {
            Row::of(json!({"segment": segment, "class": class, "on_path_ns": ns, "span_ns": 100, "name": "k"}))
        };
        let rows = [
            row("operation", Some("compute"), 40),
            row("operation", Some("comm"), 20),
            row("host", None, 15),
            row("queue", None, 10),
            row("collective", None, 9),
            row("tail", None, 6),
            row("free", None, 0),
        ];
        let path = path(&rows);
        assert_eq!(path.parts(), [40, 20, 0, 0, 15, 10, 9, 6]);
        assert_eq!(path.parts().iter().sum::<i64>(), path.span_ns());
        assert_eq!(families(&[path]).len(), 2);
    }

    #[test]
    fn an_asked_kernel_is_answered_and_guesses_are_said() {
        let rows = [Row::of(json!({"segment": "free", "name": "gemm*", "free_saved_ns": 5000, "inferred_edges": 3}))];
        let path = path(&rows);
        assert_eq!(free(&path), ["rank 0: without `gemm*` the last work would end 5.00 µs earlier."]);
        assert!(doubts(&path).unwrap().starts_with("rank 0: 3 edges"));
    }
}
