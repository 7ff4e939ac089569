//! The temporary folder of one run.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::command::Line;
use crate::profilers::{Launch, Missing};

/// A name for the launch: of its session and of its temporary folder. Unique among the runs of a machine, the same
/// before and after the run.
pub fn name(launch: &Launch<'_>) -> String {
    let mut hasher = DefaultHasher::new();
    launch.folder.hash(&mut hasher);
    format!("proftool-nsys-{}-{}-{:016x}", std::process::id(), launch.rank, hasher.finish())
}

/// Where the temporary folder of the launch is. Below the system's and not in `raw/`: that may be a network disk, which
/// suits neither sockets nor locks nor what is written while the clock runs.
pub fn folder(launch: &Launch<'_>) -> PathBuf {
    std::env::temp_dir().join(name(launch))
}

/// Makes [`folder`], for this user alone: the recording in it holds the environment of processes.
pub(super) fn make(launch: &Launch<'_>) -> Result<PathBuf, Missing> {
    let folder = folder(launch);
    own(&folder).map_err(|error| Missing {
        reason: format!("the temporary folder {} cannot be made: {error}", folder.display()),
        fix: "name a folder that you can write, with space for the recording, with TMPDIR".to_owned(),
    })?;
    Ok(folder)
}

/// A folder of this user's; not one that somebody else has put there, nor a link.
fn own(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(folder)?;
            // SAFETY: geteuid takes nothing and cannot fail.
            let mine = found.is_dir() && found.uid() == unsafe { libc::geteuid() };
            if mine { Ok(()) } else { Err(error) }
        }
        made => made,
    }
}

/// The whole command of a line: nsys uses the temporary folder, its target the original one.
///
/// `--env-var` hands the original back. It can stand once only and separates variables by commas, so an original that
/// holds one cannot be handed back: then `TMPDIR` stays as it is, and the files lie where nsys puts them.
pub(super) fn command(line: &Line, scratch: &Path, original: Option<&OsStr>) -> Vec<OsString> {
    let original = original.filter(|original| !original.is_empty()).unwrap_or_else(|| OsStr::new("/tmp"));
    let mut words = line.words.clone();
    let mut environment = line.environment.clone();
    if !original.as_encoded_bytes().contains(&b',') {
        // After the program and `profile`.
        words.insert(2.min(words.len()), joined("--env-var=TMPDIR=", original));
        environment.insert(0, joined("TMPDIR=", scratch.as_os_str()));
    }
    if !environment.is_empty() {
        words.splice(0..0, std::iter::once("env".into()).chain(environment));
    }
    words
}

fn joined(start: &str, end: &OsStr) -> OsString {
    let mut word = OsString::from(start);
    word.push(end);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_gets_a_folder_of_its_own_and_the_target_keeps_the_original() {
        let line = |original: Option<&str>| {
            let words = ["nsys", "profile", "--trace=cuda", "app"].map(OsString::from).to_vec();
            let line = Line { words, ..Line::default() };
            let words = command(&line, Path::new("/tmp/own"), original.map(OsStr::new));
            words.join(OsStr::new(" ")).into_string().expect("plain words")
        };
        assert_eq!(line(None), "env TMPDIR=/tmp/own nsys profile --env-var=TMPDIR=/tmp --trace=cuda app");
        assert_eq!(line(Some("/s")), "env TMPDIR=/tmp/own nsys profile --env-var=TMPDIR=/s --trace=cuda app");
        assert_eq!(line(Some("/a,b")), "nsys profile --trace=cuda app");
    }

    #[test]
    fn the_folder_is_this_users_alone_and_a_link_in_its_place_is_refused() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("own");
        own(&folder).expect("made");
        own(&folder).expect("there already");
        assert_eq!(fs::metadata(&folder).expect("there").mode() & 0o777, 0o700);
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).expect("linked");
        assert!(own(&link).is_err());
    }

    #[test]
    fn each_rank_and_each_pass_has_a_name_of_its_own() {
        let named = |folder: &str, rank| name(&Launch { target: &[], folder: Path::new(folder), rank });
        assert_eq!(named("/a", 0), named("/a", 0));
        assert_ne!(named("/a", 0), named("/a", 1));
        assert_ne!(named("/a", 0), named("/b", 0));
        assert!(named("/a", 0).len() <= 127, "the limit of nsys 2022.4 for the name of a session");
    }
}
