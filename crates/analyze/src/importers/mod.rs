//! Importers: each turns one raw file format into canonical tables.
//!
//! A file is recognised by its content. Exactly one importer may claim it, and a file from which nothing comes is an
//! error. Adding an importer is a new file, its `mod` line and its entry in [`IMPORTERS`].

use std::fs::File;
use std::io::Read;
use std::path::Path;

use proftool_trace::frame::Tables;
use proftool_trace::tables;

use crate::Error;

pub mod host;

/// One raw file format.
#[derive(Debug)]
pub struct Importer {
    /// The name: file stem and CLI value.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Whether the first bytes of a file (up to [`HEAD_BYTES`]) are of this format.
    pub sniff: fn(head: &[u8]) -> bool,
    /// Appends the file's rows to the tables.
    pub import: fn(&Path, &mut Tables) -> Result<Session, Error>,
}

/// Every importer.
pub const IMPORTERS: &[Importer] = &[host::IMPORTER];

/// How much of a file an importer may look at to recognise it.
pub const HEAD_BYTES: u64 = 64 * 1024;

/// What a raw file says about its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Name of the pass.
    pub pass: String,
    /// Rank of the process.
    pub rank: i64,
    /// Session start on the wall clock.
    pub start_unix_ns: i64,
    /// Session start on the monotonic clock.
    pub start_monotonic_ns: i64,
    /// Clock that the times come from.
    pub clock: String,
    /// Whether the times were computed by a model.
    pub time_simulated: bool,
}

/// Imports one raw file: finds the importer that claims it, and appends its rows to `tables`. On an error the tables
/// stay as they were.
///
/// # Errors
/// [`Error::Io`], [`Error::UnknownFormat`], [`Error::AmbiguousFormat`], [`Error::NoRows`], or what the importer says.
pub fn import(path: &Path, tables: &mut Tables) -> Result<(&'static Importer, Session), Error> {
    let importer = claim(path, &head(path)?)?;
    let mut imported = tables.clone();
    let session = (importer.import)(path, &mut imported)?;
    if event_rows(&imported) == event_rows(tables) {
        return Err(Error::NoRows { path: path.to_owned(), format: importer.name, tried: names(IMPORTERS) });
    }
    *tables = imported;
    Ok((importer, session))
}

fn head(path: &Path) -> Result<Vec<u8>, Error> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    read.map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
    Ok(head)
}

/// The one importer that claims a file with these first bytes.
fn claim(path: &Path, head: &[u8]) -> Result<&'static Importer, Error> {
    let claims: Vec<&'static Importer> = IMPORTERS.iter().filter(|importer| (importer.sniff)(head)).collect();
    match claims.as_slice() {
        [importer] => Ok(importer),
        [] => Err(Error::UnknownFormat { path: path.to_owned(), tried: names(IMPORTERS) }),
        several => Err(Error::AmbiguousFormat { path: path.to_owned(), claimed: names(several.iter().copied()) }),
    }
}

fn names<'a>(importers: impl IntoIterator<Item = &'a Importer>) -> String {
    importers.into_iter().map(|importer| importer.name).collect::<Vec<_>>().join(", ")
}

/// Rows that are about something that happened, rather than about the machine or the data.
fn event_rows(tables: &Tables) -> usize {
    let about = [&tables::DEVICES, &tables::QUEUES, &tables::LINKS, &tables::ISSUES, &tables::COUNTER_DEFS];
    let events = tables::ALL.iter().filter(|table| !about.iter().any(|other| other.name == table.name));
    events.map(|table| tables.get(table).height()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_equals_the_directory() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/importers");
        let stems = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: BTreeSet<String> = stems
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|stem| stem != "mod")
            .collect();
        let listed: BTreeSet<String> = IMPORTERS.iter().map(|importer| importer.name.to_owned()).collect();
        assert_eq!(files, listed);
    }

    #[test]
    fn a_foreign_file_is_refused_with_the_formats_tried() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "hello").unwrap();
        let error = import(&path, &mut Tables::default()).unwrap_err().to_string();
        assert!(error.contains("notes.txt") && error.contains("tried: host"), "{error}");
        let missing = import(&folder.path().join("absent"), &mut Tables::default()).unwrap_err();
        assert!(matches!(missing, Error::Io { .. }), "{missing}");
    }
}
