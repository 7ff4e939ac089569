//! What was modelled rather than measured.

use proftool_trace::manifest::Time;
use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Run};

#[derive(Serialize)]
struct Values {
    statements: Vec<String>,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let mut statements: Vec<String> = Vec::new();
    for run in &report.runs {
        for statement in of_run(run) {
            let shared = report.runs.iter().all(|run| of_run(run).contains(&statement));
            let text = if shared { statement } else { format!("{}: {statement}", format::plain(run.label())) };
            if !statements.contains(&text) {
                statements.push(text);
            }
        }
    }
    Built::new("modelled", &Values { statements }, Vec::new()).map(Some)
}

fn of_run(run: &Run) -> Vec<String> {
    let manifest = &run.artifact.manifest;
    let simulated = (manifest.time == Time::Simulated).then(|| {
        "**All times are simulated**: computed by a model, not measured on the devices named above.".to_owned()
    });
    simulated.into_iter().chain(manifest.modelled.iter().map(|text| format::plain(text))).collect()
}
