//! Importers: each turns one raw file format into canonical tables.
//!
//! A file is recognised by its content, and exactly one importer may claim it. Adding an importer is a new file, its
//! `mod` line and its entry in [`IMPORTERS`]; what several importers share lies beside this folder (`raw`, `nsys`, ...).

use crate::Error;
use crate::raw::{Head, Import, Source};

pub mod azure_llm;
pub mod cupti;
pub mod genai_perf;
pub mod host;
pub mod kineto;
pub mod mooncake;
pub mod ncu_csv;
pub mod ncu_report;
pub mod nsys_arrow;
pub mod nsys_jsonl;
pub mod nsys_parquet;
pub mod nsys_report;
pub mod nsys_sqlite;
pub mod nvml;
pub mod requests_csv;
pub mod requests_jsonl;
pub mod rocpd_sqlite;
pub mod rocprofiler_compute;
pub mod rocprofv3_json;
pub mod router_log;
pub mod vllm_bench;

/// One raw file format.
#[derive(Debug)]
pub struct Importer {
    /// The name: file stem and CLI value.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Whether a file or directory that begins so is of this format.
    pub sniff: fn(head: &Head<'_>) -> bool,
    /// Puts the rows of the file or directory into the import's sink.
    pub import: fn(&Source, &mut Import<'_>) -> Result<Session, Error>,
}

/// Every importer.
pub const IMPORTERS: &[Importer] = &[
    azure_llm::IMPORTER,
    cupti::IMPORTER,
    genai_perf::IMPORTER,
    host::IMPORTER,
    kineto::IMPORTER,
    mooncake::IMPORTER,
    ncu_csv::IMPORTER,
    ncu_report::IMPORTER,
    nsys_arrow::IMPORTER,
    nsys_jsonl::IMPORTER,
    nsys_parquet::IMPORTER,
    nsys_report::IMPORTER,
    nsys_sqlite::IMPORTER,
    nvml::IMPORTER,
    requests_csv::IMPORTER,
    requests_jsonl::IMPORTER,
    rocpd_sqlite::IMPORTER,
    rocprofiler_compute::IMPORTER,
    rocprofv3_json::IMPORTER,
    router_log::IMPORTER,
    vllm_bench::IMPORTER,
];

/// What a raw file says about its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Session start on the wall clock, 0 where the file does not tell.
    pub start_unix_ns: i64,
    /// Session start on the monotonic clock, 0 where the file does not tell.
    pub start_monotonic_ns: i64,
    /// Clock that the times come from.
    pub clock: String,
    /// Whether the times were computed by a model.
    pub time_simulated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_equals_the_directory() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/importers");
        let stems = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: BTreeSet<String> = stems
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|stem| stem != "mod")
            .collect();
        let listed: BTreeSet<String> = IMPORTERS.iter().map(|importer| importer.name.to_owned()).collect();
        assert_eq!(files, listed);
    }
}
