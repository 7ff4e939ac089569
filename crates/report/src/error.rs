//! What can go wrong while a report is rendered.

use proftool_trace as trace;

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An artifact could not be read, or a file of the report not be written.
    #[error(transparent)]
    Artifact(#[from] trace::Error),
    /// The output folder could not be created.
    #[error("cannot create {}: {source} (hint: name a folder that you can write to)", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither one run nor the two of a pair were given.
    #[error("a report shows one run or the two runs of a pair, not {runs} runs: {reason} (hint: {hint})")]
    Runs {
        /// How many runs were given.
        runs: usize,
        /// What does not fit.
        reason: String,
        /// What to try.
        hint: &'static str,
    },
    /// The run has no roofline to draw.
    #[error("{run} has no roofline to draw: {reason} (hint: {hint})")]
    NoRoofline {
        /// Name of the run.
        run: String,
        /// What is missing.
        reason: String,
        /// What to try.
        hint: String,
    },
    /// More runs than one roofline can tell apart.
    #[error(
        "a roofline shows at most {most} runs at once, not {found} (hint: name fewer runs, or draw them one by one)"
    )]
    TooManySeries {
        /// How many were given.
        found: usize,
        /// How many can be drawn.
        most: usize,
    },
    /// A template and the values that it shows do not fit: a bug in this crate.
    #[error("section {section} cannot be rendered: {reason} (this is a bug in proftool, please report it)")]
    Template {
        /// Name of the section.
        section: &'static str,
        /// What the template engine said.
        reason: String,
    },
}
