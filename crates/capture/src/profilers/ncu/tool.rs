//! Running ncu itself for short questions: its version, its options, its metrics, printing a report.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use crate::process::ask::{self, Answer};
use crate::profilers::Missing;

/// Another tool's injection stops ncu.
const UNSET: &[&str] = &["CUDA_INJECTION64_PATH"];

/// Asks the ncu at `program` and waits for the answer. What takes longer than `limit` is ended with everything that it
/// started: ncu is a script, and the program behind it would live on.
///
/// # Errors
/// When it cannot be started or takes too long. A failure that it tells about itself is no error here.
pub fn ask<S: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = S>,
    limit: Duration,
) -> Result<Answer, Missing> {
    let arguments: Vec<S> = arguments.into_iter().collect();
    let words: Vec<&OsStr> = std::iter::once(program.as_os_str()).chain(arguments.iter().map(AsRef::as_ref)).collect();
    ask::ask(&words, UNSET, limit).map_err(|reason| Missing {
        reason: format!("{} gave no answer: {reason}", program.display()),
        fix: "run it by hand with --version; a driver that hangs (see dmesg) needs a restart of the machine".to_owned(),
    })
}
