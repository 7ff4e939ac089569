//! What a device can do at most.

use std::collections::BTreeMap;

use crate::{Level, Precision};

/// Where a roof comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoofSource {
    /// A datasheet, at the clock that it assumes.
    Datasheet,
    /// A datasheet or a profiler's peak per cycle, at the clock that was observed.
    Observed,
    /// A micro-benchmark on the device.
    Measured,
}

impl RoofSource {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Datasheet => "datasheet",
            Self::Observed => "observed",
            Self::Measured => "measured",
        }
    }
}

/// One roof.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    /// FLOP/s, bytes/s, or warp instructions/s.
    pub value: f64,
    /// Where it comes from.
    pub source: RoofSource,
    /// What it is and why it was chosen, for the reader, with its value and unit.
    pub label: String,
    /// What the sources disagree about, where they do.
    pub disputed: Option<String>,
}

/// The roofs of one device that one bound uses. A resource without a roof is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roofs {
    /// By precision, and whether the arithmetic is sparse.
    pub compute: BTreeMap<(Precision, bool), Roof>,
    /// By level.
    pub bandwidth: BTreeMap<Level, Roof>,
    /// Bytes over a link.
    pub link: Option<Roof>,
    /// Warp instructions.
    pub instructions: Option<Roof>,
}
