//! NVML beside the measured blocks of a target that runs on GPUs: power, clocks and traffic of the very run that gives the
//! results. A thread that reads some ten times a second and sleeps in between costs the target nothing that its blocks show.

use std::path::{Path, PathBuf};

use super::{Request, Run};
use crate::profilers::{Found, Kind, Launch, Note, Running, Severity, host, nvml};

/// The sampler, if there is one.
#[derive(Default)]
pub(super) struct Sampling {
    running: Option<Box<dyn Running>>,
    /// The folders of the pass: the first is sampled into, the others get a copy.
    folders: Vec<PathBuf>,
    found: Option<Found>,
    notes: Vec<Note>,
}

/// What a sampler gave.
pub(super) struct Sampled {
    /// Its version, where it took part.
    pub(super) version: Option<String>,
    /// What there is to say.
    pub(super) notes: Vec<Note>,
}

impl Sampling {
    /// Starts it for a traced run on GPUs. Where it cannot work a note says why.
    pub(super) fn start(request: &Request<'_>, runs: &[Run]) -> Self {
        let mut this = Self::default();
        if !request.profile.traced || request.backend != proftool_workloads::Backend::Cuda {
            return this;
        }
        let folders: Result<Vec<PathBuf>, _> = runs.iter().map(|run| run.draft.raw_dir(host::PASS)).collect();
        // A folder that cannot be made is told when the trace is written.
        this.folders = folders.unwrap_or_default();
        let (Some(folder), Kind::Beside(beside)) = (this.folders.first(), &nvml::PROFILER.kind) else { return this };
        let started = (nvml::PROFILER.available)().and_then(|found| {
            let running = (beside.start)(&found, &Launch { target: &[], folder, rank: 0 })?;
            Ok((found, running))
        });
        match started {
            Ok((found, running)) => (this.found, this.running) = (Some(found), Some(running)),
            Err(missing) => this.notes.push(Note {
                severity: Severity::Info,
                code: "profiler_absent",
                detail: format!("nvml took no part: {missing}"),
            }),
        }
        this
    }

    /// Ends it, once the blocks have been measured.
    pub(super) fn stop(mut self) -> Sampled {
        if let Some(running) = self.running.take() {
            self.notes.extend(running.stop());
        }
        if let [first, others @ ..] = &self.folders[..] {
            let copied = others.iter().try_for_each(|other| copy(first, other));
            if let Err(error) = copied {
                let detail = format!("the samples of NVML are in {} only: {error}", first.display());
                self.notes.push(Note { severity: Severity::DataLoss, code: "nvml_write", detail });
            }
        }
        Sampled { version: self.found.map(|found| found.version), notes: self.notes }
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let file = from.join(nvml::FILE);
    if file.exists() { std::fs::copy(file, to.join(nvml::FILE)).map(|_| ()) } else { Ok(()) }
}
