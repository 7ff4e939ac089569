//! From a pooled family to its marker: where it stands, and what its label says.

use std::collections::BTreeSet;

use super::denominator::Used;
use super::pool::Pool;
use super::roofs::is_sane;
use crate::charts::lane::Traffic;
use crate::charts::limiter::Limiter;
use crate::charts::points::{Inner, Point};
use crate::format;
use crate::{Against, RooflineOptions};

/// Intensities beyond these come from damaged numbers.
const SANE_INTENSITY: std::ops::Range<f64> = 1e-9..1e12;

/// The level whose bytes place a family: the wanted one, else the outermost that it has; normalised the one that limits,
/// because left of its ridge a family must be limited by it.
fn level_of(pool: &Pool, options: &RooflineOptions) -> Option<String> {
    if let Some(level) = &options.level {
        return Some(level.to_ascii_uppercase()).filter(|level| pool.bytes.contains_key(level));
    }
    if options.normalised && pool.limiter() == Limiter::Memory {
        let limiting = pool.memory_level();
        if pool.bytes.get(limiting).is_some_and(|bytes| *bytes > 0) {
            return Some(limiting.to_owned());
        }
    }
    let outermost = ["DRAM", "MALL", "L3", "L2", "L1", "L0", "LDS"].into_iter();
    outermost.map(str::to_owned).find(|level| pool.bytes.get(level).is_some_and(|bytes| *bytes > 0))
}

/// The levels whose slopes are drawn: those that some point uses.
pub(super) fn levels(points: &[Point], drawn: &[&Pool], options: &RooflineOptions) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = drawn.iter().filter_map(|pool| level_of(pool, options)).collect();
    found.extend(points.iter().flat_map(|point| point.inner.iter().map(|inner| inner.level.clone())));
    if found.is_empty() {
        found.insert("DRAM".to_owned());
    }
    found
}

pub(super) fn point(
    pool: &Pool,
    all_ns: i64,
    series: Option<usize>,
    used: &Used,
    options: &RooflineOptions,
    hierarchical: bool,
) -> Option<Point> {
    let level = level_of(pool, options)?;
    let (rate, intensity) = (pool.rate()?, pool.intensity(&level)?);
    let (x, y) = place(pool, rate, (&level, intensity), used, options)?;
    let time_ratio = pool.time_ns as f64 / all_ns.max(1) as f64;
    let above = pool.above_ns > 0;
    let mut remarks = if above { vec![format!("above its roof: {}", pool.cause())] } else { Vec::new() };
    remarks.extend(pool.flop_unknown.then(|| "FLOP not counted in full".to_owned()));
    let inner = if hierarchical && !options.normalised && options.level.is_none() {
        inner(pool, &level, rate)
    } else {
        Vec::new()
    };
    let tooltip = format!(
        "{}: {}{}; {}; {} FLOP/byte of {level}; {} in {} launches, {} of the kernel time",
        pool.heading(),
        format::flop_rate(rate),
        pool.of_roof(used),
        [&[pool.limiter().name().to_owned()], &*remarks].concat().join("; "),
        format::significant(intensity),
        format::duration(pool.time_ns),
        format::count(pool.launches),
        format::percent(time_ratio),
    );
    Some(Point {
        name: pool.name.clone(),
        phase: pool.own_phase().to_owned(),
        reached: format::flop_rate(rate),
        share: pool.share().map(|share| (share, pool.roof(used))),
        remarks,
        limiter: pool.limiter(),
        series,
        x,
        y,
        time_ratio,
        above,
        inner,
        tooltip,
    })
}

/// Where a family stands: intensity and FLOP/s, or intensity / ridge and percent of its bound.
fn place(
    pool: &Pool,
    rate: f64,
    (level, intensity): (&str, f64),
    used: &Used,
    options: &RooflineOptions,
) -> Option<(f64, f64)> {
    let (x, y) = if options.normalised {
        (intensity / ridge(pool, level, used, options)?, pool.efficiency()? * 100.0)
    } else {
        (intensity, rate)
    };
    (SANE_INTENSITY.contains(&x) && (1e-6..1e24).contains(&y)).then_some((x, y))
}

/// FLOP/byte at which the compute roof meets that of a level.
fn ridge(pool: &Pool, level: &str, used: &Used, options: &RooflineOptions) -> Option<f64> {
    // A row states the compute roof that its bound used; held against the datasheet, it is that one's.
    let datasheet = options.against == Some(Against::Datasheet);
    let listed = pool.precision.as_deref().and_then(|precision| used.value(precision)).filter(|_| datasheet);
    let compute = listed.or(pool.roofs.0).filter(|roof| is_sane(*roof))?;
    let bandwidth = pool.level_roofs.get(level).copied().or_else(|| used.value(level)).filter(|roof| is_sane(*roof))?;
    Some(compute / bandwidth)
}

/// The other levels of a family.
fn inner(pool: &Pool, level: &str, rate: f64) -> Vec<Inner> {
    let at = |other: &String| {
        let x = pool.intensity(other).filter(|x| other != level && SANE_INTENSITY.contains(x))?;
        let moved = pool.bandwidth(other)?;
        let tooltip = format!(
            "{}: {} at {} FLOP/byte of {other} ({})",
            pool.heading(),
            format::flop_rate(rate),
            format::significant(x),
            format::bandwidth(moved),
        );
        Some(Inner { level: other.clone(), x, tooltip })
    };
    pool.bytes.keys().filter_map(at).collect()
}

pub(super) fn traffic(pool: &Pool, series: Option<usize>, used: &Used, options: &RooflineOptions) -> Option<Traffic> {
    let level = level_of(pool, options)?;
    let rate = pool.bandwidth(&level).filter(|rate| pool.flop <= 0 && is_sane(*rate))?;
    // The bandwidth at which the bound would have moved the same bytes.
    let bound = pool.efficiency().map(|ratio| rate / ratio).filter(|bound| is_sane(*bound));
    let named = series.map_or_else(String::new, |number| format!("({number}) "));
    let uncounted = pool.flop_unknown;
    let above = pool.above_ns > 0;
    let cause = if above { format!("; above its roof: {}", pool.cause()) } else { String::new() };
    let name = format!("{named}{}", pool.name);
    let phase = if pool.own_phase().is_empty() { String::new() } else { format!(", {}", pool.own_phase()) };
    let rest = format!("{phase}: {}{}{cause}", format::bandwidth(rate), pool.of_roof(used));
    let tooltip =
        format!("{name}{rest}; {} in {} launches", format::duration(pool.time_ns), format::count(pool.launches));
    Some(Traffic { name, rest, limiter: pool.limiter(), rate, bound, above, uncounted, tooltip })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(time_ns: i64) -> Pool {
        Pool { time_ns, counted: true, ..Pool::default() }
    }

    #[test]
    fn a_family_stands_at_the_outermost_level_that_it_has_bytes_of() {
        let mut family = pool(10);
        family.bytes = [("L1".to_owned(), 5), ("L2".to_owned(), 3), ("DRAM".to_owned(), 0)].into();
        let level = |level: Option<&str>| {
            level_of(&family, &RooflineOptions { level: level.map(str::to_owned), ..RooflineOptions::default() })
        };
        assert_eq!(level(None).as_deref(), Some("L2"));
        assert_eq!((level(Some("l1")).as_deref(), level(Some("l3"))), (Some("L1"), None));
    }

    #[test]
    fn normalised_a_family_stands_at_intensity_over_ridge_and_percent_of_its_bound() {
        // Ridge 100 / 10 = 10 FLOP/byte; 40 FLOP over 2 bytes are 20, twice the ridge; bound 5 of 20 ns is a quarter.
        let mut family = Pool { flop: 40, bound_ns: 5, bounded_ns: 20.0, roofs: (Some(100.0), None), ..pool(20) };
        family.level_roofs = [("DRAM".to_owned(), 10.0), ("L2".to_owned(), 50.0)].into();
        let options = RooflineOptions { normalised: true, ..RooflineOptions::default() };
        let at = |family: &Pool, level| place(family, 2e9, (level, 20.0), &Used::default(), &options);
        assert_eq!(at(&family, "DRAM"), Some((2.0, 25.0)));
        // The ridge of the L2 is 100 / 50 = 2 FLOP/byte.
        assert_eq!((at(&family, "L2"), at(&family, "L1")), (Some((10.0, 25.0)), None));
        assert_eq!(at(&Pool { roofs: (None, Some(1.0)), ..family }, "DRAM"), None);
    }

    #[test]
    fn normalised_a_family_that_the_l2_limits_stands_at_the_ridge_of_the_l2() {
        let mut family = Pool { limiter_level: Some("L2".to_owned()), ..pool(10) };
        family.limiters.insert("memory".to_owned(), 10);
        family.bytes = [("L2".to_owned(), 3), ("DRAM".to_owned(), 2)].into();
        let level = |normalised| level_of(&family, &RooflineOptions { normalised, ..RooflineOptions::default() });
        assert_eq!((level(true).as_deref(), level(false).as_deref()), (Some("L2"), Some("DRAM")));
    }
}
