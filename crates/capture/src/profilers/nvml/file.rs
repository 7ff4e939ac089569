//! The file that the sampler writes, `nvml.jsonl` (docs/nvml-format.md), and its writer.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Serialize, Serializer};

/// Version of the format.
pub(super) const VERSION: u16 = 1;

/// One line.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    /// The first.
    Head(&'a Head),
    /// What one turn of readings gave.
    Sample(Sample<'a>),
    /// Something that happened to a device or a reading.
    Note(Note<'a>),
    /// The last; absent where the sampler was ended early.
    End(&'a End),
}

#[derive(Serialize)]
pub(super) struct Head {
    /// Always `proftool-nvml`; importers recognise the file by it, so it stays the first key.
    pub(super) format: &'static str,
    pub(super) version: u16,
    pub(super) pass: String,
    pub(super) rank: i64,
    pub(super) clock: &'static str,
    pub(super) start_monotonic_ns: i64,
    pub(super) start_unix_ns: i64,
    pub(super) period_ns: i64,
    pub(super) driver_version: Option<String>,
    pub(super) nvml_version: Option<String>,
    pub(super) devices: Vec<Described>,
}

/// One device, as probed at the start.
#[derive(Serialize)]
pub(super) struct Described {
    /// Index in NVML's order, which is that of the PCI addresses.
    pub(super) device: u32,
    pub(super) name: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) pci_bus_id: Option<String>,
    pub(super) arch: Option<String>,
    pub(super) memory_bytes: Option<u64>,
    /// Largest clock of the multiprocessors.
    pub(super) clock_hz: Option<u64>,
    pub(super) power_limit_w: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Sample<'a> {
    pub(super) device: u32,
    /// Monotonic clock before the first and after the last reading.
    pub(super) begin_ns: i64,
    pub(super) end_ns: i64,
    pub(super) values: &'a Values,
}

/// Values in base units by their names, in the order of the readings.
#[derive(Default)]
pub(super) struct Values(Vec<(&'static str, f64)>);

impl Values {
    pub(super) fn put(&mut self, name: &'static str, value: f64) {
        self.0.push((name, value));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[derive(Serialize)]
pub(super) struct Note<'a> {
    pub(super) device: u32,
    pub(super) at_ns: i64,
    /// `unsupported`, `failed` (once; later it may succeed) or `lost`.
    pub(super) kind: &'static str,
    /// The reading; null where the whole device is meant.
    pub(super) reading: Option<&'a str>,
    pub(super) reason: String,
}

#[derive(Serialize)]
pub(super) struct End {
    pub(super) monotonic_ns: i64,
    pub(super) unix_ns: i64,
    pub(super) lanes: Vec<Lane>,
}

/// What became of the readings of one device that one thread made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// Index of the device in NVML's order.
    pub device: u32,
    /// `state` (power, clocks, memory and so on) or `pcie`, whose readings last 20 ms each.
    pub lane: &'static str,
    /// Turns that gave a sample.
    pub samples: u64,
    /// Periods without a sample because the reading before lasted too long.
    pub missed_periods: u64,
    /// Readings that failed without being unsupported.
    pub failed: u64,
    /// How it ended: `stopped`, `lost` (the device), `unsupported` (nothing to read) or `detached` (a reading that did
    /// not return).
    pub ended: &'static str,
}

/// Writes lines, each with one call to the system, so that a crash loses at most the line under way. Threads share it.
pub(super) struct Writer {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: Option<File>,
    error: Option<io::Error>,
}

impl Writer {
    /// Creates the file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self { path: path.to_owned(), state: Mutex::new(State { file: Some(file), error: None }) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line; false once the file is closed or could not be written.
    pub(super) fn put(&self, line: &Line<'_>) -> bool {
        let mut state = self.lock();
        let Some(file) = state.file.as_mut() else { return false };
        let written = serde_json::to_vec(line).map_err(io::Error::from).and_then(|mut bytes| {
            bytes.push(b'\n');
            file.write_all(&bytes)
        });
        match written {
            Ok(()) => true,
            Err(error) => {
                *state = State { file: None, error: Some(error) };
                false
            }
        }
    }

    /// Closes the file: what a thread that comes back late wants to write is dropped.
    ///
    /// # Errors
    /// The first error of any line.
    pub(super) fn close(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.file = None;
        state.error.take().map_or(Ok(()), Err)
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().file.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_named_by_its_kind() {
        let mut values = Values::default();
        values.put("power_w", 200.5);
        let sample = Line::Sample(Sample { device: 1, begin_ns: 5, end_ns: 6, values: &values });
        let text = serde_json::to_string(&sample).unwrap();
        assert_eq!(text, r#"{"sample":{"device":1,"begin_ns":5,"end_ns":6,"values":{"power_w":200.5}}}"#);
    }

    #[test]
    fn nothing_is_written_after_the_file_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nvml.jsonl");
        let writer = Writer::create(&path).unwrap();
        let note = || Line::Note(Note { device: 0, at_ns: 1, kind: "lost", reading: None, reason: String::new() });
        assert!(writer.put(&note()) && writer.is_open());
        writer.close().unwrap();
        assert!(!writer.put(&note()) && !writer.is_open());
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_full_disk_is_told_when_the_file_is_closed() {
        let writer = Writer::create(Path::new("/dev/full")).unwrap();
        let end = End { monotonic_ns: 0, unix_ns: 0, lanes: Vec::new() };
        assert!(!writer.put(&Line::End(&end)));
        assert_eq!(writer.close().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
