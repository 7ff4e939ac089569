//! The FLOP of each row of `roofline`, by precision.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, roofline};
use crate::Error;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline_flop",
    doc: "The floating-point operations of each roofline row, by precision.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_flop",
    doc: "One precision of one row of `roofline`.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the kernel."),
        text("phase", "Phase that the target states.").or_null(),
        text("precision", "Type of the arithmetic."),
        int("flop", "Floating-point operations, an FMA counted as two."),
        float("math_ns", "Time that they need at the measured roof of the precision; null without one.").or_null(),
    ],
};

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let families = roofline::families(input)?;
    let rows: Vec<_> = families
        .iter()
        .flat_map(|family| family.flop.iter().map(move |(name, counts)| (family, name, counts)))
        .collect();
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.0.device.0))
        .int("device", |row| Some(row.0.device.1))
        .text("window", |row| Some(&row.0.window))
        .text("name", |row| Some(&row.0.name))
        .text("phase", |row| row.0.phase.as_deref())
        .text("precision", |row| Some(row.1))
        .int("flop", |row| Some(row.2.0))
        .float("math_ns", |row| Some(row.2.1).filter(|ns| *ns > 0.0))
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{ints, texts};
    use std::collections::BTreeMap;

    /// FLOP by device and phase.
    fn by_family(frame: &DataFrame) -> BTreeMap<(Option<i64>, Option<String>), i64> {
        let mut sums = BTreeMap::new();
        let keys = ints(frame, "device").unwrap().into_iter().zip(texts(frame, "phase").unwrap());
        for (key, flop) in keys.zip(ints(frame, "flop").unwrap()) {
            *sums.entry(key).or_default() += flop.unwrap();
        }
        sums
    }

    #[test]
    fn the_precisions_of_a_family_sum_to_its_roofline_row() {
        let fixture = Fixture::new().kernel(0, 0, (0, 10)).work(0, "prefill", 0, 0, 8).counts(7, 1);
        let fixture = fixture.kernel(0, 0, (10, 20)).work(0, "prefill", 0, 1, 8).counts(5, 1).precision("f64");
        let fixture = fixture.kernel(0, 0, (20, 30)).work(0, "decode", 0, 1, 8).counts(3, 1);
        let tables = fixture.kernel(1, 0, (0, 30)).work(0, "prefill", 0, 1, 8).counts(2, 1).tables();
        let input = Input::new("run", "target", &tables, Window::Default);
        let frame = compute(&input).unwrap();
        let f32_f64 = ["f32", "f32", "f64", "f32"].map(|name| Some(name.to_owned()));
        assert_eq!(texts(&frame, "precision").unwrap(), f32_f64);
        assert_eq!(ints(&frame, "flop").unwrap(), [3, 7, 5, 2].map(Some));
        assert_eq!(by_family(&frame), by_family(&(roofline::METRIC.compute)(&input).unwrap()));
    }
}
