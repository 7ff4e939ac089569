//! Where the recorder's library is: the stated file, the one inside the executable, or one beside it.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::profilers::Missing;

/// File of the library that the driver loads.
pub(super) const LIBRARY: &str = "libproftool_inject.so";

/// Variable that names the library in place of any other.
pub(super) const VARIABLE: &str = "PROFTOOL_INJECT_PATH";

static EMBEDDED: OnceLock<&'static [u8]> = OnceLock::new();

/// Hands over the library's bytes that the executable holds; they are written to a file when a pass needs one.
pub fn embed(bytes: &'static [u8]) {
    // A second call has the same bytes: they are those of the executable.
    let _ = EMBEDDED.set(bytes);
}

/// What a search for the library depends on.
#[derive(Default)]
struct Surroundings {
    /// [`VARIABLE`].
    stated: Option<OsString>,
    /// This executable.
    program: Option<PathBuf>,
    /// What it holds.
    embedded: Option<&'static [u8]>,
    /// Folder of cached files.
    cache: Option<PathBuf>,
}

impl Surroundings {
    fn own() -> Self {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
        Self {
            stated: std::env::var_os(VARIABLE),
            program: std::env::current_exe().ok(),
            embedded: EMBEDDED.get().copied(),
            cache: absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache"))),
        }
    }

    /// Its path; an embedded one may not be written yet.
    fn find(&self) -> Result<PathBuf, Missing> {
        if let Some(stated) = self.stated.as_ref().filter(|text| !text.is_empty()).map(PathBuf::from) {
            if stated.is_file() {
                return Ok(stated);
            }
            let reason = format!("{VARIABLE} names {}, which is no file", stated.display());
            return Err(Missing { reason, fix: format!("let it name {LIBRARY}, or unset it") });
        }
        if let Some(bytes) = self.embedded {
            return Ok(self.place(bytes));
        }
        let folder = self.program.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
        let places =
            [folder.join(LIBRARY), folder.join("deps").join(LIBRARY), folder.join("../lib/proftool").join(LIBRARY)];
        places.into_iter().find(|path| path.is_file()).ok_or_else(|| Missing {
            reason: format!("this proftool was built without {LIBRARY}, and none is beside it"),
            fix: format!("`cargo build --release -p proftool-inject`, or name it with {VARIABLE}"),
        })
    }

    /// Where the embedded library belongs. Versions have names of their own, so that a program that still runs keeps its.
    fn place(&self, bytes: &[u8]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let name = format!("inject-{:016x}", hasher.finish());
        self.cache.clone().unwrap_or_else(temporary).join("proftool").join(name).join(LIBRARY)
    }

    /// The library that [`Self::find`] found as a file that can be loaded: that of the executable is written where it is
    /// missing or damaged.
    fn provide(&self, found: &Path) -> Result<PathBuf, Missing> {
        let path = found.to_owned();
        let Some(bytes) = self.embedded.filter(|bytes| path == self.place(bytes)) else { return Ok(path) };
        let Err(first) = write(&path, bytes) else { return Ok(path) };
        // A home that cannot be written, as in many containers.
        let other = Self { cache: None, ..Self::default() }.place(bytes);
        let error = match write(&other, bytes) {
            Ok(()) => return Ok(other),
            Err(error) => error,
        };
        let reason = format!("{} cannot be written ({first}), nor {} ({error})", path.display(), other.display());
        Err(Missing { reason, fix: "name a folder that you can write with XDG_CACHE_HOME or TMPDIR".to_owned() })
    }
}

/// The path of the library, before anything is written.
///
/// # Errors
/// Where there is none, with what gives one.
pub(in crate::profilers) fn find() -> Result<PathBuf, Missing> {
    Surroundings::own().find()
}

/// What [`find`] found, as a file.
///
/// # Errors
/// Where it cannot be written.
pub(in crate::profilers) fn provide(found: &Path) -> Result<PathBuf, Missing> {
    Surroundings::own().provide(found)
}

/// A folder of this user below the system's temporary one, where others may have made any.
fn temporary() -> PathBuf {
    // SAFETY: it reads a number of this process and cannot fail.
    std::env::temp_dir().join(format!("proftool-{}", unsafe { libc::getuid() }))
}

/// Writes the library whole or not at all: another process may be loading it.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let owner = fs::symlink_metadata(folder)?;
    // SAFETY: it reads a number of this process and cannot fail.
    if !owner.is_dir() || owner.uid() != unsafe { libc::geteuid() } || owner.mode() & 0o022 != 0 {
        // What is loaded into the user's program must not be anybody else's to change.
        return Err(std::io::Error::other(format!("{} is not this user's alone", folder.display())));
    }
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let new = folder.join(format!("{LIBRARY}.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o755).open(&new)?;
    let written = std::io::Write::write_all(&mut file, bytes).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // A piece of it would stay for good.
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_the_stated_one_or_beside_the_program() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let program = Some(folder.path().join("proftool"));
        let around = |stated: Option<&Path>| Surroundings {
            stated: stated.map(|path| path.as_os_str().to_owned()),
            program: program.clone(),
            ..Surroundings::default()
        };
        let missing = around(None).find().expect_err("it is not there");
        assert!(missing.to_string().contains("cargo build --release -p proftool-inject"), "{missing}");
        let beside = folder.path().join(LIBRARY);
        fs::write(&beside, "").expect("the file can be written");
        assert_eq!(around(None).find().and_then(|path| around(None).provide(&path)), Ok(beside.clone()));
        assert_eq!(around(Some(&beside)).find(), Ok(beside));
        let wrong = around(Some(Path::new("/no/such.so"))).find().expect_err("it names nothing");
        assert!(wrong.reason.contains("/no/such.so"), "{wrong}");
    }

    #[test]
    fn the_one_inside_the_executable_is_written_once_and_again_where_it_was_damaged() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let around = Surroundings {
            embedded: Some(b"library"),
            cache: Some(folder.path().join("cache")),
            ..Surroundings::default()
        };
        let planned = around.find().expect("a place");
        assert!(!planned.exists(), "looking for it writes nothing");
        for damaged in [false, true] {
            if damaged {
                fs::write(&planned, "lib").expect("written");
            }
            let path = around.provide(&planned).expect("written");
            assert_eq!((path, fs::read(&planned).expect("there")), (planned.clone(), b"library".to_vec()));
        }
        let mode = fs::metadata(&planned).expect("there").permissions().mode();
        assert_eq!(mode & 0o700, 0o700, "{mode:o}");
        assert_eq!(fs::read_dir(planned.parent().expect("a folder")).expect("there").count(), 1);
    }

    #[test]
    fn a_home_that_cannot_be_written_is_replaced_by_a_folder_of_this_user() {
        let around =
            Surroundings { embedded: Some(b"other"), cache: Some("/proc/none".into()), ..Surroundings::default() };
        let planned = around.find().expect("a place");
        let path = around.provide(&planned).expect("written elsewhere");
        assert!(path.starts_with(temporary()), "{}", path.display());
        fs::remove_dir_all(path.parent().expect("a folder")).expect("removed");
    }
}
