//! Where requests come from: made up from a seed, or read from a trace.
//!
//! Read are Mooncake's JSON lines, Azure's CSV, CSV and JSON lines with the columns that `docs/serving.md` lists, and results
//! of `vllm bench serve`; packed by gzip or not. Rows that cannot be served are counted and left out ([`Issue`]), the others
//! are kept, in order of time.

mod builder;
mod columns;
mod csv;
mod date;
mod jsonl;
mod lines;
mod read;
mod row;
mod synthetic;
#[cfg(test)]
mod tests;
mod vllm_bench;

use std::io::BufRead;
use std::path::Path;

pub use read::{Error, Issue, Read};
pub use synthetic::{Lengths, Synthetic, synthetic, tiers};

use lines::Input;

use crate::Workload;

/// Reads a trace from a file, unpacked if it is gzip. Its name is the workload's, without endings.
///
/// # Errors
/// When the file cannot be read, is no trace, or holds no request that can be served.
pub fn open(path: &Path) -> Result<Read, Error> {
    let shown = || path.display().to_string();
    let input = lines::open(path).map_err(|cause| Error::Io { name: shown(), cause })?;
    let mut read = of(&shown(), input)?;
    let mut stem = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    for ending in [".gz", ".jsonl", ".json", ".csv"] {
        stem.truncate(stem.strip_suffix(ending).map_or(stem.len(), str::len));
    }
    read.workload.name = stem;
    Ok(read)
}

/// Reads a trace from bytes.
///
/// # Errors
/// As [`open`].
pub fn read<'a>(name: &str, bytes: impl BufRead + 'a) -> Result<Read, Error> {
    let input = lines::input(bytes).map_err(|cause| Error::Io { name: name.to_owned(), cause })?;
    of(name, input)
}

/// The workload of a Mooncake trace.
///
/// # Errors
/// As [`read`].
pub fn mooncake(name: &str, text: &str) -> Result<Workload, Error> {
    Ok(read(name, text.as_bytes())?.workload)
}

/// The workload of an Azure trace. It knows no prefixes.
///
/// # Errors
/// As [`read`].
pub fn azure(name: &str, text: &str) -> Result<Workload, Error> {
    Ok(read(name, text.as_bytes())?.workload)
}

/// By the first bytes.
fn of(name: &str, input: Input<'_>) -> Result<Read, Error> {
    let head = input.head.trim_ascii_start();
    if head.is_empty() {
        return Err(Error::Nothing { name: name.to_owned(), what: "it is empty".to_owned() });
    }
    if head[0] == b'[' && head[1..].trim_ascii_start().starts_with(b"{") {
        let what = "it is one JSON list, not an object a line (`jq -c '.[]'` makes lines of it)".to_owned();
        return Err(Error::Unknown { name: name.to_owned(), what });
    }
    if head[0] != b'{' {
        return csv::read(name, input);
    }
    if vllm_bench::is(head) {
        return vllm_bench::read(name, input);
    }
    let mooncake = head.split(|&byte| byte == b'\n').any(jsonl::is_mooncake);
    jsonl::read(name, input, mooncake)
}
