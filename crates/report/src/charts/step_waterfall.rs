//! The step waterfall: one stacked bar a step, from the time that the roofs demand to idle time, which sum to its length.

use super::legend::{self, Entry};
use super::scale::{Scale, linear_ticks, tick_label};
use super::style::picture;
use super::svg::{Element, fit, line, rect, text, text_width};
use crate::format;

const WIDTH: f64 = 900.0;
/// Where the bars begin at least.
const LEFT: f64 = 130.0;
/// Where the longest bar ends: the lengths stand right of it.
const RIGHT: f64 = 800.0;
const BAR: f64 = 17.0;
const STEP: f64 = 22.0;

/// The parts of a step, in the order in which they are drawn.
pub(crate) const PARTS: [&str; 8] = [
    "roof",
    "inefficiency",
    "unplaced compute",
    "exposed communication",
    "exposed KV transfer",
    "exposed copy",
    "launch",
    "idle",
];
const CLASSES: [&str; PARTS.len()] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];

/// One step, or a whole window.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    /// Nanoseconds of each part.
    pub(crate) parts: [i64; PARTS.len()],
}

impl Bar {
    /// Length: the sum of the parts.
    pub(crate) fn span_ns(&self) -> i64 {
        self.parts.iter().fold(0, |sum: i64, part| sum.saturating_add((*part).max(0)))
    }
}

/// Bars on one axis.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    /// Whether each bar is drawn at its share of its own length, in percent, instead of in milliseconds.
    pub(crate) relative: bool,
    pub(crate) bars: Vec<Bar>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct StepWaterfall {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) panels: Vec<Panel>,
    pub(crate) notes: Vec<String>,
}

impl StepWaterfall {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let used = |index: &usize| self.bars().any(|bar| bar.parts[*index] > 0);
        let entries: Vec<Entry> =
            (0..PARTS.len()).filter(used).map(|index| Entry::filled(CLASSES[index], PARTS[index])).collect();
        let mut y = legend::flow(&mut body, &entries, (24.0, 78.0), WIDTH - 24.0) + 8.0;
        let left = self.left();
        for panel in &self.panels {
            y = panel.draw(&mut body, y, left);
        }
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, y + 4.0));
        let height = (y + 8.0 + lines.len() as f64 * 17.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.panels.iter().flat_map(|panel| &panel.bars)
    }

    /// Where the bars begin: right of the longest label.
    fn left(&self) -> f64 {
        self.bars().map(|bar| 34.0 + text_width(&short(&bar.label), 12.0)).fold(LEFT, f64::max)
    }

    fn description(&self) -> String {
        let bar = |bar: &Bar| {
            let parts = PARTS.iter().zip(bar.parts).filter(|(_, ns)| *ns > 0);
            let parts = parts.map(|(name, ns)| format!("{name} {}", format::duration(ns))).collect::<Vec<_>>();
            format!("{}: {}", bar.label, parts.join(", "))
        };
        self.bars().map(bar).collect::<Vec<_>>().join(". ")
    }
}

/// The label, cut to what the chart has room for.
fn short(label: &str) -> String {
    fit(label, 12.0, 260.0)
}

impl Panel {
    /// Draws the bars below `top`; returns where the next panel begins.
    fn draw(&self, svg: &mut Element, top: f64, left: f64) -> f64 {
        svg.push(text(24.0, top + 12.0, "ink t13 bold", &self.title));
        let first = top + 22.0;
        let bottom = first + self.bars.len() as f64 * STEP + 2.0;
        let longest = self.bars.iter().map(Bar::span_ns).max().unwrap_or(0);
        let high = if self.relative { 100.0 } else { longest as f64 / 1e6 };
        let scale = Scale::linear(0.0, high, (left, RIGHT));
        draw_axis(svg, &scale, (first, bottom), if self.relative { "%" } else { "ms" });
        for (index, bar) in self.bars.iter().enumerate() {
            self.draw_bar(svg, bar, &scale, first + 4.0 + index as f64 * STEP);
        }
        bottom + 40.0
    }

    fn draw_bar(&self, svg: &mut Element, bar: &Bar, scale: &Scale, y: f64) {
        svg.push(text(scale.pixels().0 - 8.0, y + 13.0, "ink t12 end", &short(&bar.label)));
        let span = bar.span_ns();
        let place = |ns: i64| {
            let value = if self.relative { ns as f64 / span.max(1) as f64 * 100.0 } else { ns as f64 / 1e6 };
            scale.pixel(value)
        };
        let mut from: i64 = 0;
        for (index, ns) in bar.parts.iter().enumerate().filter(|(_, ns)| **ns > 0) {
            let to = from.saturating_add(*ns);
            let (start, end) = (place(from), place(to));
            let share = format::percent(*ns as f64 / span.max(1) as f64);
            let tip = format!(
                "{}, {}: {} ({share} of {})",
                bar.label,
                PARTS[index],
                format::duration(*ns),
                format::duration(span)
            );
            svg.push(rect(start, y, end - start, BAR, &format!("{} slim", CLASSES[index])).tooltip(&tip));
            if end - start > text_width(&share, 12.0) + 4.0 {
                // Even classes are dark on a light page and light on a dark one; odd ones the other way round.
                let colour = if index % 2 == 0 { "on-dark" } else { "ink" };
                svg.push(text(f64::midpoint(start, end), y + 12.8, &format!("{colour} t12 middle"), &share));
            }
            from = to;
        }
        svg.push(text(place(from) + 7.0, y + 13.0, "ink t12", &format::duration(span)));
    }
}

fn draw_axis(svg: &mut Element, scale: &Scale, (top, bottom): (f64, f64), unit: &str) {
    let ticks = linear_ticks(0.0, scale.ends().1, 8);
    for tick in &ticks {
        let x = scale.pixel(*tick);
        svg.push(line((x, top), (x, bottom), "grid"));
        svg.push(text(x, bottom + 16.0, "ink t12 middle", &tick_label(*tick, &ticks)));
    }
    let (left, right) = scale.pixels();
    svg.push(line((left, bottom), (right, bottom), "axis"));
    svg.push(line((left, top), (left, bottom), "axis"));
    svg.push(text(RIGHT + 44.0, bottom + 16.0, "muted t12 middle", unit));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(relative: bool, bars: &[[i64; 8]]) -> String {
        let bars = bars.iter().map(|parts| Bar { label: "step <1>".to_owned(), parts: *parts }).collect();
        let panel = Panel { title: "steps".to_owned(), relative, bars };
        StepWaterfall {
            id: "w".to_owned(),
            title: "t".to_owned(),
            subtitle: String::new(),
            panels: vec![panel],
            notes: Vec::new(),
        }
        .render()
    }

    #[test]
    fn parts_stand_one_after_another_and_their_sum_is_printed() {
        let svg = chart(false, &[[1_000_000, 3_000_000, 0, 0, 0, 0, 0, 1_000_000]]);
        // 130 to 800 are 670 pixels for 5 ms.
        assert!(svg.contains("width=\"134\"") && svg.contains("width=\"402\"") && svg.contains(">5.00 ms<"), "{svg}");
        assert!(svg.contains("step &lt;1&gt;") && svg.contains(">60.0 %<"));
        assert!(!svg.contains("exposed"), "a part that no bar has is not in the legend");
    }

    #[test]
    fn relative_bars_all_fill_the_axis() {
        let svg = chart(true, &[[1, 1, 0, 0, 0, 0, 0, 0], [500, 0, 0, 0, 0, 0, 0, 1500]]);
        assert!(svg.contains("width=\"335\"") && svg.contains("width=\"167.5\"") && svg.contains("width=\"502.5\""));
    }

    #[test]
    fn hostile_and_empty_bars_still_draw() {
        for parts in [[i64::MAX; 8], [i64::MIN; 8], [0; 8]] {
            for relative in [false, true] {
                let svg = chart(relative, &[parts]);
                assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
            }
        }
        assert!(!chart(false, &[]).contains("NaN"));
    }
}
