//! Work without any floating-point operation, and work whose FLOP nobody counted: bytes/s on an axis of its own, one row
//! a family.

use super::limiter::Limiter;
use super::scale::{Scale, decades, minor_log_ticks};
use super::svg::{Element, fit, fit_middle, line, power, text, text_width};

const ROW: f64 = 30.0;
/// Where the labels must end.
const EDGE: f64 = 880.0;

/// Headings of families that do no FLOP, and of those whose FLOP are not known.
const HEADINGS: [&str; 2] = ["No floating-point work", "FLOP not counted"];

/// A family without FLOP.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) name: String,
    /// What follows the name, which is cut where both have no room: phase and numbers.
    pub(crate) rest: String,
    pub(crate) limiter: Limiter,
    /// Bytes/s reached.
    pub(crate) rate: f64,
    /// Bytes/s that its bound allows.
    pub(crate) bound: Option<f64>,
    pub(crate) above: bool,
    /// Whether it may have done FLOP that nobody counted.
    pub(crate) uncounted: bool,
    pub(crate) tooltip: String,
}

/// Draws the rows below `top`: the axis from `left` to `right`, the labels beside it; returns where the lane ends.
pub(crate) fn draw(svg: &mut Element, rows: &[Traffic], top: f64, (left, right): (f64, f64)) -> f64 {
    let rates = || rows.iter().flat_map(|row| [Some(row.rate), row.bound]).flatten().filter(|rate| *rate > 0.0);
    let (low, high) = (rates().fold(f64::INFINITY, f64::min) / 2.0, rates().fold(0.0, f64::max) * 2.0);
    // At least two decades, so that a power of ten or two is on the axis.
    let scale = Scale::log(low.min(high / 100.0), high, (left, right));
    let mut next = top;
    for (uncounted, heading) in [false, true].into_iter().zip(HEADINGS) {
        let rows: Vec<&Traffic> = rows.iter().filter(|row| row.uncounted == uncounted).collect();
        if !rows.is_empty() {
            next = draw_rows(svg, &rows, heading, next, &scale) + 26.0;
        }
    }
    next - 26.0
}

fn draw_rows(svg: &mut Element, rows: &[&Traffic], heading: &str, top: f64, scale: &Scale) -> f64 {
    let words = format!("{heading}: bytes/s, and the bound of each row as an upright bar");
    svg.push(text(24.0, top, "ink t13 bold", &words));
    let (start, end) = (top + 12.0, top + 12.0 + ROW * rows.len() as f64);
    draw_grid(svg, scale, (start, end));
    for (index, row) in rows.iter().enumerate() {
        row.draw(svg, scale, start + ROW * (index as f64 + 0.5));
    }
    end + 34.0
}

impl Traffic {
    /// The whole label.
    pub(crate) fn label(&self) -> String {
        format!("{}{}", self.name, self.rest)
    }

    fn draw(&self, svg: &mut Element, scale: &Scale, y: f64) {
        let x = scale.pixel(self.rate);
        if let Some(bound) = self.bound.map(|bound| scale.pixel(bound)) {
            svg.push(line((x, y), (bound, y), "leader"));
            svg.push(line((bound, y - 9.0), (bound, y + 9.0), "roof"));
        }
        svg.push(self.limiter.marker((x, y), 7.0).tooltip(&self.tooltip));
        if self.above {
            svg.push(super::points::above_ring((x, y), 6.0));
        }
        let x = scale.pixels().1 + 16.0;
        let room = (EDGE - x - text_width(&self.rest, 13.0)).max(60.0);
        let label = format!("{}{}", fit_middle(&self.name, 13.0, room), self.rest);
        svg.push(text(x, y + 4.5, "ink t13", &fit(&label, 13.0, EDGE - x)));
    }
}

fn draw_grid(svg: &mut Element, scale: &Scale, (top, bottom): (f64, f64)) {
    let (low, high) = scale.ends();
    let exponents = decades(low, high);
    if exponents.len() < 12 {
        for tick in minor_log_ticks(low, high) {
            svg.push(line((scale.pixel(tick), top), (scale.pixel(tick), bottom), "fine"));
        }
    }
    for exponent in exponents {
        let x = scale.pixel(10_f64.powi(exponent));
        svg.push(line((x, top), (x, bottom), "grid"));
        svg.push(power(x, bottom + 19.0, "ink t13 middle", exponent));
    }
    svg.push(line((scale.pixels().0, bottom), (scale.pixels().1, bottom), "axis"));
}
