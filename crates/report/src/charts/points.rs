//! The points of a roofline and their labels: points that crowd together share one label with a line for each.

use super::crowds::{Group, labelled};
use super::labels::{Area, Obstacles, Wanted, place};
use super::limiter::Limiter;
use super::svg::{Element, line, text};

/// Radius of a marker that stands for all of the time; the area is proportional to the share.
const WHOLE: f64 = 19.0;
/// Least radius: smaller markers could not be told apart.
const LEAST: f64 = 4.2;
/// Least radius of a marker that has its series' number inside.
const LEAST_NUMBERED: f64 = 7.5;

/// The same work at another level of the memory.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    pub(crate) level: String,
    /// Place on the x axis.
    pub(crate) x: f64,
    pub(crate) tooltip: String,
}

/// One kernel family in one phase.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Family.
    pub(crate) name: String,
    /// Phase; empty where there is none, or the name says it.
    pub(crate) phase: String,
    /// What it reaches, for example `5.50 TFLOP/s`.
    pub(crate) reached: String,
    /// Share of a roof, and which: `92.3 %` of `measured DRAM`.
    pub(crate) share: Option<(String, String)>,
    /// Further lines of its own label.
    pub(crate) remarks: Vec<String>,
    pub(crate) limiter: Limiter,
    /// Number of its capture or device, where the chart shows several.
    pub(crate) series: Option<usize>,
    /// Place on the axes: FLOP/byte and FLOP/s, or what the chart's axes say.
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Share of the time of all families of its series, 0..1: the marker's area.
    pub(crate) time_ratio: f64,
    /// Whether it lies above its roof.
    pub(crate) above: bool,
    /// Other levels, drawn hollow at the same height.
    pub(crate) inner: Vec<Inner>,
    pub(crate) tooltip: String,
}

impl Point {
    /// Family and phase.
    pub(crate) fn heading(&self) -> String {
        format!("{}{}", self.name, self.comma_phase())
    }

    /// `5.50 TFLOP/s, 92.3 % of measured DRAM`.
    pub(crate) fn detail(&self) -> String {
        let share = self.share.as_ref().map_or_else(String::new, |(ratio, of)| format!(", {ratio} of {of}"));
        format!("{}{share}", self.reached)
    }

    pub(super) fn comma_phase(&self) -> String {
        if self.phase.is_empty() { String::new() } else { format!(", {}", self.phase) }
    }

    pub(super) fn radius(&self) -> f64 {
        let least = if self.series.is_some() { LEAST_NUMBERED } else { LEAST };
        (WHOLE * self.time_ratio.clamp(0.0, 1.0).sqrt()).max(least)
    }
}

/// A point in its place.
pub(super) type Placed<'a> = (&'a Point, (f64, f64));

/// Draws markers and labels inside `bounds`; `at` gives the pixel of a place on the axes.
pub(crate) fn draw(
    svg: &mut Element,
    points: &[Point],
    at: impl Fn(f64, f64) -> (f64, f64),
    bounds: Area,
    obstacles: &mut Obstacles,
) {
    let placed: Vec<Placed> = points.iter().map(|point| (point, at(point.x, point.y))).collect();
    for (point, pixel) in &placed {
        let inner = point.inner.iter().map(|inner| (inner, at(inner.x, point.y)));
        draw_inner(svg, point, *pixel, &inner.collect::<Vec<_>>(), obstacles);
    }
    let (groups, rest) = labelled(&placed);
    obstacles.soft.extend(rest.iter().map(|(point, pixel)| Area::around(*pixel, point.radius())));
    let wanted: Vec<Wanted> = groups.iter().map(Group::wanted).collect();
    let areas = place(&wanted, bounds, obstacles);
    for (label, area) in wanted.iter().zip(&areas) {
        if let Some(area) = area.filter(|area| distance(area, label) > label.radius + 9.0) {
            svg.push(line(label.anchor, area.nearest(label.anchor), "leader"));
        }
    }
    // The largest first, so that no marker hides another.
    let mut order = placed.clone();
    order.sort_by(|a, b| b.0.time_ratio.total_cmp(&a.0.time_ratio));
    for (point, pixel) in order {
        draw_marker(svg, point, pixel);
    }
    for ((group, label), area) in groups.iter().zip(&wanted).zip(&areas) {
        if let Some(area) = area {
            group.draw_label(svg, *area, label.anchor);
        }
    }
}

/// The boxes of the markers, the hollow ones too.
pub(crate) fn areas(points: &[Point], at: impl Fn(f64, f64) -> (f64, f64)) -> Vec<Area> {
    let of_point = |point: &Point| {
        let radius = point.radius() * 1.2;
        let xs = point.inner.iter().map(|inner| inner.x).chain([point.x]);
        xs.map(|x| Area::around(at(x, point.y), radius)).collect::<Vec<_>>()
    };
    points.iter().flat_map(of_point).collect()
}

fn draw_marker(svg: &mut Element, point: &Point, pixel: (f64, f64)) {
    svg.push(point.limiter.marker(pixel, point.radius()).tooltip(&point.tooltip));
    if point.above {
        svg.push(above_ring(pixel, point.radius()));
    }
    if let Some(number) = point.series {
        svg.push(text(pixel.0, pixel.1 + 3.5, "on-dark t10 bold middle", &number.to_string()));
    }
}

/// What marks a point above its roof.
pub(crate) fn above_ring((x, y): (f64, f64), radius: f64) -> Element {
    Element::new("circle").at("cx", x).at("cy", y).at("r", radius * 1.25 + 3.5).class("above")
}

/// The other levels of a point: hollow markers at its height, tied to it.
fn draw_inner(
    svg: &mut Element,
    point: &Point,
    pixel: (f64, f64),
    inner: &[(&Inner, (f64, f64))],
    obstacles: &mut Obstacles,
) {
    let xs = || inner.iter().map(|(_, at)| at.0).chain([pixel.0]);
    let (left, right) = (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    if right - left > 1.0 {
        svg.push(line((left, pixel.1), (right, pixel.1), "tie"));
    }
    for (inner, at) in inner {
        let radius = (point.radius() * 0.7).max(LEAST);
        svg.push(point.limiter.hollow(*at, radius, &inner.level).tooltip(&inner.tooltip));
        obstacles.soft.push(Area::around(*at, radius));
    }
}

fn distance(area: &Area, label: &Wanted) -> f64 {
    let nearest = area.nearest(label.anchor);
    (nearest.0 - label.anchor.0).hypot(nearest.1 - label.anchor.1)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn point(name: &str, limiter: Limiter) -> Point {
        Point {
            name: name.to_owned(),
            phase: String::new(),
            reached: "9 GFLOP/s".to_owned(),
            share: None,
            remarks: Vec::new(),
            limiter,
            series: None,
            x: 1.0,
            y: 1.0,
            time_ratio: 0.1,
            above: false,
            inner: Vec::new(),
            tooltip: String::new(),
        }
    }

    #[test]
    fn the_area_of_a_marker_is_its_share_of_the_time_down_to_a_least_size() {
        let radius = |time_ratio| Point { time_ratio, ..point("a", Limiter::Memory) }.radius();
        // A quarter of the time has half of the radius: 19 / 2.
        assert!((radius(1.0) - 19.0).abs() < 1e-12 && (radius(0.25) - 9.5).abs() < 1e-12);
        assert!((radius(0.0) - LEAST).abs() < 1e-12 && (radius(f64::NAN) - LEAST).abs() < 1e-12);
    }
}
