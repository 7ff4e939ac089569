//! Calls, ranges, kernels and copies, from the tables of a part or from the views alone.

use std::borrow::Cow;

use super::State;
use super::calls::{Calls, Region};
use super::counters::{self, Counted, Kernels};
use super::info::Info;
use super::place::Place;
use super::shape::{self, Part, column};
use super::work::{Copied, Dispatch, counted};
use crate::Error;
use crate::raw::Severity;
use crate::rocm::database::Database;
use crate::rocm::{kernel_name, registers};

const OWN: usize = column::OWN;
const REGION: &[&str] = &["name_id"];
const REGION_EVENT: &[&str] = &["category_id", "extdata"];
const KERNEL: &[&str] = &[
    "kernel_id",
    "dispatch_id",
    "group_segment_size",
    "workgroup_size_x",
    "workgroup_size_y",
    "workgroup_size_z",
    "grid_size_x",
    "grid_size_y",
    "grid_size_z",
    "graph_exec_id",
    "graph_node_id",
];
const COPY: &[&str] = &["name_id", "src_agent_id", "dst_agent_id", "size", "graph_exec_id", "graph_node_id"];
/// The same in the views, which count a grid in work-items too; then the name and the registers.
const KERNEL_VIEW: &[&[&str]] = &[
    &["kernel_id"],
    &["dispatch_id"],
    &["lds_size", "lds_block_size"],
    &["workgroup_x"],
    &["workgroup_y"],
    &["workgroup_z"],
    &["grid_x"],
    &["grid_y"],
    &["grid_z"],
    &["graph_exec_id"],
    &["graph_node_id"],
    &["name"],
    &["vgpr_count", "arch_vgpr_count"],
    &["accum_vgpr_count"],
];
const COPY_VIEW: &[&[&str]] = &[
    &["name"],
    &["src_agent_type_index", "src_agent_log_index", "src_agent_logical_index"],
    &["dst_agent_type_index", "dst_agent_log_index", "dst_agent_logical_index"],
    &["size"],
    &["graph_exec_id"],
    &["graph_node_id"],
    &["src_agent_type"],
    &["dst_agent_type"],
];
const REGION_VIEW: &[&[&str]] = &[&["name"], &["category"], &["extdata"]];

/// Reads the tables of one part: calls first, for kernels and copies refer to them.
pub(super) fn part(part: &Part<'_>, info: &mut Info, state: &mut State<'_, '_>) -> Result<(), Error> {
    let mut calls = Calls::default();
    for (table, is_sample) in [("region", false), ("sample", true)] {
        let Some(query) = part.events(table, REGION, REGION_EVENT)? else { continue };
        part.database.each(&query.table, &query.sql, |row| {
            let category = info.category(row.int(OWN + 1)).unwrap_or_default();
            let function = info.string(row.int(OWN)).unwrap_or(if is_sample { "roctxMarkA" } else { "" });
            let place = Place { table: &query.table, row };
            let (process, thread) = (info.process(row.int(column::PROCESS)), info.thread(row.int(column::THREAD)));
            let region = Region { category, function, extdata: OWN + 2, is_sample, process, thread };
            calls.take(&place, &region, state)
        })?;
    }
    calls.finish(state)?;
    let mut kernels = Kernels::wanted(part)?;
    if let Some(query) = part.events("kernel_dispatch", KERNEL, &[])? {
        part.database.each(&query.table, &query.sql, |row| {
            let kernel = row.int(OWN).unwrap_or_default();
            let (name, registers) =
                (info.symbols.name(kernel), info.symbols.get(kernel).and_then(|known| known.registers));
            let device = info.agents.device(row.int(column::AGENT));
            let process = info.process(row.int(column::PROCESS));
            let dispatch = Dispatch { name, registers, device, process };
            let put = dispatch.put(&Place { table: &query.table, row }, &calls, state)?;
            if let (Some((activity, device)), Some(event)) = (put, row.int(column::EVENT)) {
                kernels.add(event, &dispatch.name, Counted { activity, device, kernel, ..counted(row) });
            }
            Ok(())
        })?;
    }
    if let Some(query) = part.events("memory_copy", COPY, &[])? {
        part.database.each(&query.table, &query.sql, |row| {
            let [source, target] = [row.int(OWN + 1), row.int(OWN + 2)];
            let known = [source, target].map(|agent| agent.is_some_and(|agent| info.agents.get(agent).is_some()));
            let ends = [info.agents.device(source), info.agents.device(target)];
            let name = info.string(row.int(OWN)).unwrap_or("MEMORY_COPY");
            let process = info.process(row.int(column::PROCESS));
            let copy = Copied { name, ends, process, is_known: known == [true; 2] };
            copy.put(&Place { table: &query.table, row }, &calls, state)
        })?;
    }
    counters::put(part, info, &kernels, state)?;
    left_out(part, state)
}

/// Counts the rows of tables that no canonical table takes.
fn left_out(part: &Part<'_>, state: &mut State<'_, '_>) -> Result<(), Error> {
    for (name, code) in [("memory_allocate", "memory_allocation"), ("graph_launch", "graph_launch")] {
        let Some(table) = part.table(name) else { continue };
        let sql = format!("SELECT count(*) FROM {}", super::quoted(&table));
        part.database.each(&table, &sql, |row| {
            let count = row.int(0).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            state.import.issue(
                Severity::Info,
                code,
                count,
                format!("rows of rocpd_{name} are left out: no table takes them"),
            );
            Ok(())
        })?;
    }
    Ok(())
}

/// Reads the views where they stand without the tables that they are over, as an extract has them.
pub(super) fn views(database: &Database<'_>, state: &mut State<'_, '_>) -> Result<(), Error> {
    let mut calls = Calls::default();
    if let Some(query) = shape::view(database, "regions", REGION_VIEW) {
        database.each(&query.table, &query.sql, |row| {
            let (category, function) = (row.text(OWN + 1).unwrap_or_default(), row.text(OWN).unwrap_or_default());
            let (process, thread) = (row.int(column::PROCESS), row.int(column::THREAD));
            let region = Region { category, function, extdata: OWN + 2, is_sample: false, process, thread };
            calls.take(&Place { table: &query.table, row }, &region, state)
        })?;
    }
    calls.finish(state)?;
    if let Some(query) = shape::view(database, "kernels", KERNEL_VIEW) {
        database.each(&query.table, &query.sql, |row| {
            let name = Cow::Borrowed(kernel_name(row.text(OWN + 11).unwrap_or_default()));
            let registers = registers(row.int(OWN + 12), row.int(OWN + 13));
            let (device, process) = (row.int(column::AGENT), row.int(column::PROCESS));
            let dispatch = Dispatch { name, registers, device, process };
            dispatch.put(&Place { table: &query.table, row }, &calls, state).map(|_| ())
        })?;
    }
    if let Some(query) = shape::view(database, "memory_copies", COPY_VIEW) {
        database.each(&query.table, &query.sql, |row| {
            let types = [row.text(OWN + 6), row.text(OWN + 7)];
            let end = |at: usize| row.int(OWN + 1 + at).filter(|_| types[at] == Some("GPU"));
            let (name, process) = (row.text(OWN).unwrap_or("MEMORY_COPY"), row.int(column::PROCESS));
            let copy = Copied { name, ends: [end(0), end(1)], process, is_known: types.iter().all(Option::is_some) };
            copy.put(&Place { table: &query.table, row }, &calls, state)
        })?;
    }
    Ok(())
}
