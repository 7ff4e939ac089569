//! Versions of nsys.

use std::fmt;
use std::str::FromStr;

/// A version of nsys: year, release of that year, update. The order is that of the releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Year of the release.
    pub year: u16,
    /// Release within the year, from 1.
    pub release: u16,
    /// Update of the release.
    pub update: u16,
}

/// The oldest version whose command line this module knows.
///
/// 2022.1 is the first year's release that writes `.nsys-rep` and whose user guide was read for the options below.
pub const OLDEST: Version = Version::of(2022, 1);

impl Version {
    /// The first update of a release.
    pub const fn of(year: u16, release: u16) -> Self {
        Version { year, release, update: 0 }
    }

    /// The version in what `nsys --version` prints: `NVIDIA Nsight Systems version 2022.4.2.1-df9881f`.
    ///
    /// Wrappers print more lines, so each word that looks like a version is tried.
    pub fn find(printed: &str) -> Option<Self> {
        printed.split_whitespace().find_map(|word| word.parse().ok())
    }
}

/// A text that is no version.
#[derive(Debug, PartialEq, Eq)]
pub struct NoVersion;

impl FromStr for Version {
    type Err = NoVersion;

    /// Reads `2022.4`, `2022.4.2` and `2022.4.2.1-df9881f`.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let numbers = text.split('-').next().unwrap_or_default();
        let mut parts = numbers.split('.').map(|part| part.parse::<u16>().map_err(|_| NoVersion));
        let year = parts.next().ok_or(NoVersion)??;
        let release = parts.next().ok_or(NoVersion)??;
        let update = parts.next().transpose()?.unwrap_or(0);
        // Nothing older was called Nsight Systems; another number is no year.
        if (2018..2100).contains(&year) { Ok(Version { year, release, update }) } else { Err(NoVersion) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.year, self.release, self.update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_the_tool_prints() {
        let version = |year, release, update| Some(Version { year, release, update });
        assert_eq!(Version::find("NVIDIA Nsight Systems version 2022.4.2.1-df9881f\n"), version(2022, 4, 2));
        assert_eq!(Version::find("NVIDIA Nsight Systems version 2025.5.2.266-255236693005v0"), version(2025, 5, 2));
        assert_eq!(Version::find("NVIDIA Nsight Systems version 2024.1.1.0"), version(2024, 1, 1));
        assert_eq!(Version::find("module 1.2 loaded\nversion 2026.1.3.1-1"), version(2026, 1, 3));
        assert_eq!(Version::find("nsys: command not found"), None);
        assert_eq!(Version::find(""), None);
    }

    #[test]
    fn versions_are_ordered_as_they_were_released() {
        assert!(Version::of(2022, 4) < Version::of(2023, 1));
        assert!(Version { year: 2024, release: 5, update: 1 } > Version::of(2024, 5));
    }
}
