//! Where the devices of this machine are: the NUMA node of each, and how far the nodes are apart.

use crate::routing::topology::{self, PARAMETERS};
use crate::{Once, Run, Target};

const NAME: &str = "topology_probe";

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "The NUMA node of each GPU, the cores of each node and the distances between nodes, from sysfs and NVML.",
    pair: None,
    parameters: PARAMETERS,
    run: Run::Once(Once {
        // The devices come as the built-in tracer tells them.
        pass: "host",
        observer: "topology",
        whole: &["sysfs_root"],
        hardware_key: |_| None,
        serve: |_, settings, place| topology::serve(NAME, settings, place),
    }),
    resolve: |_, settings| topology::resolve(NAME, settings),
};
