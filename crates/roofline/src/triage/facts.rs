//! What one row can know about itself.

use crate::{Limiter, Precision, RoofSource, Source};

/// How the counts of a row came to its launches, where another tool counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// Launch by launch.
    Launch,
    /// By name, grid and block.
    Shape,
    /// By name only: the launches that were counted may have been of other sizes.
    Name,
}

/// A roof and the time that it allows, summed over the launches of the row.
#[derive(Clone, Debug, PartialEq)]
pub struct RoofFact {
    /// Where the roof comes from.
    pub source: RoofSource,
    /// The bound, ns.
    pub bound_ns: f64,
    /// What gives it.
    pub limiter: Limiter,
    /// Its parts, ns.
    pub math_ns: Option<f64>,
    /// Memory.
    pub memory_ns: Option<f64>,
    /// Links.
    pub link_ns: Option<f64>,
    /// Clock that the arithmetic peaks assume.
    pub clock_hz: Option<f64>,
    /// Units (SM, CU, cores) that they assume.
    pub units: Option<f64>,
    /// What the sources of the roof disagree about.
    pub disputed: Option<String>,
}

/// Operations of one precision and the peaks that could hold them.
#[derive(Clone, Debug, PartialEq)]
pub struct FlopFact {
    /// The type of arithmetic that they are held against.
    pub precision: Precision,
    /// Whether they were counted as sparse.
    pub sparse: bool,
    /// Operations of all launches.
    pub ops: f64,
    /// Where they come from.
    pub source: Source,
    /// Whether the count names the accumulate type.
    pub accumulate_known: bool,
    /// FLOP/s of the roof.
    pub peak: Option<f64>,
    /// FLOP/s of structured sparsity, of accumulation in 16 bits, and of packed or dual issue, where the device has them
    /// and they are not the roof.
    pub sparse_peak: Option<f64>,
    /// Accumulation in 16 bits.
    pub acc16_peak: Option<f64>,
    /// Packed or dual issue.
    pub packed_peak: Option<f64>,
    /// The tensor cores in TF32, where the arithmetic is of `float` tensors and a library may have chosen them.
    pub tf32_peak: Option<f64>,
}

/// A metric in percent.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentage {
    /// Its name, as the tool prints it.
    pub metric: String,
    /// Percent.
    pub value: f64,
}

/// A metric whose samples cannot be negative and are.
#[derive(Clone, Debug, PartialEq)]
pub struct Negative {
    /// Its name, as the tool prints it.
    pub metric: String,
    /// The smallest value.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many there are, and how many of them are negative.
    pub samples: u64,
    /// Negative ones.
    pub negative: u64,
}

/// Writes of launches whose counters saw fewer bytes leave the last-level cache than were written to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftWrites {
    /// Bytes that were written to the cache.
    pub written: f64,
    /// Bytes of them that were not seen to leave it.
    pub missing: f64,
    /// Launches that both are of: those where some are missing.
    pub launches: u64,
}

/// Everything that one row of the roofline can know. What it doesn't know is `None` or empty, and supports no cause.
/// Times, operations and bytes are sums over the launches of the row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Name of the kernel.
    pub name: Option<String>,
    /// Launches; one where it is unknown.
    pub launches: Option<u64>,
    /// Time that is held against the roof.
    pub time_ns: Option<f64>,
    /// Time that the counting tool measured for the launches; only where it isn't [`Facts::time_ns`] itself.
    pub replay_ns: Option<f64>,
    /// Resolution of the timestamps.
    pub timer_ns: Option<f64>,
    /// Share of the time in which other kernels ran on the device, 0 to 1.
    pub overlap_ratio: Option<f64>,
    /// The roof of the row.
    pub roof: Option<RoofFact>,
    /// The roofs from other sources.
    pub other_roofs: Vec<RoofFact>,
    /// Operations.
    pub flop: Vec<FlopFact>,
    /// FLOP by counters, and by shapes; both where both are known, whichever is used.
    pub counter_flop: Option<f64>,
    /// FLOP by shapes.
    pub analytic_flop: Option<f64>,
    /// Where the DRAM bytes of the bound come from.
    pub bytes_source: Option<Source>,
    /// DRAM bytes by counters: all, read, written.
    pub counter_bytes: Option<f64>,
    /// Read.
    pub counter_read_bytes: Option<f64>,
    /// Written.
    pub counter_write_bytes: Option<f64>,
    /// Bytes that must be moved: each tensor once. All, read, written.
    pub compulsory_bytes: Option<f64>,
    /// Read.
    pub compulsory_read_bytes: Option<f64>,
    /// Written.
    pub compulsory_write_bytes: Option<f64>,
    /// Bytes that were moved to and from other memory: of the host, of a peer.
    pub elsewhere_bytes: Option<f64>,
    /// Size of the last-level cache.
    pub cache_bytes: Option<f64>,
    /// Whether the counting tool emptied the caches before it counted.
    pub caches_flushed: Option<bool>,
    /// Share of the DRAM sectors that were compressed, 0 to 1.
    pub compressed_ratio: Option<f64>,
    /// Memory channels that were counted, and those that the device has.
    pub channels: Option<(u64, u64)>,
    /// Passes in which the counting tool replayed the launch.
    pub passes: Option<u64>,
    /// FLOP that were counted as those of matrix instructions and are of vector instructions in the same pipe.
    pub misplaced_flop: Option<f64>,
    /// Sum of the parts of a counter of tensor operations / the counter, where they should be equal.
    pub parts_ratio: Option<f64>,
    /// Writes that stayed in the last-level cache.
    pub left_writes: Option<LeftWrites>,
    /// Formula of the counts.
    pub formula: Option<String>,
    /// Largest relative error of the counts by the digits that the page prints.
    pub digits_ratio: Option<f64>,
    /// How the counts came to the launches.
    pub matched: Option<Matched>,
    /// Largest count / smallest, among the counted launches of that name.
    pub spread_ratio: Option<f64>,
    /// Kernels of a graph that was counted as one launch.
    pub counted_nodes: Option<u64>,
    /// Compute clock that was observed.
    pub clock_hz: Option<f64>,
    /// Units (SM, CU) of the device that was probed.
    pub units: Option<f64>,
    /// Cores that the work ran on, of a CPU.
    pub cores: Option<f64>,
    /// Bytes over a link.
    pub wire_bytes: Option<f64>,
    /// The links of the device and their bytes/s, other than the one that is the roof.
    pub links: Vec<(String, f64)>,
    /// Whether other processes or a display used the device.
    pub shared: Option<bool>,
    /// Metrics in percent that are over 100.
    pub percentages: Vec<Percentage>,
    /// Metrics with negative samples.
    pub negatives: Vec<Negative>,
}

/// A / b, where both are numbers and b is positive.
pub(super) fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    let quotient = a.filter(|a| a.is_finite())? / b.filter(|b| b.is_finite() && *b > 0.0)?;
    quotient.is_finite().then_some(quotient)
}

/// Drops what is no number, and what is negative where nothing can be.
fn clean(value: &mut Option<f64>) {
    *value = value.filter(|value| value.is_finite() && *value >= 0.0);
}

impl RoofFact {
    fn clean(&mut self) {
        for value in [&mut self.math_ns, &mut self.memory_ns, &mut self.link_ns, &mut self.clock_hz, &mut self.units] {
            clean(value);
        }
    }
}

impl Facts {
    /// The same without what is no number: the causes need not ask.
    pub(super) fn cleaned(&self) -> Self {
        let mut facts = self.clone();
        for value in [
            &mut facts.time_ns,
            &mut facts.replay_ns,
            &mut facts.timer_ns,
            &mut facts.overlap_ratio,
            &mut facts.counter_flop,
            &mut facts.analytic_flop,
            &mut facts.counter_bytes,
            &mut facts.counter_read_bytes,
            &mut facts.counter_write_bytes,
            &mut facts.compulsory_bytes,
            &mut facts.compulsory_read_bytes,
            &mut facts.compulsory_write_bytes,
            &mut facts.elsewhere_bytes,
            &mut facts.cache_bytes,
            &mut facts.compressed_ratio,
            &mut facts.digits_ratio,
            &mut facts.misplaced_flop,
            &mut facts.parts_ratio,
            &mut facts.spread_ratio,
            &mut facts.clock_hz,
            &mut facts.units,
            &mut facts.cores,
            &mut facts.wire_bytes,
        ] {
            clean(value);
        }
        facts.roof = facts.roof.filter(|roof| roof.bound_ns.is_finite());
        facts.other_roofs.retain(|roof| roof.bound_ns.is_finite());
        facts.roof.iter_mut().chain(&mut facts.other_roofs).for_each(RoofFact::clean);
        facts.flop.retain(|flop| flop.ops.is_finite() && flop.ops >= 0.0);
        for flop in &mut facts.flop {
            for peak in [
                &mut flop.peak,
                &mut flop.sparse_peak,
                &mut flop.acc16_peak,
                &mut flop.packed_peak,
                &mut flop.tf32_peak,
            ] {
                clean(peak);
            }
        }
        let whole = |writes: &LeftWrites| writes.written.is_finite() && writes.missing <= writes.written;
        // As of other bytes, a percent is left to the counters' own precision.
        facts.left_writes = facts.left_writes.filter(|writes| whole(writes) && writes.missing > 0.01 * writes.written);
        facts.links.retain(|(_, rate)| rate.is_finite() && *rate > 0.0);
        facts.percentages.retain(|metric| metric.value.is_finite() && metric.value > 100.0);
        facts.negatives.retain(|metric| metric.min.is_finite() && metric.max.is_finite() && metric.min < 0.0);
        facts
    }

    /// Launches, at least one.
    pub(super) fn runs(&self) -> f64 {
        self.launches.unwrap_or(1).max(1) as f64
    }

    /// Time and roof of a row that is above its roof. Time may be zero.
    pub(super) fn above(&self) -> Option<(f64, &RoofFact)> {
        let time = self.time_ns?;
        let roof = self.roof.as_ref().filter(|roof| roof.bound_ns > time)?;
        Some((time, roof))
    }

    /// Bound / time of a row above its roof; `None` too where it took no time at all.
    pub(super) fn excess(&self) -> Option<f64> {
        let (time, roof) = self.above()?;
        ratio(Some(roof.bound_ns), Some(time))
    }

    /// The row above its roof, if arithmetic is what it is above.
    pub(super) fn above_compute(&self) -> Option<(f64, &RoofFact)> {
        self.above().filter(|(_, roof)| roof.limiter == Limiter::Compute)
    }

    /// The row above its roof, if the memory behind the last-level cache is.
    pub(super) fn above_dram(&self) -> Option<(f64, &RoofFact)> {
        self.above().filter(|(_, roof)| roof.limiter == Limiter::Memory(crate::Level::Dram))
    }

    /// What remains of the arithmetic time with another peak, where some precision has one above its roof.
    pub(super) fn math_share(&self, other: impl Fn(&FlopFact) -> Option<f64>) -> Option<f64> {
        let (mut with, mut without) = (0.0, 0.0);
        for flop in &self.flop {
            // What has no roof is not in the bound either.
            let Some(peak) = flop.peak.filter(|peak| *peak > 0.0) else { continue };
            let better = other(flop).filter(|better| *better > peak);
            with += flop.ops / better.unwrap_or(peak);
            without += flop.ops / peak;
        }
        ratio(Some(with), Some(without)).filter(|share| *share < 1.0)
    }

    /// DRAM bytes that the counters miss, of a row whose counters saw less than it must have moved. A percent is left to
    /// the counters' own precision.
    pub(super) fn missing_bytes(&self) -> Option<(f64, f64, f64)> {
        let (counted, compulsory) = self.counter_bytes.zip(self.compulsory_bytes)?;
        (counted < 0.99 * compulsory).then_some((compulsory - counted, counted, compulsory))
    }

    /// FLOP that were counted and are not done, and all that were counted, where the former are more than a percent.
    pub(super) fn overstated_flop(&self) -> Option<(f64, f64)> {
        let counted = self.flop.iter().filter(|flop| flop.source == Source::Counter && !flop.precision.is_integer());
        let all: f64 = counted.map(|flop| flop.ops).sum();
        let misplaced = self.misplaced_flop?.min(all);
        (all.is_finite() && misplaced > 0.01 * all).then_some((misplaced, all))
    }

    /// What the parts of a counter add up to, where the counter, which is what counts, is more than a percent over that.
    pub(super) fn missing_parts(&self) -> Option<f64> {
        self.parts_ratio.filter(|ratio| *ratio < 0.99)
    }

    /// Whether the lower-case name holds one of the words.
    pub(super) fn is_named(&self, words: &[&str]) -> bool {
        let name = self.name.as_deref().unwrap_or_default().to_ascii_lowercase();
        words.iter().any(|word| name.contains(word))
    }
}

impl RoofFact {
    /// The bound with its parts scaled, ns; the bound as it is where its parts are not known.
    ///
    /// In proportion: over many launches the bound is a sum of maxima, which is more than the maximum of the sums.
    pub(super) fn scaled(&self, math: f64, memory: f64, link: f64) -> f64 {
        let largest = |scales: [f64; 3]| {
            let parts = [self.math_ns, self.memory_ns, self.link_ns].into_iter().zip(scales);
            parts.filter_map(|(ns, scale)| ns.map(|ns| ns * scale)).fold(0.0, f64::max)
        };
        ratio(Some(largest([math, memory, link])), Some(largest([1.0; 3])))
            .map_or(self.bound_ns, |part| part * self.bound_ns)
    }
}
