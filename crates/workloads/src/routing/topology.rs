//! Which NUMA node each device is on, how far the nodes are from each other, and which cores they have: from sysfs, with the
//! names of NVML where it is there.

mod nvml;
mod sysfs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proftool_tracer::{Capacity, Device, Head, Recorder};
use serde::Serialize;

use crate::parameters::Given;
use crate::{Check, Error, Parameter, Place, Served, Settings};

/// The parameters.
pub(crate) static PARAMETERS: &[Parameter] =
    &[Parameter { name: "sysfs_root", default: ROOT, doc: "Folder that sysfs is mounted on." }];

/// Where sysfs usually is.
const ROOT: &str = "/sys";
/// The file beside the trace.
const FILE: &str = "topology.json";
/// What the trace is called in the pass of the built-in tracer.
const TRACE: &str = "host.trace";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Topology {
    nodes: Vec<Node>,
    devices: Vec<Gpu>,
}

/// A NUMA node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the keys of the file")]
struct Node {
    /// Its number.
    node: i64,
    /// Its cores, as the kernel lists them: `0-3,8`.
    cpus: String,
    /// How many those are.
    cores: i64,
    /// Its memory.
    memory_bytes: Option<i64>,
    /// Distance to each node, in their order: 10 is its own memory (ACPI, SLIT).
    distances: Vec<i64>,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Gpu {
    /// Its number: NVML's, else its place among the PCI addresses.
    device: i64,
    /// `cuda` or `hip`.
    kind: String,
    /// Name as NVML tells it, else `vendor:device` of its PCI address.
    name: String,
    /// Identifier.
    uuid: Option<String>,
    /// Domain, bus, device and function.
    pci_bus_id: String,
    /// Its node; none where the firmware does not tell.
    numa_node: Option<i64>,
}

/// Every parameter with its value.
pub(crate) fn resolve(target: &'static str, settings: &Settings) -> Result<BTreeMap<String, String>, Error> {
    let root = root(target, settings)?;
    Ok(BTreeMap::from([("sysfs_root".to_owned(), root.display().to_string())]))
}

fn root(target: &'static str, settings: &Settings) -> Result<PathBuf, Error> {
    Ok(PathBuf::from(Given::new(target, PARAMETERS, &settings.parameters)?.text("sysfs_root")))
}

/// Looks, and writes what it found as JSON and as the devices of a trace.
///
/// # Errors
/// Where sysfs names no node, and for files that cannot be written.
pub(crate) fn serve(target: &'static str, settings: &Settings, place: &Place<'_>) -> Result<Served, Error> {
    let root = root(target, settings)?;
    let mut found = sysfs::read(&root)?;
    if root == Path::new(ROOT) {
        // Another tree is not of the machine that NVML knows.
        nvml::name(&mut found.devices);
    }
    let path = place.folder.join(FILE);
    let unwritten = |reason| Error::Output { path: path.clone(), reason };
    let text = serde_json::to_string_pretty(&found).map_err(|error| unwritten(error.into()))?;
    fs::write(&path, text).map_err(unwritten)?;
    trace(target, head(&found, settings), &place.folder.join(TRACE))?;
    Ok(Served { checks: vec![known(&found), metric(&found)], lines: lines(target, &found), ..Served::default() })
}

/// A trace of the devices, with one range: a file in which nothing happened would count as damaged.
fn trace(target: &str, head: Head, path: &Path) -> Result<(), Error> {
    let recorder = Recorder::new(head);
    let mut buffer = recorder.thread(0, Capacity { operations: 0, dependencies: 0, calls: 0, ranges: 1 });
    let range = buffer.begin(&recorder.range_name("proftool", None, target));
    buffer.end(range);
    drop(buffer);
    Ok(recorder.write(path)?)
}

/// The devices, then the cores of each node as a device.
fn head(found: &Topology, settings: &Settings) -> Head {
    let gpu = |gpu: &Gpu| Device {
        device: gpu.device,
        kind: gpu.kind.clone(),
        name: gpu.name.clone(),
        arch: String::new(),
        cores: 0,
        memory_bytes: None,
        clock_hz: None,
        uuid: gpu.uuid.clone(),
        pci_bus_id: Some(gpu.pci_bus_id.clone()),
        numa_node: gpu.numa_node,
    };
    let first = found.devices.iter().map(|gpu| gpu.device + 1).max().unwrap_or(0);
    let node = |node: &Node| Device {
        device: first + node.node,
        kind: "cpu".to_owned(),
        name: settings.device_name.clone(),
        arch: settings.arch.clone(),
        cores: node.cores,
        memory_bytes: node.memory_bytes,
        clock_hz: None,
        uuid: None,
        pci_bus_id: None,
        numa_node: Some(node.node),
    };
    let devices = found.devices.iter().map(gpu).chain(found.nodes.iter().map(node)).collect();
    Head { devices, ..Head::default() }
}

/// Every device is on a node that there is.
fn known(found: &Topology) -> Check {
    let mut check = Check::within("devices are on nodes that there are".to_owned(), 0.0);
    check.values = found.devices.len() as u64;
    let is_node = |number: i64| found.nodes.iter().any(|node| node.node == number);
    let strange = found.devices.iter().filter(|gpu| gpu.numa_node.is_some_and(|node| !is_node(node))).count();
    check.max_relative_error = strange as f64 / check.values.max(1) as f64;
    check
}

/// Every node has a distance to each, the least to itself.
fn metric(found: &Topology) -> Check {
    let mut check = Check::within("each node has a distance to every node, the least to itself".to_owned(), 0.0);
    check.values = found.nodes.len() as u64;
    let right = |(at, node): &(usize, &Node)| {
        node.distances.len() == found.nodes.len()
            && node.distances.iter().enumerate().all(|(to, distance)| to == *at || *distance >= node.distances[*at])
    };
    let wrong = found.nodes.len() - found.nodes.iter().enumerate().filter(right).count();
    check.max_relative_error = wrong as f64 / check.values.max(1) as f64;
    check
}

/// `1 GPU`, `2 GPUs`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn lines(target: &str, found: &Topology) -> Vec<String> {
    let (nodes, devices) = (found.nodes.len(), found.devices.len());
    let mut lines = vec![format!("{target} (measured): {}, {}", counted(nodes, "NUMA node"), counted(devices, "GPU"))];
    lines.extend(found.nodes.iter().map(|node| {
        let distances: Vec<String> = node.distances.iter().map(i64::to_string).collect();
        let memory = node.memory_bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1e9));
        format!("  node {}: cores {}, {memory} GB, distances {}", node.node, node.cpus, distances.join(" "))
    }));
    lines.extend(found.devices.iter().map(|gpu| {
        let node = gpu.numa_node.and_then(|number| found.nodes.iter().find(|node| node.node == number));
        let place = node.map_or_else(
            || "its node is not known".to_owned(),
            |node| format!("node {}, cores {}", node.node, node.cpus),
        );
        format!("  device {} {} at {}: {place}", gpu.device, gpu.name, gpu.pci_bus_id)
    }));
    lines
}
