//! Nsight Systems exports in JSON lines (`nsys export --type=json`, newer `--type=jsonlines`).

use crate::Error;
use crate::importers::{Importer, Session};
use crate::nsys::{self, Json};
use crate::raw::{Head, Import, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "nsys_jsonl",
    doc: "A JSON export of Nsight Systems (`nsys export --type=json` or `jsonlines`).",
    sniff,
    import,
};

/// How the first line begins: the list of texts, of which the first is always the same; a text with its number; or an
/// event.
const BEGINNINGS: &[&str] = &["{\"data\":[\"[Unknown]\"", "{\"type\":\"String\",\"id\":", "{\"Type\":"];
/// What an event holds.
const EVENTS: &[&str] =
    &["\"CudaEvent\":", "\"NvtxEvent\":", "\"TraceProcessEvent\":", "\"CommEvent\":", "\"MmapEvent\":"];

fn sniff(head: &Head<'_>) -> bool {
    let text = head.text().trim_start();
    match BEGINNINGS.iter().position(|beginning| text.starts_with(beginning)) {
        Some(2) => text.lines().take(3).any(|line| EVENTS.iter().any(|event| line.contains(event))),
        found => found.is_some(),
    }
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    import.sink.set_pass("nsys");
    nsys::import(&Json::open(source)?, source, import)
}
