//! One time for all ranks of a pass, and the collectives that they took part in together.
//!
//! Each rank counts from the session start of its own file. First the recorded session starts are taken as they are: on
//! one host those of the monotonic clock, else those of the wall clock, which disagree by the error of NTP. Then the
//! ends of matched collectives correct them ([`proftool_timeline::clock`]); only of collectives that no rank can leave
//! before all have entered, so that a rank that was not captured changes nothing. Devices of one rank share its clock.

use std::collections::{BTreeMap, BTreeSet};

use proftool_timeline::clock::{Ends, align, possible};

use crate::Error;
use crate::collectives::Parts;
use crate::metrics::Input;
use crate::model::Model;
use crate::operators::Span;

#[cfg(test)]
pub(crate) mod fixture;
mod matching;
mod session;
#[cfg(test)]
mod tests;
mod timing;

pub(crate) use matching::{Group, How};
pub(crate) use session::Source;
pub(crate) use timing::Timing;

use matching::Bucket;
use session::Start;

/// The operation of a message, whose two ends are a `send` and a `recv`.
pub(crate) const MESSAGE: &str = "send_recv";

/// What a collective of a group of unknown size leaves open.
pub(crate) const UNSIZED: &str =
    "the size of the group is not recorded: a rank that was not captured may have come last";

/// The clock of one rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Where its session start comes from.
    pub(crate) source: Source,
    /// What the session start adds to its times; `None` where it is not recorded.
    pub(crate) session: Option<i64>,
    /// What collectives add beside; `None` where none connects it with another rank.
    pub(crate) refined: Option<i64>,
    /// The rank that it was fitted to.
    pub(crate) reference: Option<i64>,
    /// Ranks with the same number have one time; others cannot be compared.
    pub(crate) frame: usize,
}

/// All ranks of a pass in one time.
#[derive(Debug, Default)]
pub(crate) struct Aligned {
    /// Nanoseconds to add to the times of a rank. The lowest rank whose session start is known keeps its own.
    pub(crate) offsets: BTreeMap<i64, i64>,
    /// The clock of each rank.
    pub(crate) clocks: BTreeMap<i64, Clock>,
    /// The communication kernels.
    pub(crate) parts: Parts,
    /// The collectives in which more than one device was seen, by start in the common time and first activity.
    pub(crate) groups: Vec<Group>,
}

impl Aligned {
    /// The span of an activity (by its index) in the common time.
    pub(crate) fn span(&self, model: &Model, activity: u32) -> Span {
        let row = &model.activities[activity as usize];
        let add = self.offsets.get(&row.device.0).copied().unwrap_or(0);
        (row.span.0.saturating_add(add), row.span.1.saturating_add(add))
    }

    /// The spans of a group's members in the common time.
    pub(crate) fn spans(&self, model: &Model, group: &Group) -> Vec<Span> {
        group.members.iter().map(|activity| self.span(model, *activity)).collect()
    }

    /// What a group does.
    pub(crate) fn operation(&self, group: &Group) -> &str {
        match group.how {
            How::Message => MESSAGE,
            _ => self.parts.text(self.parts.rows[group.parts[0] as usize].operation),
        }
    }

    /// The largest payload of a group's members.
    pub(crate) fn bytes(&self, group: &Group) -> Option<i64> {
        group.parts.iter().filter_map(|part| self.parts.rows[*part as usize].bytes).max()
    }

    /// Whether the clocks of a group's members can be compared.
    pub(crate) fn comparable(&self, model: &Model, group: &Group) -> bool {
        let frame = |activity: &u32| self.clocks.get(&model.activities[*activity as usize].device.0).map(|c| c.frame);
        let mut frames = group.members.iter().map(frame);
        let first = frames.next().flatten();
        frames.all(|frame| frame == first)
    }
}

/// The ranks in one time.
///
/// # Errors
/// As [`Input::model`]; when a frame does not have the columns of its table.
pub(crate) fn aligned(input: &Input) -> Result<Aligned, Error> {
    let model = input.model()?;
    let starts = session::starts(input, model)?;
    let parts = Parts::read(model, input.tables)?;
    let mut buckets = matching::buckets(&parts);
    let mut aligned = Aligned { parts, ..Aligned::default() };
    aligned.set(&starts, &refine(model, &starts, &buckets));
    // Rows were paired by their order alone; where that cannot be, the order was not the same on all ranks.
    let before = buckets.iter().filter(|bucket| bucket.aligns()).count();
    for bucket in &mut buckets {
        if bucket.is_refutable() && !mostly_possible(model, &aligned, bucket) {
            bucket.groups.clear();
        }
    }
    if buckets.iter().filter(|bucket| bucket.aligns()).count() < before {
        aligned.set(&starts, &refine(model, &starts, &buckets));
    }
    for bucket in buckets.iter_mut().filter(|bucket| bucket.groups.is_empty()) {
        bucket.pair_by_overlap(|activity| aligned.span(model, activity));
    }
    let mut groups: Vec<Group> = buckets.into_iter().flat_map(|bucket| bucket.groups).collect();
    groups.sort_by_cached_key(|group| {
        (aligned.spans(model, group).iter().map(|span| span.0).min(), group.members.clone())
    });
    aligned.groups = groups;
    Ok(aligned)
}

/// Whether at least half of a bucket's groups can be what they are taken for; with clocks that cannot be compared
/// nobody can tell.
fn mostly_possible(model: &Model, aligned: &Aligned, bucket: &Bucket) -> bool {
    let fits = |group: &&Group| !aligned.comparable(model, group) || possible(&aligned.spans(model, group));
    2 * bucket.groups.iter().filter(fits).count() >= bucket.groups.len()
}

/// What collectives add to each rank and the rank that it was fitted to.
type Refined = BTreeMap<i64, (i64, i64)>;

/// Fits the clocks to the ends of collectives: those that are matched by their sequence where they connect all ranks
/// that any connects, else all.
fn refine(model: &Model, starts: &BTreeMap<i64, Start>, buckets: &[Bucket]) -> Refined {
    let by_sequence = fitted(model, starts, buckets.iter().filter(|bucket| bucket.how == How::Sequence));
    if buckets.iter().all(|bucket| bucket.how == How::Sequence || !bucket.aligns()) {
        return by_sequence;
    }
    let all = fitted(model, starts, buckets.iter());
    let references = |refined: &Refined| refined.values().map(|value| value.1).collect::<BTreeSet<_>>().len();
    if by_sequence.len() == all.len() && references(&by_sequence) == references(&all) { by_sequence } else { all }
}

fn fitted<'b>(model: &Model, starts: &BTreeMap<i64, Start>, buckets: impl Iterator<Item = &'b Bucket>) -> Refined {
    // Clocks with a known session start come first: a component is fitted to the first of its clocks.
    let mut ranks: Vec<i64> = starts.keys().copied().collect();
    ranks.sort_by_key(|rank| (starts[rank].add.is_none(), *rank));
    let clocks: BTreeMap<i64, usize> = ranks.iter().enumerate().map(|(clock, rank)| (*rank, clock)).collect();
    let end = |activity: &u32| {
        let row = &model.activities[*activity as usize];
        let add = starts.get(&row.device.0).and_then(|start| start.add).unwrap_or(0);
        Some((*clocks.get(&row.device.0)?, row.span.1.saturating_add(add)))
    };
    let seen = buckets.flat_map(|bucket| bucket.groups.iter().filter(|group| group.aligns));
    let ends: Vec<Ends> = seen.map(|group| group.members.iter().filter_map(end).collect()).collect();
    let offsets = align(ranks.len(), &ends);
    let of = |(rank, offset): (&i64, _)| {
        Option::map(offset, |o: proftool_timeline::clock::Offset| (*rank, (o.add, ranks[o.reference])))
    };
    ranks.iter().zip(offsets).filter_map(of).collect()
}

impl Aligned {
    fn set(&mut self, starts: &BTreeMap<i64, Start>, refined: &Refined) {
        let known = starts.values().position(|start| start.add.is_some()).unwrap_or(0);
        let frame_of = |rank: i64| {
            let own = starts.keys().position(|other| *other == rank).unwrap_or(0);
            if starts.get(&rank).is_some_and(|start| start.add.is_some()) { known } else { own }
        };
        for (rank, start) in starts {
            let fitted = refined.get(rank).copied();
            let clock = Clock {
                source: start.source,
                session: start.add,
                refined: fitted.map(|fitted| fitted.0),
                reference: fitted.map(|fitted| fitted.1),
                frame: frame_of(fitted.filter(|_| start.add.is_none()).map_or(*rank, |fitted| fitted.1)),
            };
            self.offsets.insert(*rank, start.add.unwrap_or(0).saturating_add(clock.refined.unwrap_or(0)));
            self.clocks.insert(*rank, clock);
        }
    }
}
