//! A quantity of many devices over time: one row a device, the darker the more.

use super::legend::{self, Entry};
use super::plane::time_unit;
use super::scale::{Scale, linear_ticks, tick_label};
use super::style::picture;
use super::svg::{Element, fit, line, rect, text, text_width};
use crate::format;

const WIDTH: f64 = 900.0;
const RIGHT: f64 = 816.0;
/// Steps of the colour: neighbours in a row with the same one are one shape.
const SHADES: f64 = 16.0;
/// Ratios that are all below this have a scale of their own: up to 100 % they could not be told apart.
const LOW_SHARE: f64 = 0.25;
const ROOMY: f64 = 24.0;
const DENSE: f64 = 16.0;

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    /// Ratios; the darkest is 100 %, or the largest where all are low.
    Share,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Count => format::significant(value),
            Self::Share => format::percent(value),
        }
    }
}

/// One device.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) label: String,
    /// One value a part; none where nothing is known.
    pub(crate) values: Vec<Option<f64>>,
    /// What stands at the end of the row.
    pub(crate) end: String,
}

/// One quantity.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    /// What stands above the ends of the rows.
    pub(crate) ends: &'static str,
    pub(crate) unit: Unit,
    /// The darkest shade is this value at least, so that pictures can be compared.
    pub(crate) least_most: f64,
    pub(crate) lanes: Vec<Lane>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct HeatMap {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// The edges of the parts in nanoseconds: one more than parts.
    pub(crate) edges: Vec<i64>,
    pub(crate) panels: Vec<Panel>,
    pub(crate) notes: Vec<String>,
}

impl HeatMap {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let (first, last) = (self.edges.first().copied().unwrap_or(0), self.edges.last().copied().unwrap_or(0));
        let span = last.saturating_sub(first).max(1) as f64;
        let x = Scale::linear(0.0, span, (self.left(), RIGHT));
        let edges: Vec<f64> = self.edges.iter().map(|edge| x.pixel(edge.saturating_sub(first) as f64)).collect();
        let mut y = 84.0;
        for panel in &self.panels {
            y = panel.draw(&mut body, &edges, self.left(), y);
        }
        draw_time(&mut body, span, (self.left(), y));
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, y + 40.0));
        let height = (y + 34.0 + lines.len() as f64 * 17.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    /// Where the rows begin: right of the longest label.
    fn left(&self) -> f64 {
        let lanes = self.panels.iter().flat_map(|panel| &panel.lanes);
        lanes.map(|lane| 34.0 + text_width(&short(&lane.label), 13.0)).fold(90.0, f64::max)
    }

    fn description(&self) -> String {
        let lane = |lane: &Lane| format!("{} {}", lane.label, lane.end);
        let panel = |panel: &Panel| {
            format!("{}, {}: {}", panel.title, panel.ends, panel.lanes.iter().map(lane).collect::<Vec<_>>().join(", "))
        };
        self.panels.iter().map(panel).collect::<Vec<_>>().join(". ")
    }
}

fn short(label: &str) -> String {
    fit(label, 13.0, 200.0)
}

impl Panel {
    /// The value of the darkest shade.
    fn most(&self) -> f64 {
        let values = self.lanes.iter().flat_map(|lane| &lane.values).flatten();
        let most = values.copied().filter(|value| value.is_finite()).fold(self.least_most, f64::max);
        if self.unit == Unit::Share && most > LOW_SHARE { most.max(1.0) } else { most }
    }

    /// Draws the panel from `y` on; returns where its rows end.
    fn draw(&self, svg: &mut Element, edges: &[f64], left: f64, y: f64) -> f64 {
        let most = self.most();
        svg.push(text(24.0, y, "ink t13 bold", &self.title));
        let entries: Vec<Entry> = [0.0, 0.25, 0.5, 1.0].map(|share| self.entry(share, most)).into();
        legend::flow(svg, &entries, (24.0, y + 20.0), WIDTH - 24.0);
        svg.push(text(RIGHT + 10.0, y + 38.0, "muted t12", self.ends));
        let step = if self.lanes.len() > 12 { DENSE } else { ROOMY };
        let top = y + 44.0;
        for (index, lane) in self.lanes.iter().enumerate() {
            let at = top + index as f64 * step;
            svg.push(text(left - 10.0, at + step / 2.0 + 4.5, "ink t13 end", &short(&lane.label)));
            svg.push(rect(left, at + 1.0, RIGHT - left, step - 2.0, "lane"));
            lane.draw(svg, edges, (at + 1.5, step - 3.0), most, self.unit);
            svg.push(text(RIGHT + 10.0, at + step / 2.0 + 4.5, "ink t12", &lane.end));
        }
        top + self.lanes.len() as f64 * step + if self.lanes.is_empty() { 0.0 } else { 30.0 }
    }

    fn entry(&self, share: f64, most: f64) -> Entry {
        let shade = shade(share * most, most);
        let sample = move |x: f64, y: f64| {
            let frame = rect(x, y - 6.0, 18.0, 12.0, "lane");
            Element::new("g").child(frame).child(cell((x, 18.0), (y - 6.0, 12.0), shade))
        };
        Entry { sample: Box::new(sample), name: self.unit.show(share * most) }
    }
}

/// A value as one of the shades: the root makes small values visible, so the legend names four.
fn shade(value: f64, most: f64) -> u32 {
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0).sqrt() } else { 0.0 };
    // Anything above nothing is seen.
    if value > 0.0 && share.is_finite() { ((share * SHADES).round() as u32).max(1) } else { 0 }
}

fn cell((x, width): (f64, f64), (y, height): (f64, f64), shade: u32) -> Element {
    let opacity = format!("{:.3}", f64::from(shade) / SHADES);
    rect(x, y, width, height, "s0").set("fill-opacity", &opacity)
}

impl Lane {
    fn draw(&self, svg: &mut Element, edges: &[f64], (y, height): (f64, f64), most: f64, unit: Unit) {
        let shades: Vec<u32> = self.values.iter().map(|value| value.map_or(0, |value| shade(value, most))).collect();
        let mut from = 0;
        for run in shades.chunk_by(|a, b| a == b) {
            let to = (from + run.len()).min(edges.len().saturating_sub(1));
            if run[0] > 0 && from < to {
                let values = self.values[from..to].iter().flatten().copied();
                let largest = values.fold(0.0, f64::max);
                let tip = format!("{}: up to {}", self.label, unit.show(largest));
                svg.push(cell((edges[from], edges[to] - edges[from]), (y, height), run[0]).tooltip(&tip));
            }
            from += run.len();
        }
    }
}

fn draw_time(svg: &mut Element, span: f64, (left, y): (f64, f64)) {
    let (unit, name) = time_unit(span);
    let x = Scale::linear(0.0, span / unit, (left, RIGHT));
    let ticks = linear_ticks(0.0, span / unit, 8);
    let top = y - 26.0;
    svg.push(line((left, top), (RIGHT, top), "axis"));
    for tick in &ticks {
        svg.push(line((x.pixel(*tick), top), (x.pixel(*tick), top + 4.0), "axis"));
        svg.push(text(x.pixel(*tick), top + 18.0, "ink t12 middle", &tick_label(*tick, &ticks)));
    }
    let below = format!("time from the first arrival in {name}");
    svg.push(text(f64::midpoint(left, RIGHT), top + 38.0, "ink t13 middle", &below));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: Vec<Option<f64>>, edges: Vec<i64>) -> String {
        let lane = Lane { label: "device <0>".to_owned(), values, end: "2.50".to_owned() };
        let panel =
            Panel { title: "Waiting".to_owned(), ends: "mean", unit: Unit::Count, least_most: 0.0, lanes: vec![lane] };
        let (id, title, subtitle) = ("h".to_owned(), "t".to_owned(), String::new());
        HeatMap { id, title, subtitle, edges, panels: vec![panel], notes: Vec::new() }.render()
    }

    #[test]
    fn neighbours_of_one_shade_are_one_shape_and_nothing_is_not_drawn() {
        let svg = chart(vec![Some(4.0), Some(4.0), Some(0.0), None, Some(1.0)], vec![0, 10, 20, 30, 40, 50]);
        // The legend has four swatches with a frame each; the row a frame and two shapes.
        assert_eq!((svg.matches("class=\"s0\"").count(), svg.matches("class=\"lane\"").count()), (6, 5), "{svg}");
        assert!(svg.contains("device &lt;0&gt;: up to 4.00") && svg.contains(">2.50<"));
        assert_eq!([0.0, 1e-9, 1.0, 4.0].map(|value| shade(value, 4.0)), [0, 1, 8, 16]);
    }

    #[test]
    fn the_shades_of_a_pair_mean_the_same() {
        let lanes = vec![Lane { label: String::new(), values: vec![Some(1.0)], end: String::new() }];
        let panel = Panel { title: String::new(), ends: "", unit: Unit::Count, least_most: 4.0, lanes };
        assert_eq!((panel.most(), Panel { least_most: 0.0, ..panel }.most()), (4.0, 1.0));
    }

    #[test]
    fn hostile_and_absent_values_still_draw() {
        for (values, edges) in [
            (vec![], vec![]),
            (vec![Some(f64::NAN), Some(f64::INFINITY), Some(-1.0)], vec![i64::MIN, 0, 5, i64::MAX]),
            (vec![Some(1.0); 9], vec![0, 1]),
        ] {
            let svg = chart(values, edges);
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
        }
    }
}
