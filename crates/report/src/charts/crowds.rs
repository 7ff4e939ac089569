//! Labels of the points of a roofline: points that crowd together share one, with a line for each.

use super::labels::{Area, Wanted};
use super::points::{Placed, Point};
use super::svg::{Element, bold_width, fit, fit_bold, fit_middle, fit_middle_bold, text, text_width};

/// Markers of one limiter whose edges are nearer than this share a label.
const CROWD: f64 = 8.0;
/// A shared label stands for markers within this radius: a longer chain of them gets several.
const CROWD_RADIUS: f64 = 42.0;
/// Lines of a shared label; the rest is counted.
const MOST_LINES: usize = 6;
/// Labels beyond this many only hide the points; tooltips and tables name the others.
const MOST_LABELS: usize = 22;
/// A point above its roof is missed as much as this share of the time.
const WORTH_OF_ABOVE: f64 = 0.15;
const LINE: f64 = 15.0;
const HEAD: f64 = 17.0;
/// Widest label; names of templates are longer than any chart.
const WIDEST: f64 = 300.0;
/// Widest line of a shared label, which has name and numbers.
const WIDEST_SHARED: f64 = 370.0;

/// The groups that get a label, those that cost most time first, and the points of the others.
pub(super) fn labelled<'a>(placed: &[Placed<'a>]) -> (Vec<Group<'a>>, Vec<Placed<'a>>) {
    let mut groups = crowds(placed);
    let time = |group: &Vec<Placed>| {
        let above = if group.iter().any(|(point, _)| point.above) { 1.0 } else { 0.0 };
        // A point that cannot be is worth a label however short it ran.
        above + group.iter().map(|(point, _)| point.time_ratio).sum::<f64>()
    };
    groups.sort_by(|a, b| time(b).total_cmp(&time(a)));
    let rest = groups.split_off(groups.len().min(MOST_LABELS));
    (groups.into_iter().map(Group::new).collect(), rest.into_iter().flatten().collect())
}

/// Points of one limiter and series that touch, each group within a small circle around its first point.
fn crowds<'a>(points: &[Placed<'a>]) -> Vec<Vec<Placed<'a>>> {
    let apart = |a: &Placed, b: &Placed| (a.1.0 - b.1.0).hypot(a.1.1 - b.1.1);
    let like = |a: &Placed, b: &Placed| a.0.limiter == b.0.limiter && a.0.series == b.0.series;
    let touch = |a: &Placed, b: &Placed| apart(a, b) - a.0.radius() - b.0.radius() < CROWD;
    let mut groups: Vec<Vec<Placed>> = Vec::new();
    for point in points {
        let fits = |group: &&mut Vec<Placed>| {
            group.first().is_some_and(|first| like(first, point) && apart(first, point) < CROWD_RADIUS)
                && group.iter().any(|other| touch(point, other))
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(*point),
            None => groups.push(vec![*point]),
        }
    }
    groups
}

/// Points that share a label.
pub(super) struct Group<'a> {
    points: Vec<Placed<'a>>,
    head: String,
    lines: Vec<String>,
}

impl<'a> Group<'a> {
    fn new(mut points: Vec<Placed<'a>>) -> Self {
        points.sort_by(|a, b| b.0.time_ratio.total_cmp(&a.0.time_ratio));
        if let [(point, _)] = points.as_slice() {
            let phase = point.comma_phase();
            let room = (WIDEST - bold_width(&phase, 13.0)).max(80.0);
            let head = format!("{}{}{phase}", number(point.series), fit_middle_bold(&point.name, 13.0, room));
            let lines = [point.detail()].iter().chain(&point.remarks).map(|line| fit(line, 12.0, WIDEST)).collect();
            return Self { points, head, lines };
        }
        let series = points.first().and_then(|(point, _)| point.series);
        let of = common_roof(&points);
        let head_of = of.map_or_else(String::new, |of| format!(", % of {of}"));
        let head = fit_bold(&format!("{}{} families{head_of}", number(series), points.len()), 13.0, WIDEST_SHARED);
        let named = |(point, _): &Placed| {
            let detail = match (&point.share, of) {
                (Some((ratio, _)), Some(_)) => format!("{}, {ratio}", point.reached),
                _ => point.detail(),
            };
            let rest = format!("{}: {detail}", point.comma_phase());
            // What is cut is the name, neither phase nor number.
            let room = WIDEST_SHARED - text_width(&rest, 12.0);
            format!("{}{rest}", fit_middle(&point.name, 12.0, room.max(60.0)))
        };
        let mut lines: Vec<String> = points.iter().take(MOST_LINES).map(named).collect();
        if points.len() > MOST_LINES {
            lines.push(format!("and {} more", points.len() - MOST_LINES));
        }
        Self { points, head, lines }
    }

    /// The middle of the markers, the radius that covers them, and the size of the label.
    pub(super) fn wanted(&self) -> Wanted {
        let count = self.points.len().max(1) as f64;
        let sum = self.points.iter().fold((0.0, 0.0), |sum, (_, at)| (sum.0 + at.0, sum.1 + at.1));
        let anchor = (sum.0 / count, sum.1 / count);
        let reach = |(point, at): &Placed| (at.0 - anchor.0).hypot(at.1 - anchor.1) + point.radius();
        let radius = self.points.iter().map(reach).fold(0.0, f64::max);
        let width = self.lines.iter().map(|line| text_width(line, 12.0)).fold(bold_width(&self.head, 13.0), f64::max);
        let of_point = |point: &Point| point.time_ratio + if point.above { WORTH_OF_ABOVE } else { 0.0 };
        let weight = self.points.iter().map(|(point, _)| of_point(point)).sum();
        Wanted { anchor, radius, size: (width, HEAD + self.lines.len() as f64 * LINE), weight }
    }

    pub(super) fn draw_label(&self, svg: &mut Element, area: Area, anchor: (f64, f64)) {
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

/// `(2) ` of a series; nothing where there is one.
fn number(series: Option<usize>) -> String {
    series.map_or_else(String::new, |number| format!("({number}) "))
}

/// The roof that all of them are held against, where it is one.
fn common_roof<'a>(points: &[Placed<'a>]) -> Option<&'a str> {
    let mut roofs = points.iter().map(|(point, _)| point.share.as_ref().map(|(_, of)| of.as_str()));
    let first = roofs.next().flatten()?;
    roofs.all(|other| other == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::super::limiter::Limiter;
    use super::super::points::tests::point;
    use super::*;

    fn names(groups: &[Vec<Placed>]) -> Vec<Vec<String>> {
        groups.iter().map(|group| group.iter().map(|(point, _)| point.name.clone()).collect()).collect()
    }

    #[test]
    fn points_that_touch_share_a_label_and_other_limiters_keep_their_own() {
        let limiter = |name| if name == "d" { Limiter::Memory } else { Limiter::Compute };
        let all = ["a", "b", "c", "d"].map(|name| point(name, limiter(name)));
        let placed: Vec<Placed> = all.iter().zip([(0.0, 0.0), (60.0, 0.0), (18.0, 0.0), (1.0, 1.0)]).collect();
        assert_eq!(names(&crowds(&placed)), [vec!["a", "c"], vec!["b"], vec!["d"]]);
    }

    #[test]
    fn a_long_chain_of_points_gets_several_labels() {
        let all: Vec<Point> = (0..9).map(|index| point(&format!("{index}"), Limiter::Link)).collect();
        let placed: Vec<Placed> = all.iter().zip((0..9).map(|index| (15.0 * f64::from(index), 0.0))).collect();
        let groups: Vec<usize> = crowds(&placed).iter().map(Vec::len).collect();
        assert_eq!(groups, [3, 3, 3]);
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let all: Vec<Point> = (0..9).map(|index| point(&format!("k{index}"), Limiter::Link)).collect();
        let group = Group::new(all.iter().map(|point| (point, (0.0, 0.0))).collect());
        assert_eq!((group.lines.len(), group.lines[6].as_str()), (7, "and 3 more"));
        assert_eq!(group.head, "9 families");
    }

    #[test]
    fn a_roof_that_all_share_stands_in_the_head_and_another_in_each_line() {
        let of = |name: &str, roof: &str| Point {
            share: Some(("50.0 %".to_owned(), roof.to_owned())),
            ..point(name, Limiter::Memory)
        };
        let same = [of("a", "measured DRAM"), of("b", "measured DRAM")];
        let same = Group::new(same.iter().map(|point| (point, (0.0, 0.0))).collect());
        assert_eq!(same.head, "2 families, % of measured DRAM");
        assert_eq!(same.lines, ["a: 9 GFLOP/s, 50.0 %", "b: 9 GFLOP/s, 50.0 %"]);
        let mixed = [of("a", "measured DRAM"), of("b", "measured L2")];
        let mixed = Group::new(mixed.iter().map(|point| (point, (0.0, 0.0))).collect());
        assert_eq!(mixed.lines[1], "b: 9 GFLOP/s, 50.0 % of measured L2");
    }

    #[test]
    fn of_a_thousand_points_a_few_are_labelled_and_those_above_their_roof_always() {
        let pixel = |index: usize| (40.0 * (index % 32) as f64, 40.0 * (index / 32) as f64);
        let mut all: Vec<Point> = (0..1000).map(|index| point(&format!("k{index}"), Limiter::Memory)).collect();
        (all[777].above, all[777].time_ratio) = (true, 1e-6);
        let placed: Vec<Placed> = all.iter().enumerate().map(|(index, point)| (point, pixel(index))).collect();
        let (groups, rest) = labelled(&placed);
        assert_eq!((groups.len(), groups[0].head.as_str(), rest.len()), (MOST_LABELS, "k777", 1000 - MOST_LABELS));
    }
}
