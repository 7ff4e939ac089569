//! What is wrong with a row and why: the facts of a family for [`proftool_roofline::triage`].

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use proftool_roofline::counters::{Suspicion, SuspicionKind};
use proftool_roofline::triage::{
    Facts, Finding, FlopFact, LeftWrites, Matched, Negative, Percentage, RoofFact, triage,
};
use proftool_roofline::{Limiter, Precision, RoofSource, Roofs, Source};

use super::bounds::Bounds;
use super::ceilings::Resource;
use super::family::{Family, FlopSum, begun, math_ns};
use super::{DeviceRoofs, Engine, Quality};
use crate::Error;
use crate::classes::Kind;
use crate::metrics::Input;
use crate::model::{DeviceKey, Model};
use crate::operators::{Span, covered, depth, union};
use crate::windows::Scope;

/// Device, window, name and phase of a family.
type Key<'f> = (DeviceKey, &'f str, &'f str, Option<&'f str>);

fn key(family: &Family) -> Key<'_> {
    (family.device, &family.window, &family.name, family.phase.as_deref())
}

/// What is wrong with each of the families, in their order.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(crate) fn findings(input: &Input, families: &[&Family]) -> Result<Vec<Vec<Finding>>, Error> {
    let engine = input.engine()?;
    let overlaps = overlaps(input, engine, families)?;
    let of = |family: &&Family| {
        let Some(roofs) = engine.roofs(family.device) else { return Vec::new() };
        let mut facts = facts(family, engine, roofs);
        facts.overlap_ratio = overlaps.get(&key(family)).copied();
        triage(&facts)
    };
    Ok(families.iter().map(of).collect())
}

/// Share of the time of each family above its roof in which other kernels ran on its device.
fn overlaps<'f>(input: &Input, engine: &Engine, families: &[&'f Family]) -> Result<HashMap<Key<'f>, f64>, Error> {
    let is_above = |family: &&&'f Family| family.used.above_roof().unwrap_or(0) > 0;
    let above: Vec<&'f Family> = families.iter().filter(is_above).copied().collect();
    let mut shares = HashMap::new();
    if above.is_empty() || !engine.has_timeline() {
        return Ok(shares);
    }
    let model = input.model()?;
    let mut by_device: BTreeMap<DeviceKey, Vec<&'f Family>> = BTreeMap::new();
    for family in above {
        by_device.entry(family.device).or_default().push(family);
    }
    for (device, families) in by_device {
        let busy = concurrent(model, device);
        for set in input.sets(Scope::Device(device))? {
            let wanted = families.iter().filter(|family| family.window == set.name);
            let mut sums: HashMap<(&str, Option<&str>), (i64, i64, &'f Family)> =
                wanted.map(|family| ((family.name.as_str(), family.phase.as_deref()), (0, 0, *family))).collect();
            for placed in begun(model, device, &set.spans).filter_map(|index| engine.of_activity(index)) {
                let name = engine.names.text(placed.name);
                let phase = placed.phase.map(|phase| engine.names.text(phase));
                let (Some(sum), Some(index)) = (sums.get_mut(&(name, phase)), placed.activity) else { continue };
                let span = model.activities[index as usize].span;
                (sum.0, sum.1) = (sum.0.saturating_add(covered(span, &busy)), sum.1.saturating_add(placed.time_ns));
            }
            shares.extend(
                sums.into_values().filter(|sum| sum.1 > 0).map(|sum| (key(sum.2), sum.0 as f64 / sum.1 as f64)),
            );
        }
    }
    Ok(shares)
}

/// When two or more kernels of a device ran at once.
fn concurrent(model: &Model, device: DeviceKey) -> Vec<Span> {
    let kernels = model.of_device(device).iter().filter(|row| row.kind == Kind::Kernel);
    let spans: Vec<Span> = kernels.map(|row| row.span).collect();
    // A span of a damaged clock that is longer than an integer holds has no length to share.
    if spans.iter().any(|span| span.1.checked_sub(span.0).is_none()) {
        return Vec::new();
    }
    let several: Vec<Span> = depth(&spans).into_iter().filter(|(_, count)| *count > 1).map(|(span, _)| span).collect();
    union(&several)
}

/// What a family knows about itself.
fn facts(family: &Family, engine: &Engine, roofs: &DeviceRoofs) -> Facts {
    let roof = |bounds: &Bounds, from: &Roofs| roof_fact(family, engine, roofs, bounds, from);
    let others = [(&family.datasheet, &roofs.datasheet), (&family.observed, &roofs.observed)];
    let measured = family.used.ns() != family.datasheet.ns();
    let suspicious = engine.suspicious(&family.name);
    Facts {
        name: Some(family.name.clone()),
        launches: u64::try_from(family.matched).ok().filter(|launches| *launches > 0),
        time_ns: family.used.ns().map(|_| family.used.time() as f64),
        replay_ns: family.replay_ns(),
        roof: roof(&family.used, &roofs.used),
        other_roofs: others.into_iter().filter(|_| measured).filter_map(|(bounds, from)| roof(bounds, from)).collect(),
        flop: family.flop.iter().map(|flop| flop_fact(flop, family, roofs)).collect(),
        counter_flop: family.flop_amplification.parts().map(|parts| parts.0),
        analytic_flop: family.flop_amplification.parts().map(|parts| parts.1),
        bytes_source: family.first_bytes_source(),
        counter_bytes: family.bytes_amplification.parts().map(|parts| parts.0),
        compulsory_bytes: family.bytes_amplification.parts().map(|parts| parts.1),
        cache_bytes: roofs.gpu.and_then(|spec| spec.bytes("L2")).map(|bytes| bytes as f64),
        misplaced_flop: misplaced(suspicious, family),
        parts_ratio: parts_ratio(suspicious),
        left_writes: left_writes(suspicious),
        formula: family.formula(),
        matched: family.quality.and_then(matched),
        clock_hz: roofs.observed_clock.filter(|_| !engine.has_timeline()),
        units: roofs.units.map(|units| units as f64),
        wire_bytes: family.wire().map(|bytes| bytes as f64),
        links: family.wire().map(|_| links(family, engine, roofs)).unwrap_or_default(),
        percentages: percentages(suspicious),
        negatives: negatives(suspicious),
        ..Facts::default()
    }
}

fn matched(quality: Quality) -> Option<Matched> {
    Some(match quality {
        Quality::Launch => Matched::Launch,
        Quality::Shape => Matched::Shape,
        Quality::Name => Matched::Name,
        Quality::Stated | Quality::Operator | Quality::Trace => return None,
    })
}

/// Value, whole and launches of one kind, summed over the profiled launches that were kept.
fn sums(suspicious: &[Suspicion], kind: SuspicionKind) -> Option<(f64, f64, u64)> {
    let of_kind = suspicious.iter().filter(|one| one.kind == kind);
    let parts: Vec<_> = of_kind.filter_map(|one| Some((one.value, one.whole?, one.launches))).collect();
    let add = |sum: (f64, f64, u64), one: &(f64, f64, u64)| (sum.0 + one.0, sum.1 + one.1, sum.2.saturating_add(one.2));
    (!parts.is_empty()).then(|| parts.iter().fold((0.0, 0.0, 0), add))
}

/// FLOP of the family that the page counts as those of tensor instructions and are of vector instructions: as large a
/// share as in the profiled launches. The launches of a family may be more than were profiled, or those of one phase.
fn misplaced(suspicious: &[Suspicion], family: &Family) -> Option<f64> {
    let (part, whole, _) = sums(suspicious, SuspicionKind::HfmaInTensorPipe)?;
    // Tensor instructions whose type no counter tells stand under half precision.
    let tensor = family.flop.iter().filter(|flop| flop.precision == Precision::MatrixF16);
    let ops: f64 = tensor.map(|flop| flop.ops as f64).sum();
    let share = Some(part / whole).filter(|share| share.is_finite())?;
    Some(ops * share.min(1.0))
}

/// The smallest ratio of the parts of a counter of tensor operations to the counter, which is what the FLOP are. Other
/// counters that disagree with their parts make no FLOP.
fn parts_ratio(suspicious: &[Suspicion]) -> Option<f64> {
    let makes_flop = |one: &&Suspicion| one.metric.contains("__ops_path_tensor_");
    let ratios = suspicious.iter().filter(|one| one.kind == SuspicionKind::AggregateMismatch).filter(makes_flop);
    ratios.map(|one| one.value).min_by(f64::total_cmp)
}

fn left_writes(suspicious: &[Suspicion]) -> Option<LeftWrites> {
    let (missing, written, launches) = sums(suspicious, SuspicionKind::WritesLeftInCache)?;
    Some(LeftWrites { written, missing, launches })
}

/// Counters that cannot be negative and are.
fn negatives(suspicious: &[Suspicion]) -> Vec<Negative> {
    let below = suspicious.iter().filter(|one| one.kind == SuspicionKind::Negative);
    let negative = |one: &Suspicion| {
        let (metric, value, count) = (one.metric.to_string(), one.value, one.launches.max(1));
        Negative { metric, min: value, max: value, samples: count, negative: count }
    };
    below.map(negative).collect()
}

fn percentages(suspicious: &[Suspicion]) -> Vec<Percentage> {
    let over = suspicious.iter().filter(|one| one.kind == SuspicionKind::PercentOver100);
    over.map(|one| Percentage { metric: one.metric.to_string(), value: one.value }).collect()
}

/// The links of the device other than the one that is the roof.
fn links(family: &Family, engine: &Engine, roofs: &DeviceRoofs) -> Vec<(String, f64)> {
    let own = family.link_roof(engine).map(|roof| roof.value.to_bits());
    let links = roofs.ceilings.iter().filter(|ceiling| ceiling.resource == Resource::Link);
    let others = links.filter(|ceiling| Some(ceiling.roof.value.to_bits()) != own);
    others.map(|ceiling| (ceiling.name.clone(), ceiling.roof.value)).collect()
}

fn roof_fact(
    family: &Family,
    engine: &Engine,
    device: &DeviceRoofs,
    bounds: &Bounds,
    roofs: &Roofs,
) -> Option<RoofFact> {
    let limiter = match (bounds.limiter()?, bounds.level()) {
        ("memory", Some(level)) => Limiter::Memory(level),
        ("link", _) => Limiter::Link,
        _ => Limiter::Compute,
    };
    let compute = family.compute_roof(roofs);
    let slowest = family.slowest(roofs);
    let memory = slowest.and_then(|level| roofs.bandwidth.get(&level));
    let link = family.link_roof(engine);
    let roof = match limiter {
        Limiter::Compute => compute,
        Limiter::Memory(level) => roofs.bandwidth.get(&level).or(memory),
        Limiter::Link => link,
    };
    let math: Vec<f64> = family.flop.iter().filter_map(|flop| math_ns(flop, roofs)).collect();
    let clock = device.ceilings.iter().find(|ceiling| compute.is_some_and(|roof| ceiling.roof == *roof));
    Some(RoofFact {
        source: roof.map_or(RoofSource::Datasheet, |roof| roof.source),
        bound_ns: bounds.ns()? as f64,
        limiter,
        math_ns: (!math.is_empty()).then(|| math.iter().sum()),
        memory_ns: memory
            .zip(slowest)
            .and_then(|(roof, level)| Some(family.bytes_of(level)? as f64 * 1e9 / roof.value)),
        link_ns: link.zip(family.wire()).map(|(roof, bytes)| bytes as f64 * 1e9 / roof.value),
        clock_hz: clock.and_then(|ceiling| ceiling.clock_hz),
        units: device.gpu.map(|spec| {
            let whole = f64::from(spec.units.value);
            device.units.filter(|units| *units > 0).map_or(whole, |units| whole.min(units as f64))
        }),
        disputed: roof.and_then(|roof| roof.disputed.clone()),
    })
}

fn flop_fact(flop: &FlopSum, family: &Family, device: &DeviceRoofs) -> FlopFact {
    let peak = |precision, sparse| device.used.compute.get(&(precision, sparse)).map(|roof| roof.value);
    let acc16 = match flop.precision {
        Precision::MatrixF16 => peak(Precision::MatrixF16Acc16, flop.sparse),
        Precision::MatrixF8 => peak(Precision::MatrixF8Acc16, flop.sparse),
        _ => None,
    };
    let source = family.first_flop_source().unwrap_or(Source::Analytic);
    FlopFact {
        precision: flop.precision,
        sparse: flop.sparse,
        ops: flop.ops as f64,
        source,
        accumulate_known: source == Source::Counter && tells_accumulate(flop.precision, device),
        peak: peak(flop.precision, flop.sparse),
        sparse_peak: peak(flop.precision, true).filter(|_| !flop.sparse),
        acc16_peak: acc16,
        packed_peak: None,
        tf32_peak: peak(Precision::MatrixTf32, false).filter(|_| flop.precision == Precision::F32),
    }
}

/// Whether the counters of a device name the type that these operations accumulate in: those of sm_70, sm_75 and sm_90 do
/// not for half, those of sm_89 and sm_90 not for FP8.
fn tells_accumulate(precision: Precision, device: &DeviceRoofs) -> bool {
    let arch = device.gpu.map_or("", |spec| spec.arch.as_str());
    match precision {
        Precision::MatrixF16 => !["sm_70", "sm_75", "sm_90"].contains(&arch),
        Precision::MatrixF8 => !["sm_89", "sm_90"].contains(&arch),
        _ => true,
    }
}
