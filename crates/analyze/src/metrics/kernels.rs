//! Kernels by name: how often and how long each ran.
//!
//! A launch belongs to the window in which it begins, with its whole duration. The statistics are those of `nsys stats`
//! (`cuda_gpu_kern_sum`), by device, whose own shares are over all devices. A median of an even count is rounded down to
//! the nanosecond, where nsys prints a half; the deviation of one launch is null, where nsys prints 0. Rows of whole
//! graphs, which that report leaves out, are listed as `CUDA graph N`.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::DataFrame;
use proftool_timeline::summary::Summary;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Kind;
use crate::model::{DeviceKey, Model};
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
        float("mean_ns", "Mean duration."),
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
    durations: Summary,
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
        .int("launches", |row| Some(row.durations.count() as i64))
        .int("total_ns", |row| Some(row.durations.total()))
        .float("mean_ns", |row| row.durations.mean())
        .int("median_ns", |row| row.durations.median())
        .int("min_ns", |row| row.durations.min())
        .int("max_ns", |row| row.durations.max())
        .float("stddev_ns", |row| row.durations.deviation())
        .float("time_ratio", |row| ratio(row.durations.total(), row.all))
        .build(&TABLE)
}

fn of_device(model: &Model, device: DeviceKey, set: &WindowSet) -> Vec<Row> {
    let mut names: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    // By number first: a text is compared once a name and not once a launch.
    let mut families: HashMap<u32, Vec<i64>> = HashMap::new();
    for row in model.begun_on(device, &set.spans).filter(|row| matches!(row.kind, Kind::Kernel | Kind::Graph)) {
        families.entry(row.name).or_default().push(row.span.1.saturating_sub(row.span.0));
    }
    for (name, durations) in families {
        names.insert(model.names.text(name), durations);
    }
    let families: Vec<(&str, Summary)> =
        names.into_iter().map(|(name, durations)| (name, Summary::of(durations))).collect();
    let all = families.iter().fold(0_i64, |sum, (_, durations)| sum.saturating_add(durations.total()));
    let row = |(name, durations): (&str, Summary)| Row {
        device,
        window: set.name.clone(),
        name: name.to_owned(),
        durations,
        all,
    };
    let mut rows: Vec<Row> = families.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.durations.total()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, shared_data};
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

    #[test]
    fn extreme_times_stay_numbers() {
        let fixture = Fixture::new().kernel(0, 0, (i64::MIN, i64::MAX)).kernel(0, 0, (i64::MIN, i64::MAX));
        let tables = fixture.block((i64::MIN, 0)).tables();
        let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
        assert_eq!(ints(&frame, "total_ns").unwrap(), [Some(i64::MAX)]);
        assert_eq!(floats(&frame, "stddev_ns").unwrap(), [Some(0.0)]);
    }

    /// Every row of `nsys stats` cuda_gpu_kern_sum, of files with one device.
    #[test]
    fn the_statistics_are_those_of_nsys() {
        for (file, name) in
            [("a100_cloverleaf.schema3.13", "a100_cloverleaf"), ("gh200_jacobi.schema3.6", "gh200_jacobi")]
        {
            let Some(path) = shared_data(&format!("nsys/{file}.sqlite")) else { return };
            let golden = path.parent().unwrap().join(format!("../../golden/nsys-stats/{name}/cuda_gpu_kern_sum.csv"));
            let (_, tables) = proftool_import::into_memory(&path).unwrap();
            let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
            let names = texts(&frame, "name").unwrap();
            let records: Vec<_> = csv::Reader::from_path(golden).unwrap().into_records().map(Result::unwrap).collect();
            assert_eq!(names.len(), records.len());
            for record in records {
                let row = names.iter().position(|name| name.as_deref() == Some(&record[8])).unwrap();
                let int = |column: &str| ints(&frame, column).unwrap()[row].unwrap() as f64;
                let float = |column: &str| floats(&frame, column).unwrap()[row].unwrap_or(0.0);
                // nsys prints a tenth of a nanosecond; our median is rounded down from at most a half.
                let pairs = [
                    (100.0 * float("time_ratio"), 0.0501),
                    (int("total_ns"), 0.0),
                    (int("launches"), 0.0),
                    (float("mean_ns"), 0.0501),
                    (int("median_ns") + 0.25, 0.25),
                    (int("min_ns"), 0.0),
                    (int("max_ns"), 0.0),
                    (float("stddev_ns"), 0.0501),
                ];
                for (column, (value, allowed)) in pairs.into_iter().enumerate() {
                    let printed: f64 = record[column].parse().unwrap();
                    assert!((value - printed).abs() <= allowed, "{}, {column}: {value} is not {printed}", &record[8]);
                }
            }
        }
    }
}
