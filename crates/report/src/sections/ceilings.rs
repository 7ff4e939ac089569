//! The ceilings that the bounds were computed from.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::Report;
use crate::views::roofline::{Ceiling, ceilings};

#[derive(Serialize)]
struct Values {
    rows: Vec<Line>,
    contended: bool,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    kind: String,
    device: String,
    name: String,
    precision: String,
    level: String,
    isa: String,
    cores: String,
    value: String,
    per_cycle: String,
    source: String,
    contended: &'static str,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    // A pair shares one measurement: equal rows are listed once.
    let mut lines = BTreeSet::new();
    for run in &report.runs {
        lines.extend(ceilings(run)?.iter().map(line));
    }
    let rows: Vec<Line> = lines.into_iter().collect();
    let contended = rows.iter().any(|row| row.contended == "yes");
    Built::new("ceilings", &Values { rows, contended }, Vec::new()).map(Some)
}

fn line(ceiling: &Ceiling) -> Line {
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), format::plain);
    let compute = ceiling.kind == "compute";
    let unit = if compute { "FLOP" } else { "B" };
    Line {
        kind: format::plain(&ceiling.kind),
        device: ceiling.device.to_string(),
        name: format::plain(&ceiling.name),
        precision: text(&ceiling.precision),
        level: text(&ceiling.level),
        isa: text(&ceiling.isa),
        cores: ceiling.cores.map_or_else(|| "-".to_owned(), |cores| cores.to_string()),
        value: if compute { format::flop_rate(ceiling.value) } else { format::bandwidth(ceiling.value) },
        per_cycle: ceiling
            .per_cycle
            .map_or_else(|| "-".to_owned(), |value| format!("{} {unit}", format::significant(value))),
        source: format::plain(&ceiling.source),
        contended: if ceiling.contended { "yes" } else { "no" },
    }
}
