//! What one launch did: operations by precision, bytes by level.

use std::sync::Arc;

use crate::{Level, Precision};

/// Where a count comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Hardware counters.
    Counter,
    /// Computed from shapes, annotations or what the target states: FLOP of the algorithm, compulsory bytes.
    Analytic,
    /// The bytes of a copy or collective as the trace states them.
    Trace,
}

impl Source {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Analytic => "analytic",
            Self::Trace => "trace",
        }
    }
}

/// Operations of one precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flop {
    /// The type of arithmetic.
    pub precision: Precision,
    /// Whether a structured-sparsity instruction did them; their roof is the sparse one.
    pub sparse: bool,
    /// Operations, an FMA counted as two. Of integer precisions integer operations.
    pub ops: f64,
}

/// Bytes of one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// The level.
    pub level: Level,
    /// Bytes read and written.
    pub bytes: f64,
}

/// What one launch did. Absent is empty or `None`, never zero: a kernel that was counted and did no FLOP has
/// `flop_known` and no [`Counts::flop`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Operations of each precision that did any.
    pub flop: Vec<Flop>,
    /// Whether all arithmetic was counted, so that what is missing in [`Counts::flop`] is zero.
    pub flop_known: bool,
    /// Bytes of each level that was counted; zero is a count.
    pub bytes: Vec<Traffic>,
    /// Bytes over a link (a copy between devices, a collective).
    pub wire_bytes: Option<f64>,
    /// Warp (wavefront) instructions, for the instruction roofline.
    pub instructions: Option<f64>,
    /// Duration that the counting tool measured while it replayed the kernel.
    pub replay_ns: Option<f64>,
    /// Compute clock while it was counted.
    pub clock_hz: Option<f64>,
    /// Formula of FLOP and bytes, for example `ncu-sass-2025+dram-bytes`; one text for many launches.
    pub formula: Option<Arc<str>>,
    /// Source of the FLOP.
    pub flop_source: Option<Source>,
    /// Source of the bytes.
    pub bytes_source: Option<Source>,
}

impl Counts {
    /// Floating-point operations of all precisions; `None` where the arithmetic was not counted.
    pub fn flop_sum(&self) -> Option<f64> {
        let ops = self.flop.iter().filter(|flop| !flop.precision.is_integer()).map(|flop| flop.ops);
        (self.flop_known || !self.flop.is_empty()).then(|| ops.sum())
    }

    /// Bytes of a level, where they were counted.
    pub fn bytes_of(&self, level: Level) -> Option<f64> {
        self.bytes.iter().find(|traffic| traffic.level == level).map(|traffic| traffic.bytes)
    }

    /// Whether anything is known that can be held against a roof.
    pub fn is_placed(&self) -> bool {
        self.flop_known || !self.flop.is_empty() || !self.bytes.is_empty() || self.wire_bytes.is_some()
    }
}
