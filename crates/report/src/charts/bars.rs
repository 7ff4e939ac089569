//! Stacked bars: one bar a row, its parts in the order of the legend, all on one axis of percent.

use super::legend::{self, Entry};
use super::scale::{Scale, linear_ticks, tick_label};
use super::style::picture;
use super::svg::{Element, fit, line, rect, text, text_width};
use crate::format;

const WIDTH: f64 = 900.0;
/// Where the bars begin at least.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 800.0;
const BAR: f64 = 30.0;
const STEP: f64 = 44.0;
const CLASSES: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    /// One ratio a key, in the order of the keys.
    pub(crate) parts: Vec<f64>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) keys: Vec<String>,
    pub(crate) rows: Vec<Bar>,
    pub(crate) notes: Vec<String>,
}

impl Bars {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let top = self.draw_legend(&mut body) + 4.0;
        let bottom = top + self.rows.len() as f64 * STEP;
        let longest = self.rows.iter().map(Bar::total).fold(0.0, f64::max);
        let scale = Scale::linear(0.0, if longest > 0.0 { longest * 100.0 } else { 1.0 }, (self.left(), RIGHT));
        draw_axis(&mut body, &scale, (top, bottom));
        for (index, bar) in self.rows.iter().enumerate() {
            bar.draw(&mut body, &scale, top + 7.0 + index as f64 * STEP, &self.keys);
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

    fn description(&self) -> String {
        let bar = |bar: &Bar| {
            let part = |(key, ratio): (&String, &f64)| format!("{key} {}", format::percent(*ratio));
            format!("{}: {}", bar.label, self.keys.iter().zip(&bar.parts).map(part).collect::<Vec<_>>().join(", "))
        };
        self.rows.iter().map(bar).collect::<Vec<_>>().join(". ")
    }

    fn draw_legend(&self, svg: &mut Element) -> f64 {
        let entry = |(index, key): (usize, &String)| Entry::filled(CLASSES[index % CLASSES.len()], key);
        let entries: Vec<Entry> = self.keys.iter().enumerate().map(entry).collect();
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

    fn draw(&self, svg: &mut Element, scale: &Scale, y: f64, keys: &[String]) {
        svg.push(text(scale.pixels().0 - 10.0, y + 20.0, "ink t13 end", &self.short()));
        let mut from = 0.0;
        for (index, (ratio, key)) in self.parts.iter().zip(keys).enumerate().filter(|(_, (ratio, _))| **ratio > 0.0) {
            let (left, right) = (scale.pixel(from * 100.0), scale.pixel((from + ratio) * 100.0));
            let shown = format::percent(*ratio);
            let class = format!("{} slim", CLASSES[index % CLASSES.len()]);
            svg.push(rect(left, y, right - left, BAR, &class).tooltip(&format!("{}, {key}: {shown}", self.label)));
            if right - left > text_width(&shown, 12.0) + 4.0 {
                // Even classes are dark on a light page and light on a dark one; odd ones the other way round.
                let colour = if index % 2 == 0 { "on-dark" } else { "ink" };
                svg.push(text(f64::midpoint(left, right), y + 19.5, &format!("{colour} t12 middle"), &shown));
            }
            from += ratio;
        }
        svg.push(text(scale.pixel(from * 100.0) + 8.0, y + 19.5, "ink t13 bold", &format::percent(self.total())));
    }
}

fn draw_axis(svg: &mut Element, scale: &Scale, (top, bottom): (f64, f64)) {
    let ticks = linear_ticks(0.0, scale.ends().1, 8);
    for tick in &ticks {
        let x = scale.pixel(*tick);
        svg.push(line((x, top), (x, bottom), "grid"));
        svg.push(text(x, bottom + 17.0, "ink t12 middle", &tick_label(*tick, &ticks)));
    }
    let (left, right) = scale.pixels();
    svg.push(line((left, bottom), (right, bottom), "axis"));
    svg.push(line((left, top), (left, bottom), "axis"));
    svg.push(text(RIGHT + 44.0, bottom + 17.0, "muted t12 middle", "%"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(parts: Vec<f64>) -> String {
        let bars = vec![Bar { label: "a<b".to_owned(), parts }];
        let keys = vec!["first".to_owned(), "second".to_owned()];
        Bars { id: "b".to_owned(), title: "t".to_owned(), subtitle: String::new(), keys, rows: bars, notes: Vec::new() }
            .render()
    }

    #[test]
    fn parts_stand_one_after_another_and_the_sum_is_printed() {
        let svg = chart(vec![0.25, 0.75]);
        assert!(svg.contains("width=\"162.5\"") && svg.contains("width=\"487.5\""));
        assert!(svg.contains(">100.0 %<") && svg.contains("a&lt;b"));
    }

    #[test]
    fn bars_without_any_length_still_draw() {
        let svg = chart(vec![0.0, 0.0]);
        assert!(!svg.contains("NaN") && svg.contains("0.0 %"));
    }
}
