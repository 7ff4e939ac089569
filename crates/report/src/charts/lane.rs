//! Work without any floating-point operation: bytes/s on an axis of its own, one row a family.

use super::legend;
use super::scale::{Scale, decades, minor_log_ticks};
use super::style::Ink;
use super::svg::{Element, fit, line, power, text};

const ROW: f64 = 30.0;
/// Where the labels must end.
const EDGE: f64 = 880.0;

/// A family without floating-point work.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) label: String,
    pub(crate) ink: Ink,
    /// Bytes/s reached.
    pub(crate) rate: f64,
    /// Bytes/s that its bound allows.
    pub(crate) bound: Option<f64>,
}

/// Draws the rows below `top`: the axis from `left` to `right`, the labels beside it; returns where the lane ends.
pub(crate) fn draw(svg: &mut Element, rows: &[Traffic], top: f64, (left, right): (f64, f64), id: &str) -> f64 {
    let rates = || rows.iter().flat_map(|row| [Some(row.rate), row.bound]).flatten().filter(|rate| *rate > 0.0);
    let (low, high) = (rates().fold(f64::INFINITY, f64::min) / 2.0, rates().fold(0.0, f64::max) * 2.0);
    // At least two decades, so that a power of ten or two is on the axis.
    let scale = Scale::log(low.min(high / 100.0), high, (left, right));
    svg.push(text(
        24.0,
        top,
        "ink t13 bold",
        "No floating-point work: bytes/s, and the bound of each row as an upright bar",
    ));
    let (start, end) = (top + 12.0, top + 12.0 + ROW * rows.len() as f64);
    draw_grid(svg, &scale, (start, end));
    for (index, row) in rows.iter().enumerate() {
        row.draw(svg, &scale, start + ROW * (index as f64 + 0.5), id);
    }
    end + 34.0
}

impl Traffic {
    fn draw(&self, svg: &mut Element, scale: &Scale, y: f64, id: &str) {
        let x = scale.pixel(self.rate);
        if let Some(bound) = self.bound.map(|bound| scale.pixel(bound)) {
            svg.push(line((x, y), (bound, y), "leader"));
            svg.push(line((bound, y - 9.0), (bound, y + 9.0), "roof"));
        }
        svg.push(legend::marker(self.ink, (x, y), 7.0, id).tooltip(&self.label));
        let x = scale.pixels().1 + 16.0;
        svg.push(text(x, y + 4.5, "ink t13", &fit(&self.label, 13.0, EDGE - x)));
    }
}

fn draw_grid(svg: &mut Element, scale: &Scale, (top, bottom): (f64, f64)) {
    let (low, high) = scale.ends();
    for tick in minor_log_ticks(low, high) {
        svg.push(line((scale.pixel(tick), top), (scale.pixel(tick), bottom), "fine"));
    }
    for exponent in decades(low, high) {
        let x = scale.pixel(10_f64.powi(exponent));
        svg.push(line((x, top), (x, bottom), "grid"));
        svg.push(power(x, bottom + 19.0, "ink t13 middle", exponent));
    }
    svg.push(line((scale.pixels().0, bottom), (scale.pixels().1, bottom), "axis"));
}
