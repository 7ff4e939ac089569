//! Data caches, from sysfs.

use std::path::Path;

use crate::text::{cpu_list, read, size_bytes};

/// One data or unified cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Its size in bytes.
    pub bytes: u64,
    /// How many of the usable physical cores share it.
    pub shared_by: usize,
    /// Whether the system reported it; else it is a cautious assumption.
    pub probed: bool,
}

impl Cache {
    /// Assumed where the system reports no caches at all, as some containers and Arm guests do: small enough to fit the
    /// level on any server of the last ten years, and for the L3 large enough that four times it reaches memory.
    pub(crate) fn assumed(level: u32, cores: usize) -> Self {
        match level {
            1 => Self { bytes: 32 << 10, shared_by: 1, probed: false },
            2 => Self { bytes: 512 << 10, shared_by: 1, probed: false },
            _ => Self { bytes: 32 << 20, shared_by: cores.max(1), probed: false },
        }
    }
}

/// L1 data, L2 and L3 of the logical CPU `cpu`; `cores` are the usable ones, one a physical core.
///
/// A level that the system leaves out while it reports others does not exist; where it reports none, all are assumed.
pub(crate) fn probe(root: &Path, cpu: usize, cores: &[usize]) -> [Option<Cache>; 3] {
    let folder = root.join(format!("sys/devices/system/cpu/cpu{cpu}/cache"));
    let mut found = [None; 3];
    for index in 0..8 {
        if let Some((level, cache)) = one(&folder.join(format!("index{index}")), cores)
            && let Some(slot) = found.get_mut(level - 1)
        {
            *slot = Some(cache);
        }
    }
    if found[0].is_none() && found[1].is_none() {
        return [1, 2, 3].map(|level| Some(Cache::assumed(level, cores.len())));
    }
    found
}

fn one(folder: &Path, cores: &[usize]) -> Option<(usize, Cache)> {
    let level = read(&folder.join("level"))?.parse().ok().filter(|level| (1..=3).contains(level))?;
    if read(&folder.join("type"))? == "Instruction" {
        return None;
    }
    let bytes = size_bytes(&read(&folder.join("size"))?)?;
    let sharing = read(&folder.join("shared_cpu_list")).map(|list| cpu_list(&list)).unwrap_or_default();
    let shared_by = cores.iter().filter(|core| sharing.contains(core)).count().max(1);
    Some((level, Cache { bytes, shared_by, probed: true }))
}
