//! A raw file or directory, opened whatever its packing.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

use super::head::{HEAD_BYTES, Head};
use super::packed::{Bomb, Packing, check_ratio};
use crate::Error;

/// How far an import has come, for a progress bar.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read so far, as they lie on the disk.
    pub read: Arc<AtomicU64>,
    /// Rows taken so far.
    pub rows: AtomicU64,
    /// Set by the user's wish to stop; the import then ends with [`Error::Interrupted`].
    pub stop: AtomicBool,
}

/// A raw file or directory.
#[derive(Debug)]
pub struct Source {
    /// As the user named it, or a place inside an archive for messages.
    path: PathBuf,
    /// Where it lies.
    place: PathBuf,
    packing: Packing,
    progress: Arc<Progress>,
    unpacked: OnceLock<(TempDir, PathBuf)>,
    /// Keeps the folder of an unpacked archive.
    archive: Option<Arc<TempDir>>,
    head: Content,
}

/// Owned content of a [`Head`].
#[derive(Debug, Default)]
struct Content {
    name: String,
    bytes: Vec<u8>,
    files: Vec<String>,
    sqlite: Vec<String>,
}

impl Source {
    /// Opens a file or directory. A zip archive becomes a directory of what it holds.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Empty`] for an empty file, [`Error::LfsPointer`] for the
    /// placeholder of a file that was never fetched, [`Error::Damaged`] for a broken archive.
    pub fn open(path: &Path, progress: &Arc<Progress>) -> Result<Self, Error> {
        Self::at(path, path.to_owned(), None, progress)
    }

    fn at(path: &Path, place: PathBuf, archive: Option<Arc<TempDir>>, progress: &Arc<Progress>) -> Result<Self, Error> {
        let io = |cause| Error::Io { path: path.to_owned(), cause };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut source = Self {
            path: path.to_owned(),
            place,
            packing: Packing::None,
            progress: Arc::clone(progress),
            unpacked: OnceLock::new(),
            archive,
            head: Content { name, ..Content::default() },
        };
        let kind = fs::metadata(&source.place).map_err(io)?;
        if kind.is_dir() {
            source.head.files = listing(&source.place).map_err(io)?;
            return Ok(source);
        }
        // Opening a pipe would wait for its writer, and what it gives can be read only once.
        if !kind.is_file() {
            let reason = "is neither a file nor a directory but a pipe, a socket or a device".to_owned();
            let hint = "write what it gives to a file, and import that".to_owned();
            return Err(Error::Unsupported { path: path.to_owned(), reason, hint });
        }
        let mut magic = Vec::new();
        File::open(&source.place).and_then(|file| file.take(4).read_to_end(&mut magic)).map_err(io)?;
        source.packing = Packing::of(&magic);
        if source.packing == Packing::Zip {
            return if source.archive.is_some() { Err(source.nested()) } else { source.unzip() };
        }
        source.read_head()?;
        Ok(source)
    }

    fn read_head(&mut self) -> Result<(), Error> {
        let file = File::open(&self.place).map_err(|cause| self.io(cause))?;
        let reader = self.packing.unpack(file, Arc::default()).map_err(|cause| self.io(cause))?;
        let mut bytes = Vec::new();
        reader.take(HEAD_BYTES).read_to_end(&mut bytes).map_err(|cause| self.io(cause))?;
        for ending in [".gz", ".zst", ".gzip", ".zstd"] {
            let bare = self.head.name.len().saturating_sub(ending.len());
            let ends = self.head.name.as_bytes()[bare..].eq_ignore_ascii_case(ending.as_bytes());
            if self.packing != Packing::None && ends {
                self.head.name.truncate(bare);
            }
        }
        if bytes.is_empty() {
            return Err(Error::Empty { path: self.path.clone() });
        }
        if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
            return Err(Error::LfsPointer { path: self.path.clone() });
        }
        let sqlite = bytes.starts_with(b"SQLite format 3\0");
        self.head.bytes = bytes;
        if sqlite {
            self.head.sqlite = sqlite_names(&self.on_disk()?).map_err(|error| self.unlisted(&error))?;
        }
        Ok(())
    }

    /// Why the tables of a database could not be listed.
    fn unlisted(&self, error: &rusqlite::Error) -> Error {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, ReadOnly};
        let (path, hint) = (self.path.clone(), "wait until its writer is done, or export again".to_owned());
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => {
                Error::Unsupported { path, reason: "is locked: another program is writing it".to_owned(), hint }
            }
            Some(ReadOnly | CannotOpen) => {
                let reason = "is still being written, or its writer was stopped: a journal lies beside it".to_owned();
                Error::Unsupported { path, reason, hint }
            }
            _ => {
                let hint = "export it again; a database that was cut short cannot be read";
                self.damaged("its table list", error, hint)
            }
        }
    }

    /// An archive inside an archive stays packed: it might hold itself.
    fn nested(&self) -> Error {
        Error::Unsupported {
            path: self.path.clone(),
            reason: "is an archive inside an archive".to_owned(),
            hint: "unpack the outer one, and import the directory".to_owned(),
        }
    }

    /// Unpacks a zip archive into a temporary directory.
    fn unzip(self) -> Result<Self, Error> {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let broken = |error: &dyn Display| self.damaged("the archive", error, "pack or download it again");
        // A full disk is not the archive's fault; a name that cannot be a file's is.
        let unwritable = |path: &Path, cause: io::Error| match cause.kind() {
            StorageFull | QuotaExceeded | PermissionDenied | ReadOnlyFilesystem => cannot_create(path, cause),
            _ => broken(&cause),
        };
        let packed = fs::metadata(&self.place).map_err(|cause| self.io(cause))?.len();
        let file = File::open(&self.place).map_err(|cause| self.io(cause))?;
        let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(&error))?;
        let folder = temporary()?;
        let mut unpacked = 0;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| broken(&error))?;
            // Entries whose path would leave the folder are not for us.
            let Some(name) = entry.enclosed_name().filter(|_| !entry.is_dir()) else { continue };
            let target = folder.path().join(name);
            let parent = target.parent().unwrap_or(folder.path());
            fs::create_dir_all(parent).map_err(|cause| unwritable(parent, cause))?;
            let mut out = File::create(&target).map_err(|cause| unwritable(&target, cause))?;
            let mut buffer = vec![0; 1 << 18];
            loop {
                let count = entry.read(&mut buffer).map_err(|cause| broken(&cause))?;
                if count == 0 {
                    break;
                }
                unpacked += count as u64;
                check_ratio(packed, unpacked).map_err(|cause| broken(&cause))?;
                io::Write::write_all(&mut out, &buffer[..count]).map_err(|cause| cannot_create(&target, cause))?;
            }
        }
        let folder = Arc::new(folder);
        let place = folder.path().to_owned();
        Self::at(&self.path, place, Some(folder), &self.progress)
    }

    /// Opens a file or directory inside this directory.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn entry(&self, name: &str) -> Result<Self, Error> {
        Self::at(&self.path.join(name), self.place.join(name), self.archive.clone(), &self.progress)
    }

    /// The path as the user named it; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What importers recognise it by.
    pub fn head(&self) -> Head<'_> {
        let Content { name, bytes, files, sqlite } = &self.head;
        Head { name, bytes, files, sqlite }
    }

    /// Whether it is a directory (or was a zip archive).
    pub fn is_dir(&self) -> bool {
        self.place.is_dir()
    }

    /// Whether it is packed.
    pub fn is_packed(&self) -> bool {
        self.packing != Packing::None
    }

    /// Where the raw file lies, packed or not.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Bytes on the disk; 0 for a directory.
    pub fn disk_bytes(&self) -> u64 {
        if self.is_dir() { 0 } else { fs::metadata(&self.place).map_or(0, |data| data.len()) }
    }

    /// The unpacked content.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened. Errors while reading are for [`Source::io`].
    pub fn reader(&self) -> Result<Box<dyn Read + Send>, Error> {
        let file = File::open(&self.place).map_err(|cause| self.io(cause))?;
        self.packing.unpack(file, Arc::clone(&self.progress.read)).map_err(|cause| self.io(cause))
    }

    /// The whole unpacked content; for files that are known to be small.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`] when it cannot be read.
    pub fn read_to_vec(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.reader()?.read_to_end(&mut bytes).map_err(|cause| self.io(cause))?;
        Ok(bytes)
    }

    /// A plain file with the unpacked content, for SQLite and outside tools. It lives as long as the source.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Damaged`] when it cannot be unpacked.
    pub fn on_disk(&self) -> Result<PathBuf, Error> {
        if self.packing == Packing::None {
            return Ok(self.place.clone());
        }
        if let Some((_, path)) = self.unpacked.get() {
            return Ok(path.clone());
        }
        let folder = temporary()?;
        // The name of a file called `.gz` is nothing but an ending.
        let bare = self.head.name.trim_start_matches('.').is_empty();
        let path = folder.path().join(if bare { "unpacked" } else { &self.head.name });
        let file_in = File::open(&self.place).map_err(|cause| self.io(cause))?;
        let mut reader = self.packing.unpack(file_in, Arc::default()).map_err(|cause| self.io(cause))?;
        let mut file = File::create(&path).map_err(|cause| cannot_create(&path, cause))?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = reader.read(&mut buffer).map_err(|cause| self.io(cause))?;
            if count == 0 {
                break;
            }
            io::Write::write_all(&mut file, &buffer[..count]).map_err(|cause| cannot_create(&path, cause))?;
        }
        Ok(self.unpacked.get_or_init(|| (folder, path)).1.clone())
    }

    /// The rank that the file's name or its folder's tells, as in `rank-3_of_128.json`, `trace_rank0.sqlite` or
    /// `rank1/report.sqlite`.
    pub fn rank_hint(&self) -> Option<i64> {
        let folder = self.path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        rank_in(&self.head.name).or_else(|| rank_in(&folder?))
    }

    /// Where the rows that this source gives are counted.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The file is recognised and something in it is wrong.
    pub fn damaged(&self, place: impl Display, reason: impl Display, hint: impl Display) -> Error {
        Error::Malformed {
            path: self.path.clone(),
            place: place.to_string(),
            reason: reason.to_string(),
            hint: hint.to_string(),
        }
    }

    /// What the system, or a decompressor, said while this file was read.
    pub fn io(&self, cause: io::Error) -> Error {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        if cause.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Bomb>) {
            return self.damaged(
                "its packed data",
                &cause,
                "unpack it by hand if it is to be trusted, and import that",
            );
        }
        if self.packing != Packing::None && matches!(cause.kind(), UnexpectedEof | InvalidData | InvalidInput | Other) {
            let reason = if cause.kind() == UnexpectedEof { "it is cut short".to_owned() } else { cause.to_string() };
            let place = format!("its {} data", self.packing.name());
            return self.damaged(place, reason, "copy or download it again; nothing was taken from it");
        }
        Error::Io { path: self.path.clone(), cause }
    }
}

/// A folder for unpacked files, removed with the value.
fn temporary() -> Result<TempDir, Error> {
    TempDir::with_prefix("proftool-").map_err(|cause| cannot_create(&std::env::temp_dir(), cause))
}

fn cannot_create(path: &Path, cause: io::Error) -> Error {
    Error::Create { path: path.to_owned(), cause }
}

/// The number after the last `rank` of a name.
fn rank_in(name: &str) -> Option<i64> {
    let name = name.to_lowercase();
    let (before, after) = name.rsplit_once("rank")?;
    // `pagerank20` is no rank.
    if before.ends_with(|letter: char| letter.is_ascii_alphabetic()) {
        return None;
    }
    let digits = after.trim_start_matches(['-', '_', '.', '=', '[']);
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Names in a directory, sorted, hidden ones left out.
fn listing(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn sqlite_names(path: &Path) -> Result<Vec<String>, rusqlite::Error> {
    let database = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(std::time::Duration::ZERO)?;
    let mut query = database.prepare("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")?;
    query.query_map([], |row| row.get(0))?.collect()
}
