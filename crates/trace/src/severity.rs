//! How bad a problem with the data is: the column `severity` of the table `issues`.

/// How bad a problem with the data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing; no number is wrong for it.
    Info,
    /// Something that happened is missing from the tables.
    DataLoss,
    /// Numbers may be wrong, or something failed.
    Error,
}

impl Severity {
    /// The name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::DataLoss => "data_loss",
            Self::Error => "error",
        }
    }
}
