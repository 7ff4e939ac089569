//! Kernels by name: how often and how long each ran.
//!
//! A launch belongs to the window in which it begins, with its whole duration.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Kind;
use crate::model::{DeviceKey, Model};
use crate::statistics::{median_ns, standard_deviation};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "kernels",
    doc: "How often and how long each kernel ran, the longest in total first.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "kernels",
    doc: "One kernel name on one device in one window set.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("name", "Name of the kernel."),
        int("launches", "Launches that begin in the windows."),
        int("total_ns", "Sum of their durations."),
        int("median_ns", "Median duration; of an even count the midpoint, rounded down."),
        int("min_ns", "Shortest duration."),
        int("max_ns", "Longest duration."),
        float("stddev_ns", "Sample standard deviation of the durations; null for one launch.").or_null(),
        float("time_ratio", "total_ns over that of all kernels of the device; null where that is 0.").or_null(),
    ],
};

struct Row {
    device: DeviceKey,
    window: String,
    name: String,
    durations: Vec<i64>,
    all: i64,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows =
        input.of_devices(|model, device, sets| sets.iter().flat_map(|set| of_device(model, device, set)).collect())?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("name", |row| Some(&row.name))
        .int("launches", |row| Some(row.durations.len() as i64))
        .int("total_ns", |row| Some(row.durations.iter().sum()))
        .int("median_ns", |row| median_ns(&row.durations))
        .int("min_ns", |row| row.durations.iter().copied().min())
        .int("max_ns", |row| row.durations.iter().copied().max())
        .float("stddev_ns", |row| standard_deviation(&row.durations))
        .float("time_ratio", |row| ratio(row.durations.iter().sum(), row.all))
        .build(&TABLE)
}

fn of_device(model: &Model, device: DeviceKey, set: &WindowSet) -> Vec<Row> {
    let mut families: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for row in model.begun_on(device, &set.spans).filter(|row| matches!(row.kind, Kind::Kernel | Kind::Graph)) {
        families.entry(model.names.text(row.name)).or_default().push(row.span.1 - row.span.0);
    }
    let all = families.values().flatten().sum();
    let row = |(name, durations): (&str, Vec<i64>)| Row {
        device,
        window: set.name.clone(),
        name: name.to_owned(),
        durations,
        all,
    };
    let mut rows: Vec<Row> = families.into_iter().map(row).collect();
    rows.sort_by_key(|row| -row.durations.iter().sum::<i64>());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};

    #[test]
    fn launches_count_in_the_window_in_which_they_begin() {
        let fixture = Fixture::new()
            .named_kernel("a", 0, 0, (0, 10))
            .named_kernel("b", 0, 0, (10, 40))
            .named_kernel("a", 0, 0, (90, 120))
            .named_kernel("a", 0, 0, (120, 130))
            .other("set", 0, 0, (20, 30))
            .block((0, 100));
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        assert_eq!(texts(&frame, "name").unwrap(), [Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!(ints(&frame, "launches").unwrap(), [Some(2), Some(1)]);
        assert_eq!(ints(&frame, "total_ns").unwrap(), [Some(40), Some(30)]);
        assert_eq!(ints(&frame, "median_ns").unwrap(), [Some(20), Some(30)]);
        assert_eq!(floats(&frame, "stddev_ns").unwrap(), [Some(200_f64.sqrt()), None]);
        assert_eq!(floats(&frame, "time_ratio").unwrap(), [Some(40.0 / 70.0), Some(30.0 / 70.0)]);
    }
}
