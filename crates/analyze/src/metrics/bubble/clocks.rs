//! The timeline of a pipeline whose stages are ranks: each rank's file has its own clock, so the times are first brought
//! into one ([`crate::clock`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::stages::Staging;
use crate::Error;
use crate::clock::aligned;
use crate::metrics::Input;
use crate::model::Model;
use crate::operators::Span;
use crate::windows::{self, Scope, WindowSet};

/// The model of an input, shifted where its ranks have different clocks.
#[derive(Debug)]
pub(crate) struct Timeline<'i> {
    read: &'i Model,
    shifted: Option<Box<Model>>,
    /// Ranks with the same number have one time; empty where there is only one rank.
    frames: BTreeMap<i64, usize>,
}

/// The reason where the ranks of a pipeline have no common time.
pub(crate) const NO_CLOCK: &str =
    "the clocks of the ranks cannot be compared: neither session starts nor common collectives are recorded";

impl<'i> Timeline<'i> {
    /// Aligns the ranks, if there are several.
    pub(crate) fn of(input: &'i Input) -> Result<Self, Error> {
        let read = input.model()?;
        let ranks: BTreeSet<i64> = read.device_keys().iter().map(|key| key.0).collect();
        if ranks.len() < 2 {
            return Ok(Self { read, shifted: None, frames: BTreeMap::new() });
        }
        let aligned = aligned(input)?;
        let frames = aligned.clocks.iter().map(|(rank, clock)| (*rank, clock.frame)).collect();
        let shifted = if aligned.offsets.values().all(|offset| *offset == 0) {
            None
        } else {
            let mut model = input.read_model()?;
            shift(&mut model, &aligned.offsets);
            Some(Box::new(model))
        };
        Ok(Self { read, shifted, frames })
    }

    /// The window sets in the common time.
    ///
    /// # Errors
    /// As [`Input::sets`].
    pub(crate) fn sets(&self, input: &Input) -> Result<Vec<WindowSet>, Error> {
        match &self.shifted {
            None => input.sets(Scope::All),
            Some(model) => windows::sets(model, &input.window, Scope::All).map_or_else(|| input.sets(Scope::All), Ok),
        }
    }

    /// Whether the stage hosts have a common time.
    pub(crate) fn comparable(&self, staging: &Staging) -> bool {
        let frames = staging.hosts.iter().map(|host| self.frames.get(&host.device.0));
        frames.collect::<BTreeSet<_>>().len() < 2
    }
}

impl Deref for Timeline<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        self.shifted.as_deref().unwrap_or(self.read)
    }
}

/// Adds to each rank's times what its clock lacks, before anything is found in the model and kept. Rows of one rank keep their order, and the model sorts by rank first.
fn shift(model: &mut Model, offsets: &BTreeMap<i64, i64>) {
    let moved = |rank: i64, span: Span| {
        let add = offsets.get(&rank).copied().unwrap_or(0);
        (span.0.saturating_add(add), span.1.saturating_add(add))
    };
    for row in &mut model.activities {
        row.span = moved(row.device.0, row.span);
    }
    for call in &mut model.calls {
        call.span = moved(call.rank, call.span);
    }
    for range in &mut model.ranges {
        range.span = moved(range.rank, range.span);
    }
}
