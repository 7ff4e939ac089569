//! Lines in panels, each with its own axes: latencies over time, and shares over latencies.

use std::fmt::Write as _;

use super::axis::Axis;
pub(crate) use super::axis::Quantity;
use super::labels::Area;
use super::legend::{self, Entry};
use super::style::picture;
use super::svg::{Element, fit, line, path, text, text_width};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 876.0;
const HEIGHT: f64 = 190.0;
/// Colours that keep apart; further groups share the last.
const CLASSES: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Number of its group, which gives the colour.
    pub(crate) group: usize,
    pub(crate) dashed: bool,
    /// In the order of x; none where a value is missing: the line is interrupted.
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

/// A limit: a line across the panel at a value of the x axis or of the y axis.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) upright: bool,
    pub(crate) value: f64,
    pub(crate) name: String,
}

/// Lines on common axes.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) below: String,
    pub(crate) axes: (Quantity, Quantity),
    pub(crate) series: Vec<Series>,
    pub(crate) limits: Vec<Limit>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// What the colours are.
    pub(crate) groups: Vec<String>,
    /// What solid and dashed lines are; nothing where all are solid.
    pub(crate) strokes: Option<(&'static str, &'static str)>,
    /// Panels side by side in one row, else below one another.
    pub(crate) beside: bool,
    pub(crate) panels: Vec<Panel>,
    pub(crate) notes: Vec<String>,
}

impl Lines {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let top = legend::flow(&mut body, &self.entries(), (24.0, 78.0), WIDTH - 24.0);
        let columns = if self.beside { self.panels.len().max(1) } else { 1 };
        let width = (RIGHT - LEFT + 60.0) / columns as f64 - 60.0;
        let mut bottom = top;
        for (index, panel) in self.panels.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let x = LEFT + column as f64 * (width + 60.0);
            let plot = Area { x, y: top + 34.0 + row as f64 * (HEIGHT + 88.0), width, height: HEIGHT };
            panel.draw(&mut body, plot);
            bottom = plot.y + plot.height + 44.0;
        }
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, bottom + 22.0));
        let height = (bottom + 16.0 + lines.len() as f64 * 17.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    fn entries(&self) -> Vec<Entry> {
        let stroke = |class: String, dashed: bool| {
            Box::new(move |x: f64, y: f64| dash(path(&format!("M{x:.1} {y:.1}h20"), &class), dashed)) as Box<_>
        };
        let group = |(index, name): (usize, &String)| Entry {
            sample: stroke(class(index), false),
            name: fit(name, 13.0, 300.0),
        };
        let mut entries: Vec<Entry> = self.groups.iter().enumerate().map(group).collect();
        if let Some((solid, dashed)) = self.strokes {
            for (name, is_dashed) in [(solid, false), (dashed, true)] {
                entries.push(Entry { sample: stroke("axis".to_owned(), is_dashed), name: name.to_owned() });
            }
        }
        entries
    }

    fn description(&self) -> String {
        let panel = |panel: &Panel| {
            let most = panel.series.iter().flat_map(|series| &series.points).filter_map(|point| point.1);
            let most = most.filter(|value| value.is_finite()).fold(0.0, f64::max);
            format!("{}: at most {}", panel.title, panel.axes.1.show(most))
        };
        self.panels.iter().map(panel).collect::<Vec<_>>().join(". ")
    }
}

fn class(group: usize) -> String {
    format!("{} hollow", CLASSES[group.min(CLASSES.len() - 1)])
}

fn dash(stroke: Element, dashed: bool) -> Element {
    if dashed { stroke.set("stroke-dasharray", "5 4") } else { stroke }
}

impl Panel {
    fn draw(&self, svg: &mut Element, plot: Area) {
        let (left, right, bottom) = (plot.x, plot.x + plot.width, plot.y + plot.height);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let limits =
            |upright: bool| self.limits.iter().filter(move |limit| limit.upright == upright).map(|limit| limit.value);
        // Panels over the same time keep the same axis, also where the last values are missing.
        let known = points().map(|point| point.0);
        let x = self.axes.0.axis(known.chain(limits(true)), (left, right));
        let y = self.axes.1.axis(points().filter_map(|point| point.1).chain(limits(false)), (bottom, plot.y));
        svg.push(text(left, plot.y - 13.0, "ink t13 bold", &fit(&self.title, 13.0, plot.width - 60.0)));
        svg.push(text(left - 8.0, plot.y - 13.0, "muted t12 end", y.name));
        for (value, label) in &y.ticks {
            let at = y.scale.pixel(*value);
            svg.push(line((left, at), (right, at), "grid"));
            svg.push(text(left - 8.0, at + 4.0, "ink t12 end", label));
        }
        for (value, label) in &x.ticks {
            let at = x.scale.pixel(*value);
            svg.push(line((at, bottom), (at, bottom + 4.0), "axis"));
            svg.push(text(at, bottom + 18.0, "ink t12 middle", label));
        }
        svg.push(path(&format!("M{left:.1} {:.1}V{bottom:.1}H{right:.1}", plot.y), "axis"));
        let unit = if x.name.is_empty() { String::new() } else { format!(" in {}", x.name) };
        svg.push(text(left + plot.width / 2.0, bottom + 38.0, "ink t13 middle", &format!("{}{unit}", self.below)));
        for series in &self.series {
            svg.push(series.draw(&x, &y));
        }
        for limit in &self.limits {
            limit.draw(svg, (&x, &y), plot);
        }
    }
}

impl Series {
    fn draw(&self, x: &Axis, y: &Axis) -> Element {
        let (mut data, mut open, mut group) = (String::new(), 0, Element::new("g"));
        let place = |at: usize| {
            let (along, value) = self.points.get(at)?;
            let value = value.filter(|value| value.is_finite())?;
            Some((x.pixel(*along), y.pixel(value)))
        };
        for at in 0..self.points.len() {
            let Some((across, up)) = place(at) else {
                open = 0;
                continue;
            };
            // Writing into a String cannot fail.
            let _ = write!(data, "{}{across:.1} {up:.1}", if open == 0 { "M" } else { "L" });
            open += 1;
            if open == 1 && place(at + 1).is_none() {
                let dot = Element::new("circle").at("cx", across).at("cy", up).at("r", 2.0);
                group.push(dot.class(CLASSES[self.group.min(CLASSES.len() - 1)]));
            }
        }
        if !data.is_empty() {
            group.push(dash(path(&data, &class(self.group)), self.dashed).set("stroke-linejoin", "round"));
        }
        group
    }
}

impl Limit {
    fn draw(&self, svg: &mut Element, (x, y): (&Axis, &Axis), plot: Area) {
        let width = text_width(&self.name, 12.0);
        if self.upright {
            let at = x.pixel(self.value);
            svg.push(line((at, plot.y), (at, plot.y + plot.height), "sheet"));
            // To the left where there is no room to the right; near the bottom, where no line of shares runs.
            let fits = at + 6.0 + width <= plot.x + plot.width;
            let (from, anchor) = if fits { (at + 6.0, "") } else { (at - 6.0, " end") };
            let low = plot.y + plot.height - 8.0;
            svg.push(text(from, low, &format!("ink t12 halo{anchor}"), &self.name));
        } else {
            let at = y.pixel(self.value);
            svg.push(line((plot.x, at), (plot.x + plot.width, at), "sheet"));
            let above = if at - 5.0 < plot.y + 12.0 { at + 15.0 } else { at - 5.0 };
            svg.push(text(plot.x + plot.width - 4.0, above, "ink t12 halo end", &self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(axes: (Quantity, Quantity), points: Vec<(f64, Option<f64>)>) -> String {
        let series = vec![Series { group: 0, dashed: true, points }];
        let limits = vec![Limit { upright: false, value: 4e6, name: "SLO <4 ms>".to_owned() }];
        let panel = Panel { title: "p".to_owned(), below: "time".to_owned(), axes, series, limits };
        Lines {
            id: "l".to_owned(),
            title: "t".to_owned(),
            subtitle: String::new(),
            groups: vec!["own".to_owned()],
            strokes: Some(("median", "p99")),
            beside: false,
            panels: vec![panel],
            notes: Vec::new(),
        }
        .render()
    }

    #[test]
    fn a_line_is_interrupted_where_a_value_is_missing() {
        // The plot is 800 by 190 pixels, its bottom at 322: 8 ms are its height, 4 s its width.
        let points = vec![(0.0, Some(8e6)), (1e9, Some(4e6)), (2e9, None), (4e9, Some(2e6))];
        let svg = chart((Quantity::Time, Quantity::Latency), points);
        assert!(svg.contains("d=\"M76.0 132.0L276.0 227.0M876.0 274.5\""), "{svg}");
        assert!(svg.contains("<circle") && svg.contains("SLO &lt;4 ms&gt;") && svg.contains(">p99<"));
        assert!(svg.contains(">time in s<"));
    }

    #[test]
    fn latencies_far_apart_stand_on_a_logarithmic_axis() {
        let svg = chart((Quantity::Time, Quantity::Latency), vec![(0.0, Some(1e6)), (1e9, Some(100e6))]);
        for label in [">1<", ">10<", ">100<", ">50<"] {
            assert!(svg.contains(label), "{label}: {svg}");
        }
    }

    #[test]
    fn hostile_and_absent_points_still_draw() {
        for points in
            [vec![], vec![(f64::NAN, Some(f64::NAN))], vec![(-1e300, Some(f64::INFINITY)), (1e300, Some(-5.0))]]
        {
            for quantity in [Quantity::Time, Quantity::Latency, Quantity::Share, Quantity::Count] {
                let svg = chart((quantity, quantity), points.clone());
                assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
            }
        }
    }
}
