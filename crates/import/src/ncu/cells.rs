//! The cells of one comma-separated record, borrowed from the file's bytes.

use std::borrow::Cow;

/// One cell without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    /// Its bytes; quotes inside it are still doubled.
    pub(super) raw: &'a [u8],
    /// Whether it holds doubled quotes.
    pub(super) doubled: bool,
}

impl<'a> Cell<'a> {
    /// The cell as text. Bytes that are not UTF-8 become replacement characters.
    pub(super) fn text(&self) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(self.raw);
        if self.doubled { Cow::Owned(text.replace("\"\"", "\"")) } else { text }
    }
}

/// What stands at a place where a cell begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A cell, how many bytes it takes with its delimiter, and whether it ends the record.
    Cell(Cell<'a>, usize, bool),
    /// The window ends inside the cell.
    More,
    /// The file ends inside a quoted cell.
    OpenQuote,
    /// Something other than a delimiter follows the closing quote.
    Misquoted,
}

/// The cell at the beginning of `bytes`; `last` when the file ends with them.
#[inline]
pub(super) fn cell(bytes: &[u8], last: bool) -> Step<'_> {
    if bytes.first() == Some(&b'"') { quoted(bytes, last) } else { bare(bytes, last) }
}

fn bare(bytes: &[u8], last: bool) -> Step<'_> {
    match memchr::memchr2(b',', b'\n', bytes) {
        Some(end) if bytes[end] == b',' => Step::Cell(Cell { raw: &bytes[..end], doubled: false }, end + 1, false),
        Some(end) => Step::Cell(Cell { raw: without_return(&bytes[..end]), doubled: false }, end + 1, true),
        None if last => Step::Cell(Cell { raw: without_return(bytes), doubled: false }, bytes.len(), true),
        None => Step::More,
    }
}

fn without_return(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn quoted(bytes: &[u8], last: bool) -> Step<'_> {
    let mut doubled = false;
    let mut at = 1;
    let end = loop {
        match memchr::memchr(b'"', &bytes[at..]) {
            None if last => return Step::OpenQuote,
            None => return Step::More,
            Some(quote) => match bytes.get(at + quote + 1) {
                Some(b'"') => {
                    doubled = true;
                    at += quote + 2;
                }
                _ => break at + quote,
            },
        }
    };
    let cell = Cell { raw: &bytes[1..end], doubled };
    match &bytes[end + 1..] {
        [b',', ..] => Step::Cell(cell, end + 2, false),
        [b'\n', ..] => Step::Cell(cell, end + 2, true),
        [b'\r', b'\n', ..] => Step::Cell(cell, end + 3, true),
        [] | [b'\r'] if last => Step::Cell(cell, bytes.len(), true),
        [] | [b'\r'] => Step::More,
        _ => Step::Misquoted,
    }
}

/// What the record at the beginning of the bytes is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Its cells were gathered; it takes so many bytes, and ended with the file rather than with a line.
    Whole(usize, bool),
    /// As [`Step`].
    More,
    /// As [`Step`].
    OpenQuote,
    /// As [`Step`].
    Misquoted,
}

/// Gathers the cells of the record at the beginning of `bytes`.
pub(super) fn record<'a>(bytes: &'a [u8], last: bool, cells: &mut Vec<Cell<'a>>) -> Record {
    cells.clear();
    let mut at = 0;
    loop {
        match cell(&bytes[at..], last) {
            Step::Cell(cell, length, ends) => {
                cells.push(cell);
                at += length;
                if ends {
                    return Record::Whole(at, bytes[..at].last() != Some(&b'\n'));
                }
            }
            Step::More => return Record::More,
            Step::OpenQuote => return Record::OpenQuote,
            Step::Misquoted => return Record::Misquoted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> (Record, Vec<String>) {
        let mut cells = Vec::new();
        let record = record(text.as_bytes(), true, &mut cells);
        (record, cells.iter().map(|cell| cell.text().into_owned()).collect())
    }

    #[test]
    fn quotes_commas_newlines_and_both_line_ends_are_understood() {
        let (record, cells) = texts("\"a,\"\"b\"\"\",c,,\"two\nlines\",\"\"\r\nnext");
        assert_eq!(record, Record::Whole(29, false));
        assert_eq!(cells, ["a,\"b\"", "c", "", "two\nlines", ""]);
        assert_eq!(texts("1,2\r\n"), (Record::Whole(5, false), vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!(texts("\"1\",").1, ["1", ""]);
        assert_eq!(texts("\"1\"\r"), (Record::Whole(4, true), vec!["1".to_owned()]));
    }

    #[test]
    fn an_open_quote_is_told_from_a_window_that_ends() {
        assert_eq!(cell(b"\"abc", true), Step::OpenQuote);
        assert_eq!(cell(b"\"abc", false), Step::More);
        assert_eq!(cell(b"\"abc\"", false), Step::More);
        assert_eq!(cell(b"\"abc\"\r", false), Step::More);
        assert_eq!(cell(b"\"abc\"x,", true), Step::Misquoted);
    }

    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        let cell = Cell { raw: b"k\xffernel", doubled: false };
        assert_eq!(cell.text(), "k\u{fffd}ernel");
    }
}
