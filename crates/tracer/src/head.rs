//! What a file says about the session before its records.

use serde::Serialize;

/// The session's description.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// Name of the pass.
    pub pass: String,
    /// Rank of this process.
    pub rank: i64,
    /// `measured`, or `simulated` where the times were computed.
    pub time: &'static str,
    /// The devices.
    pub devices: Vec<Device>,
    /// Their queues.
    pub queues: Vec<Queue>,
    /// Connections between devices.
    pub links: Vec<Link>,
}

impl Default for Head {
    /// A measured pass `host` of rank 0 without devices.
    fn default() -> Self {
        Self {
            pass: "host".to_owned(),
            rank: 0,
            time: "measured",
            devices: Vec::new(),
            queues: Vec::new(),
            links: Vec::new(),
        }
    }
}

/// One device.
#[derive(Clone, Debug, Serialize)]
pub struct Device {
    /// Number.
    pub device: i64,
    /// `cpu`, `cuda`, `hip` or `simulated`.
    pub kind: String,
    /// Product name.
    pub name: String,
    /// Microarchitecture.
    pub arch: String,
    /// Cores that it stands for.
    pub cores: i64,
    /// Memory in bytes.
    pub memory_bytes: Option<i64>,
    /// Clock in hertz.
    pub clock_hz: Option<i64>,
    /// Unique identifier of a GPU, as `nvidia-smi -L` shows it.
    pub uuid: Option<String>,
    /// Domain, bus and device of a GPU.
    pub pci_bus_id: Option<String>,
    /// NUMA node that it is on, where that was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<i64>,
}

/// One queue of a device.
#[derive(Clone, Debug, Serialize)]
pub struct Queue {
    /// The device.
    pub device: i64,
    /// Number on the device.
    pub queue: i64,
    /// `compute`, `copy`, `kv` or `comm`.
    pub role: String,
    /// Priority.
    pub priority: i64,
}

/// A connection between two devices.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    /// Device that sends.
    pub src: i64,
    /// Device that receives.
    pub dst: i64,
    /// Bandwidth in bytes per second.
    pub bytes_per_s: f64,
    /// Latency in nanoseconds.
    pub latency_ns: Option<i64>,
    /// Whether concurrent transfers share the bandwidth.
    pub contended: bool,
}
