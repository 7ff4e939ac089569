//! The binary report (`.ncu-rep`): recognised here, read by ncu itself.

use std::io::{self, Read};

/// How a report begins.
const MAGIC: &[u8] = b"NVR\0";
/// What follows the version of ncu wherever a report names it.
const BUILD: &[u8] = b" (build ";
/// Bytes searched at a time.
const CHUNK: usize = 1 << 20;
/// Longest version, such as `2025.3.1.0`.
const LONGEST_VERSION: usize = 24;

/// Whether a file begins like a report.
pub(crate) fn is_report(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// What a report tells without ncu.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The version of ncu that wrote it, as `2025.3.1.0`.
    pub(crate) version: Option<String>,
}

impl Report {
    /// Looks through the report for the version, which stands in its last block as text.
    pub(crate) fn read(mut reader: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(CHUNK + LONGEST_VERSION + BUILD.len());
        let mut version = None;
        while reader.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)? > 0 {
            version = find_version(&bytes).or(version);
            // A version may lie across two chunks.
            let kept = bytes.len().min(LONGEST_VERSION + BUILD.len());
            bytes.drain(..bytes.len() - kept);
        }
        Ok(Self { version })
    }
}

/// The last version in front of a build number.
pub(crate) fn find_version(bytes: &[u8]) -> Option<String> {
    let versions = memchr::memmem::rfind_iter(bytes, BUILD).filter_map(|end| {
        let start = bytes[..end].iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.')? + 1;
        let version = std::str::from_utf8(&bytes[start..end]).ok()?;
        numbers(version).map(|_| version.to_owned())
    });
    versions.into_iter().next()
}

/// Whether a version is of a later release than another.
pub(crate) fn is_newer(version: &str, other: &str) -> bool {
    numbers(version) > numbers(other)
}

/// Year and release of a version: 2025 and 3 of `2025.3.1.0`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let year = parts.next()?.parse().ok().filter(|year| (2018..2100).contains(year))?;
    Some((year, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_wherever_the_report_names_it() {
        let mut report = b"NVR\0".to_vec();
        report.extend(vec![7; CHUNK - 9]);
        report.extend(b"\"2025.3.1.0 (build 36398880) (public-release)\"");
        report.extend(vec![9; 100]);
        let version = Report::read(report.as_slice()).unwrap().version;
        assert_eq!(version.as_deref(), Some("2025.3.1.0"));
        assert_eq!(Report::read(&b"NVR\0 no version (build 1)"[..]).unwrap().version, None);
        assert_eq!(numbers("2025.3.1.0"), Some((2025, 3)));
        assert!(is_newer("2025.3.1.0", "2022.3.0.0") && !is_newer("2022.3.1.0", "2022.3.0.0"));
        assert_eq!(numbers("11.8.0"), None);
    }
}
