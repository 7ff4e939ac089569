//! Whether a program can be run, before anything else happens.

use std::path::{Path, PathBuf};

use super::Error;

/// Looks for the program as the system will: a path, or a name in `PATH`.
///
/// # Errors
/// [`Error::Program`] with what to try.
pub(super) fn find(program: &std::ffi::OsStr) -> Result<PathBuf, Error> {
    let refuse = |reason, hint| Error::Program { program: program.to_string_lossy().into_owned(), reason, hint };
    let path = Path::new(program);
    let named = path.components().count() > 1 || program.is_empty();
    let places: Vec<PathBuf> = if named {
        vec![path.to_owned()]
    } else {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|folder| folder.join(path)).collect()
    };
    let files: Vec<&PathBuf> = places.iter().filter(|place| place.is_file()).collect();
    if files.is_empty() {
        let hint = if named { "check the path" } else { "check its name, or give its path" };
        return Err(refuse(if named { "there is no such file" } else { "it is not in PATH" }, hint));
    }
    let found = files.into_iter().find(|file| is_executable(file));
    found.cloned().ok_or_else(|| refuse("it is not executable", "`chmod +x` it, or name its interpreter first"))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_run_is_refused_with_what_to_try() {
        assert!(find("sh".as_ref()).is_ok());
        let error = |program: &str| find(program.as_ref()).expect_err("refused").to_string();
        assert!(error("proftool-no-such-program").contains("not in PATH"));
        assert!(error("/no/such/file").contains("no such file"));
        assert!(error("").contains("hint"));
        assert!(error("/etc/passwd").contains("chmod"));
    }
}
