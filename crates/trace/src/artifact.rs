//! The artifact directory: `raw/`, `tables/`, `metrics/` and the manifest that makes it whole.
//!
//! A [`Draft`] is written as `<name>.partial/` and renamed by [`Draft::finish`], the manifest last: a directory with a
//! manifest under its final name is whole, and a killed capture leaves a `.partial` that [`find`] reports.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::{FORMAT, Manifest};

const MANIFEST: &str = "manifest.json";
const PARTIAL: &str = ".partial";

/// What can go wrong with an artifact.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{action} {}: {cause} (hint: {hint})", path.display())]
    Io {
        /// What was tried, for example `cannot write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said. The message holds it, so that it is no source that a chain would print again.
        cause: io::Error,
        /// What to try.
        hint: &'static str,
    },
    /// The directory is not a whole artifact.
    #[error("{} is not an artifact: {reason} (hint: {hint})", path.display())]
    NotAnArtifact {
        /// The directory.
        path: PathBuf,
        /// What is missing or unexpected.
        reason: String,
        /// What to try.
        hint: String,
    },
    /// A newer version of proftool wrote it.
    #[error("{} has format {found_major}.{found_minor}, this proftool reads up to {major}.x (hint: update proftool, or capture again with this version)", path.display(), major = FORMAT.major)]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Major version found.
        found_major: u32,
        /// Minor version found.
        found_minor: u32,
    },
    /// A pass cannot have that name, which names its folder.
    #[error("{name:?} cannot name a pass (hint: a pass names a folder: one word without / or \\, and not . or ..)")]
    PassName {
        /// The name.
        name: String,
    },
    /// A table does not have the columns that its schema states.
    #[error("table {table}{}: {reason} (hint: {hint})", path.as_ref().map(|path| format!(" in {}", path.display())).unwrap_or_default())]
    Schema {
        /// Name of the table.
        table: String,
        /// The file, where there is one.
        path: Option<PathBuf>,
        /// What differs.
        reason: String,
        /// What to try.
        hint: &'static str,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        let hint = match cause.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "name another folder, or mend its permissions"
            }
            io::ErrorKind::StorageFull => "free some space or name a folder on another disk",
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                "a file stands where a folder is needed; name another folder"
            }
            _ => "check the path and the disk",
        };
        Self::Io { action, path: path.to_owned(), cause, hint }
    }
}

/// A whole artifact.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The directory.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Artifact {
    /// Opens the artifact at `path`.
    ///
    /// # Errors
    /// [`Error::NotAnArtifact`] when there is no readable manifest, [`Error::NewerFormat`] when it is too new.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = path.join(MANIFEST);
        let text = fs::read_to_string(&file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if path.is_dir() => not_whole(path, "it has no manifest.json"),
            _ => Error::io("cannot read", &file, error),
        })?;
        check_format(path, &text)?;
        let manifest = serde_json::from_str(&text)
            .map_err(|error| not_whole(path, &format!("its manifest.json is damaged ({error})")))?;
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// The name of its directory, which names the run in every result.
    pub fn run(&self) -> String {
        self.path.file_name().map_or_else(|| "artifact".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Folder of the raw profiler output.
    pub fn raw_dir(&self) -> PathBuf {
        self.path.join("raw")
    }

    /// Folder of the canonical tables.
    pub fn tables_dir(&self) -> PathBuf {
        self.path.join("tables")
    }

    /// Folder of the computed metrics.
    pub fn metrics_dir(&self) -> PathBuf {
        self.path.join("metrics")
    }
}

fn not_whole(path: &Path, reason: &str) -> Error {
    let hint = if is_partial(path) {
        "its capture was interrupted; capture again, or read what is in raw/ with `proftool import`"
    } else {
        "name a folder that `proftool capture` or `proftool import` wrote"
    };
    Error::NotAnArtifact { path: path.to_owned(), reason: reason.to_owned(), hint: hint.to_owned() }
}

/// Whether an interrupted capture left this directory; a trailing slash changes nothing.
fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "partial")
}

/// Looks at the version before anything else, so that a manifest from the future is refused by version, not by shape.
fn check_format(path: &Path, text: &str) -> Result<(), Error> {
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| not_whole(path, &format!("its manifest.json is damaged ({error})")))?;
    let number = |key: &str| value["format"][key].as_u64().and_then(|number| u32::try_from(number).ok());
    let (Some(major), Some(minor)) = (number("major"), number("minor")) else {
        return Err(not_whole(path, "its manifest.json states no format version"));
    };
    if major > FORMAT.major {
        return Err(Error::NewerFormat { path: path.to_owned(), found_major: major, found_minor: minor });
    }
    Ok(())
}

/// What lies in a folder of artifacts.
#[derive(Debug, Default)]
pub struct Found {
    /// Whole artifacts, oldest first.
    pub artifacts: Vec<Artifact>,
    /// Interrupted captures.
    pub partial: Vec<PathBuf>,
    /// Directories that look like artifacts and cannot be read.
    pub unreadable: Vec<Error>,
}

/// Finds the artifact at `path`, or the artifacts in the folder `path`: the latest of each (target, hardware key), or
/// with `all` every one.
///
/// # Errors
/// When `path` cannot be read, or is itself a damaged artifact.
pub fn find(path: &Path, all: bool) -> Result<Found, Error> {
    if path.join(MANIFEST).is_file() || is_partial(path) {
        return Ok(Found { artifacts: vec![Artifact::open(path)?], ..Found::default() });
    }
    let mut found = Found::default();
    let mut folders = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .map_err(|error| Error::io("cannot read", path, error))?;
    folders.sort();
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        if is_partial(&folder) {
            found.partial.push(folder);
        } else if [MANIFEST, "tables", "raw"].iter().any(|name| folder.join(name).exists()) {
            match Artifact::open(&folder) {
                Ok(artifact) => found.artifacts.push(artifact),
                Err(error) => found.unreadable.push(error),
            }
        }
    }
    found.artifacts.sort_by(|a, b| (&a.manifest.captured_utc, &a.path).cmp(&(&b.manifest.captured_utc, &b.path)));
    if !all {
        keep_latest(&mut found.artifacts);
    }
    Ok(found)
}

fn keep_latest(artifacts: &mut Vec<Artifact>) {
    let key = |artifact: &Artifact| (artifact.manifest.target.name.clone(), artifact.manifest.hardware_key.clone());
    let keys: Vec<_> = artifacts.iter().map(key).collect();
    let mut index = 0;
    artifacts.retain(|_| {
        index += 1;
        !keys[index..].contains(&keys[index - 1])
    });
}

/// An artifact that is being written.
#[derive(Debug)]
pub struct Draft {
    partial: PathBuf,
    whole: PathBuf,
}

impl Draft {
    /// Creates `<parent>/<name>.partial` with its folders; takes `-2`, `-3` … where the name is taken.
    ///
    /// # Errors
    /// When the folders cannot be created.
    pub fn create(parent: &Path, name: &str) -> Result<Self, Error> {
        fs::create_dir_all(parent).map_err(|error| Error::io("cannot create", parent, error))?;
        for attempt in 1_u32.. {
            let name = if attempt == 1 { name.to_owned() } else { format!("{name}-{attempt}") };
            let (whole, partial) = (parent.join(&name), parent.join(format!("{name}{PARTIAL}")));
            if whole.exists() {
                continue;
            }
            match fs::create_dir(&partial) {
                Ok(()) => {
                    let draft = Self { partial, whole };
                    for folder in ["raw", "tables", "metrics"] {
                        let folder = draft.partial.join(folder);
                        fs::create_dir(&folder).map_err(|error| Error::io("cannot create", &folder, error))?;
                    }
                    return Ok(draft);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("cannot create", &partial, error)),
            }
        }
        unreachable!("the loop ends at the first free name")
    }

    /// Changes the name that the directory will have, as [`Draft::create`] would choose it.
    ///
    /// # Errors
    /// When the directory cannot be renamed.
    pub fn rename(&mut self, name: &str) -> Result<(), Error> {
        let parent = self.whole.parent().map(Path::to_owned).unwrap_or_default();
        let names = (1_u32..).map(|attempt| if attempt == 1 { name.to_owned() } else { format!("{name}-{attempt}") });
        for name in names {
            let (whole, partial) = (parent.join(&name), parent.join(format!("{name}{PARTIAL}")));
            if !whole.exists() && !partial.exists() {
                fs::rename(&self.partial, &partial).map_err(|error| Error::io("cannot rename to", &partial, error))?;
                (self.partial, self.whole) = (partial, whole);
                break;
            }
        }
        Ok(())
    }

    /// The directory while it is being written.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// The name that the directory will have.
    pub fn name(&self) -> String {
        self.whole.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The folder of one pass under `raw/`, created.
    ///
    /// # Errors
    /// [`Error::PassName`] when the name is no [`is_pass_name`], [`Error::Io`] when the folder cannot be created.
    pub fn raw_dir(&self, pass: &str) -> Result<PathBuf, Error> {
        if !is_pass_name(pass) {
            return Err(Error::PassName { name: pass.to_owned() });
        }
        let folder = self.partial.join("raw").join(pass);
        fs::create_dir_all(&folder).map_err(|error| Error::io("cannot create", &folder, error))?;
        Ok(folder)
    }

    /// Folder of the canonical tables.
    pub fn tables_dir(&self) -> PathBuf {
        self.partial.join("tables")
    }

    /// Writes the manifest and gives the directory its final name.
    ///
    /// # Errors
    /// When the manifest cannot be written or the directory not be renamed; it then stays a `.partial`.
    pub fn finish(self, manifest: Manifest) -> Result<Artifact, Error> {
        let file = self.partial.join(MANIFEST);
        let text =
            serde_json::to_string_pretty(&manifest).map_err(|error| Error::io("cannot encode", &file, error.into()))?;
        write_whole(&file, (text + "\n").as_bytes())?;
        fs::rename(&self.partial, &self.whole).map_err(|error| Error::io("cannot rename to", &self.whole, error))?;
        Ok(Artifact { path: self.whole, manifest })
    }

    /// Removes the draft and all that is in it.
    pub fn discard(self) {
        // Nothing is lost when this fails: what stays is a `.partial`, which every command names.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

/// Whether a pass may have that name: it is one normal component of a path on every system, so that the pass's folder
/// lies where it is meant to, whatever a raw file says.
pub fn is_pass_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

/// Writes a file so that it is either whole or absent: a temporary file beside it, then a rename.
///
/// # Errors
/// When it cannot be written; the temporary file is removed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // The process number keeps two processes that write the same file apart.
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        // The write already failed; a leftover temporary file is the lesser problem.
        let _ = fs::remove_file(&temporary);
        Error::io("cannot write", path, error)
    })
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::example;

    fn finished(parent: &Path, name: &str, target: &str, utc: &str) -> Artifact {
        Draft::create(parent, name).expect("a draft").finish(example(target, utc)).expect("it can be finished")
    }

    #[test]
    fn a_draft_looks_partial_until_it_is_finished() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let draft = Draft::create(place.path(), "run").expect("a draft");
        assert!(draft.path().ends_with("run.partial"));
        let found = find(place.path(), true).expect("the folder can be read");
        assert!(found.artifacts.is_empty());
        assert_eq!(found.partial, [draft.path()]);
        let artifact = draft.finish(example("a", "2026-01-01T00:00:00Z")).expect("it can be finished");
        assert!(artifact.path.ends_with("run"));
        assert!(find(place.path(), true).expect("the folder can be read").partial.is_empty());
    }

    #[test]
    fn a_pass_that_would_leave_its_folder_is_refused() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let draft = Draft::create(&place.path().join("artifacts"), "run").expect("a draft");
        for name in ["", ".", "..", "../../../outside", "/outside", "a/b", "a\\b", "a/..", "a\0b"] {
            assert!(matches!(draft.raw_dir(name), Err(Error::PassName { .. })), "{name:?}");
        }
        assert!(!place.path().join("outside").exists());
        assert!(draft.raw_dir("host").expect("an ordinary name").ends_with("raw/host"));
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number_whether_whole_or_partial() {
        let place = tempfile::tempdir().expect("a temporary folder");
        finished(place.path(), "run", "a", "2026-01-01T00:00:00Z");
        let second = Draft::create(place.path(), "run").expect("a draft");
        assert_eq!(second.name(), "run-2");
        assert_eq!(Draft::create(place.path(), "run").expect("a draft").name(), "run-3");
    }

    #[test]
    fn the_latest_of_each_target_is_found_unless_all_are_asked_for() {
        let place = tempfile::tempdir().expect("a temporary folder");
        finished(place.path(), "2", "a", "2026-01-02T00:00:00Z");
        finished(place.path(), "1", "a", "2026-01-01T00:00:00Z");
        finished(place.path(), "0", "b", "2026-01-03T00:00:00Z");
        let names = |all| -> Vec<String> {
            find(place.path(), all).expect("the folder can be read").artifacts.iter().map(Artifact::run).collect()
        };
        assert_eq!(names(false), ["2", "0"]);
        assert_eq!(names(true), ["1", "2", "0"]);
    }

    #[test]
    fn a_format_from_the_future_is_refused_by_version_even_when_its_shape_is_unknown() {
        let place = tempfile::tempdir().expect("a temporary folder");
        fs::write(place.path().join(MANIFEST), r#"{"format": {"major": 9, "minor": 1}, "what": []}"#).expect("written");
        let error = Artifact::open(place.path()).expect_err("it is too new");
        assert!(matches!(error, Error::NewerFormat { found_major: 9, .. }), "{error}");
    }

    #[test]
    fn a_folder_that_lost_its_manifest_is_named_not_passed_over() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let artifact = finished(place.path(), "run", "a", "2026-01-01T00:00:00Z");
        fs::remove_file(artifact.path.join(MANIFEST)).expect("removed");
        let found = find(place.path(), false).expect("the folder can be read");
        assert!(found.artifacts.is_empty());
        assert!(found.unreadable[0].to_string().contains("no manifest.json"), "{:?}", found.unreadable);
    }

    #[test]
    fn a_partial_folder_is_refused_with_the_command_that_reads_it() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let draft = Draft::create(place.path(), "run").expect("a draft");
        for path in [draft.path().to_owned(), draft.path().join("")] {
            let error = find(&path, false).expect_err("it is not whole").to_string();
            assert!(error.contains("proftool import"), "{error}");
        }
    }
}
