//! What the kernel tells about nodes and PCI devices.

use std::fs;
use std::path::Path;

use super::{Gpu, Node, Topology};
use crate::Error;

/// Reads the nodes and GPUs below a mount point of sysfs.
///
/// # Errors
/// Where it names no node.
pub(super) fn read(root: &Path) -> Result<Topology, Error> {
    let folder = root.join("devices/system/node");
    let failed = |reason: String| Error::Input { path: folder.clone(), reason };
    let hint = "hint: Linux with NUMA support has it; name another mount with --set sysfs_root=DIR";
    let entries = fs::read_dir(&folder).map_err(|error| failed(format!("{error} ({hint})")))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut numbers: Vec<i64> = names.filter_map(|name| name.strip_prefix("node")?.parse().ok()).collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        return Err(failed(format!("it names no node ({hint})")));
    }
    let nodes = numbers.into_iter().map(|number| node(&folder, number)).collect();
    Ok(Topology { nodes, devices: gpus(&root.join("bus/pci/devices")) })
}

fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn node(folder: &Path, number: i64) -> Node {
    let folder = folder.join(format!("node{number}"));
    let cpus = text(&folder.join("cpulist")).unwrap_or_default();
    let distances = text(&folder.join("distance")).unwrap_or_default();
    Node {
        node: number,
        cores: cores(&cpus),
        cpus,
        memory_bytes: text(&folder.join("meminfo")).and_then(|info| memory(&info)),
        distances: distances.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
    }
}

/// Cores of a list like `0-3,8`.
fn cores(list: &str) -> i64 {
    let count = |part: &str| -> Option<i64> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(last.trim().parse::<i64>().ok()? - first.trim().parse::<i64>().ok()? + 1)
    };
    list.split(',').filter_map(count).sum()
}

/// `Node 0 MemTotal:  21063892 kB`.
fn memory(info: &str) -> Option<i64> {
    let line = info.lines().find(|line| line.contains("MemTotal:"))?;
    line.split_whitespace().rev().nth(1)?.parse::<i64>().ok()?.checked_mul(1024)
}

/// The GPUs among the PCI devices, in the order of their addresses.
fn gpus(folder: &Path) -> Vec<Gpu> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut addresses: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    addresses.sort();
    let mut gpus: Vec<Gpu> = addresses.iter().filter_map(|address| gpu(&folder.join(address), address)).collect();
    gpus.iter_mut().enumerate().for_each(|(at, gpu)| gpu.device = at as i64);
    gpus
}

/// A display controller or an accelerator of NVIDIA or AMD.
fn gpu(folder: &Path, address: &str) -> Option<Gpu> {
    let hex = |name: &str| {
        let text = text(&folder.join(name))?;
        u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    let (class, vendor, device) = (hex("class")?, hex("vendor")?, hex("device")?);
    let kind = match (class >> 16, vendor) {
        (0x03 | 0x12, 0x10de) => "cuda",
        (0x03 | 0x12, 0x1002) => "hip",
        _ => return None,
    };
    Some(Gpu {
        device: 0,
        kind: kind.to_owned(),
        name: format!("{vendor:04x}:{device:04x}"),
        uuid: None,
        pci_bus_id: address.to_owned(),
        // -1 where the firmware does not tell.
        numa_node: text(&folder.join("numa_node")).and_then(|text| text.parse().ok()).filter(|&node: &i64| node >= 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn made_up() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (node, cpus, distance) in [(0, "0-3,8-11", "10 21"), (1, "4-7,12-15", "21 10")] {
            let folder = format!("devices/system/node/node{node}");
            put(root.path(), &format!("{folder}/cpulist"), &format!("{cpus}\n"));
            put(root.path(), &format!("{folder}/distance"), &format!("{distance}\n"));
            put(root.path(), &format!("{folder}/meminfo"), &format!("Node {node} MemTotal:       1000 kB\n"));
        }
        put(root.path(), "devices/system/node/possible", "0-1\n");
        for (address, class, vendor, node) in [
            ("0000:00:02.0", "0x030000", "0x8086", "0"),
            ("0000:3b:00.0", "0x030200", "0x10de", "0"),
            ("0000:af:00.0", "0x030200", "0x10de", "1"),
            ("0000:b0:00.0", "0x120000", "0x1002", "-1"),
        ] {
            for (name, text) in [("class", class), ("vendor", vendor), ("device", "0x2330"), ("numa_node", node)] {
                put(root.path(), &format!("bus/pci/devices/{address}/{name}"), &format!("{text}\n"));
            }
        }
        root
    }

    #[test]
    fn every_gpu_has_its_node_and_every_node_its_cores_and_distances() {
        let root = made_up();
        let found = read(root.path()).expect("found");
        let gpus: Vec<_> = found.devices.iter().map(|gpu| (gpu.device, gpu.kind.as_str(), gpu.numa_node)).collect();
        assert_eq!(gpus, [(0, "cuda", Some(0)), (1, "cuda", Some(1)), (2, "hip", None)]);
        let nodes: Vec<_> = found.nodes.iter().map(|node| (node.cores, node.memory_bytes)).collect();
        assert_eq!(nodes, [(8, Some(1_024_000)), (8, Some(1_024_000))]);
        assert_eq!(found.nodes[1].distances, [21, 10]);
    }

    #[test]
    fn a_folder_that_is_no_sysfs_is_refused_with_what_to_try() {
        let empty = tempfile::tempdir().expect("a folder");
        assert!(read(empty.path()).expect_err("nothing there").to_string().contains("sysfs_root"));
    }
}
