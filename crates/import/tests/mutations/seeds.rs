//! What damage starts from: the smallest real files of each format, made smaller still, and a few written by hand for
//! formats of which there is no real file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proftool_import::driver as import;
use proftool_import::importers::{IMPORTERS, Importer};
use proftool_import::raw::Source;

use crate::check::OUTSIDE;
use crate::input::{self, Input};
use crate::{shrink, sqlite, written};

/// Seeds of one importer.
const SEEDS: usize = 5;
/// Packed files larger than this are not unpacked.
const LARGEST_FILE: u64 = 3 << 20;
/// A seed larger than this costs more than it finds.
const LARGEST_SEED: usize = 400 << 10;
/// Files of this size are taken whole.
const SMALL: usize = 24 << 10;
/// Rows that stay in each table of a database.
const ROWS: usize = 16;

/// The importer with its seeds.
pub(crate) struct Seeded {
    pub(crate) importer: &'static Importer,
    pub(crate) seeds: Vec<Input>,
}

/// Every importer with its seeds; `None` where the folder of real files is absent.
pub(crate) fn all() -> Option<Vec<Seeded>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let data = root.join("shared/data");
    let data = if data.is_dir() { data } else { root.join("../shared/data") };
    if !data.is_dir() {
        // Not a print macro: the test harness hides those, and CI looks for this line.
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: data not found\n").ok()?;
        return None;
    }
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artifacts/golden/two_stage/raw/host/host.trace");
    let mut files = vec![host];
    walk(&data, &mut files);
    let mut claimed: Vec<(&'static str, PathBuf)> =
        files.into_iter().filter_map(|path| Some((claimant(&path)?, path))).collect();
    claimed.sort_by_cached_key(|(_, path)| (fs::metadata(path).map_or(0, |data| data.len()), path.clone()));
    Some(
        IMPORTERS
            .iter()
            .map(|importer| {
                let paths = claimed.iter().filter(|(name, _)| *name == importer.name).map(|(_, path)| path.as_path());
                let outside = OUTSIDE.contains(&importer.name);
                let seed = |path: &Path| if outside { head(path) } else { seed(path) };
                let found = spread(&paths.collect::<Vec<_>>()).into_iter().take(SEEDS * 3).filter_map(seed);
                Seeded { importer, seeds: chosen(importer, written::of(importer.name).into_iter().chain(found)) }
            })
            .collect(),
    )
}

/// The first seeds that the importer reads, and one that it does not.
fn chosen(importer: &'static Importer, candidates: impl Iterator<Item = Input>) -> Vec<Input> {
    if OUTSIDE.contains(&importer.name) {
        return candidates.take(SEEDS).collect();
    }
    let Ok(place) = input::folder() else { return Vec::new() };
    let (mut read, mut refused) = (Vec::new(), Vec::new());
    for seed in candidates {
        let whole = seed.write(place.path()).is_ok_and(|path| import::with(importer, &path).is_ok());
        if whole {
            read.push(seed);
        } else {
            refused.push(seed);
        }
        if read.len() == SEEDS {
            break;
        }
    }
    read.extend(refused.into_iter().take(1));
    read
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && claimant(&path).is_none() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn claimant(path: &Path) -> Option<&'static str> {
    if fs::metadata(path).ok()?.len() > LARGEST_FILE {
        return None;
    }
    let source = Source::open(path, &Arc::default()).ok()?;
    IMPORTERS.iter().find(|importer| (importer.sniff)(&source.head())).map(|importer| importer.name)
}

/// The smallest file of each folder first, so that versions and tools mix.
fn spread<'p>(paths: &[&'p Path]) -> Vec<&'p Path> {
    let repeated = |at: usize| paths[..at].iter().filter(|other| other.parent() == paths[at].parent()).count();
    let mut order: Vec<(usize, usize)> = (0..paths.len()).map(|at| (repeated(at), at)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| paths[at]).collect()
}

fn seed(path: &Path) -> Option<Input> {
    let seed = if path.is_dir() { folder(path)? } else { Input::File(small(unpacked(path)?)?) };
    (seed.len() <= LARGEST_SEED).then_some(seed)
}

/// The beginning of a file, for importers that read no more themselves.
fn head(path: &Path) -> Option<Input> {
    let mut bytes = unpacked(path)?;
    bytes.truncate(SMALL);
    Some(Input::File(bytes))
}

fn unpacked(path: &Path) -> Option<Vec<u8>> {
    Source::open(path, &Arc::default()).ok()?.read_to_vec().ok()
}

fn small(bytes: Vec<u8>) -> Option<Vec<u8>> {
    if bytes.starts_with(sqlite::MAGIC) {
        return sqlite::shrunk(&bytes, ROWS);
    }
    if bytes.len() <= SMALL || std::str::from_utf8(&bytes).is_err() {
        return Some(bytes);
    }
    Some(shrink::text(&bytes))
}

/// The folder's files, without the largest where they are too large together.
fn folder(path: &Path) -> Option<Input> {
    let mut names: Vec<PathBuf> = fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort();
    let mut files = Vec::new();
    for path in names.iter().filter(|path| fs::metadata(path).is_ok_and(|data| data.len() < LARGEST_SEED as u64 / 4)) {
        files.push((path.file_name()?.to_str()?.to_owned(), small(unpacked(path)?)?));
    }
    Some(Input::Folder(files))
}
