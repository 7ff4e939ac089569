//! What the time of an activity is spent on. Rules map an activity to its class; they are data ([`Rules`]).
//!
//! A kernel that no rule matches is compute, and is counted as such, because a communication kernel with an unknown name
//! would otherwise hide in the compute time.

mod function;
pub(crate) mod glob;
mod rules;
#[cfg(test)]
mod tests;

use serde::Deserialize;

pub use rules::{Facts, Rules};

/// What kind of row an activity is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A kernel.
    Kernel,
    /// A copy of memory.
    Copy,
    /// A fill of memory.
    Set,
    /// A synchronisation record: no work.
    Sync,
    /// A whole graph launch, its kernels not recorded one by one.
    Graph,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Kernel, Self::Copy, Self::Set, Self::Sync, Self::Graph];

    /// The kind of that name in the table `activities`; an unknown one counts as a kernel.
    pub fn parse(name: &str) -> Self {
        match name {
            "copy" => Self::Copy,
            "set" => Self::Set,
            "sync" => Self::Sync,
            "graph" => Self::Graph,
            _ => Self::Kernel,
        }
    }

    /// The name in the table `activities`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Copy => "copy",
            Self::Set => "set",
            Self::Sync => "sync",
            Self::Graph => "graph",
        }
    }
}

/// What the time of an activity is spent on.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Arithmetic.
    Compute,
    /// Communication between devices.
    Comm,
    /// Transfer of a KV cache.
    Kv,
    /// Another copy.
    Copy,
    /// A fill of memory.
    Set,
    /// A synchronisation record: no work.
    Sync,
}

impl Class {
    /// The classes that are work, in the order in which an instant is attributed to one of them.
    pub const WORK: [Self; 5] = [Self::Compute, Self::Comm, Self::Kv, Self::Copy, Self::Set];

    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Comm => "comm",
            Self::Kv => "kv",
            Self::Copy => "copy",
            Self::Set => "set",
            Self::Sync => "sync",
        }
    }
}

/// Parts of the names of host ranges inside which KV transfers are launched.
pub const KV_RANGES: &[&str] = &[
    "kv_transfer",
    "kv transfer",
    "kv_handover",
    "kv handover",
    "kv_cache_transfer",
    "transfer_kv",
    "send_kv",
    "recv_kv",
    "start_load_kv",
    "save_kv_layer",
    "wait_for_layer_load",
    "nixl",
    "lmcache",
];

/// Parts of the names of host calls that block until a device is done. (`cudaStreamWaitEvent` does not block the host.)
pub const SYNC_CALLS: &[&str] = &["synchroni"];

/// Whether the name, in lower case, contains one of the parts.
pub fn contains_any<S: AsRef<str>>(name: &str, parts: &[S]) -> bool {
    let name = name.to_ascii_lowercase();
    parts.iter().any(|part| name.contains(part.as_ref()))
}
