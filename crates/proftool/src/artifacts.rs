//! Artifacts on the command line: finding them, and naming what an interrupted capture left behind.

use std::path::{Path, PathBuf};

use proftool_trace::Artifact;
use proftool_trace::artifact;

use crate::failure::Failure;

/// Where the artifacts are, as every command that reads them takes it.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// One artifact, or a folder of them: then the latest of each target and hardware
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    pub artifacts: PathBuf,
    /// Every artifact of the folder, not only the latest of each target and hardware
    #[arg(long)]
    pub all: bool,
}

impl Source {
    /// The artifacts; what cannot be used is named on standard error.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(&self) -> Result<Vec<Artifact>, Failure> {
        let found = artifact::find(&self.artifacts, self.all)?;
        warn_partial(&found.partial);
        for error in &found.unreadable {
            crate::tty::say(&format!("warning: left out: {error}"));
        }
        if found.artifacts.is_empty() {
            return Err(Failure::io(format!(
                "no artifact in {} (hint: make one with `proftool run --target pipeline_parallelism`)",
                self.artifacts.display()
            )));
        }
        Ok(found.artifacts)
    }
}

/// Names interrupted captures on standard error.
pub(crate) fn warn_partial(partial: &[PathBuf]) {
    for folder in partial {
        crate::tty::say(&format!(
            "warning: left out: {} is an interrupted capture (hint: read it with `proftool import {}`, or remove it)",
            folder.display(),
            folder.display()
        ));
    }
}

/// Checks that files can be written below `folder` before any work is done for them.
///
/// # Errors
/// When they cannot.
pub(crate) fn check_writable(folder: &Path) -> Result<(), Failure> {
    let refuse = |error: std::io::Error| {
        Failure::io(format!("cannot write to {}: {error} (hint: name another folder)", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(refuse)?;
    let probe = folder.join(format!(".proftool-{}", std::process::id()));
    std::fs::write(&probe, b"x").map_err(refuse)?;
    std::fs::remove_file(&probe).map_err(refuse)
}
