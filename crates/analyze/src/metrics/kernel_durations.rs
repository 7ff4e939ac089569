//! How long kernels run: a histogram of durations by powers of two, and the short ones.
//!
//! A kernel belongs to the window in which it begins, with its whole duration. Bin k holds durations in [2^k, 2^(k+1))
//! nanoseconds, the first bin [0, 1) those of 0; bins are given from the first to the last that is not empty, so that
//! their counts and times sum to those of all kernels exactly. Rows of the kind `below` count once more what is shorter
//! than 5 and than 10 microseconds: at about the cost of a launch, so that a host that launches one by one cannot keep the
//! device busy with them.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Kind;
use crate::model::{DeviceKey, Model};
use crate::operators::within;
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "kernel_durations",
    doc: "Histogram of kernel durations by powers of two, and how many kernels are short.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "kernel_durations",
    doc: "The kernels of one device in one window set with durations from from_ns to before to_ns.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("kind", "`bin` for a bin of the histogram, `below` for the short kernels, which the bins hold too."),
        int("from_ns", "Shortest duration that counts."),
        int("to_ns", "Durations from here on do not count."),
        int("kernels", "Kernels that begin in the windows and last that long."),
        int("total_ns", "Sum of their durations."),
        float("kernels_ratio", "Share of the device's kernels in the windows; null without kernels.").or_null(),
        float("time_ratio", "total_ns over that of these kernels; null where that is 0.").or_null(),
        boolean("reliable", "False where whole-graph rows hide kernels."),
    ],
};

/// Durations below which a kernel is short, in nanoseconds. TraceLens uses the second one.
pub const SHORT_NS: [i64; 2] = [5_000, 10_000];

/// Kernels of a stretch of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    kernels: i64,
    total: i64,
}

impl Count {
    fn add(&mut self, duration: i64) {
        self.kernels += 1;
        self.total = self.total.saturating_add(duration);
    }
}

struct Row {
    device: DeviceKey,
    window: String,
    kind: &'static str,
    edges: (i64, i64),
    count: Count,
    all: Count,
    reliable: bool,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows =
        input.of_devices(|model, device, sets| sets.iter().flat_map(|set| of_device(model, device, set)).collect())?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("kind", |row| Some(row.kind))
        .int("from_ns", |row| Some(row.edges.0))
        .int("to_ns", |row| Some(row.edges.1))
        .int("kernels", |row| Some(row.count.kernels))
        .int("total_ns", |row| Some(row.count.total))
        .float("kernels_ratio", |row| ratio(row.count.kernels, row.all.kernels))
        .float("time_ratio", |row| ratio(row.count.total, row.all.total))
        .bool("reliable", |row| Some(row.reliable))
        .build(&TABLE)
}

fn of_device(model: &Model, device: DeviceKey, set: &WindowSet) -> Vec<Row> {
    let mut histogram = Histogram::default();
    for row in model.begun_on(device, &set.spans).filter(|row| row.kind == Kind::Kernel) {
        histogram.add(row.span.1.saturating_sub(row.span.0));
    }
    let graphs = model.of_device(device).iter().filter(|row| row.kind == Kind::Graph);
    let reliable = graphs.into_iter().all(|row| within(&set.spans, row.span).is_empty());
    let row = |(kind, edges, count)| Row {
        device,
        window: set.name.clone(),
        kind,
        edges,
        count,
        all: histogram.all,
        reliable,
    };
    let bins = histogram.filled().map(|(edges, count)| ("bin", edges, count));
    let short = SHORT_NS.into_iter().zip(histogram.short).map(|(limit, count)| ("below", (0, limit), count));
    bins.chain(short).map(row).collect()
}

/// Bin 0 is a duration of 0, bin k + 1 is [2^k, 2^(k+1)).
struct Histogram {
    bins: [Count; 64],
    short: [Count; 2],
    all: Count,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { bins: [Count::default(); 64], short: [Count::default(); 2], all: Count::default() }
    }
}

impl Histogram {
    fn add(&mut self, duration: i64) {
        let duration = duration.max(0);
        self.bins[64 - duration.leading_zeros() as usize].add(duration);
        self.all.add(duration);
        for (short, _) in self.short.iter_mut().zip(SHORT_NS).filter(|(_, limit)| duration < *limit) {
            short.add(duration);
        }
    }

    /// The bins with their edges, from the first to the last that holds something.
    fn filled(&self) -> impl Iterator<Item = ((i64, i64), Count)> + '_ {
        let holds = |count: &Count| count.kernels > 0;
        let first = self.bins.iter().position(holds).unwrap_or(0);
        let end = self.bins.iter().rposition(holds).map_or(0, |last| last + 1);
        (first..end).map(|bin| (edges(bin), self.bins[bin]))
    }
}

/// The last bin ends at the largest duration there is.
fn edges(bin: usize) -> (i64, i64) {
    match bin {
        0 => (0, 1),
        63 => (1 << 62, i64::MAX),
        _ => (1 << (bin - 1), 1 << bin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, shared_data};
    use crate::windows::Window;
    use proftool_trace::frame::{bools, floats, ints, texts};
    use proptest::prelude::*;

    fn durations(fixture: &Fixture) -> DataFrame {
        compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap()
    }

    #[test]
    fn durations_fall_into_powers_of_two_without_holes() {
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 4096))
            .kernel(0, 0, (5000, 5000 + 8191))
            .kernel(0, 1, (6000, 6000 + 20_000))
            .other("copy", 0, 0, (7000, 7001));
        let frame = durations(&fixture);
        assert_eq!(ints(&frame, "from_ns").unwrap(), [4096, 8192, 16_384, 0, 0].map(Some));
        assert_eq!(ints(&frame, "to_ns").unwrap(), [8192, 16_384, 32_768, 5000, 10_000].map(Some));
        assert_eq!(ints(&frame, "kernels").unwrap(), [2, 0, 1, 1, 2].map(Some));
        assert_eq!(ints(&frame, "total_ns").unwrap(), [12_287, 0, 20_000, 4096, 12_287].map(Some));
        assert_eq!(floats(&frame, "kernels_ratio").unwrap()[2], Some(1.0 / 3.0));
        let kinds: Vec<_> = texts(&frame, "kind").unwrap().into_iter().flatten().collect();
        assert_eq!(kinds, ["bin", "bin", "bin", "below", "below"]);
    }

    #[test]
    fn a_device_without_kernels_has_only_empty_short_rows() {
        let frame =
            durations(&Fixture::new().other("graph", 0, 0, (0, 9)).kernel(1, 0, (3, 3)).other("copy", 1, 0, (3, 9)));
        assert_eq!(ints(&frame, "device").unwrap(), [0, 0, 1, 1, 1].map(Some));
        assert_eq!(ints(&frame, "kernels").unwrap(), [0, 0, 1, 1, 1].map(Some));
        assert_eq!(floats(&frame, "kernels_ratio").unwrap()[0], None);
        assert_eq!(floats(&frame, "time_ratio").unwrap()[2], None, "a duration of 0 is no time");
        assert_eq!(bools(&frame, "reliable").unwrap(), [false, false, true, true, true].map(Some));
    }

    proptest! {
        #[test]
        fn every_duration_lies_between_the_edges_of_one_bin(durations in prop::collection::vec(0..=i64::MAX, 0..20)) {
            let mut histogram = Histogram::default();
            for duration in &durations {
                histogram.add(*duration >> (duration % 60));
            }
            let inside = |(from, to): (i64, i64)| {
                let holds = |value: &i64| from <= *value && (*value < to || to == i64::MAX);
                durations.iter().map(|value| value >> (value % 60)).filter(holds).count() as i64
            };
            for (edges, count) in histogram.filled() {
                prop_assert_eq!(count.kernels, inside(edges));
            }
            prop_assert_eq!(histogram.filled().map(|bin| bin.1.kernels).sum::<i64>(), durations.len() as i64);
        }
    }

    /// The stored report of TraceLens lists every kernel below 10 microseconds.
    #[test]
    fn short_kernels_are_as_many_as_another_tool_lists() {
        let Some(path) = shared_data("kineto/h100_qwen_0.5b.json.gz") else { return };
        let golden = path.parent().unwrap().join("../../golden/tracelens/h100_qwen/short_kernel_histogram.csv");
        let (_, tables) = proftool_import::into_memory(&path).unwrap();
        let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
        let mut sheet = csv::Reader::from_path(golden).unwrap();
        let listed: i64 = sheet.records().map(|record| record.unwrap()[2].parse::<i64>().unwrap()).sum();
        let kernels = ints(&frame, "kernels").unwrap();
        assert_eq!(kernels.last(), Some(&Some(listed)));
        let bins: i64 = kernels[..kernels.len() - 2].iter().flatten().sum();
        let model = Model::read(&tables).unwrap();
        assert_eq!(bins, model.activities.iter().filter(|row| row.kind == Kind::Kernel).count() as i64);
    }
}
