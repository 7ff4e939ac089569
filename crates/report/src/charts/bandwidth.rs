//! Bus bandwidth of collectives against message size: both axes logarithmic, the links as horizontal roofs.

use super::grid;
use super::labels::Area;
use super::legend::{self, Entry};
use super::scale::Scale;
use super::style::picture;
use super::svg::{Element, fit, line, rect, text};
use crate::format;

const WIDTH: f64 = 900.0;
const PLOT_HEIGHT: f64 = 300.0;
/// Colours that keep apart; further series share the last.
const CLASSES: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];

/// The collectives of one operation and size.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Number of its series.
    pub(crate) series: usize,
    pub(crate) bytes: f64,
    pub(crate) bytes_per_s: f64,
    /// Whether the time holds the wait for other ranks, so that the rate is a lower limit.
    pub(crate) limit: bool,
    pub(crate) tip: String,
}

/// The ceiling of a link.
#[derive(Clone, Debug)]
pub(crate) struct Roof {
    pub(crate) name: String,
    pub(crate) bytes_per_s: f64,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Bandwidth {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// What the series are, for example the operation.
    pub(crate) series: Vec<String>,
    pub(crate) points: Vec<Point>,
    pub(crate) roofs: Vec<Roof>,
    pub(crate) notes: Vec<String>,
}

impl Bandwidth {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let top = legend::flow(&mut body, &self.entries(), (24.0, 78.0), WIDTH - 24.0) + 12.0;
        let plot = Area { x: 92.0, y: top, width: WIDTH - 92.0 - 24.0, height: PLOT_HEIGHT };
        let sizes = ends(self.points.iter().map(|point| point.bytes));
        let rates = self.points.iter().map(|point| point.bytes_per_s);
        let rates = ends(rates.chain(self.roofs.iter().map(|roof| roof.bytes_per_s)));
        let x = Scale::log(sizes.0, sizes.1, (plot.x, plot.x + plot.width));
        let y = Scale::log(rates.0 / 1e9, rates.1 / 1e9, (plot.y + plot.height, plot.y));
        grid::draw(&mut body, (&x, &y), plot, grid::plain_tick);
        grid::titles(
            &mut body,
            plot,
            "message size in bytes (the larger of input and output of a rank)",
            "bus bandwidth in GB/s",
        );
        self.draw_roofs(&mut body, &y, plot);
        for point in &self.points {
            let at = (x.pixel(point.bytes), y.pixel(point.bytes_per_s / 1e9));
            body.push(mark(point.series, point.limit, at).tooltip(&point.tip));
        }
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        let bottom = plot.y + plot.height + 70.0;
        legend::notes(&mut body, &lines, (24.0, bottom));
        let height = (bottom - 4.0 + lines.len() as f64 * 17.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    /// The roofs, each named below its line; names that would cover another go into the description only.
    fn draw_roofs(&self, svg: &mut Element, y: &Scale, plot: Area) {
        let mut above = f64::NEG_INFINITY;
        let mut roofs: Vec<&Roof> = self.roofs.iter().collect();
        roofs.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s));
        for roof in roofs {
            let at = y.pixel(roof.bytes_per_s / 1e9);
            svg.push(line((plot.x, at), (plot.x + plot.width, at), "roof").tooltip(&roof.name));
            if at - above > 20.0 {
                let name = fit(&roof.name, 12.0, plot.width - 20.0);
                svg.push(text(plot.x + plot.width - 8.0, at + 15.0, "ink halo t12 end", &name));
                above = at;
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |(index, name): (usize, &String)| Entry {
            sample: Box::new(move |x, y| mark(index, false, (x + 9.0, y))),
            name: name.clone(),
        };
        let mut entries: Vec<Entry> = self.series.iter().enumerate().map(entry).collect();
        if self.points.iter().any(|point| point.limit) {
            let sample = Box::new(|x: f64, y: f64| mark(CLASSES.len() - 1, true, (x + 9.0, y)));
            entries.push(Entry { sample, name: "hollow: waiting included, a lower limit".to_owned() });
        }
        entries
    }

    fn description(&self) -> String {
        self.points.iter().take(40).map(|point| point.tip.clone()).collect::<Vec<_>>().join(". ")
    }
}

/// A marker: the series differ in shape too.
fn mark(series: usize, hollow: bool, (x, y): (f64, f64)) -> Element {
    let class = CLASSES[series.min(CLASSES.len() - 1)];
    let class = format!("{class} {}", if hollow { "hollow" } else { "slim" });
    match series % 3 {
        0 => Element::new("circle").at("cx", x).at("cy", y).at("r", 5.0).class(&class),
        1 => rect(x - 4.5, y - 4.5, 9.0, 9.0, &class),
        _ => super::svg::path(&format!("M{x:.1} {:.1}l5.5 9.5h-11z", y - 5.5), &class),
    }
}

/// The decades around positive values.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let usable = values.filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = usable.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (1.0, 10.0);
    }
    // A fifth of a decade keeps markers off the frame.
    (10_f64.powf((low.log10() - 0.2).floor()), 10_f64.powf((high.log10() + 0.2).ceil()))
}

/// Words of a point: `all_reduce of 8.20 MB: 2.48 GB/s on the bus`.
pub(crate) fn tip(name: &str, bytes: f64, bytes_per_s: f64) -> String {
    format!("{name} of {}: {} on the bus", format::bytes(bytes), format::bandwidth(bytes_per_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)], roof: f64) -> String {
        let point = |(bytes, rate): &(f64, f64)| Point {
            series: 1,
            bytes: *bytes,
            bytes_per_s: *rate,
            limit: true,
            tip: tip("all_reduce", *bytes, *rate),
        };
        Bandwidth {
            id: "b".to_owned(),
            title: "t".to_owned(),
            subtitle: String::new(),
            series: vec!["a".to_owned(), "b<".to_owned()],
            points: points.iter().map(point).collect(),
            roofs: vec![Roof { name: "link 300 GB/s".to_owned(), bytes_per_s: roof }],
            notes: Vec::new(),
        }
        .render()
    }

    #[test]
    fn points_lie_at_their_size_and_rate_below_the_roof() {
        // Sizes 1e6 to 1e8 make the axis 1e5 to 1e9: 784 pixels from 92, so 1e6 lies at 288 and 1e8 at 680.
        let svg = chart(&[(1e6, 1e10), (1e8, 1e11)], 3e11);
        assert!(svg.contains("x=\"283.5\"") && svg.contains("x=\"675.5\""), "{svg}");
        assert!(svg.contains("b&lt;") && svg.contains("link 300 GB/s") && svg.contains("a lower limit"));
        assert!(svg.contains("all_reduce of 1.00 MB: 10.0 GB/s on the bus"));
    }

    #[test]
    fn hostile_and_absent_points_still_draw() {
        for points in [vec![], vec![(0.0, -1.0)], vec![(f64::MAX, f64::MIN_POSITIVE), (1.0, f64::INFINITY)]] {
            let svg = chart(&points, f64::NAN);
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
        }
    }
}
