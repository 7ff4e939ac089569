//! What can go wrong in a capture of a built-in target.

use std::path::PathBuf;

use proftool_trace::artifact;
use proftool_workloads as workloads;

/// What can go wrong in a capture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter is unknown or has a bad value.
    #[error(transparent)]
    Usage(Box<workloads::Error>),
    /// What a target reads cannot be read; nothing is left behind.
    #[error(transparent)]
    Input(Box<workloads::Error>),
    /// A target could not be prepared; nothing is left behind.
    #[error("{target} cannot start: {reason}")]
    Prepare {
        /// Name of the target.
        target: &'static str,
        /// Why.
        reason: Box<workloads::Error>,
    },
    /// The target failed while it ran.
    #[error("{target} failed: {reason} (hint: {})", after_failure(partial))]
    Target {
        /// Name of the target.
        target: &'static str,
        /// Why.
        reason: Box<workloads::Error>,
        /// The folders that keep what was recorded; none where nothing was.
        partial: Vec<PathBuf>,
    },
    /// The trace could not be written.
    #[error(
        "cannot write what was recorded: {reason} (hint: free some space or name a folder on another disk with --artifacts)"
    )]
    Trace {
        /// Why.
        reason: Box<workloads::Error>,
    },
    /// A run of a target under a profiler could not be, or not leave its results.
    #[error("the target cannot run as a pass: {reason} (hint: free some space, or capture with --profile minimal)")]
    Part {
        /// Why.
        reason: String,
    },
    /// The artifact could not be written.
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    /// The user stopped it.
    #[error("interrupted; {}", after_interrupt(partial))]
    Interrupted {
        /// The folders that keep what was recorded; none where nothing was.
        partial: Vec<PathBuf>,
    },
}

impl Error {
    /// Why a target's parameters are refused.
    pub(super) fn refused(error: workloads::Error) -> Self {
        match error {
            workloads::Error::Input { .. } | workloads::Error::Requests(_) => Self::Input(Box::new(error)),
            other => Self::Usage(Box::new(other)),
        }
    }
}

fn join(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" and ")
}

fn after_failure(partial: &[PathBuf]) -> String {
    if partial.is_empty() {
        return "nothing was recorded; --profile minimal records what it does until then".to_owned();
    }
    format!("what was recorded stays in {}; read it with `proftool import`", join(partial))
}

fn after_interrupt(partial: &[PathBuf]) -> String {
    if partial.is_empty() {
        return "nothing was recorded, and nothing is left behind".to_owned();
    }
    format!("what was recorded stays in {} (hint: read it with `proftool import`, or remove it)", join(partial))
}
