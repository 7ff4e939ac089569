//! One input of an importer: a file, or the files of a folder packed into one piece of bytes, which is what fuzzers
//! work on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Begins the bytes of a folder; each file follows as `<name> <length>\n` and its bytes.
const FOLDER: &[u8] = b"proftool folder\n";

/// What an importer is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    File(Vec<u8>),
    Folder(Vec<(String, Vec<u8>)>),
}

impl Input {
    /// The input that [`Input::to_bytes`] packed. Any bytes are an input: lengths are cut to what there is, and names
    /// that would leave the folder are replaced.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let Some(mut rest) = bytes.strip_prefix(FOLDER) else { return Self::File(bytes.to_owned()) };
        let mut files = Vec::new();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let head = String::from_utf8_lossy(&rest[..end]);
            let (name, length) = head.rsplit_once(' ').unwrap_or((&head, ""));
            let plain = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']) && name.len() < 100;
            let name = if plain { name.to_owned() } else { format!("file{}", files.len()) };
            rest = &rest[end + 1..];
            let (content, after) = rest.split_at(length.parse().unwrap_or(rest.len()).min(rest.len()));
            files.push((name, content.to_owned()));
            rest = after;
        }
        Self::Folder(files)
    }

    /// The input as one piece of bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::File(bytes) => bytes.clone(),
            Self::Folder(files) => {
                let mut bytes = FOLDER.to_owned();
                for (name, content) in files {
                    bytes.extend_from_slice(format!("{name} {}\n", content.len()).as_bytes());
                    bytes.extend_from_slice(content);
                }
                bytes
            }
        }
    }

    /// Writes the input below `place`, in place of what was there, and returns its path.
    pub(crate) fn write(&self, place: &Path) -> io::Result<PathBuf> {
        let path = place.join("input");
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        }
        match self {
            Self::File(bytes) => fs::write(&path, bytes)?,
            Self::Folder(files) => {
                let _ = fs::remove_file(&path);
                fs::create_dir(&path)?;
                files.iter().try_for_each(|(name, content)| fs::write(path.join(name), content))?;
            }
        }
        Ok(path)
    }

    /// Bytes of all its files.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::File(bytes) => bytes.len(),
            Self::Folder(files) => files.iter().map(|(_, content)| content.len()).sum(),
        }
    }
}

/// A folder for inputs, in memory where the system has such a place.
pub(crate) fn folder() -> io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new().prefix("proftool-mutations-").to_owned();
    builder.tempdir_in(memory).or_else(|_| builder.tempdir())
}
