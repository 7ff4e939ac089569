//! Stacked bars: one bar a row, its parts in the order of the legend, all on one axis of percent or of time.

use super::legend::{self, Entry};
use super::scale::{Scale, linear_ticks, tick_label};
use super::style::picture;
use super::svg::{Element, bold_width, fit, line, rect, text, text_width};
use crate::format;

const WIDTH: f64 = 900.0;
/// Where the bars begin at least.
const LEFT: f64 = 150.0;
/// Where the longest bar ends at most.
const RIGHT: f64 = 800.0;
/// Height of a bar and distance from one to the next: of a few, and of more than [`FEW`].
const ROOMY: (f64, f64) = (30.0, 44.0);
const DENSE: (f64, f64) = (19.0, 25.0);
const FEW: usize = 6;
const CLASSES: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];

/// What the numbers of the parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Ratios, shown as percentages.
    Percent,
    /// Nanoseconds, on an axis of milliseconds.
    Time,
}

impl Unit {
    /// What one of it is on the axis.
    fn on_axis(self) -> f64 {
        if self == Self::Percent { 100.0 } else { 1e-6 }
    }

    fn name(self) -> &'static str {
        if self == Self::Percent { "%" } else { "ms" }
    }

    fn show(self, value: f64) -> String {
        if self == Self::Percent { format::percent(value) } else { format::duration(value as i64) }
    }
}

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    /// One number a key, in the order of the keys.
    pub(crate) parts: Vec<f64>,
    /// What stands at the end of the bar; the sum of its parts without.
    pub(crate) end: Option<String>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) unit: Unit,
    pub(crate) keys: Vec<String>,
    /// Whether the legend names only the parts that some bar has.
    pub(crate) only_used: bool,
    pub(crate) rows: Vec<Bar>,
    pub(crate) notes: Vec<String>,
}

impl Bars {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let top = self.draw_legend(&mut body) + 4.0;
        let (height, step) = if self.rows.len() > FEW { DENSE } else { ROOMY };
        let bottom = top + self.rows.len() as f64 * step;
        let longest = self.rows.iter().map(Bar::total).fold(0.0, f64::max) * self.unit.on_axis();
        let high = if longest > 0.0 { longest } else { 1.0 };
        let scale = Scale::linear(0.0, high, (self.left(), self.right()));
        draw_axis(&mut body, &scale, (top, bottom), self.unit);
        for (index, bar) in self.rows.iter().enumerate() {
            let y = top + (step - height) / 2.0 + index as f64 * step;
            self.draw_bar(&mut body, bar, &scale, (y, height));
        }
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, bottom + 46.0));
        let height = (bottom + 42.0 + lines.len() as f64 * 17.0 + 6.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    /// Where the bars begin: right of the longest label.
    fn left(&self) -> f64 {
        self.rows.iter().map(|bar| 34.0 + text_width(&bar.short(), 13.0)).fold(LEFT, f64::max)
    }

    /// Where the longest bar ends: left of the longest text at an end.
    fn right(&self) -> f64 {
        let width = |bar: &Bar| WIDTH - 20.0 - bold_width(&bar.end_text(self.unit), 13.0);
        self.rows.iter().map(width).fold(RIGHT, f64::min)
    }

    fn description(&self) -> String {
        let bar = |bar: &Bar| {
            let part = |(key, value): (&String, &f64)| format!("{key} {}", self.unit.show(*value));
            format!("{}: {}", bar.label, self.keys.iter().zip(&bar.parts).map(part).collect::<Vec<_>>().join(", "))
        };
        self.rows.iter().map(bar).collect::<Vec<_>>().join(". ")
    }

    fn draw_legend(&self, svg: &mut Element) -> f64 {
        let used = |index: usize| self.rows.iter().any(|bar| bar.parts.get(index).is_some_and(|part| *part > 0.0));
        let shown = (0..self.keys.len()).filter(|index| !self.only_used || used(*index));
        let entry = |index: usize| Entry::filled(CLASSES[index % CLASSES.len()], &self.keys[index]);
        let entries: Vec<Entry> = shown.map(entry).collect();
        legend::flow(svg, &entries, (24.0, 78.0), WIDTH - 24.0)
    }
}

impl Bar {
    /// The label, cut to what the chart has room for.
    fn short(&self) -> String {
        fit(&self.label, 13.0, 300.0)
    }

    fn total(&self) -> f64 {
        self.parts.iter().map(|part| part.max(0.0)).sum()
    }

    fn end_text(&self, unit: Unit) -> String {
        self.end.clone().unwrap_or_else(|| unit.show(self.total()))
    }
}

impl Bars {
    fn draw_bar(&self, svg: &mut Element, bar: &Bar, scale: &Scale, (y, height): (f64, f64)) {
        // Baselines of text of 13 and 12 pixels that stands in the middle of the bar.
        let (middle, inside) = (y + height / 2.0 + 5.0, y + height / 2.0 + 4.5);
        svg.push(text(scale.pixels().0 - 10.0, middle, "ink t13 end", &bar.short()));
        let mut from = 0.0;
        let parts = bar.parts.iter().zip(&self.keys).enumerate();
        for (index, (value, key)) in parts.filter(|(_, (value, _))| **value > 0.0) {
            let place = |value: f64| scale.pixel(value * self.unit.on_axis());
            let (left, right) = (place(from), place(from + value));
            let shown = self.unit.show(*value);
            let class = format!("{} slim", CLASSES[index % CLASSES.len()]);
            svg.push(rect(left, y, right - left, height, &class).tooltip(&format!("{}, {key}: {shown}", bar.label)));
            if right - left > text_width(&shown, 12.0) + 4.0 {
                // Even classes are dark on a light page and light on a dark one; odd ones the other way round.
                let colour = if index % 2 == 0 { "on-dark" } else { "ink" };
                svg.push(text(f64::midpoint(left, right), inside, &format!("{colour} t12 middle"), &shown));
            }
            from += value;
        }
        let end = scale.pixel(from * self.unit.on_axis()) + 8.0;
        svg.push(text(end, inside, "ink t13 bold", &bar.end_text(self.unit)));
    }
}

fn draw_axis(svg: &mut Element, scale: &Scale, (top, bottom): (f64, f64), unit: Unit) {
    let ticks = linear_ticks(0.0, scale.ends().1, 8);
    for tick in &ticks {
        let x = scale.pixel(*tick);
        svg.push(line((x, top), (x, bottom), "grid"));
        svg.push(text(x, bottom + 17.0, "ink t12 middle", &tick_label(*tick, &ticks)));
    }
    let (left, right) = scale.pixels();
    svg.push(line((left, bottom), (right, bottom), "axis"));
    svg.push(line((left, top), (left, bottom), "axis"));
    svg.push(text(right + 44.0, bottom + 17.0, "muted t12 middle", unit.name()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(unit: Unit, parts: Vec<f64>) -> Bars {
        let rows = vec![Bar { label: "a<b".to_owned(), parts, end: None }];
        let keys = vec!["first".to_owned(), "second".to_owned()];
        let (title, subtitle, notes) = ("t".to_owned(), String::new(), Vec::new());
        Bars { id: "b".to_owned(), title, subtitle, unit, keys, only_used: false, rows, notes }
    }

    #[test]
    fn parts_stand_one_after_another_and_the_sum_is_printed() {
        let svg = chart(Unit::Percent, vec![0.25, 0.75]).render();
        assert!(svg.contains("width=\"162.5\"") && svg.contains("width=\"487.5\""));
        assert!(svg.contains(">100.0 %<") && svg.contains("a&lt;b"));
    }

    #[test]
    fn times_are_printed_with_their_unit_and_a_part_that_no_bar_has_can_be_left_out() {
        let svg = Bars { only_used: true, ..chart(Unit::Time, vec![3e6, 0.0]) }.render();
        assert!(svg.contains(">3.00 ms<") && svg.contains(">ms<") && !svg.contains(">second<"), "{svg}");
    }

    #[test]
    fn a_long_text_at_the_end_of_a_bar_stays_inside_the_picture() {
        let mut bars = chart(Unit::Percent, vec![0.5, 0.5]);
        bars.rows[0].end = Some("idle 45.0 % of 299.8 ms".to_owned());
        assert!(bars.right() < 720.0 && bars.render().contains("idle 45.0 %"), "{}", bars.right());
    }

    #[test]
    fn bars_without_any_length_still_draw() {
        let svg = chart(Unit::Percent, vec![0.0, 0.0]).render();
        assert!(!svg.contains("NaN") && svg.contains("0.0 %"));
        let svg = chart(Unit::Time, vec![f64::MAX, 1e300]).render();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
