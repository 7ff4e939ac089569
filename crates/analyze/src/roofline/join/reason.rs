//! Why launches are not placed.

/// Why a launch has no counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// No profiled launch and no operator has its name.
    NotProfiled,
    /// The kernel was profiled with other grids or blocks only.
    OtherShape,
    /// The kernel was profiled in other phases only.
    OtherPhase,
    /// Another kind of device was profiled, and bytes do not travel.
    OtherDevice,
    /// The page states what happened a second, and no duration to count it over.
    OnlyRates,
    /// The timeline names it so briefly that several profiled kernels fit.
    Ambiguous,
    /// It was profiled, with counters that no formula knows.
    NoFormula,
    /// The framework operator that launched it has no shapes, or no model.
    NoShapes,
    /// Its counts are known, and no roof of its device.
    NoRoof,
    /// Its counts are known, and nobody measured how long it ran.
    NoTime,
    /// A graph launch hides its kernels.
    Graph,
    /// A copy or set whose size the trace does not tell.
    NoBytes,
}

impl Reason {
    /// The text in results.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::NotProfiled => "not profiled",
            Self::OtherShape => "other grid or block",
            Self::OtherPhase => "profiled in another phase",
            Self::OtherDevice => "another device's page",
            Self::OnlyRates => "rates do not travel to another clock",
            Self::Ambiguous => "several profiled kernels fit the name",
            Self::NoFormula => "no formula for its counters",
            Self::NoShapes => "no shapes",
            Self::NoRoof => "no roof",
            Self::NoTime => "no duration",
            Self::Graph => "a graph launch hides its kernels",
            Self::NoBytes => "no size in the trace",
        }
    }
}
