//! Launches that wait in each queue over time: one small lane a queue, its greatest and its mean depth.

use std::fmt::Write as _;

use super::labels::Area;
use super::legend::{self, Entry};
use super::plane::{self, time_unit};
use super::scale::{Scale, linear_ticks, tick_label};
use super::style::picture;
use super::svg::{Element, fit, path, text};
use crate::format;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 876.0;
const HEIGHT: f64 = 64.0;

/// A part of the windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bin {
    /// Its length inside the windows.
    pub(crate) span_ns: i64,
    pub(crate) max: i64,
    pub(crate) mean: f64,
}

/// One queue.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) title: String,
    pub(crate) bins: Vec<Bin>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Depth {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) notes: Vec<String>,
}

impl Depth {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let mean = Box::new(|x: f64, y: f64| path(&format!("M{x:.1} {y:.1}h18"), "mean"));
        let mean = Entry { sample: mean, name: "mean over time".to_owned() };
        let entries = [Entry::filled("faint", "most at once"), mean];
        let mut y = legend::flow(&mut body, &entries, (24.0, 78.0), WIDTH - 24.0) + 2.0;
        for lane in &self.lanes {
            let plot = Area { x: LEFT, y: y + 32.0, width: RIGHT - LEFT, height: HEIGHT };
            lane.draw(&mut body, plot);
            y = plot.y + plot.height + 4.0;
        }
        let longest = self.lanes.iter().map(Lane::span_ns).max().unwrap_or(0) as f64;
        draw_time(&mut body, longest, y - 4.0);
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, y + 58.0));
        let height = (y + 54.0 + lines.len() as f64 * 17.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    fn description(&self) -> String {
        let most = |lane: &Lane| lane.bins.iter().map(|bin| bin.max).max().unwrap_or(0);
        let lane = |lane: &Lane| format!("{}: at most {}", lane.title, format::count(most(lane)));
        self.lanes.iter().map(lane).collect::<Vec<_>>().join(". ")
    }
}

impl Lane {
    fn span_ns(&self) -> i64 {
        self.bins.iter().fold(0, |sum: i64, bin| sum.saturating_add(bin.span_ns.max(0)))
    }

    fn draw(&self, svg: &mut Element, plot: Area) {
        let bottom = plot.y + plot.height;
        let high = self.bins.iter().map(|bin| bin.max).max().unwrap_or(0).max(1) as f64;
        let y = Scale::linear(0.0, high, (bottom, plot.y));
        let x = Scale::linear(0.0, self.span_ns() as f64, (plot.x, plot.x + plot.width));
        svg.push(text(LEFT, plot.y - 7.0, "ink t13 bold", &fit(&self.title, 13.0, 780.0)));
        let (mut area, mut mean) = (format!("M{:.1} {bottom:.1}", plot.x), String::new());
        let mut at = 0.0;
        for bin in &self.bins {
            let (from, to) = (x.pixel(at), x.pixel(at + bin.span_ns.max(0) as f64));
            // Writing into a String cannot fail.
            let _ = write!(area, "H{from:.1}V{:.1}H{to:.1}", y.pixel(bin.max.max(0) as f64));
            let level = y.pixel(if bin.mean.is_finite() { bin.mean.clamp(0.0, high) } else { 0.0 });
            let begin = if mean.is_empty() { "M" } else { "L" };
            let _ = write!(mean, "{begin}{from:.1} {level:.1}H{to:.1}");
            at += bin.span_ns.max(0) as f64;
        }
        svg.push(path(&format!("{area}V{bottom:.1}Z"), "faint"));
        plane::draw(svg, &y, plot, "");
        if !mean.is_empty() {
            svg.push(path(&mean, "mean"));
        }
    }
}

fn draw_time(svg: &mut Element, longest_ns: f64, bottom: f64) {
    let (unit, name) = time_unit(longest_ns);
    let x = Scale::linear(0.0, longest_ns / unit, (LEFT, RIGHT));
    let ticks = linear_ticks(0.0, longest_ns / unit, 8);
    for tick in &ticks {
        svg.push(text(x.pixel(*tick), bottom + 17.0, "ink t12 middle", &tick_label(*tick, &ticks)));
    }
    let below = format!("time inside the windows in {name}");
    svg.push(text(f64::midpoint(LEFT, RIGHT), bottom + 38.0, "ink t13 middle", &below));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(bins: &[(i64, i64, f64)]) -> String {
        let bins = bins.iter().map(|(span_ns, max, mean)| Bin { span_ns: *span_ns, max: *max, mean: *mean }).collect();
        let lane = Lane { title: "queue <7>".to_owned(), bins };
        let (id, title, subtitle) = ("q".to_owned(), "t".to_owned(), String::new());
        Depth { id, title, subtitle, lanes: vec![lane], notes: Vec::new() }.render()
    }

    #[test]
    fn the_deepest_instant_reaches_the_top_and_the_mean_lies_below() {
        // The lane is 806 by 64 pixels, its bottom at 196: half of 4 lies at 164, the second half begins at 473.
        let svg = chart(&[(1000, 4, 2.0), (1000, 0, 0.0)]);
        assert!(svg.contains("H70.0V132.0H473.0") && svg.contains("M70.0 164.0H473.0L473.0 196.0H876.0"), "{svg}");
        assert!(svg.contains("queue &lt;7&gt;: at most 4"));
    }

    #[test]
    fn hostile_and_absent_bins_still_draw() {
        for bins in [vec![], vec![(0, 0, f64::NAN)], vec![(i64::MAX, i64::MAX, f64::INFINITY), (-5, -5, -5.0)]] {
            let svg = chart(&bins);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
