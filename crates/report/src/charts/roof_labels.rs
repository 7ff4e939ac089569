//! What is written on the lines of a roofline's roofs: values and sources, lines that nearly touch in one label.

use std::collections::{BTreeMap, BTreeSet};

use super::labels::{Area, Obstacles};
use super::roofs::Drawn;
use super::svg::{Element, text, text_width};

/// Lines nearer than this share one label, in their order.
const NEAR: f64 = 16.0;
const SIZE: f64 = 12.0;
/// Steps in which a label moves along its line to a free place.
const SHIFT: f64 = 14.0;

/// Lines in order, those nearer to the one before than a label is high in one group.
fn chains(mut lines: Vec<Drawn>, offset: impl Fn(&Drawn) -> f64) -> Vec<Vec<Drawn>> {
    lines.sort_by(|a, b| offset(a).total_cmp(&offset(b)));
    let mut groups: Vec<Vec<Drawn>> = Vec::new();
    for drawn in lines {
        match groups.last_mut().filter(|group| group.last().is_some_and(|last| offset(&drawn) - offset(last) < NEAR)) {
            Some(group) => group.push(drawn),
            None => groups.push(vec![drawn]),
        }
    }
    groups
}

/// `DRAM 3.35 TB/s datasheet, 2.98 TB/s measured`: the name once for lines of one name, from the highest line down.
fn words(group: &[Drawn]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    // The numbers of several series tell their lines already.
    let several =
        group.iter().all(|drawn| drawn.series.is_none()) && group.windows(2).any(|pair| pair[0].name != pair[1].name);
    for (index, drawn) in group.iter().enumerate() {
        let same = index > 0 && group[index - 1].name == drawn.name;
        // Two sources that read the same need one number.
        if same && group[index - 1].value == drawn.value {
            if let Some(last) = parts.last_mut() {
                last.extend([" and ", drawn.source.word()]);
            }
            continue;
        }
        let name = if same { String::new() } else { format!("{} ", drawn.name) };
        // Which of the lines is which, only their order tells.
        let order = if several && index == 0 { "from above: " } else { "" };
        parts.push(format!("{order}{name}{} {}", drawn.value, drawn.source.word()));
    }
    parts
}

/// Joins parts into lines of at most that width.
fn joined(parts: &[String], width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut().filter(|last| text_width(&format!("{last}, {part}"), SIZE) <= width) {
            Some(last) => last.extend([", ", part.as_str()]),
            None => lines.push(part.clone()),
        }
    }
    lines
}

/// Beside so many other series each has one label a kind of roof: its lines are many, and its number tells it.
const CROWDED: usize = 3;

/// The lines that get a label: of each series of a crowded chart the one that `best` prefers.
pub(super) fn chosen(lines: Vec<Drawn>, best: impl Fn(&Drawn, &Drawn) -> bool) -> (Vec<Drawn>, usize) {
    let series: BTreeSet<usize> = lines.iter().filter_map(|drawn| drawn.series).collect();
    let all = lines.len();
    if series.len() < CROWDED {
        return (lines, 0);
    }
    let mut kept: BTreeMap<Option<usize>, Drawn> = BTreeMap::new();
    for drawn in lines {
        if kept.get(&drawn.series).is_none_or(|known| best(&drawn, known)) {
            kept.insert(drawn.series, drawn);
        }
    }
    let left = all - kept.len();
    (kept.into_values().collect(), left)
}

/// The peaks at the right end of their lines, or left of markers there: above the highest of a group, what does not fit
/// below the lowest. Returns how many labels found no place.
pub(super) fn peaks(
    svg: &mut Element,
    peaks: Vec<Drawn>,
    (plot, markers): (Area, &[Area]),
    obstacles: &mut Obstacles,
) -> usize {
    let mut dropped = 0;
    let right = plot.x + plot.width - 8.0;
    for group in chains(peaks, |drawn| drawn.from.1) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let lines = joined(&words(&group), plot.width * 0.52);
        let (top, bottom) = (first.from.1, last.from.1);
        for (index, words) in lines.iter().enumerate() {
            let (above, below) = (top - 6.0, bottom + 14.0 * index.max(1) as f64);
            let bases = if index == 0 { [above, below] } else { [below, above - 17.0 * index as f64] };
            let width = text_width(words, SIZE);
            let area =
                |(end, base): (f64, f64)| Area { x: end - width, y: base - 12.0, width: width + 8.0, height: 16.0 };
            let steps = ((right - width - first.from.0).max(0.0) / SHIFT) as u32;
            let ends = || (0..=steps).map(|step| right - SHIFT * f64::from(step));
            let places = bases.into_iter().flat_map(|base| ends().map(move |end| (end, base)));
            let inside = places.filter(|place| plot.holds(&Area { width, ..area(*place) }));
            let hits = |place: &(f64, f64)| hits(&[area(*place)], markers, &obstacles.boxes);
            let Some(place) = inside.min_by_key(hits).filter(|place| hits(place).0 == 0) else {
                dropped += 1;
                continue;
            };
            svg.push(text(place.0, place.1, "ink t12 end halo", words));
            obstacles.boxes.push(area(place));
        }
    }
    dropped
}

/// How many other labels and how many markers a label would touch; the first place with the fewest is taken.
fn hits(boxes: &[Area], markers: &[Area], labels: &[Area]) -> (usize, usize) {
    let touched = |others: &[Area]| others.iter().filter(|other| boxes.iter().any(|own| other.overlaps(own))).count();
    (touched(labels), touched(markers))
}

/// The bandwidths along their slopes, from the lower left on. Returns how many labels found no place.
pub(super) fn slopes(
    svg: &mut Element,
    slopes: Vec<Drawn>,
    (plot, markers): (Area, &[Area]),
    obstacles: &mut Obstacles,
) -> usize {
    let mut dropped = 0;
    // All slopes are parallel on logarithmic axes.
    let Some(one) = slopes.first() else { return dropped };
    let (run, rise) = (one.to.0 - one.from.0, one.to.1 - one.from.1);
    let length = run.hypot(rise).max(1e-9);
    let (along, normal) = ((run / length, rise / length), (rise / length, -run / length));
    // Distance from the upper left, measured across the slopes.
    let across = |drawn: &Drawn| -(drawn.from.0 * normal.0 + drawn.from.1 * normal.1);
    for group in chains(slopes, across) {
        let longest = group.iter().map(reach).fold(0.0, f64::max);
        let parts = joined(&words(&group), (longest - 34.0).max(120.0));
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        for (index, words) in parts.iter().enumerate() {
            let (drawn, shift) = if index == 0 { (first, 6.0) } else { (last, -1.0 - 14.0 * index as f64) };
            let width = text_width(words, SIZE);
            let base = |way: f64| {
                let at = (drawn.from.0 + along.0 * way, drawn.from.1 + along.1 * way);
                (at.0 + normal.0 * shift, at.1 + normal.1 * shift)
            };
            let own = |way: f64| boxes(base(way), along, normal, width, plot);
            let start = 18.0_f64.min(reach(drawn) * 0.1);
            let steps = ((reach(drawn) - width - start).max(0.0) / SHIFT) as u32;
            let ways = (0..=steps).map(|step| start + SHIFT * f64::from(step));
            let hits = |way: &f64| hits(&own(*way), markers, &obstacles.boxes);
            let Some(way) = ways.min_by_key(hits).filter(|way| hits(way).0 == 0) else {
                dropped += 1;
                continue;
            };
            draw_along(svg, words, base(way), along);
            obstacles.boxes.extend(own(way));
        }
    }
    dropped
}

fn reach(drawn: &Drawn) -> f64 {
    (drawn.to.0 - drawn.from.0).hypot(drawn.to.1 - drawn.from.1)
}

fn draw_along(svg: &mut Element, words: &str, base: (f64, f64), along: (f64, f64)) {
    let angle = along.1.atan2(along.0).to_degrees();
    let turned = format!("rotate({angle:.1} {:.1} {:.1})", base.0, base.1);
    svg.push(text(base.0, base.1, "ink t12 halo", words).set("transform", &turned));
}

/// Small boxes along a turned label, which no other label may touch.
fn boxes(base: (f64, f64), along: (f64, f64), normal: (f64, f64), width: f64, plot: Area) -> Vec<Area> {
    let steps = (width / 9.0).ceil().clamp(1.0, 200.0) as u32;
    let centre = (base.0 + normal.0 * 4.5, base.1 + normal.1 * 4.5);
    let at = |step: u32| {
        let way = width * f64::from(step) / f64::from(steps);
        Area::around((centre.0 + along.0 * way, centre.1 + along.1 * way), 7.0)
    };
    (0..=steps).map(at).filter(|area| plot.overlaps(area)).collect()
}
