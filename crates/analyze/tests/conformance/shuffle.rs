//! The order of rows changes no result: no row of a result, no value, and not the order of a result's rows.

use std::path::Path;

use polars::prelude::{DataFrame, IdxCa, IdxSize};
use proftool_analyze::{Input, Window};
use proftool_import::into_memory;
use proftool_trace::frame::{Tables, json_rows};
use proftool_trace::tables;

use crate::generated::{Dice, scene};
use crate::results::all;
use crate::trace::ranks;
use crate::with_data;

/// The tables with the rows of each in another order.
pub(crate) fn shuffled(tables: &Tables, seed: u64) -> Tables {
    let (mut out, mut dice) = (tables.clone(), Dice::new(seed));
    for table in tables::ALL {
        let frame = tables.get(table);
        let mut order: Vec<IdxSize> = (0..frame.height() as IdxSize).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, dice.below(place as u64 + 1) as usize);
        }
        out.set(table, frame.take(&IdxCa::from_vec("order".into(), order)).unwrap()).unwrap();
    }
    out
}

/// The metrics that the order changes, each with its first row that differs.
pub(crate) fn changed(name: &str, tables: &Tables, other: &Tables, window: &Window) -> Vec<String> {
    let [first, second] = [tables, other].map(|tables| {
        let input = Input::new("run", "target", tables, window.clone());
        all(&input).map(|(metric, result)| (metric.name, result.unwrap())).collect::<Vec<_>>()
    });
    let pairs = first.into_iter().zip(second).filter(|((_, a), (_, b))| !a.equals_missing(b));
    pairs.map(|((metric, a), (_, b))| format!("{name}: {metric}: {}", difference(&a, &b))).collect()
}

fn difference(a: &DataFrame, b: &DataFrame) -> String {
    if a.height() != b.height() {
        return format!("{} rows and {}", a.height(), b.height());
    }
    let rows = json_rows(a).into_iter().zip(json_rows(b)).enumerate();
    let differing = rows.flat_map(|(place, (a, b))| {
        let pairs = a.into_iter().zip(b).filter(|(a, b)| a != b);
        pairs.map(move |((column, a), (_, b))| format!("row {place}: {column}: {a} and {b}")).collect::<Vec<_>>()
    });
    differing.take(3).collect::<Vec<_>>().join("; ")
}

/// Files whose rows are shuffled: launches of one host on one device with NCCL, two devices in one process with ranges,
/// graphs of HIP, and samples of a device.
const FILES: &[&str] = &[
    "kineto/a100_nccl_world2.json.gz",
    "nsys/h100x2_train_before.schema3.25.sqlite",
    "kineto/mi300x_vllm_piecewise_graph.json.gz",
    "nsys/gh200_gpu_metrics.schema3.7.sqlite.gz",
];

fn of_file(shared: &Path, file: &str) -> Vec<String> {
    let (_, tables) = into_memory(&shared.join("data").join(file)).unwrap();
    changed(file, &tables, &shuffled(&tables, 7), &Window::Default)
}

#[test]
fn the_order_of_rows_of_files_changes_no_result() {
    with_data(|shared| {
        let found = std::thread::scope(|scope| {
            let other = scope.spawn(|| FILES[2..].iter().flat_map(|file| of_file(shared, file)).collect::<Vec<_>>());
            let mut found: Vec<String> = FILES[..2].iter().flat_map(|file| of_file(shared, file)).collect();
            found.extend(other.join().unwrap());
            found
        });
        assert!(found.is_empty(), "{}", found.join("\n"));
    });
}

#[test]
fn the_order_of_rows_of_two_ranks_changes_no_result() {
    with_data(|shared| {
        let files = [0, 1].map(|rank| shared.join(format!("data/kineto/sampled_rank-{rank}_of_128.json.gz")));
        let tables = ranks(&files);
        let found = changed("two ranks", &tables, &shuffled(&tables, 5), &Window::Default);
        assert!(found.is_empty(), "{}", found.join("\n"));
    });
}

#[test]
fn the_order_of_rows_changes_no_result_where_most_instants_are_ties() {
    let mut found = Vec::new();
    for seed in 0..6 {
        let tables = scene(seed).tables();
        for window in [Window::Default, Window::Each] {
            for order in 0..3 {
                let name = format!("seed {seed}, order {order}, {window:?}");
                found.extend(changed(&name, &tables, &shuffled(&tables, order), &window));
            }
        }
    }
    assert!(found.is_empty(), "{} results changed:\n{}", found.len(), found.join("\n"));
}
