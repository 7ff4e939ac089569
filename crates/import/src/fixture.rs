//! Real files and small ones for tests.

use proftool_trace::frame::Tables;

/// A file of `../shared/data`; `None`, and a line that CI looks for, where that folder is absent.
pub(crate) fn shared_data(relative: &str) -> Option<std::path::PathBuf> {
    shared("data", relative)
}

/// A file of `../shared/golden`, as [`shared_data`].
pub(crate) fn shared_golden(relative: &str) -> Option<std::path::PathBuf> {
    shared("golden", relative)
}

fn shared(folder: &str, relative: &str) -> Option<std::path::PathBuf> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(folder);
    if root.is_dir() {
        return Some(root.join(relative));
    }
    // Not a print macro: the test harness hides those.
    std::io::Write::write_all(&mut std::io::stderr(), b"skipped: data not found\n").unwrap();
    None
}

/// Imports a file of that name and content.
pub(crate) fn import_bytes(name: &str, bytes: &[u8]) -> Result<(crate::driver::Imported, Tables), crate::Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    crate::driver::into_memory(&path)
}
