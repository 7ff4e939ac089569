//! The pipeline over several devices: stages balanced by cost, everything enqueued ahead in a planned order.

use crate::pipeline::{self, Config, PARAMETERS, Style, effective};
use crate::{Role, Run, Session, Settings, Target};

const NAME: &str = "optimized_pipeline_parallelism";

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "Stages on several devices, micro-batches and iterations streamed, KV hand-over behind the next micro-batch; the \
          order of operations is planned once, from durations measured in the warm-up.",
    pair: Some(("pipeline_parallelism", Role::Optimized)),
    parameters: PARAMETERS,
    run: Run::Blocks(prepare),
    resolve: |_, settings| effective(NAME, Style::Optimized, settings),
};

fn prepare(settings: &Settings) -> Result<Box<dyn Session>, crate::Error> {
    pipeline::prepare(Config::new(NAME, Style::Optimized, settings)?)
}
