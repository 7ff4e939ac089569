//! Durations of kernels by powers of two: two columns a bin, the share of the kernels and the share of the time.

use super::labels::Area;
use super::legend::{self, Entry};
use super::plane;
use super::scale::Scale;
use super::style::picture;
use super::svg::{Element, fit, rect, text};
use crate::format;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const HEIGHT: f64 = 130.0;
const BELOW: &str = "bin by powers of two, named by its shortest duration (1 µs stands for 1024 ns)";

/// One bin.
#[derive(Clone, Debug)]
pub(crate) struct Bin {
    /// Shortest duration that counts.
    pub(crate) from_ns: i64,
    /// Share of the kernels, 0 to 1.
    pub(crate) count_ratio: f64,
    /// Share of their time, 0 to 1.
    pub(crate) time_ratio: f64,
    pub(crate) tip: String,
}

/// The bins of one device, in the order of their durations.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bins: Vec<Bin>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) panels: Vec<Panel>,
    pub(crate) notes: Vec<String>,
}

impl Histogram {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let entries = [Entry::filled("s0", "share of the kernels"), Entry::filled("s2", "share of their time")];
        let mut y = legend::flow(&mut body, &entries, (24.0, 78.0), WIDTH - 24.0) + 6.0;
        for panel in &self.panels {
            let plot = Area { x: LEFT, y: y + 34.0, width: WIDTH - LEFT - 24.0, height: HEIGHT };
            panel.draw(&mut body, plot);
            y = plot.y + plot.height + 24.0;
        }
        body.push(text(f64::midpoint(LEFT, WIDTH - 24.0), y + 14.0, "ink t13 middle", BELOW));
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, y + 42.0));
        let height = (y + 38.0 + lines.len() as f64 * 17.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    fn description(&self) -> String {
        let bins = |panel: &Panel| panel.bins.iter().map(|bin| bin.tip.clone()).collect::<Vec<_>>().join(", ");
        self.panels.iter().map(|panel| format!("{}: {}", panel.title, bins(panel))).collect::<Vec<_>>().join(". ")
    }
}

impl Panel {
    fn draw(&self, svg: &mut Element, plot: Area) {
        let ratios = self.bins.iter().flat_map(|bin| [bin.count_ratio, bin.time_ratio]);
        let high = ratios.filter(|ratio| ratio.is_finite()).fold(0.01, f64::max).min(1.0);
        let bottom = plot.y + plot.height;
        let y = Scale::linear(0.0, high * 100.0, (bottom, plot.y));
        svg.push(text(LEFT, plot.y - 20.0, "ink t13 bold", &fit(&self.title, 13.0, 780.0)));
        plane::draw(svg, &y, plot, "%");
        let step = plot.width / self.bins.len().max(1) as f64;
        let width = (step * 0.42).min(40.0);
        for (index, bin) in self.bins.iter().enumerate() {
            let middle = plot.x + (index as f64 + 0.5) * step;
            for (left, ratio, class) in [(middle - width, bin.count_ratio, "s0"), (middle, bin.time_ratio, "s2")] {
                let top = y.pixel((ratio * 100.0).clamp(0.0, high * 100.0));
                svg.push(rect(left, top, width, bottom - top, &format!("{class} slim")).tooltip(&bin.tip));
            }
            svg.push(text(middle, bottom + 16.0, "ink t12 middle", &short(bin.from_ns)));
        }
    }
}

/// `1 µs`, `64 µs`, `1 ms`: the powers of two of nanoseconds are 1.024 of these.
fn short(ns: i64) -> String {
    let units = [(1_i64 << 30, "s"), (1 << 20, "ms"), (1 << 10, "µs")];
    let unit = units.into_iter().find(|(size, _)| ns >= *size);
    unit.map_or_else(|| format!("{ns} ns"), |(size, name)| format!("{} {name}", ns / size))
}

/// Words of a bin: `1.02 µs to 2.05 µs: 478 kernels (24.0 %), 723 µs (0.3 %)`.
pub(crate) fn tip(range: (i64, i64), kernels: (i64, f64), time: (i64, f64)) -> String {
    format!(
        "{} to {}: {} kernels ({}), {} ({})",
        format::duration(range.0),
        format::duration(range.1),
        format::count(kernels.0),
        format::percent(kernels.1),
        format::duration(time.0),
        format::percent(time.1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(ratios: &[(f64, f64)]) -> String {
        let bin = |(index, ratio): (usize, &(f64, f64))| Bin {
            from_ns: 1024 << index,
            count_ratio: ratio.0,
            time_ratio: ratio.1,
            tip: tip((1024, 2048), (478, 0.24), (722_688, 0.0027)),
        };
        let panel = Panel { title: "device 0".to_owned(), bins: ratios.iter().enumerate().map(bin).collect() };
        let (id, title, subtitle) = ("h".to_owned(), "t".to_owned(), String::new());
        Histogram { id, title, subtitle, panels: vec![panel], notes: Vec::new() }.render()
    }

    #[test]
    fn the_highest_share_fills_the_plot_and_bins_are_named_by_their_start() {
        let svg = chart(&[(0.5, 0.25), (0.5, 0.1)]);
        assert!(
            svg.contains("height=\"130\"") && svg.contains("height=\"65\"") && svg.contains("height=\"26\""),
            "{svg}"
        );
        assert!(svg.contains(">1 µs<") && svg.contains(">2 µs<"));
        assert!(svg.contains("1.02 µs to 2.05 µs: 478 kernels (24.0 %), 723 µs (0.3 %)"));
    }

    #[test]
    fn hostile_and_absent_bins_still_draw() {
        for ratios in [vec![], vec![(f64::NAN, -3.0)], vec![(1e300, f64::INFINITY)]] {
            let svg = chart(&ratios);
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
        }
    }

    #[test]
    fn a_bin_from_nanoseconds_to_seconds_has_a_short_name() {
        assert_eq!([512, 65_536, 1 << 20, 1 << 31].map(short), ["512 ns", "64 µs", "1 ms", "2 s"]);
    }
}
