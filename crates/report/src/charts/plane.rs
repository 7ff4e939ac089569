//! A plot with a linear value axis on its left: horizontal grid lines, their labels and the two axes.

use super::labels::Area;
use super::scale::{Scale, linear_ticks, tick_label};
use super::svg::{Element, line, path, text};

/// Draws the grid of `y` into the plot, and what it counts above its upper end.
pub(super) fn draw(svg: &mut Element, y: &Scale, plot: Area, unit: &str) {
    let (left, right, bottom) = (plot.x, plot.x + plot.width, plot.y + plot.height);
    let ticks = linear_ticks(y.ends().0, y.ends().1, (plot.height / 30.0) as u32);
    for tick in &ticks {
        let at = y.pixel(*tick);
        svg.push(line((left, at), (right, at), "grid"));
        svg.push(text(left - 8.0, at + 4.0, "ink t12 end", &tick_label(*tick, &ticks)));
    }
    svg.push(path(&format!("M{left:.1} {:.1}V{bottom:.1}H{right:.1}", plot.y), "axis"));
    svg.push(text(left - 8.0, plot.y - 9.0, "muted t12 end", unit));
}

/// What a number of nanoseconds is divided by on an axis that reaches so far, and the unit's name.
pub(super) fn time_unit(longest_ns: f64) -> (f64, &'static str) {
    match longest_ns {
        ns if ns >= 2e9 => (1e9, "s"),
        ns if ns >= 2e6 => (1e6, "ms"),
        ns if ns >= 2e3 => (1e3, "µs"),
        _ => (1.0, "ns"),
    }
}

/// The places of at most about `wanted` labels on an axis of `count` numbered things.
pub(super) fn places(count: usize, wanted: u32) -> Vec<usize> {
    if count < 2 {
        return (0..count).collect();
    }
    let mut places: Vec<usize> =
        linear_ticks(0.0, (count - 1) as f64, wanted).into_iter().map(|at| at as usize).collect();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_of_time_has_a_unit_in_which_its_labels_are_short() {
        let units = [1.0, 320e3, 5e6, 1e10, f64::NAN].map(|ns| time_unit(ns).1);
        assert_eq!(units, ["ns", "µs", "ms", "s", "ns"]);
    }

    #[test]
    fn numbered_things_get_round_places_without_repeats() {
        assert_eq!(places(11, 5), [0, 2, 4, 6, 8, 10]);
        assert_eq!((places(0, 5).len(), places(1, 5), places(3, 8)), (0, vec![0], vec![0, 1, 2]));
    }
}
