//! Where the ideal speed-up was lost: p times T of the optimized run, from what the baseline computes to the sum.

use serde::Serialize;

use super::{Built, Picture};
use crate::charts::waterfall::{Kind, Term, Waterfall, signed};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, sum};

#[derive(Serialize)]
struct Values {
    missing: Option<String>,
    picture: Option<String>,
    rows: Vec<Line>,
    total: String,
    references: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    part: String,
    phase: String,
    time: String,
    share: String,
    limiter: String,
    meaning: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    // Only a pair has losses to compare; a single run is not told that something is missing.
    let Some(run) = report.subject().filter(|_| report.is_pair()) else { return Ok(None) };
    let (references, terms): (Vec<&Row>, Vec<&Row>) =
        report.of_pair("losses").iter().partition(|row| row.text("kind") == Some("reference"));
    let svg = chart(&terms, run.label()).render();
    let picture = (!terms.is_empty()).then(|| Picture { file: "losses.svg".to_owned(), svg });
    let values = Values {
        missing: run.missing("losses"),
        picture: picture.as_ref().map(|picture| picture.file.clone()),
        rows: terms.iter().map(|row| line(row)).collect(),
        total: format!("{} ms", format::milliseconds(total_ns(&terms))),
        references: references.into_iter().map(reference).collect(),
    };
    Built::new("losses", &values, picture.into_iter().collect()).map(Some)
}

fn total_ns(rows: &[&Row]) -> i64 {
    sum(rows.iter().filter_map(|row| row.int("ns")))
}

/// `fill_drain` as a reader writes it.
fn words(part: &str) -> String {
    part.replace('_', " ")
}

fn line(row: &Row) -> Line {
    Line {
        part: format::plain(&words(row.text("part").unwrap_or("unnamed"))),
        phase: format::plain(row.text("phase").unwrap_or("-")),
        time: format::or_absent(row.int("ns"), |ns| format!("{} ms", format::milliseconds(ns))),
        share: format::or_absent(row.float("share_ratio"), format::percent),
        limiter: format::plain(row.text("limiter").unwrap_or("-")),
        meaning: format::plain(row.text("meaning").unwrap_or("-")),
    }
}

/// A number beside the sum: `wall = 18.2 ms (T_opt: block length / iterations)`.
fn reference(row: &Row) -> String {
    let name = format::plain(&words(row.text("part").unwrap_or("unnamed")));
    let time = format::or_absent(row.int("ns"), |ns| format!("{} ms", format::milliseconds(ns)));
    let meaning = row.text("meaning").map_or_else(String::new, |text| format!(" ({})", format::plain(text)));
    format!("{name} = {time}{meaning}")
}

fn kind(part: &str) -> Kind {
    match part {
        "baseline_compute" => Kind::Base,
        "extra_compute" => Kind::Compute,
        _ => Kind::Bubble,
    }
}

fn chart(terms: &[&Row], label: &str) -> Waterfall {
    let total = total_ns(terms);
    let term = |row: &&Row| {
        let part = row.text("part").unwrap_or("unnamed");
        let (kind, ns) = (kind(part), row.int("ns").unwrap_or(0));
        let label = row.text("phase").map_or_else(|| words(part), |phase| format!("{}, {phase}", words(part)));
        let share = format::or_absent(row.float("share_ratio"), format::percent);
        Term { label, kind, ns, value: format!("{} ({share})", signed(ns, kind)) }
    };
    let mut terms: Vec<Term> = terms.iter().map(term).collect();
    let value = format::duration(total);
    terms.push(Term { label: format!("p * T of {label}"), kind: Kind::Total, ns: total, value });
    Waterfall {
        id: "losses".to_owned(),
        title: "Where the ideal speed-up was lost".to_owned(),
        subtitle: "Host time an iteration: each term begins where the one before ended; (share of p * T)".to_owned(),
        terms,
    }
}
