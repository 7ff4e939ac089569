//! What a page of counters holds, and which of it a formula takes.

use std::collections::HashMap;
use std::sync::Arc;

use super::Def;
use super::sum::{Domain, Scale, Term};

/// How a counter of a page may be rolled up over its instances and time, the best first.
const ROLLUPS: [&str; 3] = [".sum", ".sum.per_cycle_elapsed", ".sum.per_second"];

fn scale(rollup: &str, base: &str) -> Scale {
    match rollup {
        ".sum" => Scale::Count,
        ".sum.per_second" => Scale::PerSecond,
        _ => Scale::PerCycle(Domain::of(base)),
    }
}

/// The counters of a page by name. A counter gets a slot when a formula first takes it.
pub(super) struct Page<'a> {
    real: HashMap<&'a str, Vec<i64>>,
    shown: Vec<&'a Def<'a>>,
    slots: HashMap<i64, usize>,
    metrics: Vec<Arc<str>>,
}

impl<'a> Page<'a> {
    pub(super) fn new(defs: &'a [Def<'a>]) -> Self {
        let (mut real, mut shown) = (HashMap::<&str, Vec<i64>>::new(), Vec::new());
        for def in defs {
            match def.formula_id {
                Some(formula) if formula.starts_with("section:") => shown.push(def),
                _ => real.entry(def.metric).or_default().push(def.def),
            }
        }
        Self { real, shown, slots: HashMap::new(), metrics: Vec::new() }
    }

    /// Real metric names, in no order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.real.keys().copied()
    }

    /// Whether the page holds a metric of that real name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.real.contains_key(name)
    }

    /// The slot of a real name. Rows of several pages that state one metric share it.
    pub(super) fn slot(&mut self, name: &str) -> Option<usize> {
        let defs = self.real.get(name)?;
        if let Some(slot) = defs.iter().find_map(|def| self.slots.get(def)) {
            return Some(*slot);
        }
        let slot = self.metrics.len();
        self.metrics.push(Arc::from(name));
        self.slots.extend(defs.iter().map(|def| (*def, slot)));
        Some(slot)
    }

    /// The slot of a display name, in the section (`section:Name/Label`) that `section` wants.
    pub(super) fn shown(&mut self, name: &str, section: impl Fn(&str) -> bool) -> Option<usize> {
        let wanted = |def: &&&Def<'_>| def.metric == name && def.formula_id.is_some_and(&section);
        let def = self.shown.iter().find(wanted)?;
        let (number, name) = (def.def, def.metric);
        Some(*self.slots.entry(number).or_insert_with(|| {
            self.metrics.push(Arc::from(name));
            self.metrics.len() - 1
        }))
    }

    /// A counter under the first of its base names, as a sum over the launch if the page has one, else as a rate.
    pub(super) fn term(&mut self, bases: &[&str], factor: f64) -> Option<Term> {
        ROLLUPS.iter().find_map(|rollup| {
            bases.iter().find_map(|base| {
                let slot = self.slot(&format!("{base}{rollup}"))?;
                Some(Term { slot, factor, scale: scale(rollup, base) })
            })
        })
    }

    /// All real and display metrics that are percentages, with the unit that they are printed in.
    pub(super) fn percentages(&mut self) -> Vec<usize> {
        let mut named: Vec<&str> = self.real.keys().copied().filter(|name| is_percentage(name)).collect();
        // Slots do not depend on the order of a hash table.
        named.sort_unstable();
        let mut slots: Vec<usize> = named.into_iter().filter_map(|name| self.slot(name)).collect();
        for at in 0..self.shown.len() {
            let def = self.shown[at];
            if def.unit == Some("%") {
                let metrics = &mut self.metrics;
                slots.push(*self.slots.entry(def.def).or_insert_with(|| {
                    metrics.push(Arc::from(def.metric));
                    metrics.len() - 1
                }));
            }
        }
        slots.sort_unstable();
        slots
    }

    /// The slots of the definitions, and the names of the metrics in the slots.
    pub(super) fn finish(self) -> (HashMap<i64, usize>, Vec<Arc<str>>) {
        (self.slots, self.metrics)
    }
}

/// Whether a metric is a share of a whole. The largest instance (`.max`) is held against the cycles of an average one,
/// so it exceeds 100 without anything being wrong.
fn is_percentage(name: &str) -> bool {
    let average = name.contains(".avg.pct_of_peak") || name.contains(".sum.pct_of_peak");
    average || name.rsplit_once('.').is_some_and(|(_, rollup)| rollup == "pct")
}

/// The sections that hold ncu's roofline charts.
pub(super) fn in_roofline(section: &str) -> bool {
    section.contains("Roofline")
}

/// The section of throughputs, duration and clocks.
pub(super) fn in_speed_of_light(section: &str) -> bool {
    section.starts_with("section:GPU Speed Of Light Throughput") || section == "section:GPU Speed Of Light"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_whole_are_percentages_and_those_of_the_largest_instance_are_not() {
        assert!(is_percentage("lts__t_sector_hit_rate.pct"));
        assert!(is_percentage("dram__throughput.avg.pct_of_peak_sustained_elapsed"));
        assert!(!is_percentage("smsp__issue_active.max.pct_of_peak_sustained_active"));
        assert!(!is_percentage("derived__pct_occupancy_per_block_size"));
    }

    #[test]
    fn definitions_of_one_metric_share_a_slot_and_unused_ones_have_none() {
        let def = |def, metric| Def { def, metric, ..Def::default() };
        let defs = [def(7, "dram__bytes.sum"), def(9, "dram__bytes.sum"), def(11, "other")];
        let mut page = Page::new(&defs);
        assert_eq!(page.slot("dram__bytes.sum"), Some(0));
        assert_eq!(page.slot("dram__bytes.sum"), Some(0));
        let (slots, metrics) = page.finish();
        assert_eq!((slots.get(&7), slots.get(&9), slots.get(&11), metrics.len()), (Some(&0), Some(&0), None, 1));
    }
}
