//! The legends of a roofline: its series, the sources of its roofs, and what its markers mean.

use super::legend::{self, Entry};
use super::limiter::{Limiter, outline_of};
use super::points;
use super::roofline::{Roofline, WIDTH};
use super::roofs::{self, Source};
use super::svg::{Element, text};

/// A legend with more roofs than this names only their sources: the lines carry the values.
const MOST_WORDS: usize = 5;

impl Roofline {
    pub(super) fn draw_series(&self, svg: &mut Element, mut y: f64) -> f64 {
        for (index, words) in self.series.iter().enumerate() {
            for (row, line) in
                legend::wrap(&[format!("({}) {words}", index + 1)], 13.0, WIDTH - 48.0).iter().enumerate()
            {
                svg.push(text(if row == 0 { 24.0 } else { 44.0 }, y + 4.5, "ink t13", line));
                y += 20.0;
            }
        }
        y
    }

    pub(super) fn draw_roof_legend(&self, svg: &mut Element, mut y: f64) -> f64 {
        if self.normalised {
            return y;
        }
        let lines: usize = self.roofs.iter().map(|set| set.compute.len() + set.bandwidth.len()).sum();
        if lines > MOST_WORDS {
            let shown = |source: &Source| self.roofs.iter().any(|set| set.source == *source);
            let entry = |source: Source| Entry {
                sample: Box::new(move |x, y| roofs::sample(source, x - 18.0, y)),
                name: source.name().to_owned(),
            };
            let entries: Vec<Entry> = Source::ALL.into_iter().filter(shown).map(entry).collect();
            return legend::spaced(svg, &entries, (42.0, y), WIDTH - 24.0, 20.0);
        }
        for set in &self.roofs {
            svg.push(roofs::sample(set.source, 24.0, y));
            for words in legend::wrap(&[set.words()], 13.0, WIDTH - 96.0) {
                svg.push(text(72.0, y + 4.5, "ink t13", &words));
                y += 20.0;
            }
        }
        y
    }

    pub(super) fn draw_marker_legend(&self, svg: &mut Element, y: f64) -> f64 {
        let shown = |limiter: &Limiter| {
            self.points.iter().any(|point| point.limiter == *limiter)
                || self.traffic.iter().any(|row| row.limiter == *limiter)
        };
        let of_limiter = |limiter: Limiter| Entry {
            sample: Box::new(move |x, y| limiter.marker((x + 9.0, y), 6.0)),
            name: limiter.name().to_owned(),
        };
        let mut entries: Vec<Entry> = Limiter::ALL.into_iter().filter(shown).map(of_limiter).collect();
        if entries.is_empty() {
            return y;
        }
        if !self.points.is_empty() {
            let name = "marker area: share of the kernel time, above a least size".to_owned();
            entries.push(Entry { sample: Box::new(area_sample), name });
        }
        entries.extend(self.levels().into_iter().map(level_entry));
        if self.points.iter().any(|point| point.above) || self.traffic.iter().any(|row| row.above) {
            let sample = |x: f64, y| Element::new("g").child(points::above_ring((x + 9.0, y), 3.5));
            entries.push(Entry { sample: Box::new(sample), name: "above its roof".to_owned() });
        }
        legend::flow(svg, &entries, (24.0, y), WIDTH - 24.0)
    }

    /// The levels that hollow markers stand for.
    fn levels(&self) -> Vec<&str> {
        let mut levels: Vec<&str> = Vec::new();
        for inner in self.points.iter().flat_map(|point| &point.inner) {
            if !levels.contains(&inner.level.as_str()) {
                levels.push(&inner.level);
            }
        }
        levels
    }
}

/// A small and a large marker in outline.
fn area_sample(x: f64, y: f64) -> Element {
    let circle = |x: f64, r: f64| Element::new("circle").at("cx", x).at("cy", y).at("r", r).class("axis");
    Element::new("g").child(circle(x + 3.0, 2.5)).child(circle(x + 13.0, 6.0))
}

fn level_entry(level: &str) -> Entry {
    let class = format!("o-unknown {}", outline_of(level));
    let name = format!("the same work per byte of {level}");
    let sample = move |x: f64, y: f64| Element::new("circle").at("cx", x + 9.0).at("cy", y).at("r", 5.0).class(&class);
    Entry { sample: Box::new(sample), name }
}
