//! Columns of few names, as the values that they stand for.

use serde::Deserialize;

/// Direction of a copy.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum CopyKind {
    /// Host to device.
    H2d,
    /// Device to host.
    D2h,
    /// Inside one device.
    D2d,
    /// From device to device.
    P2p,
    /// Host to host.
    H2h,
}

impl CopyKind {
    /// Every direction and its name in the table `activities`.
    pub const ALL: [(Self, &'static str); 5] =
        [(Self::H2d, "h2d"), (Self::D2h, "d2h"), (Self::D2d, "d2d"), (Self::P2p, "p2p"), (Self::H2h, "h2h")];

    /// The name in the table `activities`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Memory at one end of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Memory {
    /// Host memory that the system may move: the driver stages it.
    Pageable,
    /// Host memory that a device can read by itself.
    Pinned,
    /// Memory of a device.
    Device,
    /// Memory that migrates on access.
    Managed,
}

impl Memory {
    /// Every kind and its name in the table `activities`.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Pageable, "pageable"), (Self::Pinned, "pinned"), (Self::Device, "device"), (Self::Managed, "managed")];

    /// The name in the table `activities`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which interface a host call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// The runtime (`cudaLaunchKernel`, `hipLaunchKernel`, the recorder's own launches).
    Runtime,
    /// The driver (`cuLaunchKernel`).
    Driver,
    /// The operating system.
    Osrt,
    /// MPI.
    Mpi,
    /// UCX.
    Ucx,
    /// A framework operator.
    Op,
    /// A Python frame.
    Python,
    /// Any other.
    Other,
}

impl Api {
    /// Every interface and its name in the table `calls`.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Runtime, "runtime"),
        (Self::Driver, "driver"),
        (Self::Osrt, "osrt"),
        (Self::Mpi, "mpi"),
        (Self::Ucx, "ucx"),
        (Self::Op, "op"),
        (Self::Python, "python"),
        (Self::Other, "other"),
    ];

    /// The name in the table `calls`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Whether its calls launch work on a device.
    pub fn launches(self) -> bool {
        matches!(self, Self::Runtime | Self::Driver)
    }
}

/// How a range was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RangeStyle {
    /// Pushed and popped: it nests on its thread.
    PushPop,
    /// Started and ended: it may cross others and end on another thread.
    StartEnd,
    /// An instant.
    Mark,
}

impl RangeStyle {
    /// Every style and its name in the table `ranges`.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::PushPop, "push_pop"), (Self::StartEnd, "start_end"), (Self::Mark, "mark")];

    /// The name in the table `ranges`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// The value of that name in a list of all.
pub(super) fn parse<T: Copy>(all: &[(T, &str)], name: &str) -> Option<T> {
    all.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}
