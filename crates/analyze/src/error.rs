//! What can go wrong while analysing.

use std::io;
use std::path::PathBuf;

/// An error of this crate. Each message says what failed, on which file, and what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder for results could not be created.
    #[error("cannot create {}: {cause} (hint: check its permissions and the space on the disk)", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the system said; in the message, so that it is no source that a chain would print again.
        cause: io::Error,
    },
    /// A file of rules could not be read, or is not of the format.
    #[error("cannot use the rules of {}: {reason} (hint: {hint})", path.display())]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where it is known.
        reason: String,
        /// What to try.
        hint: &'static str,
    },
    /// A window was asked for that no range of the trace is named after.
    #[error("no finished range of {run} is named {name:?} (hint: {hint})")]
    UnknownWindow {
        /// The run that was asked.
        run: String,
        /// The name asked for.
        name: String,
        /// What can be named.
        hint: String,
    },
    /// A pass was asked for that has no timeline.
    #[error("{run} has no timeline of a pass {name:?} (hint: {known})")]
    UnknownPass {
        /// The run that was asked.
        run: String,
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A metric was asked for that does not exist.
    #[error("no metric is named {name:?} (hint: choose from {known})")]
    UnknownMetric {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A table or an artifact could not be read or written.
    #[error(transparent)]
    Trace(#[from] proftool_trace::Error),
}
