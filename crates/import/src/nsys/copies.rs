//! Copies and sets of memory.

use proftool_trace::rows::Activity;

use super::devices::{Origin, Place};
use super::export::{Export, Row, at};
use super::ids::{nonzero, process, valid};
use super::reader::{Reader, next};
use crate::Error;

pub(super) const COPIES: &str = "CUPTI_ACTIVITY_KIND_MEMCPY";
pub(super) const SETS: &str = "CUPTI_ACTIVITY_KIND_MEMSET";
const WANTED: &[&str] = &[
    "start",
    "end",
    "deviceId",
    "contextId",
    "streamId",
    "correlationId",
    "globalPid",
    "bytes",
    "graphNodeId",
    "copyKind",
    "srcKind",
    "dstKind",
    "srcDeviceId",
    "dstDeviceId",
    "memKind",
];
const START: usize = at(WANTED, "start");
const END: usize = at(WANTED, "end");
const DEVICE: usize = at(WANTED, "deviceId");
const CONTEXT: usize = at(WANTED, "contextId");
const STREAM: usize = at(WANTED, "streamId");
const CORRELATION: usize = at(WANTED, "correlationId");
const PROCESS: usize = at(WANTED, "globalPid");
const BYTES: usize = at(WANTED, "bytes");
const GRAPH_NODE: usize = at(WANTED, "graphNodeId");
const COPY_KIND: usize = at(WANTED, "copyKind");
const SRC_KIND: usize = at(WANTED, "srcKind");
const DST_KIND: usize = at(WANTED, "dstKind");
const SRC_DEVICE: usize = at(WANTED, "srcDeviceId");
const DST_DEVICE: usize = at(WANTED, "dstDeviceId");
const SET_KIND: usize = at(WANTED, "memKind");

/// What a copy is called, and the `copy_kind` of the tables.
type Operation = (&'static str, Option<&'static str>);

/// By the symbol in `ENUM_CUDA_MEMCPY_OPER` (behind `CUDA_MEMCPY_KIND_`), in the order of its usual numbers.
const OPERATIONS: [(&str, Operation); 14] = [
    ("UNKNOWN", ("[CUDA memcpy Unknown]", None)),
    ("HTOD", ("[CUDA memcpy Host-to-Device]", Some("h2d"))),
    ("DTOH", ("[CUDA memcpy Device-to-Host]", Some("d2h"))),
    ("HTOA", ("[CUDA memcpy Host-to-Array]", Some("h2d"))),
    ("ATOH", ("[CUDA memcpy Array-to-Host]", Some("d2h"))),
    ("ATOA", ("[CUDA memcpy Array-to-Array]", Some("d2d"))),
    ("ATOD", ("[CUDA memcpy Array-to-Device]", Some("d2d"))),
    ("DTOA", ("[CUDA memcpy Device-to-Array]", Some("d2d"))),
    ("DTOD", ("[CUDA memcpy Device-to-Device]", Some("d2d"))),
    ("HTOH", ("[CUDA memcpy Host-to-Host]", Some("h2h"))),
    ("PTOP", PEER),
    ("UVM_HTOD", ("[CUDA memcpy Unified Host-to-Device]", Some("h2d"))),
    ("UVM_DTOH", ("[CUDA memcpy Unified Device-to-Host]", Some("d2h"))),
    ("UVM_DTOD", ("[CUDA memcpy Unified Device-to-Device]", Some("d2d"))),
];
const PEER: Operation = ("[CUDA memcpy Peer-to-Peer]", Some("p2p"));

/// By the symbol in `ENUM_CUDA_MEM_KIND` (behind `CUDA_MEMOPR_MEMORY_KIND_`), in the order of its usual numbers.
const MEMORIES: [(&str, Option<&str>); 8] = [
    ("PAGEABLE", Some("pageable")),
    ("PINNED", Some("pinned")),
    ("DEVICE", Some("device")),
    ("ARRAY", Some("device")),
    ("MANAGED", Some("managed")),
    ("DEVICE_STATIC", Some("device")),
    ("MANAGED_STATIC", Some("managed")),
    ("UNKNOWN", None),
];

/// Meanings of the numbers in `copyKind` and the memory kinds.
struct Kinds {
    operations: Vec<Operation>,
    memories: Vec<Option<&'static str>>,
}

impl Kinds {
    /// As the export's own enumerations say, else as every version so far numbered them.
    fn read(export: &dyn Export) -> Result<Self, Error> {
        Ok(Self {
            operations: enumeration(export, "ENUM_CUDA_MEMCPY_OPER", "CUDA_MEMCPY_KIND_", &OPERATIONS, 0)?,
            memories: enumeration(export, "ENUM_CUDA_MEM_KIND", "CUDA_MEMOPR_MEMORY_KIND_", &MEMORIES, 7)?,
        })
    }

    fn memory(&self, row: &Row<'_>, column: usize) -> Option<&'static str> {
        usize::try_from(row.int(column)?).ok().and_then(|kind| *self.memories.get(kind)?)
    }

    fn operation(&self, row: &Row<'_>) -> Operation {
        let known = usize::try_from(row.int(COPY_KIND).unwrap_or(0)).ok().and_then(|kind| self.operations.get(kind));
        known.copied().unwrap_or(OPERATIONS[0].1)
    }
}

/// The meaning of each number of an enumeration, by the symbols that the export gives the numbers. Where it gives none,
/// the number's usual meaning; numbers between those known mean what `usual[unknown]` does.
pub(super) fn enumeration<T: Copy>(
    export: &dyn Export,
    table: &str,
    prefix: &str,
    usual: &[(&str, T)],
    unknown: usize,
) -> Result<Vec<T>, Error> {
    const WANTED: &[&str] = &["id", "name"];
    const MOST: usize = 256;
    let mut meanings: Vec<T> = usual.iter().map(|(_, meaning)| *meaning).collect();
    export.scan(table, WANTED, &mut |row| {
        let (Some(id), Some(name)) = (row.int(0), row.text(1)) else { return Ok(()) };
        let symbol = name.strip_prefix(prefix).unwrap_or(&name);
        let meaning = usual.iter().find(|(other, _)| *other == symbol).map(|(_, meaning)| *meaning);
        let id = usize::try_from(id).ok().filter(|id| *id < MOST);
        if let (Some(meaning), Some(id)) = (meaning, id) {
            meanings.resize(meanings.len().max(id + 1), usual[unknown].1);
            meanings[id] = meaning;
        }
        Ok(())
    })?;
    Ok(meanings)
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), Error> {
    let export = reader.export;
    let kinds = Kinds::read(export)?;
    reader.demand(COPIES, &["start", "end"])?;
    export.scan(COPIES, WANTED, &mut |row| copy(reader, &kinds, row))?;
    reader.demand(SETS, &["start", "end"])?;
    export.scan(SETS, WANTED, &mut |row| set(reader, &kinds, row))
}

/// What copies and sets have in common.
fn common(reader: &mut Reader<'_, '_>, table: &str, row: &Row<'_>) -> Option<Activity<'static>> {
    let (start_ns, end_ns) = reader.span(table, row, START, END)?;
    let process = row.int(PROCESS).map(process);
    let correlation = nonzero(row.int(CORRELATION));
    let context = row.int(CONTEXT);
    let Place { device, queue } = reader.devices.place(Origin {
        process: process.unwrap_or(0),
        context: context.unwrap_or(0),
        device: row.int(DEVICE).unwrap_or(0),
        stream: row.int(STREAM),
    });
    Some(Activity {
        id: next(&mut reader.ids.activity),
        process,
        device,
        context,
        queue,
        start_ns,
        end_ns,
        correlation,
        call: reader.launches.of_work(process, correlation, start_ns),
        graph_node: nonzero(row.int(GRAPH_NODE)),
        bytes: row.int(BYTES),
        ..Activity::default()
    })
}

fn copy(reader: &mut Reader<'_, '_>, kinds: &Kinds, row: &Row<'_>) -> Result<(), Error> {
    let Some(common) = common(reader, COPIES, row) else { return Ok(()) };
    let process = common.process.unwrap_or(0);
    let mut stated = |column| valid(row.int(column)).map(|device| reader.devices.device(process, device));
    let (src, dst) = (stated(SRC_DEVICE), stated(DST_DEVICE));
    let mut operation = kinds.operation(row);
    // A copy between two devices is one between peers, whatever it is filed under.
    if operation.1 == Some("d2d") && src.zip(dst).is_some_and(|(src, dst)| src != dst) {
        operation = PEER;
    }
    let here = Some(common.device);
    // Which side the executing device is on follows from the direction.
    let (src, dst) = match operation.1 {
        Some("h2d") => (src, dst.or(here)),
        Some("d2h") => (src.or(here), dst),
        Some("d2d") => (src.or(here), dst.or(here)),
        _ => (src, dst),
    };
    reader.import.put(&Activity {
        kind: "copy",
        name: operation.0,
        copy_kind: operation.1,
        src_device: src,
        dst_device: dst,
        src_memory: kinds.memory(row, SRC_KIND),
        dst_memory: kinds.memory(row, DST_KIND),
        ..common
    })?;
    Ok(())
}

fn set(reader: &mut Reader<'_, '_>, kinds: &Kinds, row: &Row<'_>) -> Result<(), Error> {
    let Some(common) = common(reader, SETS, row) else { return Ok(()) };
    let dst_memory = kinds.memory(row, SET_KIND);
    reader.import.put(&Activity {
        kind: "set",
        name: "[CUDA memset]",
        dst_device: Some(common.device),
        dst_memory,
        ..common
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use proftool_trace::frame::{ints, texts};
    use proftool_trace::tables;

    #[test]
    fn a_copy_between_devices_is_peer_to_peer_and_the_enumeration_of_the_file_counts() {
        let mut fake = Fake::default();
        // A file that numbers D2D as 20.
        fake.row("ENUM_CUDA_MEMCPY_OPER", &[("id", 20.into()), ("name", "CUDA_MEMCPY_KIND_DTOD".into())]);
        for (kind, src, dst) in [
            (1, None, None),
            (2, None, None),
            (20, None, None),
            (8, Some(0), Some(3)),
            (10, Some(3), Some(0)),
            (99, None, None),
        ] {
            let mut row = vec![("start", 1.into()), ("end", 2.into()), ("deviceId", 3.into()), ("bytes", 8.into())];
            row.extend([("copyKind", i64::into(kind)), ("srcKind", 0.into()), ("dstKind", 2.into())]);
            row.extend(src.map(|device: i64| ("srcDeviceId", device.into())));
            row.extend(dst.map(|device: i64| ("dstDeviceId", device.into())));
            fake.row("CUPTI_ACTIVITY_KIND_MEMCPY", &row);
        }
        fake.row(
            "CUPTI_ACTIVITY_KIND_MEMSET",
            &[("start", 5.into()), ("end", 6.into()), ("deviceId", 3.into()), ("memKind", 7.into())],
        );
        let tables = fake.import().unwrap();
        let rows = tables.get(&tables::ACTIVITIES);
        let kinds = texts(rows, "copy_kind").unwrap();
        let kinds: Vec<Option<&str>> = kinds.iter().map(Option::as_deref).collect();
        assert_eq!(kinds, [Some("h2d"), Some("d2h"), Some("d2d"), Some("p2p"), Some("p2p"), None, None]);
        assert_eq!(ints(rows, "src_device").unwrap(), [None, Some(3), Some(3), Some(0), Some(3), None, None]);
        assert_eq!(ints(rows, "dst_device").unwrap(), [Some(3), None, Some(3), Some(3), Some(0), None, Some(3)]);
        assert_eq!(texts(rows, "src_memory").unwrap()[0].as_deref(), Some("pageable"));
        assert_eq!(texts(rows, "dst_memory").unwrap()[6], None, "an unknown kind");
    }
}
