//! Rows that have a symptom and nothing else.

use super::super::*;
use crate::{Level, Limiter, Precision, RoofSource, Source};

/// A row of 100 ns, 120 of which one roof asks for.
pub(super) fn above(limiter: Limiter, source: RoofSource) -> Facts {
    Facts { time_ns: Some(100.0), roof: Some(roof(limiter, source, 120.0)), ..Facts::default() }
}

pub(super) fn roof(limiter: Limiter, source: RoofSource, bound_ns: f64) -> RoofFact {
    let part = |of: bool| of.then_some(bound_ns);
    RoofFact {
        source,
        bound_ns,
        limiter,
        math_ns: part(limiter == Limiter::Compute),
        memory_ns: part(matches!(limiter, Limiter::Memory(_))),
        link_ns: part(limiter == Limiter::Link),
        clock_hz: Some(1e9),
        units: Some(100.0),
        disputed: None,
    }
}

pub(super) fn compute() -> Facts {
    above(Limiter::Compute, RoofSource::Datasheet)
}

pub(super) fn dram(source: Source) -> Facts {
    let facts = above(Limiter::Memory(Level::Dram), RoofSource::Datasheet);
    Facts { bytes_source: Some(source), ..facts }
}

pub(super) fn link() -> Facts {
    above(Limiter::Link, RoofSource::Datasheet)
}

/// 12 000 operations at 100 in a ns: the 120 ns of [`compute`].
pub(super) fn flop(precision: Precision) -> FlopFact {
    FlopFact {
        precision,
        sparse: false,
        ops: 12_000.0,
        source: Source::Counter,
        accumulate_known: false,
        peak: Some(1e11),
        sparse_peak: None,
        acc16_peak: None,
        packed_peak: None,
        tf32_peak: None,
    }
}

pub(super) fn matrix(change: impl FnOnce(&mut FlopFact)) -> Facts {
    let mut flop = flop(Precision::MatrixF16);
    change(&mut flop);
    Facts { flop: vec![flop], ..compute() }
}

pub(super) fn vector(change: impl FnOnce(&mut FlopFact)) -> Facts {
    let mut flop = flop(Precision::F32);
    change(&mut flop);
    Facts { flop: vec![flop], ..compute() }
}

pub(super) fn named(name: &str, facts: Facts) -> Facts {
    Facts { name: Some(name.to_owned()), ..facts }
}

/// 800 of 1000 bytes counted.
pub(super) fn missing() -> Facts {
    Facts { counter_bytes: Some(800.0), compulsory_bytes: Some(1000.0), ..Facts::default() }
}

/// Which of the two halves of 500 bytes the 200 are missing in.
pub(super) fn sided(read: f64, written: f64) -> Facts {
    Facts {
        counter_read_bytes: Some(read),
        counter_write_bytes: Some(written),
        compulsory_read_bytes: Some(500.0),
        compulsory_write_bytes: Some(500.0),
        cache_bytes: Some(200.0),
        ..missing()
    }
}

/// Of 10 000 bytes that were written to a cache some did not leave it.
pub(super) fn left(missing: f64, launches: u64, cache: Option<f64>) -> Facts {
    let writes = LeftWrites { written: 10_000.0, missing, launches };
    Facts { left_writes: Some(writes), cache_bytes: cache, ..Facts::default() }
}

pub(super) fn percentage(metric: &str, value: f64) -> Facts {
    Facts { percentages: vec![Percentage { metric: metric.to_owned(), value }], ..Facts::default() }
}

pub(super) fn negative(metric: &str, min: f64, max: f64) -> Facts {
    let metric = Negative { metric: metric.to_owned(), min, max, samples: 100, negative: 10 };
    Facts { negatives: vec![metric], ..Facts::default() }
}
