//! The least time that the roofs allow for one launch (Williams et al., 2009, in time form: Wang et al., 2020).
//!
//! t_math = sum of F_p / P_p over the precisions (the units share the issue slots of a kernel, so the times add: as
//! Proton does); t_mem = max of Q_l / B_l over the levels; t_comm = wire bytes / link. The bound is the largest.

use crate::{Counts, Level, Precision, Roofs, Source};

/// What limits a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limiter {
    /// Arithmetic.
    Compute,
    /// The bandwidth of a level.
    Memory(Level),
    /// A link.
    Link,
}

impl Limiter {
    /// The name in results; the level stands in a column of its own.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory(_) => "memory",
            Self::Link => "link",
        }
    }
}

/// The bound of one launch, in ns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The largest of the three.
    pub ns: f64,
    /// Its name; on equal times compute before memory before link.
    pub limiter: Limiter,
    /// t_math; `None` without FLOP or without any roof for them.
    pub math_ns: Option<f64>,
    /// The precision with the largest share of t_math.
    pub precision: Option<Precision>,
    /// t_mem and its level.
    pub memory_ns: Option<(f64, Level)>,
    /// t_comm.
    pub link_ns: Option<f64>,
    /// Whether some FLOP or bytes had no roof or were not counted, so that the true bound may be larger.
    pub partial: bool,
}

/// Whether counters left out arithmetic that a kernel may have done, or the bytes of the memory.
fn is_incomplete(counts: &Counts) -> bool {
    if counts.wire_bytes.is_some() {
        return false;
    }
    let arithmetic = !counts.flop_known && (!counts.flop.is_empty() || counts.bytes_source == Some(Source::Counter));
    let memory = counts.bytes_of(Level::Dram).is_none() && counts.flop_source == Some(Source::Counter);
    arithmetic || memory
}

/// The bound of a launch; `None` where nothing that it did has a roof.
pub fn bound(counts: &Counts, roofs: &Roofs) -> Option<Bound> {
    let (mut math, mut largest, mut partial) = (None::<f64>, None::<(f64, Precision)>, false);
    for flop in counts.flop.iter().filter(|flop| flop.ops > 0.0) {
        let Some(roof) = roofs.compute.get(&(flop.precision, flop.sparse)) else {
            partial = true;
            continue;
        };
        let ns = flop.ops * 1e9 / roof.value;
        *math.get_or_insert(0.0) += ns;
        if largest.is_none_or(|(most, _)| ns > most) {
            largest = Some((ns, flop.precision));
        }
    }
    let mut memory = None::<(f64, Level)>;
    for traffic in &counts.bytes {
        let Some(roof) = roofs.bandwidth.get(&traffic.level) else {
            partial |= traffic.level == Level::Dram;
            continue;
        };
        let ns = traffic.bytes * 1e9 / roof.value;
        if memory.is_none_or(|(most, _)| ns > most) {
            memory = Some((ns, traffic.level));
        }
    }
    let link = counts.wire_bytes.zip(roofs.link.as_ref()).map(|(bytes, roof)| bytes * 1e9 / roof.value);
    partial |= counts.wire_bytes.is_some() && roofs.link.is_none();
    partial |= is_incomplete(counts);
    // A kernel that was counted and did nothing has a bound of zero, as long as something could have bounded it.
    if math.is_none() && counts.flop_known && counts.flop.is_empty() && !roofs.compute.is_empty() {
        math = Some(0.0);
    }
    let candidates = [
        math.map(|ns| (ns, Limiter::Compute)),
        memory.map(|(ns, level)| (ns, Limiter::Memory(level))),
        link.map(|ns| (ns, Limiter::Link)),
    ];
    // A kernel without FLOP is not limited by compute where anything else is known.
    let known = candidates.into_iter().flatten();
    let (ns, limiter) = known.reduce(|best, next| {
        let idle_math = best.1 == Limiter::Compute && best.0 == 0.0;
        if next.0 > best.0 || (idle_math && next.0 >= best.0) { next } else { best }
    })?;
    let precision = largest.map(|(_, precision)| precision);
    Some(Bound { ns, limiter, math_ns: math, precision, memory_ns: memory, link_ns: link, partial })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the quotients are exact")]
mod tests {
    use super::*;
    use crate::{Flop, Roof, RoofSource, Traffic};

    fn roof(value: f64) -> Roof {
        Roof { value, source: RoofSource::Datasheet, label: String::new(), disputed: None }
    }

    fn roofs() -> Roofs {
        let mut roofs = Roofs::default();
        roofs.compute.insert((Precision::F32, false), roof(1e12));
        roofs.compute.insert((Precision::MatrixBf16, false), roof(4e12));
        roofs.bandwidth.insert(Level::Dram, roof(1e11));
        roofs.bandwidth.insert(Level::L2, roof(4e11));
        roofs.link = Some(roof(1e10));
        roofs
    }

    fn flop(precision: Precision, ops: f64) -> Flop {
        Flop { precision, sparse: false, ops }
    }

    #[test]
    fn times_of_precisions_add_and_levels_compete() {
        let counts = Counts {
            flop: vec![flop(Precision::F32, 2e6), flop(Precision::MatrixBf16, 4e6)],
            bytes: vec![Traffic { level: Level::Dram, bytes: 1e5 }, Traffic { level: Level::L2, bytes: 1e6 }],
            flop_known: true,
            ..Counts::default()
        };
        let bound = bound(&counts, &roofs()).unwrap();
        assert_eq!((bound.math_ns, bound.memory_ns), (Some(3000.0), Some((2500.0, Level::L2))));
        assert_eq!((bound.ns, bound.limiter, bound.precision), (3000.0, Limiter::Compute, Some(Precision::F32)));
        assert!(!bound.partial);
    }

    #[test]
    fn what_has_no_roof_makes_the_bound_partial() {
        let counts = Counts { flop: vec![flop(Precision::F64, 1.0), flop(Precision::F32, 1e3)], ..Counts::default() };
        let found = bound(&counts, &roofs()).unwrap();
        assert!(found.partial && found.ns == 1.0);
        let counts = Counts { flop: vec![flop(Precision::F64, 1.0)], ..Counts::default() };
        assert_eq!(bound(&counts, &roofs()), None);
    }

    #[test]
    fn a_kernel_without_flop_is_limited_by_memory_even_where_it_moved_nothing() {
        let counts =
            Counts { flop_known: true, bytes: vec![Traffic { level: Level::Dram, bytes: 0.0 }], ..Counts::default() };
        let bound = bound(&counts, &roofs()).unwrap();
        assert_eq!((bound.ns, bound.limiter), (0.0, Limiter::Memory(Level::Dram)));
    }

    #[test]
    fn what_was_not_counted_makes_the_bound_partial() {
        let bytes = vec![Traffic { level: Level::Dram, bytes: 100.0 }];
        let counted = |flop_known, flop: Vec<Flop>, bytes: Vec<Traffic>| {
            let (flop_source, bytes_source) = (Some(Source::Counter), Some(Source::Counter));
            let counts = Counts { flop, flop_known, bytes, flop_source, bytes_source, ..Counts::default() };
            bound(&counts, &roofs()).unwrap().partial
        };
        assert!(!counted(true, vec![flop(Precision::F32, 1e3)], bytes.clone()));
        assert!(counted(false, vec![flop(Precision::F32, 1e3)], bytes.clone()), "a lower bound of the FLOP");
        assert!(counted(false, Vec::new(), bytes), "FLOP were not counted");
        assert!(counted(true, vec![flop(Precision::F32, 1e3)], Vec::new()), "bytes were not counted");
    }

    #[test]
    fn a_copy_is_limited_by_its_link() {
        let counts = Counts { wire_bytes: Some(1e3), ..Counts::default() };
        let bound = bound(&counts, &roofs()).unwrap();
        assert_eq!((bound.ns, bound.limiter), (100.0, Limiter::Link));
    }
}
