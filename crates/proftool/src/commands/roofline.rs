//! `proftool roofline`: kernels ranked by recoverable time, the lists beside them, the chart, and a gate for CI.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use polars::prelude::DataFrame;
use proftool_analyze::metrics::{METRICS, Metric};
use proftool_analyze::{Against, Options, Window};
use proftool_report::RooflineOptions;
use proftool_roofline::{Level, Precision};
use proftool_trace::{Artifact, artifact, frame};

use crate::artifacts::Source;
use crate::commands::analyze;
use crate::failure::{Failure, Kind, Outcome};
use crate::output::{self, Format};
use crate::roofline::gate;
use crate::roofline::selection::{self, Selection};
use crate::rules::RulesFile;
use crate::tty::say;

/// Place each kernel under the roofs of its device, ranked by the time that could be recovered.
///
/// FLOP and bytes come from counters (an Nsight Compute or rocprofiler-compute pass), from operator shapes, or from what
/// a built-in target states; time comes from the timeline where the artifact has one. Every row says which. The chart is
/// written to the artifact as metrics/roofline.svg.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool roofline --artifacts artifacts
  proftool roofline --artifacts artifacts --phase decode --top 10
  proftool roofline --artifacts artifacts --precision bf16 --against datasheet
  proftool roofline --artifacts artifacts --level L2              bytes of the L2 under its roof
  proftool roofline --artifacts artifacts --all --normalised --chart both.svg    several captures on one chart
  proftool roofline --artifacts artifacts --format json --details every list as one object
  proftool roofline --artifacts artifacts --fail-below 60% --phase decode        exit code 6 below 60 % of the bound

Counters and a timeline of the same program become one artifact when their files lie in one folder:
  proftool import folder-with-trace.sqlite-and-page.csv/

The gate is the time-weighted share of the bound that the chosen kernels reach. It also fails when no
kernel could be placed, or when less than 80 % of the kernels' time was.")]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// A phase (repeatable): prefill, decode, mixed, kv_transfer, other, one of the target, or `none`
    #[arg(long, value_name = "PHASE")]
    phase: Vec<String>,
    /// A precision (repeatable): an element type such as bf16, or a name such as matrix_bf16
    #[arg(long, value_name = "NAME", value_parser = precision)]
    precision: Vec<String>,
    /// Show the bytes of this level under its own roof: DRAM, L2, L1, ...
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
    /// The first N rows only; 0 is all of them (default: 20 in the readable formats, all in JSON and CSV)
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// The roofs that bounds use; what has no measured roof uses the datasheet's
    #[arg(long, value_enum, default_value_t)]
    against: Roofs,
    /// Exit with code 6 when the chosen kernels reach less than this share of their bound (60% or 0.6)
    #[arg(long, value_name = "SHARE", value_parser = gate::threshold)]
    fail_below: Option<f64>,
    /// The window: the name of a range, or `each` for one result a window instead of their sum
    #[arg(long, value_name = "NAME|each")]
    window: Option<String>,
    /// The pass whose times are used, where there are several: `host`, `nsys`, `cupti` (default: the first)
    #[arg(long, value_name = "NAME")]
    pass: Option<String>,
    #[command(flatten)]
    rules: RulesFile,
    /// Every list: levels, precisions, roofs, links, instructions, energy, sampled metrics, operators
    #[arg(long)]
    details: bool,
    /// Write the chart of the chosen rows of all runs to this SVG file, instead of one a run to the artifact
    #[arg(long, value_name = "FILE", value_parser = svg)]
    chart: Option<PathBuf>,
    /// Chart of several devices under one roof: intensity over the ridge, and share of the roof
    #[arg(long)]
    normalised: bool,
    /// Draw the kernels that make up this share of the time (default: a dozen whole, of more than those 95 %)
    #[arg(long, value_name = "SHARE", value_parser = gate::threshold)]
    cut: Option<f64>,
    /// Every column in the readable formats too
    #[arg(long)]
    wide: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The roofs that bounds use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Roofs {
    /// What a micro-benchmark reached on the device.
    #[default]
    Measured,
    /// What the vendor states.
    Datasheet,
}

fn level(text: &str) -> Result<Level, String> {
    let known = || Level::all().map(Level::name).collect::<Vec<_>>().join(", ");
    Level::parse(text).ok_or_else(|| format!("no level is called {text:?} (choose one of {})", known()))
}

fn precision(text: &str) -> Result<String, String> {
    let known = || Precision::all().map(Precision::name).collect::<Vec<_>>().join(", ");
    let matches = Precision::all().any(|one| one.matches(text));
    if matches {
        Ok(text.to_owned())
    } else {
        Err(format!("no precision is called {text:?} (choose one of {})", known()))
    }
}

fn svg(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let is_svg = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("svg"));
    if is_svg { Ok(path.to_owned()) } else { Err("charts are SVG: name a file that ends in .svg".to_owned()) }
}

/// Exit code when the gate fails, or cannot be judged.
const GATE_FAILED: u8 = 6;

/// Rows of the readable formats without `--top`.
const TOP: usize = 20;

/// The lists beside the roofline, in the order in which they are read.
const LISTS: &[(&str, &str)] = &[
    ("roofline_unplaced", "kernels without a place, by time"),
    ("triage", "findings"),
    ("phases", "phases"),
    ("waterfall", "step waterfall"),
    ("roofline_level", "levels"),
    ("roofline_flop", "precisions"),
    ("roofs", "roofs side by side"),
    ("roofline_link", "links"),
    ("roofline_instruction", "instructions"),
    ("roofline_sampled", "sampled metrics by phase"),
    ("roofline_energy", "energy"),
    ("roofline_operator", "framework operators"),
];

/// Those that the readable formats always show, where they have rows.
const ALWAYS: &[&str] = &["roofline_unplaced", "triage", "phases", "waterfall"];

/// Those that the chart is drawn from, and `--level` printed.
const DRAWN: &[&str] = &["roofline", "roofline_level", "roofs"];

/// Phases that may be asked for although no row has them: a gate on decode must not depend on there being any.
const PHASES: &[&str] = &["prefill", "decode", "mixed", "kv_transfer", "other", "none"];

type Results = Vec<(&'static Metric, DataFrame)>;

pub(crate) fn run(args: &Args) -> Outcome {
    let rules = args.rules.read()?;
    let runs = args.source.find()?;
    if args.chart.is_some() && runs.len() > proftool_report::MOST_RUNS {
        let most = proftool_report::MOST_RUNS;
        return Err(Failure::usage(format!(
            "a chart shows at most {most} runs, not {} (hint: name fewer)",
            runs.len()
        )));
    }
    let against = if args.against == Roofs::Datasheet { Against::Datasheet } else { Against::Measured };
    let options = Options {
        window: Window::parse(args.window.as_deref()),
        against,
        rules,
        pass: args.pass.clone(),
        ..Options::default()
    };
    let results = analyze::compute(&runs, &metrics(args.details), &options)?;
    let selection = Selection { phases: args.phase.clone(), precisions: args.precision.clone(), level: args.level };
    let all = frame_of(&results, "roofline")?;
    check_phases(&args.phase, all)?;
    let rows = descending(&selection.of(all)?, "recoverable_ns")?;
    if rows.height() == 0 && !selection.is_all() {
        say(&format!("warning: no row was chosen ({})", known(all)?));
    }
    print(args, &results, &rows, &selection, runs.len())?;
    if options != Options::default() && args.chart.is_some() {
        // Charts are drawn from the results that are kept in the artifact, which are those of the default options.
        analyze::compute(&runs, &metrics(false), &Options::default())?;
        if args.window.is_some() {
            say("note: the chart shows the default window");
        }
        if options.rules.is_some() {
            say("note: the chart shows the built-in rules");
        }
    }
    draw(args, &runs, &selection)?;
    judge(args, &rows)
}

fn metrics(details: bool) -> Vec<&'static Metric> {
    let wanted = |name: &str| {
        let listed = LISTS.iter().any(|(list, _)| *list == name);
        DRAWN.contains(&name) || ALWAYS.contains(&name) || (details && listed)
    };
    METRICS.iter().filter(|metric| wanted(metric.name)).collect()
}

fn frame_of<'r>(results: &'r Results, name: &str) -> Result<&'r DataFrame, Failure> {
    let found = results.iter().find(|(metric, _)| metric.name == name).map(|(_, frame)| frame);
    found.ok_or_else(|| Failure::new(Kind::Bug, anyhow::anyhow!("the metric {name} was not computed")))
}

/// A phase that neither is known nor occurs is a typing error.
fn check_phases(wanted: &[String], rows: &DataFrame) -> Result<(), Failure> {
    let there = frame::texts(rows, "phase")?;
    let is_there = |phase: &str| there.iter().flatten().any(|known| known.eq_ignore_ascii_case(phase));
    let is_known = |phase: &str| PHASES.iter().any(|known| known.eq_ignore_ascii_case(phase));
    match wanted.iter().find(|phase| !is_known(phase) && !is_there(phase)) {
        Some(phase) => Err(Failure::usage(format!("no row is of the phase {phase:?} ({})", known(rows)?))),
        None => Ok(()),
    }
}

fn known(rows: &DataFrame) -> Result<String, Failure> {
    let (phases, precisions) = (selection::known(rows, "phase")?, selection::known(rows, "precision")?);
    Ok(format!("phases: {phases}; precisions: {precisions}; levels: {}", selection::known(rows, "level")?))
}

/// The rows with the largest values of a column first, those without one last.
fn descending(rows: &DataFrame, column: &str) -> Result<DataFrame, Failure> {
    let (values, times) = (frame::ints(rows, column)?, frame::ints(rows, "time_ns")?);
    let mut order: Vec<u32> = (0..rows.height() as u32).collect();
    order.sort_by_key(|row| std::cmp::Reverse((values[*row as usize], times[*row as usize])));
    let order = polars::prelude::IdxCa::from_vec("row".into(), order);
    rows.take(&order).map_err(|error| Failure::new(Kind::Bug, error))
}

fn print(args: &Args, results: &Results, rows: &DataFrame, selection: &Selection, runs: usize) -> Result<(), Failure> {
    let readable = matches!(args.format, Format::Table | Format::Markdown);
    let top = args.top.unwrap_or(if readable { TOP } else { 0 });
    let first = |frame: &DataFrame| if top == 0 { frame.clone() } else { frame.head(Some(top)) };
    let mut lists = vec![("roofline", "roofline, ranked by recoverable time", rows.clone())];
    if let Some(level) = args.level {
        let levels = selection.of(frame_of(results, "roofline_level")?)?;
        selection::check_comparable(&levels, level)?;
        let title = "bytes of the level under its roof, the longest first";
        lists.insert(0, ("roofline_level", title, descending(&levels, "time_ns")?));
        lists.truncate(if args.details { 2 } else { 1 });
    }
    for (name, title) in LISTS.iter().filter(|(name, _)| args.details || (readable && ALWAYS.contains(name))) {
        let frame = frame_of(results, name)?;
        let is_there = lists.iter().any(|(known, _, _)| known == name);
        if !is_there && (!readable || frame.height() > 0) {
            lists.push((name, title, frame.clone()));
        }
    }
    if args.format == Format::Csv && lists.len() > 1 {
        return Err(Failure::usage("CSV holds one table (hint: leave --details out, or use --format json)"));
    }
    let columns: Vec<Option<Vec<&str>>> = lists.iter().map(|(name, _, _)| columns(name, args.wide, runs)).collect();
    let shown: Vec<(&str, DataFrame, Option<&[&str]>)> = lists
        .iter()
        .zip(&columns)
        .map(|((name, title, frame), columns)| (if readable { *title } else { name }, first(frame), columns.as_deref()))
        .collect();
    output::print_all(args.format, &shown)?;
    let left = lists[0].2.height().saturating_sub(shown[0].1.height());
    if left > 0 {
        say(&format!("{left} more rows (hint: --top 0 shows all)"));
    }
    Ok(())
}

/// The columns that the readable formats show; with several runs the run first.
fn columns(name: &str, wide: bool, runs: usize) -> Option<Vec<&'static str>> {
    let chosen = output::columns(name).filter(|_| !wide)?;
    Some(if runs > 1 { [&["run"], chosen].concat() } else { chosen.to_vec() })
}

/// The charts, one a run, or all runs on the one that `--chart` names. Without it a chart of chosen rows is not drawn: that
/// of the artifact shows all. What cannot be drawn there is a warning, for the numbers stand already.
fn draw(args: &Args, runs: &[Artifact], selection: &Selection) -> Result<(), Failure> {
    let options = chart_options(args, selection);
    if let Some(file) = &args.chart {
        let svg = proftool_report::roofline_chart(&runs.iter().collect::<Vec<_>>(), &options)?;
        artifact::write_whole(file, svg.as_bytes())?;
        say(&format!("chart: {}", file.display()));
        return Ok(());
    }
    if !selection.is_all()
        || args.normalised
        || args.cut.is_some()
        || args.window.is_some()
        || args.rules.is_given()
        || options.against.is_some()
    {
        say("hint: --chart FILE.svg draws the chosen rows");
        return Ok(());
    }
    for run in runs {
        let file = run.metrics_dir().join("roofline.svg");
        let drawn = proftool_report::roofline_chart(&[run], &options).map_err(Failure::from);
        match drawn.and_then(|svg| Ok(artifact::write_whole(&file, svg.as_bytes())?)) {
            Ok(()) => say(&format!("chart: {}", file.display())),
            Err(failure) => say(&format!("warning: no chart of {}: {failure}", run.run())),
        }
    }
    Ok(())
}

fn chart_options(args: &Args, selection: &Selection) -> RooflineOptions {
    RooflineOptions {
        normalised: args.normalised,
        cut_ratio: args.cut,
        level: selection.level.map(|level| level.name().to_owned()),
        precisions: selection.precision_names(),
        phases: selection.phases.iter().map(|phase| phase.to_lowercase()).collect(),
        against: (args.against == Roofs::Datasheet).then_some(proftool_report::Against::Datasheet),
    }
}

/// Says what each run reaches and returns the exit code.
fn judge(args: &Args, rows: &DataFrame) -> Result<u8, Failure> {
    let Some(least) = args.fail_below else { return Ok(0) };
    let reached = gate::reached(rows)?;
    let refusals: Vec<String> = reached.iter().filter_map(|run| run.refusal(least)).collect();
    if reached.is_empty() {
        say("gate: failed: no row could be judged");
        return Ok(GATE_FAILED);
    }
    for refusal in &refusals {
        say(&format!("gate: failed: {refusal}"));
    }
    for run in reached.iter().filter(|run| run.refusal(least).is_none()) {
        let percent = |value: f64| format!("{:.1} %", value * 100.0);
        let efficiency = run.efficiency().map_or_else(String::new, percent);
        let placed = percent(run.placed());
        say(&format!("gate: passed: {}: {efficiency} of the bound ({placed} of the time placed)", run.run));
    }
    Ok(if refusals.is_empty() { 0 } else { GATE_FAILED })
}
