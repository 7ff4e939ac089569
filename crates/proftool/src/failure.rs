//! The one error of the binary: what went wrong, and the documented exit code for it.

use std::fmt::{self, Write};

/// Exit codes, as `proftool help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bug in proftool.
    Bug = 1,
    /// Unknown or contradictory arguments.
    Usage = 2,
    /// The target or a tool failed.
    Target = 3,
    /// Input cannot be read or output not be written.
    Io = 4,
    /// Data was lost and `--strict` was given.
    DataLoss = 5,
    /// The user stopped it.
    Interrupted = 130,
}

/// An error with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    error: anyhow::Error,
}

impl Failure {
    /// A failure of that kind.
    pub(crate) fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into() }
    }

    /// Unknown or contradictory arguments.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, anyhow::anyhow!("{message}"))
    }

    /// Input cannot be read or output not be written.
    pub(crate) fn io(message: impl fmt::Display) -> Self {
        Self::new(Kind::Io, anyhow::anyhow!("{message}"))
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.kind as u8
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each message is whole by itself: printing the chain of causes would repeat them. It is one line, and no name
        // of a file in it may move the cursor of a terminal.
        for letter in self.error.to_string().chars() {
            if letter.is_control() {
                write!(formatter, "{}", letter.escape_default())?;
            } else {
                formatter.write_char(letter)?;
            }
        }
        Ok(())
    }
}

impl From<proftool_trace::Error> for Failure {
    fn from(error: proftool_trace::Error) -> Self {
        Self::new(Kind::Io, error)
    }
}

impl From<proftool_analyze::Error> for Failure {
    fn from(error: proftool_analyze::Error) -> Self {
        use proftool_analyze::Error::{UnknownMetric, UnknownPass, UnknownWindow};
        let kind = match error {
            UnknownMetric { .. } | UnknownPass { .. } | UnknownWindow { .. } => Kind::Usage,
            _ => Kind::Io,
        };
        Self::new(kind, error)
    }
}

impl From<proftool_import::Error> for Failure {
    fn from(error: proftool_import::Error) -> Self {
        let kind = match error {
            proftool_import::Error::Interrupted { .. } => Kind::Interrupted,
            _ => Kind::Io,
        };
        Self::new(kind, error)
    }
}

impl From<proftool_report::Error> for Failure {
    fn from(error: proftool_report::Error) -> Self {
        Self::new(Kind::Io, error)
    }
}

impl From<proftool_capture::Error> for Failure {
    fn from(error: proftool_capture::Error) -> Self {
        let kind = match &error {
            proftool_capture::Error::Usage(_) => Kind::Usage,
            proftool_capture::Error::Prepare { .. } | proftool_capture::Error::Target { .. } => Kind::Target,
            proftool_capture::Error::Artifact(_)
            | proftool_capture::Error::Input(_)
            | proftool_capture::Error::Trace { .. }
            | proftool_capture::Error::Part { .. } => Kind::Io,
            proftool_capture::Error::Interrupted { .. } => Kind::Interrupted,
        };
        Self::new(kind, error)
    }
}

/// What a command returns: its exit code, or why it failed.
pub(crate) type Outcome = Result<u8, Failure>;
