//! nsys' own report files (`.nsys-rep`, `.qdrep`), exported by nsys where it is installed.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::Error;
use crate::raw::Source;
use crate::raw::tool::{NSYS, Output};

/// Every report begins so, then the version that wrote it: `1.` until 2022, later `2023@4@1@97-234133557503v0.`.
const MAGIC: &[u8] = b"NVIDIA Tegra Profiler Report ";

/// Time that an export may take: a start, and a second for each MB of the report.
const START_LIMIT: Duration = Duration::from_mins(2);
const BYTES_PER_SECOND: u64 = 1_000_000;

/// A version of nsys: year, release, patch.
type Version = (u32, u32, u32);

/// Whether a file is a report.
pub(crate) fn is_report(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// The version that wrote a report, where it tells.
fn version(head: &[u8]) -> Option<Version> {
    let rest = head.strip_prefix(MAGIC)?;
    let end = rest.iter().take(80).position(|byte| *byte == b'\n').unwrap_or(rest.len().min(80));
    let text = String::from_utf8_lossy(&rest[..end]);
    numbers(text.split('@'))
}

fn numbers<'t>(mut parts: impl Iterator<Item = &'t str>) -> Option<Version> {
    let mut next = || parts.next()?.trim().parse().ok();
    let (year, release) = (next()?, next()?);
    (year > 2000).then(|| (year, release, next().unwrap_or(0)))
}

fn shown((year, release, patch): Version) -> String {
    format!("{year}.{release}.{patch}")
}

/// Exports a report to a SQLite database in a folder of its own, which goes when it is dropped.
///
/// # Errors
/// [`Error::Tool`] when nsys is not installed, is older than the report, fails, or takes too long.
pub(crate) fn export(source: &Source) -> Result<(TempDir, PathBuf), Error> {
    let installed = installed(source)?;
    let written = version(source.head().bytes);
    if let (Some(written), Some(installed)) = (written, installed) {
        // The same release reads all its patches.
        if (written.0, written.1) > (installed.0, installed.1) {
            return Err(too_new(source, &shown(written), &shown(installed)));
        }
    }
    let report = source.on_disk()?;
    let folder = TempDir::with_prefix("proftool-nsys-").map_err(|cause| source.io(cause))?;
    let database = folder.path().join("report.sqlite");
    let size = std::fs::metadata(&report).map_or(0, |data| data.len());
    let limit = START_LIMIT + Duration::from_secs(size / BYTES_PER_SECOND);
    let mut output_argument = std::ffi::OsString::from("--output=");
    output_argument.push(&database);
    let arguments =
        ["export".into(), "--type=sqlite".into(), "--force-overwrite=true".into(), output_argument, report.into()];
    let output = NSYS.run(arguments, source.path(), limit)?;
    if output.status.success() && database.is_file() {
        return Ok((folder, database));
    }
    Err(failed(source, &output, written, installed))
}

/// The version of the nsys on `PATH`; `None` where it says something unknown.
fn installed(source: &Source) -> Result<Option<Version>, Error> {
    let output = NSYS.run(["--version"], source.path(), Duration::from_mins(1))?;
    let mut words = output.stdout.split_whitespace();
    let found = words.find_map(|word| numbers(word.split(['.', '-'])));
    Ok(found)
}

fn too_new(source: &Source, written: &str, installed: &str) -> Error {
    NSYS.error(
        source.path(),
        format!("nsys {written} wrote it, and the installed nsys {installed} reads no newer reports than its own"),
        format!(
            "install nsys {written} or newer from https://developer.nvidia.com/nsight-systems, or import an export made \
             where it is installed (`nsys export --type=sqlite`)"
        ),
    )
}

fn failed(source: &Source, output: &Output, written: Option<Version>, installed: Option<Version>) -> Error {
    let words = output.last_words();
    let name = |version: Option<Version>| version.map_or_else(|| "of unknown version".to_owned(), shown);
    if words.contains("Version number is invalid") || words.contains("newer version") {
        return too_new(source, &name(written), &name(installed));
    }
    let hint = if words.contains("importer binary not found") {
        "Debian's package lacks a link that scripts/install_profilers.sh makes"
    } else {
        "run `nsys export --type=sqlite` by hand to see more, or copy the report again"
    };
    NSYS.error(source.path(), format!("nsys {} could not export it: {words}", name(installed)), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_tell_the_version_that_wrote_them() {
        let head = b"NVIDIA Tegra Profiler Report 2025@5@1@121-255136380782v0.\n\x0bLocal";
        assert_eq!(version(head), Some((2025, 5, 1)));
        let old = b"NVIDIA Tegra Profiler Report 1.\n\x0bLocal";
        assert_eq!((is_report(old), version(old)), (true, None));
        assert_eq!((is_report(b"SQLite format 3\0"), version(b"NVIDIA Tegra Profiler Report ")), (false, None));
        assert_eq!(numbers("2022.4.2.1-df9881f".split(['.', '-'])), Some((2022, 4, 2)));
    }
}
