//! The lines of `nvml.jsonl` (docs/nvml-format.md).

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Head(Head),
    Sample(Sample),
    Note(Note),
    End(End),
}

/// What a first line of any version says.
#[derive(Deserialize)]
pub(super) struct FirstLine {
    pub(super) head: Versioned,
}

#[derive(Deserialize)]
pub(super) struct Versioned {
    pub(super) version: u16,
}

#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) pass: String,
    pub(super) rank: i64,
    pub(super) clock: String,
    pub(super) start_monotonic_ns: i64,
    pub(super) start_unix_ns: i64,
    pub(super) nvml_version: Option<String>,
    pub(super) devices: Vec<Device>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
pub(super) struct Device {
    pub(super) device: i64,
    pub(super) name: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) pci_bus_id: Option<String>,
    pub(super) arch: Option<String>,
    pub(super) memory_bytes: Option<i64>,
    pub(super) clock_hz: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Sample {
    pub(super) device: i64,
    pub(super) begin_ns: i64,
    pub(super) end_ns: i64,
    pub(super) values: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
pub(super) struct Note {
    pub(super) device: i64,
    pub(super) kind: String,
    pub(super) reading: Option<String>,
    pub(super) reason: String,
}

#[derive(Deserialize)]
pub(super) struct End {
    pub(super) lanes: Vec<Lane>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
pub(super) struct Lane {
    pub(super) device: i64,
    pub(super) lane: String,
    pub(super) missed_periods: u64,
    pub(super) failed: u64,
    pub(super) ended: String,
}
