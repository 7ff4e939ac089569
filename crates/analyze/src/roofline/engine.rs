//! Places every launch once: device, phase, time, counts and bounds. Metrics read what it placed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proftool_roofline::counters::Suspicion;
use proftool_roofline::{Counts, Limiter, Precision, Roof};

use super::DeviceRoofs;
use super::join::Reason;
use super::key::Key;
use super::links::Links;
use super::place::Placing;
use crate::Error;
use crate::metrics::Input;
use crate::model::{DeviceKey, Names};

/// Which roofs the bounds of the results use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Against {
    /// Measured ones, filled up from the datasheet.
    #[default]
    Measured,
    /// Datasheet ones only.
    Datasheet,
}

/// How the counts of a launch were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Quality {
    /// Counters of this very launch.
    Launch,
    /// The mean of profiled launches of the same kernel, grid and block.
    Shape,
    /// The mean of profiled launches of the same kernel, which ran in one configuration only.
    Name,
    /// The target states them.
    Stated,
    /// Computed from the shapes of the framework operator that launched it.
    Operator,
    /// The bytes of a copy, set or collective.
    Trace,
}

impl Quality {
    /// The name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Shape => "shape",
            Self::Name => "name",
            Self::Stated => "stated",
            Self::Operator => "operator",
            Self::Trace => "trace",
        }
    }
}

/// The bound of one launch, rounded to a nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaunchBound {
    /// The least time.
    pub(crate) ns: i64,
    /// What gives it.
    pub(crate) limiter: Limiter,
    /// The precision with the largest t_math.
    pub(crate) precision: Option<Precision>,
    /// Whether something that it did has no roof.
    pub(crate) partial: bool,
}

/// One launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    /// Rank and device.
    pub(crate) device: DeviceKey,
    /// Number of the kernel's name in [`Engine::names`].
    pub(crate) name: u32,
    /// Number of the phase's name in [`Engine::names`].
    pub(crate) phase: Option<u32>,
    /// Index in [`crate::model::Model::activities`]; `None` for a profiled launch without a timeline.
    pub(crate) activity: Option<u32>,
    /// Number of the pass that its time comes from, in [`Engine::names`].
    pub(crate) pass: u32,
    /// Its duration: of the timeline, or of the replay where there is none.
    pub(crate) time_ns: i64,
    /// Index of the counts that made the bound, for [`Engine::counts`].
    pub(crate) counts: Option<u32>,
    /// Index of what it did a second, where the page states rates and no duration, for [`Engine::counts`]. The bounds
    /// are then those of one second.
    pub(crate) rates: Option<u32>,
    /// Index of the analytic counts that stand beside the counters, for [`Engine::counts`].
    pub(crate) analytic: Option<u32>,
    /// How the counts were found.
    pub(crate) quality: Option<Quality>,
    /// Why it has no counts or no bound.
    pub(crate) reason: Option<Reason>,
    /// Number of its link, for [`Engine::link`].
    pub(crate) link: Option<u32>,
    /// Bound of the roofs in use.
    pub(crate) bound: Option<LaunchBound>,
    /// Bound of the datasheet roofs.
    pub(crate) datasheet: Option<LaunchBound>,
    /// Bound of the roofs at the observed clock; only where the time was taken at that clock too.
    pub(crate) observed: Option<LaunchBound>,
}

/// Everything that was placed. Computed once an input: [`Input::engine`].
#[derive(Debug, Default)]
pub(crate) struct Engine {
    pub(super) placed: Vec<Placed>,
    pub(super) counts: Vec<Counts>,
    pub(super) roofs: BTreeMap<DeviceKey, DeviceRoofs>,
    pub(super) links: Links,
    /// The texts that [`Placed`] numbers.
    pub(crate) names: Names,
    pub(super) has_timeline: bool,
    /// What the reader must know about each formula.
    pub(super) notes: Vec<(Arc<str>, Vec<String>)>,
    /// Values of pages that cannot be, by kernel.
    pub(super) suspicious: HashMap<String, Vec<Suspicion>>,
}

impl Engine {
    /// Places what the tables hold.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table.
    pub(crate) fn read(input: &Input) -> Result<Self, Error> {
        Ok(Placing::read(input)?.place())
    }

    /// Every launch: one an activity of the model, in its order (also `sync` rows); or every profiled launch where
    /// there is no timeline.
    pub(crate) fn placed(&self) -> &[Placed] {
        &self.placed
    }

    /// The launch of an activity by its index in the model.
    pub(crate) fn of_activity(&self, index: usize) -> Option<&Placed> {
        self.placed.get(index).filter(|_| self.has_timeline)
    }

    /// The counts that [`Placed::counts`] and [`Placed::analytic`] number.
    pub(crate) fn counts(&self, index: Option<u32>) -> Option<&Counts> {
        self.counts.get(index? as usize)
    }

    /// The roofs of a device; `None` for one that nobody declared and nothing ran on.
    pub(crate) fn roofs(&self, device: DeviceKey) -> Option<&DeviceRoofs> {
        self.roofs.get(&device)
    }

    /// The devices that have roofs, sorted.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (DeviceKey, &DeviceRoofs)> {
        self.roofs.iter().map(|(key, roofs)| (*key, roofs))
    }

    /// The roof in use of the link that [`Placed::link`] numbers.
    pub(crate) fn link(&self, link: Option<u32>) -> Option<&Roof> {
        self.links.roofs(link).map(|roofs| &roofs.used)
    }

    /// What the reader must know about a formula.
    pub(crate) fn notes(&self, formula: &str) -> impl Iterator<Item = &str> {
        let of = self.notes.iter().filter(move |(known, _)| &**known == formula);
        of.flat_map(|(_, notes)| notes.iter().map(String::as_str))
    }

    /// The worst values of the pages about a kernel that cannot be as they are.
    pub(crate) fn suspicious(&self, name: &str) -> &[Suspicion] {
        if self.suspicious.is_empty() {
            return &[];
        }
        self.suspicious.get(&Key::of(name).full).map_or(&[], Vec::as_slice)
    }

    /// Whether times are those of a timeline; else of the profiler's replay.
    pub(crate) fn has_timeline(&self) -> bool {
        self.has_timeline
    }
}
