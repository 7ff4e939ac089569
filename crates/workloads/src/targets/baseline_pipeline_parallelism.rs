//! The pipeline's baseline: the fastest single-queue code that we have, on the same laid-out weights and kernels as the
//! optimized target.

use crate::pipeline::{self, Config, PARAMETERS, Style, effective};
use crate::{Role, Run, Session, Settings, Target};

const NAME: &str = "baseline_pipeline_parallelism";

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "The whole batch on one device, layer after layer, the host synchronising after each operation.",
    pair: Some(("pipeline_parallelism", Role::Baseline)),
    parameters: PARAMETERS,
    run: Run::Blocks(prepare),
    resolve: |_, settings| effective(NAME, Style::Baseline, settings),
};

fn prepare(settings: &Settings) -> Result<Box<dyn Session>, crate::Error> {
    pipeline::prepare(Config::new(NAME, Style::Baseline, settings)?)
}
