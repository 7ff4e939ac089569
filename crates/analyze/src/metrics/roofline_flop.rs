//! The FLOP of each row of `roofline`, by precision.

use polars::prelude::DataFrame;
use proftool_roofline::Roof;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW};
use crate::Error;
use crate::roofline::DeviceRoofs;
use crate::roofline::family::{Family, Operations};

/// The metric.
pub const METRIC: Metric =
    Metric { name: "roofline_flop", doc: "The operations of each roofline row, by precision.", table: &TABLE, compute };

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_flop",
    doc: "One precision of one row of `roofline`. A type without a row was not counted, or of a page that counts every type, not used.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the kernel."),
        text("phase", "Phase of the row.").or_null(),
        text("precision", "Type of the arithmetic."),
        boolean("sparse", "Whether structured-sparsity instructions did it, which have a peak of their own."),
        boolean("integer", "Whether these are integer operations, which are not FLOP."),
        int("flop", "Operations, an FMA counted as two; of integer precisions integer operations; null where the page states rates only.").or_null(),
        float("math_ns", "Time that they need at the roof in use; null without one.").or_null(),
        float(
            "flop_per_s",
            "flop over the time of the launches whose counts are known, which several precisions of one row share; the mean of what pages without durations state.",
        )
        .or_null(),
        float("peak_flop_per_s", "The roof in use.").or_null(),
        float("peak_ratio", "flop_per_s / peak_flop_per_s.").or_null(),
        text("peak_source", "`measured` or `datasheet`.").or_null(),
        text("peak", "What the roof in use is.").or_null(),
        float("peak_datasheet_flop_per_s", "The datasheet's peak.").or_null(),
        float("datasheet_ratio", "flop_per_s over the datasheet's peak.").or_null(),
        float("peak_observed_flop_per_s", "The peak at the observed clock.").or_null(),
        float("observed_ratio", "flop_per_s over that peak; null where the time was taken at another clock.").or_null(),
        text("flop_source", "`analytic`, `counter`, or both joined by `+`.").or_null(),
        text("formula_id", "The formulas, joined by `;`.").or_null(),
        text("time_source", "The pass that the durations come from."),
    ],
};

/// One precision of one family.
struct Row<'a> {
    family: &'a Family,
    roofs: &'a DeviceRoofs,
    of: Operations,
}

impl Row<'_> {
    fn roof<'r>(&self, roofs: &'r proftool_roofline::Roofs) -> Option<&'r Roof> {
        roofs.compute.get(&(self.of.precision, self.of.sparse))
    }

    /// Time of the operations at the roof in use, ns.
    fn math_ns(&self) -> Option<f64> {
        Some(self.of.ops? as f64 * 1e9 / self.roof(&self.roofs.used)?.value)
    }

    fn of_peak(&self, roof: Option<&Roof>) -> Option<f64> {
        Some(self.of.per_second? / roof?.value)
    }

    fn observed(&self) -> Option<&Roof> {
        self.family.known_observed().ns().and_then(|_| self.roof(&self.roofs.observed))
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let (engine, families) = (input.engine()?, input.families()?);
    let of_family = |family| {
        let family: &Family = family;
        let roofs = engine.roofs(family.device);
        family.operations().into_iter().filter_map(move |of| Some(Row { family, roofs: roofs?, of }))
    };
    let rows: Vec<Row<'_>> = families.iter().flat_map(of_family).collect();
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.family.device.0))
        .int("device", |row| Some(row.family.device.1))
        .text("window", |row| Some(&row.family.window))
        .text("name", |row| Some(&row.family.name))
        .text("phase", |row| row.family.phase.as_deref())
        .text("precision", |row| Some(row.of.precision.name()))
        .bool("sparse", |row| Some(row.of.sparse))
        .bool("integer", |row| Some(row.of.precision.is_integer()))
        .int("flop", |row| row.of.ops)
        .float("math_ns", Row::math_ns)
        .float("flop_per_s", |row| row.of.per_second)
        .float("peak_flop_per_s", |row| row.roof(&row.roofs.used).map(|roof| roof.value))
        .float("peak_ratio", |row| row.of_peak(row.roof(&row.roofs.used)))
        .text("peak_source", |row| row.roof(&row.roofs.used).map(|roof| roof.source.name()))
        .text("peak", |row| row.roof(&row.roofs.used).map(|roof| &roof.label))
        .float("peak_datasheet_flop_per_s", |row| row.roof(&row.roofs.datasheet).map(|roof| roof.value))
        .float("datasheet_ratio", |row| row.of_peak(row.roof(&row.roofs.datasheet)))
        .float("peak_observed_flop_per_s", |row| row.roof(&row.roofs.observed).map(|roof| roof.value))
        .float("observed_ratio", |row| row.of_peak(row.observed()))
        .text("flop_source", |row| row.family.flop_source())
        .text("formula_id", |row| row.family.formula())
        .text("time_source", |row| Some(row.family.time_source(engine)))
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::metrics::roofline;
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
