//! `proftool analyze`: any or all metrics of an artifact.

use polars::prelude::DataFrame;
use proftool_analyze::metrics::{METRICS, Metric};
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
    #[command(flatten)]
    rules: RulesFile,
    /// Ask critical_path how much earlier the work would end if these kernels took no time; `*` stands for any text
    #[arg(long, value_name = "GLOB")]
    free: Option<String>,
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
    let options = Options { window, rules, free: args.free.clone(), ..Options::default() };
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
        let columns = (!args.wide).then(|| columns(metric.name)).flatten().map(|columns| telling(columns, frame));
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
        "queue_depth" => Some("bin"),
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

/// The columns that the readable formats show: what fits a screen. Everything is in `--wide`, JSON and CSV.
pub(crate) fn columns(metric: &str) -> Option<&'static [&'static str]> {
    Some(match metric {
        "idle" => &[
            "target",
            "device",
            "queue",
            "window",
            "span_ns",
            "busy_ns",
            "idle_ratio",
            "kv_wait_ns",
            "dependency_wait_ns",
            "sync_ns",
            "host_wait_ns",
            "launch_ns",
            "other_ns",
        ],
        "classes" => &[
            "target",
            "device",
            "window",
            "class",
            "rule",
            "activities",
            "total_ns",
            "union_ns",
            "time_ratio",
            "names",
            "largest_name",
        ],
        "gaps" => &[
            "target",
            "device",
            "queue",
            "place",
            "start_ns",
            "length_ns",
            "cumulative_ratio",
            "cause",
            "previous",
            "next",
            "call",
            "range",
        ],
        "critical_path" => &[
            "target",
            "scope",
            "device",
            "window",
            "segment",
            "name",
            "on_path_ns",
            "on_path_ratio",
            "segments",
            "launches",
            "free_saved_ns",
            "slack_ns",
            "coverage_ratio",
        ],
        "critical_operations" => &[
            "target",
            "device",
            "queue",
            "window",
            "kind",
            "id",
            "name",
            "start_ns",
            "on_path_ns",
            "lag_ns",
            "on_path_ratio",
            "bound_by",
            "input_name",
        ],
        "findings" => &["target", "place", "severity", "code", "size_ns", "size_ratio", "rank", "device", "title"],
        "overlap" => &[
            "target",
            "device",
            "window",
            "kind",
            "total_ns",
            "hidden_ns",
            "exposed_ns",
            "hidden_ratio",
            "exclusive_ns",
        ],
        "bubble" => &[
            "target",
            "window",
            "host_count",
            "stages",
            "micro_batches",
            "span_ns",
            "bubble_ratio",
            "fill_drain_ratio",
            "imbalance_ratio",
            "transfer_ratio",
            "host_ratio",
            "dependency_ratio",
            "other_ratio",
            "ideal_makespan_ns",
            "steady_bubble_ratio",
        ],
        "bubble_iteration" => &[
            "target",
            "window",
            "iteration",
            "name",
            "state",
            "span_ns",
            "bubble_ratio",
            "fill_drain_ns",
            "imbalance_ns",
            "transfer_ns",
            "host_ns",
            "dependency_ns",
            "other_ns",
        ],
        "roofline" => &[
            "target",
            "device",
            "name",
            "phase",
            "precision",
            "launches",
            "time_ns",
            "arithmetic_intensity",
            "flop_per_s",
            "limiter",
            "limiter_level",
            "efficiency_ratio",
            "roof_source",
            "efficiency_datasheet_ratio",
            "recoverable_ns",
        ],
        "roofline_level" => &[
            "target",
            "device",
            "name",
            "phase",
            "level",
            "bytes",
            "arithmetic_intensity",
            "bytes_per_s",
            "roof_ratio",
            "roof_source",
            "datasheet_ratio",
        ],
        "roofline_flop" => &[
            "target",
            "device",
            "name",
            "phase",
            "precision",
            "sparse",
            "flop",
            "flop_per_s",
            "peak_ratio",
            "peak_source",
            "datasheet_ratio",
            "observed_ratio",
        ],
        "roofline_link" => &[
            "target",
            "device",
            "kind",
            "launches",
            "wire_bytes",
            "time_ns",
            "wire_bytes_per_s",
            "roof_bytes_per_s",
            "roof_ratio",
            "compute_bound_ns",
            "limiter",
            "reason",
        ],
        "roofline_energy" => &[
            "target",
            "device",
            "phase",
            "metric",
            "coverage_ratio",
            "energy_j",
            "mean_w",
            "constant_ratio",
            "tokens",
            "joule_per_token",
            "joule_per_flop",
            "recoverable_j",
            "reason",
        ],
        "roofline_instruction" => &[
            "target",
            "device",
            "name",
            "phase",
            "launches",
            "time_ns",
            "instructions_per_s",
            "issue_ratio",
            "dram_intensity",
            "l2_intensity",
            "l1_intensity",
            "efficiency_ratio",
            "limiter",
        ],
        "roofline_operator" => &[
            "target",
            "device",
            "phase",
            "name",
            "calls",
            "launches",
            "time_ns",
            "flop",
            "dram_bytes",
            "arithmetic_intensity",
            "flop_per_s",
            "precision",
        ],
        "roofline_sampled" => &[
            "target",
            "device",
            "phase",
            "metric",
            "role",
            "samples",
            "coverage_ratio",
            "mean",
            "min",
            "max",
            "roof_ratio",
            "flags",
        ],
        "roofline_unplaced" => {
            &["target", "device", "name", "phase", "reason", "launches", "time_ns", "time_ratio", "placed_time_ratio"]
        }
        "roofs" => &[
            "target",
            "device",
            "kind",
            "name",
            "precision",
            "sparse",
            "level",
            "source",
            "value",
            "unit",
            "confidence",
            "used",
        ],
        "power" => &[
            "target",
            "device",
            "window",
            "scope_kind",
            "scope",
            "source",
            "coverage_ratio",
            "energy_j",
            "energy_ratio",
            "mean_w",
            "max_w",
            "tokens",
            "joule_per_token",
            "joule_per_output_token",
        ],
        "samples" => &[
            "target",
            "device",
            "metric",
            "unit",
            "scope_kind",
            "scope",
            "samples",
            "covered_ns",
            "mean",
            "p50",
            "p95",
            "max",
            "above_90_ratio",
            "issue",
        ],
        "throttling" => &[
            "target",
            "device",
            "kind",
            "name",
            "coverage_ratio",
            "active_ns",
            "active_ratio",
            "kernels",
            "kernel_ns",
            "kernel_mean_hz",
            "drop_ratio",
            "spec_drop_ratio",
            "lost_ns",
            "reason",
        ],
        "triage" => &["target", "device", "name", "phase", "symptom", "cause", "confidence", "evidence"],
        "waterfall" => &[
            "target",
            "device",
            "step",
            "name",
            "span_ns",
            "roof_ns",
            "inefficiency_ns",
            "unplaced_ns",
            "exposed_comm_ns",
            "exposed_kv_ns",
            "exposed_copy_ns",
            "launch_ns",
            "idle_ns",
            "above_roof_ns",
        ],
        "ranges" => &[
            "target",
            "path",
            "instances",
            "total_ns",
            "projected_ns",
            "busy_ns",
            "idle_ratio",
            "operations",
            "exclusive_operations",
            "exclusive_busy_ns",
            "unprojected",
        ],
        "steps" => &[
            "target",
            "device",
            "step",
            "name",
            "phase",
            "state",
            "span_ns",
            "gap_ns",
            "busy_ns",
            "idle_ratio",
            "exposed_comm_ns",
            "kernels",
            "tokens",
        ],
        "phases" => &[
            "target",
            "device",
            "phase",
            "time_ns",
            "coverage_ratio",
            "efficiency_ratio",
            "limiter",
            "tokens",
            "flop_per_token",
            "bytes_per_token",
            "batch",
            "context",
            "crossing_batch",
            "crossing_context",
        ],
        "kernels" => {
            &["target", "device", "name", "launches", "total_ns", "median_ns", "min_ns", "max_ns", "time_ratio"]
        }
        "launch" => &[
            "target",
            "device",
            "name",
            "launches",
            "coverage_ratio",
            "api_median_ns",
            "api_p99_ns",
            "queue_delay_median_ns",
            "latency_median_ns",
            "idle_ns",
            "launch_bound_ns",
            "launch_bound_ratio",
            "reason",
        ],
        "graph_launches" => &[
            "target",
            "device",
            "graph",
            "launches",
            "nodes_median",
            "api_median_ns",
            "api_per_node_ns",
            "span_ns",
            "busy_ns",
            "gap_ns",
            "between_ns",
            "between_idle_ns",
            "reliable",
        ],
        "kernel_durations" => &[
            "target",
            "device",
            "window",
            "kind",
            "from_ns",
            "to_ns",
            "kernels",
            "total_ns",
            "kernels_ratio",
            "time_ratio",
        ],
        "calls" => &[
            "target",
            "rank",
            "api",
            "name",
            "calls",
            "total_ns",
            "median_ns",
            "min_ns",
            "max_ns",
            "time_ratio",
            "device_idle_ns",
        ],
        "queue_depth" => &[
            "target",
            "device",
            "queue",
            "bin",
            "span_ns",
            "launches",
            "coverage_ratio",
            "max_depth",
            "mean_depth",
            "p95_depth",
            "full_ns",
            "empty_ns",
            "starved_ns",
        ],
        "copies" => &[
            "target",
            "device",
            "window",
            "copy_kind",
            "src_memory",
            "dst_memory",
            "copies",
            "bytes",
            "union_ns",
            "exposed_ns",
            "bytes_per_s",
            "median_bytes_per_s",
            "roof_ratio",
            "finding",
        ],
        "kv_transfer" => &[
            "target",
            "request",
            "window",
            "source",
            "bytes",
            "total_ns",
            "hidden_ns",
            "exposed_ns",
            "sender_hidden_ns",
            "exposed_ttft_ns",
            "decode_stall_ns",
            "bytes_per_s",
            "link_ratio",
            "interference_ratio",
        ],
        "collective_sizes" => &[
            "target",
            "window",
            "operation",
            "group",
            "group_size",
            "from_bytes",
            "to_bytes",
            "collectives",
            "complete",
            "duration_ns",
            "transfer_ns",
            "bus_bytes_per_s",
            "link_ratio",
        ],
        "collectives" => &[
            "target",
            "window",
            "group",
            "sequence",
            "operation",
            "bytes",
            "participants",
            "match",
            "start_skew_ns",
            "end_skew_ns",
            "last_rank",
            "last_device",
            "wait_ns",
            "transfer_ns",
        ],
        "ranks" => &[
            "target",
            "rank",
            "device",
            "window",
            "clock",
            "offset_ns",
            "refined_ns",
            "residual_ns",
            "comm_ns",
            "wait_ns",
            "coverage_ratio",
            "last_ratio",
            "late_ns",
            "step_ns",
        ],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_columns_for_a_screen_and_they_are_in_its_schema() {
        for metric in METRICS {
            let shown = columns(metric.name).unwrap_or_else(|| panic!("{} has no columns for a screen", metric.name));
            let is_known = |name: &&str| metric.table.columns.iter().any(|column| column.name == *name);
            assert!(shown.iter().all(is_known), "{}: {shown:?}", metric.name);
            assert!(shown.len() <= 15, "{} is too wide for a screen", metric.name);
        }
    }
}
