//! What the roofline shows of one or several runs: families pooled over equal devices, and the roofs of their bounds.

use std::collections::BTreeSet;

use super::ceilings::ceilings;
use super::denominator::Used;
use super::points::{levels, point, traffic};
use super::pool::{Pool, pools};
use super::roofs;
use super::series::{self, MOST_SERIES, Series};
use crate::RooflineOptions;
use crate::charts::lane::Traffic;
use crate::charts::roofline::Roofline;
use crate::error::Error;
use crate::format;
use crate::run::{Run, file_stem, sum};

/// More families without FLOP than this make the lane unreadable; the table has all of them.
const MOST_TRAFFIC: usize = 8;
/// More markers than this make the file large and tell nothing; the table has all families.
const MOST_POINTS: usize = 400;
/// Families whose other levels are drawn too: the ones that ran longest.
const MOST_HIERARCHIES: usize = 8;
/// Families above their roof that a note names.
const MOST_ABOVE: usize = 4;
/// Up to so many families a chart needs no cut.
const DOZEN: usize = 12;
/// Share of the time at which a chart with more families is cut.
const MOST_TIME: f64 = 0.95;

/// The roofline of runs; none where no metric `roofline` has rows that the options want.
///
/// # Errors
/// When a table lacks a column, which the schema check excludes, or there are too many series for one picture.
pub(crate) fn view(runs: &[&Run], suffix: &str, options: &RooflineOptions) -> Result<Option<Roofline>, Error> {
    let all: Vec<Series> = runs.iter().flat_map(|run| series::of_run(run, runs.len() > 1, options)).collect();
    let Some(first) = all.first() else { return Ok(None) };
    if runs.len() > MOST_SERIES {
        return Err(Error::TooManySeries { found: runs.len(), most: MOST_SERIES });
    }
    let hidden = all.len().saturating_sub(MOST_SERIES);
    let shown = &all[..all.len().min(MOST_SERIES)];
    let several = shown.len() > 1;
    let mut chart = Roofline {
        id: format!("roofline{}", file_stem(suffix)),
        title: title(runs, options),
        subtitle: subtitle(first, (several, runs.len() > 1), options),
        series: if several { shown.iter().map(|one| legend(one, runs.len() > 1)).collect() } else { Vec::new() },
        roofs: Vec::new(),
        points: Vec::new(),
        traffic: Vec::new(),
        normalised: options.normalised,
        bytes: bytes_words(shown, options),
        notes: Vec::new(),
    };
    let (mut lanes, mut notes) = (Vec::new(), Vec::new());
    for (index, one) in shown.iter().enumerate() {
        let number = several.then_some(index + 1);
        let own = add_series(&mut chart, &mut lanes, one, number, shown.len(), options)?;
        notes.extend(own.into_iter().map(|note| (number, note)));
    }
    chart.notes = numbered(notes);
    finish_lane(&mut chart, lanes);
    if hidden > 0 {
        chart.notes.push(format!("{hidden} more kinds of devices are only in the tables."));
    }
    if chart.roofs.is_empty() && !options.normalised {
        chart.notes.push(
            "No roof of this device is known, neither measured nor from a datasheet: the points have no bound."
                .to_owned(),
        );
    }
    chart.notes.extend(closing(shown));
    Ok(Some(chart))
}

fn title(runs: &[&Run], options: &RooflineOptions) -> String {
    let kind = if options.normalised { "Roofline, normalised" } else { "Roofline" };
    let mut names: Vec<&str> = runs.iter().map(|run| run.artifact.manifest.target.name.as_str()).collect();
    names.dedup();
    format!("{kind}: {}", names.join(", "))
}

fn subtitle(first: &Series, (several, several_runs): (bool, bool), options: &RooflineOptions) -> String {
    let filters = options.words();
    let filters = if filters.is_empty() { String::new() } else { format!("; only {filters}") };
    let placed = placed_words(first);
    let key = &first.run.artifact.manifest.hardware_key;
    match (several, several_runs) {
        (true, true) => format!("The number in a marker names its run or device{filters}"),
        (true, false) => format!("{key}; the number in a marker names its device{filters}"),
        _ => format!("{key}; {}; {placed}{filters}", first.words()),
    }
}

/// What the number of a series stands for.
fn legend(one: &Series, several_runs: bool) -> String {
    let run = if several_runs { format!("{}: ", one.run.artifact.run()) } else { String::new() };
    format!("{run}{}; {}", one.words(), placed_words(one))
}

/// How much of the time stands on the chart, for a subtitle.
fn placed_words(one: &Series) -> String {
    let ratio = format::or_absent(one.placed_ratio(), format::percent);
    format!("{ratio} of the kernel time has counts and a roof")
}

fn bytes_words(shown: &[Series], options: &RooflineOptions) -> String {
    let level = match &options.level {
        Some(level) => level.to_ascii_uppercase(),
        None if options.normalised => "DRAM, or the level that limits".to_owned(),
        None => "DRAM".to_owned(),
    };
    let mut sources: BTreeSet<&str> = BTreeSet::new();
    for row in shown.iter().flat_map(|one| &one.rows).filter(|row| row.int("flop").is_some_and(|flop| flop > 0)) {
        sources.extend(row.text("bytes_source"));
    }
    let sources: Vec<&str> = sources.into_iter().collect();
    if sources.is_empty() { level } else { format!("{level}, {}", sources.join(" or ")) }
}

/// Each note once, headed by the numbers of the series that it holds for.
fn numbered(notes: Vec<(Option<usize>, String)>) -> Vec<String> {
    let mut heads: Vec<(String, String)> = Vec::new();
    for (number, note) in notes {
        let number = number.map_or_else(String::new, |number| format!("({number}) "));
        match heads.iter_mut().find(|(_, known)| *known == note) {
            Some((head, _)) => *head += &number,
            None => heads.push((number, note)),
        }
    }
    heads.into_iter().map(|(head, note)| head + &note).collect()
}

/// Adds the roofs, points and lane rows of one series; returns what the reader must know of it.
fn add_series(
    chart: &mut Roofline,
    lanes: &mut Vec<(i64, Traffic)>,
    one: &Series,
    number: Option<usize>,
    count: usize,
    options: &RooflineOptions,
) -> Result<Vec<String>, Error> {
    let (used, all) = (Used::read(one, options), pools(one, options));
    let all_ns = sum(all.iter().map(|pool| pool.time_ns));
    // Work without FLOP has its own lane and its own cut: the transfers of a run would fall to its kernels' tail.
    let (moving, computing): (Vec<&Pool>, Vec<&Pool>) =
        all.iter().filter(|pool| pool.counted).partition(|pool| pool.flop <= 0);
    let (wanted, most) = (cut(&computing, options.cut_ratio), MOST_POINTS / count.max(1));
    let kept = wanted.min(most);
    let (drawn, mut left) = (&computing[..kept], computing[kept..].to_vec());
    let (mut points, mut undrawn) = (Vec::new(), 0_usize);
    for pool in drawn {
        let hierarchical = number.is_none() && points.len() < MOST_HIERARCHIES;
        match point(pool, all_ns, number, &used, options, hierarchical) {
            Some(point) => points.push(point),
            None => undrawn += 1,
        }
    }
    let kept = cut(&moving, options.cut_ratio);
    left.extend(&moving[kept..]);
    for pool in &moving[..kept] {
        match traffic(pool, number, &used, options) {
            Some(row) => lanes.push((pool.time_ns, row)),
            None => undrawn += 1,
        }
    }
    if !options.normalised {
        let levels = levels(&points, drawn, options);
        chart.roofs.extend(roofs::of_series(one, number, &levels, &ceilings(one.run)?, options));
    }
    chart.points.append(&mut points);
    let mut notes = Vec::new();
    notes.extend(left_out(&left, all_ns, options, (wanted > most).then_some(most)));
    notes.extend(above(&all));
    notes.extend(
        (undrawn > 0).then(|| format!("{undrawn} families lack what this chart needs and are only in the table.")),
    );
    notes.extend(unplaced(&all, all_ns));
    Ok(notes)
}

/// How many of the families, longest first, it takes for the wanted share of their time.
fn cut(pools: &[&Pool], wanted: Option<f64>) -> usize {
    if wanted.is_none() && pools.len() <= DOZEN {
        return pools.len();
    }
    let ratio = share_of(wanted);
    let total = sum(pools.iter().map(|pool| pool.time_ns)) as f64;
    let mut reached = 0.0;
    let enough = |pool: &&Pool| {
        let before = reached;
        reached += pool.time_ns as f64;
        before >= ratio * total && ratio < 1.0
    };
    pools.iter().position(enough).unwrap_or(pools.len())
}

fn share_of(wanted: Option<f64>) -> f64 {
    wanted.filter(|ratio| !ratio.is_nan()).unwrap_or(MOST_TIME).clamp(0.0, 1.0)
}

/// The families that are not drawn; `most` where the picture has no room for all that the cut leaves.
fn left_out(left: &[&Pool], all_ns: i64, options: &RooflineOptions, most: Option<usize>) -> Option<String> {
    let time = sum(left.iter().map(|pool| pool.time_ns));
    let above = left.iter().filter(|pool| pool.above_ns > 0).count();
    let above = if above > 0 { format!(" {above} of them are above their roof.") } else { String::new() };
    (!left.is_empty()).then(|| {
        let up_to = format!(
            "the families that ran longest, up to {} of the time",
            format::percent(share_of(options.cut_ratio))
        );
        let drawn = most.map_or(up_to, |most| format!("the {most} families that ran longest"));
        format!(
            "Drawn are {drawn}; {} more take {} of it and are only in the table.{above}",
            left.len(),
            format::percent(time as f64 / all_ns.max(1) as f64),
        )
    })
}

/// The families above their roof with the causes that fit: their labels may have found no place.
fn above(all: &[Pool]) -> Option<String> {
    let found: Vec<&Pool> = all.iter().filter(|pool| pool.above_ns > 0).collect();
    let named = |pool: &&Pool| format!("{} ({})", format::middle(&pool.heading(), 80), pool.cause());
    let more = found.len().saturating_sub(MOST_ABOVE);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let names: Vec<String> = found.iter().take(MOST_ABOVE).map(named).collect();
    (!found.is_empty()).then(|| format!("Above their roof: {}{more}.", names.join(", ")))
}

fn unplaced(all: &[Pool], all_ns: i64) -> Option<String> {
    let missing: Vec<&Pool> = all.iter().filter(|pool| !pool.counted).collect();
    let time = sum(missing.iter().map(|pool| pool.time_ns));
    (!missing.is_empty()).then(|| {
        format!(
            "{} families without counts take {} of the kernel time and are not on the chart.",
            missing.len(),
            format::percent(time as f64 / all_ns.max(1) as f64),
        )
    })
}

/// The longest rows of the lane; the others are counted.
fn finish_lane(chart: &mut Roofline, mut lanes: Vec<(i64, Traffic)>) {
    lanes.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let more = lanes.len().saturating_sub(MOST_TRAFFIC);
    chart.traffic = lanes.into_iter().take(MOST_TRAFFIC).map(|(_, row)| row).collect();
    if more > 0 {
        chart.notes.push(format!("{more} more families without FLOP are only in the table."));
    }
}

/// What holds for every point.
fn closing(shown: &[Series]) -> Option<String> {
    let rows = || shown.iter().flat_map(|one| &one.rows);
    let every = |column: &str| {
        let found: BTreeSet<&str> = rows().filter_map(|row| row.text(column)).collect();
        let found: Vec<&str> = found.into_iter().take(3).collect();
        if found.is_empty() { format::ABSENT.to_owned() } else { found.join(" or ") }
    };
    rows().next()?;
    Some(format!(
        "One point a kernel family and phase, summed over the devices of a series. Window: {}. FLOP: {}; bytes: {}; \
         time: {}. A percentage is bound / time: the bound is the sum over launches of the slowest of compute, memory \
         and link on the roofs that are named.",
        every("window"),
        every("flop_source"),
        every("bytes_source"),
        every("time_source"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(time_ns: i64) -> Pool {
        Pool { time_ns, counted: true, ..Pool::default() }
    }

    #[test]
    fn the_cut_keeps_the_families_that_it_takes_to_reach_a_share_of_the_time() {
        let pools = [pool(60), pool(30), pool(6), pool(4)];
        let all: Vec<&Pool> = pools.iter().collect();
        // 60 + 30 = 90 % is not yet 95 %, with the third it is 96 %.
        assert_eq!([0.0, 0.5, 0.95, 0.96, 1.0, f64::NAN].map(|ratio| cut(&all, Some(ratio))), [0, 1, 3, 3, 4, 3]);
        assert_eq!((cut(&[], Some(0.95)), cut(&all, None)), (0, 4));
        // Of a hundred equal ones 95 % without any option.
        let equal = vec![pool(7); 100];
        assert_eq!(cut(&equal.iter().collect::<Vec<_>>(), None), 95);
    }
}
