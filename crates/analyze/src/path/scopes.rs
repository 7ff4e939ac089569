//! Which ranks share a graph, and the windows of a scope.

use std::collections::BTreeMap;

use super::{Builder, Plan, Scope};
use crate::Error;
use crate::clock::{Group, aligned};
use crate::metrics::Input;
use crate::model::{DeviceKey, Model};
use crate::operators::Span;
use crate::windows::{self, WindowSet};

/// The graphs of a pass, by their lowest rank.
pub(crate) fn scopes<'i>(input: &'i Input) -> Result<Vec<Scope<'i>>, Error> {
    let model = input.model()?;
    Ok(input.plans()?.iter().map(|plan| Scope { model, plan }).collect())
}

/// Builds the graphs of a pass; [`Input::plans`] keeps them.
pub(crate) fn plans(input: &Input) -> Result<Vec<Plan>, Error> {
    let model = input.model()?;
    let ranks = ranks(model);
    if ranks.is_empty() {
        return Ok(Vec::new());
    }
    let aligned = aligned(input)?;
    let meets = |group: &&Group| group.aligns && aligned.comparable(model, group);
    let groups: Vec<&Group> = aligned.groups.iter().filter(meets).collect();
    let scope = |ranks: Vec<i64>| {
        // A rank alone keeps its own time, in which its other results are.
        let shift = |rank: i64| if ranks.len() > 1 { aligned.offsets.get(&rank).copied().unwrap_or(0) } else { 0 };
        let mut builder = Builder::new(model, ranks.iter().map(|rank| (*rank, shift(*rank))).collect());
        let own =
            |group: &&&Group| group.members.first().is_some_and(|member| ranks.contains(&rank_of(model, *member)));
        let own: Vec<&Group> = groups.iter().filter(own).copied().collect();
        builder.activities(&own);
        builder.threads();
        builder.launches();
        builder.queues();
        builder.declared();
        builder.events();
        builder.finish()
    };
    Ok(components(model, &ranks, &groups).into_iter().map(scope).collect())
}

fn rank_of(model: &Model, activity: u32) -> i64 {
    model.activities[activity as usize].device.0
}

fn ranks(model: &Model) -> Vec<i64> {
    let mut ranks: Vec<i64> = model.device_keys().into_iter().map(|key| key.0).collect();
    ranks.dedup();
    ranks
}

/// The ranks that collectives connect, each set sorted, the sets by their lowest rank.
fn components(model: &Model, ranks: &[i64], groups: &[&Group]) -> Vec<Vec<i64>> {
    let place: BTreeMap<i64, usize> = ranks.iter().enumerate().map(|(at, rank)| (*rank, at)).collect();
    let mut parents: Vec<usize> = (0..ranks.len()).collect();
    let root = |parents: &mut Vec<usize>, mut at: usize| {
        while parents[at] != at {
            parents[at] = parents[parents[at]];
            at = parents[at];
        }
        at
    };
    for group in groups {
        let members: Vec<usize> =
            group.members.iter().filter_map(|at| place.get(&rank_of(model, *at)).copied()).collect();
        for pair in members.windows(2) {
            let (a, b) = (root(&mut parents, pair[0]), root(&mut parents, pair[1]));
            parents[a.max(b)] = a.min(b);
        }
    }
    let mut sets: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    for (at, rank) in ranks.iter().enumerate() {
        sets.entry(root(&mut parents, at)).or_default().push(*rank);
    }
    sets.into_values().collect()
}

impl Scope<'_> {
    /// The window sets of the scope in its time: those of its first rank's devices; a whole trace reaches over all
    /// devices of all its ranks.
    ///
    /// # Errors
    /// As [`Input::sets`].
    pub(crate) fn sets(&self, input: &Input) -> Result<Vec<WindowSet>, Error> {
        let model = self.model;
        let devices: Vec<DeviceKey> =
            model.device_keys().into_iter().filter(|key| self.shifts.contains_key(&key.0)).collect();
        let mut merged: Vec<WindowSet> = Vec::new();
        for (at, device) in devices.iter().enumerate() {
            let add = self.shifts[&device.0];
            let shift = |span: &Span| (span.0.saturating_add(add), span.1.saturating_add(add));
            for (place, set) in input.sets(windows::Scope::Device(*device))?.into_iter().enumerate() {
                let spans: Vec<Span> = set.spans.iter().map(shift).collect();
                match merged.get_mut(place) {
                    Some(whole) if whole.name == "trace" => whole.spans = hull(whole.spans.iter().chain(&spans)),
                    None if at == 0 => merged.push(WindowSet { name: set.name, spans }),
                    _ => {}
                }
            }
        }
        Ok(merged)
    }
}

fn hull<'s>(spans: impl Iterator<Item = &'s Span>) -> Vec<Span> {
    spans.copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).into_iter().collect()
}
