//! Several passes over one program: what one pass lacks, another may have counted; and means of launches.

use std::collections::BTreeSet;
use std::sync::Arc;

use proftool_roofline::{Counts, Flop, Level, Traffic};

use super::pools::PhaseNumber;
use crate::roofline::profiled::Profiled;

/// Formulas of counts that two passes made together, each joined text once.
#[derive(Debug, Default)]
pub(super) struct Joined(Vec<[Arc<str>; 3]>);

impl Joined {
    /// Both identifiers, joined by `;`: that of the bytes first, whose parts tell which levels compare.
    fn text(&mut self, bytes: &Arc<str>, flop: &Arc<str>) -> Arc<str> {
        if bytes == flop {
            return bytes.clone();
        }
        let is = |known: &&[Arc<str>; 3]| Arc::ptr_eq(&known[0], bytes) && Arc::ptr_eq(&known[1], flop);
        if let Some(known) = self.0.iter().find(is) {
            return known[2].clone();
        }
        let mut ids: Vec<&str> = Vec::new();
        for id in bytes.split(';').chain(flop.split(';')) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let text: Arc<str> = ids.join(";").into();
        self.0.push([bytes.clone(), flop.clone(), text.clone()]);
        text
    }

    /// Every joined text.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|[_, _, text]| text)
    }
}

/// Launches of one kernel, grid, block and device from several passes.
pub(super) struct Merging<'p> {
    pub(super) profiled: &'p mut Profiled,
    pub(super) joined: &'p mut Joined,
    /// The phase of each profiled launch.
    pub(super) phases: &'p mut [Option<PhaseNumber>],
    /// Whether launches that have no partner stay: they do where there is no timeline.
    pub(super) keep_all: bool,
}

impl Merging<'_> {
    /// The launches of all passes as one: the pass that tells most, filled up from the others. The n-th launch of a pass
    /// is the n-th of another where both profiled as many (or where all launches are kept), else the means fill in.
    /// A phase that only one pass profiled stays.
    pub(super) fn merge(&mut self, mut passes: Vec<Vec<u32>>) -> Vec<u32> {
        // Passes come in the order of the table; of equal ones the first stays.
        passes.sort_by_cached_key(|launches| std::cmp::Reverse(self.worth(launches)));
        let mut passes = passes.into_iter();
        let mut base = passes.next().unwrap_or_default();
        for other in passes {
            if self.adopt_phases(&base, &other) {
                self.fill_each(&base, &other);
                continue;
            }
            let phases: BTreeSet<_> = other.iter().map(|launch| self.phases[*launch as usize]).collect();
            for phase in phases {
                let of = |launches: &[u32]| -> Vec<u32> {
                    launches.iter().filter(|launch| self.phases[**launch as usize] == phase).copied().collect()
                };
                let (own, more) = (of(&base), of(&other));
                if own.len() == more.len() || self.keep_all || own.is_empty() {
                    self.fill_each(&own, &more);
                    base.extend(more.get(own.len()..).unwrap_or_default());
                } else {
                    self.fill_mean(&own, &more);
                }
            }
        }
        base
    }

    /// FLOP and bytes, then a duration, then levels of memory, then launches.
    fn worth(&self, launches: &[u32]) -> impl Ord + use<> {
        let counts = launches.iter().filter_map(|launch| self.counts(*launch));
        let known = |counts: &Counts| {
            let (flop, bytes) = (counts.flop_sum().is_some(), !counts.bytes.is_empty());
            (u8::from(flop) + u8::from(bytes), counts.replay_ns.is_some(), flop, counts.bytes.len())
        };
        (counts.map(known).max(), launches.len())
    }

    fn counts(&self, launch: u32) -> Option<&Counts> {
        self.profiled.counts.get(self.profiled.launches[launch as usize].counts? as usize)
    }

    /// Whether two passes profiled the same launches one by one, as far as their phases tell; a pass without phases gets
    /// those of the other.
    fn adopt_phases(&mut self, base: &[u32], other: &[u32]) -> bool {
        let pairs = || base.iter().zip(other).map(|(own, more)| (*own as usize, *more as usize));
        let fits = |(own, more): (usize, usize)| {
            let (own, more) = (self.phases[own], self.phases[more]);
            own.is_none() || more.is_none() || own == more
        };
        let same = base.len() == other.len() && pairs().all(fits);
        if same {
            pairs().for_each(|(own, more)| self.phases[own] = self.phases[own].or(self.phases[more]));
        }
        same
    }

    fn fill_each(&mut self, base: &[u32], other: &[u32]) {
        for (own, more) in base.iter().zip(other) {
            let (at, from) = (*own as usize, self.profiled.launches[*more as usize]);
            self.add_zeros(*own);
            self.add_zeros(*more);
            match (self.profiled.launches[at].counts, from.counts) {
                (None, _) => self.profiled.launches[at].counts = from.counts,
                (Some(own), Some(from)) => self.fill(own, &self.profiled.counts[from as usize].clone()),
                (Some(_), None) => {}
            }
            match (self.profiled.launches[at].rates, from.rates) {
                (None, _) => self.profiled.launches[at].rates = from.rates,
                (Some(own), Some(from)) => self.fill(own, &self.profiled.counts[from as usize].clone()),
                (Some(_), None) => {}
            }
        }
    }

    fn fill_mean(&mut self, base: &[u32], other: &[u32]) {
        let all: Vec<&Counts> = other.iter().filter_map(|launch| self.counts(*launch)).collect();
        if all.is_empty() {
            return;
        }
        let from = mean(&all);
        let own: Vec<u32> = base.iter().filter_map(|launch| self.profiled.launches[*launch as usize].counts).collect();
        for counts in own {
            self.fill(counts, &from);
        }
    }

    /// What the page of a launch counted as zero must not be taken from another page.
    fn add_zeros(&mut self, launch: u32) {
        let mut counts = std::mem::take(&mut self.profiled.counts);
        self.profiled.add_zeros(&self.profiled.launches[launch as usize], &mut counts);
        self.profiled.counts = counts;
    }

    fn fill(&mut self, own: u32, from: &Counts) {
        let own = &mut self.profiled.counts[own as usize];
        let (flop, bytes) = (fill_flop(own, from), fill_bytes(own, from));
        own.wire_bytes = own.wire_bytes.or(from.wire_bytes);
        own.instructions = own.instructions.or(from.instructions);
        own.replay_ns = own.replay_ns.or(from.replay_ns);
        own.clock_hz = own.clock_hz.or(from.clock_hz);
        own.formula = match (&own.formula, &from.formula) {
            (Some(known), Some(more)) if bytes => Some(self.joined.text(more, known)),
            (Some(known), Some(more)) if flop => Some(self.joined.text(known, more)),
            (known, more) => known.clone().or(more.clone().filter(|_| flop || bytes)),
        };
    }
}

/// Adds types that only the other pass counted. Counters of matrix units come as sums or as parts of those, so that both
/// passes' are never added.
fn fill_flop(own: &mut Counts, from: &Counts) -> bool {
    if own.flop_known || (from.flop.is_empty() && !from.flop_known) {
        return false;
    }
    if from.flop_known {
        own.flop.clone_from(&from.flop);
        (own.flop_known, own.flop_source) = (true, from.flop_source);
        return true;
    }
    let has_matrix = own.flop.iter().any(|flop| flop.precision.is_matrix());
    let before = own.flop.len();
    for flop in &from.flop {
        let known = own.flop.iter().any(|own| (own.precision, own.sparse) == (flop.precision, flop.sparse));
        if !(known || has_matrix && flop.precision.is_matrix()) {
            own.flop.push(*flop);
        }
    }
    own.flop_source = own.flop_source.or(from.flop_source);
    own.flop.len() > before
}

/// Adds levels that only the other pass counted.
fn fill_bytes(own: &mut Counts, from: &Counts) -> bool {
    let before = own.bytes.len();
    for traffic in &from.bytes {
        if own.bytes_of(traffic.level).is_none() {
            own.bytes.push(*traffic);
        }
    }
    own.bytes_source = own.bytes_source.or(from.bytes_source);
    own.bytes.len() > before
}

/// The mean; of values whose sum is too large the sum of their shares.
fn average(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let mean = if mean.is_finite() { mean } else { values.iter().map(|value| value / count).sum() };
    (!values.is_empty() && mean.is_finite()).then_some(mean)
}

/// The mean counts, each count over the launches that have it.
pub(super) fn mean(all: &[&Counts]) -> Counts {
    let of =
        |value: fn(&Counts) -> Option<f64>| average(&all.iter().filter_map(|counts| value(counts)).collect::<Vec<_>>());
    let counted = all.iter().filter(|counts| counts.flop_known || !counts.flop.is_empty()).count();
    let mut mean = Counts {
        flop_known: all.iter().all(|counts| counts.flop_known || counts.flop.is_empty()) && counted > 0,
        wire_bytes: of(|counts| counts.wire_bytes),
        instructions: of(|counts| counts.instructions),
        replay_ns: of(|counts| counts.replay_ns),
        clock_hz: of(|counts| counts.clock_hz),
        formula: all.iter().find_map(|counts| counts.formula.clone()),
        flop_source: all.iter().find_map(|counts| counts.flop_source),
        bytes_source: all.iter().find_map(|counts| counts.bytes_source),
        ..Counts::default()
    };
    for flop in all.iter().flat_map(|counts| &counts.flop) {
        let is = |other: &&mut Flop| (other.precision, other.sparse) == (flop.precision, flop.sparse);
        let share = flop.ops / counted as f64;
        match mean.flop.iter_mut().find(is) {
            Some(sum) => sum.ops += share,
            None => mean.flop.push(Flop { ops: share, ..*flop }),
        }
    }
    for level in Level::all() {
        let known: Vec<f64> = all.iter().filter_map(|counts| counts.bytes_of(level)).collect();
        mean.bytes.extend(average(&known).map(|bytes| Traffic { level, bytes }));
    }
    mean
}
