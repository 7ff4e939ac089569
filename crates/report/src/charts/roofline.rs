//! The roofline: FLOP/s over arithmetic intensity on logarithmic axes, and a lane for work without any FLOP. Normalised,
//! it is the share of the bound over intensity / ridge, on which devices of any speed share one roof.

use super::grid;
use super::labels::{Area, Obstacles};
use super::lane::{self, Traffic};
use super::legend;
use super::points::{self, Point};
use super::roofs::{self, RoofSet};
use super::scale::Scale;
use super::style::picture;
use super::svg::{Element, line, power, text, text_width};

pub(super) const WIDTH: f64 = 900.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 872.0;
const PLOT_HEIGHT: f64 = 400.0;
/// Longest leader line of a normalised chart, about a fifth of its height.
const FAR: f64 = 86.0;

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Roofline {
    /// Identifier that keeps two pictures in one page apart.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// What the numbers in the markers mean; empty where there is one series.
    pub(crate) series: Vec<String>,
    /// Roofs; none are drawn where the axes are normalised.
    pub(crate) roofs: Vec<RoofSet>,
    pub(crate) points: Vec<Point>,
    pub(crate) traffic: Vec<Traffic>,
    /// Whether x is intensity / ridge and y the share of the bound, in percent.
    pub(crate) normalised: bool,
    /// What the bytes of the x axis are.
    pub(crate) bytes: String,
    pub(crate) notes: Vec<String>,
}

impl Roofline {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut head = Element::new("g");
        legend::heading(&mut head, &self.title, &self.subtitle, WIDTH);
        let mut y = self.draw_series(&mut head, 80.0);
        y = self.draw_roof_legend(&mut head, y);
        y = self.draw_marker_legend(&mut head, y);
        let mut body = Element::new("g");
        let (mut below, mut unnamed) = (y + 8.0, 0);
        if !self.points.is_empty() || self.traffic.is_empty() {
            let plot = Area { x: LEFT, y: below, width: RIGHT - LEFT, height: PLOT_HEIGHT };
            unnamed = self.draw_plot(&mut body, plot);
            below = plot.y + plot.height + 74.0;
        } else {
            below += 12.0;
        }
        below = self.draw_lane(&mut body, below);
        let unnamed = (unnamed > 0).then(|| {
            format!("{unnamed} labels of roofs have no room here: their lines have tooltips, and the tables list them.")
        });
        let notes: Vec<String> = unnamed.into_iter().chain(self.notes.iter().cloned()).collect();
        let lines = legend::wrap(&notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, below + 14.0));
        let height = below + 18.0 + lines.len() as f64 * 17.0;
        picture(&self.id, (WIDTH, height.ceil()), &self.title, &self.description()).child(head).child(body).render()
    }

    /// Whether nothing is placed, neither in the plot nor in the lane.
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.traffic.is_empty()
    }

    /// What the picture says, in words.
    fn description(&self) -> String {
        let roofs = self.roofs.iter().map(RoofSet::words);
        let points = self.points.iter().map(|point| format!("{}: {}", point.heading(), point.detail()));
        let traffic = self.traffic.iter().map(Traffic::label);
        self.series.iter().cloned().chain(roofs).chain(points).chain(traffic).collect::<Vec<_>>().join(". ")
    }

    fn axes(&self, plot: Area) -> (Scale, Scale) {
        let (x, y) = if self.normalised { self.normalised_ends() } else { self.absolute_ends() };
        (Scale::log(x.0, x.1, (plot.x, plot.x + plot.width)), Scale::log(y.0, y.1, (plot.y + plot.height, plot.y)))
    }

    fn absolute_ends(&self) -> ((f64, f64), (f64, f64)) {
        let of_set = |set: &RoofSet| {
            let cap = roofs::cap(&self.roofs, set);
            set.bandwidth.iter().filter_map(|limit| Some(cap? / limit.value)).collect::<Vec<_>>()
        };
        let ridges: Vec<f64> = self.roofs.iter().flat_map(of_set).collect();
        let peaks = || self.roofs.iter().flat_map(|set| set.compute.iter().map(|limit| limit.value));
        let xs = || {
            let inner = |point: &Point| point.inner.iter().map(|inner| inner.x).collect::<Vec<_>>();
            self.points.iter().flat_map(move |point| inner(point).into_iter().chain([point.x]))
        };
        let ys = || self.points.iter().map(|point| point.y);
        let x_low = least(xs().map(|value| value / 3.0).chain(ridges.iter().map(|value| value / 30.0)));
        let x_high = most(xs().map(|value| value * 5.0).chain(ridges.iter().map(|value| value * 12.0)));
        // Several series need room for the labels of their peaks above the highest.
        let headroom = if self.series.len() > 1 { 3.6 } else { 1.9 };
        let y_high = most(ys().chain(peaks())) * headroom;
        let y_low = least(ys().map(|value| value / 2.5).chain([y_high / 150.0]));
        ((x_low, x_high), (y_low, y_high))
    }

    fn normalised_ends(&self) -> ((f64, f64), (f64, f64)) {
        let (xs, ys) = (|| self.points.iter().map(|point| point.x), || self.points.iter().map(|point| point.y));
        let x = (least(xs().map(|value| value / 3.0).chain([0.03])), most(xs().map(|value| value * 4.0).chain([30.0])));
        (x, (least(ys().map(|value| value / 1.7).chain([8.0])), most(ys().map(|value| value * 1.3).chain([170.0]))))
    }

    /// Draws axes, roofs and points; returns how many labels of roofs found no place.
    fn draw_plot(&self, svg: &mut Element, plot: Area) -> usize {
        let (x, y) = self.axes(plot);
        let tick = if self.normalised { grid::plain_tick } else { power };
        grid::draw(svg, (&x, &y), plot, tick);
        let mut obstacles = Obstacles::default();
        let unnamed = if self.normalised {
            draw_shape(svg, (&x, &y), plot, &mut obstacles);
            0
        } else {
            let markers = points::areas(&self.points, |a, b| (x.pixel(a), y.pixel(b)));
            roofs::draw(svg, &self.roofs, (&x, &y), (plot, &markers), &mut obstacles)
        };
        let (below, beside) = if self.normalised {
            (format!("arithmetic intensity / ridge ({})", self.bytes), "share of the bound (%)")
        } else {
            (format!("arithmetic intensity (FLOP per byte: {})", self.bytes), "performance (FLOP/s)")
        };
        grid::titles(svg, plot, &below, beside);
        let inside = Area { x: plot.x + 3.0, y: plot.y + 3.0, width: plot.width - 6.0, height: plot.height - 6.0 };
        if self.points.is_empty() {
            let middle = (plot.x + plot.width / 2.0, plot.y + plot.height / 2.0);
            svg.push(text(middle.0, middle.1, "muted t13 middle halo", "No kernel has both FLOP and bytes."));
        }
        points::draw(svg, &self.points, |a, b| (x.pixel(a), y.pixel(b)), inside, &mut obstacles);
        unnamed
    }

    /// Families without FLOP; returns where the lane ends.
    fn draw_lane(&self, svg: &mut Element, top: f64) -> f64 {
        if self.traffic.is_empty() {
            return top - 20.0;
        }
        lane::draw(svg, &self.traffic, top, (LEFT, f64::midpoint(LEFT, RIGHT) - 100.0))
    }
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

/// The one roof of the normalised chart: the bound at 100 %, and the ridge.
fn draw_shape(svg: &mut Element, (x, y): (&Scale, &Scale), plot: Area, obstacles: &mut Obstacles) {
    let (roof, ridge) = (y.pixel(100.0), x.pixel(1.0));
    let right = plot.x + plot.width;
    let bound = ((plot.x, roof), (right, roof));
    svg.push(line(bound.0, bound.1, "roof"));
    let upright = ((ridge, roof), (ridge, plot.y + plot.height));
    svg.push(line(upright.0, upright.1, "leader"));
    obstacles.lines.push(upright);
    // No label stands on the one roof; and none far from its marker, for without slopes the plot is one field.
    obstacles.boxes.push(Area { x: plot.x, y: roof - 1.5, width: plot.width, height: 3.0 });
    obstacles.reach = Some(FAR);
    let mut label = |(at, base): (f64, f64), side: &str, words: &str| {
        let width = text_width(words, 12.0);
        svg.push(text(at, base, &format!("ink t12 halo{side}"), words));
        let left = if side.is_empty() { at } else { at - width };
        obstacles.boxes.push(Area { x: left, y: base - 13.0, width, height: 17.0 });
    };
    label((right - 8.0, roof - 7.0), " end", "roof: 100 % of the bound");
    let low = plot.y + plot.height - 9.0;
    label((ridge - 10.0, low), " end", "\u{2190} left of the ridge: bandwidth");
    label((ridge + 10.0, low), "", "right of it: compute \u{2192}");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::limiter::Limiter;
    use super::super::points::Inner;
    use super::super::points::tests::point;
    use super::super::roofs::{Limit, Source};
    use super::*;

    fn limit(name: &str, value: f64) -> Limit {
        Limit { value, name: name.to_owned(), what: "fma, 1 core".to_owned() }
    }

    pub(crate) fn example() -> Roofline {
        let at = |name: &str, limiter, x, y, time_ratio| Point { x, y, time_ratio, ..point(name, limiter) };
        let measured = RoofSet {
            source: Source::Measured,
            series: None,
            compute: vec![limit("f32", 112e9)],
            bandwidth: vec![limit("DRAM", 18e9)],
        };
        let shared = RoofSet {
            source: Source::Shared,
            series: None,
            compute: Vec::new(),
            bandwidth: vec![limit("DRAM", 12.5e9)],
        };
        Roofline {
            id: "roofline".to_owned(),
            title: "Roofline of a <test>".to_owned(),
            subtitle: "one core".to_owned(),
            series: Vec::new(),
            roofs: vec![measured, shared],
            points: vec![
                at("gemm_bias_gelu, prefill", Limiter::Compute, 45.0, 95e9, 0.6),
                at("gemm_bias_gelu, decode", Limiter::Memory, 4.0, 58e9, 0.3),
            ],
            traffic: vec![Traffic {
                name: "kv_copy".to_owned(),
                rest: ": 24 GB/s".to_owned(),
                limiter: Limiter::Link,
                rate: 24e9,
                bound: Some(25e9),
                above: false,
                uncounted: false,
                tooltip: String::new(),
            }],
            normalised: false,
            bytes: "compulsory bytes of memory".to_owned(),
            notes: vec!["Window: blocks.".to_owned()],
        }
    }

    fn is_sound(svg: &str) -> bool {
        svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf")
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
    fn work_without_any_flop_is_a_lane_without_a_plot() {
        let svg = Roofline { points: Vec::new(), ..example() }.render();
        assert!(is_sound(&svg) && !svg.contains("performance (FLOP/s)") && svg.contains("kv_copy"));
    }

    #[test]
    fn a_roofline_without_roofs_or_points_is_still_a_picture() {
        let svg = Roofline { roofs: Vec::new(), points: Vec::new(), traffic: Vec::new(), ..example() }.render();
        assert!(is_sound(&svg) && svg.contains("No kernel has both FLOP and bytes."));
        assert!(is_sound(&Roofline { roofs: Vec::new(), ..example() }.render()));
    }

    #[test]
    fn intensities_of_ten_decades_and_one_point_fit_the_plot() {
        let mut wide = example();
        (wide.points[0].x, wide.points[1].x) = (1e-4, 1e6);
        let svg = wide.render();
        assert!(is_sound(&svg) && svg.contains("\u{2212}4</tspan>") && svg.contains(">6</tspan>"), "{svg}");
        wide.points.truncate(1);
        wide.roofs.clear();
        assert!(is_sound(&wide.render()));
    }

    #[test]
    fn a_level_is_told_by_its_outline_and_named_in_the_legend() {
        let mut chart = example();
        let inner = |level: &str, x| Inner { level: level.to_owned(), x, tooltip: String::new() };
        chart.points[0].inner = vec![inner("L2", 20.0), inner("L1", 5.0)];
        let svg = chart.render();
        assert!(svg.contains("class=\"o-compute o-full\"") && svg.contains("class=\"o-compute o-dashed\""));
        assert!(svg.contains(">the same work per byte of L2<"));
    }

    #[test]
    fn the_normalised_chart_has_one_roof_at_a_hundred_percent() {
        let mut chart = Roofline { normalised: true, ..example() };
        chart.series = vec!["one device".to_owned(), "another".to_owned()];
        (chart.points[0].x, chart.points[0].y, chart.points[0].series) = (7.0, 85.0, Some(2));
        let svg = chart.render();
        assert!(svg.contains("100 % of the bound") && svg.contains("(2) another") && !svg.contains("GFLOP/s measured"));
        assert!(svg.contains("class=\"on-dark t10 bold middle\">2<"));
    }
}
