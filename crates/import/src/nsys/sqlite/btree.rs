//! SQLite's file format, as far as reading the rows of a plain table in order needs it.
//!
//! <https://www.sqlite.org/fileformat2.html>: pages of a fixed size; a table is a tree of pages whose leaves hold the
//! rows, each a length, a number and a record; a record too long for its page goes on in a chain of overflow pages.
//! Nothing in the file is trusted: every offset is checked, and no page is visited more often than a tree can.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::export::{Cell, Each, MOST_COLUMNS, Row};
use super::record::{self, varint};
use crate::Error;

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;
const LEAF: u8 = 13;
const INTERIOR: u8 = 5;
/// Deepest tree that is followed. Fifteen levels of two children already hold more pages than a file can.
const DEEPEST: usize = 40;
/// Bytes read at once; neighbouring pages mostly belong to the same table.
const WINDOW_BYTES: usize = 1 << 18;

/// The pages of a file.
#[derive(Debug)]
pub(super) struct Database {
    file: File,
    page_bytes: usize,
    /// Bytes of a page that hold content.
    usable: usize,
    pages: u32,
}

/// Where a table lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Page of the tree's root.
    pub(super) root: u32,
    /// The column that is the row's number, which records leave out.
    pub(super) alias: Option<usize>,
}

/// Makes the error for something wrong on a page.
type Wrong<'w> = &'w dyn Fn(u32, &str) -> Error;

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn header(path: &Path) -> io::Result<Option<[u8; HEADER_BYTES]>> {
    let mut header = [0; HEADER_BYTES];
    match File::open(path)?.read_exact(&mut header) {
        Ok(()) => Ok(Some(header)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn page_bytes(header: &[u8]) -> Option<usize> {
    match u16_at(header, 16)? {
        1 => Some(65536),
        bytes if bytes >= 512 && bytes.is_power_of_two() => Some(bytes),
        _ => None,
    }
}

/// Says so when a file is shorter than its own header states.
pub(super) fn check_length(path: &Path) -> Result<(), String> {
    let (Ok(Some(header)), Ok(data)) = (header(path), std::fs::metadata(path)) else { return Ok(()) };
    let stated = page_bytes(&header).zip(u32_at(&header, 28)).map(|(bytes, pages)| bytes as u64 * u64::from(pages));
    // The page count is valid only where the change counter equals its copy.
    let valid = u32_at(&header, 24) == u32_at(&header, 92);
    match stated.filter(|stated| valid && *stated > data.len()) {
        Some(stated) => Err(format!("it is cut short: {} of {stated} bytes are there", data.len())),
        None => Ok(()),
    }
}

impl Database {
    /// Opens the file; `None` where its rows must be read by SQLite itself (another text encoding, a write-ahead log).
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let Some(header) = header(path)?.filter(|header| header.starts_with(MAGIC)) else { return Ok(None) };
        let Some(page_bytes) = page_bytes(&header) else { return Ok(None) };
        let file = File::open(path)?;
        let pages = u32::try_from(file.metadata()?.len() / page_bytes as u64).unwrap_or(u32::MAX);
        let usable = page_bytes - usize::from(header[20]);
        // Bytes 18 and 19 are 1 unless a write-ahead log is in use; 1 at byte 59 is UTF-8.
        let plain = header[18] == 1 && header[19] == 1 && u32_at(&header, 56) == Some(1) && usable >= 480;
        Ok(plain.then_some(Self { file, page_bytes, usable, pages }))
    }

    /// Hands over every row of a table.
    pub(super) fn scan(
        &self,
        layout: &Layout,
        columns: &[String],
        wanted: &[&str],
        each: Each<'_>,
        wrong: Wrong<'_>,
    ) -> Result<(), Error> {
        let mut slots: Vec<Option<u8>> =
            columns.iter().map(|column| wanted.iter().position(|name| name == column).map(|slot| slot as u8)).collect();
        if slots.iter().all(Option::is_none) {
            return Ok(());
        }
        let alias = layout.alias.and_then(|column| slots[column].take());
        while slots.last().is_some_and(Option::is_none) {
            slots.pop();
        }
        let mut scan = Scan {
            database: self,
            window: Window::default(),
            overflow: Window::default(),
            visited: 0,
            chained: 0,
            number: 0,
            slots,
            alias: alias.map(usize::from),
            width: wanted.len(),
            long: Vec::new(),
            wrong,
        };
        scan.tree(layout.root, 0, each)
    }
}

/// Pages read at once.
#[derive(Default)]
struct Window {
    first: u32,
    bytes: Vec<u8>,
}

impl Window {
    /// A page, read with those after it where it is not at hand.
    fn page(&mut self, database: &Database, page: u32, ahead: usize) -> Option<&[u8]> {
        let size = database.page_bytes;
        let held = (self.bytes.len() / size) as u32;
        if page < self.first || page - self.first >= held {
            self.fill(database, page, ahead)?;
        }
        let at = (page - self.first) as usize * size;
        self.bytes.get(at..at + size)
    }

    fn fill(&mut self, database: &Database, page: u32, ahead: usize) -> Option<()> {
        if page == 0 || page > database.pages {
            return None;
        }
        let size = database.page_bytes;
        let count = (ahead / size).clamp(1, (database.pages - page + 1) as usize);
        self.bytes.resize(count * size, 0);
        self.first = page;
        if database.file.read_exact_at(&mut self.bytes, u64::from(page - 1) * size as u64).is_err() {
            self.bytes.clear();
            return None;
        }
        Some(())
    }
}

/// One scan under way.
struct Scan<'d> {
    database: &'d Database,
    window: Window,
    overflow: Window,
    /// Pages of the tree, and pages of chains, visited so far: a table has each page once.
    visited: u64,
    chained: u64,
    number: u64,
    /// The cell of each stored column.
    slots: Vec<Option<u8>>,
    /// The cell that takes the row's number.
    alias: Option<usize>,
    width: usize,
    /// A record put together from several pages.
    long: Vec<u8>,
    wrong: Wrong<'d>,
}

/// A cell of a leaf: the row's number, the record's length, and where its bytes on this page begin.
struct Stored {
    number: i64,
    length: usize,
    at: usize,
}

impl Scan<'_> {
    fn tree(&mut self, page: u32, depth: usize, each: Each<'_>) -> Result<(), Error> {
        let wrong = self.wrong;
        self.visited += 1;
        if depth > DEEPEST || self.visited > u64::from(self.database.pages) {
            return Err(wrong(page, "its tree of pages goes in circles"));
        }
        // The window moves on while children and overflow pages are read.
        let Some(bytes) = self.window.page(self.database, page, WINDOW_BYTES).map(<[u8]>::to_vec) else {
            return Err(wrong(page, "the page lies outside the file"));
        };
        let head = if page == 1 { HEADER_BYTES } else { 0 };
        match bytes.get(head) {
            Some(&LEAF) => self.leaf(page, &bytes, head, each),
            Some(&INTERIOR) => {
                let children = children(&bytes, head).ok_or_else(|| wrong(page, "its list of pages is damaged"))?;
                children.into_iter().try_for_each(|child| self.tree(child, depth + 1, &mut *each))
            }
            _ => Err(wrong(page, "it is no page of a table")),
        }
    }

    fn leaf(&mut self, page: u32, bytes: &[u8], head: usize, each: Each<'_>) -> Result<(), Error> {
        let wrong = self.wrong;
        let count = u16_at(bytes, head + 3).unwrap_or(0);
        let pointers = bytes.get(head + 8..head + 8 + count * 2);
        let pointers = pointers.ok_or_else(|| wrong(page, "its list of rows is damaged"))?;
        for pointer in pointers.chunks_exact(2) {
            let at = usize::from(u16::from_be_bytes([pointer[0], pointer[1]]));
            let stored = stored(bytes, at).ok_or_else(|| wrong(page, "a row lies outside the page"))?;
            let local = local_bytes(self.database.usable, stored.length);
            let Some(here) = bytes.get(stored.at..stored.at + local) else {
                return Err(wrong(page, "a row lies outside the page"));
            };
            if local == stored.length {
                self.row(page, here, stored.number, &mut *each)?;
            } else {
                let mut long = std::mem::take(&mut self.long);
                long.clear();
                long.extend_from_slice(here);
                let next = u32_at(bytes, stored.at + local).unwrap_or(0);
                self.follow(next, stored.length, &mut long)
                    .ok_or_else(|| wrong(page, "a long row's further pages are damaged"))?;
                self.row(page, &long, stored.number, &mut *each)?;
                self.long = long;
            }
        }
        Ok(())
    }

    #[inline]
    fn row(&mut self, page: u32, record: &[u8], number: i64, each: Each<'_>) -> Result<(), Error> {
        let mut cells = [Cell::Null; MOST_COLUMNS];
        if record::read(record, &self.slots, &mut cells).is_none() {
            return Err((self.wrong)(page, "a row's values are damaged"));
        }
        if let Some(slot) = self.alias {
            cells[slot] = Cell::Int(number);
        }
        let row = Row::new(self.number, &cells[..self.width]);
        self.number += 1;
        each(&row)
    }

    /// Appends the pages of a chain until the record is whole.
    fn follow(&mut self, mut page: u32, length: usize, long: &mut Vec<u8>) -> Option<()> {
        let usable = self.database.usable;
        // A record longer than the file is not allocated.
        if length as u64 > u64::from(self.database.pages) * self.database.page_bytes as u64 {
            return None;
        }
        while long.len() < length {
            self.chained += 1;
            if self.chained > u64::from(self.database.pages) {
                return None;
            }
            let bytes = self.overflow.page(self.database, page, self.database.page_bytes)?;
            let take = (usable - 4).min(length - long.len());
            long.extend_from_slice(bytes.get(4..4 + take)?);
            page = u32_at(bytes, 0)?;
        }
        Some(())
    }
}

/// Pages below an interior page, in order.
fn children(bytes: &[u8], head: usize) -> Option<Vec<u32>> {
    let count = u16_at(bytes, head + 3)?;
    let pointers = bytes.get(head + 12..head + 12 + count * 2)?;
    let cells = pointers.chunks_exact(2).map(|pointer| usize::from(u16::from_be_bytes([pointer[0], pointer[1]])));
    let mut children = cells.map(|at| u32_at(bytes, at)).collect::<Option<Vec<u32>>>()?;
    children.push(u32_at(bytes, head + 8)?);
    Some(children)
}

#[inline]
fn stored(bytes: &[u8], at: usize) -> Option<Stored> {
    let (length, first) = varint(bytes.get(at..)?)?;
    let (number, second) = varint(bytes.get(at + first..)?)?;
    Some(Stored { number: number.cast_signed(), length: usize::try_from(length).ok()?, at: at + first + second })
}

/// How many bytes of a record its leaf holds; the rest is in overflow pages.
#[inline]
fn local_bytes(usable: usize, length: usize) -> usize {
    let most = usable - 35;
    if length <= most {
        return length;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let fitting = least + (length - least) % (usable - 4);
    if fitting <= most { fitting } else { least }
}
