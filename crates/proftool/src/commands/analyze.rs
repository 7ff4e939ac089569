//! `proftool analyze`: any or all metrics of an artifact.

use polars::prelude::DataFrame;
use proftool_analyze::metrics::{METRICS, Metric, Slo};
use proftool_analyze::windows::Window;
use proftool_analyze::{Computed, Options};
use proftool_trace::Artifact;

use crate::artifacts::Source;
use crate::failure::{Failure, Outcome};
use crate::names;
use crate::output::{self, Format, Order, Rows};
use crate::rules::RulesFile;

/// Compute metrics: what to do first, where the device waits and why, what overlaps, the pipeline bubble, the critical
/// path, ranks, launches, the roofline.
///
/// Results are printed; those of the default window and the built-in rules are also kept in the artifact's `metrics/`
/// folder as Parquet. `proftool list metrics` names them all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool analyze --artifacts artifacts
  proftool analyze --artifacts artifacts --metric idle --metric bubble
  proftool analyze --artifacts artifacts --metric bubble --window each --format json
  proftool analyze --artifacts artifacts --metric classes --rules my-kernels.toml
  proftool analyze --artifacts artifacts --metric critical_path --free 'linear_*'
  proftool analyze --artifacts artifacts --metric gaps --rows 5
  proftool analyze --artifacts artifacts --metric kernels --pass host
  proftool analyze --artifacts artifacts --metric serving --slo-ttft-ms 300 --slo-tpot-ms 40
  proftool list metrics")]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// A metric (repeatable); all of them without it
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// The window: the name of a range, or `each` for one result a window instead of their sum
    #[arg(long, value_name = "NAME|each")]
    window: Option<String>,
    /// The pass whose timeline is read, where there are several: `host`, `nsys`, `cupti` (default: the first)
    #[arg(long, value_name = "NAME")]
    pass: Option<String>,
    #[command(flatten)]
    rules: RulesFile,
    /// Ask critical_path how much earlier the work would end if these kernels took no time; `*` stands for any text
    #[arg(long, value_name = "GLOB")]
    free: Option<String>,
    /// Time to the first token that every request was to meet, in ms, in place of what its log states
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    slo_ttft_ms: Option<i64>,
    /// Time per output token after it, in ms, likewise
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    slo_tpot_ms: Option<i64>,
    /// Rows of a metric that the readable formats show, shared between runs and devices; JSON and CSV hold all
    #[arg(long, value_name = "N|all", default_value = "20")]
    rows: Rows,
    /// Every column in the readable formats too
    #[arg(long)]
    wide: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A number of milliseconds above 0, in nanoseconds.
fn milliseconds(text: &str) -> Result<i64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let known = number > 0.0 && number <= 1e9;
    if known { Ok((number * 1e6).round() as i64) } else { Err("not a number above 0 and up to 10^9".to_owned()) }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let metrics = chosen(&args.metric)?;
    if args.format == Format::Csv && metrics.len() > 1 {
        let hint = "name one with --metric, or use --format json";
        return Err(Failure::usage(format!(
            "CSV holds one table, {} metrics were asked for (hint: {hint})",
            metrics.len()
        )));
    }
    if let Some(glob) = &args.free
        && (glob.is_empty() || metrics.iter().all(|metric| metric.name != "critical_path"))
    {
        let hint = "give a name, in which * stands for any text, and --metric critical_path or no --metric";
        return Err(Failure::usage(format!("--free asks the critical path about kernels (hint: {hint})")));
    }
    let window = Window::parse(args.window.as_deref());
    let rules = args.rules.read()?;
    let runs = args.source.find()?;
    let slo = Slo { ttft_ns: args.slo_ttft_ms, tpot_ns: args.slo_tpot_ms };
    let (free, pass) = (args.free.clone(), args.pass.clone());
    let options = Options { window, rules, free, pass, slo, ..Options::default() };
    let mut results = compute(&runs, &metrics, &options)?;
    // What to look at first is printed first.
    results.sort_by_key(|(metric, _)| metric.name != "findings");
    if args.format.is_readable() {
        return print_readable(args, &results);
    }
    let whole: Vec<_> = results.into_iter().map(|(metric, frame)| (metric.name, frame, None)).collect();
    output::print_all(args.format, &whole)?;
    Ok(0)
}

/// Prints the first rows of each result, and then which results have none.
fn print_readable(args: &Args, results: &[(&'static Metric, DataFrame)]) -> Outcome {
    let (full, empty): (Vec<_>, Vec<_>) = results.iter().partition(|(_, frame)| frame.height() > 0);
    for (metric, frame) in full {
        let columns =
            (!args.wide).then(|| output::columns(metric.name)).flatten().map(|columns| telling(columns, frame));
        let (shown, left) = output::first(frame, args.rows, order(metric.name));
        let more = (left > 0).then(|| format!("... and {left} more (--rows all, or --format json)"));
        output::print_noted(args.format, metric.name, &shown, columns.as_deref(), more.as_deref())?;
    }
    if !empty.is_empty() {
        let names: Vec<&str> = empty.iter().map(|(metric, _)| metric.name).collect();
        crate::tty::print(&format!("no rows: {}\n", names.join(", ")))?;
    }
    Ok(0)
}

/// The columns, with those that tell rows apart where they differ: the rank, and the run where targets are the same.
fn telling(columns: &[&'static str], frame: &DataFrame) -> Vec<&'static str> {
    let distinct =
        |name: &str| frame.column(name).ok().and_then(|column| column.drop_nulls().n_unique().ok()).unwrap_or(0);
    let mut all = columns.to_vec();
    if distinct("run") > distinct("target") {
        all.push("run");
    }
    if distinct("rank") > 1 {
        all.push("rank");
    }
    all
}

/// What comes first where a result is cut.
fn order(metric: &str) -> Order {
    let groups: &'static [&'static str] = match metric {
        // One order over all ranks and devices.
        "findings" => &["run"],
        "critical_path" | "critical_operations" => &["run", "scope", "window"],
        "queue_depth" => &["run", "rank", "device", "queue"],
        _ => &["run", "rank", "device"],
    };
    let part = match metric {
        "idle" | "gaps" => Some("queue"),
        "queue_depth" | "device_load" => Some("bin"),
        "kv_transfer" => Some("request"),
        "launch" => Some("name"),
        "graph_launches" => Some("graph"),
        _ => None,
    };
    Order { groups, part }
}

/// Computes metrics over several runs: one frame a metric, the runs' rows one after the other. Results of the default
/// options are also kept in each artifact, where it can be written.
///
/// # Errors
/// When an artifact cannot be read.
pub(crate) fn compute(
    runs: &[Artifact],
    metrics: &[&'static Metric],
    options: &Options,
) -> Result<Vec<(&'static Metric, DataFrame)>, Failure> {
    let mut all: Vec<(&'static Metric, DataFrame)> = Vec::new();
    for run in runs {
        let results = proftool_analyze::analyze(run, metrics, options)?;
        if *options == Options::default() {
            keep(run, &results);
        }
        for (metric, frame) in results {
            match all.iter_mut().find(|(known, _)| known.name == metric.name) {
                Some((_, whole)) => {
                    *whole = whole.vstack(&frame).map_err(|error| Failure::new(crate::failure::Kind::Bug, error))?;
                }
                None => all.push((metric, frame)),
            }
        }
    }
    Ok(all)
}

/// Keeps results in the artifact.
pub(crate) fn keep(run: &Artifact, results: &[Computed]) {
    if let Err(error) = proftool_analyze::write(run, results) {
        // An artifact on a read-only disk can still be looked at.
        crate::tty::say(&format!("warning: the results were not kept in the artifact: {error}"));
    }
}

/// The metrics of these names, each once; all of them without a name.
fn chosen(wanted: &[String]) -> Result<Vec<&'static Metric>, Failure> {
    let known = || METRICS.iter().map(|metric| metric.name);
    if let Some(name) = wanted.iter().find(|name| known().all(|known| known != name.as_str())) {
        return Err(Failure::usage(format!("no metric is called {name} ({})", names::suggest(name, known()))));
    }
    Ok(proftool_analyze::select(wanted)?)
}
