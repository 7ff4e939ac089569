//! Which engines a run launches itself.

use std::path::Path;

use nvml_wrapper::Nvml;
use proftool_serving::engines::Plan;

use crate::Error;
use crate::parameters::{AUTO, Given, refused};

/// Engines to launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Launch {
    /// vLLM, one server a device.
    Vllm {
        /// How many.
        engines: Option<usize>,
    },
    /// Those of a command line.
    Command {
        /// The line.
        line: String,
        /// How many.
        engines: usize,
    },
}

impl Launch {
    /// Reads the parameters `launch` and `engines`.
    pub(super) fn read(line: &str, given: &Given<'_>) -> Result<Self, Error> {
        let engines = match given.text("engines") {
            AUTO => None,
            _ => Some(given.number("engines", 1..=64)?),
        };
        let launch = match line {
            "vllm" => Self::Vllm { engines },
            _ => Self::Command { line: line.to_owned(), engines: engines.unwrap_or(2) },
        };
        launch.plan(Path::new(""))?;
        Ok(launch)
    }

    /// What is launched; what it prints goes to the folder.
    pub(super) fn plan(&self, logs: &Path) -> Result<Plan, Error> {
        let plan = match self {
            Self::Vllm { engines } => {
                let model = std::env::var("VLLM_MODEL").ok();
                let devices = devices();
                Plan::vllm(model.as_deref(), engines.map_or(devices, |engines| engines.min(devices)), logs)
            }
            Self::Command { line, engines } => Plan::command(line, *engines, logs),
        };
        plan.map_err(|error| refused("launch", &self.name(), error.to_string()))
    }

    fn name(&self) -> &str {
        match self {
            Self::Vllm { .. } => "vllm",
            Self::Command { line, .. } => line,
        }
    }
}

/// GPUs of this machine that NVML knows; none without it.
fn devices() -> usize {
    Nvml::init().and_then(|nvml| nvml.device_count()).map_or(0, |count| count as usize)
}
