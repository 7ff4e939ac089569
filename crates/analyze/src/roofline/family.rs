//! Kernel families: the launches of one name in one phase on one device and window set, summed.

mod answers;
mod parts;
mod rates;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use proftool_roofline::counters::comparable;
use proftool_roofline::{Counts, Level, Precision, Roofs, Source};

use super::bounds::Bounds;
use super::join::Reason;
use super::place::{launch_bound, whole};
use super::{Engine, Placed, Quality};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::metrics::Input;
use crate::model::{DeviceKey, Model};
use crate::operators::Span;
use crate::windows::{Scope, WindowSet};
use parts::Paired;
pub(crate) use parts::{Amplification, Operations};
use rates::Rates;

/// Operations of one precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlopSum {
    pub(crate) precision: Precision,
    pub(crate) sparse: bool,
    pub(crate) ops: i64,
}

/// One kernel family in one phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    pub(crate) device: DeviceKey,
    pub(crate) window: String,
    pub(crate) name: String,
    pub(crate) phase: Option<String>,
    pub(crate) launches: i64,
    /// Launches that have counts, or of pages without durations rates.
    pub(crate) matched: i64,
    pub(crate) time: i64,
    /// Part of the time of launches that have counts: what rates are over.
    pub(crate) counted_time: i64,
    /// `kernel`, `copy`, `set` or `graph`, of its first launch.
    pub(crate) kind: &'static str,
    /// Part of the time in which kernels ran; the rest is copies and sets.
    kernel_time: i64,
    /// Time of all kernels of the device in the window set.
    pub(crate) device_time: i64,
    pub(crate) flop: Vec<FlopSum>,
    flop_known: bool,
    /// Types that were counted, of which no launch did an operation, of pages that do not count all.
    zeros: Vec<Precision>,
    pub(crate) bytes: Vec<(Level, i64)>,
    paired: Paired,
    wire: Option<i64>,
    /// Launches with a replay time beside that of the timeline, and the sum of those.
    replays: (i64, f64),
    pub(crate) is_copy: bool,
    pub(crate) used: Bounds,
    pub(crate) shared: Bounds,
    pub(crate) datasheet: Bounds,
    pub(crate) observed: Bounds,
    pub(crate) rates: Rates,
    pub(crate) bytes_amplification: Amplification,
    pub(crate) flop_amplification: Amplification,
    pub(crate) quality: Option<Quality>,
    /// Launches and time without a bound, by reason.
    pub(crate) unplaced: Vec<(Reason, i64, i64)>,
    flop_sources: Vec<Source>,
    bytes_sources: Vec<Source>,
    /// Whether the counters leave bytes or FLOP open that analytic counts filled in.
    filled: bool,
    formulas: Vec<Arc<str>>,
    /// The formula of each inner level's bytes, and the levels whose launches do not agree on one.
    level_formulas: Vec<(Level, Arc<str>)>,
    mixed: Vec<Level>,
    passes: Vec<u32>,
    has_kernels: bool,
    has_timeline: bool,
    link: Option<u32>,
    shared_roofs: Option<Rc<Roofs>>,
}

/// The families of every device and window set, by name and phase.
pub(crate) fn families(input: &Input) -> Result<Vec<Family>, Error> {
    let (engine, model) = (input.engine()?, input.model()?);
    let mut all = Vec::new();
    for (device, roofs) in engine.devices() {
        for set in input.sets(Scope::Device(device))? {
            let shared = roofs.shared(cores_in_use(model, &set)).map(Rc::new);
            all.extend(of_set(engine, model, device, &set, shared.as_ref()));
        }
    }
    Ok(all)
}

/// The roof that gives most of the bounds of a phase.
pub(crate) fn phase_limiter(families: &[Family], phase: Option<&str>) -> Option<&'static str> {
    let mut whole = Bounds::default();
    for family in families.iter().filter(|family| family.phase.as_deref() == phase && !family.is_copy) {
        whole.add_all(&family.used);
    }
    whole.limiter()
}

/// How many devices compute in the windows; of cpu devices, each is one core.
fn cores_in_use(model: &Model, set: &WindowSet) -> i64 {
    let rows = model.begun_in(&set.spans).filter(|row| row.class == Class::Compute);
    rows.map(|row| row.device).collect::<BTreeSet<_>>().len() as i64
}

/// Indices of the activities of a device that begin inside the windows (sorted and disjoint).
pub(crate) fn begun(model: &Model, device: DeviceKey, windows: &[Span]) -> impl Iterator<Item = usize> {
    let first = model.activities.partition_point(|row| row.device < device);
    let rows = model.of_device(device);
    windows.iter().flat_map(move |window| {
        let from = rows.partition_point(|row| row.span.0 < window.0);
        let count = rows[from..].partition_point(|row| row.span.0 < window.1);
        first + from..first + from + count
    })
}

fn of_set(
    engine: &Engine,
    model: &Model,
    device: DeviceKey,
    set: &WindowSet,
    shared: Option<&Rc<Roofs>>,
) -> Vec<Family> {
    let mut families =
        Collected { engine, device, set, shared, index: HashMap::new(), rows: Vec::new(), kernel_time: 0 };
    if engine.has_timeline() {
        for index in begun(model, device, &set.spans) {
            let kind = model.activities[index].kind;
            if let Some(placed) = engine.of_activity(index).filter(|_| kind != Kind::Sync) {
                families.add(placed, kind);
            }
        }
    } else {
        // Replays have no place in time: the one window set holds them all.
        engine
            .placed()
            .iter()
            .filter(|placed| placed.device == device)
            .for_each(|placed| families.add(placed, Kind::Kernel));
    }
    families.finish()
}

/// The families of one device and window set while they are summed.
struct Collected<'a> {
    engine: &'a Engine,
    device: DeviceKey,
    set: &'a WindowSet,
    shared: Option<&'a Rc<Roofs>>,
    index: HashMap<(u32, Option<u32>), usize>,
    rows: Vec<Family>,
    kernel_time: i64,
}

impl Collected<'_> {
    fn add(&mut self, placed: &Placed, kind: Kind) {
        let next = self.rows.len();
        let at = *self.index.entry((placed.name, placed.phase)).or_insert(next);
        if at == next {
            self.rows.push(Family {
                device: self.device,
                window: self.set.name.clone(),
                kind: kind.name(),
                name: self.engine.names.text(placed.name).to_owned(),
                phase: placed.phase.map(|phase| self.engine.names.text(phase).to_owned()),
                shared_roofs: self.shared.cloned(),
                has_timeline: self.engine.has_timeline(),
                ..Family::default()
            });
        }
        if matches!(kind, Kind::Kernel | Kind::Graph) {
            self.kernel_time = self.kernel_time.saturating_add(placed.time_ns);
            self.rows[at].kernel_time = self.rows[at].kernel_time.saturating_add(placed.time_ns);
        }
        self.rows[at].add(self.engine, placed, kind);
    }

    fn finish(mut self) -> Vec<Family> {
        self.rows.sort_by(|a, b| (&a.name, &a.phase).cmp(&(&b.name, &b.phase)));
        self.rows.iter_mut().for_each(|row| row.device_time = self.kernel_time);
        self.rows
    }
}

impl Family {
    fn add(&mut self, engine: &Engine, placed: &Placed, kind: Kind) {
        let time = placed.time_ns;
        self.launches += 1;
        self.time = self.time.saturating_add(time);
        self.is_copy |= kind == Kind::Copy;
        include(&mut self.passes, placed.pass);
        self.has_kernels |= matches!(kind, Kind::Kernel | Kind::Graph);
        self.link = self.link.or(placed.link);
        self.quality = self.quality.max(placed.quality);
        if let Some(rates) = engine.counts(placed.rates) {
            self.add_rates(rates, placed);
        } else {
            self.used.add(placed.bound, time);
            self.datasheet.add(placed.datasheet, time);
            self.observed.add(placed.observed, time);
        }
        if let Some(reason) = placed.reason {
            match self.unplaced.iter_mut().find(|known| known.0 == reason) {
                Some(known) => (known.1, known.2) = (known.1 + 1, known.2.saturating_add(time)),
                None => self.unplaced.push((reason, 1, time)),
            }
        }
        let Some(counts) = engine.counts(placed.counts) else { return };
        if let Some(shared) = self.shared_roofs.as_deref().filter(|_| kind != Kind::Copy) {
            self.shared.add(launch_bound(counts, shared, None), time);
        }
        self.counted_time = self.counted_time.saturating_add(time);
        self.add_counts(counts, placed.quality);
        if let Some(analytic) = engine.counts(placed.analytic) {
            let dram = counts.bytes_of(Level::Dram).filter(|_| counts.bytes_source == Some(Source::Counter));
            self.bytes_amplification.add(dram, analytic.bytes_of(Level::Dram));
            let flop = counts.flop_sum().filter(|_| counts.flop_source == Some(Source::Counter));
            self.flop_amplification.add(flop, analytic.flop_sum());
        }
    }

    /// Adds a launch of which the page states what it did a second.
    fn add_rates(&mut self, rates: &Counts, placed: &Placed) {
        self.matched += i64::from(placed.counts.is_none());
        self.rates.add(rates, placed);
        self.add_provenance(rates);
    }

    /// Adds where FLOP and bytes come from, and which types were counted in vain.
    fn add_provenance(&mut self, counts: &Counts) {
        for zero in counts.flop.iter().filter(|flop| flop.ops <= 0.0) {
            include(&mut self.zeros, zero.precision);
        }
        counts.flop_source.into_iter().for_each(|source| include(&mut self.flop_sources, source));
        counts.bytes_source.into_iter().for_each(|source| include(&mut self.bytes_sources, source));
        let Some(formula) = &counts.formula else { return };
        if !self.formulas.iter().any(|known| Arc::ptr_eq(known, formula) || known == formula) {
            self.formulas.push(formula.clone());
        }
        for traffic in counts.bytes.iter().filter(|traffic| traffic.level != Level::Dram) {
            self.add_level_formula(traffic.level, formula);
        }
    }

    fn add_counts(&mut self, counts: &Counts, quality: Option<Quality>) {
        self.matched += 1;
        self.flop_known |= counts.flop_sum().is_some();
        self.paired.add(counts);
        for flop in counts.flop.iter().filter(|flop| flop.ops > 0.0) {
            let ops = whole(flop.ops);
            let is = |known: &&mut FlopSum| (known.precision, known.sparse) == (flop.precision, flop.sparse);
            match self.flop.iter_mut().find(is) {
                Some(known) => known.ops = known.ops.saturating_add(ops),
                None => self.flop.push(FlopSum { precision: flop.precision, sparse: flop.sparse, ops }),
            }
        }
        for traffic in &counts.bytes {
            let bytes = whole(traffic.bytes);
            match self.bytes.iter_mut().find(|known| known.0 == traffic.level) {
                Some(known) => known.1 = known.1.saturating_add(bytes),
                None => self.bytes.push((traffic.level, bytes)),
            }
        }
        if let Some(wire) = counts.wire_bytes {
            self.wire = Some(self.wire.unwrap_or(0).saturating_add(whole(wire)));
        }
        if let Some(replay) = counts.replay_ns {
            self.replays = (self.replays.0 + 1, self.replays.1 + replay);
        }
        let counted = quality.is_some_and(|quality| quality <= Quality::Name);
        self.filled |= counted && counts.bytes_source == Some(Source::Analytic);
        self.add_provenance(counts);
    }

    /// Bytes of an inner level of other formulas count something else.
    fn add_level_formula(&mut self, level: Level, formula: &Arc<str>) {
        match self.level_formulas.iter().find(|known| known.0 == level) {
            None => self.level_formulas.push((level, formula.clone())),
            Some((_, known)) if Arc::ptr_eq(known, formula) || comparable(known, formula, level) => {}
            Some(_) => include(&mut self.mixed, level),
        }
    }
}

/// Count / time; `None` where there was no time.
pub(crate) fn per_second(count: Option<i64>, ns: i64) -> Option<f64> {
    count.filter(|_| ns > 0).map(|count| count as f64 * 1e9 / ns as f64)
}

/// Adds what a small sorted list does not hold yet.
fn include<T: Ord + Copy>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
        list.sort_unstable();
    }
}

/// Time that operations need at their roof.
pub(crate) fn math_ns(flop: &FlopSum, roofs: &Roofs) -> Option<f64> {
    let roof = roofs.compute.get(&(flop.precision, flop.sparse))?;
    Some(flop.ops as f64 * 1e9 / roof.value)
}
