//! Bounds summed over the launches of a family.

use std::collections::BTreeMap;

use proftool_roofline::{Level, Limiter};

use super::LaunchBound;
use crate::metrics::ratio;

/// Sum of bounds from one set of roofs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    ns: i64,
    time: i64,
    limiters: BTreeMap<Limiter, i64>,
    /// Launches that did something for which there is no roof.
    pub(crate) partial: i64,
}

impl Bounds {
    pub(crate) fn add(&mut self, bound: Option<LaunchBound>, time: i64) {
        let Some(bound) = bound else { return };
        self.ns = self.ns.saturating_add(bound.ns);
        self.time = self.time.saturating_add(time);
        self.partial += i64::from(bound.partial);
        let sum = self.limiters.entry(bound.limiter).or_default();
        *sum = sum.saturating_add(bound.ns);
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        self.ns = self.ns.saturating_add(other.ns);
        self.time = self.time.saturating_add(other.time);
        self.partial += other.partial;
        for (limiter, ns) in &other.limiters {
            let sum = self.limiters.entry(*limiter).or_default();
            *sum = sum.saturating_add(*ns);
        }
    }

    /// The sum, `None` when no launch has a bound.
    pub(crate) fn ns(&self) -> Option<i64> {
        (!self.limiters.is_empty()).then_some(self.ns)
    }

    /// The time of the launches that have a bound.
    pub(crate) fn time(&self) -> i64 {
        self.time
    }

    pub(crate) fn recoverable(&self) -> Option<i64> {
        self.ns().map(|ns| self.time.saturating_sub(ns).max(0))
    }

    pub(crate) fn above_roof(&self) -> Option<i64> {
        self.ns().map(|ns| ns.saturating_sub(self.time).max(0))
    }

    pub(crate) fn efficiency(&self) -> Option<f64> {
        self.ns().and_then(|ns| ratio(ns, self.time))
    }

    /// The name of what gives most of the sum; on equal sums the first: a kernel on the ridge is named compute.
    pub(crate) fn limiter(&self) -> Option<&'static str> {
        let mut sums: Vec<(&'static str, i64)> = Vec::new();
        for (limiter, ns) in &self.limiters {
            match sums.iter_mut().find(|(name, _)| *name == limiter.name()) {
                Some((_, sum)) => *sum = sum.saturating_add(*ns),
                None => sums.push((limiter.name(), *ns)),
            }
        }
        sums.iter().rev().max_by_key(|(_, ns)| *ns).map(|(name, _)| *name)
    }

    /// The level that gives most of the bounds that are memory bounds, where memory is the limiter.
    pub(crate) fn level(&self) -> Option<Level> {
        self.limiter().filter(|name| *name == "memory")?;
        let levels = self.limiters.iter().rev().filter_map(|(limiter, ns)| match limiter {
            Limiter::Memory(level) => Some((*level, *ns)),
            _ => None,
        });
        levels.max_by_key(|(_, ns)| *ns).map(|(level, _)| level)
    }
}
