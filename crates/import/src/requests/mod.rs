//! What the importers of request logs share: times as text, lines and CSV records read in bounded memory, the shapes
//! by which a log is recognised, and the checks that every request passes.

pub(crate) mod aiperf;
pub(crate) mod clock;
pub(crate) mod columns;
pub(crate) mod genai;
pub(crate) mod generic;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod python_json;
pub(crate) mod records;
pub(crate) mod shape;
pub(crate) mod sse;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use proftool_trace::decimal;

use crate::Error;
use crate::raw::Source;

/// Bytes that one line or CSV record may have. AIPerf lists every chunk's latency in one line, which takes 20 bytes a
/// token; beyond this the file is not what it seems, and memory stays bounded.
pub(crate) const RECORD_BYTES: u64 = 64 << 20;

/// What a trace of arrivals leaves open.
pub(crate) const NO_OUTCOME: &str =
    "the trace holds arrivals and lengths: no first token, no end, and ok means that nothing else is recorded";

/// The file is a summary of requests that another file holds.
pub(crate) fn summary(source: &Source, reason: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::SummaryOnly { path: source.path().to_owned(), reason: reason.into(), hint: hint.into() }
}

/// The file is of a known format, and holds nothing that can become requests.
pub(crate) fn unsupported(source: &Source, reason: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Unsupported { path: source.path().to_owned(), reason: reason.into(), hint: hint.into() }
}
