use super::*;
use crate::fixture::{Fixture, shared_data};
use proftool_trace::frame::{Tables, floats, ints, texts};
use proptest::prelude::*;

fn calls(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn names(frame: &DataFrame) -> Vec<String> {
    texts(frame, "name").unwrap().into_iter().flatten().collect()
}

#[test]
fn calls_outside_the_device_work_count_and_runtime_and_driver_are_one_total() {
    // The device works in 10..20 and 50..60: idle 20..50.
    let fixture = Fixture::new()
        .host_call("runtime", "cudaMalloc", (-100, -70))
        .kernel(0, 0, (10, 20))
        .launched_by("cudaLaunchKernel", (0, 5))
        .kernel(0, 0, (50, 60))
        .launched_by("cudaLaunchKernel", (40, 45))
        .host_call("driver", "cuCtxSynchronize", (15, 35))
        .host_call("osrt", "poll", (0, 90))
        .host_call("osrt", "poll", (30, 45))
        .host_call("runtime", "cudaFree", (100, 100));
    let frame = calls(&fixture.tables());
    assert_eq!(names(&frame), ["cudaMalloc", "cuCtxSynchronize", "cudaLaunchKernel", "cudaFree", "poll"]);
    assert_eq!(ints(&frame, "calls").unwrap(), [1, 1, 2, 1, 2].map(Some));
    assert_eq!(ints(&frame, "total_ns").unwrap(), [30, 20, 10, 0, 105].map(Some));
    let ratios = floats(&frame, "time_ratio").unwrap();
    assert_eq!(ratios, [0.5, 20.0 / 60.0, 10.0 / 60.0, 0.0, 1.0].map(Some));
    // cuCtxSynchronize 20..35, the second launch 40..45, polling once for its two calls at the same time 20..50.
    assert_eq!(ints(&frame, "device_idle_ns").unwrap(), [0, 15, 5, 0, 30].map(Some));
    assert_eq!(floats(&frame, "stddev_ns").unwrap()[..3], [None, None, Some(0.0)]);
}

#[test]
fn blocks_choose_the_calls_that_begin_in_them() {
    let fixture = Fixture::new()
        .kernel(0, 0, (0, 10))
        .host_call("runtime", "a", (-5, 3))
        .host_call("runtime", "a", (2, 300))
        .block((0, 100));
    let frame = calls(&fixture.tables());
    assert_eq!((ints(&frame, "calls").unwrap(), ints(&frame, "total_ns").unwrap()), (vec![Some(1)], vec![Some(298)]));
}

#[test]
fn without_device_work_its_idle_time_is_null() {
    let fixture = Fixture::new().other("sync", 0, 0, (1, 2)).host_call("runtime", "cudaFree", (0, 4));
    let frame = calls(&fixture.tables());
    assert_eq!((names(&frame).len(), ints(&frame, "device_idle_ns").unwrap()), (1, vec![None]));
}

proptest! {
    #[test]
    fn sums_and_idle_time_agree_with_each_nanosecond_in_any_order(
        rows in prop::collection::vec((0..3_usize, 0..60_i64, 0..15_i64), 1..14),
        work in prop::collection::vec((0..60_i64, 0..15_i64), 1..6),
    ) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let build = |rows: &[(usize, i64, i64)]| {
            let fixture = work.iter().fold(Fixture::new(), |all, (at, length)| all.kernel(0, 0, (*at, at + length)));
            let add = |all: Fixture, row: &(usize, i64, i64)| all.host_call("osrt", NAMES[row.0], (row.1, row.1 + row.2));
            calls(&rows.iter().fold(fixture, add).tables())
        };
        let frame = build(&rows);
        let mut reversed = rows.clone();
        reversed.reverse();
        prop_assert!(frame.equals_missing(&build(&reversed)));
        let busy = |t: i64| work.iter().any(|(at, length)| *at <= t && t < at + length);
        let extent: Vec<i64> = (0..80).filter(|t| busy(*t)).collect();
        let extent = extent.first().zip(extent.last()).map_or(0..0, |(first, last)| *first..*last);
        for (row, name) in names(&frame).iter().enumerate() {
            let mine: Vec<_> = rows.iter().filter(|row| NAMES[row.0] == name).collect();
            let idle = extent.clone().filter(|t| !busy(*t) && mine.iter().any(|(_, at, length)| *at <= *t && *t < at + length));
            prop_assert_eq!(ints(&frame, "device_idle_ns").unwrap()[row], Some(idle.count() as i64));
            prop_assert_eq!(ints(&frame, "total_ns").unwrap()[row], Some(mine.iter().map(|row| row.2).sum()));
        }
    }
}

/// Every row of `nsys stats` cuda_api_sum, of files with one and with two processes.
#[test]
fn the_statistics_are_those_of_nsys() {
    for (file, name) in [
        ("h100x2_train_after.schema3.25.sqlite", "h100x2_train_after"),
        ("a100_cloverleaf.schema3.13.sqlite", "a100_cloverleaf"),
        ("gh200_jacobi.schema3.6.sqlite", "gh200_jacobi"),
    ] {
        let Some(path) = shared_data(&format!("nsys/{file}")) else { return };
        let golden = path.parent().unwrap().join(format!("../../golden/nsys-stats/{name}/cuda_api_sum.csv"));
        let frame = calls(&proftool_import::into_memory(&path).unwrap().1);
        let (ours, apis) = (names(&frame), texts(&frame, "api").unwrap());
        let mut compared = 0;
        for record in csv::Reader::from_path(golden).unwrap().records().map(Result::unwrap) {
            // nsys cuts the version of a symbol of four digits and leaves one of five; the importer cuts both.
            let theirs = record[8].rsplit_once("_v").map_or(&record[8], |(stem, _)| stem);
            let row = (0..ours.len())
                .find(|row| {
                    [&record[8], theirs].contains(&ours[*row].as_str()) && apis[*row].as_deref() != Some("osrt")
                })
                .unwrap_or_else(|| panic!("{name}: {} is there only", &record[8]));
            let int = |column: &str| ints(&frame, column).unwrap()[row].unwrap() as f64;
            let float = |column: &str| floats(&frame, column).unwrap()[row].unwrap_or(0.0);
            let pairs = [
                (100.0 * float("time_ratio"), 0.0501),
                (int("total_ns"), 0.0),
                (int("calls"), 0.0),
                (float("mean_ns"), 0.0501),
                // Ours is rounded down.
                (int("median_ns") + 0.25, 0.25),
                (int("min_ns"), 0.0),
                (int("max_ns"), 0.0),
                (float("stddev_ns"), 0.0501),
            ];
            for (column, (value, allowed)) in pairs.into_iter().enumerate() {
                let printed: f64 = record[column].parse().unwrap();
                assert!(
                    (value - printed).abs() <= allowed,
                    "{name}, {}, {column}: {value} is not {printed}",
                    &record[8]
                );
            }
            compared += 1;
        }
        let launching = apis.iter().flatten().filter(|api| ["runtime", "driver"].contains(&api.as_str())).count();
        assert_eq!(compared, launching, "{name}: every function is in the report");
    }
}
