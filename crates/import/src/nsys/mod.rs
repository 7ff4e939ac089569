//! What nsys exports mean. One mapping to the canonical tables, whatever the file format.
//!
//! A format is an [`export::Export`]: tables with named columns. Columns are read by their names, and everything beyond
//! the times is optional, so that exports of schema 2.9 to 3.25, slimmed ones, and newer ones that only add columns all
//! read alike. Each table is scanned once, in its order in the file; nothing is joined or sorted there.
//! `docs/importers/nsys.md` says what becomes of each table.

mod arrow;
mod calls;
mod copies;
mod devices;
mod diagnostics;
pub(crate) mod export;
#[cfg(test)]
pub(crate) mod fake;
mod generic;
mod graphs;
mod ids;
mod json;
mod kernels;
mod launches;
mod metrics;
mod mpi;
mod nesting;
mod network;
mod nvtx;
mod parquet;
mod quiet;
mod reader;
mod report;
mod session;
mod spool;
mod sqlite;
mod strings;
mod syncs;
#[cfg(test)]
mod tests;

pub(crate) use arrow::Arrow;
pub(crate) use json::Json;
pub(crate) use parquet::Parquet;
pub(crate) use reader::import;
pub(crate) use report::{export as export_report, is_report};
pub(crate) use sqlite::Sqlite;

/// Tables whose names are nsys' own. One of them tells an export from other people's files.
pub(crate) const OWN_TABLES: &[&str] = &[
    "META_DATA_EXPORT",
    "EXPORT_META_DATA",
    "META_DATA_CAPTURE",
    "NVTX_EVENTS",
    "OSRT_API",
    "GPU_METRICS",
    "TARGET_INFO_SESSION_START_TIME",
    "TARGET_INFO_SYSTEM_ENV",
    "ANALYSIS_DETAILS",
];

/// Whether tables of these names are those of an nsys export.
pub(crate) fn is_export<'n>(names: impl IntoIterator<Item = &'n str>) -> bool {
    names.into_iter().any(|name| OWN_TABLES.contains(&name) || name.starts_with("CUPTI_ACTIVITY_KIND_"))
}
