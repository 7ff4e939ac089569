//! Reports: metric tables to markdown, SVG pictures and one self-contained HTML page.
//!
//! This crate reads an artifact and never computes a metric. `views` choose what a chart shows, `charts` draw it,
//! `sections` format values for the templates, which only lay them out.

mod basis;
mod charts;
mod error;
pub mod format;
mod html;
mod options;
mod run;
mod sections;
mod views;

use std::fs;
use std::path::{Path, PathBuf};

use proftool_trace::artifact::{Artifact, write_whole};

pub use error::Error;
pub use options::{Against, RooflineOptions};
use run::{Report, Run};
pub use views::serving_rate::GoodputPoint;

/// Runs that one chart can tell apart.
pub const MOST_RUNS: usize = views::MOST_SERIES;

/// What to render beside the markdown report.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Also one self-contained `report.html` with the pictures inside.
    pub html: bool,
    /// The file of rules that the results were computed by, where it was not the built-in ones alone.
    pub rules: Option<String>,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The report.
    pub markdown: PathBuf,
    /// The self-contained page, where it was asked for.
    pub html: Option<PathBuf>,
    /// The pictures, in the order of the report.
    pub pictures: Vec<PathBuf>,
}

/// Renders the report of one run, or of the two runs of a pair (in any order), into `out_dir`: the pictures, then
/// `report.html` if asked for, `report.md` last, each file whole or not at all.
///
/// # Errors
/// [`Error::Runs`] when `runs` is neither one run nor a pair, [`Error::Artifact`] when an artifact cannot be read or a
/// file not be written, [`Error::Folder`] when `out_dir` cannot be created.
pub fn render(runs: &[Artifact], out_dir: &Path, options: &Options) -> Result<Rendered, Error> {
    let runs = ordered(runs)?.into_iter().map(Run::read).collect::<Result<Vec<_>, _>>()?;
    let report = Report { runs, rules: options.rules.clone() };
    let (sections, pictures) = sections::render(&report)?;
    let markdown = format!("{}\n{}\n", title(&report), sections.trim_end());
    fs::create_dir_all(out_dir).map_err(|source| Error::Folder { path: out_dir.to_owned(), source })?;
    let mut files = Vec::with_capacity(pictures.len());
    for picture in &pictures {
        let file = out_dir.join(&picture.file);
        write_whole(&file, picture.svg.as_bytes())?;
        files.push(file);
    }
    let html = options.html.then(|| out_dir.join("report.html"));
    if let Some(file) = &html {
        write_whole(file, html::page(&heading(&report), &markdown, &pictures).as_bytes())?;
    }
    let file = out_dir.join("report.md");
    write_whole(&file, markdown.as_bytes())?;
    Ok(Rendered { markdown: file, html, pictures: files })
}

/// The roofline of one run as SVG text.
///
/// # Errors
/// As [`roofline_chart`].
pub fn roofline_svg(run: &Artifact) -> Result<String, Error> {
    roofline_chart(&[run], &RooflineOptions::default())
}

/// The roofline of one or several runs on one chart, as SVG text: each kind of device in each run is a series with its
/// own number and roofs. Reads the metrics `roofline`, `roofline_level`, `roofline_unplaced` and `roofs`; all but the
/// first may be absent.
///
/// # Errors
/// [`Error::NoRoofline`] when the metric `roofline` of no run has a row that the options want, or none of them bytes of
/// the wanted level,
/// [`Error::TooManySeries`] for more than six runs, [`Error::Artifact`] when a file cannot be read.
pub fn roofline_chart(runs: &[&Artifact], options: &RooflineOptions) -> Result<String, Error> {
    let runs = runs.iter().map(|run| Run::read_roofline(run)).collect::<Result<Vec<_>, _>>()?;
    let view = views::roofline::view(&runs.iter().collect::<Vec<_>>(), "", options)?;
    let view = view.ok_or_else(|| no_roofline(&runs, options))?;
    match &options.level {
        Some(level) if view.is_empty() => Err(no_level(&runs, level)),
        _ => Ok(view.render()),
    }
}

/// Goodput and SLO attainment of several runs over their rates of arrivals as SVG text, a line a target: the runs of a
/// sweep. `share` is the attainment that is wanted, drawn as a line. Reads the metric `serving`; `None` where no target has
/// two runs with a rate and a goodput.
///
/// # Errors
/// [`Error::Artifact`] when a file cannot be read.
pub fn goodput_chart(runs: &[&Artifact], share: Option<f64>) -> Result<Option<String>, Error> {
    let runs = runs.iter().map(|run| Run::read_serving(run)).collect::<Result<Vec<_>, _>>()?;
    Ok(goodput_lines(&views::serving_rate::points(&runs), share))
}

/// The same of points that are known already, lines in the order of their first points.
pub fn goodput_lines(points: &[GoodputPoint], share: Option<f64>) -> Option<String> {
    views::serving_rate::chart(points, share).map(|chart| chart.render())
}

/// Rows there are, but none with bytes of the wanted level.
fn no_level(runs: &[Run], level: &str) -> Error {
    let mut known: Vec<&str> = runs.iter().flat_map(views::pool::levels_of).collect();
    known.sort_unstable();
    known.dedup();
    let known = if known.is_empty() {
        "no level has any".to_owned()
    } else {
        format!("levels with bytes: {}", known.join(", "))
    };
    Error::NoRoofline {
        run: names(runs),
        reason: format!("no chosen row has bytes of {} that can be placed", level.to_ascii_uppercase()),
        hint: format!("{known}; leave `--level` out for the outermost"),
    }
}

fn names(runs: &[Run]) -> String {
    runs.iter().map(|run| run.artifact.run()).collect::<Vec<_>>().join(", ")
}

fn no_roofline(runs: &[Run], options: &RooflineOptions) -> Error {
    let missing = runs.iter().find_map(|run| run.missing("roofline"));
    let filters = options.words();
    let (reason, hint) = match missing {
        None if !filters.is_empty() => {
            (format!("no row is of {filters}"), "leave out a filter; `--format json` lists what there is".to_owned())
        }
        missing => (
            missing.unwrap_or_else(|| "its rows name no device".to_owned()),
            "capture a target whose operations state their FLOP and bytes: `proftool capture --target NAME --profile \
             minimal`"
                .to_owned(),
        ),
    };
    Error::NoRoofline { run: names(runs), reason, hint }
}

/// One run, or baseline and optimized of one pair in that order.
fn ordered(runs: &[Artifact]) -> Result<Vec<&Artifact>, Error> {
    let refuse = |reason: &str, hint| Err(Error::Runs { runs: runs.len(), reason: reason.to_owned(), hint });
    let role = |artifact: &Artifact, role: &str| artifact.manifest.pair.as_ref().is_some_and(|pair| pair.role == role);
    match runs {
        [] => refuse("there is none", "name an artifact, or a folder of them"),
        [run] => Ok(vec![run]),
        [one, other] => {
            let (baseline, optimized) = if role(one, "optimized") { (other, one) } else { (one, other) };
            let same = one.manifest.pair.as_ref().map(|pair| &pair.name)
                == other.manifest.pair.as_ref().map(|pair| &pair.name);
            if same && role(baseline, "baseline") && role(optimized, "optimized") {
                Ok(vec![baseline, optimized])
            } else {
                refuse("these two are not the baseline and the optimized run of one pair", "render each by itself")
            }
        }
        _ => refuse("there are more than two", "render them one by one, or a pair at a time"),
    }
}

/// What the report is about, as plain text.
fn heading(report: &Report) -> String {
    let Some(run) = report.subject() else { return "proftool report".to_owned() };
    let manifest = &run.artifact.manifest;
    let pair = manifest.pair.as_ref().filter(|_| report.is_pair());
    let name = pair.map_or(manifest.target.name.as_str(), |pair| pair.name.as_str());
    format!("{name} on {}", manifest.hardware_key)
}

fn title(report: &Report) -> String {
    let mut text = format!("# {}\n", format::plain(&heading(report)));
    if report.is_simulated() {
        text.push_str("\n> **SIMULATED TIME.** Durations here were computed by a model; no hardware was measured.\n");
    }
    if let Some(unverified) = report.unverified() {
        text += &["\n> ", &unverified, "\n"].concat();
    }
    text
}
