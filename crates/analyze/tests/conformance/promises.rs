//! What every metric promises of any timeline: finite numbers, no negative time, ratios between 0 and 1, and parts that
//! sum to their whole exactly.

mod names;
mod splits;

use std::path::{Path, PathBuf};

use proftool_analyze::{Input, Window};
use proftool_import::into_memory;
use proftool_trace::frame::Tables;
use proftool_trace::table::DataType;

use crate::generated;
use crate::results::{Results, all};
use crate::trace::ranks;
use crate::with_data;

/// All that is broken, one sentence each; with the sums of parts only where times are far from the limits of their type.
pub(crate) fn broken(name: &str, tables: &Tables, window: &Window, sums: bool) -> Vec<String> {
    let input = Input::new("run", "target", tables, window.clone());
    let mut found = Vec::new();
    let mut results = Vec::new();
    for (metric, result) in all(&input) {
        match result {
            Ok(frame) => results.push(Results::of(metric.table, &frame)),
            Err(error) => found.push(format!("{name}: {}: {error}", metric.name)),
        }
    }
    for result in &results {
        found.extend(values(result).into_iter().map(|what| format!("{name}: {}: {what}", result.table.name)));
    }
    if sums {
        found.extend(splits::broken(&results).into_iter().map(|what| format!("{name}: {what}")));
    }
    found
}

/// Values that no result may hold: the first of each column.
fn values(result: &Results) -> Vec<String> {
    let mut found = Vec::new();
    for column in result.table.columns {
        let place = (result.table.name, column.name);
        let wrong = (0..result.rows).find_map(|row| match column.dtype {
            DataType::Int => {
                let value = result.int(row, column.name)?;
                let negative = value < 0 && column.name.ends_with("_ns") && !names::may_be_negative(place);
                negative.then(|| format!("{} of row {row} is {value}", column.name))
            }
            DataType::Float => {
                let value = result.float(row, column.name)?;
                let outside = column.name.ends_with("_ratio")
                    && !(-1e-12..=1.0 + 1e-12).contains(&value)
                    && !names::may_exceed_one(place);
                (!value.is_finite() || outside).then(|| format!("{} of row {row} is {value}", column.name))
            }
            DataType::Text | DataType::Bool => None,
        });
        found.extend(wrong);
    }
    found
}

/// Every file of the shared data that holds a timeline.
fn timelines(shared: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["kineto", "nsys"] {
        let entries = std::fs::read_dir(shared.join("data").join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    // Reports that only a newer nsys reads; exports of them are among the others.
    files.retain(|path| !path.extension().is_some_and(|end| end == "nsys-rep" || end == "qdrep"));
    files.push(shared.join("data/amd/rocprofv3_mi355.json.gz"));
    files.push(shared.join("data/negatives/nsys_no_kernels_rtx5060ti.sqlite"));
    files.sort();
    files
}

#[test]
fn every_metric_keeps_its_promises_on_every_shared_timeline() {
    with_data(|shared| {
        let files = timelines(shared);
        let half = |odd: usize| {
            let mut found = Vec::new();
            for path in files.iter().skip(odd).step_by(2) {
                let name = path.file_name().unwrap().to_str().unwrap();
                let (_, tables) = into_memory(path).unwrap_or_else(|error| panic!("{name}: {error}"));
                found.extend(broken(name, &tables, &Window::Default, true));
            }
            found
        };
        let found = std::thread::scope(|scope| {
            let other = scope.spawn(|| half(1));
            let mut found = half(0);
            found.extend(other.join().unwrap());
            found
        });
        assert!(found.is_empty(), "{} promises broken:\n{}", found.len(), found.join("\n"));
    });
}

#[test]
fn every_metric_keeps_its_promises_on_two_ranks_of_a_run() {
    with_data(|shared| {
        let files = [0, 1].map(|rank| shared.join(format!("data/kineto/sampled_rank-{rank}_of_128.json.gz")));
        let found = broken("two ranks", &ranks(&files), &Window::Default, true);
        assert!(found.is_empty(), "{} promises broken:\n{}", found.len(), found.join("\n"));
    });
}

#[test]
fn every_metric_keeps_its_promises_on_timelines_by_chance() {
    let mut found = Vec::new();
    for seed in 0..8 {
        let tables = generated::scene(seed).tables();
        for window in [Window::Default, Window::Each, Window::Named("decode".to_owned())] {
            found.extend(broken(&format!("seed {seed}, {window:?}"), &tables, &window, true));
        }
    }
    assert!(found.is_empty(), "{} promises broken:\n{}", found.len(), found.join("\n"));
}
