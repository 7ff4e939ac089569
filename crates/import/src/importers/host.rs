//! The importer of the host tracer's own file, `host.trace` (`docs/host-format.md`).

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

use proftool_trace::artifact::is_pass_name;
use proftool_trace::rows;
use serde::Deserialize;

use super::{Importer, Session};
use crate::Error;
use crate::raw::{FARTHEST_NS, Import, LONGEST_NS, Severity, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "host",
    doc: "The built-in host tracer's file, host.trace.",
    sniff: |head| head.bytes.starts_with(MAGIC),
    import,
};

const MAGIC: &[u8] = b"proftool-host\0";
const VERSION: u16 = 1;
const START: usize = MAGIC.len() + 2;
const ABSENT: i64 = i64::MIN;

const KINDS: &[&str] = &["kernel", "copy", "set", "sync", "graph"];
const COPY_KINDS: &[&str] = &["h2d", "d2h", "d2d", "p2p", "h2h"];
const EDGES: &[&str] = &["data", "event", "queue", "collective", "launch"];
const SOURCES: &[&str] = &["declared", "inferred"];
const APIS: &[&str] = &["runtime", "driver", "osrt", "mpi", "ucx", "op"];
const STYLES: &[&str] = &["push_pop", "start_end", "mark"];
/// Stands for a name whose string was cut off with the end of the file.
const LOST_NAME: &str = "(name lost)";

#[derive(Deserialize)]
struct Head {
    pass: String,
    rank: i64,
    process: i64,
    session_start_unix_ns: i64,
    session_start_monotonic_ns: i64,
    clock: String,
    time: String,
    devices: Vec<Device>,
    queues: Vec<Queue>,
    #[serde(default)]
    links: Vec<Link>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
struct Device {
    device: i64,
    kind: String,
    name: String,
    arch: Option<String>,
    cores: Option<i64>,
    memory_bytes: Option<i64>,
    clock_hz: Option<i64>,
    uuid: Option<String>,
    pci_bus_id: Option<String>,
    numa_node: Option<i64>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
struct Queue {
    device: i64,
    queue: i64,
    role: Option<String>,
    priority: Option<i64>,
}

#[derive(Deserialize)]
struct Link {
    src: i64,
    dst: i64,
    bytes_per_s: f64,
    latency_ns: Option<i64>,
    #[serde(default)]
    contended: bool,
}

#[derive(Deserialize)]
struct Tail {
    lost: Lost,
}

#[derive(Deserialize)]
struct Lost {
    operations: i64,
    dependencies: i64,
    calls: i64,
    ranges: i64,
}

/// The file's chunks, read but not yet turned into rows.
#[derive(Default)]
struct Content {
    head: Option<Head>,
    strings: Vec<String>,
    operations: Vec<[i64; 22]>,
    dependencies: Vec<[i64; 4]>,
    calls: Vec<[i64; 9]>,
    ranges: Vec<[i64; 9]>,
    tail: Option<Tail>,
    truncated: bool,
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let bytes = source.read_to_vec()?;
    let damaged = |reason: String| Error::Damaged { path: source.path().to_owned(), reason };
    if let Some(found) = version(&bytes).filter(|found| *found > VERSION) {
        let path = source.path().to_owned();
        return Err(Error::NewerVersion { path, format: "host", found, supported: VERSION });
    }
    let mut content = read(&bytes).map_err(damaged)?;
    let Some(head) = content.head.take() else {
        return Err(damaged("it ends before its description of the session".to_owned()));
    };
    let known = Known::of(&head, &content).map_err(damaged)?;
    let rows = Importing { head: &head, content: &content, known };
    rows.check().map_err(damaged)?;
    import.sink.set_pass(&head.pass);
    import.sink.set_rank(head.rank);
    rows.append(import)?;
    Ok(Session {
        start_unix_ns: head.session_start_unix_ns,
        start_monotonic_ns: head.session_start_monotonic_ns,
        clock: head.clock,
        time_simulated: head.time == "simulated",
    })
}

fn version(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(MAGIC.len()..START)?.try_into().ok()?))
}

/// Reads all whole chunks; a last one that is cut short is dropped and marked.
fn read(bytes: &[u8]) -> Result<Content, String> {
    let mut content = Content::default();
    let mut at = START;
    content.truncated = bytes.len() < START;
    while at < bytes.len() {
        let Some((tag, payload)) = chunk(&bytes[at..]) else {
            content.truncated = true;
            break;
        };
        content.add(tag, payload, at)?;
        at += 12 + payload.len();
    }
    Ok(content)
}

/// The first chunk, `None` when the bytes end inside it.
fn chunk(bytes: &[u8]) -> Option<([u8; 4], &[u8])> {
    let tag = bytes.get(..4)?.try_into().ok()?;
    let length = u64::from_le_bytes(bytes.get(4..12)?.try_into().ok()?);
    let payload = bytes.get(12..)?.get(..usize::try_from(length).ok()?)?;
    Some((tag, payload))
}

impl Content {
    fn add(&mut self, tag: [u8; 4], payload: &[u8], at: usize) -> Result<(), String> {
        let json = |error: serde_json::Error| format!("the chunk at byte {at} is no valid JSON ({error})");
        if self.head.is_none() && tag != *b"head" {
            return Err(format!("it does not begin with a head chunk but with {:?}", String::from_utf8_lossy(&tag)));
        }
        match &tag {
            b"head" => self.head = Some(serde_json::from_slice(payload).map_err(json)?),
            b"strs" => self.strings = serde_json::from_slice(payload).map_err(json)?,
            b"tail" => self.tail = Some(serde_json::from_slice(payload).map_err(json)?),
            b"oper" => records(payload, at, &mut self.operations)?,
            b"deps" => records(payload, at, &mut self.dependencies)?,
            b"call" => records(payload, at, &mut self.calls)?,
            b"rang" => records(payload, at, &mut self.ranges)?,
            other => {
                return Err(format!("the chunk at byte {at} has the unknown tag {:?}", String::from_utf8_lossy(other)));
            }
        }
        Ok(())
    }
}

fn records<const N: usize>(payload: &[u8], at: usize, rows: &mut Vec<[i64; N]>) -> Result<(), String> {
    if !payload.len().is_multiple_of(N * 8) {
        return Err(format!("the chunk at byte {at} is no whole number of records"));
    }
    let field = |bytes: &[u8]| i64::from_le_bytes(std::array::from_fn(|byte| bytes[byte]));
    rows.extend(payload.chunks_exact(N * 8).map(|record| std::array::from_fn(|index| field(&record[index * 8..]))));
    Ok(())
}

fn optional(value: i64) -> Option<i64> {
    (value != ABSENT).then_some(value)
}

/// The identifiers that the file's records have. A recorder whose buffer was full, or a file that was cut, may leave
/// references to records that are not there.
struct Known {
    operations: HashSet<i64>,
    calls: HashSet<i64>,
    ranges: HashSet<i64>,
}

impl Known {
    /// The identifiers, each of which only one record may have.
    fn of(head: &Head, content: &Content) -> Result<Self, String> {
        once("devices", head.devices.iter().map(|row| row.device))?;
        once("queues of a device", head.queues.iter().map(|row| (row.device, row.queue)))?;
        Ok(Self {
            operations: once("operations", content.operations.iter().map(|row| row[0]))?,
            calls: once("calls", content.calls.iter().map(|row| row[0]))?,
            ranges: once("ranges", content.ranges.iter().map(|row| row[0]))?,
        })
    }

    fn call(&self, id: i64) -> Option<i64> {
        optional(id).filter(|id| self.calls.contains(id))
    }

    fn range(&self, id: i64) -> Option<i64> {
        optional(id).filter(|id| self.ranges.contains(id))
    }

    fn dependency(&self, row: &[i64; 4]) -> bool {
        self.operations.contains(&row[0]) && self.operations.contains(&row[1])
    }

    /// References to records that the file does not hold.
    fn lost(&self, content: &Content) -> usize {
        let calls = content.operations.iter().filter(|row| row[8] != ABSENT && self.call(row[8]).is_none()).count();
        let parents = content.ranges.iter().filter(|row| row[1] != ABSENT && self.range(row[1]).is_none()).count();
        calls + parents + content.dependencies.iter().filter(|row| !self.dependency(row)).count()
    }
}

fn once<T: Copy + Debug + Eq + Hash>(what: &str, ids: impl Iterator<Item = T>) -> Result<HashSet<T>, String> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(format!("two {what} have the number {id:?}"));
        }
    }
    Ok(seen)
}

/// Turns chunks into rows.
struct Importing<'a> {
    head: &'a Head,
    content: &'a Content,
    known: Known,
}

impl<'a> Importing<'a> {
    fn text(&self, index: i64) -> Option<&'a str> {
        optional(index)?;
        let text = usize::try_from(index).ok().and_then(|index| self.content.strings.get(index));
        Some(text.map_or(LOST_NAME, String::as_str))
    }

    /// The file was cut short or its writer stopped.
    fn is_short(&self) -> bool {
        self.content.truncated || self.content.tail.is_none()
    }

    fn texts(&self) -> impl Iterator<Item = i64> + '_ {
        let operations = self.content.operations.iter().flat_map(|row| [row[5], row[15], row[21]]);
        let calls = self.content.calls.iter().map(|row| row[3]);
        operations.chain(calls).chain(self.content.ranges.iter().flat_map(|row| [row[3], row[4]]))
    }

    fn lost_names(&self) -> i64 {
        let known = 0..self.content.strings.len() as i64;
        self.texts().filter(|index| *index != ABSENT && !known.contains(index)).count() as i64
    }

    /// Codes and strings must exist; only a short file may lack strings.
    fn check(&self) -> Result<(), String> {
        if self.lost_names() > 0 && !self.is_short() {
            return Err("a record names a string that is not in the file".to_owned());
        }
        if !is_pass_name(&self.head.pass) {
            return Err(format!("its pass {:?} names no folder: one word without / or \\ is meant", self.head.pass));
        }
        let content = self.content;
        in_range("kind of an operation", content.operations.iter().map(|row| row[4]), KINDS)?;
        in_range("copy kind", content.operations.iter().map(|row| row[10]).filter(|code| *code != ABSENT), COPY_KINDS)?;
        in_range("kind of a dependency", content.dependencies.iter().map(|row| row[2]), EDGES)?;
        in_range("source of a dependency", content.dependencies.iter().map(|row| row[3]), SOURCES)?;
        in_range("interface of a call", content.calls.iter().map(|row| row[2]), APIS)?;
        in_range("style of a range", content.ranges.iter().map(|row| row[5]), STYLES)?;
        let operations = content.operations.iter().flat_map(|row| [row[0], row[2], row[6], row[7]]);
        let calls = content.calls.iter().flat_map(|row| [row[0], row[4], row[5]]);
        let ranges = content.ranges.iter().flat_map(|row| [row[0], row[6]]);
        let dependencies = content.dependencies.iter().flat_map(|row| [row[0], row[1]]);
        if operations.chain(calls).chain(ranges).chain(dependencies).any(|value| value == ABSENT) {
            return Err("a record lacks an identifier, a device or a time".to_owned());
        }
        self.check_times()
    }

    /// Start and end of every record that has both.
    fn spans(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let operations = self.content.operations.iter().map(|row| (row[6], row[7]));
        let calls = self.content.calls.iter().map(|row| (row[4], row[5]));
        let ranges = self.content.ranges.iter().map(|row| (row[6], row[7]));
        operations.chain(calls).chain(ranges.map(|(start, end)| (start, optional(end).unwrap_or(start))))
    }

    /// Times that no clock can have given would overflow in what is computed from them.
    fn check_times(&self) -> Result<(), String> {
        let times = || self.spans().flat_map(|(start, end)| [start, end]);
        if let Some(time) = times().find(|time| !(-FARTHEST_NS..=FARTHEST_NS).contains(time)) {
            return Err(format!(
                "a record has the time {time} ns, more than 2^61 ns (73 years) from the session start"
            ));
        }
        let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        if last - first > LONGEST_NS {
            let text = "more than 2^53 ns (104 days) apart";
            return Err(format!("its first time, {first} ns, and its last, {last} ns, are {text}"));
        }
        Ok(())
    }

    fn append(&self, import: &mut Import<'_>) -> Result<(), Error> {
        self.append_head(import)?;
        for row in &self.content.operations {
            import.put(&self.activity(row))?;
            if row[15] != ABSENT {
                import.put(&self.work(row))?;
            }
        }
        for row in self.content.dependencies.iter().filter(|row| self.known.dependency(row)) {
            let (kind, source) = (code(EDGES, row[2]), code(SOURCES, row[3]));
            import.put(&rows::Dependency { activity: row[0], depends_on: row[1], kind, source })?;
        }
        self.content.calls.iter().try_for_each(|row| import.put(&self.call(row)))?;
        self.content.ranges.iter().try_for_each(|row| import.put(&self.range(row)))?;
        for (name, count, detail) in self.issues() {
            import.issue(Severity::DataLoss, name, count.unsigned_abs(), detail);
        }
        Ok(())
    }

    fn append_head(&self, import: &mut Import<'_>) -> Result<(), Error> {
        for row in &self.head.devices {
            import.put(&rows::Device {
                device: row.device,
                kind: &row.kind,
                name: &row.name,
                arch: row.arch.as_deref(),
                sm_count: row.cores,
                memory_bytes: row.memory_bytes,
                clock_hz: row.clock_hz,
                uuid: row.uuid.as_deref(),
                pci_bus_id: row.pci_bus_id.as_deref(),
                numa_node: row.numa_node,
                ..rows::Device::default()
            })?;
        }
        for row in &self.head.queues {
            let role = row.role.as_deref();
            import.put(&rows::Queue { device: row.device, queue: row.queue, role, priority: row.priority })?;
        }
        for row in &self.head.links {
            import.put(&rows::Link {
                src: row.src,
                dst: row.dst,
                bytes_per_s: row.bytes_per_s,
                latency_ns: row.latency_ns,
                contended: row.contended,
            })?;
        }
        Ok(())
    }

    fn activity(&self, row: &[i64; 22]) -> rows::Activity<'a> {
        rows::Activity {
            id: row[0],
            process: Some(self.head.process),
            device: row[2],
            queue: optional(row[3]),
            kind: code(KINDS, row[4]),
            name: self.text(row[5]).unwrap_or_default(),
            start_ns: row[6],
            end_ns: row[7].max(row[6]),
            call: self.known.call(row[8]),
            bytes: optional(row[9]),
            copy_kind: Some(code(COPY_KINDS, row[10])).filter(|_| row[10] != ABSENT),
            src_device: optional(row[11]),
            dst_device: optional(row[12]),
            simulated: row[13] == 1,
            ..rows::Activity::default()
        }
    }

    fn work(&self, row: &[i64; 22]) -> rows::Work<'a> {
        rows::Work {
            activity: row[0],
            step: optional(row[14]),
            phase: self.text(row[15]),
            stage: optional(row[16]),
            micro_batch: optional(row[17]),
            rows: optional(row[18]),
            flop: optional(row[19]),
            dram_bytes: optional(row[20]),
            precision: self.text(row[21]),
        }
    }

    fn call(&self, row: &[i64; 9]) -> rows::Call<'a> {
        rows::Call {
            id: row[0],
            process: Some(self.head.process),
            thread: optional(row[1]),
            api: code(APIS, row[2]),
            name: self.text(row[3]).unwrap_or_default(),
            start_ns: row[4],
            end_ns: row[5].max(row[4]),
            device: optional(row[6]),
            queue: optional(row[7]),
            target_event: optional(row[8]),
            ..rows::Call::default()
        }
    }

    fn range(&self, row: &[i64; 9]) -> rows::Range<'a> {
        rows::Range {
            id: row[0],
            parent: self.known.range(row[1]),
            process: Some(self.head.process),
            thread: optional(row[2]),
            end_thread: optional(row[2]),
            domain: self.text(row[3]),
            name: self.text(row[4]).unwrap_or_default(),
            style: code(STYLES, row[5]),
            start_ns: row[6],
            end_ns: optional(row[7]).map(|end| end.max(row[6])),
            depth: optional(row[8]),
            payload: None,
        }
    }

    /// Code, count and sentence of each problem.
    fn issues(&self) -> Vec<(&'static str, i64, String)> {
        let mut issues = Vec::new();
        if self.content.truncated {
            let text = "the file ends inside a chunk, which was dropped; capture again, with enough free disk";
            issues.push(("truncated_file", 1, text.to_owned()));
        }
        let negative = self.spans().filter(|(start, end)| end < start).count() as i64;
        if negative > 0 {
            let text = "records ended before they started and count as empty, at their start; the clock stepped back";
            issues.push(("negative_duration", negative, format!("{text}: capture again")));
        }
        let dangling = self.known.lost(self.content) as i64;
        if dangling > 0 {
            let text = "references to records that the file does not hold were left out: their buffer was full";
            issues.push(("lost_references", dangling, format!("{text}, or the file was cut; capture again")));
        }
        let Some(tail) = &self.content.tail else {
            let text = "the writer was stopped before the file was complete; later records are missing";
            issues.push(("no_tail", 1, text.to_owned()));
            if self.lost_names() > 0 {
                let text = format!("names that were cut off with the end of the file read {LOST_NAME:?}");
                issues.push(("lost_names", self.lost_names(), text));
            }
            return issues;
        };
        let lost = [
            ("lost_operations", tail.lost.operations),
            ("lost_dependencies", tail.lost.dependencies),
            ("lost_calls", tail.lost.calls),
            ("lost_ranges", tail.lost.ranges),
        ];
        for (code, count) in lost.into_iter().filter(|(_, count)| *count > 0) {
            issues.push((code, count, "a recorder's buffer was full; capture fewer iterations".to_owned()));
        }
        issues
    }
}

fn find(names: &[&'static str], code: i64) -> Option<&'static str> {
    usize::try_from(code).ok().and_then(|code| names.get(code).copied())
}

/// The name of a code that [`Importing::check`] has seen to exist.
fn code(names: &[&'static str], code: i64) -> &'static str {
    find(names, code).unwrap_or_default()
}

fn in_range(what: &str, mut codes: impl Iterator<Item = i64>, names: &[&'static str]) -> Result<(), String> {
    match codes.find(|value| find(names, *value).is_none()) {
        Some(value) => Err(format!("{value} is no {what}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::import_bytes;
    use proftool_trace::frame::{Tables, ints, texts};
    use proftool_trace::tables;

    const HEAD: &str = r#"{"pass": "host", "rank": 0, "process": 42,
        "session_start_unix_ns": 5, "session_start_monotonic_ns": 6, "clock": "CLOCK_MONOTONIC", "time": "measured",
        "devices": [{"device": 0, "kind": "cpu", "name": "test", "arch": "zen3", "cores": 1, "memory_bytes": null, "clock_hz": null}],
        "queues": [{"device": 0, "queue": 0, "role": "compute", "priority": 0}],
        "links": [{"src": 0, "dst": 1, "bytes_per_s": 25e9, "latency_ns": 2000, "contended": false}]}"#;

    fn push(bytes: &mut Vec<u8>, tag: [u8; 4], payload: &[u8]) {
        bytes.extend(tag);
        bytes.extend((payload.len() as u64).to_le_bytes());
        bytes.extend(payload);
    }

    fn push_record(bytes: &mut Vec<u8>, tag: [u8; 4], fields: &[i64]) {
        push(bytes, tag, &fields.iter().flat_map(|field| field.to_le_bytes()).collect::<Vec<u8>>());
    }

    /// Two operations, a dependency, a call, a range, and that tail.
    fn file(tail: Option<&str>) -> Vec<u8> {
        let n = ABSENT;
        let mut bytes = b"proftool-host\0\x01\x00".to_vec();
        push(&mut bytes, *b"head", HEAD.as_bytes());
        push(&mut bytes, *b"strs", br#"["gemm", "prefill", "f32", "launch", "proftool", "block", "copy"]"#);
        push_record(&mut bytes, *b"oper", &[7, 1, 0, 0, 0, 0, 10, 20, 3, n, n, n, n, 0, 1, 1, 2, 3, 8, 99, 64, 2]);
        push_record(&mut bytes, *b"oper", &[8, 1, 0, 1, 1, 6, 20, 25, n, 512, 3, 0, 1, 1, n, n, n, n, n, n, n, n]);
        push_record(&mut bytes, *b"deps", &[8, 7, 0, 0]);
        push_record(&mut bytes, *b"call", &[3, 1, 0, 3, 8, 9, 0, 0, n]);
        push_record(&mut bytes, *b"rang", &[1, n, 1, 4, 5, 0, 0, 30, 0]);
        if let Some(tail) = tail {
            push(&mut bytes, *b"tail", tail.as_bytes());
        }
        bytes
    }

    const WHOLE: &str = r#"{"lost": {"operations": 0, "dependencies": 0, "calls": 0, "ranges": 0}}"#;

    fn imported(bytes: &[u8]) -> Result<(Session, Tables), Error> {
        let (imported, tables) = import_bytes("host.trace", bytes)?;
        assert_eq!((imported.importer, imported.pass.as_str()), ("host", "host"));
        Ok((imported.session, tables))
    }

    #[test]
    fn a_whole_file_fills_the_tables() {
        let (session, tables) = imported(&file(Some(WHOLE))).unwrap();
        assert_eq!((session.start_unix_ns, session.start_monotonic_ns, session.time_simulated), (5, 6, false));
        let heights = tables::ALL.iter().map(|table| (table.name, tables.get(table).height()));
        let filled: Vec<_> = heights.filter(|(_, height)| *height > 0).collect();
        let one = ["devices", "queues", "work", "calls", "dependencies", "ranges", "links"];
        assert!(filled.iter().all(|(name, height)| *height == 1 && one.contains(name) || *name == "activities"));
        assert_eq!(filled.len(), one.len() + 1);
        let activities = tables.get(&tables::ACTIVITIES);
        assert_eq!(ints(activities, "bytes").unwrap(), [None, Some(512)]);
        assert_eq!(texts(activities, "copy_kind").unwrap(), [None, Some("p2p".to_owned())]);
        assert_eq!(ints(tables.get(&tables::WORK), "rows").unwrap(), [Some(8)]);
        assert_eq!(ints(tables.get(&tables::WORK), "dram_bytes").unwrap(), [Some(64)]);
        assert_eq!(texts(tables.get(&tables::RANGES), "domain").unwrap(), [Some("proftool".to_owned())]);
    }

    #[test]
    fn a_gpu_is_known_by_its_identifiers_and_a_file_without_them_has_none() {
        let known = r#""clock_hz": 5, "uuid": "GPU-1", "pci_bus_id": "0000:1b:00.0""#;
        for (keys, expected) in [(known, [Some("GPU-1"), Some("0000:1b:00.0")]), (r#""clock_hz": null"#, [None, None])]
        {
            let mut bytes = b"proftool-host\0\x01\x00".to_vec();
            push(&mut bytes, *b"head", HEAD.replace(r#""clock_hz": null"#, keys).as_bytes());
            let whole = file(Some(WHOLE));
            bytes.extend(&whole[bytes_of_head(&whole)..]);
            let (_, tables) = imported(&bytes).unwrap();
            let devices = tables.get(&tables::DEVICES);
            let found = ["uuid", "pci_bus_id"].map(|column| texts(devices, column).unwrap()[0].clone());
            assert_eq!(found.each_ref().map(|text| text.as_deref()), expected);
        }
    }

    /// Where the chunk after the head begins.
    fn bytes_of_head(bytes: &[u8]) -> usize {
        let length: [u8; 8] = bytes[START + 4..START + 12].try_into().unwrap();
        START + 12 + u64::from_le_bytes(length) as usize
    }

    #[test]
    fn every_cut_keeps_the_whole_chunks_or_is_one_clear_error() {
        let bytes = file(Some(WHOLE));
        for length in START..bytes.len() {
            match imported(&bytes[..length]) {
                Ok((_, tables)) => {
                    let severities = texts(tables.get(&tables::ISSUES), "severity").unwrap();
                    assert!(severities.contains(&Some("data_loss".to_owned())), "cut at {length}");
                }
                Err(Error::Damaged { .. } | Error::NoRows { .. }) => {}
                Err(error) => panic!("cut at {length}: {error}"),
            }
        }
        let (_, tables) = imported(&file(None)).unwrap();
        assert_eq!(texts(tables.get(&tables::ISSUES), "code").unwrap(), [Some("no_tail".to_owned())]);
        assert_eq!(tables.get(&tables::ACTIVITIES).height(), 2);
    }

    #[test]
    fn lost_records_are_issues() {
        let lost = r#"{"lost": {"operations": 5, "dependencies": 0, "calls": 2, "ranges": 0}}"#;
        let (_, tables) = imported(&file(Some(lost))).unwrap();
        let issues = tables.get(&tables::ISSUES);
        assert_eq!(ints(issues, "count").unwrap(), [Some(5), Some(2)]);
        assert_eq!(texts(issues, "code").unwrap()[0].as_deref(), Some("lost_operations"));
    }

    #[test]
    fn references_to_lost_records_are_left_out_and_counted() {
        let mut bytes = file(None);
        let mut operation = [ABSENT; 22];
        (operation[0], operation[2], operation[4], operation[6], operation[7], operation[8]) = (9, 0, 0, 30, 40, 77);
        push_record(&mut bytes, *b"oper", &operation);
        push_record(&mut bytes, *b"deps", &[9, 66, 0, 0]);
        push_record(&mut bytes, *b"rang", &[2, 55, 1, 4, 5, 0, 60, 61, 0]);
        push(&mut bytes, *b"tail", WHOLE.as_bytes());
        let (_, tables) = imported(&bytes).unwrap();
        assert_eq!(ints(tables.get(&tables::ACTIVITIES), "call").unwrap(), [Some(3), None, None]);
        assert_eq!(ints(tables.get(&tables::RANGES), "parent").unwrap(), [None, None]);
        assert_eq!(tables.get(&tables::DEPENDENCIES).height(), 1);
        let issues = tables.get(&tables::ISSUES);
        assert_eq!(texts(issues, "code").unwrap(), [Some("lost_references".to_owned())]);
        assert_eq!(ints(issues, "count").unwrap(), [Some(3)]);
    }

    #[test]
    fn damage_is_one_error_that_says_what_and_where() {
        let mut unknown = file(None);
        push(&mut unknown, *b"what", b"");
        let mut odd = file(None);
        push(&mut odd, *b"deps", &[0; 9]);
        let mut string = file(None);
        push_record(&mut string, *b"rang", &[2, ABSENT, 1, 4, 99, 0, 0, 30, 0]);
        push(&mut string, *b"tail", WHOLE.as_bytes());
        let mut kind = file(None);
        push_record(&mut kind, *b"deps", &[8, 7, 9, 0]);
        let mut twice = file(None);
        push_record(&mut twice, *b"call", &[3, 1, 0, 3, 8, 9, 0, 0, ABSENT]);
        let cases = [
            (unknown, "unknown tag"),
            (odd, "records"),
            (string, "string"),
            (kind, "9 is no kind"),
            (twice, "two calls have the number 3"),
        ];
        for (bytes, part) in cases {
            let error = imported(&bytes).unwrap_err().to_string();
            assert!(error.contains("host.trace is damaged") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_pass_that_is_no_folder_name_is_damage() {
        for pass in ["", ".", "..", "../../outside", "/tmp/outside", "a\\\\b"] {
            let mut bytes = b"proftool-host\0\x01\x00".to_vec();
            push(&mut bytes, *b"head", HEAD.replace("\"host\"", &format!("\"{pass}\"")).as_bytes());
            push_record(&mut bytes, *b"call", &[3, 1, 0, ABSENT, 8, 9, 0, 0, ABSENT]);
            push(&mut bytes, *b"tail", WHOLE.as_bytes());
            let error = imported(&bytes).unwrap_err().to_string();
            assert!(error.contains("host.trace is damaged") && error.contains("names no folder"), "{pass}: {error}");
        }
    }

    /// A file with one more call, from `start` to `end`.
    fn with_call(start: i64, end: i64) -> Vec<u8> {
        let mut bytes = file(None);
        push_record(&mut bytes, *b"call", &[4, 1, 0, 3, start, end, 0, 0, ABSENT]);
        push(&mut bytes, *b"tail", WHOLE.as_bytes());
        bytes
    }

    #[test]
    fn times_that_no_clock_gives_are_damage() {
        for (start, end) in [(0, i64::MAX), (-FARTHEST_NS - 1, 0), (FARTHEST_NS + 1, FARTHEST_NS + 2)] {
            let error = imported(&with_call(start, end)).unwrap_err().to_string();
            assert!(error.contains("host.trace is damaged") && error.contains("2^61"), "{error}");
        }
        for (start, end) in [(0, LONGEST_NS + 1), (-FARTHEST_NS, FARTHEST_NS)] {
            let error = imported(&with_call(start, end)).unwrap_err().to_string();
            assert!(error.contains("host.trace is damaged") && error.contains("104 days"), "{error}");
        }
        assert!(imported(&with_call(0, LONGEST_NS)).is_ok());
    }

    #[test]
    fn records_that_end_before_they_start_are_empty_and_an_issue() {
        let mut bytes = with_call(9, 3);
        push_record(&mut bytes, *b"oper", &{
            let mut row = [ABSENT; 22];
            (row[0], row[2], row[4], row[6], row[7]) = (9, 0, 0, 50, 40);
            row
        });
        push_record(&mut bytes, *b"rang", &[2, ABSENT, 1, 4, 5, 0, 60, 0, 0]);
        push_record(&mut bytes, *b"rang", &[3, ABSENT, 1, 4, 5, 0, 70, ABSENT, 0]);
        let (_, tables) = imported(&bytes).unwrap();
        let issues = tables.get(&tables::ISSUES);
        assert_eq!(texts(issues, "code").unwrap(), [Some("negative_duration".to_owned())]);
        assert_eq!(texts(issues, "severity").unwrap(), [Some("data_loss".to_owned())]);
        assert_eq!(ints(issues, "count").unwrap(), [Some(3)]);
        assert_eq!(ints(tables.get(&tables::CALLS), "end_ns").unwrap(), [Some(9), Some(9)]);
        assert_eq!(ints(tables.get(&tables::ACTIVITIES), "end_ns").unwrap(), [Some(20), Some(25), Some(50)]);
        assert_eq!(ints(tables.get(&tables::RANGES), "end_ns").unwrap(), [Some(30), Some(60), None]);
    }

    #[test]
    fn a_newer_version_is_refused_and_an_empty_trace_names_the_formats() {
        let mut newer = file(Some(WHOLE));
        newer[MAGIC.len()] = 2;
        assert!(matches!(imported(&newer), Err(Error::NewerVersion { found: 2, .. })));
        let mut empty = b"proftool-host\0\x01\x00".to_vec();
        push(&mut empty, *b"head", HEAD.as_bytes());
        push(&mut empty, *b"tail", WHOLE.as_bytes());
        let error = imported(&empty).unwrap_err().to_string();
        assert!(error.contains("holds no events") && error.contains("formats tried: "), "{error}");
    }
}
