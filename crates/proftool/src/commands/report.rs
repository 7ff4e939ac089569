//! `proftool report`: markdown, SVG and HTML of one run or a pair.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proftool_analyze::comparison::{self, Side};
use proftool_analyze::{Input, METRICS, Rules, Window, losses};
use proftool_report::{Options, Rendered};
use proftool_trace::Artifact;
use proftool_trace::frame::{self, Tables};

use crate::artifacts::{self, Source};
use crate::commands::analyze;
use crate::failure::{Failure, Outcome};
use crate::rules::RulesFile;
use crate::tty;

/// Write the report of each run or pair: `report.md` with its pictures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool report --artifacts artifacts
  proftool report --artifacts artifacts --html
  proftool report --artifacts artifacts/20260131T235959Z-baseline_pipeline_parallelism-cpu-amd-epyc-zen4-2c")]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    pub output: Output,
}

/// Where the report goes: shared with `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// Folder that the reports are made in, one folder a report
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub reports: PathBuf,
    /// Also one self-contained HTML page
    #[arg(long)]
    pub html: bool,
    #[command(flatten)]
    pub rules: RulesFile,
}

pub(crate) fn run(args: &Args) -> Outcome {
    artifacts::check_writable(&args.output.reports)?;
    let rules = args.output.rules.read()?;
    let runs = args.source.find()?;
    for group in groups(runs) {
        let rendered = render(&group, &args.output, rules.as_ref())?;
        tty::print(&format!("{}\n", rendered.markdown.display()))?;
    }
    Ok(0)
}

/// Analyses one run or a pair and writes its report.
///
/// # Errors
/// When an artifact cannot be read or the report not be written.
pub(crate) fn render(group: &[Artifact], output: &Output, rules: Option<&Arc<Rules>>) -> Result<Rendered, Failure> {
    keep_results(group, rules)?;
    let folder = output.reports.join(name(group));
    let options = Options { html: output.html, rules: output.rules.file() };
    let rendered = proftool_report::render(group, &folder, &options)?;
    if rules.is_some() {
        // The artifact keeps what everybody gets without the file.
        keep_results(group, None)?;
    }
    Ok(rendered)
}

/// Computes every metric of the runs, and of a pair its comparison, into the artifacts, which a report is made from.
fn keep_results(group: &[Artifact], rules: Option<&Arc<Rules>>) -> Result<(), Failure> {
    let metrics: Vec<_> = METRICS.iter().collect();
    let options = proftool_analyze::Options { rules: rules.cloned(), ..proftool_analyze::Options::default() };
    for run in group {
        analyze::keep(run, &proftool_analyze::analyze(run, &metrics, &options)?);
    }
    if let [baseline, optimized] = group {
        compare(baseline, optimized, rules)?;
    }
    Ok(())
}

/// Compares a pair and writes `comparison` and `losses` beside the optimized run's metrics.
fn compare(baseline: &Artifact, optimized: &Artifact, rules: Option<&Arc<Rules>>) -> Result<(), Failure> {
    let tables = [Tables::read(baseline)?, Tables::read(optimized)?];
    let names = [baseline.run(), optimized.run()];
    let inputs = [
        Input::new(&names[0], &baseline.manifest.target.name, &tables[0], Window::Default).with_rules(rules.cloned()),
        Input::new(&names[1], &optimized.manifest.target.name, &tables[1], Window::Default).with_rules(rules.cloned()),
    ];
    let first = Side { input: &inputs[0], manifest: &baseline.manifest };
    let second = Side { input: &inputs[1], manifest: &optimized.manifest };
    let folder = optimized.metrics_dir();
    frame::write(&comparison::TABLE, &comparison::compare(first, second)?, &folder)?;
    frame::write(&losses::TABLE, &losses::losses(first, second)?, &folder)?;
    Ok(())
}

/// The report's name: the run, or for a pair its common name in place of the target's.
fn name(group: &[Artifact]) -> PathBuf {
    let run = group.first().map(Artifact::run).unwrap_or_default();
    match group {
        [first, _] => {
            let pair = first.manifest.pair.as_ref().map_or("pair", |pair| pair.name.as_str());
            PathBuf::from(run.replace(&first.manifest.target.name, pair))
        }
        _ => PathBuf::from(run),
    }
}

/// Pairs of which both runs are there go together, baseline first; every other run stands alone.
fn groups(runs: Vec<Artifact>) -> Vec<Vec<Artifact>> {
    let role = |run: &Artifact| run.manifest.pair.as_ref().map(|pair| pair.role.clone());
    let mut groups: Vec<Vec<Artifact>> = Vec::new();
    for run in runs {
        let other = run.manifest.pair.as_ref().map(|pair| pair.other.clone());
        let partner = groups.iter_mut().find(|group| {
            group.len() == 1 && other.as_deref().is_some_and(|other| Path::new(other) == Path::new(&group[0].run()))
        });
        match partner {
            Some(group) if role(&run).as_deref() == Some("baseline") => group.insert(0, run),
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}
