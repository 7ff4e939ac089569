//! The collectives of each kind and size.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::{Aligned, MESSAGE, Timing};
use crate::collectives::Part;
use crate::metrics::collectives::Windows;
use crate::model::{DeviceKey, Model};
use crate::operators::Span;

/// From so many distinct sizes on, sizes are put together by powers of two.
const EXACT_SIZES: usize = 64;

/// Collectives that share a row, but for their size. Texts, so that the order of rows does not depend on that of the
/// data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) window: usize,
    pub(super) operation: String,
    pub(super) group: Option<String>,
    pub(super) group_size: Option<i64>,
}

/// One collective, or the part of it that was seen.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) bytes: Option<i64>,
    pub(super) device: DeviceKey,
    pub(super) durations: Vec<i64>,
    pub(super) timing: Timing,
    /// Whether every rank was seen and the clocks can be compared; `None` where the size of the group is not recorded.
    pub(super) complete: Option<bool>,
}

/// All collectives by kind: the matched ones, then those of which one device was seen.
pub(super) fn instances(model: &Model, aligned: &Aligned, windows: &Windows) -> BTreeMap<Kind, Vec<Instance>> {
    let mut found: BTreeMap<Kind, Vec<Instance>> = BTreeMap::new();
    let mut matched = vec![false; aligned.parts.rows.len()];
    let mut add = |operation: &str, first: &Part, instance: Instance| {
        let start = model.activities[first.activity as usize].span.0;
        let Some(window) = windows.at(first.device, start) else { return };
        let group = first.group.map(|group| aligned.parts.text(group).to_owned());
        let kind = Kind { window, operation: operation.to_owned(), group, group_size: first.group_size };
        found.entry(kind).or_default().push(instance);
    };
    let length = |span: &Span| span.1.saturating_sub(span.0);
    for group in &aligned.groups {
        for part in &group.parts {
            matched[*part as usize] = true;
        }
        let (spans, first) = (aligned.spans(model, group), &aligned.parts.rows[group.parts[0] as usize]);
        let Some(timing) = Timing::of(&spans) else { continue };
        let (durations, bytes) = (spans.iter().map(length).collect(), aligned.bytes(group));
        let complete = group.complete.map(|complete| complete && aligned.comparable(model, group));
        add(aligned.operation(group), first, Instance { bytes, device: first.device, durations, timing, complete });
    }
    for (part, _) in aligned.parts.rows.iter().zip(matched).filter(|(_, matched)| !matched) {
        let span = aligned.span(model, part.activity);
        let Some(timing) = Timing::of(&[span]) else { continue };
        let operation = match (aligned.parts.text(part.operation), part.peer) {
            ("send" | "recv", Some(_)) => MESSAGE,
            (operation, _) => operation,
        };
        let (durations, bytes) = (vec![length(&span)], part.bytes);
        // A group of one rank is complete, and moves nothing.
        let complete = Some(part.group_size == Some(1));
        add(operation, part, Instance { bytes, device: part.device, durations, timing, complete });
    }
    found
}

/// Smallest and largest size of a row.
pub(super) type Sizes = Option<(i64, i64)>;

/// The instances of each size, or of each power of two where there are too many sizes; last those without a size.
pub(super) fn by_size(instances: Vec<Instance>) -> Vec<(Sizes, Vec<Instance>)> {
    let distinct: BTreeSet<i64> = instances.iter().filter_map(|instance| instance.bytes).collect();
    let exact = distinct.len() < EXACT_SIZES;
    let bin = |bytes: i64| if exact { bytes } else { i64::from(bytes.max(0).checked_ilog2().map_or(0, |log| log + 1)) };
    let mut bins: BTreeMap<(bool, i64), Vec<Instance>> = BTreeMap::new();
    for instance in instances {
        bins.entry((instance.bytes.is_none(), instance.bytes.map_or(0, bin))).or_default().push(instance);
    }
    let sizes = |alike: &[Instance]| {
        let bytes = || alike.iter().filter_map(|instance| instance.bytes);
        bytes().min().zip(bytes().max())
    };
    bins.into_values().map(|alike| (sizes(&alike), alike)).collect()
}
