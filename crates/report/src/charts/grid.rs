//! The grid and the axis titles of a chart whose axes are both logarithmic.

use super::labels::Area;
use super::scale::{Scale, decades, minor_log_ticks};
use super::svg::{Element, line, path, power, text};

/// Below this many pixels a decade has no fine grid.
const FINE: f64 = 55.0;

/// How a power of ten is written at its tick.
pub(super) type Tick = fn(f64, f64, &str, i32) -> Element;

/// A power of ten as a number where it is short: ratios and percentages are read that way.
pub(super) fn plain_tick(x: f64, y: f64, classes: &str, exponent: i32) -> Element {
    match exponent {
        -3..0 => text(x, y, classes, &format!("{:.*}", exponent.unsigned_abs() as usize, 10_f64.powi(exponent))),
        0..4 => text(x, y, classes, &10_i32.pow(exponent.unsigned_abs()).to_string()),
        _ => power(x, y, classes, exponent),
    }
}

pub(super) fn draw(svg: &mut Element, (x, y): (&Scale, &Scale), plot: Area, tick: Tick) {
    let (top, bottom, left, right) = (plot.y, plot.y + plot.height, plot.x, plot.x + plot.width);
    let vertical = |svg: &mut Element, at: f64, class| svg.push(line((at, top), (at, bottom), class));
    let horizontal = |svg: &mut Element, at: f64, class| svg.push(line((left, at), (right, at), class));
    for value in fine(x) {
        vertical(svg, x.pixel(value), "fine");
    }
    for value in fine(y) {
        horizontal(svg, y.pixel(value), "fine");
    }
    for exponent in labelled(x, 30.0) {
        let at = x.pixel(10_f64.powi(exponent));
        vertical(svg, at, "grid");
        svg.push(tick(at, bottom + 20.0, "ink t13 middle", exponent));
    }
    for exponent in labelled(y, 18.0) {
        let at = y.pixel(10_f64.powi(exponent));
        horizontal(svg, at, "grid");
        svg.push(tick(left - 9.0, at + 4.5, "ink t13 end", exponent));
    }
    svg.push(path(&format!("M{left:.1} {top:.1}V{bottom:.1}H{right:.1}"), "axis"));
}

/// Pixels of a decade.
fn decade(scale: &Scale) -> f64 {
    (scale.pixel(10.0) - scale.pixel(1.0)).abs()
}

/// The fine ticks; none where a decade has no room for them.
fn fine(scale: &Scale) -> Vec<f64> {
    let (low, high) = scale.ends();
    if decade(scale) < FINE { Vec::new() } else { minor_log_ticks(low, high) }
}

/// The powers of ten whose labels keep that distance.
fn labelled(scale: &Scale, distance: f64) -> Vec<i32> {
    let (low, high) = scale.ends();
    let step = (distance / decade(scale).max(1e-3)).ceil().clamp(1.0, 1000.0) as i32;
    decades(low, high).into_iter().filter(|exponent| exponent % step == 0).collect()
}

/// What the axes are: below the plot, and turned beside it.
pub(super) fn titles(svg: &mut Element, plot: Area, below: &str, beside: &str) {
    let (middle, centre) = (plot.x + plot.width / 2.0, plot.y + plot.height / 2.0);
    svg.push(text(middle, plot.y + plot.height + 42.0, "ink t13 middle", below));
    let turned = format!("rotate(-90 34 {centre:.1})");
    svg.push(text(34.0, centre, "ink t13 middle", beside).set("transform", &turned));
}
