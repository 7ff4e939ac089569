//! The points of a roofline and their labels: points that crowd together share one label with a line for each.

use super::labels::{Area, Obstacles, Wanted, place};
use super::legend;
use super::style::Ink;
use super::svg::{Element, bold_width, line, text, text_width};

/// Markers of one kind whose edges are nearer than this share a label.
const CROWD: f64 = 10.0;
/// Lines of a shared label; the rest is counted.
const MOST_LINES: usize = 6;
const LINE: f64 = 15.0;
const HEAD: f64 = 17.0;

/// One kernel family in one phase.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Family and phase.
    pub(crate) name: String,
    /// The family alone, for a label whose head names the phase.
    pub(crate) family: String,
    /// What it reaches.
    pub(crate) detail: String,
    pub(crate) ink: Ink,
    /// FLOP/byte.
    pub(crate) intensity: f64,
    /// FLOP/s.
    pub(crate) rate: f64,
    /// Share of the time of all families, 0..1: the marker's area.
    pub(crate) time_ratio: f64,
    pub(crate) tooltip: String,
}

impl Point {
    fn radius(&self) -> f64 {
        5.0 + 9.0 * self.time_ratio.clamp(0.0, 1.0).sqrt()
    }
}

/// A point in its place.
type Placed<'a> = (&'a Point, (f64, f64));

/// Draws markers and labels inside `bounds`; `at` gives the pixel of a point.
pub(crate) fn draw(
    svg: &mut Element,
    points: &[Point],
    at: impl Fn(&Point) -> (f64, f64),
    bounds: Area,
    obstacles: &Obstacles,
    id: &str,
) {
    let placed: Vec<Placed> = points.iter().map(|point| (point, at(point))).collect();
    let groups: Vec<Group> = crowds(&placed).into_iter().map(Group::new).collect();
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
        svg.push(legend::marker(point.ink, pixel, point.radius(), id).tooltip(&point.tooltip));
    }
    for ((group, label), area) in groups.iter().zip(&wanted).zip(&areas) {
        if let Some(area) = area {
            group.draw_label(svg, *area, label.anchor);
        }
    }
}

fn distance(area: &Area, label: &Wanted) -> f64 {
    let nearest = area.nearest(label.anchor);
    (nearest.0 - label.anchor.0).hypot(nearest.1 - label.anchor.1)
}

/// Points of one kind that touch, directly or through others, in the order of the first of each group.
fn crowds<'a>(points: &[Placed<'a>]) -> Vec<Vec<Placed<'a>>> {
    let near = |a: &Placed, b: &Placed| {
        let gap = (a.1.0 - b.1.0).hypot(a.1.1 - b.1.1) - a.0.radius() - b.0.radius();
        a.0.ink == b.0.ink && gap < CROWD
    };
    let mut groups: Vec<Vec<Placed>> = Vec::new();
    for point in points {
        let (mut joined, apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.iter().any(|other| near(point, other)));
        groups = apart;
        let mut group: Vec<Placed> = joined.drain(..).flatten().collect();
        group.push(*point);
        groups.push(group);
    }
    groups
}

/// Points that share a label.
struct Group<'a> {
    points: Vec<Placed<'a>>,
    head: String,
    lines: Vec<String>,
}

impl<'a> Group<'a> {
    fn new(mut points: Vec<Placed<'a>>) -> Self {
        points.sort_by(|a, b| b.0.time_ratio.total_cmp(&a.0.time_ratio));
        if let [(point, _)] = points.as_slice() {
            let (head, lines) = (point.name.clone(), vec![point.detail.clone()]);
            return Self { points, head, lines };
        }
        let head = points.first().map_or("", |(point, _)| point.ink.name());
        let head = format!("{head}: {} families", points.len());
        let mut lines: Vec<String> =
            points.iter().take(MOST_LINES).map(|(point, _)| format!("{}: {}", point.family, point.detail)).collect();
        if points.len() > MOST_LINES {
            lines.push(format!("and {} more", points.len() - MOST_LINES));
        }
        Self { points, head, lines }
    }

    /// The middle of the markers, the radius that covers them, and the size of the label.
    fn wanted(&self) -> Wanted {
        let count = self.points.len().max(1) as f64;
        let sum = self.points.iter().fold((0.0, 0.0), |sum, (_, at)| (sum.0 + at.0, sum.1 + at.1));
        let anchor = (sum.0 / count, sum.1 / count);
        let reach = |(point, at): &Placed| (at.0 - anchor.0).hypot(at.1 - anchor.1) + point.radius();
        let radius = self.points.iter().map(reach).fold(0.0, f64::max);
        let width = self.lines.iter().map(|line| text_width(line, 12.0)).fold(bold_width(&self.head, 13.0), f64::max);
        Wanted { anchor, radius, size: (width, HEAD + self.lines.len() as f64 * LINE) }
    }

    fn draw_label(&self, svg: &mut Element, area: Area, anchor: (f64, f64)) {
        // The box is an upper estimate of the text's width: align to the side that faces the marker.
        let left = area.x + area.width <= anchor.0;
        let (x, side) = if left { (area.x + area.width, " end") } else { (area.x, "") };
        svg.push(text(x, area.y + 13.0, &format!("ink t13 bold halo{side}"), &self.head));
        for (index, line) in self.lines.iter().enumerate() {
            let y = area.y + HEAD + LINE * (index as f64 + 1.0) - 4.0;
            svg.push(text(x, y, &format!("muted t12 halo{side}"), line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str, ink: Ink) -> Point {
        let (name, detail, tooltip) = (name.to_owned(), "9 GFLOP/s".to_owned(), String::new());
        Point { family: name.clone(), name, detail, ink, intensity: 1.0, rate: 1.0, time_ratio: 0.1, tooltip }
    }

    #[test]
    fn points_that_touch_share_a_label_and_other_kinds_keep_their_own() {
        let all = ["a", "b", "c", "d"].map(|name| point(name, if name == "d" { Ink::Decode } else { Ink::Prefill }));
        let pixels = [(0.0, 0.0), (60.0, 0.0), (20.0, 0.0), (1.0, 1.0)];
        let placed: Vec<Placed> = all.iter().zip(pixels).collect();
        let names: Vec<Vec<&str>> =
            crowds(&placed).iter().map(|group| group.iter().map(|(point, _)| point.name.as_str()).collect()).collect();
        assert_eq!(names, [vec!["b"], vec!["a", "c"], vec!["d"]]);
    }

    #[test]
    fn a_bridge_between_two_groups_joins_them() {
        let all = ["a", "b", "c"].map(|name| point(name, Ink::Kv));
        let placed: Vec<Placed> = all.iter().zip([(0.0, 0.0), (44.0, 0.0), (22.0, 0.0)]).collect();
        assert_eq!(crowds(&placed).len(), 1);
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let all: Vec<Point> = (0..9).map(|index| point(&format!("k{index}"), Ink::Kv)).collect();
        let group = Group::new(all.iter().map(|point| (point, (0.0, 0.0))).collect());
        assert_eq!((group.lines.len(), group.lines[6].as_str()), (7, "and 3 more"));
        assert_eq!(group.head, "KV transfer: 9 families");
    }
}
