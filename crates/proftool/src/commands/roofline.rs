//! `proftool roofline`: kernels ranked by recoverable time, and the chart.

use std::path::PathBuf;

use proftool_analyze::metrics::METRICS;
use proftool_analyze::windows::Window;
use proftool_trace::{Artifact, artifact};

use crate::artifacts::Source;
use crate::commands::analyze;
use crate::failure::{Failure, Outcome};
use crate::output::{self, Format};

/// Place each kernel family and phase under the measured roofs, ranked by the time that could be recovered.
///
/// The table is also written to the artifact as `metrics/roofline.parquet`, the chart as `metrics/roofline.svg`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool roofline --artifacts artifacts
  proftool roofline --artifacts artifacts --format json
  proftool roofline --artifacts artifacts --wide")]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Every column in the readable formats too
    #[arg(long)]
    wide: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let runs = args.source.find()?;
    let metrics: Vec<_> = METRICS.iter().filter(|metric| metric.name == "roofline").collect();
    let results = analyze::compute(&runs, &metrics, &Window::Default)?;
    for (metric, frame) in results {
        let columns = if args.wide { None } else { analyze::columns(metric.name) };
        output::print(args.format, "roofline, ranked by recoverable time", &frame, columns)?;
    }
    for run in &runs {
        match chart(run) {
            Ok(file) => eprintln!("chart: {}", file.display()),
            Err(failure) => eprintln!("warning: no chart of {}: {failure}", run.run()),
        }
    }
    Ok(0)
}

fn chart(run: &Artifact) -> Result<PathBuf, Failure> {
    let file = run.metrics_dir().join("roofline.svg");
    artifact::write_whole(&file, proftool_report::roofline_svg(run)?.as_bytes())?;
    Ok(file)
}
