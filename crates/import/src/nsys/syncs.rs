//! Synchronisation records: how long an event, stream or context was waited for. They are not work.

use proftool_trace::rows::Activity;

use super::copies::enumeration;
use super::devices::Origin;
use super::export::{Row, at};
use super::ids::{nonzero, process};
use super::reader::{Reader, next};
use crate::Error;

pub(super) const TABLE: &str = "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION";
const WANTED: &[&str] = &[
    "start",
    "end",
    "deviceId",
    "contextId",
    "streamId",
    "correlationId",
    "globalPid",
    "syncType",
    "deprecatedSyncType",
];
const START: usize = at(WANTED, "start");
const END: usize = at(WANTED, "end");
const DEVICE: usize = at(WANTED, "deviceId");
const CONTEXT: usize = at(WANTED, "contextId");
const STREAM: usize = at(WANTED, "streamId");
const CORRELATION: usize = at(WANTED, "correlationId");
const PROCESS: usize = at(WANTED, "globalPid");
const TYPE: usize = at(WANTED, "syncType");
const OLD_TYPE: usize = at(WANTED, "deprecatedSyncType");

/// By the symbol in `ENUM_CUPTI_SYNC_TYPE` (behind `CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_`); the names are Kineto's.
const TYPES: [(&str, &str); 5] = [
    ("UNKNOWN", "Sync"),
    ("EVENT_SYNCHRONIZE", "Event Sync"),
    ("STREAM_WAIT_EVENT", "Stream Wait Event"),
    ("STREAM_SYNCHRONIZE", "Stream Sync"),
    ("CONTEXT_SYNCHRONIZE", "Context Sync"),
];

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), Error> {
    let export = reader.export;
    let types = enumeration(export, "ENUM_CUPTI_SYNC_TYPE", "CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_", &TYPES, 0)?;
    reader.demand(TABLE, &["start", "end"])?;
    export.scan(TABLE, WANTED, &mut |row| sync(reader, &types, row))
}

fn sync(reader: &mut Reader<'_, '_>, types: &[&'static str], row: &Row<'_>) -> Result<(), Error> {
    let Some((start_ns, end_ns)) = reader.span(TABLE, row, START, END) else { return Ok(()) };
    let number = row.int(TYPE).or_else(|| row.int(OLD_TYPE)).unwrap_or(0);
    let name = usize::try_from(number).ok().and_then(|number| types.get(number)).copied().unwrap_or(TYPES[0].1);
    let process = row.int(PROCESS).map(process);
    let correlation = nonzero(row.int(CORRELATION));
    let context = row.int(CONTEXT);
    let place = reader.devices.sync_place(Origin {
        process: process.unwrap_or(0),
        context: context.unwrap_or(0),
        device: row.int(DEVICE).unwrap_or(0),
        stream: row.int(STREAM),
    });
    reader.import.put(&Activity {
        id: next(&mut reader.ids.activity),
        process,
        device: place.device,
        context,
        queue: place.queue,
        kind: "sync",
        name,
        start_ns,
        end_ns,
        correlation,
        call: reader.launches.find(process, correlation, start_ns),
        ..Activity::default()
    })?;
    Ok(())
}
