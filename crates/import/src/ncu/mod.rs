//! What the importers of Nsight Compute's files share: its comma-separated pages, read in one pass.
//!
//! A file may begin with a byte-order mark, ncu's messages and the profiled program's output, and may hold several
//! tables, each with a header. `docs/importers/ncu.md` says what is taken from which page.

mod cells;
mod header;
mod launches;
mod long;
mod messages;
mod metrics;
mod number;
mod nvtx;
mod page;
mod report;
mod special;
mod state;
mod tally;
#[cfg(test)]
#[expect(clippy::float_cmp, reason = "values are the printed ones to the bit")]
pub(crate) mod tests;
mod unit;
mod utf16;
mod wide;
mod window;

use std::io::Read;

use crate::Error;
use crate::importers::Session;
use crate::raw::{Import, Source};

pub(crate) use report::{Report, find_version, is_newer, is_report};

use number::{Numbers, Style};
use page::Reader;
use state::Stop;

/// Whether text begins like one of ncu's pages, or like what ncu prints where there are none.
pub(crate) fn is_page(head: &[u8]) -> bool {
    let decoded = utf16::decode_head(head);
    let text = decoded.as_deref().unwrap_or(head);
    let text = text.strip_prefix(utf16::UTF8_MARK).unwrap_or(text);
    // A header of thousands of metrics is longer than what can be seen of the file.
    text.starts_with(b"\"ID\",\"Process ID\"")
        || text.split(|byte| *byte == b'\n').any(|line| messages::is_message(line) || page::header(line).is_some())
}

/// The name of a pass of ncu.
pub(crate) const PASS: &str = "ncu";

/// The session of a page: it has no times.
pub(crate) fn session() -> Session {
    Session { clock: "none".to_owned(), ..Session::default() }
}

/// Reads the pages of a file. `open` opens it, a second time where its numbers turn out to have decimal commas;
/// `tool_version` is the version of ncu that collected the metrics, where it is known.
///
/// # Errors
/// What opening and reading says; [`Error::Malformed`] for a file that is cut or mostly not what its header says;
/// [`Error::Unsupported`] where ncu says why there are no metrics, or the page holds averages only.
pub(crate) fn read(
    source: &Source,
    open: &dyn Fn() -> Result<Box<dyn Read + Send>, Error>,
    import: &mut Import<'_>,
    tool_version: Option<&str>,
) -> Result<(), Error> {
    let attempt = |style: Style, import: &mut Import<'_>| {
        Reader::new(source, Numbers::new(style), tool_version).run(utf16::decoded(open()?), import)
    };
    match attempt(Style::Point, import) {
        Err(Stop::OtherStyle) => import.restart()?,
        Err(Stop::Error(error)) => return Err(error),
        Ok(()) => return Ok(()),
    }
    match attempt(Style::Comma, import) {
        Ok(()) => Ok(()),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::OtherStyle) => unreachable!("the value that asked for this style proves it"),
    }
}
