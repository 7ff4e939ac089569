//! What serves: devices, their memory and the links between them.

use crate::StepModel;

/// Devices and how they are joined.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Its name: a scenario or a file.
    pub name: String,
    /// At most 64.
    pub devices: Vec<Device>,
    /// Link between any two devices.
    pub link: Link,
    /// Bytes of keys and values of a token.
    pub kv_bytes_per_token: u64,
}

/// One device, or several that serve one replica of the model together.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// What it is used for.
    pub role: Role,
    /// How long a step takes.
    pub steps: StepModel,
    /// Tokens whose keys and values its memory holds.
    pub kv_capacity_tokens: u64,
    /// Tokens that a step computes, at most: decoding requests, and prompt tokens with what is left.
    pub step_tokens: u32,
    /// Requests that decode together, at most.
    pub most_sequences: u32,
    /// Price.
    pub cost_per_hour: f64,
    /// Power that it draws, where it is known.
    pub watts: Option<f64>,
    /// Its NUMA node.
    pub numa: u16,
}

/// What a device is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Prompts only.
    Prefill,
    /// Decoding only.
    Decode,
    /// Both.
    Mixed,
}

impl Role {
    /// Whether prompts are computed there.
    pub fn prefills(self) -> bool {
        self != Self::Decode
    }

    /// Whether tokens are generated there.
    pub fn decodes(self) -> bool {
        self != Self::Prefill
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Mixed => "mixed",
        }
    }
}

/// A connection. Each device sends one transfer at a time and receives one at a time: the others wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Bytes per second, in one direction.
    pub bytes_per_s: f64,
    /// Time before the first byte.
    pub latency_ns: i64,
}

impl Default for Link {
    /// 50 GB/s after 10 us: a network adapter of 400 Gbit/s.
    fn default() -> Self {
        Self { bytes_per_s: 50e9, latency_ns: 10_000 }
    }
}

impl Link {
    /// Time that a transfer takes alone.
    pub fn duration_ns(&self, bytes: u64) -> i64 {
        self.latency_ns + (bytes as f64 / self.bytes_per_s * 1e9).round() as i64
    }
}
