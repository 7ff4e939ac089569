//! What every fuzz target does: the bytes are an input of one importer, whose promises are checked.
//!
//! The code is that of `crates/import/tests/mutations`, so that both find the same faults. A folder is one piece of
//! bytes here (`input.rs` says how it is packed).

#[path = "../../crates/import/tests/mutations/check.rs"]
mod check;
#[expect(dead_code, reason = "the mutation test uses more of it")]
#[path = "../../crates/import/tests/mutations/input.rs"]
mod input;

use std::sync::OnceLock;

use proftool_import::importers::IMPORTERS;

/// Imports `bytes` by the importer of that name; panics where a promise is broken.
pub fn import(name: &str, bytes: &[u8]) {
    static PLACE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| input::folder().expect("a folder for inputs"));
    let importer = IMPORTERS.iter().find(|importer| importer.name == name).expect("a target is named after an importer");
    let path = input::Input::from_bytes(bytes).write(place.path()).expect("the input can be written");
    if let Err(broken) = check::import(importer, &path) {
        panic!("{name}: {broken}");
    }
}
