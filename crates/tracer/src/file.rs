//! The file: `docs/host-format.md`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::buffer::{Lost, Records};
use crate::head::{Device, Link, Queue};
use crate::recorder::Shared;

const MAGIC: &[u8; 14] = b"proftool-host\0";
const VERSION: u16 = 1;

/// Why a trace could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be written.
    #[error("cannot write the trace {}: {source} (hint: check that the folder exists and that the disk has space)", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[derive(Serialize)]
struct HeadChunk<'a> {
    pass: &'a str,
    rank: i64,
    process: u32,
    session_start_unix_ns: i64,
    session_start_monotonic_ns: i64,
    clock: &'static str,
    time: &'static str,
    devices: &'a [Device],
    queues: &'a [Queue],
    links: &'a [Link],
}

#[derive(Serialize)]
struct TailChunk {
    lost: Lost,
}

/// Writes a whole file beside `path`, then renames it.
pub(crate) fn write(path: &Path, session: &Shared, texts: &[String], filled: &[Records]) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    let result = write_file(&temporary, session, texts, filled).and_then(|()| fs::rename(&temporary, path));
    result.map_err(|source| {
        // The write already failed; a leftover temporary file is the lesser problem.
        let _ = fs::remove_file(&temporary);
        Error::Io { path: path.to_owned(), source }
    })
}

fn write_file(path: &Path, session: &Shared, texts: &[String], filled: &[Records]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(MAGIC)?;
    file.write_all(&VERSION.to_le_bytes())?;
    chunk(&mut file, *b"head", &serde_json::to_vec(&head(session))?)?;
    chunk(&mut file, *b"strs", &serde_json::to_vec(texts)?)?;
    for records in filled {
        let thread = records.thread;
        records_chunk(&mut file, *b"oper", records.operations.iter().map(|record| record.fields(thread)))?;
        records_chunk(&mut file, *b"deps", records.dependencies.iter().map(crate::Dependency::fields))?;
        records_chunk(&mut file, *b"call", records.calls.iter().map(|record| record.fields(thread)))?;
        records_chunk(&mut file, *b"rang", records.ranges.iter().map(|record| record.fields(thread)))?;
    }
    chunk(&mut file, *b"tail", &serde_json::to_vec(&TailChunk { lost: lost(filled) })?)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn head(session: &Shared) -> HeadChunk<'_> {
    HeadChunk {
        pass: &session.head.pass,
        rank: session.head.rank,
        process: std::process::id(),
        session_start_unix_ns: session.start_unix_ns,
        session_start_monotonic_ns: session.start_monotonic_ns,
        clock: "CLOCK_MONOTONIC",
        time: session.head.time,
        devices: &session.head.devices,
        queues: &session.head.queues,
        links: &session.head.links,
    }
}

fn lost(filled: &[Records]) -> Lost {
    filled.iter().map(|records| records.lost).fold(Lost::default(), |sum, lost| Lost {
        operations: sum.operations + lost.operations,
        dependencies: sum.dependencies + lost.dependencies,
        calls: sum.calls + lost.calls,
        ranges: sum.ranges + lost.ranges,
    })
}

fn chunk(file: &mut impl Write, tag: [u8; 4], payload: &[u8]) -> io::Result<()> {
    chunk_start(file, tag, payload.len())?;
    file.write_all(payload)
}

fn chunk_start(file: &mut impl Write, tag: [u8; 4], length: usize) -> io::Result<()> {
    file.write_all(&tag)?;
    file.write_all(&(length as u64).to_le_bytes())
}

fn records_chunk<const N: usize>(
    file: &mut impl Write,
    tag: [u8; 4],
    records: impl ExactSizeIterator<Item = [i64; N]>,
) -> io::Result<()> {
    if records.len() == 0 {
        return Ok(());
    }
    chunk_start(file, tag, records.len() * N * size_of::<i64>())?;
    for record in records {
        for field in record {
            file.write_all(&field.to_le_bytes())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{ABSENT, Api, Call, Capacity, Dependency, DependencyKind, Head, Operation, Range, Recorder};

    /// The chunks of a file as (tag, payload).
    fn chunks(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        assert_eq!(&bytes[..16], b"proftool-host\0\x01\0");
        let mut rest = &bytes[16..];
        let mut all = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[4..12].try_into().expect("eight bytes")) as usize;
            all.push((String::from_utf8_lossy(&rest[..4]).into_owned(), rest[12..12 + length].to_vec()));
            rest = &rest[12 + length..];
        }
        all
    }

    fn numbers(payload: &[u8]) -> Vec<i64> {
        payload.chunks(8).map(|field| i64::from_le_bytes(field.try_into().expect("eight bytes"))).collect()
    }

    fn written(recorder: &Recorder) -> Vec<(String, Vec<u8>)> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("host.trace");
        recorder.write(&path).expect("the trace is written");
        chunks(&std::fs::read(path).expect("the trace is readable"))
    }

    #[test]
    fn every_record_is_written_in_the_documented_order() {
        let recorder = Recorder::new(Head::default());
        let (name, phase) = (recorder.intern("gemm"), recorder.intern("prefill"));
        let mut buffer = recorder.thread(3, Capacity::default());
        let operation =
            Operation { id: 7, device: 1, queue: 2, name, start_ns: 10, end_ns: 20, call: 5, ..Operation::default() };
        buffer.operation(&Operation { phase, step: 4, flop: 99, ..operation });
        buffer.dependency(&Dependency { activity: 7, depends_on: 6, kind: DependencyKind::Event, inferred: false });
        let call =
            Call { id: 5, api: Api::Runtime, name, start_ns: 1, end_ns: 2, device: 1, queue: 2, target_event: ABSENT };
        buffer.call(&call);
        buffer.range(&Range { id: 8, parent: ABSENT, domain: phase, name, start_ns: 0, end_ns: 30, depth: 0 });
        drop(buffer);
        let chunks = written(&recorder);
        let tags: Vec<_> = chunks.iter().map(|(tag, _)| tag.as_str()).collect();
        assert_eq!(tags, ["head", "strs", "oper", "deps", "call", "rang", "tail"]);
        assert_eq!(chunks[1].1, br#"["gemm","prefill"]"#);
        let n = ABSENT;
        assert_eq!(numbers(&chunks[2].1), [7, 3, 1, 2, 0, 0, 10, 20, 5, n, n, n, n, 0, 4, 1, n, n, n, 99, n, n]);
        assert_eq!(numbers(&chunks[3].1), [7, 6, 1, 0]);
        assert_eq!(numbers(&chunks[4].1), [5, 3, 0, 0, 1, 2, 1, 2, n]);
        assert_eq!(numbers(&chunks[5].1), [8, n, 3, 1, 0, 0, 0, 30, 0]);
    }

    #[test]
    fn a_full_buffer_counts_what_it_drops_and_does_not_grow() {
        let recorder = Recorder::new(Head::default());
        let capacity = Capacity { operations: 2, dependencies: 0, calls: 0, ranges: 0 };
        let mut buffer = recorder.thread(0, capacity);
        for id in 0..5 {
            buffer.operation(&Operation { id, ..Operation::default() });
        }
        drop(buffer);
        let chunks = written(&recorder);
        assert_eq!(numbers(&chunks[2].1).len(), 2 * 22);
        let tail = String::from_utf8_lossy(&chunks[3].1).into_owned();
        assert_eq!(tail, r#"{"lost":{"operations":3,"dependencies":0,"calls":0,"ranges":0}}"#);
    }

    #[test]
    fn a_failed_write_leaves_nothing_and_names_the_file() {
        let recorder = Recorder::new(Head::default());
        let error = recorder.write(std::path::Path::new("/nowhere/host.trace")).expect_err("no such folder");
        assert!(error.to_string().contains("/nowhere/host.trace"), "{error}");
    }

    #[test]
    fn a_string_is_interned_once() {
        let recorder = Recorder::new(Head::default());
        assert_eq!(recorder.intern("a"), recorder.intern("a"));
        assert_ne!(recorder.intern("a"), recorder.intern("b"));
    }
}
