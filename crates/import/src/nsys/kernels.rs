//! Kernels, also those of graphs traced node by node.

use proftool_trace::rows::Activity;

use super::devices::Origin;
use super::export::{Row, at};
use super::ids::{nonzero, process};
use super::reader::{Reader, UNKNOWN, name, next};
use crate::Error;

pub(super) const TABLE: &str = "CUPTI_ACTIVITY_KIND_KERNEL";
const WANTED: &[&str] = &[
    "start",
    "end",
    "deviceId",
    "contextId",
    "streamId",
    "correlationId",
    "globalPid",
    "demangledName",
    "shortName",
    "mangledName",
    "name",
    "registersPerThread",
    "gridX",
    "gridY",
    "gridZ",
    "blockX",
    "blockY",
    "blockZ",
    "staticSharedMemory",
    "dynamicSharedMemory",
    "graphNodeId",
    "graphId",
];
const START: usize = at(WANTED, "start");
const END: usize = at(WANTED, "end");
const DEVICE: usize = at(WANTED, "deviceId");
const CONTEXT: usize = at(WANTED, "contextId");
const STREAM: usize = at(WANTED, "streamId");
const CORRELATION: usize = at(WANTED, "correlationId");
const PROCESS: usize = at(WANTED, "globalPid");
const NAMES: &[usize] = &[at(WANTED, "demangledName"), at(WANTED, "shortName"), at(WANTED, "mangledName")];
const NAME_TEXT: usize = at(WANTED, "name");
const REGISTERS: usize = at(WANTED, "registersPerThread");
const GRID: [usize; 3] = [at(WANTED, "gridX"), at(WANTED, "gridY"), at(WANTED, "gridZ")];
const BLOCK: [usize; 3] = [at(WANTED, "blockX"), at(WANTED, "blockY"), at(WANTED, "blockZ")];
const STATIC_SHARED: usize = at(WANTED, "staticSharedMemory");
const DYNAMIC_SHARED: usize = at(WANTED, "dynamicSharedMemory");
const GRAPH_NODE: usize = at(WANTED, "graphNodeId");
const GRAPH: usize = at(WANTED, "graphId");

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), Error> {
    let export = reader.export;
    reader.demand(TABLE, &["start", "end"])?;
    export.scan(TABLE, WANTED, &mut |row| kernel(reader, row))
}

fn kernel(reader: &mut Reader<'_, '_>, row: &Row<'_>) -> Result<(), Error> {
    let Some((start_ns, end_ns)) = reader.span(TABLE, row, START, END) else {
        reader.ids.kernels_left_out += 1;
        return Ok(());
    };
    let found = name(&reader.strings, row, NAMES, NAME_TEXT);
    let known = found.is_some();
    let process = row.int(PROCESS).map(process);
    let correlation = nonzero(row.int(CORRELATION));
    let context = row.int(CONTEXT);
    let place = reader.devices.place(Origin {
        process: process.unwrap_or(0),
        context: context.unwrap_or(0),
        device: row.int(DEVICE).unwrap_or(0),
        stream: row.int(STREAM),
    });
    let shared = [row.int(STATIC_SHARED), row.int(DYNAMIC_SHARED)];
    let kernel = Activity {
        id: next(&mut reader.ids.activity),
        process,
        device: place.device,
        context,
        queue: place.queue,
        kind: "kernel",
        name: found.as_deref().unwrap_or(UNKNOWN),
        start_ns,
        end_ns,
        correlation,
        call: reader.launches.of_work(process, correlation, start_ns),
        graph_id: nonzero(row.int(GRAPH)),
        graph_node: nonzero(row.int(GRAPH_NODE)),
        grid_x: row.int(GRID[0]),
        grid_y: row.int(GRID[1]),
        grid_z: row.int(GRID[2]),
        block_x: row.int(BLOCK[0]),
        block_y: row.int(BLOCK[1]),
        block_z: row.int(BLOCK[2]),
        registers_per_thread: row.int(REGISTERS),
        shared_bytes: shared
            .iter()
            .any(Option::is_some)
            .then(|| shared.into_iter().flatten().fold(0, i64::saturating_add)),
        ..Activity::default()
    };
    reader.import.put(&kernel)?;
    reader.ids.kernels += 1;
    if !known {
        reader.nameless();
    }
    Ok(())
}
