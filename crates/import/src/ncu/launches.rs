//! Rows of `launches` and `devices`.

use std::collections::{BTreeMap, HashMap};

use proftool_trace::rows;

use crate::Error;
use crate::raw::{Import, Severity};

/// Stands for the name of a kernel that the page does not tell.
pub(super) const UNKNOWN: &str = "unknown";

/// What identifies one launch on a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Launch {
    pub(super) process: Option<i64>,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) grid: Option<String>,
    pub(super) block: Option<String>,
    pub(super) device: i64,
    pub(super) phase: Option<String>,
}

/// Numbers launches, and counts how often each kernel was launched before.
///
/// The same kernel is the same name, grid and block in the same process. ncu knows the launches that it profiled only,
/// so with `--launch-skip` or a kernel filter the index counts from the first of those.
#[derive(Debug, Default)]
pub(super) struct Launches {
    next: i64,
    table: u64,
    /// Launch and table of what was seen, by process, the page's ID and name.
    seen: HashMap<(Option<i64>, String, String), (i64, u64)>,
    repeats: HashMap<Shape, i64>,
}

/// Process, name, grid and block.
type Shape = (Option<i64>, String, Option<String>, Option<String>);

impl Launches {
    /// Another header row was found.
    pub(super) fn begin_table(&mut self) {
        self.table += 1;
    }

    /// Whether none was found.
    pub(super) fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// The launch of this table that is identified so.
    pub(super) fn find(&self, launch: &Launch) -> Option<i64> {
        let seen = self.seen.get(&(launch.process, launch.id.clone(), launch.name.clone()));
        seen.filter(|(_, table)| *table == self.table).map(|(number, _)| *number)
    }

    /// Puts a new launch. One that an earlier table of the file already held begins another run of the program: ncu's
    /// outputs were appended to each other, and the process number happens to be the same.
    pub(super) fn add(&mut self, launch: &Launch, import: &mut Import<'_>) -> Result<i64, Error> {
        let key = (launch.process, launch.id.clone(), launch.name.clone());
        if self.seen.get(&key).is_some_and(|(_, table)| *table != self.table) {
            self.seen.clear();
            self.repeats.clear();
        }
        let number = self.next;
        self.next += 1;
        self.seen.insert(key, (number, self.table));
        let shape = (launch.process, launch.name.clone(), launch.grid.clone(), launch.block.clone());
        let before = self.repeats.entry(shape).or_default();
        import.uses_device(launch.device);
        import.put(&rows::Launch {
            launch: number,
            device: launch.device,
            name: &launch.name,
            launch_index: *before,
            grid: launch.grid.as_deref(),
            block: launch.block.as_deref(),
            phase: launch.phase.as_deref(),
            ..rows::Launch::default()
        })?;
        *before += 1;
        Ok(number)
    }
}

/// `(4, 1, 1)` as the tables write it: `(4,1,1)`.
pub(super) fn dimensions(cell: &str) -> Option<String> {
    let compact: String = cell.chars().filter(|letter| !letter.is_whitespace()).collect();
    (!compact.is_empty()).then_some(compact)
}

/// What a page tells about a device.
#[derive(Clone, Debug, Default)]
pub(super) struct Device {
    pub(super) name: Option<String>,
    /// Compute capability, as `9.0`.
    pub(super) capability: Option<String>,
    pub(super) sm_count: Option<i64>,
    /// Most SMs that a launch could use: all of them, but in a green context.
    pub(super) launch_sms: Option<i64>,
    pub(super) memory_bytes: Option<i64>,
    pub(super) clock_hz: Option<i64>,
    pub(super) pci_bus_id: Option<String>,
}

/// The devices of a page, each described by the first row that mentions it.
#[derive(Debug, Default)]
pub(super) struct Devices(BTreeMap<i64, Device>);

impl Devices {
    /// Takes a device; `describe` is asked once for each.
    pub(super) fn add(&mut self, number: i64, describe: impl FnOnce() -> Device) {
        self.0.entry(number).or_insert_with(describe);
    }

    /// Takes the SMs that a launch on a device could use, where that is a count.
    pub(super) fn launch_sms(&mut self, number: i64, sms: f64) {
        if let Some(device) = self.0.get_mut(&number).filter(|_| sms.fract() == 0.0 && (1.0..=1e6).contains(&sms)) {
            device.launch_sms = device.launch_sms.max(Some(sms as i64));
        }
    }

    /// Puts the rows of devices. One that the page does not name has the name that the user gave; without it, that of
    /// its architecture, with an issue; and no row where the page tells neither.
    pub(super) fn put(&self, import: &mut Import<'_>) -> Result<(), Error> {
        for (number, device) in &self.0 {
            let arch = device.capability.as_deref().and_then(arch);
            if device.name.is_none() && import.hardware.is_none() {
                let known = arch.as_deref().unwrap_or("an architecture that it does not tell");
                let detail = format!("the page does not name device {number}, of {known}: name it with --hardware");
                import.issue(Severity::Info, "unnamed_device", 1, detail);
                if arch.is_none() {
                    continue;
                }
            }
            let unnamed = || format!("unnamed {}", arch.as_deref().unwrap_or("device"));
            let name = device.name.clone().unwrap_or_else(unnamed);
            import.device(&rows::Device {
                device: *number,
                kind: "cuda",
                name: &name,
                arch: arch.as_deref(),
                sm_count: device.sm_count.or(device.launch_sms),
                memory_bytes: device.memory_bytes,
                clock_hz: device.clock_hz,
                pci_bus_id: device.pci_bus_id.as_deref(),
                ..rows::Device::default()
            })?;
        }
        Ok(())
    }
}

/// `12.0` as `sm_120`.
fn arch(capability: &str) -> Option<String> {
    let (major, minor) = capability.trim().split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(major) && digits(minor)).then(|| format!("sm_{major}{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_brought_to_the_form_of_the_tables() {
        assert_eq!(dimensions("(640, 1280, 1)").as_deref(), Some("(640,1280,1)"));
        assert_eq!(dimensions(" "), None);
        assert_eq!(arch("12.0").as_deref(), Some("sm_120"));
        assert_eq!(arch("8.6").as_deref(), Some("sm_86"));
        assert_eq!(arch("unknown"), None);
    }
}
