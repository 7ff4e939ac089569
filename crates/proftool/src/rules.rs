//! The option `--rules`, as every command that computes metrics takes it.

use std::path::PathBuf;
use std::sync::Arc;

use proftool_analyze::Rules;

use crate::failure::Failure;

/// Rules of the user's own.
#[derive(Debug, clap::Args)]
pub(crate) struct RulesFile {
    /// Rules (TOML) that say what is compute, comm, kv or copy; they come before the built-in ones
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

impl RulesFile {
    /// Whether a file was named.
    pub(crate) fn is_given(&self) -> bool {
        self.rules.is_some()
    }

    /// The file as the user named it.
    pub(crate) fn file(&self) -> Option<String> {
        self.rules.as_ref().map(|file| file.display().to_string())
    }

    /// The rules of the file and the built-in ones; `None` without a file.
    ///
    /// # Errors
    /// When the file cannot be read or is not of the format.
    pub(crate) fn read(&self) -> Result<Option<Arc<Rules>>, Failure> {
        Ok(self.rules.as_deref().map(Rules::with_file).transpose()?.map(Arc::new))
    }
}
