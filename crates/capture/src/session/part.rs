//! A built-in target that runs in a process of its own, because a profiler has to start it: fewer blocks of the same work,
//! its trace and its numbers in the folder of the pass.

use std::path::{Path, PathBuf};

use proftool_trace::manifest::{self, Results};
use serde::{Deserialize, Serialize};

use super::finish::results;
use super::{Error, Progress, Request, check_stop};
use crate::profilers::host;

/// File beside the trace.
pub const FILE: &str = "results.json";

/// What such a run was, and how long its iterations took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The target with every parameter and its seed: those of the run that it repeats, or it repeats another one.
    pub target: manifest::Target,
    /// Iterations a block.
    pub iterations: u64,
    /// Warm-up iterations.
    pub warmup: u64,
    /// Times of its blocks. Its outputs are not verified: those of the run that it repeats are.
    pub results: Results,
}

impl Part {
    /// What a run left in the folder of its pass; `None` where it did not come that far.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(folder.join(FILE)).ok()?).ok()
    }
}

/// Runs the one target of `request` and writes its trace and [`FILE`] into `folder`. Nothing else of the request's folder
/// is used.
///
/// # Errors
/// [`Error::Usage`] for more than one target and for bad parameters, [`Error::Prepare`], [`Error::Target`] with the trace
/// of what ran, [`Error::Interrupted`] likewise, [`Error::Trace`] for files that cannot be written.
pub fn run(request: &Request<'_>, folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Part, Error> {
    let parameters = request.resolve()?;
    let ([target], [parameters]) = (&request.targets[..], &parameters[..]) else {
        return Err(Error::Part { reason: "it runs one target at a time".to_owned() });
    };
    let failed = |reason| Error::Prepare { target: target.name, reason: Box::new(reason) };
    let mut session = target.prepare(&request.settings()).map_err(failed)?;
    let trace = folder.join(host::FILE);
    let total = request.blocks + 1;
    progress(Progress { what: "warm up", done: 0, total });
    let mut blocks = Vec::new();
    let mut measured = session.warm_up(request.warmup);
    while measured.is_ok() && blocks.len() < request.blocks && check_stop(request).is_ok() {
        progress(Progress { what: "measure", done: blocks.len() + 1, total });
        measured = session.run_block().map(|block| blocks.push(block));
    }
    let iterations = session.iterations() as u64;
    let written = session.finish(&trace);
    let partial = || vec![folder.to_owned()];
    if let Err(reason) = measured {
        return Err(Error::Target { target: target.name, reason: Box::new(reason), partial: partial() });
    }
    check_stop(request).map_err(|_| Error::Interrupted { partial: partial() })?;
    written.map_err(|reason| Error::Trace { reason: Box::new(reason) })?;
    let part = Part {
        target: manifest::Target { name: target.name.to_owned(), parameters: parameters.clone(), seed: request.seed },
        iterations,
        warmup: request.warmup as u64,
        results: Results { exit_code: 0, ..results(&blocks, Vec::new(), false) },
    };
    write(&part, &folder.join(FILE))?;
    Ok(part)
}

fn write(part: &Part, path: &PathBuf) -> Result<(), Error> {
    let told = |reason: String| Error::Part { reason: format!("{} cannot be written: {reason}", path.display()) };
    let text = serde_json::to_string_pretty(part).map_err(|error| told(error.to_string()))?;
    std::fs::write(path, text).map_err(|error| told(error.to_string()))
}
