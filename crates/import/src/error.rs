//! What can go wrong while importing.

use std::fmt::{self, Write};
use std::io;
use std::path::PathBuf;

/// Characters of a text from a file that a message repeats.
const SHOWN: usize = 300;

/// A text that may hold what a file says, as a message shows it: in one line, and not endless.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, letter) in self.0.chars().enumerate() {
            match letter {
                _ if count == SHOWN => return formatter.write_str(" ..."),
                letter if letter.is_control() => write!(formatter, "{}", letter.escape_default())?,
                letter => formatter.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// An error of this crate. Each message says what failed, on which file, and what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A raw file could not be read.
    #[error("cannot read {}: {cause} (hint: check the path and its permissions)", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said. The message holds it, so that it is no source that a chain would print again.
        cause: io::Error,
    },
    /// The user asked to stop.
    #[error("interrupted while importing {}; nothing was written (hint: run the same command again)", path.display())]
    Interrupted {
        /// The file.
        path: PathBuf,
    },
    /// A folder for results could not be created.
    #[error("cannot create {}: {cause} (hint: check its permissions and the space on the disk)", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the system said; in the message, as above.
        cause: io::Error,
    },
    /// A raw file without a byte.
    #[error("{} is empty (hint: the profiler wrote nothing; capture again, or copy the file again)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The placeholder that git leaves of a large file that was not fetched.
    #[error("{} is a Git LFS pointer, not the file itself (hint: fetch it with `git lfs pull`)", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A directory in which no importer recognises anything.
    #[error("{} holds no file that proftool reads ({}; tried: {tried}; hint: name the profiler's own output)", path.display(), Shown(looked))]
    NothingInside {
        /// The directory.
        path: PathBuf,
        /// What was found in it.
        looked: String,
        /// Names of the importers.
        tried: String,
    },
    /// A raw file is recognised, and something in it cannot be.
    #[error("{} is damaged at {}: {} (hint: {hint})", path.display(), Shown(place), Shown(reason))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it: a byte, a line, a table and row.
        place: String,
        /// What is wrong.
        reason: String,
        /// What to try.
        hint: String,
    },
    /// An outside tool that reads this format is missing, too old, or failed.
    #[error("cannot read {}: {} (hint: {hint})", path.display(), Shown(reason))]
    Tool {
        /// The file.
        path: PathBuf,
        /// What is missing or went wrong.
        reason: String,
        /// How to mend it.
        hint: String,
    },
    /// The file is recognised, and what it holds cannot become tables.
    #[error("{} {} (hint: {hint})", path.display(), Shown(reason))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Why, a sentence without its subject.
        reason: String,
        /// What to import instead.
        hint: String,
    },
    /// The file is recognised, and holds only a summary of what lies in another file.
    #[error("{} {reason} (hint: {hint})", path.display())]
    SummaryOnly {
        /// The file.
        path: PathBuf,
        /// What it holds, a sentence without its subject.
        reason: String,
        /// What to import instead.
        hint: String,
    },
    /// No importer recognises the file.
    #[error("{} is of no format that proftool reads: {} (tried: {tried}; hint: name the profiler's own output file)", path.display(), Shown(looks))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        looks: String,
        /// Names of the importers.
        tried: String,
    },
    /// More than one importer claims the file: a bug in the importers.
    #[error("{} is claimed by several importers: {claimed} (hint: report this file's first bytes as a bug)", path.display())]
    AmbiguousFormat {
        /// The file.
        path: PathBuf,
        /// Names of those that claim it.
        claimed: String,
    },
    /// The file is recognised, and holds nothing.
    #[error("{} holds no events (read as {format}, formats tried: {tried}; {}; hint: capture again, and check that the profiler ran while the target did)", path.display(), Shown(looks))]
    NoRows {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        looks: String,
        /// The importer that read it.
        format: &'static str,
        /// Names of all importers.
        tried: String,
    },
    /// The file is recognised and cannot be read to its end for another reason than being cut short.
    #[error("{} is damaged: {} (hint: capture again; nothing was taken from it)", path.display(), Shown(reason))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The file was written by a newer proftool.
    #[error("{} has version {found} of the {format} format, this proftool reads up to {supported} (hint: update proftool)", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Name of the format.
        format: &'static str,
        /// The version found.
        found: u16,
        /// The newest version that can be read.
        supported: u16,
    },
    /// A table or an artifact could not be read or written.
    #[error(transparent)]
    Trace(#[from] proftool_trace::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_shown_in_one_line_and_not_endlessly() {
        assert_eq!(Shown("a\nb\u{1b}[31m\u{1f4a5}").to_string(), "a\\nb\\u{1b}[31m\u{1f4a5}");
        let long = Shown(&"[".repeat(100_000)).to_string();
        assert_eq!((long.len(), &long[298..]), (SHOWN + 4, "[[ ..."));
    }
}
