//! What a family tells about itself: the values of result columns.

use proftool_roofline::{Level, Precision, Roof, Roofs, Source};

use super::{Family, Operations, per_second};
use crate::metrics::ratio;
use crate::roofline::bounds::Bounds;
use crate::roofline::key::Key;
use crate::roofline::{DeviceRoofs, Engine};

impl Family {
    /// The part of the formula that made the bytes of an inner level: bytes of different parts do not compare.
    pub(crate) fn level_formula(&self, level: Level) -> Option<&str> {
        let (_, formula) = self.level_formulas.iter().find(|known| known.0 == level)?;
        let prefix = format!("{}-", level.name().to_ascii_lowercase());
        formula.split('/').next()?.split('+').find(|part| part.starts_with(&prefix))
    }

    /// Floating-point operations of all precisions.
    pub(crate) fn flop_sum(&self) -> Option<i64> {
        let ops = self.flop.iter().filter(|flop| !flop.precision.is_integer()).map(|flop| flop.ops);
        self.flop_known.then(|| ops.fold(0, i64::saturating_add))
    }

    /// Bytes of a level; `None` also where launches counted it by formulas that do not compare.
    pub(crate) fn bytes_of(&self, level: Level) -> Option<i64> {
        let known = self.bytes.iter().find(|known| known.0 == level && !self.mixed.contains(&level));
        known.map(|known| known.1)
    }

    /// DRAM bytes; of copies over a link and of collectives those that they moved.
    pub(crate) fn moved(&self) -> Option<i64> {
        self.bytes_of(Level::Dram).or(self.wire)
    }

    /// Whether the row stands on what pages state a second, because no bound of a sum is known.
    fn is_rated(&self) -> bool {
        self.used.ns().is_none() && self.rates.launches > 0
    }

    /// Operations by precision, and whether sparse: their number, or of a row of rates that of a second.
    fn amounts(&self) -> Vec<(Precision, bool, f64)> {
        if self.is_rated() {
            return self.rates.by_precision().filter(|amount| amount.2 > 0.0).collect();
        }
        self.flop.iter().map(|flop| (flop.precision, flop.sparse, flop.ops as f64)).collect()
    }

    /// Bytes of a level, or of a row of rates those of a second; `None` also where formulas do not compare.
    fn traffic(&self, level: Level) -> Option<f64> {
        if self.is_rated() {
            return self.rates.bytes_per_s(level).filter(|_| !self.mixed.contains(&level));
        }
        self.bytes_of(level).map(|bytes| bytes as f64)
    }

    /// The operations of each precision that was counted, by name; also of those of which there were none, where the
    /// page does not count all.
    pub(crate) fn operations(&self) -> Vec<Operations> {
        let rates: Vec<_> = self.rates.by_precision().collect();
        let rated = |key| rates.iter().find(|rate| (rate.0, rate.1) == key).map(|rate| rate.2);
        let counted = self.flop.iter().map(|flop| (flop.precision, flop.sparse));
        let zeros = self.zeros.iter().map(|precision| (*precision, false));
        let mut keys: Vec<_> = counted.chain(zeros).chain(rates.iter().map(|rate| (rate.0, rate.1))).collect();
        keys.sort_by_key(|key| (key.0.name(), key.1));
        keys.dedup();
        let of = |key: (Precision, bool)| {
            let flop = self.flop.iter().find(|flop| (flop.precision, flop.sparse) == key).map(|flop| flop.ops);
            let ops = flop.or((self.flop_known && self.zeros.contains(&key.0)).then_some(0));
            let per_second = if self.is_rated() { rated(key) } else { per_second(ops, self.counted_time) };
            Operations { precision: key.0, sparse: key.1, ops, per_second }
        };
        keys.into_iter().map(of).collect()
    }

    /// The precision with the largest t_math, and whether it is sparse; without roofs that with the most operations.
    pub(crate) fn largest(&self, roofs: &Roofs) -> Option<(Precision, bool)> {
        let time = |of: &(Precision, bool, f64)| roofs.compute.get(&(of.0, of.1)).map_or(0.0, |roof| of.2 / roof.value);
        let amounts = self.amounts().into_iter();
        let largest = amounts.max_by(|a, b| time(a).total_cmp(&time(b)).then(a.2.total_cmp(&b.2)))?;
        Some((largest.0, largest.1))
    }

    /// The roof of the precision with the largest t_math.
    pub(crate) fn compute_roof<'r>(&self, roofs: &'r Roofs) -> Option<&'r Roof> {
        roofs.compute.get(&self.largest(roofs)?)
    }

    /// The levels whose bytes entered a bound, from the memory inwards.
    pub(crate) fn levels(&self, roofs: &Roofs) -> Vec<Level> {
        let summed = |level: Level| self.bytes.iter().any(|known| known.0 == level);
        let rated = |level: Level| self.rates.bytes_per_s(level).is_some();
        let counted = |level: Level| if self.is_rated() { rated(level) } else { summed(level) };
        Level::all().filter(|level| counted(*level) && roofs.bandwidth.contains_key(level)).collect()
    }

    /// Every level whose bytes are known, from the memory inwards: the bytes, and how many a second.
    pub(crate) fn traffics(&self) -> impl Iterator<Item = (Level, Option<i64>, Option<f64>)> {
        let of = |level| {
            let (bytes, rate) = (self.bytes_of(level), self.traffic(level));
            let rate = if self.is_rated() { rate } else { per_second(bytes, self.counted_time) };
            (bytes.is_some() || rate.is_some()).then_some((level, bytes, rate))
        };
        Level::all().filter_map(of)
    }

    /// The level that the chart puts the family on: device memory, or else the outermost that was counted.
    pub(crate) fn outermost(&self) -> Option<Level> {
        Level::all().find(|level| self.traffic(*level).is_some())
    }

    /// The level with the largest t_mem.
    pub(crate) fn slowest(&self, roofs: &Roofs) -> Option<Level> {
        let time = |level: &Level| Some(self.traffic(*level)? / roofs.bandwidth.get(level)?.value);
        // On equal times the outermost.
        let levels: Vec<Level> = self.levels(roofs).into_iter().rev().collect();
        levels.into_iter().max_by(|a, b| time(a).partial_cmp(&time(b)).unwrap_or(std::cmp::Ordering::Equal))
    }

    /// The roof of the link that copies used.
    pub(crate) fn link_roof<'e>(&self, engine: &'e Engine) -> Option<&'e Roof> {
        engine.link(self.link.filter(|_| self.wire.is_some()))
    }

    /// The datasheet's roof of that link.
    pub(crate) fn link_datasheet<'e>(&self, engine: &'e Engine) -> Option<&'e Roof> {
        engine.links.roofs(self.link.filter(|_| self.wire.is_some()))?.datasheet.as_ref()
    }

    /// The roofs in use while the cores that compute share the memory; cpu devices only.
    pub(crate) fn shared_roofs(&self) -> Option<&Roofs> {
        self.shared_roofs.as_deref()
    }

    /// Floating-point operations a second, over the time of the launches that have counts, or the mean of what pages
    /// without durations state.
    pub(crate) fn flop_per_s(&self) -> Option<f64> {
        if self.is_rated() { self.rates.flop_per_s() } else { per_second(self.flop_sum(), self.counted_time) }
    }

    /// Bytes a second, likewise.
    pub(crate) fn bytes_per_s(&self) -> Option<f64> {
        if self.is_rated() { self.traffic(Level::Dram) } else { per_second(self.moved(), self.counted_time) }
    }

    /// flop / bytes of a level, over the launches of which both are known.
    pub(crate) fn intensity(&self, level: Level) -> Option<f64> {
        self.traffic(level)?;
        if self.is_rated() { self.rates.intensity(level) } else { self.paired.intensity(level) }
    }

    /// The bounds in use: of sums where times are known, else of rates.
    pub(crate) fn known_used(&self) -> &Bounds {
        if self.is_rated() { &self.rates.used } else { &self.used }
    }

    /// Likewise those of the datasheet.
    pub(crate) fn known_datasheet(&self) -> &Bounds {
        if self.is_rated() { &self.rates.datasheet } else { &self.datasheet }
    }

    /// Likewise those at the observed clock.
    pub(crate) fn known_observed(&self) -> &Bounds {
        if self.is_rated() { &self.rates.observed } else { &self.observed }
    }

    /// Whether it is a point on the chart.
    pub(crate) fn is_placed(&self) -> bool {
        self.known_used().ns().is_some()
    }

    /// Every roof that the bounds in use can come from. Of launches that were counted and did nothing the first compute
    /// roof: any gives zero.
    pub(crate) fn roofs_in_use<'r>(&self, engine: &'r Engine, roofs: &'r DeviceRoofs) -> Vec<&'r Roof> {
        let amounts = self.amounts().into_iter();
        let compute = amounts.filter_map(|of| roofs.used.compute.get(&(of.0, of.1)));
        let memory = self.levels(&roofs.used).into_iter().filter_map(|level| roofs.used.bandwidth.get(&level));
        let mut all: Vec<&Roof> = compute.chain(memory).chain(self.link_roof(engine)).collect();
        if all.is_empty() && self.is_placed() {
            all.extend(roofs.used.compute.values().next());
        }
        all
    }

    /// Whether kernels ran; else it is copies or sets.
    pub(crate) fn is_kernel(&self) -> bool {
        self.has_kernels
    }

    /// The name without return type, parameters, namespace and template arguments.
    pub(crate) fn short_name(&self) -> String {
        let key = Key::of(&self.name);
        // Copies and sets are no functions: `[CUDA memcpy Device-to-Host]`.
        if !self.has_kernels || key.base().is_empty() { self.name.clone() } else { key.base().to_owned() }
    }

    /// Part of the device's kernel time in the windows; `None` for what is no kernel.
    pub(crate) fn time_ratio(&self) -> Option<f64> {
        ratio(self.kernel_time, self.device_time).filter(|_| self.kernel_time > 0)
    }

    /// Time that the counting tool measured for the launches that have counts, where all of them were counted and the
    /// row's own time is that of a timeline.
    pub(crate) fn replay_ns(&self) -> Option<f64> {
        (self.replays.0 == self.matched && self.matched > 0 && self.has_timeline).then_some(self.replays.1)
    }

    /// Bytes over links.
    pub(crate) fn wire(&self) -> Option<i64> {
        self.wire
    }

    /// Source of the FLOP, of several the most direct.
    pub(crate) fn first_flop_source(&self) -> Option<Source> {
        self.flop_sources.first().copied()
    }

    /// Source of the bytes, likewise.
    pub(crate) fn first_bytes_source(&self) -> Option<Source> {
        self.bytes_sources.first().copied()
    }

    /// `counter`, `analytic`, `trace`, or several joined by `+`.
    pub(crate) fn flop_source(&self) -> Option<String> {
        self.flop_sum().map(drop).or(self.rates.flop_per_s().map(drop))?;
        sources(&self.flop_sources, Source::name)
    }

    /// As [`Family::flop_source`], saying what analytic bytes are.
    pub(crate) fn bytes_source(&self) -> Option<String> {
        if self.bytes.is_empty() && self.wire.is_none() && !self.rates.has_bytes() {
            return None;
        }
        sources(&self.bytes_sources, |source| match source {
            Source::Analytic if self.filled => "analytic (compulsory; the counters hold no DRAM bytes)",
            Source::Analytic => "analytic (compulsory)",
            other => other.name(),
        })
    }

    /// The formulas that made FLOP and bytes.
    pub(crate) fn formula(&self) -> Option<String> {
        let texts: Vec<&str> = self.formulas.iter().map(AsRef::as_ref).collect();
        (!texts.is_empty()).then(|| texts.join(";"))
    }

    /// What the reader must know about the formulas.
    pub(crate) fn formula_note(&self, engine: &Engine) -> Option<String> {
        let mut notes: Vec<&str> = self.formulas.iter().flat_map(|formula| engine.notes(formula)).collect();
        notes.sort_unstable();
        notes.dedup();
        let mixed: Vec<String> = self
            .mixed
            .iter()
            .map(|level| format!("{} bytes of different formulas are not summed", level.name()))
            .collect();
        notes.extend(mixed.iter().map(String::as_str));
        let none = self.none_counted();
        notes.extend(none.as_deref());
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// Of what no operation was counted, where that is all that was counted: the zero says nothing of other types.
    fn none_counted(&self) -> Option<String> {
        let done = self.flop.iter().any(|flop| flop.ops > 0) || self.rates.by_precision().any(|rate| rate.2 > 0.0);
        let names: Vec<&str> = self.zeros.iter().map(|precision| precision.name()).collect();
        let of = names.join(", ");
        (!done && !names.is_empty())
            .then(|| format!("no operation of {of} was counted; the page does not count all others"))
    }

    /// The pass that the durations come from.
    pub(crate) fn time_source(&self, engine: &Engine) -> String {
        let names: Vec<&str> = self.passes.iter().map(|pass| engine.names.text(*pass)).collect();
        let names = names.join(", ");
        match (engine.has_timeline(), self.rates.launches) {
            (true, _) => names,
            (false, 0) => format!("replay (pass {names})"),
            (false, _) => format!("no duration: mean rates (pass {names})"),
        }
    }
}

fn sources(of: &[Source], name: impl Fn(Source) -> &'static str) -> Option<String> {
    let names: Vec<&str> = of.iter().map(|source| name(*source)).collect();
    (!names.is_empty()).then(|| names.join("+"))
}
