//! The file: what CUPTI hands back, appended buffer by buffer.

use std::collections::HashMap;
use std::ffi::c_char;
use std::path::PathBuf;

use proftool_tracer::{ABSENT, Error, Stream};
use serde::Serialize;

use crate::clock;
use crate::cupti::Cupti;
use crate::decode::{Rows, Texts};
use crate::layouts;
use crate::settings::Settings;
use crate::text;

/// A process may have had a file before: it was replaced by `exec`, or its number came back.
const FILES: u32 = 1000;

/// What the first block says.
#[derive(Serialize)]
pub(crate) struct Head {
    format: &'static str,
    version: u32,
    pass: &'static str,
    rank: i64,
    process: u32,
    parent_process: u32,
    session_start_unix_ns: i64,
    session_start_monotonic_ns: i64,
    clock: &'static str,
    cupti_version: u32,
    newest_known_version: u32,
    whole_graphs: bool,
}

#[derive(Serialize)]
pub(crate) struct Tail {
    pub(crate) complete: bool,
}

/// What was not recorded, counted from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lost {
    /// Records that CUPTI dropped.
    dropped: i64,
    /// Requests for a buffer that were refused because too many were in use.
    refused: i64,
    /// Records of a kind that is not read.
    unknown: i64,
    /// Records, or rests of buffers, that could not be read.
    unreadable: i64,
}

/// The file of one process.
#[derive(Debug)]
pub(crate) struct Output {
    stream: Stream,
    lost: Lost,
    written: Lost,
    /// Addresses of strings whose number is known. Only for one buffer: later the address may hold another string.
    pointers: HashMap<usize, i64>,
    functions: HashMap<(u32, u32), i64>,
}

impl Output {
    /// Creates the file with its head and the first pair of times.
    pub(crate) fn create(settings: &Settings, cupti: &Cupti) -> Result<Self, Error> {
        let stream = create(settings, &head(settings, cupti, "cupti"))?;
        let (lost, pointers, functions) = (Lost::default(), HashMap::new(), HashMap::new());
        let mut output = Self { stream, lost, written: lost, pointers, functions };
        output.write(&Rows::default(), cupti)?;
        Ok(output)
    }

    /// Appends the records of a buffer.
    ///
    /// # Safety
    /// The buffer is one that CUPTI has just handed back, with `valid` bytes.
    pub(crate) unsafe fn append(&mut self, buffer: *mut u8, valid: usize, cupti: &Cupti) -> Result<(), Error> {
        let mut rows = Rows::default();
        self.pointers.clear();
        // SAFETY: the caller's promise.
        let whole = unsafe { self.decode(buffer, valid, cupti, &mut rows) };
        self.lost.unreadable += rows.cut + i64::from(!whole);
        self.lost.unknown += rows.unknown;
        self.lost.dropped += cupti.dropped();
        self.write(&rows, cupti)
    }

    /// Decodes all records; false when CUPTI finds one that is not valid, which ends the buffer.
    ///
    /// # Safety
    /// As for [`Output::append`].
    unsafe fn decode(&mut self, buffer: *mut u8, valid: usize, cupti: &Cupti, rows: &mut Rows) -> bool {
        let mut record = std::ptr::null_mut();
        loop {
            // SAFETY: the caller's promise; the record is null or the one that the last call gave.
            match unsafe { cupti.next(buffer, valid, record) } {
                Ok(None) => return true,
                Err(_) => return false,
                Ok(Some(next)) if next <= record => return false,
                Ok(Some(next)) => record = next,
            }
            let Some(at) = (record as usize).checked_sub(buffer as usize).filter(|at| *at < valid) else {
                return false;
            };
            // SAFETY: `at` is less than the number of bytes that CUPTI has filled from the buffer's start.
            let bytes = unsafe { std::slice::from_raw_parts(buffer.add(at), valid - at) };
            rows.add(bytes, &mut Known { output: self, cupti });
        }
    }

    /// States how many requests for a buffer were refused.
    pub(crate) fn refused(&mut self, count: i64) {
        self.lost.refused = count;
    }

    /// Removes the file, of a recording that could not start.
    pub(crate) fn discard(self) {
        // A file that stays holds no record: an importer says so.
        let _ = std::fs::remove_file(self.stream.path());
    }

    /// Ends the file.
    pub(crate) fn finish(&mut self, cupti: &Cupti) -> Result<(), Error> {
        self.lost.dropped += cupti.dropped();
        self.write(&Rows::default(), cupti)?;
        self.stream.json(*b"tail", &Tail { complete: true })?;
        self.stream.flush()
    }

    /// Writes rows with the time on both clocks, at once.
    fn write(&mut self, rows: &Rows, cupti: &Cupti) -> Result<(), Error> {
        let stream = &mut self.stream;
        stream.rows(*b"clok", clock::pair(cupti).as_slice());
        stream.rows(*b"devi", &rows.devices);
        stream.rows(*b"cont", &rows.contexts);
        stream.rows(*b"strm", &rows.streams);
        stream.rows(*b"name", &rows.names);
        stream.rows(*b"call", &rows.calls);
        stream.rows(*b"kern", &rows.kernels);
        stream.rows(*b"copy", &rows.copies);
        stream.rows(*b"mset", &rows.sets);
        stream.rows(*b"sync", &rows.syncs);
        stream.rows(*b"grap", &rows.graphs);
        stream.rows(*b"mark", &rows.markers);
        stream.rows(*b"mdat", &rows.payloads);
        stream.rows(*b"exte", &rows.externals);
        if self.lost != self.written {
            let Lost { dropped, refused, unknown, unreadable } = self.lost;
            stream.rows(*b"lost", &[[dropped, refused, unknown, unreadable]]);
            self.written = self.lost;
        }
        stream.flush()
    }
}

/// What the first block of a pass of that name says.
pub(crate) fn head(settings: &Settings, cupti: &Cupti, pass: &'static str) -> Head {
    Head {
        format: "cupti",
        version: 1,
        pass,
        rank: settings.rank,
        process: std::process::id(),
        parent_process: std::os::unix::process::parent_id(),
        session_start_unix_ns: proftool_tracer::clock::unix_ns(),
        session_start_monotonic_ns: proftool_tracer::clock::monotonic_ns(),
        clock: "CLOCK_MONOTONIC",
        cupti_version: cupti.version,
        newest_known_version: *layouts::VERSIONS.end(),
        whole_graphs: settings.whole_graphs,
    }
}

/// Opens `rank<R>.pid<PID>.cupti.trace`, or a name after it where that file is there already.
pub(crate) fn create(settings: &Settings, head: &Head) -> Result<Stream, Error> {
    // Where the folder can't be made, creating the file fails and says so.
    let _ = std::fs::create_dir_all(&settings.folder);
    let mut path = PathBuf::new();
    for count in 1..FILES {
        let more = if count == 1 { String::new() } else { format!("-{count}") };
        path = settings.folder.join(format!("rank{}.pid{}{more}.cupti.trace", head.rank, head.process));
        if !path.exists() {
            break;
        }
    }
    Stream::create(&path, head)
}

/// The strings of one buffer.
struct Known<'a> {
    output: &'a mut Output,
    cupti: &'a Cupti,
}

impl Texts for Known<'_> {
    fn pointed(&mut self, text: *const c_char) -> i64 {
        let Output { stream, pointers, .. } = &mut *self.output;
        // SAFETY: the addresses in a record are null or of strings that CUPTI keeps, at least until it has its buffer
        // back.
        let string = || unsafe { text::owned(text) }.map_or(ABSENT, |string| stream.text(&string));
        *pointers.entry(text as usize).or_insert_with(string)
    }

    fn function(&mut self, domain: u32, number: u32) -> i64 {
        let Output { stream, functions, .. } = &mut *self.output;
        *functions.entry((domain, number)).or_insert_with(|| stream.text(&self.cupti.function(domain, number)))
    }
}
