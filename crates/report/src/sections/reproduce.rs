//! The exact commands, and how to recompute the numbers without the machine.

use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::Report;

#[derive(Serialize)]
struct Values {
    commands: Vec<String>,
    commits: Vec<String>,
    runs: Vec<String>,
    rules: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let manifests = || report.runs.iter().map(|run| &run.artifact.manifest);
    let mut commands: Vec<String> =
        manifests().map(|manifest| format::shell(&manifest.command_line)).filter(|line| !line.is_empty()).collect();
    commands.dedup();
    let mut commits: Vec<String> =
        manifests().filter_map(|manifest| manifest.git.as_ref()).map(|git| format::code(&git.commit)).collect();
    commits.dedup();
    let runs = report.runs.iter().map(|run| format::shell(&[run.artifact.run()])).collect();
    let rules =
        report.rules.as_deref().map(|file| format!(" {}", format::shell(&["--rules".to_owned(), file.to_owned()])));
    let rules = rules.unwrap_or_default();
    Built::new("reproduce", &Values { commands, commits, runs, rules }, Vec::new()).map(Some)
}
