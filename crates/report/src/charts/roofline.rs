//! The roofline: FLOP/s over arithmetic intensity on logarithmic axes, and a lane for work without any FLOP.

use std::fmt::Write as _;

use super::labels::{Area, Obstacles};
use super::lane::{self, Traffic};
use super::legend::{self, Entry};
use super::points::{self, Point};
use super::scale::{Scale, decades, minor_log_ticks};
use super::style::{Ink, picture};
use super::svg::{Element, line, path, power, text, text_width};
use crate::format;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 872.0;
const PLOT_HEIGHT: f64 = 370.0;

/// Where a roof comes from, which is also how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Micro-benchmarks on this device: a solid line.
    Measured,
    /// The vendor's number: a dashed line.
    Datasheet,
    /// The measured bandwidth of all cores, shared by the cores in use: a dotted line.
    Shared,
}

impl Source {
    const ALL: [Self; 3] = [Self::Measured, Self::Datasheet, Self::Shared];

    fn class(self) -> &'static str {
        match self {
            Self::Measured => "roof",
            Self::Datasheet => "sheet",
            Self::Shared => "shared",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Datasheet => "datasheet",
            Self::Shared => "measured, shared memory",
        }
    }
}

/// One roof pair: a compute peak, a bandwidth, or both.
#[derive(Clone, Debug)]
pub(crate) struct Roof {
    pub(crate) source: Source,
    /// FLOP/s and what reached them. The shared roof has none: it ends at the measured one.
    pub(crate) compute: Option<(f64, String)>,
    /// Bytes/s and what reached them.
    pub(crate) bandwidth: Option<(f64, String)>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Roofline {
    /// Identifier that keeps two pictures in one page apart.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) roofs: Vec<Roof>,
    pub(crate) points: Vec<Point>,
    pub(crate) traffic: Vec<Traffic>,
    pub(crate) notes: Vec<String>,
}

struct Axes {
    x: Scale,
    y: Scale,
}

impl Axes {
    fn at(&self, intensity: f64, rate: f64) -> (f64, f64) {
        (self.x.pixel(intensity), self.y.pixel(rate))
    }
}

impl Roofline {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut head = Element::new("g");
        legend::heading(&mut head, &self.title, &self.subtitle, WIDTH);
        let mut y = self.draw_roof_legend(&mut head, 80.0);
        y = self.draw_marker_legend(&mut head, y);
        let plot = Area { x: LEFT, y: y + 8.0, width: RIGHT - LEFT, height: PLOT_HEIGHT };
        let mut body = Element::new("g");
        self.draw_plot(&mut body, plot);
        let below = self.draw_lane(&mut body, plot.y + plot.height + 74.0);
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, below + 14.0));
        let height = below + 18.0 + lines.len() as f64 * 17.0;
        picture(&self.id, (WIDTH, height.ceil()), &self.title, &self.description()).child(head).child(body).render()
    }

    /// What the picture says, in words.
    fn description(&self) -> String {
        let roofs = self.roofs.iter().map(Roof::words);
        let points = self.points.iter().map(|point| format!("{}: {}", point.name, point.detail));
        let traffic = self.traffic.iter().map(|row| row.label.clone());
        roofs.chain(points).chain(traffic).collect::<Vec<_>>().join(". ")
    }

    fn roof(&self, source: Source) -> Option<&Roof> {
        self.roofs.iter().find(|roof| roof.source == source)
    }

    /// The FLOP/s at which the bandwidth line of a roof ends.
    fn cap(&self, roof: &Roof) -> Option<f64> {
        let own = roof.compute.as_ref().map(|compute| compute.0);
        let measured = self.roof(Source::Measured).and_then(|roof| roof.compute.as_ref()).map(|compute| compute.0);
        own.or(measured)
    }

    fn axes(&self, plot: Area) -> Axes {
        let ridges = self.roofs.iter().filter_map(|roof| Some(self.cap(roof)? / roof.bandwidth.as_ref()?.0));
        let ridge: Vec<f64> = ridges.filter(|ridge| ridge.is_finite() && *ridge > 0.0).collect();
        let peaks: Vec<f64> = self.roofs.iter().filter_map(|roof| Some(roof.compute.as_ref()?.0)).collect();
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let intensities = || self.points.iter().map(|point| point.intensity);
        let rates = || self.points.iter().map(|point| point.rate);
        let x_low = least(&mut intensities().map(|value| value / 3.0).chain(ridge.iter().map(|value| value / 30.0)));
        let x_high = most(&mut intensities().map(|value| value * 5.0).chain(ridge.iter().map(|value| value * 12.0)));
        let y_high = most(&mut rates().chain(peaks.iter().copied())) * 1.9;
        let y_low = least(&mut rates().map(|value| value / 2.5).chain(std::iter::once(y_high / 150.0)));
        Axes {
            x: Scale::log(x_low, x_high, (plot.x, plot.x + plot.width)),
            y: Scale::log(y_low, y_high, (plot.y + plot.height, plot.y)),
        }
    }

    fn draw_plot(&self, svg: &mut Element, plot: Area) {
        let axes = self.axes(plot);
        draw_grid(svg, &axes, plot);
        let mut obstacles = Obstacles::default();
        for roof in &self.roofs {
            self.draw_roof(svg, roof, &axes, &mut obstacles);
        }
        self.draw_compute_values(svg, &axes, &mut obstacles);
        self.draw_bandwidth_values(svg, &axes, plot, &mut obstacles);
        self.draw_points(svg, &axes, plot, &obstacles);
    }

    fn draw_roof(&self, svg: &mut Element, roof: &Roof, axes: &Axes, obstacles: &mut Obstacles) {
        let ((x_low, x_high), (y_low, _)) = (axes.x.ends(), axes.y.ends());
        let mut data = String::new();
        let mut corner = None;
        if let Some((bandwidth, _)) = &roof.bandwidth {
            let start = (x_low.max(y_low / bandwidth)).min(x_high);
            let end = self.cap(roof).map_or(x_high, |cap| (cap / bandwidth).min(x_high)).max(start);
            let (from, to) = (axes.at(start, start * bandwidth), axes.at(end, end * bandwidth));
            data = format!("M{:.1} {:.1}L{:.1} {:.1}", from.0, from.1, to.0, to.1);
            obstacles.lines.push((from, to));
            corner = Some(end);
        }
        if let Some((peak, _)) = &roof.compute {
            let (from, to) = (axes.at(corner.unwrap_or(x_low), *peak), axes.at(x_high, *peak));
            let verb = if corner.is_some() { 'L' } else { 'M' };
            // Writing to a String cannot fail.
            let _ = write!(data, "{verb}{:.1} {:.1}H{:.1}", from.0, from.1, to.0);
            obstacles.lines.push((from, to));
        }
        svg.push(path(&data, roof.source.class()).tooltip(&roof.words()));
    }

    /// The peaks in numbers at the right end of their lines: the highest above its line, the next below.
    fn draw_compute_values(&self, svg: &mut Element, axes: &Axes, obstacles: &mut Obstacles) {
        let mut peaks: Vec<f64> = self.roofs.iter().filter_map(|roof| Some(roof.compute.as_ref()?.0)).collect();
        peaks.sort_by(|a, b| b.total_cmp(a));
        // Two roofs that read the same need one number.
        peaks.dedup_by_key(|peak| format::flop_rate(*peak));
        let mut above: Option<f64> = None;
        for peak in peaks {
            let y = axes.y.pixel(peak);
            let crowded = above.is_some_and(|above| y - above < 22.0);
            let label = format::flop_rate(peak);
            let width = text_width(&label, 13.0);
            let base = if crowded { y + 16.0 } else { y - 7.0 };
            svg.push(text(RIGHT - 8.0, base, "ink t13 end halo", &label));
            obstacles.boxes.push(Area { x: RIGHT - 8.0 - width, y: base - 13.0, width: width + 8.0, height: 17.0 });
            above = Some(y);
        }
    }

    /// The bandwidths in numbers: a column left of the steepest line, each with a short line to its own roof.
    fn draw_bandwidth_values(&self, svg: &mut Element, axes: &Axes, plot: Area, obstacles: &mut Obstacles) {
        let mut roofs: Vec<&Roof> = self.roofs.iter().filter(|roof| roof.bandwidth.is_some()).collect();
        roofs.sort_by(|a, b| bandwidth(b).total_cmp(&bandwidth(a)));
        let Some(steepest) = roofs.first().map(|roof| bandwidth(roof)) else { return };
        for (index, roof) in roofs.iter().enumerate() {
            let y = plot.y + plot.height * 0.42 + index as f64 * 24.0;
            let rate = 10_f64.powf(interpolate(axes.y.pixels(), axes.y.ends(), y));
            let (end, touch) = (axes.x.pixel(rate / steepest) - 26.0, axes.x.pixel(rate / bandwidth(roof)));
            let label = format::bandwidth(bandwidth(roof));
            let width = text_width(&label, 13.0);
            if end - width < plot.x + 4.0 || touch > plot.x + plot.width {
                continue;
            }
            svg.push(line((end + 4.0, y), (touch, y), "leader"));
            svg.push(Element::new("circle").at("cx", touch).at("cy", y).at("r", 2.6).class("dot"));
            svg.push(text(end, y + 4.5, "ink t13 end halo", &label));
            obstacles.boxes.push(Area { x: end - width, y: y - 9.0, width: touch - end + width, height: 18.0 });
        }
    }

    fn draw_points(&self, svg: &mut Element, axes: &Axes, plot: Area, obstacles: &Obstacles) {
        let inside = Area { x: plot.x + 3.0, y: plot.y + 3.0, width: plot.width - 6.0, height: plot.height - 6.0 };
        let at = |point: &Point| axes.at(point.intensity, point.rate);
        points::draw(svg, &self.points, at, inside, obstacles, &self.id);
    }

    fn draw_roof_legend(&self, svg: &mut Element, mut y: f64) -> f64 {
        for roof in Source::ALL.iter().filter_map(|source| self.roof(*source)) {
            svg.push(line((24.0, y), (62.0, y), roof.source.class()));
            for words in legend::wrap(&[roof.words()], 13.0, WIDTH - 96.0) {
                svg.push(text(72.0, y + 4.5, "ink t13", &words));
                y += 21.0;
            }
        }
        y
    }

    fn draw_marker_legend(&self, svg: &mut Element, y: f64) -> f64 {
        let shown = |ink: &Ink| {
            self.points.iter().any(|point| point.ink == *ink) || self.traffic.iter().any(|row| row.ink == *ink)
        };
        let mut entries: Vec<Entry> =
            Ink::ALL.into_iter().filter(shown).map(|ink| Entry::marker(ink, &self.id)).collect();
        if entries.is_empty() {
            return y;
        }
        entries.push(Entry {
            sample: Box::new(area_sample),
            name: "marker area: share of the time of all rows".to_owned(),
        });
        legend::flow(svg, &entries, (24.0, y), WIDTH - 24.0)
    }

    /// Families without FLOP; returns where the lane ends.
    fn draw_lane(&self, svg: &mut Element, top: f64) -> f64 {
        if self.traffic.is_empty() {
            return top - 20.0;
        }
        lane::draw(svg, &self.traffic, top, (LEFT, f64::midpoint(LEFT, RIGHT) - 20.0), &self.id)
    }
}

/// A small and a large marker in outline.
fn area_sample(x: f64, y: f64) -> Element {
    let circle = |x: f64, r: f64| Element::new("circle").at("cx", x).at("cy", y).at("r", r).class("leader");
    Element::new("g").child(circle(x + 3.0, 2.5)).child(circle(x + 13.0, 6.0))
}

fn bandwidth(roof: &Roof) -> f64 {
    roof.bandwidth.as_ref().map_or(0.0, |bandwidth| bandwidth.0)
}

/// The exponent at a pixel between the ends of a logarithmic axis.
fn interpolate(pixels: (f64, f64), ends: (f64, f64), pixel: f64) -> f64 {
    let share = (pixel - pixels.0) / (pixels.1 - pixels.0);
    ends.0.log10() + share * (ends.1.log10() - ends.0.log10())
}

impl Roof {
    fn words(&self) -> String {
        let compute = self.compute.as_ref().map(|(value, what)| format!("{} ({what})", format::flop_rate(*value)));
        let bandwidth = self.bandwidth.as_ref().map(|(value, what)| format!("{} ({what})", format::bandwidth(*value)));
        let parts: Vec<String> = [compute, bandwidth].into_iter().flatten().collect();
        format!("{}: {}", self.source.name(), parts.join(", "))
    }
}

fn draw_grid(svg: &mut Element, axes: &Axes, plot: Area) {
    let (top, bottom, left, right) = (plot.y, plot.y + plot.height, plot.x, plot.x + plot.width);
    let ((x_low, x_high), (y_low, y_high)) = (axes.x.ends(), axes.y.ends());
    let vertical = |svg: &mut Element, x: f64, class| svg.push(line((x, top), (x, bottom), class));
    let horizontal = |svg: &mut Element, y: f64, class| svg.push(line((left, y), (right, y), class));
    for tick in minor_log_ticks(x_low, x_high) {
        vertical(svg, axes.x.pixel(tick), "fine");
    }
    for tick in minor_log_ticks(y_low, y_high) {
        horizontal(svg, axes.y.pixel(tick), "fine");
    }
    for exponent in decades(x_low, x_high) {
        let x = axes.x.pixel(10_f64.powi(exponent));
        vertical(svg, x, "grid");
        svg.push(power(x, bottom + 20.0, "ink t13 middle", exponent));
    }
    for exponent in decades(y_low, y_high) {
        let y = axes.y.pixel(10_f64.powi(exponent));
        horizontal(svg, y, "grid");
        svg.push(power(left - 9.0, y + 4.5, "ink t13 end", exponent));
    }
    svg.push(path(&format!("M{left:.1} {top:.1}V{bottom:.1}H{right:.1}"), "axis"));
    let middle = f64::midpoint(left, right);
    svg.push(text(
        middle,
        bottom + 42.0,
        "ink t13 middle",
        "arithmetic intensity (FLOP per byte of compulsory memory traffic)",
    ));
    let centre = f64::midpoint(top, bottom);
    let turned = format!("rotate(-90 34 {centre:.1})");
    svg.push(text(34.0, centre, "ink t13 middle", "performance (FLOP/s)").set("transform", &turned));
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Roofline {
        let point = |name: &str, ink, intensity, rate: f64, time_ratio| Point {
            name: name.to_owned(),
            family: name.to_owned(),
            detail: format!("{}, {:.0} % of the time", format::flop_rate(rate), time_ratio * 100.0),
            ink,
            intensity,
            rate,
            time_ratio,
            tooltip: "tip".to_owned(),
        };
        Roofline {
            id: "roofline".to_owned(),
            title: "Roofline of a <test>".to_owned(),
            subtitle: "one core".to_owned(),
            roofs: vec![
                Roof {
                    source: Source::Measured,
                    compute: Some((112e9, "f32 avx512, 1 core".to_owned())),
                    bandwidth: Some((18e9, "DRAM read, 1 core".to_owned())),
                },
                Roof {
                    source: Source::Shared,
                    compute: None,
                    bandwidth: Some((12.5e9, "25 GB/s over 2 cores".to_owned())),
                },
            ],
            points: vec![
                point("gemm_bias_gelu, prefill", Ink::Prefill, 45.0, 95e9, 0.6),
                point("gemm_bias_gelu, decode", Ink::Decode, 4.0, 58e9, 0.3),
            ],
            traffic: vec![Traffic {
                label: "kv_copy: 24 GB/s".to_owned(),
                ink: Ink::Kv,
                rate: 24e9,
                bound: Some(25e9),
            }],
            notes: vec!["Window: blocks.".to_owned()],
        }
    }

    #[test]
    fn axes_show_powers_of_ten_with_raised_exponents_and_titles_are_escaped() {
        let svg = example().render();
        assert!(svg.contains(">10<tspan dy=\"-5\" font-size=\"10\">10</tspan>"), "10^10 on the y axis");
        assert!(svg.contains("Roofline of a &lt;test&gt;") && !svg.contains("<test>"));
        assert!(svg.contains("role=\"img\"") && svg.contains("<desc"));
    }

    #[test]
    fn each_source_of_a_roof_has_its_own_line_style_and_work_without_flop_its_own_lane() {
        let svg = example().render();
        assert!(svg.contains("class=\"roof\"") && svg.contains("class=\"shared\"") && !svg.contains("class=\"sheet\""));
        assert!(svg.contains("No floating-point work") && svg.contains("kv_copy: 24 GB/s"));
        let bare = Roofline { traffic: Vec::new(), ..example() }.render();
        assert!(!bare.contains("No floating-point work"));
    }

    #[test]
    fn a_roofline_without_roofs_or_points_is_still_a_picture() {
        let svg = Roofline { roofs: Vec::new(), points: Vec::new(), traffic: Vec::new(), ..example() }.render();
        assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf"));
    }
}
