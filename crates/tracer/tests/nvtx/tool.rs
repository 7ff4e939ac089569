//! Builds the tests' tool, and runs one test of this executable again under it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The tool's library, built into `folder`; none, with a word about it, where no C compiler is.
pub(crate) fn build(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nvtx/tool.c"), folder.join("libtool.so"));
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    let Ok(status) = built else {
        println!("skipped: no C compiler");
        return None;
    };
    assert!(status.success(), "tool.c does not compile");
    Some(library)
}

/// A command that runs one test of this executable.
pub(crate) fn again(test: &str) -> Vec<String> {
    let executable = std::env::current_exe().expect("this executable");
    let mut command = vec![executable.display().to_string()];
    command.extend(["--exact", test, "--nocapture", "--test-threads=1"].map(str::to_owned));
    command
}
