//! Measured roofs of GPUs on disk: one file a GPU, driver and libraries.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Raised when the method of measurement changes, so that roofs of an older method are not used.
const METHOD: &str = "gpu-1";

/// File of one GPU.
const FILE: &str = "roofs.json";

/// The measured roofs of one GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Product name.
    pub(crate) name: String,
    /// As `nvidia-smi -L` shows it.
    pub(crate) uuid: String,
    /// Version of the kernel's driver; `unknown` where the kernel does not tell.
    pub(crate) driver: String,
    /// Newest CUDA version that the driver supports.
    pub(crate) cuda: String,
    pub(crate) nvrtc: String,
    pub(crate) cublaslt: String,
    /// Clock of the memory right after the trials, in Hz.
    pub(crate) memory_clock_hz: Option<f64>,
    /// What else used the GPU.
    pub(crate) busy: Option<String>,
    pub(crate) rows: Vec<Row>,
    /// The rows that could not be measured, with the reasons.
    pub(crate) absent: Vec<String>,
}

/// One roof, with the columns of the table `ceilings`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) precision: Option<String>,
    pub(crate) level: Option<String>,
    pub(crate) isa: String,
    pub(crate) cores: Option<i64>,
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) per_cycle: Option<f64>,
    pub(crate) contended: bool,
    /// UUID of the other GPU of a link.
    pub(crate) peer: Option<String>,
    /// A link's both directions at once.
    pub(crate) both: bool,
}

/// A link is shared by its directions when both at once move less than this times one of them.
const SHARED: f64 = 1.5;

impl Kept {
    /// Whether a roof that bounds are computed from was disturbed: a compute peak, or reading the memory.
    pub(crate) fn is_disturbed(&self) -> bool {
        let reads = |row: &Row| row.name == "read" && row.level.as_deref() == Some("DRAM");
        self.busy.is_some() || self.rows.iter().any(|row| row.contended && (row.kind == "compute" || reads(row)))
    }

    /// Whether the two directions of the link to a GPU share it: together they are little faster than one.
    pub(crate) fn shares(&self, peer: &str) -> bool {
        let of = |both: bool| {
            let rows = self.rows.iter().filter(|row| row.both == both && row.peer.as_deref() == Some(peer));
            rows.map(|row| row.value).next()
        };
        of(false).zip(of(true)).is_some_and(|(one, both)| both < SHARED * one)
    }
}

/// Version of the loaded kernel driver.
pub(crate) fn kernel_driver() -> String {
    let text = fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    version(&text).unwrap_or("unknown").to_owned()
}

/// The version in `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug ...`.
pub(crate) fn version(text: &str) -> Option<&str> {
    let is_version = |word: &&str| word.contains('.') && word.starts_with(|letter: char| letter.is_ascii_digit());
    text.lines().next()?.split_whitespace().find(is_version)
}

/// Keeps the roofs of a GPU. A cache that cannot be written costs some seconds the next time, nothing else.
pub(crate) fn write(kept: &Kept) {
    if let Some(base) = base() {
        let _ = write_to(&base, kept);
    }
}

/// The roofs that are kept of a GPU with the driver that is loaded now: of that UUID; where none is known, the newest of
/// any GPU of that name.
pub(crate) fn read(uuid: Option<&str>, name: &str) -> Option<Kept> {
    read_from(&base()?, uuid, name, &kernel_driver())
}

/// The folder of all GPUs, for people.
pub(crate) fn base() -> Option<PathBuf> {
    Some(super::cache_base()?.join(METHOD))
}

fn write_to(base: &Path, kept: &Kept) -> std::io::Result<()> {
    let slug = proftool_hardware::slug;
    let versions = format!("driver-{} cuda-{} nvrtc-{} cublaslt-{}", kept.driver, kept.cuda, kept.nvrtc, kept.cublaslt);
    let folder = base.join(slug(&kept.name)).join(slug(&kept.uuid)).join(slug(&versions));
    fs::create_dir_all(&folder)?;
    let whole = serde_json::to_string_pretty(kept)?;
    // Another proftool may read it meanwhile.
    let part = folder.join(format!("{FILE}.{}", std::process::id()));
    fs::write(&part, whole)?;
    fs::rename(&part, folder.join(FILE))
}

fn read_from(base: &Path, uuid: Option<&str>, name: &str, driver: &str) -> Option<Kept> {
    let folder = base.join(proftool_hardware::slug(name));
    let mut found: Vec<(std::time::SystemTime, Kept)> = Vec::new();
    for of_gpu in entries(&folder) {
        for file in entries(&of_gpu).into_iter().map(|folder| folder.join(FILE)) {
            let read = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
            let changed = file.metadata().and_then(|data| data.modified());
            found.extend(changed.ok().zip(read).filter(|(_, kept)| kept.driver == driver && kept.is_whole()));
        }
    }
    found.sort_by_key(|(changed, _)| std::cmp::Reverse(*changed));
    let same = |kept: &Kept| uuid.is_some_and(|uuid| bare(&kept.uuid) == bare(uuid));
    let at = found.iter().position(|(_, kept)| same(kept)).or((!found.is_empty()).then_some(0))?;
    Some(found.swap_remove(at).1)
}

impl Kept {
    /// Whether every number is one that a roof can have: the file may have been written by anybody.
    fn is_whole(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.value.is_finite() && row.value > 0.0)
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// A UUID without the prefix that some tools leave out.
fn bare(uuid: &str) -> String {
    uuid.trim_start_matches("GPU-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(uuid: &str, driver: &str, value: f64) -> Kept {
        let row = Row { kind: "compute".to_owned(), name: "fma".to_owned(), value, ..Row::default() };
        let text = |text: &str| text.to_owned();
        Kept { name: text("NVIDIA X"), uuid: text(uuid), driver: text(driver), rows: vec![row], ..Kept::default() }
    }

    #[test]
    fn roofs_are_found_by_gpu_and_driver() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let base = folder.path();
        write_to(base, &kept("GPU-a", "1.0", 1.0)).expect("written");
        write_to(base, &kept("GPU-b", "1.0", 2.0)).expect("written");
        let value = |uuid, name, driver| read_from(base, uuid, name, driver).map(|kept| kept.rows[0].value);
        assert_eq!(value(Some("GPU-a"), "NVIDIA X", "1.0"), Some(1.0));
        assert_eq!(value(Some("B"), "NVIDIA X", "1.0"), Some(2.0));
        assert!(value(Some("GPU-c"), "NVIDIA X", "1.0").is_some(), "another GPU of the same model");
        assert_eq!(value(Some("GPU-a"), "NVIDIA X", "2.0"), None);
        assert_eq!(value(None, "NVIDIA Y", "1.0"), None);
    }

    #[test]
    fn a_file_with_values_that_no_roof_has_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        write_to(folder.path(), &kept("GPU-a", "1.0", 0.0)).expect("written");
        assert_eq!(read_from(folder.path(), Some("GPU-a"), "NVIDIA X", "1.0"), None);
    }

    #[test]
    fn a_link_is_shared_where_both_directions_together_are_no_faster() {
        let row = |both, value| Row { peer: Some("b".to_owned()), both, value, ..Row::default() };
        let of = |one, both| Kept { rows: vec![row(false, one), row(true, both)], ..Kept::default() }.shares("b");
        assert!(of(10.0, 11.0) && !of(10.0, 19.0) && !Kept::default().shares("b"));
    }

    #[test]
    fn the_driver_is_known_by_its_line() {
        let line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build";
        assert_eq!((version(line), version("")), (Some("580.65.06"), None));
    }
}
