//! The sections of a report, one file and one template each, in the order of [`SECTIONS`].
//!
//! A section turns the runs into formatted values and pictures; its template only lays them out.

use proftool_trace::tables::ACTIVITIES;
use serde::Serialize;
use tera::{Context, Tera};

use crate::basis::{self, Names};
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};

mod bubble;
mod calls;
mod ceilings;
mod classes;
mod collectives;
mod copies;
mod critical_path;
mod findings;
mod headline;
mod idle;
mod issues;
mod kv_transfer;
mod launch;
mod losses;
mod modelled;
mod overlap;
mod overview;
mod phases;
mod power;
mod ranges;
mod ranks;
mod reproduce;
mod roofline;
mod roofline_energy;
mod roofline_instruction;
mod roofline_link;
mod roofline_sampled;
mod roofline_unplaced;
mod roofs;
mod samples;
mod serving;
mod steps;
mod timeline;
mod triage;
mod waterfall;

/// A picture that a section refers to.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// File name beside the report.
    pub(crate) file: String,
    /// Its content.
    pub(crate) svg: String,
}

/// What a section made of the runs.
#[derive(Debug)]
pub(crate) struct Built {
    context: Context,
    pictures: Vec<Picture>,
}

impl Built {
    fn new(section: &'static str, values: &impl Serialize, pictures: Vec<Picture>) -> Result<Self, Error> {
        let context = Context::from_serialize(values).map_err(|error| template_error(section, &error))?;
        Ok(Self { context, pictures })
    }
}

/// One section.
pub(crate) struct Section {
    name: &'static str,
    template: &'static str,
    /// None where the section has nothing to say about these runs.
    build: fn(&Report) -> Result<Option<Built>, Error>,
}

/// Every section, in the order of the report.
pub(crate) const SECTIONS: &[Section] = &[
    Section { name: "issues", template: include_str!("../../../../templates/issues.md"), build: issues::build },
    Section { name: "headline", template: include_str!("../../../../templates/headline.md"), build: headline::build },
    Section { name: "findings", template: include_str!("../../../../templates/findings.md"), build: findings::build },
    Section { name: "overview", template: include_str!("../../../../templates/overview.md"), build: overview::build },
    Section { name: "serving", template: include_str!("../../../../templates/serving.md"), build: serving::build },
    Section { name: "roofline", template: include_str!("../../../../templates/roofline.md"), build: roofline::build },
    Section { name: "triage", template: include_str!("../../../../templates/triage.md"), build: triage::build },
    Section {
        name: "roofline_unplaced",
        template: include_str!("../../../../templates/roofline_unplaced.md"),
        build: roofline_unplaced::build,
    },
    Section { name: "roofs", template: include_str!("../../../../templates/roofs.md"), build: roofs::build },
    Section {
        name: "roofline_link",
        template: include_str!("../../../../templates/roofline_link.md"),
        build: roofline_link::build,
    },
    Section {
        name: "roofline_sampled",
        template: include_str!("../../../../templates/roofline_sampled.md"),
        build: roofline_sampled::build,
    },
    Section {
        name: "roofline_energy",
        template: include_str!("../../../../templates/roofline_energy.md"),
        build: roofline_energy::build,
    },
    Section {
        name: "roofline_instruction",
        template: include_str!("../../../../templates/roofline_instruction.md"),
        build: roofline_instruction::build,
    },
    Section { name: "phases", template: include_str!("../../../../templates/phases.md"), build: phases::build },
    Section {
        name: "waterfall",
        template: include_str!("../../../../templates/waterfall.md"),
        build: waterfall::build,
    },
    Section { name: "timeline", template: include_str!("../../../../templates/timeline.md"), build: timeline::build },
    Section { name: "idle", template: include_str!("../../../../templates/idle.md"), build: idle::build },
    Section { name: "steps", template: include_str!("../../../../templates/steps.md"), build: steps::build },
    Section { name: "ranges", template: include_str!("../../../../templates/ranges.md"), build: ranges::build },
    Section {
        name: "critical_path",
        template: include_str!("../../../../templates/critical_path.md"),
        build: critical_path::build,
    },
    Section { name: "bubble", template: include_str!("../../../../templates/bubble.md"), build: bubble::build },
    Section { name: "losses", template: include_str!("../../../../templates/losses.md"), build: losses::build },
    Section { name: "overlap", template: include_str!("../../../../templates/overlap.md"), build: overlap::build },
    Section { name: "copies", template: include_str!("../../../../templates/copies.md"), build: copies::build },
    Section { name: "classes", template: include_str!("../../../../templates/classes.md"), build: classes::build },
    Section {
        name: "kv_transfer",
        template: include_str!("../../../../templates/kv_transfer.md"),
        build: kv_transfer::build,
    },
    Section { name: "ranks", template: include_str!("../../../../templates/ranks.md"), build: ranks::build },
    Section {
        name: "collectives",
        template: include_str!("../../../../templates/collectives.md"),
        build: collectives::build,
    },
    Section { name: "launch", template: include_str!("../../../../templates/launch.md"), build: launch::build },
    Section { name: "calls", template: include_str!("../../../../templates/calls.md"), build: calls::build },
    Section { name: "samples", template: include_str!("../../../../templates/samples.md"), build: samples::build },
    Section { name: "power", template: include_str!("../../../../templates/power.md"), build: power::build },
    Section { name: "ceilings", template: include_str!("../../../../templates/ceilings.md"), build: ceilings::build },
    Section { name: "modelled", template: include_str!("../../../../templates/modelled.md"), build: modelled::build },
    Section {
        name: "reproduce",
        template: include_str!("../../../../templates/reproduce.md"),
        build: reproduce::build,
    },
];

/// The sections of runs that served requests and of whose devices no timeline is known: the others would say only that.
const SERVING_ONLY: &[&str] =
    &["issues", "headline", "overview", "serving", "kv_transfer", "samples", "power", "modelled", "reproduce"];

/// Whether all that is known of every run is the requests that it served.
fn is_serving_only(report: &Report) -> bool {
    let only = |run: &Run| !run.metric("serving").is_empty() && run.tables.get(&ACTIVITIES).height() == 0;
    report.runs.iter().all(only)
}

fn template_error(section: &'static str, error: &tera::Error) -> Error {
    Error::Template { section, reason: error.to_string() }
}

/// Rows of the small tables; the others are in the metric's file only.
const TOP: usize = 10;

/// The first rows of a metric, and how many are left out.
struct Top<'a> {
    rows: Vec<(&'a Run, &'a Row)>,
    more: Option<String>,
}

/// The first [`TOP`] wanted rows of a metric in its first window set, the run that the report is about first.
fn top<'a>(report: &'a Report, metric: &str, wanted: impl Fn(&Row) -> bool) -> Top<'a> {
    top_by(report, metric, wanted, |_| 0)
}

/// The same, those of the lowest rank first.
fn top_by<'a>(report: &'a Report, metric: &str, wanted: impl Fn(&Row) -> bool, rank: impl Fn(&Row) -> u8) -> Top<'a> {
    let mut rows: Vec<(&Run, &Row)> = Vec::new();
    for run in report.runs.iter().rev() {
        let all = run.metric(metric);
        let window = all.first().and_then(|row| row.text("window"));
        let own = all.iter().filter(|row| row.text("window") == window && wanted(row));
        rows.extend(own.map(|row| (run, row)));
    }
    rows.sort_by_key(|(_, row)| rank(row));
    let more = rows.len().saturating_sub(TOP);
    rows.truncate(TOP);
    Top { rows, more: (more > 0).then(|| format!("{more} more rows in `metrics/{metric}.parquet`.")) }
}

/// What the template of a plain list shows.
#[derive(Serialize)]
struct Listing<L> {
    rows: Vec<L>,
    more: Option<String>,
}

/// A section that is one list, of the metric of its name; none where no row was found. `line` also takes what stands in
/// front of a device.
fn listing<L: Serialize>(
    report: &Report,
    name: &'static str,
    found: Top,
    line: impl Fn(&Row, &str) -> L,
) -> Result<Option<Built>, Error> {
    if found.rows.is_empty() {
        return Ok(None);
    }
    let rows = found.rows.iter().map(|(run, row)| line(row, &own(report, run))).collect();
    Built::new(name, &Listing { rows, more: found.more }, Vec::new()).map(Some)
}

/// The same, with what its numbers rest on.
#[derive(Serialize)]
struct Ranking<L> {
    basis: String,
    rows: Vec<L>,
    more: Option<String>,
}

/// A section that is one list of the metric of its name: of each run the [`TOP`] rows that come first in `order`, equal
/// ones in the order of the metric; none where no run has a row. `covered` as in [`basis::line`].
fn ranked<L: Serialize, K: Ord>(
    report: &Report,
    name: &'static str,
    covered: &str,
    order: impl Fn(&Row) -> K,
    line: impl Fn(&Names, &Row) -> L,
) -> Result<Option<Built>, Error> {
    let (mut all, mut lines) = (Vec::new(), Vec::new());
    for run in report.runs.iter().rev() {
        let mut rows = basis::rows(run, name);
        rows.sort_by_cached_key(|row| order(row));
        let names = Names::new(report, run, &rows);
        lines.extend(rows.iter().take(TOP).map(|row| line(&names, row)));
        all.extend(rows);
    }
    if all.is_empty() {
        return Ok(None);
    }
    let more = all.len() - lines.len();
    let more = (more > 0).then(|| format!("{more} more rows in `metrics/{name}.parquet`."));
    Built::new(name, &Ranking { basis: basis::line(&all, covered), rows: lines, more }, Vec::new()).map(Some)
}

/// What tells the runs of a pair apart in front of a device: `optimized: `.
fn own(report: &Report, run: &Run) -> String {
    if report.is_pair() { format!("{}: ", format::plain(run.label())) } else { String::new() }
}

/// Renders every section that has something to say: markdown, and the pictures that it refers to.
///
/// # Errors
/// When a table cannot be read, or a template does not fit its values.
pub(crate) fn render(report: &Report) -> Result<(String, Vec<Picture>), Error> {
    let mut tera = Tera::new();
    let (mut markdown, mut pictures) = (String::new(), Vec::new());
    let serving_only = is_serving_only(report);
    for section in SECTIONS.iter().filter(|section| !serving_only || SERVING_ONLY.contains(&section.name)) {
        let Some(built) = (section.build)(report)? else { continue };
        let failed = |error: tera::Error| template_error(section.name, &error);
        tera.add_raw_template(section.name, section.template).map_err(failed)?;
        let text = tera.render(section.name, &built.context).map_err(failed)?;
        markdown.push_str(text.trim());
        markdown.push_str("\n\n");
        pictures.extend(built.pictures);
    }
    Ok((markdown, pictures))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let paths = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let of_kind = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
        of_kind.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).filter(|stem| stem != "mod").collect()
    }

    #[test]
    fn the_list_equals_the_section_files_and_the_templates() {
        let listed: BTreeSet<String> = SECTIONS.iter().map(|section| section.name.to_owned()).collect();
        assert_eq!(listed.len(), SECTIONS.len());
        assert_eq!(listed, stems("src/sections", "rs"));
        assert_eq!(listed, stems("../../templates", "md"));
        assert!(SERVING_ONLY.iter().all(|name| listed.contains(*name)));
    }
}
