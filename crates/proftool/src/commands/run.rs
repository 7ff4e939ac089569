//! `proftool run`: capture, analyse and report in one step.

use std::path::PathBuf;

use proftool_trace::{Artifact, frame};
use serde_json::Value;

use crate::commands::{capture, report};
use crate::failure::{Failure, Outcome};
use crate::{artifacts, interrupt, tty};

/// Capture a target, a pair or any command, analyse it, and write the report: the main job.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool run --target pipeline_parallelism                  baseline, optimized and their comparison
  proftool run --target pipeline_parallelism --html
  proftool run --target pipeline_parallelism --set decode_steps=0 --set microbatches=8
  proftool run --target optimized_pipeline_parallelism --set stages=2 --set schedule=interleaved
  proftool run --target router --trace                        the router lab, simulated
  proftool run --target labs/dynamic_router --set burst_factor=8
  proftool run --profile timeline -- python serve.py --model m     any command, under Nsight Systems")]
pub(crate) struct Args {
    #[command(flatten)]
    options: capture::Options,
    /// Folder that the artifacts are made in
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    artifacts: PathBuf,
    #[command(flatten)]
    output: report::Output,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let rules = args.output.rules.read()?;
    let prepared = capture::prepare(&args.options, &args.artifacts)?;
    artifacts::check_writable(&args.output.reports)?;
    let finished = capture::capture(&prepared)?;
    interrupt::check(format!("the runs are whole (hint: `proftool report --artifacts {}`)", args.artifacts.display()))?;
    for line in &finished.lines {
        tty::print(&format!("{line}\n"))?;
    }
    for runs in finished.artifacts.chunks(finished.together.max(1)) {
        let rendered = report::render(runs, &args.output, rules.as_ref())?;
        tty::print(&headline(runs)?)?;
        tty::print(&format!("report: {}\n", rendered.markdown.display()))?;
        if let Some(page) = &rendered.html {
            tty::print(&format!("page:   {}\n", page.display()))?;
        }
    }
    finished.outcome(args.options.strict)
}

/// The comparison's verdict in one line; empty for a single run, and for runs without measured blocks.
fn headline(runs: &[Artifact]) -> Result<String, Failure> {
    let [baseline, optimized] = runs else { return Ok(String::new()) };
    if optimized.manifest.blocks == 0 {
        return Ok(String::new());
    }
    let rows = frame::json_rows(&frame::read_any(&optimized.metrics_dir().join("comparison.parquet"))?);
    let Some(row) = rows.first() else { return Ok(String::new()) };
    let number = |key: &str| row.get(key).and_then(Value::as_f64);
    let verdict = row.get("verdict").and_then(Value::as_str).unwrap_or("no claim");
    let (before, after) = (&baseline.manifest.target.name, &optimized.manifest.target.name);
    let (Some(ratio), Some(low), Some(high)) =
        (number("speedup_ratio"), number("speedup_low_ratio"), number("speedup_high_ratio"))
    else {
        return Ok(format!("{after} against {before}: {verdict}\n"));
    };
    let p_value = number("p_value").map_or_else(String::new, |p_value| format!(", p = {p_value:.2e}"));
    Ok(format!("{after} against {before}: {verdict}, {ratio:.2}x (95 % interval {low:.2} to {high:.2}{p_value})\n"))
}
